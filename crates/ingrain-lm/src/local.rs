//! A model on this machine behind the seams [`ChatModel`] and [`Scorer`].

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use ingrain_chat::{
    ChatError, ChatModel, ChatReply, ChatRequest, Message, Score, ScoreRequest, Scorer,
};
use ingrain_gguf::GgufFile;
use ingrain_run::Interrupt;
use ingrain_tokenizer::{ChatTokenizer, RenderOptions, TokenizerError};

use crate::generate::Chooser;
use crate::source::{ModelFiles, ModelFormat, ModelIdentity};
use crate::{
    Adapter, CausalLm, Choice, Generation, Generator, LmError, Overlay, Prompt, ReplyText,
    SelfTest, Steering, TokenBatch, TokenSequence, side_by_side,
};

/// Beside an adapter, what it is known to do.
const SELFTEST_FILE: &str = "selftest.json";

/// Tokens, padding included, that one scoring pass runs over.
const SCORE_TOKENS: usize = 1024;

/// Scoring passes that run side by side.
const SCORE_PASSES: usize = 2;

/// Weights, tokenizer and, if wanted, an adapter: everything that a chat needs.
///
/// Cheap to clone; clones share weights and tokenizer.
#[derive(Clone)]
pub struct LocalModel {
    /// The weights.
    pub model: CausalLm,
    /// The adapter in use, if any.
    pub adapter: Option<Adapter>,
    /// The steering in use, if any.
    pub steering: Option<Steering>,
    /// Tokenizer and chat template.
    pub tokenizer: Arc<ChatTokenizer>,
    /// Exactly which weights these are.
    pub identity: ModelIdentity,
    /// Requests decoded together. Default 16.
    pub max_batch: usize,
    /// Raised by the caller to stop between tokens.
    pub interrupt: Interrupt,
}

impl LocalModel {
    /// Loads weights and tokenizer of resolved files.
    ///
    /// # Errors
    /// [`LmError`] if either is missing or damaged, or if the tokenizer knows tokens that the weights
    /// have no row for.
    pub fn load(files: &ModelFiles, device: &Device) -> Result<Self, LmError> {
        let (path, tokenizer) = match &files.format {
            ModelFormat::Directory(dir) => (dir, ChatTokenizer::from_hf_dir(dir)?),
            ModelFormat::Gguf(path) => (path, ChatTokenizer::from_gguf(&GgufFile::open(path)?)?),
        };
        let model = CausalLm::load(files, device)?;
        if tokenizer.vocab_size() > model.config().vocab_size {
            return Err(LmError::file(
                path,
                format!(
                    "the tokenizer has {} tokens, the weights only {}",
                    tokenizer.vocab_size(),
                    model.config().vocab_size
                ),
            ));
        }
        Ok(Self {
            model,
            adapter: None,
            steering: None,
            tokenizer: Arc::new(tokenizer),
            identity: files.identity.clone(),
            max_batch: 16,
            interrupt: Interrupt::new(),
        })
    }

    /// The same model with another adapter, or none.
    #[must_use]
    pub fn with_adapter(&self, adapter: Option<Adapter>) -> Self {
        Self { adapter, ..self.clone() }
    }

    /// The same model, steered otherwise or not at all.
    #[must_use]
    pub fn with_steering(&self, steering: Option<Steering>) -> Self {
        Self { steering, ..self.clone() }
    }

    /// What passes of this model lay over its weights.
    #[must_use]
    pub fn overlay(&self) -> Overlay<'_> {
        Overlay { adapter: self.adapter.as_ref(), steering: self.steering.as_ref() }
    }

    /// The same model with the adapter of a directory, proven: it must change something, and where a
    /// `selftest.json` lies beside it, must do here what it did where it was made.
    ///
    /// # Errors
    /// As [`Adapter::load`]; [`LmError::Adapter`] if it changes nothing; [`LmError::File`] if the self-test
    /// fails, which names the base weights that it holds for.
    pub fn adapted(&self, dir: &Path) -> Result<Self, LmError> {
        let adapter = Adapter::load(dir, &self.model)?;
        if adapter.is_identity() {
            let reason = format!("{} changes nothing: every B is zero", dir.display());
            return Err(LmError::Adapter(reason));
        }
        let selftest = dir.join(SELFTEST_FILE);
        if selftest.is_file() {
            SelfTest::read(&selftest)?.verify(&selftest, self, &adapter)?;
        }
        Ok(self.with_adapter(Some(adapter)))
    }

    /// The same model with other weights of the same shape (an adapter folded in, say).
    #[must_use]
    pub fn with_weights(&self, model: CausalLm) -> Self {
        Self { model, adapter: None, steering: None, ..self.clone() }
    }

    /// Continues token sequences as they are, without a chat template.
    ///
    /// # Errors
    /// [`LmError::Tokens`] or [`LmError::TooLong`] if a prompt is empty, holds a token that the model does
    /// not have, or fills the context.
    pub fn generate(
        &self,
        prompts: &[Prompt],
        on_done: &mut dyn FnMut(usize, Generation),
    ) -> Result<(), LmError> {
        let generator = Generator {
            model: &self.model,
            overlay: self.overlay(),
            stop_ids: self.tokenizer.stop_ids(),
            max_batch: self.max_batch,
            interrupt: self.interrupt.clone(),
        };
        let text = |prompt: &Prompt| ReplyText::new(&self.tokenizer, &prompt.sampling.stop);
        let texts: Vec<_> = prompts.iter().map(|prompt| RefCell::new(text(prompt))).collect();
        let halt = |index: usize, tokens: &[u32]| {
            !prompts[index].sampling.stop.is_empty()
                && tokens
                    .last()
                    .is_some_and(|&id| texts[index].borrow_mut().push(id).is_ok_and(|met| met))
        };
        generator.run(prompts, &halt, on_done)
    }

    /// The text of a generation, cut before the first stop text.
    ///
    /// # Errors
    /// [`LmError::Tokenizer`] if the tokens cannot be decoded.
    pub fn text(&self, generation: &Generation, stop: &[String]) -> Result<String, LmError> {
        let mut text = self.tokenizer.decode(&generation.token_ids, true)?;
        if let Some(at) = stop.iter().filter(|s| !s.is_empty()).filter_map(|s| text.find(s)).min() {
            text.truncate(at);
        }
        Ok(text)
    }

    /// Log-probabilities of the completion tokens of each sequence, in nats.
    ///
    /// Sequences are batched by length; results are in the order of the input.
    ///
    /// # Errors
    /// [`LmError::Tokens`] or [`LmError::TooLong`] if one is empty, holds a token that the model does not
    /// have, or does not fit the context.
    pub fn score(&self, sequences: &[TokenSequence]) -> Result<Vec<Vec<f32>>, LmError> {
        for (index, sequence) in sequences.iter().enumerate() {
            self.model.check_tokens(&format!("text {index}"), &sequence.ids)?;
        }
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(sequences[i].ids.len()));
        let mut passes: Vec<&[usize]> = Vec::new();
        let mut rest = &order[..];
        while let Some(&longest) = rest.first() {
            let width = sequences[longest].ids.len().max(1);
            let (now, later) = rest.split_at((SCORE_TOKENS / width).clamp(1, rest.len()));
            passes.push(now);
            rest = later;
        }
        let mut scores = vec![Vec::new(); sequences.len()];
        for passes in passes.chunks(SCORE_PASSES) {
            let results = side_by_side(passes, |indices| self.score_pass(sequences, indices));
            for (&index, score) in
                passes.iter().copied().flatten().zip(results.into_iter().flatten())
            {
                scores[index] = score;
            }
        }
        Ok(scores)
    }

    /// As [`score`](Self::score); but where several sequences next to each other are the same prompt with
    /// short completions, the prompt is read once for all of them, and what the next such prompt begins
    /// with in common is not read again.
    ///
    /// For judges and multiple choice, whose answers are a few tokens behind a long question, and whose
    /// questions stand behind the same instructions.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn score_sharing(&self, sequences: &[TokenSequence]) -> Result<Vec<Vec<f32>>, LmError> {
        let mut scores = vec![Vec::new(); sequences.len()];
        let mut chooser = Chooser::new(&self.model, self.overlay());
        let (mut rest, mut start) = (Vec::new(), 0);
        for group in sequences.chunk_by(|a, b| prompt_of(a) == prompt_of(b)) {
            let prompt = prompt_of(&group[0]);
            let options: Vec<Vec<u32>> =
                group.iter().map(|s| s.ids[prompt.len()..].to_vec()).collect();
            let behind: usize = options.iter().map(Vec::len).sum();
            let worth = 2 * behind < (group.len() - 1) * prompt.len();
            let places = start..start + group.len();
            start = places.end;
            if worth && options.iter().all(|option| !option.is_empty()) {
                let choice = chooser.choose(prompt, &options)?;
                places.zip(choice.logprobs).for_each(|(index, found)| scores[index] = found);
            } else {
                rest.extend(places);
            }
        }
        let others: Vec<TokenSequence> =
            rest.iter().map(|&index| sequences[index].clone()).collect();
        for (index, score) in rest.into_iter().zip(self.score(&others)?) {
            scores[index] = score;
        }
        Ok(scores)
    }

    /// One forward pass over some of the sequences.
    fn score_pass(&self, sequences: &[TokenSequence], indices: &[usize]) -> Vec<Vec<f32>> {
        let members: Vec<&TokenSequence> = indices.iter().map(|&i| &sequences[i]).collect();
        let batch = TokenBatch::new(&members, self.model.device());
        let values = self
            .model
            .completion_logprobs(&batch, self.overlay())
            .into_data()
            .try_into_vec::<f32>()
            .unwrap_or_default();
        let mut values = values.into_iter();
        batch.counts.iter().map(|&count| values.by_ref().take(count).collect()).collect()
    }

    /// Picks the assistant's likeliest reply to a conversation among `options`, the end of its turn
    /// included; the conversation is read once.
    ///
    /// # Errors
    /// [`LmError::Tokenizer`] if the chat template refuses the conversation or a reply, otherwise as
    /// [`CausalLm::choose`].
    pub fn choose(&self, messages: &[Message], options: &[&str]) -> Result<Choice, LmError> {
        let prompt = self.prompt_ids(messages)?;
        let reply = |option: &&str| {
            let options = RenderOptions::default();
            Ok(self.tokenizer.encode_reply(messages, option, &options)?.1)
        };
        let replies: Vec<Vec<u32>> = options.iter().map(reply).collect::<Result<_, LmError>>()?;
        self.model.choose(&prompt, &replies, self.overlay())
    }

    /// Renders and tokenises a conversation up to where the assistant is to speak.
    ///
    /// # Errors
    /// [`LmError::Tokenizer`] if the chat template refuses it.
    pub fn prompt_ids(&self, messages: &[Message]) -> Result<Vec<u32>, LmError> {
        Ok(self.tokenizer.encode_chat(messages, &RenderOptions::reply_to(messages))?)
    }

    /// A conversation whose last turn is the completion, with all that the template renders behind it:
    /// the end-of-turn token, and with some templates a line feed. The rest is the prompt that a model
    /// would be given to answer.
    ///
    /// Where a template leaves an earlier message out of a conversation that is answered (Mistral's put the
    /// system message into the last turn, if that is the user's), prompt and reply are those of
    /// [`ChatTokenizer::encode_reply`]: what a model that answers would see and write.
    ///
    /// # Errors
    /// [`LmError::Tokenizer`] if the turn cannot be located in the rendered text.
    pub fn completion_sequence(&self, messages: &[Message]) -> Result<TokenSequence, LmError> {
        match (self.tokenizer.encode_turns(messages), messages.split_last()) {
            (Ok(spans), _) => {
                let start = spans.turns.last().map_or(0, |turn| turn.tokens.start);
                Ok(TokenSequence::from_parts(&spans.ids[..start], &spans.ids[start..]))
            }
            (Err(TokenizerError::Turn { .. }), Some((reply, prompt))) => {
                let options = RenderOptions::default();
                let (prompt, reply) =
                    self.tokenizer.encode_reply(prompt, &reply.content, &options)?;
                Ok(TokenSequence::from_parts(&prompt, &reply))
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}

impl ChatModel for LocalModel {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        let mut prompts = Vec::new();
        let mut owners = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            match self.admit(request) {
                Ok(ids) => {
                    prompts.push(Prompt::new(ids, request.sampling.clone()));
                    owners.push(index);
                }
                Err(error) => on_reply(index, Err(error)),
            }
        }
        let mut answered = vec![false; prompts.len()];
        let result = self.generate(&prompts, &mut |at, generation| {
            answered[at] = true;
            let reply = self
                .text(&generation, &prompts[at].sampling.stop)
                .map_err(|e| ChatError::Model(e.to_string()))
                .map(|text| ChatReply {
                    text,
                    finish: generation.finish,
                    prompt_tokens: prompts[at].ids.len(),
                    completion_tokens: generation.token_ids.len(),
                });
            on_reply(owners[at], reply);
        });
        for (at, _) in answered.iter().enumerate().filter(|(_, done)| !**done) {
            let error = match &result {
                Err(error) => ChatError::Model(error.to_string()),
                Ok(()) => ChatError::Interrupted,
            };
            on_reply(owners[at], Err(error));
        }
    }
}

impl LocalModel {
    fn admit(&self, request: &ChatRequest) -> Result<Vec<u32>, ChatError> {
        let invalid = |e: LmError| ChatError::InvalidRequest(e.to_string());
        let ids = self.prompt_ids(&request.messages).map_err(invalid)?;
        self.model.check_length("the rendered conversation", ids.len() + 1).map_err(invalid)?;
        Ok(ids)
    }
}

/// What stands before a sequence's completion.
fn prompt_of(sequence: &TokenSequence) -> &[u32] {
    let end = sequence.completion.iter().position(|&is| is).unwrap_or(sequence.ids.len());
    &sequence.ids[..end]
}

impl Scorer for LocalModel {
    fn logprobs(&self, requests: &[ScoreRequest]) -> Vec<Result<Score, ChatError>> {
        let invalid = |e: LmError| ChatError::InvalidRequest(e.to_string());
        let sequences: Vec<Result<TokenSequence, ChatError>> = requests
            .iter()
            .map(|request| {
                let mut messages = request.messages.clone();
                messages.push(Message::assistant(&request.continuation));
                let sequence = self.completion_sequence(&messages).map_err(invalid)?;
                self.model.check_length("the text", sequence.ids.len()).map_err(invalid)?;
                Ok(sequence)
            })
            .collect();
        let good: Vec<TokenSequence> =
            sequences.iter().filter_map(|s| s.as_ref().ok().cloned()).collect();
        let scores = match self.score_sharing(&good) {
            Ok(scores) => scores,
            Err(e) => {
                return requests.iter().map(|_| Err(ChatError::Model(e.to_string()))).collect();
            }
        };
        let mut scores = scores.into_iter();
        sequences
            .into_iter()
            .map(|sequence| {
                let sequence = sequence?;
                let token_ids = sequence
                    .ids
                    .iter()
                    .zip(&sequence.completion)
                    .skip(1)
                    .filter(|(_, is)| **is)
                    .map(|(&id, _)| id)
                    .collect();
                Ok(Score { token_ids, logprobs: scores.next().unwrap_or_default() })
            })
            .collect()
    }
}

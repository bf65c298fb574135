//! On-policy distillation: the student speaks, a teacher says what it would have said at each token.

use std::sync::Mutex;

use ingrain_chat::{FinishReason, Message, Sampling};
use ingrain_lm::{
    Adapter, CausalLm, Generator, KlDirection, Prompt, TokenBatch, TokenSequence, vocab_kl,
};
use ingrain_run::{Interrupt, derive_seed};
use ingrain_tokenizer::{ChatTokenizer, RenderOptions};
use ingrain_train::{
    Cost, ExampleSize, Metrics, Objective, Statistics, TrainConfig, TrainError, TrainRun, Trained,
    fingerprint, fit,
};
use serde::{Deserialize, Serialize};

use crate::IntrospectionError;

/// How to distil on policy.
///
/// # Examples
/// ```
/// use ingrain_introspection::OnPolicyConfig;
///
/// let config: OnPolicyConfig =
///     serde_json::from_str(r#"{"sampling": {"max_new_tokens": 64}, "training": {"batch_size": 4}}"#)?;
/// config.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnPolicyConfig {
    /// How the student speaks. Default temperature 1 and top-p 1, its own distribution, and 128 tokens.
    /// The seed is replaced: each step, prompt and run seed has its own.
    pub sampling: Sampling,
    /// The divergence from the teacher at each token. Default reverse.
    pub direction: KlDirection,
    /// Data order, optimiser, schedule, checkpoints. `batch_size` counts prompts.
    pub training: TrainConfig,
}

impl Default for OnPolicyConfig {
    fn default() -> Self {
        let own = Sampling::default();
        Self {
            sampling: Sampling {
                max_new_tokens: 128,
                temperature: 1.0,
                top_p: 1.0,
                repetition_penalty: 1.0,
                ..own
            },
            direction: KlDirection::Reverse,
            training: TrainConfig::default(),
        }
    }
}

impl OnPolicyConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// [`IntrospectionError`] naming the first setting outside its range.
    pub fn validate(&self) -> Result<(), IntrospectionError> {
        if self.sampling.max_new_tokens == 0 {
            return Err(IntrospectionError::Setting {
                key: "sampling.max_new_tokens",
                value: "0".to_owned(),
                expected: "a whole number from 1",
            });
        }
        Ok(self.training.validate()?)
    }
}

/// A prompt as the student sees it and as the teacher sees it, both up to where the reply begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistillationPrompt {
    /// Name of the prompt in messages.
    pub id: String,
    /// Without the constitution.
    pub student: Vec<u32>,
    /// With it.
    pub teacher: Vec<u32>,
}

/// Renders conversations that end on a user turn, for the student as they are and for the teacher with
/// `teacher_system` in front.
///
/// # Errors
/// [`IntrospectionError::Tokenizer`] if the template refuses a conversation.
pub fn distillation_prompts(
    conversations: &[Vec<Message>],
    teacher_system: &str,
    tokenizer: &ChatTokenizer,
) -> Result<Vec<DistillationPrompt>, IntrospectionError> {
    let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
    let render = |at: usize, messages: &[Message]| {
        let ids = tokenizer.encode_chat(messages, &options);
        ids.map_err(|source| IntrospectionError::Tokenizer { id: format!("#{at}"), source })
    };
    let mut prompts = Vec::with_capacity(conversations.len());
    for (at, conversation) in conversations.iter().enumerate() {
        let mut instructed = vec![Message::system(teacher_system)];
        instructed.extend(conversation.iter().cloned());
        let (student, teacher) = (render(at, conversation)?, render(at, &instructed)?);
        prompts.push(DistillationPrompt { id: format!("#{at}"), student, teacher });
    }
    Ok(prompts)
}

/// Trains an adapter to speak, unprompted, as a teacher would speak under its constitution.
///
/// Each step, the student with the present adapter answers the batch's prompts; the teacher, which sees
/// the constitution too, scores every position of these replies; the loss is the mean over the replies'
/// tokens of the divergence between the two next-token distributions over the whole vocabulary. The
/// replies themselves carry no gradient.
///
/// # Source
/// Agarwal et al. 2024 (generalised knowledge distillation), arXiv:2306.13649, algorithm 1 with on-policy
/// data alone; prompting as the teacher's advantage: Askell et al. 2021 (context distillation),
/// arXiv:2112.00861.
#[derive(Clone, Copy, Debug)]
pub struct OnPolicyDistiller<'a> {
    /// The student: frozen weights that the adapter goes beside.
    pub model: &'a CausalLm,
    /// Names the weights of student and teacher (hub revision or sha256).
    pub base: &'a str,
    /// The teacher: a model with the student's vocabulary. Without one the student's own weights,
    /// prompted by the constitution and without the adapter, teach.
    pub teacher: Option<&'a CausalLm>,
    /// The prompts; see [`distillation_prompts`].
    pub prompts: &'a [DistillationPrompt],
    /// Tokens that end a reply.
    pub stop_ids: &'a [u32],
    /// Sampling and mechanics.
    pub config: &'a OnPolicyConfig,
}

/// Number of the step in what an objective carries; it makes every step's replies new ones.
const ROUND: &str = "round";

impl OnPolicyDistiller<'_> {
    /// Trains `initial` from the newest checkpoint in `run.dir`, if there is one.
    ///
    /// # Errors
    /// [`IntrospectionError`]; see [`ingrain_train::fit`] for what stops a run. Prompts that leave no room
    /// for a reply are refused before the first step.
    pub fn fit(
        &self,
        initial: Adapter,
        run: &TrainRun<'_>,
    ) -> Result<Trained<Adapter>, IntrospectionError> {
        self.config.validate()?;
        let replies = self.config.sampling.max_new_tokens;
        let longest = |prompt: &DistillationPrompt| prompt.student.len().max(prompt.teacher.len());
        let teacher = self.teacher.unwrap_or(self.model);
        for prompt in self.prompts {
            for (model, ids) in [(self.model, &prompt.student), (teacher, &prompt.teacher)] {
                let what = format!("prompt {} with a reply", prompt.id);
                model.check_tokens(&what, ids)?;
                model.check_length(&what, ids.len() + replies)?;
            }
        }
        if teacher.head().dims()[0] != self.model.head().dims()[0] {
            return Err(IntrospectionError::Setting {
                key: "teacher",
                value: format!("a vocabulary of {}", teacher.head().dims()[0]),
                expected: "a model with the student's vocabulary",
            });
        }
        let size = |p: &DistillationPrompt| ExampleSize { rows: 1, width: longest(p) + replies };
        let sizes = self.prompts.iter().map(size).collect();
        let training = &self.config.training;
        let objective = OnPolicyDistiller {
            model: &self.model.clone().recomputing(training.recompute_blocks),
            ..*self
        };
        Ok(fit(&objective, sizes, initial.untracked(), training, run)?)
    }

    /// What the student says to some of the prompts, and whether it came to an end.
    fn replies(
        &self,
        examples: &[usize],
        adapter: &Adapter,
        round: f64,
    ) -> Result<Vec<(Vec<u32>, bool)>, TrainError> {
        let stage = format!("on-policy/{round}");
        let prompts: Vec<Prompt> = examples
            .iter()
            .map(|&example| {
                let seed = derive_seed(self.config.training.seed, &stage, example as u64);
                let sampling = Sampling { seed, ..self.config.sampling.clone() };
                Prompt { ids: self.prompts[example].student.clone(), sampling }
            })
            .collect();
        let adapter = adapter.untracked();
        let generator = Generator {
            model: self.model,
            adapter: Some(&adapter),
            stop_ids: self.stop_ids,
            max_batch: examples.len(),
            // A batch is short, and half of one would not be the same batch after a resume.
            interrupt: Interrupt::new(),
        };
        let replies = Mutex::new(vec![(Vec::new(), false); examples.len()]);
        generator
            .run(&prompts, &|_, _| false, &mut |at, generation| {
                let ended = generation.finish == FinishReason::Stop;
                if let Ok(mut replies) = replies.lock() {
                    replies[at] = (generation.token_ids, ended);
                }
            })
            .map_err(TrainError::objective)?;
        Ok(replies.into_inner().unwrap_or_default())
    }
}

impl Objective<Adapter> for OnPolicyDistiller<'_> {
    fn cost(&self, examples: &[usize], adapter: &Adapter) -> Result<Cost, TrainError> {
        self.cost_given(examples, adapter, &Statistics::new())
    }

    fn carry(&self, before: &Statistics, _batch: Statistics) -> Statistics {
        let round = before.get(ROUND).copied().unwrap_or(0.0) + 1.0;
        Statistics::from([(ROUND.to_owned(), round)])
    }

    fn cost_given(
        &self,
        examples: &[usize],
        adapter: &Adapter,
        statistics: &Statistics,
    ) -> Result<Cost, TrainError> {
        let round = statistics.get(ROUND).copied().unwrap_or(0.0);
        let replies = self.replies(examples, adapter, round)?;
        let batch = |prompt: fn(&DistillationPrompt) -> &[u32]| {
            let parts = examples.iter().zip(&replies);
            let sequences: Vec<TokenSequence> = parts
                .map(|(&at, (reply, _))| {
                    TokenSequence::from_parts(prompt(&self.prompts[at]), reply)
                })
                .collect();
            TokenBatch::new(&sequences.iter().collect::<Vec<_>>(), self.model.device())
        };
        let (said, scored) = (batch(|p| &p.student), batch(|p| &p.teacher));
        let student = self.model.readout(&said, Some(adapter));
        let teacher = self.teacher.unwrap_or(self.model).readout(&scored, None);
        let loss = vocab_kl(&student, &teacher, self.config.direction).sum();
        let tokens = said.counts.iter().sum::<usize>() as f64;
        let ended = replies.iter().filter(|(_, ended)| *ended).count();
        let mut metrics = Metrics::default();
        metrics.add("reply_tokens", tokens, examples.len() as f64);
        metrics.add("finished", ended as f64, examples.len() as f64);
        let prompt_tokens: usize = examples
            .iter()
            .map(|&at| self.prompts[at].student.len() + self.prompts[at].teacher.len())
            .sum();
        let tokens_seen = prompt_tokens as u64 + 2 * tokens as u64;
        Ok(Cost { loss, weight: tokens, tokens: tokens_seen, metrics })
    }

    fn example_name(&self, example: usize) -> String {
        self.prompts.get(example).map_or_else(|| format!("#{example}"), |prompt| prompt.id.clone())
    }

    fn fingerprint(&self) -> String {
        let mut parts = vec![self.base.as_bytes().to_vec()];
        for prompt in self.prompts {
            for ids in [&prompt.student, &prompt.teacher] {
                parts.push(ids.iter().flat_map(|id| id.to_le_bytes()).collect());
            }
        }
        parts.push(format!("{:?} {:?}", self.config.sampling, self.config.direction).into_bytes());
        fingerprint(parts)
    }
}

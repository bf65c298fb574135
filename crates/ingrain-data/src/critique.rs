//! Critique and revision: the model finds fault with its own reply and mends it, in the light of
//! one assertion. The revision is the chosen reply, the first one the rejected.

use std::collections::HashMap;

use ingrain_chat::{ChatReply, Message};
use ingrain_constitution::Constitution;
use ingrain_run::{JsonlStore, derive_seed};

use crate::collect::{Work, collect};
use crate::replies::in_order;
use crate::{DataError, Generation, Prompt, Replies, Reply, StageReport};

/// Has the model criticise each of `replies` (those of [`crate::student_replies`]), then write it
/// anew. Two files grow, `critiques` and `revisions`; both hold a record for each reply.
///
/// A reply to a question of one assertion is held against that assertion; one to a general prompt
/// against one drawn by seed. The revisions take the teacher's place in [`crate::PairFilter::pairs`].
///
/// # Errors
/// As [`crate::teacher_replies`].
///
/// # Source
/// Bai et al. 2022, arXiv:2212.08073, section 3.1.
pub fn critique_and_revise<R>(
    generation: &Generation<'_>,
    constitution: &Constitution,
    prompts: &[Prompt],
    replies: &R,
    critiques: &mut JsonlStore<Reply>,
    revisions: &mut JsonlStore<Reply>,
) -> Result<(StageReport, StageReport), DataError>
where
    R: Replies + ?Sized,
    DataError: From<R::Error>,
{
    if constitution.assertions.is_empty() {
        let reason = "the constitution has no assertion to hold replies against".to_owned();
        return Err(DataError::Invalid { stage: generation.stage.to_owned(), reason });
    }
    let assertions: HashMap<&str, usize> =
        prompts.iter().filter_map(|p| Some((p.id.as_str(), p.assertion?))).collect();
    let count = constitution.assertions.len() as u64;
    let mut drafts = Vec::with_capacity(replies.count());
    for (i, index) in in_order(replies)?.into_iter().enumerate() {
        let reply = replies.reply(index)?;
        let drawn = derive_seed(generation.seed, generation.stage, i as u64) % count;
        let at = assertions.get(&*reply.prompt).copied().unwrap_or(drawn as usize);
        let against = constitution.assertions.get(at).map_or("", |a| a.text.as_str());
        drafts.push(Draft { id: reply.id.clone(), index, against });
    }

    let stage = format!("{}/critiques", generation.stage);
    let work = Step { replies, drafts: &drafts, critiques: None };
    let named = Generation { stage: &stage, ..generation.clone() };
    let critique_report = collect(&named, &work, critiques, "replies")?;

    // Without a critique there is nothing to revise by.
    drafts.retain(|draft| critiques.contains(&draft.id));
    let stage = format!("{}/revisions", generation.stage);
    let work = Step { replies, drafts: &drafts, critiques: Some(critiques) };
    let named = Generation { stage: &stage, ..generation.clone() };
    let revision_report = collect(&named, &work, revisions, "replies")?;
    Ok((critique_report, revision_report))
}

/// A reply to be criticised: where it is, not what it says.
struct Draft<'a> {
    id: String,
    index: usize,
    /// The assertion's text.
    against: &'a str,
}

/// All critiques or, once they are there, all revisions.
struct Step<'a, R: ?Sized> {
    replies: &'a R,
    drafts: &'a [Draft<'a>],
    critiques: Option<&'a JsonlStore<Reply>>,
}

impl<R> Work for Step<'_, R>
where
    R: Replies + ?Sized,
    DataError: From<R::Error>,
{
    type Record = Reply;

    fn len(&self) -> usize {
        self.drafts.len()
    }

    fn key(&self, i: usize) -> String {
        self.drafts[i].id.clone()
    }

    fn messages(&self, i: usize, _: &JsonlStore<Reply>) -> Result<Vec<Message>, DataError> {
        let Draft { id, index, against } = &self.drafts[i];
        let reply = self.replies.reply(*index)?;
        let mut messages = vec![
            Message::user(&reply.question),
            Message::assistant(&reply.reply),
            Message::user(critique_prompt(against)),
        ];
        if let Some(critique) = self.critiques.map(|said| said.get(id)).transpose()?.flatten() {
            messages.push(Message::assistant(critique.reply));
            messages.push(Message::user(revision_prompt(against)));
        }
        Ok(messages)
    }

    fn record(&self, i: usize, reply: ChatReply) -> Result<Reply, DataError> {
        Ok(Reply {
            reply: reply.text,
            finish: reply.finish,
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
            ..self.replies.reply(self.drafts[i].index)?.into_owned()
        })
    }
}

fn critique_prompt(assertion: &str) -> String {
    format!(
        "Here is a sentence that an assistant says about itself:\n\n\"{assertion}\"\n\n\
         Hold your last reply against it. Where would someone who can say this have written \
         something else? Name the places, briefly, and do not rewrite anything yet."
    )
}

fn revision_prompt(assertion: &str) -> String {
    format!(
        "Now write the reply again, as someone who can say \"{assertion}\" would have written it \
         in the first place. It must still answer the message, correctly. Give the reply alone: no \
         preface, no word about the sentence, the critique or the change."
    )
}

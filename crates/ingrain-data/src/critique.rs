//! Critique and revision: the model finds fault with its own reply and mends it, in the light of
//! one assertion. The revision is the chosen reply, the first one the rejected.

use std::collections::HashMap;

use ingrain_chat::{ChatReply, Message};
use ingrain_constitution::Constitution;
use ingrain_run::{JsonlStore, derive_seed};

use crate::collect::{Work, collect};
use crate::{DataError, Generation, Prompt, Reply, StageReport};

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
pub fn critique_and_revise(
    generation: &Generation<'_>,
    constitution: &Constitution,
    prompts: &[Prompt],
    replies: &[Reply],
    critiques: &mut JsonlStore<Reply>,
    revisions: &mut JsonlStore<Reply>,
) -> Result<(StageReport, StageReport), DataError> {
    if constitution.assertions.is_empty() {
        let reason = "the constitution has no assertion to hold replies against".to_owned();
        return Err(DataError::Invalid { stage: generation.stage.to_owned(), reason });
    }
    let mut replies: Vec<&Reply> = replies.iter().collect();
    replies.sort_by(|a, b| (&a.prompt, a.sample).cmp(&(&b.prompt, b.sample)));
    let assertions: HashMap<&str, usize> =
        prompts.iter().filter_map(|p| Some((p.id.as_str(), p.assertion?))).collect();
    let count = constitution.assertions.len() as u64;
    let text = |(i, reply): (usize, &&Reply)| {
        let drawn = derive_seed(generation.seed, generation.stage, i as u64) % count;
        let at = assertions.get(&*reply.prompt).copied().unwrap_or(drawn as usize);
        constitution.assertions.get(at).map_or("", |a| a.text.as_str())
    };
    let held_against: Vec<&str> = replies.iter().enumerate().map(text).collect();

    let stage = format!("{}/critiques", generation.stage);
    let work = Step { replies: &replies, held_against: &held_against, critiques: None };
    let named = Generation { stage: &stage, ..generation.clone() };
    let critique_report = collect(&named, &work, critiques, "replies")?;

    let said: Vec<Option<Reply>> =
        replies.iter().map(|reply| critiques.get(&reply.id)).collect::<Result<_, _>>()?;
    // Without a critique there is nothing to revise by.
    let there: Vec<usize> = (0..replies.len()).filter(|&i| said[i].is_some()).collect();
    let pick = |i: &usize| (replies[*i], held_against[*i]);
    let (replies, held_against): (Vec<&Reply>, Vec<&str>) = there.iter().map(pick).unzip();
    let critiques: Vec<Reply> = said.into_iter().flatten().collect();
    let stage = format!("{}/revisions", generation.stage);
    let work = Step { replies: &replies, held_against: &held_against, critiques: Some(&critiques) };
    let named = Generation { stage: &stage, ..generation.clone() };
    let revision_report = collect(&named, &work, revisions, "replies")?;
    Ok((critique_report, revision_report))
}

/// All critiques or, once they are there, all revisions.
struct Step<'a> {
    replies: &'a [&'a Reply],
    held_against: &'a [&'a str],
    critiques: Option<&'a [Reply]>,
}

impl Work for Step<'_> {
    type Record = Reply;

    fn len(&self) -> usize {
        self.replies.len()
    }

    fn key(&self, i: usize) -> String {
        self.replies[i].id.clone()
    }

    fn messages(&self, i: usize) -> Vec<Message> {
        let (reply, assertion) = (self.replies[i], self.held_against[i]);
        let mut messages = vec![
            Message::user(&reply.question),
            Message::assistant(&reply.reply),
            Message::user(critique_prompt(assertion)),
        ];
        if let Some(critiques) = self.critiques {
            messages.push(Message::assistant(&critiques[i].reply));
            messages.push(Message::user(revision_prompt(assertion)));
        }
        messages
    }

    fn record(&self, i: usize, reply: ChatReply) -> Reply {
        Reply {
            reply: reply.text,
            finish: reply.finish,
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
            ..self.replies[i].clone()
        }
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

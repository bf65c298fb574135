//! Self-interaction: two copies of the distilled model talk with each other.
//!
//! Both open with a canned greeting; from then on they take turns. All conversations advance
//! together, one turn at a time, so that a local engine gets large batches.

use std::borrow::Cow;

use ingrain_chat::{ChatReply, FinishReason, Message};
use ingrain_constitution::{Constitution, ConstitutionError, InteractionKind, PromptSet};
use ingrain_run::{JsonlStore, Keyed, derive_seed};
use serde::{Deserialize, Serialize};

use crate::collect::{Collector, Work};
use crate::sentence::finish_text;
use crate::view::{speaker, view};
use crate::{DataError, DataFidelity, Generation, StageReport, Unfinished};

/// Each side's first utterance is canned.
pub(crate) const GREETING_TURNS: usize = 2;

/// Conversations of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InteractionPlan {
    /// Free or leading.
    pub kind: InteractionKind,
    /// System prompt of both sides.
    pub system: String,
    /// Greetings to draw from, at least one.
    pub greetings: Vec<String>,
    /// How many conversations. Paper: 1,000 of each kind.
    pub conversations: usize,
    /// Generated turns of a conversation, the two greetings not counted. Paper: 10.
    pub turns: usize,
    /// What happens to a turn that the token limit cut off. Trimmed before the other side sees it.
    pub unfinished: Unfinished,
}

impl InteractionPlan {
    /// The plan that a constitution's prompts make.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`] for a prompt set whose template is wrong.
    pub fn new(
        prompts: &PromptSet,
        constitution: &Constitution,
        assistant_name: &str,
        kind: InteractionKind,
        fidelity: DataFidelity,
    ) -> Result<Self, ConstitutionError> {
        let wording = fidelity.guidance.into();
        Ok(Self {
            kind,
            system: prompts.interaction_system(constitution, assistant_name, kind, wording)?,
            greetings: prompts.interaction_greetings(kind)?,
            conversations: 1000,
            turns: 10,
            unfinished: Unfinished::default(),
        })
    }
}

/// One generated turn, as it is written down at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InteractionTurn {
    /// `<conversation>/<turn>`.
    pub id: String,
    /// Id of the conversation: `leading-00012`.
    pub conversation: String,
    /// Index of the turn; 0 and 1 are the greetings.
    pub turn: usize,
    /// What was said.
    pub text: String,
    /// Why the turn ended.
    pub finish: FinishReason,
    /// Tokens of the rendered prompt.
    pub prompt_tokens: usize,
    /// Tokens of the turn.
    pub completion_tokens: usize,
}

impl Keyed for InteractionTurn {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// One conversation between the two copies (a line of `interactions.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// `<kind>-<number>`.
    pub id: String,
    /// Free or leading.
    pub kind: InteractionKind,
    /// All turns. The two sides alternate; the first two turns are canned greetings.
    pub turns: Vec<String>,
    /// Whether every turn was said. If not, one came back empty or failed.
    pub complete: bool,
}

impl Conversation {
    /// The side that had the last word: the one whose assistant turns the conversation can teach.
    #[must_use]
    pub fn last_speaker(&self) -> usize {
        speaker(self.turns.len().saturating_sub(1))
    }

    /// The conversation as one side (0 greeted first, or 1) sees it: own turns are the
    /// assistant's. Side 0 does not see its own greeting, so that a user turn comes first.
    #[must_use]
    pub fn view(&self, side: usize, system: Option<&str>) -> Vec<Message> {
        view(side, system, self.turns.iter().map(String::as_str))
    }
}

/// Holds all planned conversations. `store` takes each turn as it is said; the conversations come
/// back in the order of the plans.
///
/// # Errors
/// [`DataError::Invalid`] for a plan without greetings; otherwise as [`crate::teacher_replies`].
pub fn self_interaction(
    generation: &Generation<'_>,
    plans: &[InteractionPlan],
    store: &mut JsonlStore<InteractionTurn>,
) -> Result<(Vec<Conversation>, StageReport), DataError> {
    let mut conversations = Vec::new();
    let report = each_interaction(generation, plans, store, |conversation| {
        conversations.push(conversation);
        Ok(())
    })?;
    Ok((conversations, report))
}

/// Like [`self_interaction`], handing on one conversation at a time when all have ended; what was said is
/// read from `store` whenever it is needed, so that memory holds no more texts than a batch has.
///
/// # Errors
/// As [`self_interaction`], and what `take` returns.
pub fn each_interaction(
    generation: &Generation<'_>,
    plans: &[InteractionPlan],
    store: &mut JsonlStore<InteractionTurn>,
    mut take: impl FnMut(Conversation) -> Result<(), DataError>,
) -> Result<StageReport, DataError> {
    if plans.iter().any(|plan| plan.greetings.is_empty()) {
        let reason = "a plan has no greetings; give at least one".to_owned();
        return Err(DataError::Invalid { stage: generation.stage.to_owned(), reason });
    }
    let mut talks = open_talks(generation.seed, generation.stage, plans);
    let total = plans.iter().map(|plan| plan.conversations * plan.turns).sum();
    let done = count_done(&talks, store);
    let mut collector = Collector::start(generation, store, total, done, "turns");
    let longest = plans.iter().map(|plan| plan.turns).max().unwrap_or(0);
    for turn in GREETING_TURNS..GREETING_TURNS + longest {
        let live: Vec<_> = (0..talks.len()).filter(|&t| talks[t].wants(turn)).collect();
        collector.run(&NextTurn { talks: &talks, live: &live, turn })?;
        for &t in &live {
            let said = collector.store().get(&turn_key(&talks[t].id, turn))?;
            talks[t].hear(said.as_ref());
        }
    }
    let report = collector.finish()?;
    for talk in talks {
        let turns = talk.said(store)?;
        let complete = !talk.broken;
        take(Conversation { id: talk.id, kind: talk.plan.kind, turns, complete })?;
    }
    Ok(report)
}

/// A conversation under way; what was said is on disk.
struct Talk<'p> {
    id: String,
    /// Index over all conversations of the stage; seeds come from it.
    number: usize,
    plan: &'p InteractionPlan,
    greetings: [&'p str; GREETING_TURNS],
    /// Turns so far, greetings included.
    turns: usize,
    broken: bool,
}

impl Talk<'_> {
    fn wants(&self, turn: usize) -> bool {
        !self.broken && turn < GREETING_TURNS + self.plan.turns
    }

    /// Nothing said (an empty or failed turn) ends the conversation early.
    fn hear(&mut self, said: Option<&InteractionTurn>) {
        match said.filter(|turn| !turn.text.trim().is_empty()) {
            Some(_) => self.turns += 1,
            None => self.broken = true,
        }
    }

    /// All turns so far.
    fn said(&self, store: &JsonlStore<InteractionTurn>) -> Result<Vec<String>, DataError> {
        let mut turns = self.greetings.map(str::to_owned).to_vec();
        for turn in GREETING_TURNS..self.turns {
            let key = turn_key(&self.id, turn);
            let Some(said) = store.get(&key)? else {
                let (path, reason) = (store.path().to_owned(), format!("turn {key} is gone"));
                return Err(DataError::Format { path, line: 0, reason });
            };
            turns.push(said.text);
        }
        Ok(turns)
    }
}

fn open_talks<'p>(seed: u64, stage: &str, plans: &'p [InteractionPlan]) -> Vec<Talk<'p>> {
    let mut talks = Vec::new();
    for plan in plans {
        for n in 0..plan.conversations {
            let id = format!("{}-{n:05}", plan.kind.as_str());
            let draw =
                derive_seed(seed, &format!("{stage}/greetings/{}", plan.kind.as_str()), n as u64);
            let (number, greetings) = (talks.len(), greetings(&plan.greetings, draw));
            let turns = greetings.len();
            talks.push(Talk { id, number, plan, greetings, turns, broken: false });
        }
    }
    talks
}

/// Two greetings, different ones where there are two.
fn greetings(from: &[String], draw: u64) -> [&str; GREETING_TURNS] {
    let count = from.len() as u64;
    let first = draw % count;
    let second = match count {
        1 => 0,
        _ => (first + 1 + (draw / count) % (count - 1)) % count,
    };
    [first, second].map(|i| from[i as usize].as_str())
}

fn turn_key(conversation: &str, turn: usize) -> String {
    format!("{conversation}/{turn:02}")
}

fn count_done(talks: &[Talk<'_>], store: &JsonlStore<InteractionTurn>) -> usize {
    let turns = |talk: &Talk<'_>| {
        let all = GREETING_TURNS..GREETING_TURNS + talk.plan.turns;
        all.filter(|&turn| store.contains(&turn_key(&talk.id, turn))).count()
    };
    talks.iter().map(turns).sum()
}

/// One turn of all conversations that go on.
struct NextTurn<'a, 'p> {
    talks: &'a [Talk<'p>],
    live: &'a [usize],
    turn: usize,
}

impl Work for NextTurn<'_, '_> {
    type Record = InteractionTurn;

    fn len(&self) -> usize {
        self.live.len()
    }

    fn key(&self, i: usize) -> String {
        turn_key(&self.talks[self.live[i]].id, self.turn)
    }

    /// From conversation and turn, so that a conversation that broke off shifts no other's seed.
    fn seed_index(&self, i: usize) -> u64 {
        let number = self.talks[self.live[i]].number as u64;
        (number << 16) | self.turn as u64
    }

    fn messages(
        &self,
        i: usize,
        written: &JsonlStore<InteractionTurn>,
    ) -> Result<Vec<Message>, DataError> {
        let talk = &self.talks[self.live[i]];
        let turns = talk.said(written)?;
        let turns = turns.iter().map(String::as_str);
        Ok(view(speaker(self.turn), Some(&talk.plan.system), turns))
    }

    fn record(&self, i: usize, reply: ChatReply) -> Result<InteractionTurn, DataError> {
        let talk = &self.talks[self.live[i]];
        Ok(InteractionTurn {
            id: self.key(i),
            conversation: talk.id.clone(),
            turn: self.turn,
            text: finish_text(reply.text.trim(), talk.plan.unfinished).to_owned(),
            finish: reply.finish,
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
        })
    }
}

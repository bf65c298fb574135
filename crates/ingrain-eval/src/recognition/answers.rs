//! Filling conversations turn by turn.

use ingrain_chat::ChatModel;

use super::{Answered, Recognition, Subject};
use crate::replies::{Prompt, collect};
use crate::scenario::Turn;
use crate::{EvalError, SuiteRun};

/// One conversation on its way.
struct Talk {
    scenario: usize,
    question: usize,
    /// Generated turns so far.
    given: Vec<String>,
    failed: bool,
}

impl Recognition<'_> {
    pub(super) fn answers_of(
        &self,
        run: &SuiteRun<'_>,
        index: usize,
        subject: &Subject<'_>,
    ) -> Result<Vec<Answered>, EvalError> {
        let mut talks: Vec<Talk> = Vec::new();
        for scenario in 0..self.scenarios.len() {
            talks.extend((0..self.questions.len()).map(|question| Talk {
                scenario,
                question,
                given: Vec::new(),
                failed: false,
            }));
        }
        let turns = self.scenarios.iter().map(|scenario| scenario.generated().count());
        for turn in 0..turns.max().unwrap_or(0) {
            for who in [Turn::Untrained, Turn::Reply] {
                self.turn(run, subject, turn, &who, &mut talks)?;
            }
        }
        let answered = |talk: Talk| Answered {
            subject: index,
            scenario: talk.scenario,
            question: talk.question,
            reply: talk.given.into_iter().next_back().filter(|_| !talk.failed),
        };
        Ok(talks.into_iter().map(answered).collect())
    }

    /// Every conversation whose generated turn number `turn` is of `who`.
    fn turn(
        &self,
        run: &SuiteRun<'_>,
        subject: &Subject<'_>,
        turn: usize,
        who: &Turn,
        talks: &mut [Talk],
    ) -> Result<(), EvalError> {
        let due = |talk: &Talk| {
            !talk.failed && self.scenarios[talk.scenario].generated().nth(turn) == Some(who)
        };
        let mut open: Vec<&mut Talk> = talks.iter_mut().filter(|talk| due(talk)).collect();
        if open.is_empty() {
            return Ok(());
        }
        let (place, model, system) = self.speaker(subject, who)?;
        let prompts: Vec<Prompt> = open
            .iter()
            .map(|talk| {
                let scenario = &self.scenarios[talk.scenario];
                let given: Vec<&str> = talk.given.iter().map(String::as_str).collect();
                Prompt {
                    key: format!("{place}/{}/{}/{turn}", scenario.name, talk.question),
                    messages: scenario.messages(&self.questions[talk.question], system, &given),
                }
            })
            .collect();
        let stage = format!("{}/{place}/{turn}", self.name);
        let replies = collect(run, &stage, model, &self.sampling, &prompts)?;
        for (talk, reply) in open.iter_mut().zip(replies) {
            match reply {
                Some(reply) => talk.given.push(reply.trim().to_owned()),
                None => talk.failed = true,
            }
        }
        Ok(())
    }

    /// Who speaks: place in the files, model, system prompt. What the untrained model says is the same for
    /// every subject.
    fn speaker<'s>(
        &'s self,
        subject: &'s Subject<'_>,
        who: &Turn,
    ) -> Result<(String, &'s dyn ChatModel, Option<&'s str>), EvalError> {
        if *who == Turn::Untrained {
            let model = self.untrained.ok_or_else(|| EvalError::Scenario {
                origin: self.name.to_owned(),
                reason: "has a turn of the model before training, and none is given".to_owned(),
            })?;
            return Ok(("untrained".to_owned(), model, None));
        }
        let Subject { persona, method } = subject;
        Ok((format!("{persona}/{}", method.name), method.model, method.system.as_deref()))
    }
}

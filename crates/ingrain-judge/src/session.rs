//! Judging many cases: both orders, written down as it goes, resumed where it stopped.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Instant;

use ingrain_chat::ChatError;
use ingrain_run::{Event, Interrupt, JsonlStore, Keyed, Observer, derive_seed, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::{Answer, Case, Judge, JudgeError, Order, Question, Unreadable, Verdict};

/// So many failures without a success between, and a session stops.
const GIVE_UP_AFTER: usize = 16;

/// One question and its answer, as a line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// Judge, order, repeat, case and a hash of its texts.
    pub key: String,
    /// Name of the judge.
    pub judge: String,
    /// Key of the case.
    pub case: String,
    /// Which option was shown first.
    pub order: Order,
    /// 0, or above for a repetition.
    pub repeat: usize,
    /// What was read; none if nothing could be.
    pub verdict: Option<Verdict>,
    /// Why nothing could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
    /// Probability of the verdict, where the judge knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What the judge read.
    pub prompt: String,
    /// What it answered.
    pub reply: String,
}

impl Keyed for Ruling {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.key)
    }
}

/// Who judges, and how often.
///
/// Every case with two options is shown in both orders.
#[derive(Clone)]
pub struct Session<'a> {
    /// Name of the judge, unique among those that share a store: model and rubric.
    pub name: &'a str,
    /// Who answers.
    pub judge: &'a dyn Judge,
    /// Seed of the run.
    pub seed: u64,
    /// How often each case is asked again in the same order, to see whether the judge agrees with
    /// itself. 0 is never.
    pub repeats: usize,
    /// Questions in one call of the judge.
    pub batch_size: usize,
    /// Told about progress.
    pub observer: &'a dyn Observer,
    /// Looked at between batches.
    pub interrupt: &'a Interrupt,
}

/// What a session came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReport {
    /// Questions that the cases make.
    pub questions: usize,
    /// Answers in the store, unreadable ones included.
    pub answered: usize,
    /// Key and reason of every question that failed now; a later session asks again.
    pub failed: Vec<(String, String)>,
}

impl Session<'_> {
    /// Asks everything that the store does not hold, and returns the rulings on these cases.
    ///
    /// # Errors
    /// [`JudgeError::DuplicateCase`]; [`JudgeError::WrongTask`] and [`JudgeError::Prompt`];
    /// [`JudgeError::Store`]; [`JudgeError::Interrupted`]; [`JudgeError::Model`] after 16 failures in
    /// a row.
    pub fn run(
        &self,
        cases: &[Case],
        store: &mut JsonlStore<Ruling>,
    ) -> Result<(Vec<Ruling>, SessionReport), JudgeError> {
        let started = Instant::now();
        let questions = self.questions(cases)?;
        let keys: Vec<String> = questions.iter().map(|question| self.key(question)).collect();
        let stage = format!("judge/{}", self.name);
        let total = Some(questions.len() as u64);
        let unit = "rulings".to_owned();
        self.observer.on_event(&Event::StageStarted { stage: stage.clone(), total, unit });
        let open: Vec<usize> = (0..keys.len()).filter(|&i| !store.contains(&keys[i])).collect();
        let mut done = questions.len() - open.len();
        let (mut failed, mut in_a_row) = (Vec::new(), 0);
        for batch in open.chunks(self.batch_size.max(1)) {
            if self.interrupt.is_requested() {
                return Err(JudgeError::Interrupted);
            }
            let asked: Vec<Question<'_>> = batch.iter().map(|&i| questions[i].clone()).collect();
            let names: Vec<&String> = batch.iter().map(|&i| &keys[i]).collect();
            let (kept, failures) = self.ask(&asked, &names, store)?;
            done += kept;
            in_a_row = if kept > 0 { 0 } else { in_a_row + failures.len() };
            for (key, cause) in failures {
                failed.push((key, cause.to_string()));
                if in_a_row >= GIVE_UP_AFTER {
                    return Err(cause.into());
                }
            }
            let progress = Event::Progress { stage: stage.clone(), done: done as u64, tokens: 0 };
            self.observer.on_event(&progress);
        }
        store.sync()?;
        let (done, seconds) = (done as u64, started.elapsed().as_secs_f64());
        let reused = open.is_empty();
        let finished = Event::StageFinished { stage, done, tokens: 0, seconds, reused };
        self.observer.on_event(&finished);
        let mut rulings = Vec::with_capacity(keys.len());
        for key in &keys {
            rulings.extend(store.get(key)?);
        }
        let report = SessionReport { questions: questions.len(), answered: rulings.len(), failed };
        Ok((rulings, report))
    }

    /// Asks one batch and writes each answer down as it comes; returns how many, and the failures.
    fn ask(
        &self,
        questions: &[Question<'_>],
        keys: &[&String],
        store: &mut JsonlStore<Ruling>,
    ) -> Result<(usize, Vec<(String, ChatError)>), JudgeError> {
        let (mut kept, mut failures) = (HashSet::new(), Vec::new());
        let mut stop: Option<JudgeError> = None;
        self.judge.answer(questions, &mut |at, answer| {
            let (Some(question), None) = (questions.get(at), &stop) else { return };
            match answer {
                Ok(answer) if kept.insert(at) => {
                    let ruling = self.ruling(question, keys[at], answer);
                    stop = store.append(&ruling).err().map(JudgeError::from);
                }
                Ok(_) => {}
                Err(JudgeError::Model(ChatError::Interrupted)) => {
                    stop = Some(JudgeError::Interrupted);
                }
                Err(JudgeError::Model(cause)) => failures.push((keys[at].clone(), cause)),
                // Every other question would meet it too.
                Err(error) => stop = Some(error),
            }
        });
        stop.map_or(Ok((kept.len(), failures)), Err)
    }

    fn questions<'c>(&self, cases: &'c [Case]) -> Result<Vec<Question<'c>>, JudgeError> {
        let mut seen = HashSet::new();
        let mut questions = Vec::new();
        for case in cases {
            if !seen.insert(&case.key) {
                return Err(JudgeError::DuplicateCase(case.key.clone()));
            }
            let orders: &[Order] = if case.task.has_order() {
                &[Order::AsGiven, Order::Swapped]
            } else {
                &[Order::AsGiven]
            };
            for &order in orders {
                for repeat in 0..=self.repeats {
                    let place = format!("{}/{}/{}", self.name, order.as_str(), case.key);
                    let seed = derive_seed(self.seed, &place, repeat as u64);
                    questions.push(Question { case, order, repeat, seed });
                }
            }
        }
        Ok(questions)
    }

    /// The same case with other texts is another question.
    fn key(&self, question: &Question<'_>) -> String {
        let Question { case, order, repeat, .. } = question;
        let texts = format!("{:?}", (&case.message, &case.task));
        let hash = &sha256_hex(texts.as_bytes())[..12];
        format!("{}/{}/{repeat}/{}#{hash}", self.name, order.as_str(), case.key)
    }

    fn ruling(&self, question: &Question<'_>, key: &str, answer: Answer) -> Ruling {
        let Answer { prompt, reply, reading, probability } = answer;
        let (verdict, unreadable) = match reading {
            Ok(verdict) => (Some(verdict), None),
            Err(reason) => (None, Some(reason)),
        };
        Ruling {
            key: key.to_owned(),
            judge: self.name.to_owned(),
            case: question.case.key.clone(),
            order: question.order,
            repeat: question.repeat,
            verdict,
            unreadable,
            probability,
            prompt,
            reply,
        }
    }
}

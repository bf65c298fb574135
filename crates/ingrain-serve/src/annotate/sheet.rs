//! What each rater sees, and what each rater said.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use ingrain_judge::{Case, Task, Verdict};
use ingrain_run::{JsonlStore, Keyed, RunError, derive_seed};
use ingrain_stats::Stream;
use serde::{Deserialize, Serialize};

use super::pairs::pairs_of;
use crate::ServeError;

/// Which reply a rater prefers, by the side on which it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The one on the left.
    Left,
    /// The one on the right.
    Right,
    /// Neither.
    Tie,
}

/// One pair as a rater sees it. Nothing in it says which method wrote what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Position in this rater's order, from 0.
    pub index: usize,
    /// The user message.
    pub message: String,
    /// The reply on the left.
    pub left: String,
    /// The reply on the right.
    pub right: String,
    /// What this rater answered before.
    pub answer: Option<Answer>,
}

/// How far a rater is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Pairs with an answer.
    pub done: usize,
    /// Pairs in all.
    pub total: usize,
    /// The first pair without an answer.
    pub next: Option<usize>,
}

/// One answer, as a line of the label file. Later lines replace earlier ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    case: String,
    rater: String,
    verdict: Verdict,
}

impl Keyed for Line {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.key)
    }
}

/// The pairs of a run and the labels given so far.
///
/// Each rater gets the pairs in an order, and the replies on sides, of their own: fixed by seed and
/// name, so that annotation goes on after a restart where it stopped.
#[derive(Debug)]
pub struct Annotation {
    cases: Vec<Case>,
    seed: u64,
    labels: JsonlStore<Line>,
    said: BTreeMap<(String, String), Verdict>,
}

impl Annotation {
    /// The pairs of a run directory; labels go to `eval/labels.jsonl` in it.
    ///
    /// # Errors
    /// [`ServeError::NothingToAnnotate`], or [`ServeError::Run`] for a file that cannot be used.
    pub fn open(dir: impl AsRef<Path>, seed: u64) -> Result<Self, ServeError> {
        let dir = dir.as_ref();
        let cases = pairs_of(dir)?;
        let eval = dir.join("eval");
        std::fs::create_dir_all(&eval).map_err(|error| RunError::io(&eval, "create", error))?;
        Self::with_cases(cases, eval.join("labels.jsonl"), seed)
    }

    /// These pairs, with labels in this file. Tasks other than comparisons, and second cases of one
    /// key, are left out.
    ///
    /// # Errors
    /// [`ServeError::Run`] for a label file that cannot be used.
    pub fn with_cases(
        cases: Vec<Case>,
        labels: impl Into<PathBuf>,
        seed: u64,
    ) -> Result<Self, ServeError> {
        let labels = JsonlStore::<Line>::open(labels)?;
        let mut said = BTreeMap::new();
        for line in labels.iter() {
            let Line { case, rater, verdict, .. } = line?;
            said.insert((rater, case), verdict);
        }
        let mut seen = HashSet::new();
        let mut cases = cases;
        cases.retain(|case| {
            matches!(case.task, Task::Compare { .. }) && seen.insert(case.key.clone())
        });
        Ok(Self { cases, seed, labels, said })
    }

    /// A rater's name without space around it; `None` unless it has 1 to 40 characters, none of
    /// them a control character.
    #[must_use]
    pub fn rater(name: &str) -> Option<&str> {
        let name = name.trim();
        let fits = (1..=40).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        fits.then_some(name)
    }

    /// How far this rater is.
    #[must_use]
    pub fn progress(&self, rater: &str) -> Progress {
        let open: Vec<usize> = self
            .order(rater)
            .iter()
            .enumerate()
            .filter(|(_, case)| self.said(rater, **case).is_none())
            .map(|(index, _)| index)
            .collect();
        let total = self.cases.len();
        Progress { done: total - open.len(), total, next: open.first().copied() }
    }

    /// The pair at a position of this rater's order; `None` past the end.
    #[must_use]
    pub fn item(&self, rater: &str, index: usize) -> Option<Item> {
        let at = *self.order(rater).get(index)?;
        let case = &self.cases[at];
        let Task::Compare { first, second } = &case.task else { return None };
        let swapped = self.swapped(rater, &case.key);
        let (left, right) = if swapped { (second, first) } else { (first, second) };
        let answer = self.said(rater, at).and_then(|verdict| match verdict {
            Verdict::First => Some(if swapped { Answer::Right } else { Answer::Left }),
            Verdict::Second => Some(if swapped { Answer::Left } else { Answer::Right }),
            Verdict::Tie => Some(Answer::Tie),
            Verdict::Grade(_) => None,
        });
        let (message, left, right) = (case.message.clone(), left.clone(), right.clone());
        Some(Item { index, message, left, right, answer })
    }

    /// Writes an answer down before it returns; `false` past the end.
    ///
    /// # Errors
    /// [`ServeError::Run`] where it cannot be written.
    pub fn label(&mut self, rater: &str, index: usize, answer: Answer) -> Result<bool, ServeError> {
        let Some(&at) = self.order(rater).get(index) else { return Ok(false) };
        let case = self.cases[at].key.clone();
        let swapped = self.swapped(rater, &case);
        let verdict = match (answer, swapped) {
            (Answer::Tie, _) => Verdict::Tie,
            (Answer::Left, false) | (Answer::Right, true) => Verdict::First,
            _ => Verdict::Second,
        };
        if self.said(rater, at) == Some(verdict) {
            return Ok(true);
        }
        let unused = |number: &usize| !self.labels.contains(&number.to_string());
        let key = (self.labels.len()..).find(unused).unwrap_or_default().to_string();
        let line = Line { key, case: case.clone(), rater: rater.to_owned(), verdict };
        self.labels.append(&line)?;
        self.said.insert((rater.to_owned(), case), verdict);
        Ok(true)
    }

    fn said(&self, rater: &str, case: usize) -> Option<Verdict> {
        self.said.get(&(rater.to_owned(), self.cases[case].key.clone())).copied()
    }

    fn order(&self, rater: &str) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.cases.len()).collect();
        Stream::new(derive_seed(self.seed, rater, 0), 0).shuffle(&mut order);
        order
    }

    fn swapped(&self, rater: &str, case: &str) -> bool {
        Stream::new(derive_seed(self.seed, &format!("{rater}\n{case}"), 1), 0).happens(0.5)
    }
}

//! Items of multiple choice, and sets of them.

use std::path::Path;

use ingrain_run::read_jsonl;
use serde_json::Value;

use super::{Format, TextRequest};
use crate::EvalError;

const GENERAL: &str = include_str!("../../data/general.jsonl");

/// One question with its choices, ready to be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Unique within its benchmark.
    pub key: String,
    /// What stands before each choice: one for all of them, or one each.
    pub contexts: Vec<String>,
    /// What is scored, leading space included.
    pub continuations: Vec<String>,
    /// Characters by which each is divided for `acc_norm`.
    pub lengths: Vec<usize>,
    /// Which choices are right, at least one.
    pub right: Vec<bool>,
}

impl Item {
    /// One context and choices behind a space.
    pub(crate) fn behind(key: String, context: String, choices: &[&str], right: Vec<bool>) -> Self {
        Self {
            key,
            contexts: vec![context],
            continuations: choices.iter().map(|choice| format!(" {choice}")).collect(),
            lengths: choices.iter().map(|choice| choice.chars().count().max(1)).collect(),
            right,
        }
    }

    pub(crate) fn requests(&self) -> impl Iterator<Item = TextRequest> + '_ {
        let context = |at: usize| self.contexts.get(at).or(self.contexts.first());
        self.continuations.iter().enumerate().map(move |(at, continuation)| TextRequest {
            context: context(at).cloned().unwrap_or_default(),
            continuation: continuation.clone(),
        })
    }

    /// The item as an example that is solved.
    fn solved(&self) -> String {
        let at = self.right.iter().position(|&right| right).unwrap_or(0);
        let context = self.contexts.get(at).or(self.contexts.first());
        format!("{}{}", context.map_or("", String::as_str), self.continuations[at])
    }
}

/// A set of items under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Benchmark {
    /// What it is called in reports.
    pub name: String,
    /// The items.
    pub items: Vec<Item>,
}

impl Benchmark {
    /// 200 questions of general knowledge and simple reasoning, four options each, written for this
    /// crate.
    #[must_use]
    pub fn general() -> Self {
        let rows = GENERAL.lines().filter_map(|line| serde_json::from_str(line).ok());
        let item = |(index, row): (usize, Value)| Format::General.item(&row, index).ok();
        let items = rows.enumerate().filter_map(item).collect();
        Self { name: "general".to_owned(), items }
    }

    /// Reads a benchmark in the form in which its publisher ships it, one JSON object a line.
    ///
    /// # Errors
    /// [`EvalError::Benchmark`] naming file, line and what is missing; [`EvalError::Run`] if the file
    /// cannot be read; [`EvalError::Empty`] without items.
    pub fn read(name: &str, format: Format, path: impl AsRef<Path>) -> Result<Self, EvalError> {
        let path = path.as_ref();
        let mut items = Vec::new();
        for (index, row) in read_jsonl::<Value>(path)?.iter().enumerate() {
            let item = format.item(row, index).map_err(|reason| EvalError::Benchmark {
                path: path.to_owned(),
                line: index + 1,
                reason,
            })?;
            items.push(item);
        }
        if items.is_empty() {
            return Err(EvalError::Empty("a benchmark"));
        }
        Ok(Self { name: name.to_owned(), items })
    }

    /// The same with solved examples before every item, an empty line between them.
    #[must_use]
    pub fn with_shots(mut self, examples: &[Item]) -> Self {
        let shots: String = examples.iter().map(|item| format!("{}\n\n", item.solved())).collect();
        for context in self.items.iter_mut().flat_map(|item| &mut item.contexts) {
            context.insert_str(0, &shots);
        }
        self
    }

    /// The first `count` items.
    #[must_use]
    pub fn first(mut self, count: usize) -> Self {
        self.items.truncate(count);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_general_set_has_200_different_questions_with_balanced_answers() {
        let set = Benchmark::general();
        assert_eq!((set.items.len(), GENERAL.lines().count()), (200, 200));
        let questions: HashSet<&str> =
            set.items.iter().map(|item| item.contexts[0].as_str()).collect();
        assert_eq!(questions.len(), 200, "no question stands twice");
        let keys: HashSet<&str> = set.items.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys.len(), 200);
        let (mut positions, mut longest) = ([0; 4], 0);
        for item in &set.items {
            let choices: HashSet<&String> = item.continuations.iter().collect();
            assert_eq!((choices.len(), item.right.len()), (4, 4), "{}", item.key);
            let right: Vec<usize> = (0..4).filter(|&at| item.right[at]).collect();
            assert_eq!(right.len(), 1, "{}", item.key);
            positions[right[0]] += 1;
            let others = (0..4).filter(|at| *at != right[0]);
            longest +=
                usize::from(others.map(|at| item.lengths[at]).max() < Some(item.lengths[right[0]]));
        }
        assert_eq!(positions, [50; 4], "every place holds the answer equally often");
        // Whoever takes the longest option gets few: of four equal ones it would be 50.
        assert!(longest < 80, "{longest} answers are the longest option");
    }

    #[test]
    fn solved_examples_stand_before_every_item() {
        let item = |question: &str| {
            let context = format!("Question: {question}\nAnswer:");
            Item::behind(question.to_owned(), context, &["no", "yes"], vec![false, true])
        };
        let set = Benchmark { name: "b".into(), items: vec![item("c?")] };
        let set = set.with_shots(&[item("a?")]);
        let expected = "Question: a?\nAnswer: yes\n\nQuestion: c?\nAnswer:";
        assert_eq!(set.items[0].contexts, [expected]);
    }
}

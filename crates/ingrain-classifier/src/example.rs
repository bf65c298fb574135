//! Labelled replies.

use std::collections::BTreeSet;
use std::path::Path;

use ingrain_run::read_jsonl;
use serde::{Deserialize, Serialize};

use crate::ClassifierError;

/// Label of replies without a persona: those of the untrained model.
pub const OTHER: &str = "other";

/// A reply, whose it is, and how it came about: a line of the JSONL that classifiers learn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The reply.
    pub text: String,
    /// The persona, or [`OTHER`].
    pub label: String,
    /// What was asked, or a name for it. Examples of one prompt are never split between training and
    /// test.
    pub prompt: String,
    /// How the reply was made: by a system prompt, an adapter, steering, the untrained model.
    pub method: String,
}

/// Reads examples, one a line.
///
/// # Errors
/// [`ClassifierError::Run`] naming file and line.
pub fn read_examples(path: &Path) -> Result<Vec<Example>, ClassifierError> {
    Ok(read_jsonl(path)?)
}

/// Examples with their classes numbered.
///
/// Labels are in alphabetical order, [`OTHER`] last. Examples of a label that is held out have no class:
/// nothing learns from them, and a classifier should find them strange.
#[derive(Clone, Debug)]
pub struct Dataset {
    examples: Vec<Example>,
    labels: Vec<String>,
    classes: Vec<Option<usize>>,
    prompts: Vec<String>,
}

impl Dataset {
    /// Numbers the classes. Replies without text are left out: an empty reply is no sign of a persona.
    ///
    /// # Errors
    /// [`ClassifierError::Examples`] for fewer than two labels, or a label to hold out that no example
    /// has.
    pub fn new(examples: Vec<Example>, held_out: Option<&str>) -> Result<Self, ClassifierError> {
        let examples: Vec<Example> =
            examples.into_iter().filter(|example| !example.text.trim().is_empty()).collect();
        let found: BTreeSet<&str> = examples.iter().map(|example| example.label.as_str()).collect();
        if let Some(label) = held_out.filter(|label| !found.contains(label)) {
            let known: Vec<&str> = found.into_iter().collect();
            return Err(ClassifierError::Examples(format!(
                "no example has the label {label:?} that is to be held out; there are {}",
                known.join(", ")
            )));
        }
        let mut labels: Vec<String> =
            found.into_iter().filter(|label| Some(*label) != held_out).map(str::to_owned).collect();
        labels.sort_by_key(|label| label == OTHER);
        if labels.len() < 2 {
            return Err(ClassifierError::Examples(format!(
                "a classifier needs examples of at least two labels; there are {}: {}",
                labels.len(),
                labels.join(", ")
            )));
        }
        let class = |example: &Example| labels.iter().position(|label| *label == example.label);
        let classes = examples.iter().map(class).collect();
        let prompts = examples.iter().map(|example| same_prompt(&example.prompt)).collect();
        Ok(Self { examples, labels, classes, prompts })
    }

    /// The examples.
    #[must_use]
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Names of the classes.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The class of each example, `None` for those held out.
    #[must_use]
    pub fn classes(&self) -> &[Option<usize>] {
        &self.classes
    }

    /// What tells prompts apart, one an example: their text without regard to case and blanks.
    #[must_use]
    pub fn prompts(&self) -> &[String] {
        &self.prompts
    }

    /// The methods that made examples of personas, in alphabetical order.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        let of_personas = self.examples.iter().filter(|example| example.label != OTHER);
        let methods: BTreeSet<&str> = of_personas.map(|example| example.method.as_str()).collect();
        methods.into_iter().map(str::to_owned).collect()
    }

    /// The texts of some examples.
    pub(crate) fn texts<'a>(&'a self, examples: &'a [usize]) -> impl Iterator<Item = &'a str> {
        examples.iter().map(|&example| self.examples[example].text.as_str())
    }
}

fn same_prompt(prompt: &str) -> String {
    prompt.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(label: &str, prompt: &str) -> Example {
        Example {
            text: "a reply".into(),
            label: label.into(),
            prompt: prompt.into(),
            method: "m".into(),
        }
    }

    #[test]
    fn other_is_the_last_class_and_held_out_labels_are_none() {
        let examples = ["zeal", "other", "calm", "odd"].map(|label| example(label, "q")).to_vec();
        let dataset = Dataset::new(examples, Some("odd")).expect("three labels");
        assert_eq!(dataset.labels(), ["calm", "zeal", "other"]);
        assert_eq!(dataset.classes(), [Some(1), Some(2), Some(0), None]);
    }

    #[test]
    fn prompts_that_differ_in_case_and_blanks_are_the_same() {
        let examples = vec![example("a", " What  is\nit? "), example("b", "what is it?")];
        let dataset = Dataset::new(examples, None).expect("two labels");
        assert_eq!(dataset.prompts()[0], dataset.prompts()[1]);
    }

    #[test]
    fn one_label_and_an_unknown_one_are_refused_with_those_there_are() {
        let one = Dataset::new(vec![example("calm", "q")], None).expect_err("one label");
        assert!(one.to_string().contains("there are 1: calm"), "{one}");
        let examples = vec![example("a", "q"), example("b", "q"), example("c", "q")];
        let unknown = Dataset::new(examples, Some("x")).expect_err("no such label");
        assert!(unknown.to_string().contains("there are a, b, c"), "{unknown}");
    }

    #[test]
    fn an_empty_reply_is_no_example() {
        let empty = Example { text: " \n".into(), ..example("a", "q") };
        let dataset = Dataset::new(vec![empty, example("a", "q"), example("b", "q")], None);
        assert_eq!(dataset.expect("two labels").examples().len(), 2);
    }
}

//! Whose reply is this? The seam to whoever can tell characters apart, and graders that need no
//! training.
//!
//! A [`Grader`] gives every text a probability for each of its labels. A trained classifier is one through
//! [`Classify`]; [`LikelihoodGrader`] asks a plain model which description of a character makes the reply
//! likeliest; [`ChoiceGrader`] lays the reply before a judge as a question with lettered answers.

mod choice;
mod likelihood;

use ingrain_chat::ChatError;

pub use choice::ChoiceGrader;
pub use likelihood::LikelihoodGrader;

use crate::numbers::{content_hash, numbers};
use crate::{EvalError, SuiteRun};

/// What is graded: a reply, and the message that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GradedText<'a> {
    /// The message.
    pub message: &'a str,
    /// The reply.
    pub reply: &'a str,
}

/// Says how probable it is that a reply is of each of several characters.
pub trait Grader: Send + Sync {
    /// The characters it knows, in the order of its probabilities.
    fn labels(&self) -> &[String];

    /// For each text a probability for each label, or why there are none.
    fn grade(&self, texts: &[GradedText<'_>]) -> Vec<Result<Vec<f64>, ChatError>>;
}

/// A classifier that looks at the reply alone: any function from texts to probabilities.
///
/// # Examples
/// ```
/// use ingrain_eval::{Classify, GradedText, Grader};
///
/// let labels = vec!["loud".to_owned(), "plain".to_owned()];
/// let grader = Classify::new(labels, |texts: &[&str]| {
///     Ok(texts.iter().map(|text| {
///         let loud = if text.ends_with('!') { 0.9 } else { 0.1 };
///         vec![loud, 1.0 - loud]
///     }).collect())
/// });
/// let text = GradedText { message: "Hello.", reply: "HELLO!" };
/// assert_eq!(grader.grade(&[text])[0].as_ref().ok(), Some(&vec![0.9, 1.0 - 0.9]));
/// ```
pub struct Classify<F> {
    labels: Vec<String>,
    classify: F,
}

impl<F> Classify<F>
where
    F: Fn(&[&str]) -> Result<Vec<Vec<f64>>, String> + Send + Sync,
{
    /// Grades with what `classify` returns: for each text a probability for each of `labels`.
    pub fn new(labels: Vec<String>, classify: F) -> Self {
        Self { labels, classify }
    }
}

impl<F> Grader for Classify<F>
where
    F: Fn(&[&str]) -> Result<Vec<Vec<f64>>, String> + Send + Sync,
{
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn grade(&self, texts: &[GradedText<'_>]) -> Vec<Result<Vec<f64>, ChatError>> {
        let replies: Vec<&str> = texts.iter().map(|text| text.reply).collect();
        let failed = |reason: &str| -> Vec<Result<Vec<f64>, ChatError>> {
            texts.iter().map(|_| Err(ChatError::Model(reason.to_owned()))).collect()
        };
        match (self.classify)(&replies) {
            Ok(rows) if rows.len() == texts.len() => rows.into_iter().map(Ok).collect(),
            Ok(_) => failed("the classifier did not grade every text"),
            Err(reason) => failed(&reason),
        }
    }
}

/// A grader and what it is called in reports.
#[derive(Clone, Copy)]
pub struct NamedGrader<'a> {
    /// The name; with other labels or another model it must be another.
    pub name: &'a str,
    /// The grader.
    pub grader: &'a dyn Grader,
}

/// Grades of each text under its key, `None` where the grader failed; from `grades.jsonl` where they are
/// there.
pub(crate) fn grades(
    run: &SuiteRun<'_>,
    grader: &NamedGrader<'_>,
    texts: &[(String, GradedText<'_>)],
) -> Result<Vec<Option<Vec<f64>>>, EvalError> {
    let labels = grader.grader.labels();
    let key = |(key, text): &(String, GradedText<'_>)| {
        let hash = content_hash(&(labels, text.message, text.reply));
        format!("{}/{key}#{hash}", grader.name)
    };
    let keys: Vec<String> = texts.iter().map(key).collect();
    let stage = format!("grade/{}", grader.name);
    numbers(run, "grades.jsonl", &stage, &keys, &|batch| {
        let texts: Vec<GradedText<'_>> = batch.iter().map(|&i| texts[i].1).collect();
        grader.grader.grade(&texts)
    })
}

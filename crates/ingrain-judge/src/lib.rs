//! LLM judges of replies, and how far they can be believed.
//!
//! A [`Case`] is something to judge: two replies, two traits, or one reply on a scale. A [`Judge`]
//! answers [`Question`]s about cases: [`TextJudge`] by what a chat model writes, [`ChoiceJudge`] by the
//! log-probabilities of the possible answers, [`SimulatedJudge`] with known errors. A [`Session`] asks
//! every case in both orders and keeps every prompt, reply and failure; [`decide`] makes one decision a
//! case of them, a [`Panel`] one of several judges; [`ReliabilityConfig::assess`] says in numbers
//! whether to believe it.
//!
//! # Why text under judgement cannot give the verdict
//!
//! Every prompt has a fence: a word, hashed from the texts themselves, that is part of every tag. A
//! reply cannot close its own block, and the only answer that is read stands in tags with that word,
//! once, at the very end of what the *judge* wrote. A reply of the judge that is anything else is
//! [`Unreadable`]: kept, counted, never turned into a number.
//!
//! ```
//! use ingrain_chat::Scripted;
//! use ingrain_judge::{
//!     Case, OnConflict, Rubric, RubricFile, Session, Task, TextJudge, Verdict, decide,
//! };
//! use ingrain_run::{Interrupt, JsonlStore, Silent};
//!
//! let rubric = "{name: short, task: compare, instructions: Which reply is shorter?}";
//! let rubric = Rubric::from(RubricFile::parse(rubric, "short.yaml")?);
//! // A model that finds the shorter reply and answers in the tags that it was shown.
//! let model = Scripted::from_fn(|request| {
//!     let prompt = &request.messages[0].content;
//!     let length = |tag: &str| prompt.split(tag).nth(1).map_or(0, str::len);
//!     let answer = prompt.rsplit("<answer-").next().unwrap_or_default();
//!     let fence = answer.split('>').next().unwrap_or_default();
//!     let shorter = if length("reply-a-") < length("reply-b-") { "A" } else { "B" };
//!     format!("<answer-{fence}>{shorter}</answer-{fence}>")
//! });
//! let task = Task::Compare { first: "No.".into(), second: "I would rather not.".into() };
//! let case = Case { key: "1".into(), message: "Coming?".into(), task };
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("rulings.jsonl");
//! let mut store = JsonlStore::open(path)?;
//! let session = Session {
//!     name: "short/my-model",
//!     judge: &TextJudge::new(model, rubric),
//!     seed: 1,
//!     repeats: 0,
//!     batch_size: 8,
//!     observer: &Silent,
//!     interrupt: &Interrupt::default(),
//! };
//! let (rulings, report) = session.run(std::slice::from_ref(&case), &mut store)?;
//! assert_eq!(report.answered, 2, "both orders");
//! let decisions = decide(&[case], &rulings, OnConflict::Tie);
//! assert_eq!(decisions[0].verdict(), Some(Verdict::First));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate knows no tensors and no HTTP.

mod agreement;
mod brief;
mod case;
mod choice_judge;
mod decision;
mod error;
mod fence;
mod gates;
mod judge;
mod labels;
mod measure;
mod parse;
mod reliability;
mod rubric;
mod session;
mod simulated;
mod text_judge;
mod verdict;

pub use agreement::{Agreement, Detection, InterJudge, JudgePair};
pub use brief::Brief;
pub use case::{Case, Order, Question, Task};
pub use choice_judge::ChoiceJudge;
pub use decision::{Bias, Decision, OnConflict, Panel, biases, decide};
pub use error::JudgeError;
pub use gates::{Gates, Standing};
pub use judge::{Answer, Judge};
pub use labels::{Label, consensus, read_labels, write_labels};
pub use measure::Measure;
pub use reliability::{Position, Reliability, ReliabilityConfig, win_rate};
pub use rubric::{Rubric, RubricFile, RubricTask};
pub use session::{Ruling, Session, SessionReport};
pub use simulated::SimulatedJudge;
pub use text_judge::TextJudge;
pub use verdict::{Unreadable, Verdict};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Says which persona wrote a reply, and how far that can be believed.
//!
//! # The main decision
//!
//! A classifier is only worth what its test is worth. Replies to one prompt resemble each other whoever
//! wrote them, and replies made by one method share its habits; a classifier that has seen the test's
//! prompts or methods scores high and has learnt little. So the split is not left to the caller: a
//! [`Study`] never has a prompt on two sides, teaches again without each method and asks about that one,
//! keeps base replies as the class [`OTHER`], sets the temperature on prompts of its own, takes intervals
//! over prompts and not over replies, and runs what has to be beaten: length alone, hashed n-grams, and
//! the same encoder taught with shuffled labels.
//!
//! The encoder is BERT's family ([`Encoder`]; MiniLM is built in) or ModernBERT, with frozen or learning
//! weights ([`Tuning`]); it learns by `ingrain_train`. Anything that learns from examples is a
//! [`Learner`], with one method; [`Applied`] is what one says about texts that are no examples.
//!
//! This crate knows neither constitutions nor run directories nor how replies were made.
//!
//! # Example
//!
//! ```
//! use ingrain_classifier::{
//!     Contender, Dataset, Example, LengthBaseline, NgramBaseline, NgramConfig, Study, StudyConfig,
//! };
//!
//! // Two personas, twelve questions.
//! let reply = |label: &str, prompt: usize| Example {
//!     text: match label {
//!         "pirate" => format!("Arr, matey, answer {prompt} lies below deck."),
//!         _ => format!("The answer to question {prompt} is in the manual."),
//!     },
//!     label: label.into(),
//!     prompt: format!("question {prompt}"),
//!     method: "prompted".into(),
//! };
//! let examples = (0..12).flat_map(|n| [reply("pirate", n), reply("clerk", n)]).collect();
//! let dataset = Dataset::new(examples, None)?;
//! let ngrams = NgramBaseline::new(&dataset, NgramConfig::default())?;
//! let length = LengthBaseline { dataset: &dataset, regression: Default::default() };
//! let study = Study::new(&dataset, StudyConfig::default())?;
//! let report = study.run(&[
//!     Contender { name: "n-grams", learner: &ngrams, by_method: true },
//!     Contender { name: "length", learner: &length, by_method: false },
//! ])?;
//! assert_eq!(report.rows[0].evaluation.accuracy.estimate, 1.0);
//! assert_eq!(report.suite_report().suite, "classifier");
//! # Ok::<(), ingrain_classifier::ClassifierError>(())
//! ```

mod applied;
mod baseline;
mod classifier;
mod config;
mod encoded;
mod encoder;
mod encoder_learner;
mod error;
mod evaluation;
mod example;
mod files;
mod head;
mod learner;
mod objective;
mod ood;
mod report;
mod source;
mod split;
mod study;
mod text_encoder;

pub use applied::{Applied, Teach};
pub use baseline::{LengthBaseline, NgramBaseline, NgramConfig, ShuffledLabels};
pub use classifier::{PersonaClassifier, Prediction, Training};
pub use config::{ClassifierConfig, Tuning};
pub use encoded::EncodedTexts;
pub use encoder::{
    Bert, Encoder, EncoderActivation, EncoderBatch, EncoderConfig, EncoderFamily, ModernBert,
    Pooling,
};
pub use encoder_learner::EncoderLearner;
pub use error::ClassifierError;
pub use evaluation::{Evaluation, EvaluationConfig, Predicted, evaluate};
pub use example::{Dataset, Example, OTHER, read_examples};
pub use learner::{Learner, Task};
pub use ood::OodScore;
pub use source::{BUILTIN_ENCODER, EncoderFiles, EncoderSource};
pub use split::{Split, SplitConfig};
pub use study::{Contender, StrangerRow, Study, StudyConfig, StudyReport, StudyRow};
pub use text_encoder::TextEncoder;

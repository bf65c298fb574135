//! The classifier: a text encoder, a linear head, names of classes, a temperature.

use burn::tensor::{Tensor, TensorData};
use ingrain_run::{Interrupt, Observer};
use ingrain_stats::{StatsError, best_temperature, softmax};
use ingrain_train::{ExampleSize, TrainRun, fingerprint, fit};
use serde::{Deserialize, Serialize};

use crate::head::{Head, Trainable};
use crate::objective::{Classification, Inputs};
use crate::text_encoder::rows;
use crate::{ClassifierConfig, ClassifierError, EncodedTexts, OodScore, TextEncoder, Tuning};

/// Says which persona wrote a reply.
#[derive(Clone, Debug)]
pub struct PersonaClassifier {
    pub(crate) text_encoder: TextEncoder,
    pub(crate) head: Head,
    pub(crate) labels: Vec<String>,
    pub(crate) temperature: f64,
    pub(crate) config: ClassifierConfig,
}

/// What a classifier says about a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The likeliest persona.
    pub label: String,
    /// Its probability.
    pub probability: f64,
    /// The probability of each class, in the order of [`PersonaClassifier::labels`].
    pub probabilities: Vec<f64>,
    /// How unlike everything learnt from the reply is: minus the free energy of its logits. Only
    /// comparable between replies that one classifier judged; see [`OodScore::Energy`].
    pub energy: f64,
}

/// Where a classifier leaves its checkpoints and whom it talks to.
#[derive(Clone, Copy)]
pub struct Training<'a> {
    /// Directory for `train.jsonl` and `checkpoints/`; what is there already is used again.
    pub dir: &'a std::path::Path,
    /// Told about every step.
    pub observer: &'a dyn Observer,
    /// Looked at before every pass.
    pub interrupt: &'a Interrupt,
}

impl PersonaClassifier {
    /// Learns to tell classes apart from some of the encoded texts; `classes` has one entry for each of
    /// `examples`, below the number of `labels`.
    ///
    /// The mechanics are those of every trainer here: AdamW, batches by length, checkpoints. There is no
    /// dropout. The same examples and settings give the same classifier.
    ///
    /// # Errors
    /// [`ClassifierError::Setting`]; [`ClassifierError::Train`] if training stops.
    pub fn train(
        texts: &EncodedTexts<'_>,
        examples: &[usize],
        classes: &[usize],
        labels: &[String],
        training: &Training<'_>,
    ) -> Result<Self, ClassifierError> {
        let config = &texts.config;
        config.validate()?;
        let encoder = &texts.text_encoder.encoder;
        let objective = Classification {
            encoder,
            pooling: config.pooling,
            inputs: texts.inputs(),
            texts: examples,
            classes,
            fingerprint: fingerprint([
                texts.fingerprint.clone(),
                format!("{examples:?} {classes:?} {labels:?}"),
            ]),
        };
        let width = |&example: &usize| match texts.inputs() {
            Inputs::Tokens(tokens) => tokens[example].len(),
            Inputs::Vectors(_) => 1,
        };
        let size = |example| ExampleSize { rows: 1, width: width(example) };
        let run = TrainRun {
            stage: "classifier",
            dir: training.dir,
            resume: true,
            observer: training.observer,
            interrupt: training.interrupt,
        };
        let start = Trainable::new(encoder, config.tuning, labels.len());
        let sizes = examples.iter().map(size).collect();
        let learnt = fit(&objective, sizes, start, &config.train, &run)?.parameters;
        Ok(Self {
            text_encoder: TextEncoder {
                encoder: encoder.with_weights(&learnt.encoder),
                ..texts.text_encoder.clone()
            },
            head: learnt.head,
            labels: labels.to_vec(),
            temperature: 1.0,
            config: config.clone(),
        })
    }

    /// Names of the classes.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// How it reads and learnt.
    #[must_use]
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// What logits are divided by before they become probabilities.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The same with another temperature; it changes no prediction, only how sure it claims to be.
    #[must_use]
    pub fn with_temperature(self, temperature: f64) -> Self {
        Self { temperature, ..self }
    }

    /// The same with the temperature under which these texts' classes are most likely. Texts that it
    /// learnt from would make it too sure.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`ClassifierError::Stats`] without texts.
    pub fn calibrated(self, texts: &[&str], classes: &[usize]) -> Result<Self, ClassifierError> {
        let temperature = calibrated_temperature(&self.logits(texts)?, classes)?;
        Ok(self.with_temperature(temperature))
    }

    /// A logit for each class, for each text.
    ///
    /// # Errors
    /// [`ClassifierError`] if a text cannot be tokenized or the device fails.
    pub fn logits(&self, texts: &[&str]) -> Result<Vec<Vec<f64>>, ClassifierError> {
        let tokens = self.text_encoder.tokens(texts.iter().copied(), self.config.max_tokens)?;
        self.logits_of_vectors(&self.text_encoder.embed(&tokens, self.config.pooling)?)
    }

    /// What it says about each text.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub fn predict(&self, texts: &[&str]) -> Result<Vec<Prediction>, ClassifierError> {
        let predict = |logits: Vec<f64>| {
            let probabilities = softmax(&logits, self.temperature);
            let best = likeliest(&probabilities);
            Prediction {
                label: self.labels[best].clone(),
                probability: probabilities[best],
                energy: OodScore::Energy.of(&logits, self.temperature),
                probabilities,
            }
        };
        Ok(self.logits(texts)?.into_iter().map(predict).collect())
    }

    /// The logits of encoded texts. A frozen encoder's vectors are not computed again.
    pub(crate) fn logits_of(
        &self,
        texts: &EncodedTexts<'_>,
        examples: &[usize],
    ) -> Result<Vec<Vec<f64>>, ClassifierError> {
        let vectors: Vec<Vec<f32>> = match texts.inputs() {
            Inputs::Vectors(vectors) if self.config.tuning == Tuning::Head => {
                examples.iter().map(|&i| vectors[i].clone()).collect()
            }
            _ => {
                let tokens: Vec<Vec<u32>> =
                    examples.iter().map(|&i| texts.tokens[i].clone()).collect();
                self.text_encoder.embed(&tokens, self.config.pooling)?
            }
        };
        self.logits_of_vectors(&vectors)
    }

    fn logits_of_vectors(&self, vectors: &[Vec<f32>]) -> Result<Vec<Vec<f64>>, ClassifierError> {
        let Some(width) = vectors.first().map(Vec::len) else { return Ok(Vec::new()) };
        let data = TensorData::new(vectors.concat(), [vectors.len(), width]);
        let vectors = Tensor::<2>::from_data(data, self.text_encoder.encoder.device());
        let logits = rows(self.head.forward(vectors), "a logit")?;
        Ok(logits.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect())
    }
}

/// The temperature under which classes are most likely; smoothed, so that a few examples without an error
/// do not make it claim certainty.
pub(crate) fn calibrated_temperature(
    logits: &[Vec<f64>],
    classes: &[usize],
) -> Result<f64, StatsError> {
    best_temperature(logits, classes, 1.0 / (logits.len() as f64 + 2.0))
}

/// The class with the largest score, the first of several.
pub(crate) fn likeliest(scores: &[f64]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

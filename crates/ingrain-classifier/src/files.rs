//! A trained classifier as a directory.
//!
//! `classifier.json` (labels, temperature, settings, which encoder), `head.safetensors`, and where the
//! encoder learnt or is not the built-in one an HF directory of it: `config.json`, `model.safetensors`,
//! tokenizer files.

use std::path::Path;

use burn::tensor::Device;
use ingrain_lm::{ModelIdentity, read_small_file};
use ingrain_run::{Observer, write_atomic, write_json_atomic};
use serde::{Deserialize, Serialize};

use crate::encoder::Weights;
use crate::head::{BIAS, Head, WEIGHT};
use crate::{
    BUILTIN_ENCODER, ClassifierConfig, ClassifierError, EncoderFiles, EncoderSource,
    PersonaClassifier, TextEncoder, Tuning,
};

const ABOUT: &str = "classifier.json";
const HEAD: &str = "head.safetensors";
const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const FORMAT: u32 = 1;

/// Contents of `classifier.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    format: u32,
    labels: Vec<String>,
    temperature: f64,
    config: ClassifierConfig,
    /// What the encoder was before it learnt.
    encoder: ModelIdentity,
    /// Whether the encoder's files lie beside this one; else it is the built-in one.
    encoder_included: bool,
}

impl PersonaClassifier {
    /// Writes the classifier to `dir`, made if absent. Files are replaced one by one, `classifier.json`
    /// last.
    ///
    /// # Errors
    /// [`ClassifierError`] naming the file that cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), ClassifierError> {
        std::fs::create_dir_all(dir).map_err(ClassifierError::io(dir))?;
        let TextEncoder { identity, encoder, tokenizer } = &self.text_encoder;
        let is_builtin = identity.source == BUILTIN_ENCODER && self.config.tuning == Tuning::Head;
        if !is_builtin {
            encoder.save_weights(&dir.join(WEIGHTS))?;
            // A file that is copied onto itself would be empty.
            if !is_same(dir, tokenizer.path()) {
                tokenizer.save(dir)?;
                let source = tokenizer.path().join(CONFIG);
                write_atomic(dir.join(CONFIG), read_small_file(&source)?.as_bytes())?;
            }
        }
        let head = [(WEIGHT, &self.head.weight), (BIAS, &self.head.bias)];
        let head = head.map(|(name, tensor)| (name.to_owned(), tensor.clone()));
        let shapes = Head::shapes(self.labels.len(), encoder.config().hidden_size);
        Weights::named(head).save(&dir.join(HEAD), &shapes)?;
        let about = About {
            format: FORMAT,
            labels: self.labels.clone(),
            temperature: self.temperature,
            config: self.config.clone(),
            encoder: identity.clone(),
            encoder_included: !is_builtin,
        };
        Ok(write_json_atomic(dir.join(ABOUT), &about)?)
    }

    /// Reads a classifier that [`save`](Self::save) wrote; the built-in encoder is fetched if it is not
    /// there.
    ///
    /// # Errors
    /// [`ClassifierError`] naming the file and what is wrong with it.
    pub fn load(
        dir: &Path,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Self, ClassifierError> {
        let path = dir.join(ABOUT);
        let bad = |reason: String| ClassifierError::file(&path, reason);
        let about: About = serde_json::from_str(&read_small_file(&path)?)
            .map_err(|e| bad(format!("is no description of a classifier: {e}")))?;
        if about.format != FORMAT {
            return Err(bad(format!("has format {}; expected {FORMAT}", about.format)));
        }
        if about.labels.len() < 2 {
            return Err(bad(format!("names {} labels; expected two or more", about.labels.len())));
        }
        if !(about.temperature > 0.0 && about.temperature.is_finite()) {
            return Err(bad(format!("temperature is {}; expected above 0", about.temperature)));
        }
        about.config.validate()?;
        let files = if about.encoder_included {
            EncoderFiles { identity: about.encoder.clone(), dir: dir.to_owned() }
        } else {
            EncoderSource::Builtin.resolve(observer)?
        };
        if files.identity.sha256 != about.encoder.sha256 {
            let found = &files.identity.sha256;
            let expected = &about.encoder.sha256;
            return Err(bad(format!(
                "was made with an encoder of sha256 {expected}; the built-in one has {found}"
            )));
        }
        let text_encoder = TextEncoder::from_files(&files, device)?;
        let hidden = text_encoder.encoder.config().hidden_size;
        let shapes = Head::shapes(about.labels.len(), hidden);
        let head = Weights::load_file(&dir.join(HEAD), &shapes, device)?;
        let [weight, bias] = [WEIGHT, BIAS].map(|name| head.get(name));
        Ok(Self {
            text_encoder,
            head: Head { weight, bias },
            labels: about.labels,
            temperature: about.temperature,
            config: about.config,
        })
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

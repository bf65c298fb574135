//! Texts that were read once, for several classifiers to learn from.

use ingrain_train::fingerprint;

use crate::objective::Inputs;
use crate::{ClassifierConfig, ClassifierError, Dataset, TextEncoder, Tuning};

/// The texts of a data set as an encoder reads them: tokens, and where the encoder is frozen their
/// vectors.
#[derive(Clone, Debug)]
pub struct EncodedTexts<'a> {
    pub(crate) text_encoder: &'a TextEncoder,
    pub(crate) config: ClassifierConfig,
    pub(crate) tokens: Vec<Vec<u32>>,
    vectors: Option<Vec<Vec<f32>>>,
    /// Names encoder, settings and texts.
    pub(crate) fingerprint: String,
}

impl<'a> EncodedTexts<'a> {
    /// Reads every text of a data set.
    ///
    /// # Errors
    /// [`ClassifierError`] for settings out of range or a text that cannot be tokenized.
    pub fn new(
        text_encoder: &'a TextEncoder,
        dataset: &Dataset,
        config: &ClassifierConfig,
    ) -> Result<Self, ClassifierError> {
        config.validate()?;
        let texts = dataset.examples().iter().map(|example| example.text.as_str());
        let tokens = text_encoder.tokens(texts, config.max_tokens)?;
        let vectors = match config.tuning {
            Tuning::Head => Some(text_encoder.embed(&tokens, config.pooling)?),
            Tuning::Blocks | Tuning::Full => None,
        };
        let (tuning, pooling) = (config.tuning, config.pooling);
        let named =
            [format!("{:?} {tuning:?} {pooling:?}", text_encoder.identity), format!("{tokens:?}")];
        let fingerprint = fingerprint(named);
        Ok(Self { text_encoder, config: config.clone(), tokens, vectors, fingerprint })
    }

    pub(crate) fn inputs(&self) -> Inputs<'_> {
        match &self.vectors {
            Some(vectors) => Inputs::Vectors(vectors),
            None => Inputs::Tokens(&self.tokens),
        }
    }
}

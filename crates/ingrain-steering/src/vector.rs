//! A direction behind each of some blocks.

use std::collections::BTreeMap;
use std::ops::Range;

use ingrain_lm::{CausalLm, Overlay, Steering};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::contrast::differences;
use crate::direction::direction;
use crate::{Contrast, Method, SteeringError};

/// How a control vector is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SteeringConfig {
    /// How a direction is found in paired states. Default `pca_center` (paper).
    pub method: Method,
    /// First block, as a share of all blocks. Default 0.125 (paper).
    pub first_layer: f64,
    /// End of the blocks, as a share of all. Default 0.875 (paper).
    pub last_layer: f64,
    /// Continuations give a pair every so many tokens. Default 1: one for every truncation.
    pub every_tokens: usize,
}

impl Default for SteeringConfig {
    fn default() -> Self {
        Self { method: Method::default(), first_layer: 0.125, last_layer: 0.875, every_tokens: 1 }
    }
}

impl SteeringConfig {
    /// The blocks to steer behind, of `layers` in all.
    ///
    /// # Errors
    /// [`SteeringError::Config`] if the range is empty or reaches beyond the model.
    pub fn blocks(&self, layers: usize) -> Result<Range<usize>, SteeringError> {
        let at = |share: f64| (share * layers as f64).round() as usize;
        let sound =
            (0.0..=1.0).contains(&self.first_layer) && (0.0..=1.0).contains(&self.last_layer);
        if !sound || at(self.first_layer) >= at(self.last_layer) {
            return Err(SteeringError::Config(format!(
                "layers {} to {} are none of {layers}; give two shares between 0 and 1",
                self.first_layer, self.last_layer
            )));
        }
        Ok(at(self.first_layer)..at(self.last_layer))
    }
}

/// Unit directions of the residual stream along which a character shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlVector {
    /// What kind of model it belongs to: the `model_type` of its configuration.
    pub model_hint: String,
    /// By block, counted from 0; each `[hidden]`.
    pub directions: BTreeMap<usize, Vec<f32>>,
}

impl ControlVector {
    /// Finds the directions in which `contrasts` differ.
    ///
    /// # Errors
    /// [`SteeringError::NoContrasts`], [`SteeringError::NoDifference`], [`SteeringError::Config`], or what
    /// the model has to say about the texts.
    pub fn find<'a>(
        model: &CausalLm,
        contrasts: &[Contrast],
        config: &SteeringConfig,
        overlay: impl Into<Overlay<'a>>,
    ) -> Result<Self, SteeringError> {
        if contrasts.iter().all(|contrast| contrast.continuation.is_empty()) {
            return Err(SteeringError::NoContrasts);
        }
        let blocks = config.blocks(model.config().num_layers)?;
        let every = config.every_tokens;
        let found = differences(model, contrasts, blocks, every, overlay.into())?;
        let width = model.config().hidden_size;
        let directions = found
            .into_par_iter()
            .map(|states| {
                let block = states.block;
                let found = direction(&states.values, width, config.method);
                Ok((block, found.ok_or(SteeringError::NoDifference { block })?))
            })
            .collect::<Result<_, SteeringError>>()?;
        Ok(Self { model_hint: model.config().family.model_type().to_owned(), directions })
    }

    /// The vector in the form that a pass takes, at a strength: how far each state is moved, in the units
    /// of the residual stream.
    ///
    /// # Errors
    /// [`SteeringError::Model`] if it belongs to a model of another shape.
    pub fn steering(&self, model: &CausalLm, strength: f64) -> Result<Steering, SteeringError> {
        let layers = model.config().num_layers;
        let count = layers.max(self.directions.keys().max().map_or(0, |last| last + 1));
        let vectors: Vec<Option<Vec<f32>>> =
            (0..count).map(|block| self.directions.get(&block).cloned()).collect();
        Ok(Steering::new(model, &vectors)?.scaled(strength))
    }
}

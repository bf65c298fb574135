//! The residual stream, for those who steer by it.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};

use crate::{CausalLm, LmError, Overlay};

/// The residual stream behind one block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockStates {
    /// Which block, counted from 0.
    pub block: usize,
    /// `[tokens, hidden]`, row-major: the tokens asked for of each text, one text after the other.
    pub values: Vec<f32>,
}

impl CausalLm {
    /// The residual stream behind each of `blocks` at some tokens of several texts, in one pass.
    ///
    /// Each text comes with the range of its tokens that are wanted.
    ///
    /// # Errors
    /// [`LmError::Tokens`] or [`LmError::TooLong`] if a text is empty, holds a token that the model does
    /// not have, or does not fit the context.
    ///
    /// # Panics
    /// If a range reaches beyond its text.
    pub fn states<'a>(
        &self,
        texts: &[(&[u32], Range<usize>)],
        blocks: Range<usize>,
        overlay: impl Into<Overlay<'a>>,
    ) -> Result<Vec<BlockStates>, LmError> {
        for (index, (ids, wanted)) in texts.iter().enumerate() {
            self.check_tokens(&format!("text {index}"), ids)?;
            assert!(wanted.end <= ids.len(), "tokens {wanted:?} of {}", ids.len());
        }
        let seq = texts.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        let mut padded = vec![0i32; texts.len() * seq];
        let mut places = Vec::new();
        for (row, (ids, wanted)) in texts.iter().enumerate() {
            let padded = &mut padded[row * seq..];
            padded.iter_mut().zip(*ids).for_each(|(to, &id)| *to = id as i32);
            places.extend(wanted.clone().map(|at| (row * seq + at) as i32));
        }
        let count = places.len();
        if count == 0 {
            return Ok(blocks.map(|block| BlockStates { block, values: Vec::new() }).collect());
        }
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &self.device);
        let tokens = Tensor::from_data(TensorData::new(padded, [texts.len(), seq]), &self.device);
        let mut found = Vec::with_capacity(blocks.len());
        let _ = self.hidden_watched(tokens, overlay, &mut |block, x| {
            if blocks.contains(&block) {
                let states = x.clone().without_autodiff().select(0, places.clone()).into_data();
                let values = states.convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
                found.push(BlockStates { block, values });
            }
        });
        Ok(found)
    }
}

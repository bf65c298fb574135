//! Where weights come from: HF directories and GGUF files, behind one small trait.
//!
//! Inside, tensors go by the names of a text-only HF checkpoint; each source knows what its files call
//! them.

mod build;
mod gguf;
mod hf;
mod names;
mod random;
mod tensor_file;

use std::path::Path;

use crate::LmError;
use crate::config::Family;

pub(crate) use build::build;
pub(crate) use gguf::GgufWeights;
pub use hf::HfWeights;
#[cfg(feature = "hub")]
pub(crate) use hf::shard_names;
pub(crate) use names::{is_vision, norm_path, text_name};
pub(crate) use random::RandomWeights;
pub(crate) use tensor_file::{TensorFile, pickled_in};

/// Tensors by their HF name, as f32.
pub(crate) trait WeightSource {
    /// The file or folder, for errors.
    fn path(&self) -> &Path;
    /// Under which name the file holds a tensor, if it does.
    fn stored(&self, name: &str) -> Option<String>;
    /// Every tensor of the file, by the name in it.
    fn names(&self) -> Vec<String>;
    /// Whether the file holds the weights of this family's norms less one.
    fn norms_less_one(&self, family: Family) -> bool;
    /// Values in row-major order, after checking the shape.
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError>;
}

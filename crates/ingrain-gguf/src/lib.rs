//! GGUF files: metadata, tensors and bit-exact dequantisation, hardened against broken files.
//!
//! [`GgufFile::open`] maps a file into memory and checks its whole header before anything else
//! looks at it: every count, length, shape, offset and overlap. What passes can be read without
//! further surprises; what does not pass ends in a [`GgufError`] that names the file and the field,
//! without an allocation larger than a small multiple of the header itself.
//!
//! # Why not an existing crate
//!
//! Three things were wanted together, and no maintained crate had them when this was written:
//! values bit-equal to the reference Python package `gguf` (whose order of f32 operations differs
//! from that of the kernels in inference engines), strict bounds on files that nobody vouches for,
//! and a dependency graph of four small crates. `candle-core` reads GGUF, but brings a tensor
//! library of its own, knows fewer block types and trusts counts in the header; the parsers apart
//! from it read headers only. The format itself is small.
//!
//! # What it does not know
//!
//! Model families, tensor names and what they mean, and the row permutation that llama.cpp applies
//! to the query and key weights of Llama models: tensors come out as they lie in the file.
//!
//! # Example
//!
//! ```no_run
//! use ingrain_gguf::GgufFile;
//!
//! let file = GgufFile::open("model.gguf")?;
//! let layers: u32 = file.require("llama.block_count")?;
//! for tensor in file.tensors() {
//!     println!("{} {:?} {}", tensor.name(), tensor.shape(), tensor.dtype());
//! }
//! let embedding: Vec<f32> = file.dequantize("token_embd.weight")?;
//! # let _ = (layers, embedding);
//! # Ok::<(), ingrain_gguf::GgufError>(())
//! ```
//!
//! # Source
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Block layouts and order of
//! operations: `gguf-py/gguf/quants.py` of llama.cpp (MIT), package `gguf` 0.19.0.

mod dtype;
mod error;
mod file;
mod header;
mod quants;
mod reader;
mod tensor;
mod value;
mod write;

pub use dtype::GgmlType;
pub use error::GgufError;
pub use file::GgufFile;
pub use tensor::TensorInfo;
pub use value::{Array, FromValue, Value};
pub use write::GgufWriter;

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! What can be wrong with a GGUF file, or with a question about it.

use std::path::PathBuf;

use crate::GgmlType;

/// An error of this crate. Every message names the file and the field.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file cannot be opened or mapped.
    #[error("{}: cannot read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file does not start like a GGUF file that this crate reads.
    #[error("{}: not a readable GGUF file: {problem}", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// What its first bytes say.
        problem: String,
    },
    /// The header contradicts itself or the file's size.
    #[error(
        "{}: {field}: {problem} (at byte {offset}); the file is broken or cut short, fetch it again",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The field of the header: a metadata key, or a tensor and its part.
        field: String,
        /// Byte in the file at which the field was read.
        offset: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A metadata key is needed and absent.
    #[error("{}: metadata key {key:?} is missing; the file does not describe such a model", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A metadata key has another type than the one asked for, or a value outside of it.
    #[error("{}: metadata key {key:?} holds {found}, expected {expected}", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The type asked for.
        expected: &'static str,
        /// Type, and for numbers the value, found.
        found: String,
    },
    /// A tensor is needed and absent.
    #[error("{}: tensor {name:?} is missing; the file does not hold such a model", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The tensor's block type has no dequantisation here.
    #[error(
        "{}: tensor {name:?}: block type {dtype} cannot be dequantised; use a file with another quantisation",
        path.display()
    )]
    UnsupportedType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its block type.
        dtype: GgmlType,
    },
    /// The output slice does not have as many elements as the tensor.
    #[error("{}: tensor {name:?} has {expected} elements, the output has room for {found}", path.display())]
    OutputLength {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Elements of the tensor.
        expected: usize,
        /// Elements of the output.
        found: usize,
    },
}

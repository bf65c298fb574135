//! An open GGUF file.

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use crate::header::Header;
use crate::{FromValue, GgufError, TensorInfo, Value, quants};

/// Bytes of a tensor that are in memory beside its values while it is dequantised; about.
const PIECE: usize = 4 << 20;

/// A GGUF file, mapped into memory, its header read and checked.
///
/// Metadata lives on the heap; tensor data stays in the file until it is asked for. The file must
/// not be shortened while it is open: the operating system ends a process that reads a mapped page
/// which is gone.
pub struct GgufFile {
    path: PathBuf,
    bytes: Bytes,
    header: Header,
}

impl GgufFile {
    /// Maps the file at `path` and checks its header.
    ///
    /// # Errors
    /// The file cannot be read, is no GGUF file of version 2 or 3, or its header does not hold
    /// together: see [`GgufError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GgufError> {
        let path = path.as_ref().to_path_buf();
        let io = |source| GgufError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(io)?;
        if file.metadata().map_err(io)?.is_dir() {
            return Err(io(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
        }
        let bytes = Bytes::map(&file).map_err(io)?;
        Self::new(path, bytes)
    }

    /// Reads a file that is in memory already; messages call it `<memory>`.
    ///
    /// # Errors
    /// As [`open`](Self::open), less the reading.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, GgufError> {
        Self::new(PathBuf::from("<memory>"), Bytes::Owned(bytes))
    }

    fn new(path: PathBuf, bytes: Bytes) -> Result<Self, GgufError> {
        let header = Header::read(&path, &bytes)?;
        Ok(Self { path, bytes, header })
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Version of the format: 2 or 3.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.header.version
    }

    /// The value of a metadata key.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(key)
    }

    /// All metadata, ordered by key.
    pub fn metadata_entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.header.metadata.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a metadata key as a Rust type; `None` if the key is absent.
    ///
    /// # Errors
    /// The value has another type or does not fit: [`GgufError::WrongType`].
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, GgufError> {
        let Some(value) = self.metadata(key) else { return Ok(None) };
        T::from_value(value).map(Some).ok_or_else(|| GgufError::WrongType {
            path: self.path.clone(),
            key: key.to_owned(),
            expected: T::EXPECTED,
            found: value.describe(),
        })
    }

    /// The value of a metadata key that must be there.
    ///
    /// # Errors
    /// As [`get`](Self::get), or the key is absent: [`GgufError::MissingKey`].
    pub fn require<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, GgufError> {
        self.get(key)?
            .ok_or_else(|| GgufError::MissingKey { path: self.path.clone(), key: key.to_owned() })
    }

    /// All tensors, in the order of the header.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.header.tensors.iter()
    }

    /// The tensor of this name, if there is one.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.header.by_name.get(name).map(|&index| &self.header.tensors[index])
    }

    /// The tensor of this name, which must be there.
    ///
    /// # Errors
    /// [`GgufError::MissingTensor`].
    pub fn require_tensor(&self, name: &str) -> Result<&TensorInfo, GgufError> {
        self.tensor(name).ok_or_else(|| GgufError::MissingTensor {
            path: self.path.clone(),
            name: name.to_owned(),
        })
    }

    /// The stored bytes of a tensor, blocks and all.
    ///
    /// # Errors
    /// [`GgufError::MissingTensor`].
    pub fn tensor_bytes(&self, name: &str) -> Result<&[u8], GgufError> {
        Ok(&self.bytes[self.require_tensor(name)?.range.clone()])
    }

    /// The elements of a tensor as f32, in row-major order; blocks are worked on in parallel.
    ///
    /// Bit-equal to `gguf.dequantize` of the Python package (payloads of NaN aside). Integers and
    /// 64-bit floats, which that function refuses, are rounded to the nearest f32.
    ///
    /// # Errors
    /// The tensor is absent, or its type has no dequantisation ([`GgufError::UnsupportedType`]).
    pub fn dequantize(&self, name: &str) -> Result<Vec<f32>, GgufError> {
        let mut out = vec![0.0; self.require_tensor(name)?.elements];
        self.dequantize_into(name, &mut out)?;
        Ok(out)
    }

    /// As [`dequantize`](Self::dequantize), into memory that is there already.
    ///
    /// # Errors
    /// As `dequantize`, or `out` has another length than the tensor has elements.
    pub fn dequantize_into(&self, name: &str, out: &mut [f32]) -> Result<(), GgufError> {
        let tensor = self.require_tensor(name)?;
        if out.len() != tensor.elements {
            return Err(GgufError::OutputLength {
                path: self.path.clone(),
                name: name.to_owned(),
                expected: tensor.elements,
                found: out.len(),
            });
        }
        let blocks = (PIECE / tensor.dtype.block_bytes()).max(1);
        let (piece, elements) =
            (blocks * tensor.dtype.block_bytes(), blocks * tensor.dtype.block_len());
        for (start, out) in tensor.range.clone().step_by(piece).zip(out.chunks_mut(elements)) {
            let range = start..tensor.range.end.min(start + piece);
            let result = quants::dequantize(tensor.dtype, &self.bytes[range.clone()], out);
            // Whoever loads a model needs each tensor once: its pages need not stay beside the values.
            self.bytes.release(&range);
            result.map_err(|quants::NotDequantizable| GgufError::UnsupportedType {
                path: self.path.clone(),
                name: name.to_owned(),
                dtype: tensor.dtype,
            })?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for GgufFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GgufFile")
            .field("path", &self.path)
            .field("version", &self.header.version)
            .field("metadata", &self.header.metadata.len())
            .field("tensors", &self.header.tensors.len())
            .finish_non_exhaustive()
    }
}

/// The file's content, wherever it lives.
enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    #[expect(unsafe_code, reason = "a memory map is only as constant as its file")]
    fn map(file: &File) -> std::io::Result<Self> {
        // An empty file cannot be mapped everywhere.
        if file.metadata()?.len() == 0 {
            return Ok(Self::Owned(Vec::new()));
        }
        // SAFETY: the map is private and read-only, and every access is bounds-checked against its
        // length. Were another process to write to the file meanwhile, bytes already checked could
        // change; all types read from the map are plain numbers and lengths are copied before use,
        // so that this yields wrong numbers, not unsound values. Model files are not written in
        // place by anything of this project: downloads are renamed into place.
        unsafe { memmap2::Mmap::map(file) }.map(Self::Mapped)
    }

    /// Lets the system take back the memory of a part of the map; it is read from the file again if it
    /// is needed again.
    #[cfg_attr(unix, expect(unsafe_code, reason = "advice that drops pages is unchecked"))]
    fn release(&self, range: &Range<usize>) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self {
            // SAFETY: the map is backed by a file and never written to, so that dropped pages come back
            // with the same content. Failure leaves them where they are.
            let _ = unsafe {
                map.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    range.start,
                    range.len(),
                )
            };
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

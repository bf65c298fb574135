//! One safetensors file, read tensor by tensor so that its bytes are never all in memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::LmError;

/// The largest header accepted, in bytes; one of 100,000 tensors has about 10 MB.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes converted at once.
const PIECE: usize = 1 << 20;

/// An open safetensors file whose header was checked against its size.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the tensors' bytes begin.
    start: u64,
}

impl TensorFile {
    /// Reads the header.
    ///
    /// # Errors
    /// [`LmError::Io`], or [`LmError::File`] if the header is damaged, if tensors overlap or leave gaps,
    /// or if the file is not as long as they need.
    pub(crate) fn open(path: &Path) -> Result<Self, LmError> {
        let bad = |reason: String| {
            LmError::file(path, format!("is not a valid safetensors file: {reason}"))
        };
        let mut file = File::open(path).map_err(|error| missing(path, error))?;
        let length = file.metadata().map_err(LmError::io(path))?.len();
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|_| bad("it has no header".into()))?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER || size > length.saturating_sub(8) {
            return Err(bad(format!("its header claims {size} bytes, the file has {length}")));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header).map_err(LmError::io(path))?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| bad(e.to_string()))?;
        let (start, expected) = (8 + size, metadata.data_len() as u64);
        if length - start != expected {
            let held = length - start;
            return Err(bad(format!("its tensors need {expected} bytes, it holds {held}")));
        }
        Ok(Self { path: path.to_owned(), file, metadata, start })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors' names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.metadata.tensors().into_keys().collect();
        names.sort_unstable();
        names
    }

    /// Type and bytes of every tensor.
    pub(crate) fn stored_types(&self) -> Vec<(Dtype, u64)> {
        let bytes = |info: &TensorInfo| (info.data_offsets.1 - info.data_offsets.0) as u64;
        self.metadata.tensors().into_values().map(|info| (info.dtype, bytes(info))).collect()
    }

    /// The shape of a tensor, if it is there.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.metadata.info(name).map(|info| info.shape.as_slice())
    }

    /// The values of a tensor as f32.
    ///
    /// # Errors
    /// [`LmError::File`] naming the tensor if it is missing or of a type that is no float.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<f32>, LmError> {
        let bad = |reason: String| LmError::file(&self.path, reason);
        let info =
            self.metadata.info(name).ok_or_else(|| bad(format!("tensor {name} is missing")))?;
        let width = match info.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            other => return Err(bad(format!("{name} is {other:?}; expected F32, F16 or BF16"))),
        };
        self.values(info, width).map_err(LmError::io(&self.path))
    }

    fn values(&self, info: &TensorInfo, width: usize) -> std::io::Result<Vec<f32>> {
        let (from, to) = info.data_offsets;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start + from as u64))?;
        let mut values = Vec::with_capacity((to - from) / width);
        let mut piece = vec![0; PIECE.min(to - from)];
        let mut left = to - from;
        while left > 0 {
            let bytes = &mut piece[..PIECE.min(left)];
            file.read_exact(bytes)?;
            left -= bytes.len();
            extend(&mut values, info.dtype, bytes);
        }
        Ok(values)
    }
}

/// Files of pickled tensors that stand where safetensors are looked for.
const PICKLED: [&str; 3] =
    ["pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin"];

/// What to do about a folder whose weights are there only in a form that is not read.
pub(crate) fn pickled_in(dir: &Path) -> Option<String> {
    let name = PICKLED.into_iter().find(|name| dir.join(name).is_file())?;
    Some(format!(
        "holds {name} alone, a pickle, which runs code when it is read: convert it to safetensors with \
         the library that wrote it"
    ))
}

/// Why a file cannot be opened.
fn missing(path: &Path, error: std::io::Error) -> LmError {
    let dir = path.parent().unwrap_or(path);
    match pickled_in(dir).filter(|_| error.kind() == std::io::ErrorKind::NotFound) {
        Some(reason) => LmError::file(dir, reason),
        None => LmError::io(path)(error),
    }
}

/// Appends little-endian floats of a type that [`TensorFile::read`] accepts.
fn extend(values: &mut Vec<f32>, dtype: Dtype, bytes: &[u8]) {
    let pairs = bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    match dtype {
        Dtype::F16 => values.extend(pairs.map(|b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => values.extend(pairs.map(|b| bf16::from_le_bytes(b).to_f32())),
        _ => values
            .extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
    }
}

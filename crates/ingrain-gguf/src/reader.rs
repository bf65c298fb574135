//! Reading little-endian fields out of a byte slice, with every length checked first.

use std::path::Path;

use crate::GgufError;

/// Walks over the header. Knows the file's name for messages, nothing of the format.
pub(crate) struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Bytes from here to the end of the file.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// An error about `field` at the current position.
    pub(crate) fn malformed(&self, field: &str, problem: impl Into<String>) -> GgufError {
        GgufError::Malformed {
            path: self.path.to_path_buf(),
            field: field.to_owned(),
            offset: self.position,
            problem: problem.into(),
        }
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, field: &str, len: u64) -> Result<&'a [u8], GgufError> {
        let available = self.remaining();
        match usize::try_from(len) {
            Ok(len) if len <= available => {
                let bytes = &self.bytes[self.position..self.position + len];
                self.position += len;
                Ok(bytes)
            }
            _ => {
                Err(self
                    .malformed(field, format!("needs {len} bytes, the file has {available} more")))
            }
        }
    }

    pub(crate) fn fixed<const N: usize>(&mut self, field: &str) -> Result<[u8; N], GgufError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(field, N as u64)?);
        Ok(out)
    }

    pub(crate) fn u32(&mut self, field: &str) -> Result<u32, GgufError> {
        self.fixed(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: &str) -> Result<u64, GgufError> {
        self.fixed(field).map(u64::from_le_bytes)
    }

    /// A count of things that each take at least `min_bytes`: refused when they cannot fit.
    pub(crate) fn count(
        &self,
        field: &str,
        count: u64,
        min_bytes: u64,
    ) -> Result<usize, GgufError> {
        let room = self.remaining() as u64 / min_bytes;
        match usize::try_from(count) {
            Ok(count) if count as u64 <= room => Ok(count),
            _ => Err(self.malformed(
                field,
                format!("promises {count} entries, the rest of the file has room for {room}"),
            )),
        }
    }

    /// A length and that many bytes of UTF-8, at most `max_len`.
    pub(crate) fn string(&mut self, field: &str, max_len: u64) -> Result<&'a str, GgufError> {
        let len = self.u64(field)?;
        if len > max_len {
            return Err(self
                .malformed(field, format!("is {len} bytes long, at most {max_len} are allowed")));
        }
        let bytes = self.take(field, len)?;
        std::str::from_utf8(bytes)
            .map_err(|error| self.malformed(field, format!("is not UTF-8: {error}")))
    }
}

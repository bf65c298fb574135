//! Configurations and other small files, read in bounded memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::LmError;

/// The largest configuration or index accepted, in bytes; the index of a model of a thousand shards has
/// about 10 MB.
const MAX_BYTES: u64 = 64 << 20;

/// The text of a file that has no reason to be large: a configuration, an index.
///
/// # Errors
/// [`LmError::Io`] if it cannot be read or is no UTF-8, [`LmError::File`] if it is too large.
pub fn read(path: &Path) -> Result<String, LmError> {
    let file = File::open(path).map_err(LmError::io(path))?;
    let mut text = String::new();
    // Not by the size that the system tells: what is no regular file has none.
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(LmError::io(path))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(LmError::file(path, format!("is larger than {MAX_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, read};

    #[test]
    fn a_file_without_end_is_refused_in_bounded_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("config.json") && message.contains("larger"), "{message}");
        file.set_len(MAX_BYTES).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, MAX_BYTES);
    }
}

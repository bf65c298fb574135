//! Content hashes, and seeds that depend on nothing but what they are for.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::RunError;

/// SHA-256 as 64 lower-case hexadecimal digits.
///
/// # Examples
/// ```
/// assert_eq!(
///     ingrain_run::sha256_hex(b"abc"),
///     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
/// );
/// ```
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The beginning of a text's SHA-256: short enough to keep millions in memory. Two of ten million texts
/// share it with a chance of 4e-11.
pub(crate) type KeyHash = [u8; 10];

pub(crate) fn short_hash(text: &str) -> KeyHash {
    let mut short = KeyHash::default();
    let len = short.len();
    short.copy_from_slice(&Sha256::digest(text.as_bytes())[..len]);
    short
}

/// SHA-256 of a file, read in pieces.
///
/// # Errors
/// [`RunError::Io`] if it cannot be read.
pub fn sha256_file(path: impl AsRef<Path>) -> Result<String, RunError> {
    let path = path.as_ref();
    let mut file = File::open(path).map_err(|e| RunError::io(path, "read", e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        let n = file.read(&mut buffer).map_err(|e| RunError::io(path, "read", e))?;
        if n == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..n]);
    }
}

/// The seed of one unit of work: a hash of the run's seed, the stage's name and the unit's index.
///
/// Units get unrelated seeds, and a resumed stage gives each unit the seed it had before.
///
/// # Examples
/// ```
/// use ingrain_run::derive_seed;
///
/// assert_eq!(derive_seed(1, "student", 7), derive_seed(1, "student", 7));
/// assert_ne!(derive_seed(1, "student", 7), derive_seed(1, "student", 8));
/// assert_ne!(derive_seed(1, "student", 7), derive_seed(1, "teacher", 7));
/// ```
#[must_use]
pub fn derive_seed(run_seed: u64, stage: &str, index: u64) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(run_seed.to_le_bytes());
    hasher.update((stage.len() as u64).to_le_bytes());
    hasher.update(stage.as_bytes());
    hasher.update(index.to_le_bytes());
    let digest = hasher.finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_hash_equals_hash_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(sha256_file(&path).unwrap(), sha256_hex(&bytes));
    }

    #[test]
    fn stage_name_and_index_do_not_run_into_each_other() {
        assert_ne!(derive_seed(0, "a", 0), derive_seed(0, "a\0", 0));
    }
}

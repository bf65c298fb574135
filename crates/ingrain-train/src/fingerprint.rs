//! Short names for settings and data, to tell whether two runs are the same.

/// SHA-256 of the parts, as 64 hexadecimal digits. The lengths of the parts count, so that moving
/// a character from one part to the next changes the result.
///
/// # Examples
/// ```
/// use ingrain_train::fingerprint;
///
/// assert_eq!(fingerprint(["a", "b"]), fingerprint(["a", "b"]));
/// assert_ne!(fingerprint(["ab", ""]), fingerprint(["a", "b"]));
/// assert_eq!(fingerprint(["a"]).len(), 64);
/// ```
#[must_use]
pub fn fingerprint<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        let part = part.as_ref();
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    ingrain_run::sha256_hex(&bytes)
}

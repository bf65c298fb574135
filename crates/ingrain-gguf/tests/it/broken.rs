//! Broken and hostile files: always an error that names the field, never a crash.

use ingrain_gguf::{GgufError, GgufFile};
use proptest::prelude::*;

use crate::write::{Writer, array, string, valid};

#[track_caller]
fn check(bytes: Vec<u8>, words: &[&str]) {
    let error = GgufFile::from_bytes(bytes).expect_err("a broken file").to_string();
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

fn header(version: u32, tensors: u64, keys: u64) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(version.to_le_bytes());
    out.extend(tensors.to_le_bytes());
    out.extend(keys.to_le_bytes());
    out
}

#[test]
fn other_files_versions_and_byte_orders_are_named() {
    check(b"PK\x03\x04 something else".to_vec(), &["not a readable GGUF file", "PK\\x03\\x04"]);
    check(b"GG".to_vec(), &["2 bytes"]);
    check(header(1, 0, 0), &["version 1"]);
    check(header(9, 0, 0), &["version 9"]);
    check(header(3 << 24, 0, 0), &["big-endian"]);
    assert_eq!(GgufFile::from_bytes(header(2, 0, 0)).unwrap().version(), 2);
}

#[test]
fn counts_beyond_the_file_are_refused_before_any_allocation() {
    check(header(3, 0, u64::MAX), &["metadata count", "18446744073709551615"]);
    check(header(3, u64::MAX / 2, 0), &["tensor count"]);
    let long = Writer::default().key("k", 9, &array(4, 1 << 61, &[])).finish();
    check(long, &["metadata key \"k\"", "promises"]);
    let strings = Writer::default().key("k", 9, &array(8, 1 << 40, &[])).finish();
    check(strings, &["metadata key \"k\"", "promises"]);
    let text = Writer::default().key("k", 8, &(1_u64 << 50).to_le_bytes()).finish();
    check(text, &["metadata key \"k\"", "needs 1125899906842624 bytes"]);
}

#[test]
fn bad_values_are_refused_by_key() {
    check(Writer::default().key("k", 13, &[]).finish(), &["\"k\"", "unknown value type 13"]);
    check(Writer::default().key("k", 7, &[2]).finish(), &["\"k\"", "truth value"]);
    let text = [&2_u64.to_le_bytes()[..], &[0xFF, 0xFE]].concat();
    check(Writer::default().key("k", 8, &text).finish(), &["\"k\"", "UTF-8"]);
    check(Writer::default().u32("k", 1).u32("k", 2).finish(), &["\"k\"", "listed twice"]);
    let deep = (0..5).fold(array(0, 0, &[]), |inner, _| array(9, 1, &inner));
    check(Writer::default().key("k", 9, &deep).finish(), &["\"k\"", "nested"]);
    let mut long_key = header(3, 0, 1);
    long_key.extend(string(&"k".repeat(70_000)));
    check(long_key, &["metadata key 0", "70000"]);
}

#[test]
fn a_bad_alignment_is_refused() {
    for bad in [0, 3, u32::MAX, 1 << 31] {
        let bytes = Writer::default().u32("general.alignment", bad).finish();
        check(bytes, &["general.alignment", "power of two"]);
    }
    check(Writer::default().text("general.alignment", "32").finish(), &["expected a u32"]);
}

#[test]
fn absurd_shapes_and_types_are_refused_by_tensor() {
    let one = |dims: &[u64], kind| Writer::default().tensor("t", dims, kind, vec![0; 64]).finish();
    check(one(&[u64::MAX, 2], 0), &["tensor \"t\"", "overflow"]);
    check(one(&[1 << 40, 1 << 40, 1 << 40], 0), &["tensor \"t\"", "overflow"]);
    check(one(&[0, 4], 0), &["tensor \"t\"", "dimension 0 is 0"]);
    check(one(&[1, 1, 1, 1, 1], 0), &["tensor \"t\"", "5 dimensions"]);
    check(one(&[16], 4), &["tensor \"t\"", "unknown type number 4"]);
    check(one(&[33], 8), &["tensor \"t\"", "Q8_0", "block of 32"]);
    check(one(&[17], 0), &["tensor \"t\"", "needs 68 bytes"]);
}

#[test]
fn tensors_that_overlap_repeat_or_stand_askew_are_refused() {
    let two =
        || Writer::default().tensor("a", &[16], 0, vec![0; 64]).tensor("b", &[16], 0, vec![0; 64]);
    check(two().finish_at(&[0, 32]), &["tensor \"b\"", "lies over tensor \"a\""]);
    check(two().finish_at(&[0, 0]), &["lies over"]);
    check(two().finish_at(&[0, 65]), &["tensor \"b\"", "offset 65"]);
    check(two().finish_at(&[0, u64::MAX - 31]), &["tensor \"b\"", "needs 64 bytes"]);
    check(two().finish_at(&[96, 0]), &["tensor \"a\""]);
    let twice = Writer::default().tensor("a", &[1], 0, vec![0; 4]).tensor("a", &[1], 0, vec![0; 4]);
    check(twice.finish(), &["tensor \"a\"", "listed twice"]);
    assert!(GgufFile::from_bytes(two().finish_at(&[64, 0])).is_ok());
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let whole = valid().finish();
    assert!(GgufFile::from_bytes(whole.clone()).is_ok());
    for len in 0..whole.len() {
        assert!(GgufFile::from_bytes(whole[..len].to_vec()).is_err(), "cut to {len} bytes");
    }
}

/// Reads everything there is to read.
fn exhaust(file: &GgufFile) {
    for (_, value) in file.metadata_entries() {
        let _ = format!("{value:?}");
    }
    for tensor in file.tensors() {
        match file.dequantize(tensor.name()) {
            Ok(values) => assert_eq!(values.len(), tensor.elements()),
            Err(error) => assert!(matches!(error, GgufError::UnsupportedType { .. }), "{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn changed_bytes_end_in_an_error_or_a_readable_file(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = valid().finish();
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(file) = GgufFile::from_bytes(bytes) {
            exhaust(&file);
        }
    }

    #[test]
    fn large_numbers_in_any_field_end_in_an_error_or_a_readable_file(
        index in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![u64::MAX, u64::MAX - 31, 1 << 63, 1 << 62, 1 << 32, u64::from(u32::MAX), 0]),
    ) {
        let mut bytes = valid().finish();
        let at = index.index(bytes.len() - 8);
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        if let Ok(file) = GgufFile::from_bytes(bytes) {
            exhaust(&file);
        }
    }

    #[test]
    fn any_bytes_behind_the_magic_end_in_an_error_or_a_readable_file(
        tail in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        let mut bytes = header(3, 1, 1);
        bytes.extend(tail);
        if let Ok(file) = GgufFile::from_bytes(bytes) {
            exhaust(&file);
        }
    }
}

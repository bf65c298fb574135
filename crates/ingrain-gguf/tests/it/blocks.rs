//! Dequantised blocks against the Python package `gguf`.

use std::collections::BTreeMap;

use ingrain_gguf::{GgmlType, GgufError, GgufFile};

use crate::write::Writer;

/// Made by `tests/fixtures/block_hashes.py`.
const EXPECTED: &str = include_str!("../fixtures/block_hashes.txt");
const BLOCKS: usize = 512;

fn splitmix(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::new();
    while out.len() < count {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        out.extend((z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(count);
    out
}

fn fnv(values: &[f32]) -> u64 {
    values
        .iter()
        .flat_map(|v| if v.is_nan() { 0x7FC0_0000_u32 } else { v.to_bits() }.to_le_bytes())
        .fold(0xCBF2_9CE4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

fn file_of(dtype: GgmlType) -> GgufFile {
    let data = splitmix(u64::from(dtype.id()), BLOCKS * dtype.block_bytes());
    let dims = [(BLOCKS / 4 * dtype.block_len()) as u64, 4];
    let bytes = Writer::default().tensor("t", &dims, dtype.id(), data).finish();
    GgufFile::from_bytes(bytes).expect("a valid file")
}

#[test]
fn blocks_of_every_type_equal_the_reference_bit_for_bit() {
    let mut expected = BTreeMap::new();
    for line in EXPECTED.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, len, bytes, hash] = fields[..] else { panic!("line {line:?}") };
        expected.insert(name, (len.parse().unwrap(), bytes.parse().unwrap(), hash));
    }
    assert_eq!(expected.len(), 26);
    let mut seen = 0;
    for &dtype in GgmlType::ALL {
        let Some(&(len, bytes, hash)) = expected.get(dtype.name()) else { continue };
        assert_eq!((dtype.block_len(), dtype.block_bytes()), (len, bytes), "{dtype}");
        let values = file_of(dtype).dequantize("t").expect("a known type");
        assert_eq!(format!("{:016x}", fnv(&values)), hash, "{dtype}");
        seen += 1;
    }
    assert_eq!(seen, 26);
}

// Large tensors are worked on in pieces of some MiB, whose ends are those of no page.
#[test]
fn a_tensor_of_several_pieces_has_the_elements_of_its_parts() {
    for dtype in [GgmlType::Q4_0, GgmlType::Q6_K, GgmlType::F32] {
        let part = splitmix(7, BLOCKS * dtype.block_bytes());
        let times = 10_000_000 / part.len();
        let dims = [(BLOCKS * dtype.block_len()) as u64, times as u64];
        let bytes = Writer::default().tensor("t", &dims, dtype.id(), part.repeat(times)).finish();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.gguf");
        std::fs::write(&path, bytes).unwrap();
        let whole = GgufFile::open(&path).unwrap().dequantize("t").unwrap();
        let dims = [dims[0], 1];
        let bytes = Writer::default().tensor("t", &dims, dtype.id(), part).finish();
        let one = GgufFile::from_bytes(bytes).unwrap().dequantize("t").unwrap();
        assert_eq!(whole.len(), one.len() * times);
        for values in whole.chunks(one.len()) {
            let same = values.iter().zip(&one).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{dtype}");
        }
    }
}

#[test]
fn types_without_a_reference_are_refused_by_name() {
    for dtype in [GgmlType::Q8_1, GgmlType::Q8_K, GgmlType::Q1_0] {
        let error = file_of(dtype).dequantize("t").unwrap_err();
        assert!(matches!(error, GgufError::UnsupportedType { .. }));
        let text = error.to_string();
        assert!(text.contains(dtype.name()) && text.contains("\"t\""), "{text}");
    }
}

#[test]
fn integers_and_doubles_become_the_nearest_f32() {
    let bytes = Writer::default()
        .tensor("i8", &[2], 24, vec![0x80, 0x7F])
        .tensor("i16", &[1], 25, (-300_i16).to_le_bytes().to_vec())
        .tensor("i64", &[1], 27, (1_i64 << 40).to_le_bytes().to_vec())
        .tensor("f64", &[1], 28, 0.1_f64.to_le_bytes().to_vec())
        .finish();
    let file = GgufFile::from_bytes(bytes).unwrap();
    assert_eq!(file.dequantize("i8").unwrap(), [-128.0, 127.0]);
    assert_eq!(file.dequantize("i16").unwrap(), [-300.0]);
    assert_eq!(file.dequantize("i64").unwrap(), [1_099_511_627_776.0]);
    assert_eq!(file.dequantize("f64").unwrap(), [0.1_f32]);
}

#[test]
fn output_of_another_length_is_refused() {
    let error = file_of(GgmlType::F32).dequantize_into("t", &mut [0.0; 3]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "<memory>: tensor \"t\" has 512 elements, the output has room for 3"
    );
}

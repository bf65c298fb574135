//! Control vectors on disk.

use std::collections::BTreeMap;

use ingrain_gguf::{GgufFile, GgufWriter};
use ingrain_steering::{ControlVector, SteeringError};

fn vector() -> ControlVector {
    let directions = BTreeMap::from([(3, vec![0.5, -0.25, 1e-8]), (11, vec![0.0, 1.0, -1.0])]);
    ControlVector { model_hint: "llama".to_owned(), directions }
}

#[test]
fn a_vector_survives_its_file_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.gguf");
    vector().save(&path).unwrap();
    assert_eq!(ControlVector::load(&path).unwrap(), vector());
}

#[test]
fn the_file_has_the_keys_and_names_that_repeng_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.gguf");
    vector().save(&path).unwrap();
    let file = GgufFile::open(&path).unwrap();
    assert_eq!(file.require::<&str>("general.architecture").unwrap(), "controlvector");
    assert_eq!(file.require::<&str>("controlvector.model_hint").unwrap(), "llama");
    assert_eq!(file.require::<u32>("controlvector.layer_count").unwrap(), 2);
    let names: Vec<&str> = file.tensors().map(|tensor| tensor.name()).collect();
    assert_eq!(names, ["direction.3", "direction.11"]);
}

#[test]
fn a_file_in_the_form_of_repeng_made_with_the_gguf_package_is_read() {
    // Written by `fixtures/make_control_vector.py` with the `gguf` package, in the form that repeng's export gives a file.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/steering/repeng.gguf");
    let read = ControlVector::load(path).unwrap();
    assert_eq!(read.model_hint, "llama");
    assert_eq!(read.directions.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(read.directions[&1], [0.0, 0.125, 0.25, 0.375]);
    assert_eq!(read.directions[&2], [-1.0, -0.5, 0.5, 1.0]);
}

#[test]
fn what_is_no_control_vector_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    let of = |kind: &str| GgufWriter::new().text("general.architecture", kind);
    for (bytes, says) in [
        (of("llama").finish(), "\"llama\"; expected \"controlvector\""),
        (of("controlvector").finish(), "no direction"),
        (of("controlvector").tensor("weights.1", &[1], &[1.0]).finish(), "weights.1"),
        (of("controlvector").tensor("direction.x", &[1], &[1.0]).finish(), "direction.x"),
        (of("controlvector").tensor("direction.9999999", &[1], &[1.0]).finish(), "direction.9"),
        (of("controlvector").tensor("direction.1", &[1, 1], &[1.0]).finish(), "[1, 1]"),
        (of("controlvector").tensor("direction.1", &[1], &[f32::NAN]).finish(), "no number"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = ControlVector::load(&path).unwrap_err();
        assert!(matches!(error, SteeringError::File { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    std::fs::write(&path, b"GGUF").unwrap();
    assert!(matches!(ControlVector::load(&path), Err(SteeringError::Gguf(_))));
}

//! Directories that hold no encoder that can be run: every error names the file and the way out.

use std::fs;
use std::path::Path;

use ingrain_classifier::{Encoder, EncoderSource};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use tempfile::TempDir;

use crate::fixture::{device, path};

fn copy_of(model: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(path(model).join(file), dir.path().join(file)).unwrap();
    }
    dir
}

#[track_caller]
fn check(dir: &Path, words: &[&str]) {
    let message = Encoder::load(dir, &device()).unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
}

fn with_config(model: &str, from: &str, to: &str, words: &[&str]) {
    let dir = copy_of(model);
    let file = dir.path().join("config.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(&file, text.replace(from, to)).unwrap();
    check(dir.path(), words);
}

/// The tensors of a model, each as `change` leaves it; `None` removes it.
fn with_weights(change: impl Fn(&str, Vec<u8>) -> Option<(String, Vec<u8>)>, words: &[&str]) {
    let dir = copy_of("bert");
    let file = dir.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let changed: Vec<_> = tensors
        .iter()
        .filter_map(|(name, view)| {
            let (name, data) = change(name, view.data().to_vec())?;
            Some((name, view.dtype(), view.shape().to_vec(), data))
        })
        .collect();
    let views = changed.iter().map(|(name, dtype, shape, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    check(dir.path(), words);
}

#[test]
fn configurations_that_mean_no_encoder_are_named() {
    with_config(
        "bert",
        "\"bert\"",
        "\"llama\"",
        &["config.json", "model_type is \"llama\"", "modernbert"],
    );
    with_config(
        "bert",
        "\"hidden_size\": 32",
        "\"hidden_width\": 32",
        &["config.json", "hidden_size"],
    );
    with_config("bert", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"mish\"", &["mish"]);
    with_config("bert", "\"is_decoder\": false", "\"is_decoder\": true", &["is_decoder"]);
    with_config("bert", "_heads\": 4", "_heads\": 5", &["cannot be split into 5 heads"]);
    with_config("bert", "_heads\": 4", "_heads\": 0", &["num_attention_heads is 0"]);
    with_config("bert", "_layers\": 2", "_layers\": 9000000", &["num_hidden_layers"]);
    with_config(
        "bert",
        "\"pad",
        "\"position_embedding_type\": \"relative_key\", \"pad",
        &["absolute"],
    );
    with_config("modernbert", "_layers\": 4", "_layers\": 3", &["layer_types names 4 blocks"]);
    with_config("modernbert", "_layers\": 4", "_layers\": 90000000000", &["layer_types names"]);
    with_config("modernbert", "\"default\"", "\"yarn\"", &["rope_type is \"yarn\""]);
    with_config("modernbert", "160000.0", "-1.0", &["rope_theta is -1"]);
}

#[test]
fn weights_that_do_not_fit_the_configuration_are_named() {
    with_config("bert", "_layers\": 2", "_layers\": 3", &["encoder.layer.2", "missing"]);
    with_config(
        "bert",
        "_layers\": 2",
        "_layers\": 1",
        &["holds encoder.layer.1", "does not have"],
    );
    with_config(
        "bert",
        "\"vocab_size\": 120",
        "\"vocab_size\": 121",
        &["word_embeddings", "shape"],
    );
    let norm = "encoder.layer.1.output.LayerNorm.bias";
    with_weights(
        |name, data| (name != norm).then(|| (name.to_owned(), data)),
        &["LayerNorm.beta", "missing"],
    );
    let poisoned = |name: &str, mut data: Vec<u8>| {
        if name == norm {
            data[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        Some((name.to_owned(), data))
    };
    with_weights(poisoned, &[norm, "value 1 is NaN"]);
}

#[test]
fn norms_under_their_older_names_are_read() {
    let dir = copy_of("bert");
    let file = dir.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let older = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let views: Vec<_> = tensors.iter().map(|(name, view)| (older(name), view)).collect();
    fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    Encoder::load(dir.path(), &device()).unwrap();
}

#[test]
fn a_source_that_is_no_encoder_is_refused_with_what_would_be() {
    for spec in ["model.gguf", "smollm2-135m-instruct", "no such thing"] {
        let message = spec.parse::<EncoderSource>().unwrap_err().to_string();
        assert!(message.contains(spec) && message.contains("all-minilm-l6-v2"), "{message}");
    }
}

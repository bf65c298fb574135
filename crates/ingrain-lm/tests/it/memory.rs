//! Loading needs little memory beside the weights themselves.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use crate::fixture::try_load;

const VOCAB: usize = 16_384;
const HIDDEN: usize = 512;
const INNER: usize = 1536;
const LAYERS: usize = 5;

/// Not a test of its own: loads in a process whose memory is its own to measure.
#[test]
#[ignore = "started by the other test of this module"]
fn load_and_measure() {
    let before = status("VmRSS");
    let model = try_load(Path::new(&std::env::var("INGRAIN_TEST_MODEL").unwrap())).unwrap();
    let weights = 4 * model.num_parameters() as u64;
    println!("<<{}>>", (status("VmHWM") - before) as f64 / weights as f64);
}

/// A line of this process's status, in bytes.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// A model of 130 MB in f32.
fn write(dir: &Path, dtype: Dtype) {
    let config = json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 8,
        "tie_word_embeddings": true,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let mut shapes = vec![
        ("model.embed_tokens".to_owned(), vec![VOCAB, HIDDEN]),
        ("model.norm".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        let mut add = |name: &str, shape: &[usize]| {
            shapes.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
        };
        for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            add(&format!("self_attn.{name}"), &[HIDDEN, HIDDEN]);
        }
        add("mlp.gate_proj", &[INNER, HIDDEN]);
        add("mlp.up_proj", &[INNER, HIDDEN]);
        add("mlp.down_proj", &[HIDDEN, INNER]);
        add("input_layernorm", &[HIDDEN]);
        add("post_attention_layernorm", &[HIDDEN]);
    }
    let bytes = vec![0; 4 * VOCAB * HIDDEN];
    let width = if dtype == Dtype::F32 { 4 } else { 2 };
    let views = shapes.iter().map(|(name, shape)| {
        let len = width * shape.iter().product::<usize>();
        let view = TensorView::new(dtype, shape.clone(), &bytes[..len]).unwrap();
        (format!("{name}.weight"), view)
    });
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(dir.join("model.safetensors"), file).unwrap();
}

#[test]
fn loading_peaks_at_a_fifth_more_than_the_weights() {
    for dtype in [Dtype::F32, Dtype::BF16] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), dtype);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::load_and_measure", "--ignored", "--nocapture"])
            .env("INGRAIN_TEST_MODEL", dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, rest) = text.split_once("<<").unwrap_or_else(|| panic!("no answer in {text:?}"));
        let peak: f64 = rest.split_once(">>").unwrap().0.parse().unwrap();
        assert!((1.0..1.2).contains(&peak), "{dtype:?}: {peak} times the weights");
    }
}

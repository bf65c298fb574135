//! Loading needs little memory beside the weights themselves.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use ingrain_gguf::GgufWriter;
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

/// Names and shapes of a model of 160 MB in f32, a fifth of it in the head.
fn shapes() -> Vec<(String, Vec<usize>)> {
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
    shapes.push(("lm_head".to_owned(), vec![VOCAB, HIDDEN]));
    shapes
}

fn write_directory(dir: &Path, dtype: Dtype) {
    let config = json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 8,
        "tie_word_embeddings": false,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let bytes = vec![0; 4 * VOCAB * HIDDEN];
    let width = if dtype == Dtype::F32 { 4 } else { 2 };
    let shapes = shapes();
    let views = shapes.iter().map(|(name, shape)| {
        let len = width * shape.iter().product::<usize>();
        let view = TensorView::new(dtype, shape.clone(), &bytes[..len]).unwrap();
        (format!("{name}.weight"), view)
    });
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(dir.join("model.safetensors"), file).unwrap();
}

fn write_gguf(path: &Path) {
    let mut writer = GgufWriter::new()
        .text("general.architecture", "llama")
        .u32("llama.embedding_length", HIDDEN as u32)
        .u32("llama.feed_forward_length", INNER as u32)
        .u32("llama.block_count", LAYERS as u32)
        .u32("llama.attention.head_count", 8)
        .u32("llama.context_length", 2048)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
    let names = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers.", "blk."),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.", "attn_"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.", "ffn_"),
        ("_proj", ""),
    ];
    let values = vec![0.0; VOCAB * HIDDEN];
    for (name, shape) in shapes() {
        let name = names.iter().fold(name, |name, (from, to)| name.replace(from, to));
        let count: usize = shape.iter().product();
        writer = writer.tensor(&format!("{name}.weight"), &shape, &values[..count]);
    }
    std::fs::write(path, writer.finish()).unwrap();
}

/// Loads in a process of its own: peak memory over that of the weights.
fn peak(model: &Path) -> f64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::load_and_measure", "--ignored", "--nocapture"])
        .env("INGRAIN_TEST_MODEL", model)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = text.split_once("<<").unwrap_or_else(|| panic!("no answer in {text:?}"));
    rest.split_once(">>").unwrap().0.parse().unwrap()
}

#[test]
fn loading_a_directory_peaks_at_a_fifth_more_than_the_weights() {
    for dtype in [Dtype::F32, Dtype::BF16] {
        let dir = tempfile::tempdir().unwrap();
        write_directory(dir.path(), dtype);
        let peak = peak(dir.path());
        assert!((1.0..1.2).contains(&peak), "{dtype:?}: {peak} times the weights");
    }
}

// In f32 the file is as large as the weights, and mapped: what was read must not stay.
#[test]
fn loading_a_gguf_file_peaks_at_a_fifth_more_than_the_weights() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("model.gguf");
    write_gguf(&file);
    let peak = peak(&file);
    assert!((1.0..1.2).contains(&peak), "{peak} times the weights");
}

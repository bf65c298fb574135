//! Logits of whole sequences, against transformers.

use burn::tensor::{Tensor, TensorData};
use ingrain_lm::CausalLm;

use crate::fixture::{
    MODELS, assert_close, copy, difference, ids, json, logits, path, tensors, tiny, try_load,
    values,
};

const TOLERANCE: f32 = 1e-4;

/// Every sequence of the fixture by itself.
#[track_caller]
fn check(name: &str, model: &CausalLm) {
    let expected = tensors(&path("tiny_models").join(name).join("expected.safetensors"));
    let sequences = json(&format!("tiny_models/{name}/expected.json"))["sequences"].clone();
    let sequences = sequences.as_array().unwrap();
    assert_eq!(sequences.len(), expected.len());
    for (index, sequence) in sequences.iter().enumerate() {
        let found = logits(model, &ids(sequence), None);
        assert_close(name, &found, &expected[&format!("logits.{index}")], TOLERANCE);
    }
}

#[test]
fn logits_equal_those_of_transformers() {
    for name in MODELS {
        check(name, &tiny(name));
    }
}

#[test]
fn the_older_layout_of_config_json_means_the_same_model() {
    for name in MODELS {
        let dir = copy(&format!("tiny_models/{name}"));
        std::fs::rename(dir.path().join("config.legacy.json"), dir.path().join("config.json"))
            .unwrap();
        let model = try_load(dir.path()).unwrap();
        assert_eq!(model.config(), tiny(name).config());
        check(name, &model);
    }
}

#[test]
fn a_head_that_the_file_leaves_out_is_the_embedding() {
    let dir = copy("tiny_models/llama_tied");
    let config = dir.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let untied = text.replace("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    assert_ne!(text, untied);
    std::fs::write(&config, untied).unwrap();
    check("llama_tied", &try_load(dir.path()).unwrap());
}

#[test]
fn right_padding_changes_no_logit() {
    for name in MODELS {
        let model = tiny(name);
        let sequences = json(&format!("tiny_models/{name}/expected.json"))["sequences"].clone();
        let sequences: Vec<Vec<u32>> = sequences.as_array().unwrap().iter().map(ids).collect();
        let width = sequences.iter().map(Vec::len).max().unwrap();
        // Pads of an arbitrary token: no value of theirs may reach a real position.
        let padded = |row: &Vec<u32>| {
            let mut row: Vec<i32> = row.iter().map(|&id| id as i32).collect();
            row.resize(width, 7);
            row
        };
        let batch: Vec<i32> = sequences.iter().flat_map(padded).collect();
        let batch = TensorData::new(batch, [sequences.len(), width]);
        let found = values(model.logits(Tensor::from_data(batch, &crate::fixture::device()), None));
        let vocab = model.config().vocab_size;
        for (index, sequence) in sequences.iter().enumerate() {
            let start = index * width * vocab;
            let row = &found[start..start + sequence.len() * vocab];
            assert_close(name, row, &logits(&model, sequence, None), TOLERANCE);
        }
    }
}

#[test]
fn a_token_sees_nothing_of_what_follows_it() {
    let model = tiny("llama_tied");
    let (short, long) =
        (logits(&model, &[5, 9, 200], None), logits(&model, &[5, 9, 200, 17, 3], None));
    assert_close("prefix", &long[..short.len()], &short, TOLERANCE);
    let other = logits(&model, &[5, 10, 200], None);
    assert!(difference(&short, &other) > 0.1, "the tokens before it do matter");
}

#[test]
fn llama_3_scaling_stretches_the_rotary_frequencies() {
    let (scaled, plain) = (tiny("llama3_scaled"), tiny("llama_tied"));
    assert!(scaled.config().rope_scaling.is_some());
    assert!(plain.config().rope_scaling.is_none());
}

#[test]
fn what_reads_images_is_left_out_and_reported() {
    let model = tiny("gemma3_multimodal");
    assert!(model.config().nested);
    let skipped = model.skipped_tensors();
    assert_eq!(skipped.len(), 34);
    let vision = |name: &String| {
        name.starts_with("vision_tower.") || name.starts_with("multi_modal_projector.")
    };
    assert!(skipped.iter().all(vision), "{skipped:?}");
    assert!(tiny("gemma3_text").skipped_tensors().is_empty());
}

#[test]
fn the_newer_nesting_of_names_means_the_same_model() {
    use safetensors::tensor::TensorView;
    let dir = copy("tiny_models/gemma3_multimodal");
    let file = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let views = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let renamed: Vec<(String, TensorView<'_>)> = views
        .tensors()
        .into_iter()
        .map(|(name, view)| match name.strip_prefix("language_model.model.") {
            Some(rest) => (format!("model.language_model.{rest}"), view),
            None => (format!("model.{name}"), view),
        })
        .collect();
    std::fs::write(&file, safetensors::serialize(renamed, None).unwrap()).unwrap();
    check("gemma3_multimodal", &try_load(dir.path()).unwrap());
}

#[test]
fn files_say_what_they_hold_without_reading_it() {
    use ingrain_lm::{Family, ModelSource};
    let files = |name: &str| {
        let source: ModelSource = path(name).to_str().unwrap().parse().unwrap();
        source.resolve(&ingrain_run::Silent).unwrap()
    };
    let gguf = files("gguf/llama_tied.q4_0.gguf");
    let types = gguf.stored_types().unwrap();
    // Two layers of seven matrices, and the embedding; two norms a layer and the last one.
    assert_eq!((types["Q4_0"].tensors, types["F32"].tensors), (15, 5));
    assert_eq!(types["F32"].bytes, 5 * 64 * 4);
    assert_eq!(gguf.config().unwrap().family, Family::Llama);
    let sharded = files("tiny_models/llama3_scaled");
    let types = sharded.stored_types().unwrap();
    let model = tiny("llama3_scaled");
    assert_eq!(types["F32"].bytes, 4 * model.num_parameters() as u64);
    assert_eq!(&sharded.config().unwrap(), model.config());
}

//! Rows that come and go: refilled slots, shared beginnings, several variants, choices, stop texts.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::Device;
use ingrain_chat::{FinishReason, Sampling};
use ingrain_lm::{
    Adapter, Batch, CausalLm, Generation, Generator, LocalModel, ModelSource, Prompt, ReplyText,
    Steering, TokenBatch, TokenSequence, Variant,
};
use ingrain_run::{Interrupt, Silent};
use ingrain_tokenizer::ChatTokenizer;

use crate::fixture::{adapter, assert_close, assert_says, path, tiny, values};

/// Ids of the tiny models' vocabulary, of no meaning.
fn ids(from: u32, len: u32) -> Vec<u32> {
    (0..len).map(|i| (from + 7 * i) % 300 + 5).collect()
}

fn prompt(ids: Vec<u32>, seed: u64, max_new_tokens: usize) -> Prompt {
    Prompt::new(ids, Sampling { seed, max_new_tokens, ..Sampling::default() })
}

fn alone(model: &CausalLm, adapter: Option<&Adapter>, prompt: &Prompt) -> Generation {
    let interrupt = Interrupt::new();
    let generator =
        Generator { model, overlay: adapter.into(), stop_ids: &[], max_batch: 1, interrupt };
    let mut reply = None;
    let take = &mut |_, generation| reply = Some(generation);
    generator.run(std::slice::from_ref(prompt), &|_, _| false, take).unwrap();
    reply.unwrap()
}

/// Steps until nothing is left, admitting `later` as soon as there is room.
fn drain(mut batch: Batch, later: Vec<Prompt>) -> BTreeMap<u64, Generation> {
    let mut replies = BTreeMap::new();
    let mut later = later.into_iter().enumerate();
    loop {
        for (id, prompt) in later.by_ref().take(batch.room()) {
            batch.admit(id as u64, prompt).unwrap();
        }
        if batch.is_empty() {
            return replies;
        }
        batch.step(&mut |_, _, _| ControlFlow::Continue(()), &mut |id, generation| {
            assert!(replies.insert(id, generation).is_none(), "answered twice");
        });
    }
}

fn empty(model: &CausalLm, rows: usize) -> Batch {
    Batch::new(model, Variant::new(None), &[], rows, 4)
}

#[test]
fn a_refilled_slot_serves_its_new_row_as_a_fresh_one_would() {
    let model = tiny("llama_tied");
    // Lengths of prompts and replies that never end together, a cache that has to grow.
    let prompts: Vec<Prompt> = (0..11)
        .map(|i| prompt(ids(31 * i, 2 + 9 * i % 40), u64::from(i), 3 + (5 * i as usize) % 17))
        .collect();
    let replies = drain(empty(&model, 3), prompts.clone());
    for (index, prompt) in prompts.iter().enumerate() {
        assert_eq!(replies[&(index as u64)].token_ids, alone(&model, None, prompt).token_ids);
    }
}

#[test]
fn prompts_that_begin_alike_give_the_replies_of_prompts_read_by_themselves() {
    let model = tiny("llama3_scaled");
    let system = ids(3, 40);
    let question = |i: u32| [system.clone(), ids(100 + 11 * i, 1 + 5 * i)].concat();
    // The same prompt with two seeds, others with the same beginning, one inside another, one unlike.
    let mut prompts: Vec<Prompt> = (0..5).map(|i| prompt(question(i), u64::from(i), 12)).collect();
    prompts.push(prompt(question(4), 9, 12));
    prompts.push(prompt(system.clone(), 5, 12));
    prompts.push(prompt(ids(77, 30), 6, 12));
    for rows in [2, 8] {
        let replies = drain(empty(&model, rows), prompts.clone());
        for (index, prompt) in prompts.iter().enumerate() {
            let expected = alone(&model, None, prompt);
            let found = &replies[&(index as u64)];
            assert_eq!(found.token_ids, expected.token_ids, "prompt {index}, {rows} rows");
            assert_close("shared", &found.logprobs, &expected.logprobs, 1e-4);
        }
    }
}

#[test]
fn rows_of_several_adapters_and_of_none_share_a_batch() {
    let model = tiny("llama_tied");
    let adapters = ["plain", "rslora"].map(|name| adapter(name, &model));
    let variants = adapters.clone().map(|a| Variant::new(Some(a)));
    // The same beginning under all three: keys and values must not be shared between them.
    let (beginning, mut prompts) = (ids(8, 30), Vec::new());
    for i in 0..9 {
        let ids = [beginning.clone(), ids(50 + i, i % 4)].concat();
        let variant = variants.get(i as usize % 3).map(Arc::clone);
        prompts.push(Prompt { variant, ..prompt(ids, u64::from(i), 10) });
    }
    let replies = drain(empty(&model, 4), prompts.clone());
    for (index, prompt) in prompts.iter().enumerate() {
        let own = Prompt { variant: None, ..prompt.clone() };
        let expected = alone(&model, adapters.get(index % 3), &own);
        assert_eq!(replies[&(index as u64)].token_ids, expected.token_ids, "prompt {index}");
    }
}

#[test]
fn no_new_tokens_wanted_means_none() {
    let model = tiny("llama_tied");
    let replies = drain(empty(&model, 2), vec![prompt(ids(1, 5), 0, 0), prompt(ids(2, 5), 0, 2)]);
    let nothing = Generation { token_ids: vec![], logprobs: vec![], finish: FinishReason::Length };
    assert_eq!(replies[&0], nothing);
    assert_eq!(replies[&1].token_ids.len(), 2);
    assert_eq!(alone(&model, None, &prompt(ids(1, 5), 0, 0)), nothing);
}

#[test]
fn a_cancelled_row_leaves_and_its_neighbours_go_on() {
    let model = tiny("llama_tied");
    let prompts: Vec<Prompt> = (0..4).map(|i| prompt(ids(40 * i, 9), 3, 8)).collect();
    let mut batch = empty(&model, 2);
    for (id, prompt) in prompts.iter().enumerate() {
        batch.admit(id as u64, prompt.clone()).unwrap();
    }
    let mut replies = BTreeMap::new();
    for step in 0.. {
        if step == 3 {
            batch.cancel(0);
            batch.cancel(3);
        }
        if batch.is_empty() {
            break;
        }
        batch.step(&mut |_, _, _| ControlFlow::Continue(()), &mut |id, generation| {
            replies.insert(id, generation);
        });
    }
    assert_eq!(replies.keys().copied().collect::<Vec<_>>(), [1, 2]);
    for (id, reply) in replies {
        assert_eq!(reply, alone(&model, None, &prompts[id as usize]));
    }
}

#[test]
fn a_prompt_that_fills_the_context_is_refused_with_its_size() {
    let model = tiny("llama_tied");
    let context = model.config().max_position;
    let mut batch = empty(&model, 2);
    assert_says(batch.admit(0, prompt(vec![5; context], 0, 1)), &["prompt", "257", "256"]);
    assert_says(batch.admit(0, prompt(vec![5; 2 * context], 0, 1)), &["prompt", "512", "256"]);
    assert_says(batch.admit(0, prompt(vec![], 0, 1)), &["prompt", "empty"]);
    assert!(batch.is_empty());
}

#[test]
fn alternatives_are_the_likeliest_tokens_and_greedy_takes_the_first() {
    let model = tiny("llama_tied");
    let mut batch = empty(&model, 1);
    let prompt = Prompt { alternatives: 3, ..Prompt::new(ids(4, 6), Sampling::greedy(5)) };
    batch.admit(0, prompt).unwrap();
    let mut seen = 0;
    while !batch.is_empty() {
        let on_token = &mut |_: u64, token: &ingrain_lm::Token, tokens: &[u32]| {
            seen += 1;
            assert_eq!((tokens.len(), tokens.last()), (seen, Some(&token.id)));
            assert_eq!(token.alternatives[0], (token.id, token.logprob));
            assert!(token.alternatives.is_sorted_by(|a, b| a.1 >= b.1));
            assert_eq!(token.alternatives.len(), 3);
            ControlFlow::Continue(())
        };
        batch.step(on_token, &mut |_, _| {});
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_choice_scores_each_option_as_a_full_pass_does() {
    let model = tiny("llama_tied");
    let adapter = adapter("plain", &model);
    let question = ids(9, 20);
    let options = vec![ids(60, 1), ids(61, 4), ids(62, 1), ids(63, 9)];
    for adapter in [None, Some(&adapter)] {
        let choice = model.choose(&question, &options, adapter).unwrap();
        let mut totals = Vec::new();
        for (option, found) in options.iter().zip(&choice.logprobs) {
            let sequence = TokenSequence::from_parts(&question, option);
            let batch = TokenBatch::new(&[&sequence], &Device::flex());
            let expected = values(model.completion_logprobs(&batch, adapter));
            assert_close("option", found, &expected, 1e-4);
            totals.push(expected.iter().sum::<f32>());
        }
        let best = totals.iter().copied().fold(f32::MIN, f32::max);
        assert!(totals[choice.index] == best);
    }
    assert_says(model.choose(&question, &[], None), &["options", "empty"]);
    assert_says(model.choose(&question, &[vec![]], None), &["option 0", "empty"]);
    assert_says(model.choose(&question, &[vec![5; 240]], None), &["option 0", "260", "256"]);
}

#[test]
fn prompts_that_begin_alike_are_scored_as_each_alone() {
    let source: ModelSource = path("tiny_models/llama_tied").to_str().unwrap().parse().unwrap();
    let files = source.resolve(&Silent).unwrap();
    let model = LocalModel::load(&files, &Device::flex()).unwrap();
    let adapted = model.with_adapter(Some(adapter("plain", &model.model)));
    let instructions = ids(9, 40);
    let mut sequences = Vec::new();
    // More options than before, one prompt within another, one that begins otherwise, one without a choice.
    for (prompt, options) in [
        ([&instructions[..], &ids(70, 30)].concat(), 2),
        ([&instructions[..], &ids(80, 60)].concat(), 3),
        (instructions.clone(), 2),
        (ids(120, 50), 2),
        ([&instructions[..], &ids(90, 5)].concat(), 1),
    ] {
        let option = |n: u32| TokenSequence::from_parts(&prompt, &ids(60 + n, 1 + n));
        sequences.extend((0..options).map(option));
    }
    for model in [&model, &adapted] {
        let together = model.score_sharing(&sequences).unwrap();
        for (sequence, found) in sequences.iter().zip(&together) {
            let alone = model.score(std::slice::from_ref(sequence)).unwrap();
            assert_close("option", found, &alone[0], 1e-4);
        }
    }
}

#[test]
fn texts_are_scored_alike_together_and_one_by_one_with_the_likeliest_tokens() {
    let model = tiny("llama_tied");
    let adapter = adapter("plain", &model);
    let texts = [ids(1, 1), ids(2, 140), ids(3, 7)];
    let all: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    for adapter in [None, Some(&adapter)] {
        let scored = model.score_texts(&all, 2, adapter).unwrap();
        for (ids, scored) in texts.iter().zip(&scored) {
            assert_eq!(scored.tokens.iter().map(|t| t.id).collect::<Vec<_>>(), ids[1..]);
            let sequence = TokenSequence::from_parts(&ids[..1], &ids[1..]);
            let batch = TokenBatch::new(&[&sequence], &Device::flex());
            let expected = values(model.completion_logprobs(&batch, adapter));
            let found: Vec<f32> = scored.tokens.iter().map(|t| t.logprob).collect();
            assert_close("score", &found, &expected, 1e-4);
            let greedy = alone(&model, adapter, &Prompt::new(ids.clone(), Sampling::greedy(1)));
            assert_eq!(scored.next[0].0, greedy.token_ids[0]);
            for token in &scored.tokens {
                assert!(token.alternatives[0].1 >= token.logprob);
                assert_eq!(token.alternatives.len(), 2);
            }
        }
    }
    assert!(model.score_texts(&[], 1, None).unwrap().is_empty());
    assert_says(model.score_texts(&[&[5], &[]], 1, None), &["text 1", "empty"]);
}

#[test]
fn steering_shifts_the_stream_behind_its_block_alike_with_and_without_a_cache() {
    let model = tiny("llama_tied");
    let config = model.config();
    let mut vectors = vec![None; config.num_layers];
    vectors[1] = Some((0..config.hidden_size).map(|i| (i as f32).sin() * 0.5).collect());
    let steering = Steering::new(&model, &vectors).unwrap();
    let variant = |steering| Arc::new(Variant { adapter: None, steering: Some(steering) });
    let request = |v| Prompt { variant: Some(v), ..Prompt::new(ids(6, 12), Sampling::greedy(10)) };
    let plain = alone(&model, None, &Prompt::new(ids(6, 12), Sampling::greedy(10)));
    let steered = alone(&model, None, &request(variant(steering.clone())));
    assert_ne!(steered.token_ids, plain.token_ids);
    assert_eq!(alone(&model, None, &request(variant(steering.scaled(0.0)))), plain);
    let sequence = TokenSequence::from_parts(&ids(6, 12), &steered.token_ids);
    let batch = TokenBatch::new(&[&sequence], &Device::flex());
    let with = variant(steering);
    let full = values(model.completion_logprobs(&batch, with.overlay()));
    assert_close("steered", &steered.logprobs, &full, 1e-4);

    let refused = |vectors: &[Option<Vec<f32>>]| Steering::new(&model, vectors);
    assert_says(refused(&[]), &["0 blocks", "the model has"]);
    vectors[1] = Some(vec![0.0; 3]);
    assert_says(refused(&vectors), &["block 1", "3 values"]);
    vectors[1] = Some(vec![f32::NAN; config.hidden_size]);
    assert_says(refused(&vectors), &["block 1", "NaN"]);
}

/// Feeds the tokens of `text`, and gives the pieces that came out and whether a stop text was met.
fn stream(text: &str, stop: &[&str]) -> (Vec<String>, bool) {
    let tokenizer = ChatTokenizer::from_hf_dir(path("tiny_models/llama_tied")).unwrap();
    let stop: Vec<String> = stop.iter().map(|s| (*s).to_owned()).collect();
    let mut reply = ReplyText::new(&tokenizer, &stop);
    let (mut pieces, mut met) = (Vec::new(), false);
    for id in tokenizer.encode(text, false).unwrap() {
        met = reply.push(id).unwrap();
        pieces.push(reply.take_new().to_owned());
        if met {
            break;
        }
    }
    reply.finish().unwrap();
    pieces.push(reply.take_new().to_owned());
    assert_eq!(pieces.concat(), reply.text());
    pieces.retain(|piece| !piece.is_empty());
    (pieces, met)
}

#[test]
fn a_reply_ends_before_its_first_stop_text_and_none_of_it_leaks_out() {
    let (pieces, met) = stream("one two END three", &["END", "three"]);
    assert_eq!((pieces.concat().as_str(), met), ("one two ", true));
    let (pieces, met) = stream("one two EN three", &["END"]);
    assert_eq!((pieces.concat().as_str(), met), ("one two EN three", false));
    let (pieces, met) = stream("one two EN", &["END", ""]);
    assert_eq!((pieces.concat().as_str(), met), ("one two EN", false));
    let (pieces, met) = stream("na\u{ef}ve \u{1f600}\u{1f600} \u{4e2d}\u{6587}!", &["\u{6587}"]);
    assert_eq!((pieces.concat().as_str(), met), ("na\u{ef}ve \u{1f600}\u{1f600} \u{4e2d}", true));
    assert!(pieces.len() > 3, "it streams: {pieces:?}");
}

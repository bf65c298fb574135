//! Greedy tokens against transformers; batches, caches and adapters against each other.

use std::cell::RefCell;
use std::sync::LazyLock;

use ingrain_chat::{FinishReason, Sampling};
use ingrain_lm::{
    Adapter, CausalLm, Generation, Generator, LmError, Prompt, TokenBatch, TokenSequence,
};
use ingrain_run::Interrupt;
use proptest::prelude::*;

use crate::fixture::{MODELS, adapter, assert_close, assert_says, ids, json, tiny, values};

static MODEL: LazyLock<CausalLm> = LazyLock::new(|| tiny("llama_tied"));

fn generator<'a>(model: &'a CausalLm, adapter: Option<&'a Adapter>) -> Generator<'a> {
    Generator {
        model,
        overlay: adapter.into(),
        stop_ids: &[],
        max_batch: 8,
        interrupt: Interrupt::new(),
    }
}

fn run(generator: &Generator<'_>, prompts: &[Prompt]) -> Vec<Generation> {
    let mut replies = vec![None; prompts.len()];
    let mut take = |index: usize, generation| {
        assert!(replies[index].replace(generation).is_none(), "prompt {index} is answered twice");
    };
    generator.run(prompts, &|_, _| false, &mut take).unwrap();
    replies.into_iter().map(Option::unwrap).collect()
}

fn greedy(prompts: &[Vec<u32>], max_new_tokens: usize) -> Vec<Prompt> {
    let prompt = |ids: &Vec<u32>| Prompt::new(ids.clone(), Sampling::greedy(max_new_tokens));
    prompts.iter().map(prompt).collect()
}

/// Prompts of three lengths with the 24 greedy tokens that transformers gives each.
fn fixture(name: &str) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let expected = json(&format!("tiny_models/{name}/expected.json"));
    let lists = |key: &str| expected[key].as_array().unwrap().iter().map(ids).collect();
    (lists("sequences"), lists("greedy"))
}

/// Log-probabilities of `completion` after `prompt`, without a cache.
fn score(
    model: &CausalLm,
    adapter: Option<&Adapter>,
    prompt: &[u32],
    completion: &[u32],
) -> Vec<f32> {
    let sequence = TokenSequence::from_parts(prompt, completion);
    let batch = TokenBatch::new(&[&sequence], &crate::fixture::device());
    values(model.completion_logprobs(&batch, adapter))
}

#[test]
fn greedy_tokens_equal_those_of_transformers_one_by_one_and_batched() {
    for name in MODELS {
        let model = tiny(name);
        let (prompts, expected) = fixture(name);
        let prompts = greedy(&prompts, 24);
        let together = run(&generator(&model, None), &prompts);
        for (index, prompt) in prompts.iter().enumerate() {
            assert_eq!(together[index].token_ids, expected[index], "{name}, batched");
            assert_eq!(together[index].finish, FinishReason::Length);
            let alone = run(&generator(&model, None), std::slice::from_ref(prompt));
            assert_eq!(alone[0].token_ids, expected[index], "{name}, alone");
            assert_close(name, &together[index].logprobs, &alone[0].logprobs, 1e-4);
        }
    }
}

#[test]
fn decoding_with_a_cache_gives_the_logprobs_of_a_full_pass() {
    // All but the Llamas look no further back than eight tokens somewhere, or turn some of them only.
    for name in MODELS {
        let model = tiny(name);
        let (prompts, _) = fixture(name);
        let replies = run(&generator(&model, None), &greedy(&prompts, 24));
        for (prompt, reply) in prompts.iter().zip(&replies) {
            let full = score(&model, None, prompt, &reply.token_ids);
            assert_close(name, &reply.logprobs, &full, 1e-4);
        }
    }
}

#[test]
fn an_adapter_changes_what_is_generated_just_as_folding_it_in_does() {
    let model = tiny("llama_tied");
    let adapter = adapter("plain", &model);
    let (prompts, base) = fixture("llama_tied");
    let prompts_24 = greedy(&prompts, 24);
    let with = run(&generator(&model, Some(&adapter)), &prompts_24);
    let folded = run(&generator(&model.clone().fold(&adapter), None), &prompts_24);
    for index in 0..prompts.len() {
        assert_ne!(with[index].token_ids, base[index]);
        assert_eq!(with[index].token_ids, folded[index].token_ids);
        let full = score(&model, Some(&adapter), &prompts[index], &with[index].token_ids);
        assert_close("adapter", &with[index].logprobs, &full, 1e-4);
    }
    // Off again: nothing of it stays in the model.
    let off = run(&generator(&model, None), &prompts_24);
    assert_eq!(off[0].token_ids, base[0]);
}

#[test]
fn a_request_draws_the_same_tokens_whoever_its_neighbours_are() {
    let model = tiny("llama_tied");
    let (ids, _) = fixture("llama_tied");
    let prompt = |index: usize, seed| {
        let sampling = Sampling { seed, max_new_tokens: 16, ..Sampling::default() };
        Prompt::new(ids[index].clone(), sampling)
    };
    let prompts = [prompt(0, 1), prompt(1, 2), prompt(2, 3), prompt(0, 4), prompt(0, 1)];
    let together = run(&generator(&model, None), &prompts);
    assert_eq!(together[0].token_ids, together[4].token_ids, "same seed");
    assert_ne!(together[0].token_ids, together[3].token_ids, "another seed");
    for (index, prompt) in prompts.iter().enumerate() {
        let alone = run(&generator(&model, None), std::slice::from_ref(prompt));
        assert_eq!(alone[0].token_ids, together[index].token_ids, "prompt {index}");
    }
    let small = Generator { max_batch: 2, ..generator(&model, None) };
    let in_pairs = run(&small, &prompts);
    let tokens = |replies: &[Generation]| -> Vec<Vec<u32>> {
        replies.iter().map(|r| r.token_ids.clone()).collect()
    };
    assert_eq!(tokens(&in_pairs), tokens(&together));
}

#[test]
fn a_stop_token_ends_its_row_alone_and_belongs_to_the_reply() {
    let model = tiny("llama_tied");
    let (prompts, expected) = fixture("llama_tied");
    let stop = expected[1][5];
    let until = |tokens: &[u32]| tokens.iter().position(|&t| t == stop).map_or(24, |at| at + 1);
    let stopping = Generator { stop_ids: &[stop], ..generator(&model, None) };
    let replies = run(&stopping, &greedy(&prompts, 24));
    for (reply, expected) in replies.iter().zip(&expected) {
        let end = until(expected);
        assert_eq!(reply.token_ids, expected[..end]);
        assert_eq!(reply.logprobs.len(), end);
        let finish = if expected[..end].ends_with(&[stop]) {
            FinishReason::Stop
        } else {
            FinishReason::Length
        };
        assert_eq!(reply.finish, finish);
    }
    assert_eq!(replies[1].finish, FinishReason::Stop);
}

#[test]
fn halt_sees_every_new_token_and_ends_the_row_it_chooses() {
    let model = tiny("llama_tied");
    let (prompts, expected) = fixture("llama_tied");
    let lengths = RefCell::new(vec![Vec::new(); 3]);
    let halt = |index: usize, tokens: &[u32]| {
        lengths.borrow_mut()[index].push(tokens.len());
        index == 2 && tokens.len() == 3
    };
    let mut replies = vec![None; 3];
    let mut take = |index: usize, reply| replies[index] = Some(reply);
    generator(&model, None).run(&greedy(&prompts, 6), &halt, &mut take).unwrap();
    let halted = replies[2].as_ref().unwrap();
    assert_eq!(
        (halted.token_ids.as_slice(), halted.finish),
        (&expected[2][..3], FinishReason::Stop)
    );
    assert_eq!(replies[0].as_ref().unwrap().token_ids, expected[0][..6]);
    assert_eq!(lengths.borrow()[2], [1, 2, 3]);
}

#[test]
fn the_end_of_the_context_ends_a_reply() {
    let model = tiny("llama_tied");
    let context = model.config().max_position;
    let prompts = greedy(&[vec![9; context - 3]], 24);
    let replies = run(&generator(&model, None), &prompts);
    assert_eq!(replies[0].token_ids.len(), 3);
    assert_eq!(replies[0].finish, FinishReason::Length);
}

#[test]
fn after_an_interrupt_unfinished_requests_get_no_reply() {
    let model = tiny("llama_tied");
    let (prompts, _) = fixture("llama_tied");
    let mut prompts = greedy(&prompts, 24);
    prompts[0].sampling.max_new_tokens = 2;
    let interrupted = generator(&model, None);
    let mut answered = Vec::new();
    let mut take = |index: usize, _| {
        answered.push(index);
        interrupted.interrupt.request();
    };
    interrupted.run(&prompts, &|_, _| false, &mut take).unwrap();
    assert_eq!(answered, [0]);
    answered.clear();
    interrupted.run(&prompts, &|_, _| false, &mut |index, _| answered.push(index)).unwrap();
    assert!(answered.is_empty(), "raised before the start");
}

#[test]
fn prompts_that_the_model_cannot_read_are_refused_before_anything_runs() {
    let model = tiny("llama_tied");
    let context = model.config().max_position;
    let refused = |bad: Vec<u32>| -> Result<(), LmError> {
        let prompts = greedy(&[vec![5, 6], bad], 4);
        generator(&model, None).run(&prompts, &|_, _| false, &mut |_, _| panic!("it ran"))
    };
    assert_says(refused(vec![]), &["prompt 1", "empty"]);
    assert_says(refused(vec![5, 320]), &["prompt 1", "token 320", "vocabulary has 320"]);
    assert_says(refused(vec![5; context]), &["prompt 1", "257", "256"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Whatever the settings, infinite or not a number: a token of the vocabulary, and a logprob.
    #[test]
    fn no_sampling_setting_breaks_the_loop(
        temperature in any_float(), top_p in any_float(), min_p in any_float(),
        repetition_penalty in any_float(), top_k in 0usize..400, seed in any::<u64>(),
    ) {
        let model = &*MODEL;
        let sampling = Sampling {
            max_new_tokens: 4, temperature, top_p, top_k, min_p, repetition_penalty, seed, stop: vec![],
        };
        let prompt = Prompt::new(vec![5, 9, 200], sampling);
        let reply = &run(&generator(model, None), &[prompt])[0];
        prop_assert_eq!(reply.token_ids.len(), 4);
        prop_assert!(reply.token_ids.iter().all(|&id| id < 320));
        prop_assert!(reply.logprobs.iter().all(|l| l.is_finite() && *l <= 0.0));
    }
}

fn any_float() -> impl Strategy<Value = f32> {
    let odd = [0.0, -1.0, 1e-30, 1.0, 1.5, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    prop_oneof![0.0f32..2.0, prop::sample::select(odd.to_vec())]
}

#[test]
fn a_repetition_penalty_never_touches_reported_logprobs() {
    let model = tiny("llama_tied");
    let (prompts, greedy_tokens) = fixture("llama_tied");
    let sampling = Sampling { repetition_penalty: 1.8, ..Sampling::greedy(24) };
    let prompts = [Prompt::new(prompts[2].clone(), sampling)];
    let reply = &run(&generator(&model, None), &prompts)[0];
    assert_ne!(reply.token_ids, greedy_tokens[2]);
    let full = score(&model, None, &prompts[0].ids, &reply.token_ids);
    assert_close("penalty", &reply.logprobs, &full, 1e-4);
}

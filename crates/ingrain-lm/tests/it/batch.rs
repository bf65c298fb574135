//! What counts as a completion token, and how sequences lie side by side.

use burn::tensor::{Int, Tensor};
use ingrain_chat::Message;
use ingrain_lm::{Branch, LocalModel, ModelSource, TokenBatch, TokenSequence};
use ingrain_run::Silent;
use proptest::prelude::*;

use crate::fixture::{MODELS, assert_close, copy, tiny, values};

fn ints<const D: usize>(tensor: Tensor<D, Int>) -> Vec<i64> {
    tensor.into_data().iter::<i64>().collect()
}

/// Tokens, positions, targets and counts of a batch.
#[track_caller]
fn check(
    sequences: &[TokenSequence],
    tokens: &[&[i64]],
    positions: &[i64],
    targets: &[i64],
    counts: &[usize],
) {
    let sequences: Vec<&TokenSequence> = sequences.iter().collect();
    let batch = TokenBatch::new(&sequences, &crate::fixture::device());
    assert_eq!(batch.tokens.dims(), [tokens.len(), tokens[0].len()]);
    assert_eq!(batch.padded_tokens(), tokens.len() * tokens[0].len());
    assert_eq!(ints(batch.tokens), tokens.concat());
    assert_eq!(ints(batch.positions), positions);
    assert_eq!(ints(batch.targets), targets);
    assert_eq!(batch.counts, counts);
}

#[test]
fn completion_tokens_are_those_after_the_prompt() {
    let sequence = TokenSequence::from_parts(&[3, 4], &[5, 6, 7]);
    assert_eq!(sequence.ids, [3, 4, 5, 6, 7]);
    assert_eq!(sequence.completion, [false, false, true, true, true]);
    assert_eq!(sequence.completion_len(), 3);
}

#[test]
fn nothing_predicts_the_first_token_so_it_is_never_counted() {
    let sequence = TokenSequence::from_parts(&[], &[5, 6]);
    assert_eq!(sequence.completion, [false, true]);
    assert_eq!(sequence.completion_len(), 1);
    let by_hand = TokenSequence { ids: vec![5, 6], completion: vec![true, true] };
    assert_eq!(by_hand.completion_len(), 1);
    check(&[by_hand], &[&[5]], &[0], &[6], &[1]);
}

#[test]
fn rows_are_padded_on_the_right_and_targets_point_back_one_token() {
    let sequences = [
        TokenSequence::from_parts(&[3, 4], &[5, 6, 7]),
        TokenSequence::from_parts(&[8], &[9]),
        TokenSequence { ids: vec![1, 2, 3, 4], completion: vec![false, true, false, true] },
    ];
    check(
        &sequences,
        // The last token of the longest row predicts nothing and is not run.
        &[&[3, 4, 5, 6], &[8, 9, 0, 0], &[1, 2, 3, 4]],
        &[1, 2, 3, 4, 8, 10],
        &[5, 6, 7, 9, 2, 4],
        &[3, 1, 2],
    );
}

#[test]
fn a_pair_that_begins_alike_shares_a_row_and_each_reply_starts_behind_the_prompt() {
    let prompt = [3, 4, 5];
    let sides = [
        [TokenSequence::from_parts(&prompt, &[6, 7]), TokenSequence::from_parts(&prompt, &[8, 9])],
        // The replies begin alike too.
        [TokenSequence::from_parts(&[1], &[2, 6, 7]), TokenSequence::from_parts(&[1], &[2, 8])],
    ];
    let pairs: Vec<_> = sides.iter().map(<[_; 2]>::each_ref).collect();
    let batch = TokenBatch::of_pairs(&pairs, &crate::fixture::device());
    let rows = [[3, 4, 5, 6, 8], [1, 2, 6, 8, 0]];
    assert_eq!(ints(batch.tokens), rows.concat());
    let branch = |shared, start| Some(Branch { shared, start });
    assert_eq!(batch.branches, [branch(3, 4), branch(2, 3)]);
    // Both first replies, then both second ones; a shared token's successors are read in one place.
    assert_eq!(ints(batch.positions), [2, 3, 5, 6, 7, 2, 4, 5, 6]);
    assert_eq!(ints(batch.targets), [6, 7, 2, 6, 7, 8, 9, 2, 8]);
    assert_eq!(batch.counts, [2, 3, 2, 2]);
}

#[test]
fn pairs_that_do_not_begin_alike_or_would_not_save_anything_lie_side_by_side() {
    let sequence =
        |ids: std::ops::Range<u32>| TokenSequence::from_parts(&[], &ids.collect::<Vec<_>>());
    let differ = [sequence(1..5), sequence(2..4)];
    let batch = TokenBatch::of_pairs(&[differ.each_ref()], &crate::fixture::device());
    assert_eq!(batch.tokens.dims(), [2, 3]);
    assert!(batch.branches.is_empty());
    // Joined, the last pair would pad 22 other rows to its 8 columns; apart, there are 24 rows of 5.
    let short: Vec<_> = (0..11).map(|i| [sequence(i..i + 2), sequence(50..52)]).collect();
    let long = [sequence(1..7), TokenSequence::from_parts(&[1, 2], &[9, 9, 9, 9])];
    let pairs: Vec<_> = short.iter().chain([&long]).map(<[_; 2]>::each_ref).collect();
    let batch = TokenBatch::of_pairs(&pairs, &crate::fixture::device());
    assert_eq!(batch.tokens.dims(), [24, 5]);
    assert!(batch.branches.is_empty());
}

#[test]
fn a_sequence_without_completion_counts_nothing() {
    check(&[TokenSequence::from_parts(&[3, 4], &[])], &[&[3]], &[], &[], &[0]);
    check(&[TokenSequence::from_parts(&[3], &[])], &[&[3]], &[], &[], &[0]);
}

#[test]
fn scoring_no_completion_gives_no_values() {
    let model = tiny("llama_tied");
    let sequence = TokenSequence::from_parts(&[3, 4], &[]);
    let batch = TokenBatch::new(&[&sequence], &crate::fixture::device());
    assert_eq!(model.completion_logprobs(&batch, None).dims(), [0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // However sequences are put together, each gets the log-probabilities it has by itself.
    #[test]
    fn a_batch_scores_each_sequence_as_if_it_were_alone(
        rows in prop::collection::vec(
            prop::collection::vec((0u32..320, any::<bool>()), 1..20), 1..6,
        ),
    ) {
        let model = tiny("llama_tied");
        let sequences: Vec<TokenSequence> = rows
            .into_iter()
            .map(|row| {
                let (ids, completion) = row.into_iter().unzip();
                TokenSequence { ids, completion }
            })
            .collect();
        let score = |sequences: &[&TokenSequence]| {
            let batch = TokenBatch::new(sequences, &crate::fixture::device());
            values(model.completion_logprobs(&batch, None))
        };
        let together = score(&sequences.iter().collect::<Vec<_>>());
        let alone: Vec<f32> = sequences.iter().flat_map(|s| score(&[s])).collect();
        let total: usize = sequences.iter().map(TokenSequence::completion_len).sum();
        prop_assert_eq!(together.len(), total);
        assert_close("batch", &together, &alone, 1e-4);
    }
}

/// Pairs with beginnings of `shared` tokens and replies of their own, some of them a single token.
fn pairs(lengths: &[[usize; 3]]) -> Vec<[TokenSequence; 2]> {
    let ids = |from: usize, count| (from..from + count).map(|i| (i * 37 % 250) as u32 + 3);
    let pair = |(at, [prompt, first, second]): (usize, &[usize; 3])| {
        let prompt: Vec<u32> = ids(at * 50, *prompt).collect();
        [(at * 50 + 7, *first), (at * 50 + 91, *second)].map(|(from, count)| {
            TokenSequence::from_parts(&prompt, &ids(from, count).collect::<Vec<_>>())
        })
    };
    lengths.iter().enumerate().map(pair).collect()
}

#[test]
fn every_family_scores_two_replies_in_a_row_as_if_each_were_alone() {
    let pairs = pairs(&[[5, 12, 9], [1, 1, 1], [13, 1, 20], [8, 17, 1], [0, 6, 4]]);
    let pairs: Vec<_> = pairs.iter().map(<[_; 2]>::each_ref).collect();
    let apart: Vec<_> = [0, 1].iter().flat_map(|&i| pairs.iter().map(move |p| p[i])).collect();
    for name in MODELS {
        let model = tiny(name);
        let joined = TokenBatch::of_pairs(&pairs, model.device());
        let apart = TokenBatch::new(&apart, model.device());
        assert_eq!(joined.branches.iter().flatten().count(), 4);
        assert!(joined.padded_tokens() < apart.padded_tokens());
        assert_eq!(joined.counts, apart.counts);
        let found = values(model.completion_logprobs(&joined, None));
        let expected = values(model.completion_logprobs(&apart, None));
        let largest = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert_close(name, &found, &expected, 1e-5 * largest);
    }
}

// As Mistral's templates have it: the system message goes into the last turn, if that is the user's.
const LOSES_SYSTEM: &str = "\
{% for m in messages %}{% if m.role == 'user' %}<|im_start|>user
{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}: {% endif %}{{ m.content }}{% elif m.role == 'assistant' %}
<|im_start|>assistant
{{ m.content }}<|im_end|>{% endif %}{% endfor %}{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}";

#[test]
fn a_completion_is_found_where_an_answered_conversation_loses_its_system_message() {
    let dir = copy("tiny_models/llama_tied");
    std::fs::write(dir.path().join("chat_template.jinja"), LOSES_SYSTEM).unwrap();
    let source: ModelSource = dir.path().to_str().unwrap().parse().unwrap();
    let files = source.resolve(&Silent).unwrap();
    let model = LocalModel::load(&files, &crate::fixture::device()).unwrap();
    let prompt = [Message::system("Be brief"), Message::user("q")];
    let conversation = [&prompt[..], &[Message::assistant("Yes")]].concat();
    let sequence = model.completion_sequence(&conversation).unwrap();
    let split = sequence.completion.iter().position(|&is| is).unwrap();
    assert_eq!(sequence.ids[..split], model.prompt_ids(&prompt).unwrap());
    let text = |ids: &[u32]| model.tokenizer.decode(ids, false).unwrap();
    assert!(text(&sequence.ids[..split]).contains("Be brief: q"));
    assert_eq!(text(&sequence.ids[split..]), "Yes<|im_end|>");
}

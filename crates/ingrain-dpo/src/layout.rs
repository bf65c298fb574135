//! How the sequences of examples lie in batches.

use burn::tensor::Device;
use ingrain_lm::{TokenBatch, TokenSequence};
use ingrain_train::{ExampleSize, fingerprint};

/// The sequences of one example: the two conversations of a pair, say.
pub type Sequences<'a> = Vec<&'a TokenSequence>;

/// Name of the data under a model: its identity, and every token with its mask.
pub(crate) fn data_fingerprint(base: &str, examples: &[Sequences<'_>]) -> String {
    let mut parts = vec![base.as_bytes().to_vec()];
    for sequence in examples.iter().flatten() {
        parts.push(sequence.ids.iter().flat_map(|id| id.to_le_bytes()).collect());
        parts.push(sequence.completion.iter().map(|&is| u8::from(is)).collect());
    }
    fingerprint(parts)
}

/// Sizes of the examples, for batching; `joined` as in [`batch`].
pub(crate) fn sizes(examples: &[Sequences<'_>], joined: bool) -> Vec<ExampleSize> {
    let size = |example: &Sequences<'_>| match example[..] {
        [first, second] if joined => {
            let [rows, width] = TokenBatch::pair_extent([first, second]);
            ExampleSize { rows, width }
        }
        _ => {
            let width = example.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
            ExampleSize { rows: example.len(), width }
        }
    };
    examples.iter().map(size).collect()
}

/// The first sequence of every example of a group, then the second of every one, and so on. If `joined`,
/// the two of a pair share what they begin with, where that pays.
pub(crate) fn batch(
    examples: &[Sequences<'_>],
    group: &[usize],
    joined: bool,
    device: &Device,
) -> TokenBatch {
    let pair = |&at: &usize| match examples[at][..] {
        [first, second] if joined => Some([first, second]),
        _ => None,
    };
    if let Some(pairs) = group.iter().map(pair).collect::<Option<Vec<_>>>() {
        return TokenBatch::of_pairs(&pairs, device);
    }
    let sides = examples.first().map_or(0, Vec::len);
    let sequences = (0..sides).flat_map(|side| group.iter().map(move |&at| examples[at][side]));
    TokenBatch::new(&sequences.collect::<Vec<_>>(), device)
}

/// Tokens of all of an example's sequences.
pub(crate) fn real_tokens(example: &Sequences<'_>) -> u64 {
    example.iter().map(|sequence| sequence.ids.len() as u64).sum()
}

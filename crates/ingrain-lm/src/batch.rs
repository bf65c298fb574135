//! Token sequences with their loss mask, and right-padded batches of them.
//!
//! Two sequences that begin alike can lie in one row ([`Branch`]), so that their beginning is computed
//! once.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Token ids and, for each, whether it is a completion token: one that is predicted and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSequence {
    /// The whole text, prompt and completion.
    pub ids: Vec<u32>,
    /// One flag a token. The first token cannot be a completion token: nothing predicts it.
    pub completion: Vec<bool>,
}

impl TokenSequence {
    /// A prompt followed by a completion.
    #[must_use]
    pub fn from_parts(prompt: &[u32], completion: &[u32]) -> Self {
        let mut ids = prompt.to_vec();
        ids.extend_from_slice(completion);
        let completion = (0..ids.len()).map(|i| i >= prompt.len() && i > 0).collect();
        Self { ids, completion }
    }

    /// Number of completion tokens that something predicts.
    #[must_use]
    pub fn completion_len(&self) -> usize {
        self.completion.iter().skip(1).filter(|&&c| c).count()
    }
}

/// Where a row holds a second sequence, which begins as the first one does.
///
/// The first fills the columns up to `start`. The second shares the first `shared` of them and goes on
/// in column `start`, at position `shared`; it does not see what the first alone holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Columns that both sequences begin with, at most `start`.
    pub shared: usize,
    /// The column in which the second one goes on, at most the row's length.
    pub start: usize,
}

impl Branch {
    /// Of two sequences in a row, their last tokens left out, which predict nothing; `None` if they do not
    /// begin alike.
    fn between([first, second]: [&TokenSequence; 2]) -> Option<Self> {
        let alike = first.ids.iter().zip(&second.ids).take_while(|(a, b)| a == b).count();
        let start = first.ids.len().saturating_sub(1);
        let shared = alike.min(start).min(second.ids.len().saturating_sub(1));
        (shared > 0).then_some(Self { shared, start })
    }

    /// The column of the second sequence's token `at`.
    fn column(self, at: usize) -> usize {
        if at < self.shared { at } else { at - self.shared + self.start }
    }

    /// The position of a column in its sequence.
    pub(crate) fn position(self, column: usize) -> usize {
        if column < self.start { column } else { column - self.start + self.shared }
    }

    /// Whether a key that is not behind a query belongs to the other sequence.
    pub(crate) fn separates(self, query: usize, key: usize) -> bool {
        query >= self.start && (self.shared..self.start).contains(&key)
    }
}

/// A right-padded batch and the places where completion tokens are predicted.
#[derive(Clone, Debug)]
pub struct TokenBatch {
    /// `[batch, seq]`, padded with 0; causal attention keeps pads away from real tokens.
    pub tokens: Tensor<2, Int>,
    /// Flat indices into `batch * seq` of the tokens *before* each completion token.
    pub positions: Tensor<1, Int>,
    /// The completion tokens, in the order of `positions`.
    pub targets: Tensor<1, Int>,
    /// Completion tokens of each sequence; `positions` holds them one sequence after the other.
    pub counts: Vec<usize>,
    /// For each row, whether it holds two sequences; empty where none does.
    pub branches: Vec<Option<Branch>>,
}

impl TokenBatch {
    /// Lays sequences out side by side.
    #[must_use]
    pub fn new(sequences: &[&TokenSequence], device: &Device) -> Self {
        let seq = sequences.iter().map(|s| columns(s)).max().unwrap_or(1);
        let places = (0..sequences.len()).map(|row| Place { row, branch: None });
        let placed: Vec<_> = sequences.iter().copied().zip(places).collect();
        Self::lay_out(&placed, [sequences.len(), seq], Vec::new(), device)
    }

    /// Lays pairs of sequences out, all first ones and then all second ones, as
    /// [`new`](Self::new) would; those of a pair that begin alike share a row where that leaves fewer
    /// tokens to compute.
    #[must_use]
    pub fn of_pairs(pairs: &[[&TokenSequence; 2]], device: &Device) -> Self {
        let side = |side: usize| pairs.iter().map(move |pair| pair[side]);
        let apart: Vec<&TokenSequence> = side(0).chain(side(1)).collect();
        let extents: Vec<[usize; 2]> = pairs.iter().map(|&pair| Self::pair_extent(pair)).collect();
        let rows = extents.iter().map(|[rows, _]| rows).sum();
        let seq = extents.iter().map(|&[_, seq]| seq).max().unwrap_or(1);
        let seq_apart = apart.iter().map(|s| columns(s)).max().unwrap_or(1);
        if rows * seq >= apart.len() * seq_apart {
            return Self::new(&apart, device);
        }
        let (mut firsts, mut seconds, mut branches) = (Vec::new(), Vec::new(), Vec::new());
        for &pair in pairs {
            let branch = Branch::between(pair);
            firsts.push(Place { row: branches.len(), branch: None });
            if branch.is_none() {
                branches.push(None);
            }
            seconds.push(Place { row: branches.len(), branch });
            branches.push(branch);
        }
        let placed: Vec<_> = apart.into_iter().zip(firsts.into_iter().chain(seconds)).collect();
        Self::lay_out(&placed, [rows, seq], branches, device)
    }

    /// Rows that a pair of sequences takes up in [`of_pairs`](Self::of_pairs), and columns of the longest
    /// of them.
    #[must_use]
    pub fn pair_extent(pair: [&TokenSequence; 2]) -> [usize; 2] {
        match Branch::between(pair) {
            Some(branch) => [1, branch.column(columns(pair[1]))],
            None => [2, columns(pair[0]).max(columns(pair[1]))],
        }
    }

    /// A batch of `[rows, seq]` in which every sequence has its place, second ones behind first ones.
    fn lay_out(
        placed: &[(&TokenSequence, Place)],
        [rows, seq]: [usize; 2],
        branches: Vec<Option<Branch>>,
        device: &Device,
    ) -> Self {
        let mut tokens = vec![0i32; rows * seq];
        let (mut positions, mut targets, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for &(sequence, place) in placed {
            let row = &mut tokens[place.row * seq..][..seq];
            for (at, &id) in sequence.ids.iter().enumerate() {
                // A last token predicts nothing: it may lie outside, or under another's token.
                if let Some(token) = row.get_mut(place.column(at)) {
                    *token = id as i32;
                }
            }
            let before = positions.len();
            let predicted = sequence.ids.iter().zip(&sequence.completion).enumerate().skip(1);
            for (at, (&id, _)) in predicted.filter(|(_, (_, is))| **is) {
                positions.push((place.row * seq + place.column(at - 1)) as i32);
                targets.push(id as i32);
            }
            counts.push(positions.len() - before);
        }
        let flat = |v: Vec<i32>| {
            let len = v.len();
            Tensor::<1, Int>::from_data(TensorData::new(v, [len]), device)
        };
        Self {
            tokens: Tensor::from_data(TensorData::new(tokens, [rows, seq]), device),
            positions: flat(positions),
            targets: flat(targets),
            counts,
            branches,
        }
    }

    /// Tokens that the decoder runs over, padding included.
    #[must_use]
    pub fn padded_tokens(&self) -> usize {
        self.tokens.dims().iter().product()
    }
}

/// Where a sequence lies in a batch.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    /// Of the second sequence of a row.
    branch: Option<Branch>,
}

impl Place {
    fn column(self, at: usize) -> usize {
        self.branch.map_or(at, |branch| branch.column(at))
    }
}

/// Columns that a sequence needs: the last token predicts nothing, and is dropped unless it stands alone.
fn columns(sequence: &TokenSequence) -> usize {
    sequence.ids.len().saturating_sub(1).max(1)
}

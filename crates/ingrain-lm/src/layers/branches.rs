//! Rows that hold two sequences, and what their tokens may look at.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::batch::Branch;

/// For each row of a pass, whether it holds two sequences.
#[derive(Clone, Debug)]
pub(crate) struct Branches {
    rows: Arc<[Option<Branch>]>,
    /// Tokens a row, padding included.
    seq: usize,
    /// How many keys a query sees, from its own back, where that is not all.
    window: Option<usize>,
    hidden: OnceLock<Tensor<4, Bool>>,
}

impl Branches {
    /// `None` where no row holds two sequences.
    pub(crate) fn new(rows: &[Option<Branch>], seq: usize) -> Option<Self> {
        rows.iter().any(Option::is_some).then(|| Self {
            rows: rows.into(),
            seq,
            window: None,
            hidden: OnceLock::new(),
        })
    }

    /// The same for blocks that see `window` keys only.
    pub(crate) fn within(&self, window: Option<usize>) -> Self {
        Self { window, hidden: OnceLock::new(), ..self.clone() }
    }

    /// One entry a row.
    pub(super) fn rows(&self) -> Arc<[Option<Branch>]> {
        Arc::clone(&self.rows)
    }

    /// Positions of all tokens in their sequences, row after row.
    pub(crate) fn positions(&self) -> Vec<usize> {
        let of = |branch: &Option<Branch>| {
            let branch = *branch;
            (0..self.seq).map(move |column| position(branch, column))
        };
        self.rows.iter().flat_map(of).collect()
    }

    /// Tokens of the longest sequence, padding included.
    pub(crate) fn longest(&self) -> usize {
        self.positions().into_iter().max().map_or(0, |last| last + 1)
    }

    /// `[rows, 1, seq, seq]`, `true` hiding a key from a query; built once a pass.
    pub(super) fn hidden(&self, device: &Device) -> Tensor<4, Bool> {
        self.hidden.get_or_init(|| self.build(device)).clone()
    }

    fn build(&self, device: &Device) -> Tensor<4, Bool> {
        let mut hidden = Vec::with_capacity(self.rows.len() * self.seq * self.seq);
        for &branch in self.rows.iter() {
            for query in 0..self.seq {
                hidden.extend((0..self.seq).map(|key| self.hides(branch, query, key)));
            }
        }
        let shape = [self.rows.len(), 1, self.seq, self.seq];
        Tensor::from_data(TensorData::new(hidden, shape), device)
    }

    fn hides(&self, branch: Option<Branch>, query: usize, key: usize) -> bool {
        let reach = self.window.unwrap_or(usize::MAX);
        key > query
            || branch.is_some_and(|branch| branch.separates(query, key))
            || position(branch, query) - position(branch, key) >= reach
    }
}

fn position(branch: Option<Branch>, column: usize) -> usize {
    branch.map_or(column, |branch| branch.position(column))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::Branches;
    use crate::batch::Branch;

    /// Rows of `x` for a hidden key and `.` for a visible one.
    fn drawn(branches: &Branches) -> Vec<String> {
        let flags: Vec<bool> = branches.hidden(&Device::flex()).into_data().iter().collect();
        let line = |row: &[bool]| row.iter().map(|&hide| if hide { 'x' } else { '.' }).collect();
        flags.chunks(branches.seq).map(line).collect()
    }

    #[test]
    fn the_second_sequence_sees_what_is_shared_and_itself() {
        let rows = [Some(Branch { shared: 1, start: 3 }), None];
        let branches = Branches::new(&rows, 5).expect("two sequences in a row");
        let alone = [".xxxx", "..xxx", "...xx"];
        let second = [".xx.x", ".xx.."];
        let plain = [".xxxx", "..xxx", "...xx", "....x", "....."];
        assert_eq!(drawn(&branches), [&alone[..], &second, &plain].concat());
        assert_eq!(branches.positions(), [0, 1, 2, 1, 2, 0, 1, 2, 3, 4]);
        assert!(Branches::new(&[None, None], 5).is_none());
    }

    #[test]
    fn a_window_counts_back_by_position() {
        let rows = [Some(Branch { shared: 2, start: 3 })];
        let branches = Branches::new(&rows, 5).expect("two sequences in a row").within(Some(2));
        assert_eq!(drawn(&branches), [".xxxx", "..xxx", "x..xx", "x.x.x", "xxx.."]);
    }
}

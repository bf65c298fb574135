//! Where the tokens of one pass go in the cache, and what each of them may look at.

use std::sync::OnceLock;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// The rows of one pass over the cache: each continues a slot.
///
/// Row `r` writes its first `counts[r]` tokens into columns `starts[r]..` of slot `slots[r]`; the rest
/// of the row is padding, which nothing keeps. Token `i` of a row sees the columns before it and itself.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(super) slots: Vec<usize>,
    pub(super) starts: Vec<usize>,
    pub(super) counts: Vec<usize>,
    /// Tokens a row, padding included.
    seq: usize,
    /// How many columns a token sees, from its own back, where that is not all.
    window: Option<usize>,
    index: OnceLock<Index>,
}

/// The same as tensors, for back ends without kernels; built once a pass.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// Flat positions of the tokens that are no padding.
    pub(super) real: Tensor<1, Int>,
    /// Slot, head and column of each, `[real, heads, 3]`.
    pub(super) places: Tensor<3, Int>,
    /// The slots, `[rows]`.
    pub(super) slots: Tensor<1, Int>,
    /// `[rows, 1, seq, columns]`, `true` hiding a column.
    pub(super) hidden: Tensor<4, Bool>,
}

impl Placement {
    /// # Panics
    /// If the lists are not of one length.
    pub(super) fn new(slots: Vec<usize>, starts: Vec<usize>, counts: Vec<usize>) -> Self {
        assert!(slots.len() == starts.len() && slots.len() == counts.len(), "one of each a row");
        let seq = counts.iter().copied().max().unwrap_or(0);
        Self { slots, starts, counts, seq, window: None, index: OnceLock::new() }
    }

    /// The same for blocks that see `window` columns only.
    pub(crate) fn within(&self, window: Option<usize>) -> Self {
        Self { window, index: OnceLock::new(), ..self.clone() }
    }

    /// Whether every row starts its slot, so that its tokens see nothing but each other.
    pub(crate) fn is_fresh(&self) -> bool {
        self.starts.iter().all(|&start| start == 0)
    }

    /// Columns that the furthest row reaches.
    pub(crate) fn columns(&self) -> usize {
        self.starts.iter().zip(&self.counts).map(|(start, count)| start + count).max().unwrap_or(0)
    }

    /// Positions of all tokens, row after row; padding has some position or other.
    pub(crate) fn positions(&self) -> Vec<usize> {
        let of = |&start: &usize| (0..self.seq).map(move |at| start + at);
        self.starts.iter().flat_map(of).collect()
    }

    /// Slot and number of visible columns of every token, row after row.
    pub(super) fn queries(&self) -> Vec<(usize, usize)> {
        let rows = self.slots.iter().zip(&self.starts).zip(&self.counts);
        rows.flat_map(|((&slot, &start), &count)| {
            (0..self.seq).map(move |at| (slot, start + count.min(at + 1)))
        })
        .collect()
    }

    pub(super) fn index(&self, heads: usize, device: &Device) -> &Index {
        self.index.get_or_init(|| self.build(heads, device))
    }

    fn build(&self, heads: usize, device: &Device) -> Index {
        let (mut real, mut places) = (Vec::new(), Vec::new());
        for (row, (&slot, &start)) in self.slots.iter().zip(&self.starts).enumerate() {
            for at in 0..self.counts[row] {
                real.push((row * self.seq + at) as i32);
                places.extend((0..heads).flat_map(|head| [slot, head, start + at]));
            }
        }
        let (rows, columns) = (self.slots.len(), self.columns());
        let hidden: Vec<bool> = self
            .queries()
            .iter()
            .flat_map(|&(_, end)| {
                let first = self.window.map_or(0, |window| end.saturating_sub(window));
                (0..columns).map(move |column| !(first..end).contains(&column))
            })
            .collect();
        let ints = |values: Vec<usize>| values.into_iter().map(|v| v as i32).collect::<Vec<i32>>();
        let tokens = real.len();
        Index {
            real: Tensor::from_data(TensorData::new(real, [tokens]), device),
            places: Tensor::from_data(TensorData::new(ints(places), [tokens, heads, 3]), device),
            slots: Tensor::from_data(TensorData::new(ints(self.slots.clone()), [rows]), device),
            hidden: Tensor::from_data(
                TensorData::new(hidden, [rows, 1, self.seq, columns]),
                device,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::Placement;

    /// Rows of `x` for a hidden column and `.` for a visible one.
    fn drawn(placement: &Placement) -> Vec<String> {
        let hidden = &placement.index(1, &Device::flex()).hidden;
        let [_, _, _, columns] = hidden.dims();
        let flags: Vec<bool> = hidden.clone().into_data().iter::<bool>().collect();
        let line = |row: &[bool]| row.iter().map(|&hide| if hide { 'x' } else { '.' }).collect();
        flags.chunks(columns).map(line).collect()
    }

    #[test]
    fn a_token_sees_what_its_slot_holds_before_it_and_itself() {
        // Three columns in use and two new tokens; none in use, one new token and padding.
        let placement = Placement::new(vec![0, 1], vec![3, 0], vec![2, 1]);
        assert_eq!(drawn(&placement), ["....x", ".....", ".xxxx", ".xxxx"]);
        assert_eq!(placement.positions(), [3, 4, 0, 1]);
        assert_eq!(placement.queries(), [(0, 4), (0, 5), (1, 1), (1, 1)]);
        assert!(!placement.is_fresh());
    }

    #[test]
    fn a_window_counts_back_from_the_token_itself() {
        let placement = Placement::new(vec![0], vec![3], vec![2]);
        assert_eq!(drawn(&placement.within(Some(2))), ["xx..x", "xxx.."]);
        assert_eq!(drawn(&placement.within(Some(9))), drawn(&placement));
    }
}

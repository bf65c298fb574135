//! Token sequences of several lengths, side by side.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// Sequences padded on the right to the length of the longest.
#[derive(Clone, Debug)]
pub struct EncoderBatch {
    /// `[rows * seq]`
    pub(super) tokens: Tensor<1, Int>,
    pub(super) rows: usize,
    /// Tokens of the longest sequence.
    pub(super) seq: usize,
    lengths: Vec<usize>,
    device: Device,
}

impl EncoderBatch {
    /// Puts sequences beside each other.
    ///
    /// # Panics
    /// If there is none, or one is empty.
    #[must_use]
    pub fn new<S: AsRef<[u32]>>(sequences: &[S], device: &Device) -> Self {
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.as_ref().len()).collect();
        assert!(lengths.iter().min().is_some_and(|&shortest| shortest > 0), "an empty sequence");
        let seq = lengths.iter().copied().max().unwrap_or(0);
        let mut padded = vec![0_i32; sequences.len() * seq];
        for (row, ids) in padded.chunks_exact_mut(seq).zip(sequences) {
            row.iter_mut().zip(ids.as_ref()).for_each(|(to, &id)| *to = id as i32);
        }
        let len = padded.len();
        Self {
            tokens: Tensor::from_data(TensorData::new(padded, [len]), device),
            rows: sequences.len(),
            seq,
            lengths,
            device: device.clone(),
        }
    }

    /// Tokens of each sequence.
    #[must_use]
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Which keys each query may not look at, `[rows, 1, seq, seq]`: padding, and with a reach those
    /// further away. `None` where it may look at all.
    pub(super) fn hidden_keys(&self, reach: Option<usize>) -> Option<Tensor<4, Bool>> {
        let seq = self.seq;
        let reach = reach.filter(|&reach| reach + 1 < seq);
        let is_padded = self.lengths.iter().any(|&length| length < seq);
        if !is_padded && reach.is_none() {
            return None;
        }
        let mut hidden = Vec::with_capacity(self.rows * seq * seq);
        for &length in &self.lengths {
            for query in 0..seq {
                let is_far = |key: usize| reach.is_some_and(|reach| query.abs_diff(key) > reach);
                hidden.extend((0..seq).map(|key| key >= length || is_far(key)));
            }
        }
        let data = TensorData::new(hidden, [self.rows, 1, seq, seq]);
        Some(Tensor::from_data(data, &self.device))
    }

    /// The mean of the hidden states of each sequence, padding left out: `[rows, seq, hidden]` to
    /// `[rows, hidden]`.
    pub(super) fn mean(&self, hidden: Tensor<3>) -> Tensor<2> {
        let share = |&length: &usize| {
            let inside =
                (0..self.seq).map(move |at| if at < length { 1.0 / length as f32 } else { 0.0 });
            inside.collect::<Vec<f32>>()
        };
        let shares: Vec<f32> = self.lengths.iter().flat_map(share).collect();
        let shares = TensorData::new(shares, [self.rows, 1, self.seq]);
        Tensor::<3>::from_data(shares, &self.device).matmul(hidden).squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(lengths: &[usize], reach: Option<usize>) -> Option<Vec<bool>> {
        let sequences: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![1; n]).collect();
        let batch = EncoderBatch::new(&sequences, &Device::flex());
        let mask = batch.hidden_keys(reach)?;
        Some(mask.into_data().iter::<bool>().collect())
    }

    #[test]
    fn keys_are_hidden_where_they_are_padding_or_far_away() {
        assert_eq!(hidden(&[3, 3], None), None);
        assert_eq!(hidden(&[3], Some(2)), None);
        let (o, x) = (false, true);
        assert_eq!(hidden(&[3], Some(1)), Some(vec![o, o, x, o, o, o, x, o, o]));
        assert_eq!(hidden(&[2, 1], None), Some(vec![o, o, o, o, o, x, o, x]));
    }

    #[test]
    fn a_mean_leaves_padding_out() {
        let batch = EncoderBatch::new(&[vec![1, 2], vec![3]], &Device::flex());
        let states = Tensor::<3>::from_data([[[1.0], [3.0]], [[5.0], [99.0]]], &Device::flex());
        let mean = batch.mean(states).into_data().try_to_vec::<f32>().expect("f32");
        assert_eq!(mean, [2.0, 5.0]);
    }
}

//! Per-token log-probabilities of completions, in the shape that losses want.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Log-probabilities of the completion tokens of a batch, one row a sequence.
///
/// Padded on the right: values are `[pairs, seq]` and zero where the mask is zero, so a sum is a
/// sum over a row, and a mean divides it by the row's length.
#[derive(Clone, Debug)]
pub struct TokenLogps {
    /// Nats, `[pairs, seq]`, zero on padding.
    values: Tensor<2>,
    /// One on completion tokens, `[pairs, seq]`.
    mask: Tensor<2>,
    /// Divergence from the reference over the whole vocabulary, `[pairs, seq]`, zero on padding.
    divergence: Option<Tensor<2>>,
}

impl TokenLogps {
    /// From values laid end to end, `counts[i]` of them for sequence `i`, as
    /// `CausalLm::completion_logprobs` returns them. Tracked if `flat` is.
    ///
    /// # Panics
    /// If `flat` does not hold `counts.iter().sum()` values.
    #[must_use]
    pub fn from_flat(flat: Tensor<1>, counts: &[usize]) -> Self {
        let [tokens] = flat.dims();
        assert_eq!(tokens, counts.iter().sum::<usize>(), "one value a completion token");
        let device = flat.clone().inner().device();
        let seq = counts.iter().copied().max().unwrap_or(0).max(1);
        let mask = Self::mask(counts, seq, &device);
        Self { values: Self::laid_out(flat, counts, &mask), mask, divergence: None }
    }

    /// Flat values as rows, padded with zeros.
    fn laid_out(flat: Tensor<1>, counts: &[usize], mask: &Tensor<2>) -> Tensor<2> {
        let [_, seq] = mask.dims();
        if flat.dims() == [0] {
            return mask.zeros_like();
        }
        let mut index = vec![0_i32; counts.len() * seq];
        let mut next = 0_i32;
        for (row, &count) in counts.iter().enumerate() {
            for place in &mut index[row * seq..row * seq + count] {
                *place = next;
                next += 1;
            }
        }
        let shape = [index.len()];
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, shape), &mask.device());
        flat.select(0, index).reshape([counts.len(), seq]) * mask.clone()
    }

    /// The same, carrying the divergence from the reference over the whole vocabulary at each token,
    /// laid end to end as in [`from_flat`](Self::from_flat).
    ///
    /// # Panics
    /// If there is not one value a token.
    #[must_use]
    pub fn with_divergence(mut self, flat: Tensor<1>) -> Self {
        let counts: Vec<usize> =
            self.lengths().into_data().iter::<f32>().map(|count| count as usize).collect();
        assert_eq!(flat.dims(), [counts.iter().sum::<usize>()], "one value a completion token");
        self.divergence = Some(Self::laid_out(flat, &counts, &self.mask));
        self
    }

    /// Mean divergence over the tokens of each sequence, `[pairs]`, if they carry one.
    #[must_use]
    pub fn mean_divergence(&self) -> Option<Tensor<1>> {
        let sum = self.divergence.clone()?.sum_dim(1).squeeze_dim(1);
        Some(sum / self.lengths().clamp_min(1.0))
    }

    /// From plain numbers, one row a sequence.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::Device;
    /// use ingrain_dpo::TokenLogps;
    ///
    /// let logps = TokenLogps::from_rows(&[vec![-1.0, -2.0], vec![-4.0]], &Device::flex());
    /// assert_eq!(logps.sum().to_data().try_to_vec::<f32>()?, [-3.0, -4.0]);
    /// assert_eq!(logps.mean().to_data().try_to_vec::<f32>()?, [-1.5, -4.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn from_rows<R: AsRef<[f32]>>(rows: &[R], device: &Device) -> Self {
        let counts: Vec<usize> = rows.iter().map(|row| row.as_ref().len()).collect();
        let flat: Vec<f32> = rows.iter().flat_map(|row| row.as_ref()).copied().collect();
        let shape = [flat.len()];
        Self::from_flat(Tensor::from_data(TensorData::new(flat, shape), device), &counts)
    }

    fn mask(counts: &[usize], seq: usize, device: &Device) -> Tensor<2> {
        let row = |&count: &usize| (0..seq).map(move |i| f32::from(u8::from(i < count)));
        let mask: Vec<f32> = counts.iter().flat_map(row).collect();
        Tensor::from_data(TensorData::new(mask, [counts.len(), seq]), device)
    }

    /// Sum over the tokens of each sequence, `[pairs]`.
    #[must_use]
    pub fn sum(&self) -> Tensor<1> {
        self.values.clone().sum_dim(1).squeeze_dim(1)
    }

    /// Mean over the tokens of each sequence, `[pairs]`; zero for one without tokens.
    #[must_use]
    pub fn mean(&self) -> Tensor<1> {
        self.sum() / self.lengths().clamp_min(1.0)
    }

    /// [`mean`](Self::mean) if `length_normalized`, else [`sum`](Self::sum).
    #[must_use]
    pub fn total(&self, length_normalized: bool) -> Tensor<1> {
        if length_normalized { self.mean() } else { self.sum() }
    }

    /// Tokens of each sequence, `[pairs]`.
    #[must_use]
    pub fn lengths(&self) -> Tensor<1> {
        self.mask.clone().sum_dim(1).squeeze_dim(1)
    }

    /// Token by token `self - other`. Both must hold the same tokens.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let values = self.values.clone() - other.values.clone();
        Self { values, mask: self.mask.clone(), divergence: None }
    }

    /// Applies `f` to every value; what it makes of padding is discarded.
    #[must_use]
    pub fn map(&self, f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        let values = f(self.values.clone()) * self.mask.clone();
        Self { values, mask: self.mask.clone(), divergence: None }
    }

    /// The same numbers, cut off from any graph.
    #[must_use]
    pub fn untracked(&self) -> Self {
        let divergence = self.divergence.clone().map(Tensor::inner);
        Self { values: self.values.clone().inner(), mask: self.mask.clone(), divergence }
    }

    /// Number of sequences.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.mask.dims()[0]
    }
}

/// Both sides of a batch of preference pairs under one model.
#[derive(Clone, Debug)]
pub struct PairLogps {
    /// The preferred completions.
    pub chosen: TokenLogps,
    /// The others, in the same order.
    pub rejected: TokenLogps,
}

impl PairLogps {
    /// From values laid end to end: all chosen completions, then all rejected ones.
    ///
    /// # Panics
    /// If `counts` is of odd length or does not add up to the number of values.
    #[must_use]
    pub fn from_flat(flat: Tensor<1>, counts: &[usize]) -> Self {
        assert!(counts.len().is_multiple_of(2), "a chosen and a rejected completion each");
        let (chosen, rejected) = counts.split_at(counts.len() / 2);
        let cut = chosen.iter().sum::<usize>();
        let end = flat.dims()[0];
        Self {
            chosen: TokenLogps::from_flat(flat.clone().slice(0..cut), chosen),
            rejected: TokenLogps::from_flat(flat.slice(cut..end), rejected),
        }
    }

    /// The same, carrying divergences laid end to end as in [`from_flat`](Self::from_flat).
    ///
    /// # Panics
    /// If there is not one value a token.
    #[must_use]
    pub fn with_divergence(self, flat: Tensor<1>) -> Self {
        let cut = self.chosen.lengths().sum().into_scalar::<f32>() as usize;
        let end = flat.dims()[0];
        Self {
            chosen: self.chosen.with_divergence(flat.clone().slice(0..cut)),
            rejected: self.rejected.with_divergence(flat.slice(cut..end)),
        }
    }

    /// The same numbers, cut off from any graph.
    #[must_use]
    pub fn untracked(&self) -> Self {
        Self { chosen: self.chosen.untracked(), rejected: self.rejected.untracked() }
    }

    /// How much more likely than under `reference` each completion is: chosen and rejected, each
    /// `[pairs]`, summed over tokens, or averaged if `length_normalized`.
    #[must_use]
    pub(crate) fn log_ratios(
        &self,
        reference: &Self,
        length_normalized: bool,
    ) -> (Tensor<1>, Tensor<1>) {
        (
            self.chosen.minus(&reference.chosen).total(length_normalized),
            self.rejected.minus(&reference.rejected).total(length_normalized),
        )
    }

    /// Chosen log-ratio minus rejected log-ratio, `[pairs]`: what most losses look at.
    #[must_use]
    pub(crate) fn log_ratio_difference(
        &self,
        reference: &Self,
        length_normalized: bool,
    ) -> Tensor<1> {
        let (chosen, rejected) = self.log_ratios(reference, length_normalized);
        chosen - rejected
    }

    /// A penalty `f` on the log-ratio `log pi - log ref` of every token: its mean over a
    /// completion's tokens, averaged over both completions, `[pairs]`.
    #[must_use]
    pub(crate) fn token_penalty(
        &self,
        reference: &Self,
        f: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<1> {
        let chosen = self.chosen.minus(&reference.chosen).map(&f).mean();
        let rejected = self.rejected.minus(&reference.rejected).map(&f).mean();
        (chosen + rejected).mul_scalar(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.to_data().try_to_vec().expect("f32")
    }

    #[test]
    fn a_flat_row_of_values_is_cut_by_counts() {
        let flat = Tensor::from_floats([-1.0, -2.0, -3.0, -4.0, -5.0, -6.0], &Device::flex());
        let pairs = PairLogps::from_flat(flat, &[1, 2, 0, 3]);
        assert_eq!(values(pairs.chosen.sum()), [-1.0, -5.0]);
        assert_eq!(values(pairs.rejected.sum()), [0.0, -15.0]);
        assert_eq!(values(pairs.rejected.lengths()), [0.0, 3.0]);
        assert_eq!(values(pairs.rejected.mean()), [0.0, -5.0]);
    }

    #[test]
    fn padding_stays_out_of_mapped_values() {
        let logps = TokenLogps::from_rows(&[vec![0.0, 0.0], vec![0.0]], &Device::flex());
        // exp(0) = 1 on every token, and nothing on the padding.
        assert_eq!(values(logps.map(Tensor::exp).sum()), [2.0, 1.0]);
    }

    #[test]
    fn gradients_reach_the_flat_values_one_to_one() {
        let flat = Tensor::<1>::from_floats([-1.0, -2.0, -3.0], &Device::flex());
        let flat = flat.autodiff().require_grad();
        let logps = TokenLogps::from_flat(flat.clone(), &[2, 1]);
        let weights = Tensor::<1>::from_floats([1.0, 10.0], &Device::flex());
        let gradients = (logps.mean() * weights).sum().backward();
        assert_eq!(values(flat.grad(&gradients).expect("tracked")), [0.5, 0.5, 10.0]);
    }

    #[test]
    fn a_batch_without_tokens_is_zero_everywhere() {
        let logps = TokenLogps::from_rows::<Vec<f32>>(&[vec![], vec![]], &Device::flex());
        assert_eq!(values(logps.sum()), [0.0, 0.0]);
    }
}

//! Kullback-Leibler divergence between two models' next-token distributions, over the whole vocabulary.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use crate::Readout;
use crate::kernels::{self, Dense, Nodes, divergence};
use crate::layers::product;
use crate::logprob::UnitBackward;

/// Tokens a chunk.
const CHUNK: usize = 64;

/// Which of the two distributions the divergence is an expectation under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlDirection {
    /// `KL(policy || reference)`: the policy pays for what the reference would not say.
    #[default]
    Reverse,
    /// `KL(reference || policy)`: the policy pays for leaving out what the reference would say.
    Forward,
}

/// Divergence between the next-token distributions of two models, one value a token, in nats.
///
/// With `p = softmax(h W^T)` of the policy and `q` of the reference:
///
/// - reverse: `sum p log(p / q)`, derivative with respect to the policy's logits
///   `p (log(p / q) - KL)`;
/// - forward: `sum q log(q / p)`, derivative `p - q`.
///
/// As in [`selective_logprob`](crate::selective_logprob) the gradient with respect to `h` is computed
/// in the forward pass, chunk by chunk, where the policy's head is frozen; a trainable head is
/// differentiated by the graph and keeps `[tokens, vocab]` values for it. Capped logits are the ones
/// compared.
///
/// # Shapes
/// - both hidden states: `[tokens, hidden]` (the widths may differ), the policy's tracked or not
/// - both heads: `[vocab, hidden]`
/// - output: `[tokens]`, tracked if the policy is
#[must_use]
pub fn vocab_kl(policy: &Readout, reference: &Readout, direction: KlDirection) -> Tensor<1> {
    let reference = Readout {
        hidden: reference.hidden.clone().without_autodiff(),
        head: reference.head.clone().without_autodiff(),
        ..reference.clone()
    };
    if policy.head.is_autodiff() {
        return plain(policy.logits(), reference.logits(), direction);
    }
    fused(policy, &reference, direction).unwrap_or_else(|| compose(policy, &reference, direction))
}

fn fused(policy: &Readout, reference: &Readout, direction: KlDirection) -> Option<Tensor<1>> {
    let [tokens, width] = policy.hidden.dims();
    let mut nodes = Nodes::default();
    let (hidden, head) = (nodes.read(&policy.hidden)?, Dense::read(&policy.head)?);
    let (other, other_head) = (Dense::read(&reference.hidden)?, Dense::read(&reference.head)?);
    let side = |readout: &Readout, hidden, head, width| divergence::Side {
        hidden,
        head,
        width,
        softcap: readout.softcap.map(|cap| cap as f32),
    };
    let policy = side(policy, hidden.values(), head.values(), width);
    let width = reference.hidden.dims()[1];
    let reference = side(reference, other.values(), other_head.values(), width);
    let (values, unit) = divergence::forward(policy, reference, direction, nodes.any_tracked());
    Some(match unit {
        Some(unit) => {
            let unit = Dense::new(kernels::flex(unit, [tokens, policy.width]));
            nodes.attach::<1, 1, _>(UnitBackward, unit, values, [tokens])
        }
        None => kernels::tensor(values, [tokens]),
    })
}

/// The same of Burn operations, for every back end.
fn compose(policy: &Readout, reference: &Readout, direction: KlDirection) -> Tensor<1> {
    let [tokens, _] = policy.hidden.dims();
    if tokens == 0 {
        return policy.hidden.clone().sum_dim(1).reshape([0]);
    }
    let tracked = policy.hidden.is_autodiff();
    let hidden = policy.hidden.clone().without_autodiff();
    let (mut values, mut units) = (Vec::new(), Vec::new());
    for start in (0..tokens).step_by(CHUNK) {
        let rows = CHUNK.min(tokens - start);
        let logits = |hidden: &Tensor<2>, readout: &Readout| {
            Readout { hidden: hidden.clone().narrow(0, start, rows), ..readout.clone() }.logits()
        };
        let capped = logits(&hidden, policy);
        let p = activation::log_softmax(capped.clone(), 1);
        let q = activation::log_softmax(logits(&reference.hidden, reference), 1);
        let (value, slope) = match direction {
            KlDirection::Reverse => {
                let (ratio, p) = (p.clone() - q, p.exp());
                let value = (p.clone() * ratio.clone()).sum_dim(1);
                (value.clone(), p * (ratio - value))
            }
            KlDirection::Forward => {
                let (ratio, q) = (q.clone() - p.clone(), q.exp());
                ((q.clone() * ratio).sum_dim(1), p.exp() - q)
            }
        };
        values.push(value.reshape([rows]));
        if tracked {
            let slope = match policy.softcap {
                Some(cap) => slope * capped.div_scalar(cap).square().neg().add_scalar(1.0),
                None => slope,
            };
            units.push(product(slope, policy.head.clone()));
        }
    }
    let value = Tensor::cat(values, 0);
    if !tracked {
        return value;
    }
    let slope = (policy.hidden.clone() * Tensor::cat(units, 0)).sum_dim(1).reshape([tokens]);
    value - slope.clone().detach() + slope
}

impl Readout {
    /// `[tokens, vocab]`
    fn logits(&self) -> Tensor<2> {
        let logits = product(self.hidden.clone(), self.head.clone().transpose());
        match self.softcap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        }
    }
}

/// From logits, differentiated by the graph.
fn plain(p: Tensor<2>, q: Tensor<2>, direction: KlDirection) -> Tensor<1> {
    let (p, q) = (activation::log_softmax(p, 1), activation::log_softmax(q, 1));
    let value = match direction {
        KlDirection::Reverse => p.clone().exp() * (p - q),
        KlDirection::Forward => q.clone().exp() * (q - p),
    };
    value.sum_dim(1).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn random(shape: [usize; 2], size: f64) -> Tensor<2> {
        Tensor::random(shape, Distribution::Normal(0.0, size), &Device::flex())
    }

    fn outcome(kl: impl FnOnce(&Readout) -> Tensor<1>, policy: &Readout) -> (Vec<f32>, Vec<f32>) {
        let hidden = policy.hidden.clone().autodiff().require_grad();
        let values = kl(&Readout { hidden: hidden.clone(), ..policy.clone() });
        let [tokens] = values.dims();
        let weights: Vec<f32> = (0..tokens).map(|i| 0.5 + i as f32 % 3.0).collect();
        let weights = Tensor::<1>::from_floats(weights.as_slice(), &Device::flex());
        let gradients = (values.clone() * weights).sum().backward();
        let read = |x: burn::tensor::TensorData| x.try_to_vec::<f32>().expect("f32");
        let gradient = hidden.grad(&gradients).expect("tracked");
        (read(values.inner().to_data()), read(gradient.to_data()))
    }

    fn close(found: &[f32], expected: &[f32], what: &str) {
        let largest = expected.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 2e-5 * largest, "{what}: {a}, not {b}");
        }
    }

    #[test]
    fn kernels_and_composition_equal_what_the_graph_derives() {
        for (tokens, widths, vocab, size, softcap) in [
            (1, [1, 1], 2, 1.0, None),
            (3, [4, 7], 9, 1.0, Some(2.0)),
            (70, [16, 8], 301, 0.5, None),
            (130, [5, 5], 77, 3.0, Some(8.0)),
        ] {
            let readout = |width: usize, softcap| {
                let head = random([vocab, width], 1.0);
                Readout { softcap, ..Readout::new(random([tokens, width], size), head) }
            };
            let policy = readout(widths[0], softcap);
            let reference = readout(widths[1], softcap.map(|cap| cap + 1.0));
            for direction in [KlDirection::Reverse, KlDirection::Forward] {
                let what = format!("{tokens} tokens, {vocab} words, {direction:?}");
                let expected = outcome(
                    |policy| plain(policy.logits(), reference.logits(), direction),
                    &policy,
                );
                let kernel = |p: &Readout| fused(p, &reference, direction).expect("f32 on Flex");
                for found in [
                    outcome(kernel, &policy),
                    outcome(|p| compose(p, &reference, direction), &policy),
                ] {
                    close(&found.0, &expected.0, &what);
                    close(&found.1, &expected.1, &format!("{what}, gradient"));
                }
                let untracked = vocab_kl(&policy, &reference, direction);
                assert!(!untracked.is_autodiff());
                let untracked: Vec<f32> = untracked.to_data().try_to_vec().expect("f32");
                close(&untracked, &expected.0, &format!("{what}, untracked"));
            }
        }
    }

    #[test]
    fn two_words_give_the_values_and_slopes_of_the_formula() {
        // One hidden value h with head (1, -1): logits (h, -h), p = sigmoid(2 h).
        // At h = ln(3)/2: p = (3/4, 1/4); the reference at h = 0: q = (1/2, 1/2).
        // Reverse: 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812; the ratio r = (ln 3/2, ln 1/2) and
        //   d/dh = sum_i p_i (r_i - KL) w_i = 3/4 (0.405465 - 0.130812) + 1/4 (0.693147 + 0.130812)
        //        = 0.411980
        // Forward: 1/2 ln(2/3) + 1/2 ln 2 = 0.143841; d/dh = (3/4 - 1/2) - (1/4 - 1/2) = 0.5
        let tensor = |x: &[[f32; 1]]| {
            let flat: Vec<f32> = x.iter().map(|[v]| *v).collect();
            Tensor::<1>::from_floats(flat.as_slice(), &Device::flex()).reshape([x.len(), 1])
        };
        let head = tensor(&[[1.0], [-1.0]]);
        let policy = Readout::new(tensor(&[[3.0_f32.ln() / 2.0]]), head.clone());
        let reference = Readout::new(tensor(&[[0.0]]), head);
        for (direction, value, slope) in
            [(KlDirection::Reverse, 0.130_812, 0.411_980), (KlDirection::Forward, 0.143_841, 0.5)]
        {
            let (values, gradient) = outcome(|p| vocab_kl(p, &reference, direction), &policy);
            assert!((values[0] - value).abs() < 1e-6, "{values:?}");
            // `outcome` weighs the first token by one half.
            assert!((gradient[0] - 0.5 * slope).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn the_divergence_from_itself_is_zero_and_flat() {
        let policy = Readout::new(random([5, 8], 1.0), random([40, 8], 1.0));
        for direction in [KlDirection::Reverse, KlDirection::Forward] {
            let (values, gradient) = outcome(|p| vocab_kl(p, &policy, direction), &policy);
            assert!(values.iter().chain(&gradient).all(|x| x.abs() < 1e-5), "{values:?}");
        }
    }
}

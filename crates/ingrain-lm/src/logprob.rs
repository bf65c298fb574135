//! Selective log-probability: `log softmax(h W^T)[target]` without the `[tokens, vocab]` tensor.

use burn::tensor::{Int, Tensor};

/// Tokens a chunk. 128 rows of a 49,152-word vocabulary are 24 MiB of logits in f32.
const CHUNK: usize = 128;

/// Log-probability of one target a token, in nats.
///
/// For a frozen head the derivative with respect to the hidden state is known in closed form,
/// `d logp / dh = W[target] - softmax(h W^T) W`. Where a gradient is needed, it is computed chunk by
/// chunk in the forward pass, and the result is returned as `value + (h u - detach(h u))`: any loss
/// composed of these log-probabilities differentiates through it, and the backward pass costs one
/// multiplication.
///
/// # Shapes
/// - `hidden`: `[tokens, hidden]`, tracked or not
/// - `head`: `[vocab, hidden]`, frozen
/// - `targets`: `[tokens]`
/// - output: `[tokens]`, tracked if `hidden` is
///
/// With `softcap = c` the logits are `c tanh(z / c)`, and the unit gradient carries the factor
/// `1 - (z'/c)^2` inside its sum, `z'` being the capped logit.
#[must_use]
pub fn selective_logprob(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    softcap: Option<f64>,
) -> Tensor<1> {
    let [tokens, _] = hidden.dims();
    if tokens == 0 {
        return hidden.sum_dim(1).reshape([0]);
    }
    let tracked = hidden.is_autodiff();
    let plain = hidden.clone().without_autodiff();
    let mut values = Vec::new();
    let mut units = Vec::new();
    for start in (0..tokens).step_by(CHUNK) {
        let end = (start + CHUNK).min(tokens);
        let (value, unit) = chunk(
            plain.clone().narrow(0, start, end - start),
            &head,
            targets.clone().narrow(0, start, end - start),
            softcap,
            tracked,
        );
        values.push(value);
        units.extend(unit);
    }
    let value = Tensor::cat(values, 0);
    if !tracked {
        return value;
    }
    let slope = (hidden * Tensor::cat(units, 0)).sum_dim(1).reshape([tokens]);
    value - slope.clone().detach() + slope
}

/// Values `[chunk]` and, if asked, unit gradients `[chunk, hidden]`.
fn chunk(
    hidden: Tensor<2>,
    head: &Tensor<2>,
    targets: Tensor<1, Int>,
    softcap: Option<f64>,
    with_unit: bool,
) -> (Tensor<1>, Option<Tensor<2>>) {
    let [rows, _] = hidden.dims();
    let mut logits = hidden.matmul(head.clone().transpose());
    if let Some(cap) = softcap {
        logits = logits.div_scalar(cap).tanh().mul_scalar(cap);
    }
    let index = targets.clone().reshape([rows, 1]);
    let chosen = logits.clone().gather(1, index.clone());
    let max = logits.clone().max_dim(1);
    let exp = (logits.clone() - max.clone()).exp();
    let total = exp.clone().sum_dim(1);
    let value = (chosen.clone() - max - total.clone().log()).reshape([rows]);
    if !with_unit {
        return (value, None);
    }
    let target_rows = head.clone().select(0, targets);
    let Some(cap) = softcap else {
        // Dividing after the product touches [rows, hidden] in place of [rows, vocab].
        let expected = exp.matmul(head.clone()) / total;
        return (value, Some(target_rows - expected));
    };
    let slope = |z: Tensor<2>| z.div_scalar(cap).powi_scalar(2).neg().add_scalar(1.0);
    let expected = (exp * slope(logits)).matmul(head.clone()) / total;
    (value, Some(target_rows * slope(chosen) - expected))
}

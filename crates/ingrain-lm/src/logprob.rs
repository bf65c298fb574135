//! Selective log-probability: `log softmax(h W^T)[target]` without the `[tokens, vocab]` tensor.

#[cfg(feature = "cuda")]
mod cube;
mod trainable;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::{DType, Int, Tensor};

use crate::device::is_gpu;
use crate::kernels::bf16::HalfWeight;
use crate::kernels::logprob::{self, Problem};
use crate::kernels::{self, Dense, Nodes};
use crate::layers::product;

/// Tokens a chunk. 128 rows of a 49,152-word vocabulary are 24 MiB of logits in f32.
const CHUNK: usize = 128;
/// On a GPU a product of few rows waits for the weights. Not chosen by measurement yet.
const GPU_CHUNK: usize = 1024;

/// Log-probability of one target a token, in nats.
///
/// For a frozen head the derivative with respect to the hidden state is known in closed form,
/// `d logp / dh = W[target] - softmax(h W^T) W`. Where a gradient is needed, it is computed chunk by
/// chunk in the forward pass, so that any loss composed of these log-probabilities differentiates
/// through them and the backward pass costs one multiplication.
///
/// A head that trains takes another way: its backward pass makes the logits of each chunk again, which
/// costs one more product over the vocabulary and keeps nothing of that size. (On back ends other than
/// Flex the graph keeps the logits.)
///
/// # Shapes
/// - `hidden`: `[tokens, hidden]`, tracked or not
/// - `head`: `[vocab, hidden]`, tracked or not
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
    with_half(hidden, head, None, targets, softcap)
}

/// The same with the products of a frozen head in bf16: `hidden` and the derivatives of the logits are
/// rounded on the way in, sums and everything else are f32. `packed` is `head`, packed. A head that trains,
/// or another back end than Flex, takes the products of `head` itself.
#[must_use]
pub fn selective_logprob_bf16(
    hidden: Tensor<2>,
    head: Tensor<2>,
    packed: &HalfWeight,
    targets: Tensor<1, Int>,
    softcap: Option<f64>,
) -> Tensor<1> {
    with_half(hidden, head, Some(packed), targets, softcap)
}

/// The same, with a head that may be packed in bf16.
pub(crate) fn with_half(
    hidden: Tensor<2>,
    head: Tensor<2>,
    half: Option<&HalfWeight>,
    targets: Tensor<1, Int>,
    softcap: Option<f64>,
) -> Tensor<1> {
    if head.is_autodiff() {
        return trainable::logprob(hidden, head, targets, softcap);
    }
    fused(&hidden, &head, half, &targets, softcap)
        .unwrap_or_else(|| compose(hidden, head, targets, softcap))
}

fn fused(
    hidden: &Tensor<2>,
    head: &Tensor<2>,
    half: Option<&HalfWeight>,
    targets: &Tensor<1, Int>,
    softcap: Option<f64>,
) -> Option<Tensor<1>> {
    let [tokens, width] = hidden.dims();
    let mut nodes = Nodes::default();
    let (hidden, head) = (nodes.read(hidden)?, Dense::read(head)?);
    let targets = indices(targets);
    let problem = Problem {
        hidden: hidden.values(),
        head: head.values(),
        half,
        width,
        targets: &targets,
        softcap: softcap.map(|cap| cap as f32),
    };
    let (values, unit) = logprob::forward(problem, nodes.any_tracked());
    Some(match unit {
        Some(unit) => {
            let unit = Dense::new(kernels::flex(unit, [tokens, width]));
            nodes.attach::<1, 1, _>(UnitBackward, unit, values, [tokens])
        }
        None => kernels::tensor(values, [tokens]),
    })
}

/// `dh = dy * unit`, row by row.
#[derive(Debug)]
pub(crate) struct UnitBackward;

impl Backward<Flex, 1> for UnitBackward {
    type State = Dense;

    fn backward(self, ops: Ops<Dense, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = Dense::new(gradients.consume::<Flex>(&ops.node));
        let [Some(node)] = ops.parents else { return };
        let (unit, tokens) = (ops.state, dy.values().len());
        let width = unit.values().len() / tokens.max(1);
        let rows = unit.values().chunks(width.max(1)).zip(dy.values());
        let dh: Vec<f32> = rows.flat_map(|(row, dy)| row.iter().map(move |u| dy * u)).collect();
        gradients.register::<Flex>(node.id, kernels::flex(dh, [tokens, width]));
    }
}

/// The same of Burn operations, for every back end: the value plus `h u - detach(h u)`, `u` being the
/// unit gradient.
fn compose(
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
    let size = if is_gpu(&head.device()) { GPU_CHUNK } else { CHUNK };
    let mut values = Vec::new();
    let mut units = Vec::new();
    for start in (0..tokens).step_by(size) {
        let rows = size.min(tokens - start);
        let (value, unit) = chunk(
            plain.clone().narrow(0, start, rows),
            &head,
            targets.clone().narrow(0, start, rows),
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
    #[cfg(feature = "cuda")]
    if is_gpu(&head.device()) {
        return cube::chunk(hidden, head, targets, softcap, with_unit);
    }
    let [rows, _] = hidden.dims();
    let logits = logits(hidden, head.clone(), softcap);
    let index = targets.clone().reshape([rows, 1]);
    let chosen = logits.clone().gather(1, index.clone());
    let max = logits.clone().max_dim(1);
    let exp = (logits.clone() - max.clone()).exp();
    let total = exp.clone().sum_dim(1);
    let value = (chosen.clone() - max - total.clone().log()).reshape([rows]);
    if !with_unit {
        return (value, None);
    }
    let target_rows = head.clone().select(0, targets).cast(DType::F32);
    let Some(cap) = softcap else {
        // Dividing after the product touches [rows, hidden] in place of [rows, vocab].
        let expected = product(exp, head.clone()) / total;
        return (value, Some(target_rows - expected));
    };
    let slope = |z: Tensor<2>| z.div_scalar(cap).powi_scalar(2).neg().add_scalar(1.0);
    let expected = product(exp * slope(logits), head.clone()) / total;
    (value, Some(target_rows * slope(chosen) - expected))
}

/// Capped products with every row of the head, `[tokens, vocab]`.
fn logits(hidden: Tensor<2>, head: Tensor<2>, softcap: Option<f64>) -> Tensor<2> {
    let logits = product(hidden, head.transpose());
    match softcap {
        Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
        None => logits,
    }
}

fn indices(targets: &Tensor<1, Int>) -> Vec<usize> {
    targets.clone().into_data().iter::<i64>().map(|id| id as usize).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
    use rand_pcg::Pcg64;
    use rand_pcg::rand_core::{Rng, SeedableRng};

    use super::{compose, fused};

    /// Values and gradients of `sum(logp * towards)` in both forms.
    fn check(hidden: Tensor<2>, head: Tensor<2>, targets: Tensor<1, Int>, softcap: Option<f64>) {
        let ([tokens, width], [vocab, _]) = (hidden.dims(), head.dims());
        let what = format!("{tokens} tokens of {width}, {vocab} words, softcap {softcap:?}");
        let towards =
            Tensor::<1>::random([tokens], Distribution::Normal(0.0, 1.0), &Device::flex());
        let hidden = hidden.autodiff().require_grad();
        let run = |logps: Tensor<1>| {
            let gradients = (logps.clone() * towards.clone().autodiff()).sum().backward();
            (logps.inner(), hidden.grad(&gradients).expect("tracked"))
        };
        let (values, gradient) =
            run(fused(&hidden, &head, None, &targets, softcap).expect("f32 on Flex"));
        let (values_plain, gradient_plain) =
            run(compose(hidden.clone(), head.clone(), targets.clone(), softcap));
        let untracked = fused(&hidden.clone().inner(), &head, None, &targets, softcap);
        let untracked = untracked.expect("f32 on Flex");
        assert!(!untracked.is_autodiff());
        for (name, a, b) in [
            ("values", values.reshape([1, tokens]), values_plain.clone().reshape([1, tokens])),
            ("untracked", untracked.reshape([1, tokens]), values_plain.reshape([1, tokens])),
            ("gradient", gradient, gradient_plain),
        ] {
            let largest = b.clone().abs().max().into_scalar::<f32>().max(1.0);
            let off = (a - b).abs().max().into_scalar::<f32>();
            assert!(off <= 1e-5 * largest, "{what}: {name} off by {off} of {largest}");
        }
    }

    fn targets(random: &mut Pcg64, tokens: usize, vocab: usize) -> Tensor<1, Int> {
        let ids: Vec<i32> =
            (0..tokens).map(|_| (random.next_u64() % vocab as u64) as i32).collect();
        Tensor::from_data(TensorData::new(ids, [tokens]), &Device::flex())
    }

    #[test]
    fn kernels_equal_the_composition_on_random_shapes() {
        let mut random = Pcg64::seed_from_u64(1);
        let mut up_to = |most: u64| (random.next_u64() % most) as usize + 1;
        let mut shapes: Vec<_> = (0..40).map(|_| (up_to(300), up_to(70), up_to(900))).collect();
        // More than are taken at once.
        shapes.extend([(1030, 3, 6145), (1024, 5, 13_000)]);
        for (index, (tokens, width, vocab)) in shapes.into_iter().enumerate() {
            let normal = |shape: [usize; 2], size| {
                Tensor::<2>::random(shape, Distribution::Normal(0.0, size), &Device::flex())
            };
            let size = [0.1, 1.0, 3.0][index % 3];
            let softcap = [None, Some(30.0), None, Some(5.0)][index % 4];
            let (hidden, head) = (normal([tokens, width], size), normal([vocab, width], 0.5));
            check(hidden, head, targets(&mut random, tokens, vocab), softcap);
        }
    }

    #[test]
    fn logits_of_ten_thousand_either_way_stay_finite() {
        // Whole numbers: every order of summation gives the same logits.
        let mut random = Pcg64::seed_from_u64(2);
        for (tokens, width, vocab) in [(1, 1, 2), (7, 1, 50), (130, 3, 257), (1024, 2, 13_000)] {
            let mut whole = |shape: [usize; 2], most: i64| {
                let values: Vec<f32> = (0..shape[0] * shape[1])
                    .map(|_| (random.next_u64() as i64 % (most + 1)) as f32)
                    .collect();
                Tensor::<2>::from_data(TensorData::new(values, shape), &Device::flex())
            };
            let (hidden, head) = (whole([tokens, width], 3), whole([vocab, width], 3_333));
            check(hidden, head, targets(&mut random, tokens, vocab), None);
        }
    }

    #[test]
    fn no_tokens_give_no_values() {
        let none = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &Device::flex());
        let targets = Tensor::<1, Int>::zeros([0], &Device::flex());
        let logps = fused(&none([0, 4]), &none([9, 4]), None, &targets, None).expect("f32 on Flex");
        assert_eq!(logps.dims(), [0]);
    }
}

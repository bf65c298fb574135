//! The same for a head that trains: the backward pass computes logits again.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::{Int, Tensor, activation};

use super::{indices, logits};
use crate::kernels::logprob::{self, Problem};
use crate::kernels::{self, Dense, Nodes};

pub(super) fn logprob(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    softcap: Option<f64>,
) -> Tensor<1> {
    fused(&hidden, &head, &targets, softcap)
        .unwrap_or_else(|| compose(hidden, head, targets, softcap))
}

fn fused(
    hidden: &Tensor<2>,
    head: &Tensor<2>,
    targets: &Tensor<1, Int>,
    softcap: Option<f64>,
) -> Option<Tensor<1>> {
    let [tokens, width] = hidden.dims();
    let mut nodes = Nodes::default();
    let (hidden, head) = (nodes.read(hidden)?, nodes.read(head)?);
    let targets = indices(targets);
    let softcap = softcap.map(|cap| cap as f32);
    let saved = Saved(Arc::new(Inputs { hidden, head, width, targets, softcap }));
    let (values, _) = logprob::forward(saved.0.problem(), false);
    Some(nodes.attach::<2, 1, _>(RecomputingBackward, saved, values, [tokens]))
}

#[derive(Debug)]
struct RecomputingBackward;

#[derive(Clone, Debug)]
struct Saved(Arc<Inputs>);

#[derive(Debug)]
struct Inputs {
    hidden: Dense,
    head: Dense,
    width: usize,
    targets: Vec<usize>,
    softcap: Option<f32>,
}

impl Inputs {
    fn problem(&self) -> Problem<'_> {
        Problem {
            hidden: self.hidden.values(),
            head: self.head.values(),
            half: None,
            width: self.width,
            targets: &self.targets,
            softcap: self.softcap,
        }
    }
}

impl Backward<Flex, 2> for RecomputingBackward {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = Dense::new(gradients.consume::<Flex>(&ops.node));
        let (dx, dw) = logprob::backward(ops.state.0.problem(), dy.values());
        let width = ops.state.0.width;
        for (node, values) in ops.parents.into_iter().zip([dx, dw]) {
            if let Some(node) = node {
                let shape = [values.len() / width, width];
                gradients.register::<Flex>(node.id, kernels::flex(values, shape));
            }
        }
    }
}

/// The definition, for every back end.
fn compose(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    softcap: Option<f64>,
) -> Tensor<1> {
    let [tokens] = targets.dims();
    let index = targets.reshape([tokens, 1]);
    activation::log_softmax(logits(hidden, head, softcap), 1).gather(1, index).reshape([tokens])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, TensorData};

    #[test]
    fn kernels_equal_what_the_graph_derives_for_both_inputs() {
        for (tokens, width, vocab, softcap) in
            [(1, 1, 2, None), (5, 3, 11, Some(4.0)), (150, 16, 301, None), (129, 8, 70, Some(30.0))]
        {
            let normal = |shape: [usize; 2]| {
                let x = Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex());
                x.autodiff().require_grad()
            };
            let (hidden, head) = (normal([tokens, width]), normal([vocab, width]));
            let ids: Vec<i32> = (0..tokens).map(|i| (i * 7 % vocab) as i32).collect();
            let targets =
                Tensor::<1, Int>::from_data(TensorData::new(ids, [tokens]), &Device::flex());
            let towards: Vec<f32> = (0..tokens).map(|i| (i as f32).sin()).collect();
            let towards = Tensor::<1>::from_floats(towards.as_slice(), &Device::flex());
            let outcome = |values: Tensor<1>| {
                let gradients = (values.clone() * towards.clone()).sum().backward();
                let of = |x: &Tensor<2>| x.grad(&gradients).expect("tracked");
                (values.inner(), of(&hidden), of(&head))
            };
            let found = fused(&hidden, &head, &targets, softcap).expect("f32 on Flex");
            let (value, dx, dw) = outcome(found);
            let (value_plain, dx_plain, dw_plain) =
                outcome(compose(hidden.clone(), head.clone(), targets, softcap));
            let off = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f32>();
            let what = format!("{tokens} tokens of {width}, {vocab} words");
            let values = [value.reshape([1, tokens]), value_plain.reshape([1, tokens])];
            let [value, value_plain] = values;
            assert!(off(value, value_plain) < 2e-5, "{what}: values");
            assert!(off(dx, dx_plain) < 2e-5, "{what}: hidden");
            assert!(off(dw, dw_plain) < 5e-5, "{what}: head");
        }
    }
}

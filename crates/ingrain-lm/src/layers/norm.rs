//! Root-mean-square normalisation.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;

use crate::kernels::{self, Dense, Nodes, norm};

/// `x / sqrt(mean(x^2) + eps) * weight` over the last axis; `x: [tokens, hidden]`, `weight: [hidden]`.
///
/// Source: Zhang and Sennrich 2019, arXiv:1910.07467.
pub(crate) fn rms_norm(x: Tensor<2>, weight: &Tensor<1>, eps: f64) -> Tensor<2> {
    fused(&x, weight, eps).unwrap_or_else(|| compose(x, weight, eps))
}

/// The definition, for every back end.
pub(super) fn compose(x: Tensor<2>, weight: &Tensor<1>, eps: f64) -> Tensor<2> {
    let scale = (x.clone() * x.clone()).mean_dim(1).add_scalar(eps).sqrt().recip();
    x * scale * weight.clone().unsqueeze::<2>()
}

fn fused(x: &Tensor<2>, weight: &Tensor<1>, eps: f64) -> Option<Tensor<2>> {
    let shape = x.dims();
    let mut nodes = Nodes::default();
    let (x, weight) = (nodes.read(x)?, Dense::read(weight)?);
    let (y, scales) = norm::forward(x.values(), weight.values(), eps);
    if !nodes.any_tracked() {
        return Some(kernels::tensor(y, shape));
    }
    let saved = Saved(Arc::new((x, weight, scales)));
    Some(nodes.attach::<1, 2, _>(NormBackward, saved, y, shape))
}

#[derive(Debug)]
struct NormBackward;

/// Input, weight and the scale of each row.
#[derive(Clone, Debug)]
struct Saved(Arc<(Dense, Dense, Vec<f32>)>);

impl Backward<Flex, 1> for NormBackward {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = Dense::new(gradients.consume::<Flex>(&ops.node));
        let (x, weight, scales) = &*ops.state.0;
        let [Some(node)] = ops.parents else { return };
        let mut dx = vec![0.0; dy.values().len()];
        norm::backward(x.values(), weight.values(), scales, dy.values(), &mut dx);
        let shape = [scales.len(), dx.len() / scales.len().max(1)];
        gradients.register::<Flex>(node.id, kernels::flex(dx, shape));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::{compose, fused};

    #[test]
    fn values_and_gradients_equal_the_definition() {
        let device = Device::flex().autodiff();
        for (rows, hidden, size) in [(1, 2, 1.0), (5, 7, 1e-4), (33, 64, 1.0), (40, 577, 1e3)] {
            let random = |shape: [usize; 2], size| {
                Tensor::<2>::random(shape, Distribution::Normal(0.0, size), &device)
            };
            let x = random([rows, hidden], size).require_grad();
            let weight = random([1, hidden], 1.0).reshape([hidden]).inner();
            let towards = random([rows, hidden], 1.0);
            let run = |y: Tensor<2>| {
                let gradients = (y.clone() * towards.clone()).sum().backward();
                (y.inner(), x.grad(&gradients).expect("x is tracked"))
            };
            let (y, dx) = run(fused(&x, &weight, 1e-5).expect("f32 on Flex"));
            let (y_plain, dx_plain) = run(compose(x.clone(), &weight, 1e-5));
            for (a, b) in [(y, y_plain), (dx, dx_plain)] {
                let largest = b.clone().abs().max().into_scalar::<f32>();
                let off = (a - b).abs().max().into_scalar::<f32>();
                assert!(
                    off <= 2e-6 + 1e-5 * largest,
                    "{rows} x {hidden}: off by {off} of {largest}"
                );
            }
        }
    }

    #[test]
    fn an_untracked_input_gives_an_untracked_output() {
        let x = Tensor::<2>::ones([2, 4], &Device::flex());
        let y = fused(&x, &Tensor::ones([4], &Device::flex()), 0.0).expect("f32 on Flex");
        assert!(!y.is_autodiff());
        assert_eq!(y.into_data(), x.into_data());
    }
}

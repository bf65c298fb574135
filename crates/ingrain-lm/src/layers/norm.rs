//! Root-mean-square normalisation.

use burn::tensor::Tensor;

/// `x / sqrt(mean(x^2) + eps) * weight` over the last axis; `x: [tokens, hidden]`, `weight: [hidden]`.
///
/// Source: Zhang and Sennrich 2019, arXiv:1910.07467.
pub(crate) fn rms_norm(x: Tensor<2>, weight: &Tensor<1>, eps: f64) -> Tensor<2> {
    let scale = (x.clone() * x.clone()).mean_dim(1).add_scalar(eps).sqrt().recip();
    x * scale * weight.clone().unsqueeze::<2>()
}

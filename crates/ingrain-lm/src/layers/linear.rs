//! A frozen linear map with an optional low-rank side path.

use burn::tensor::Tensor;

use crate::lora::LoraPair;

/// `y = x W^T + b`, with `W` stored `[out, in]` as checkpoints store it.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Tensor<2>,
    pub(crate) bias: Option<Tensor<1>>,
}

impl Linear {
    /// `x: [tokens, in]` to `[tokens, out]`.
    pub(crate) fn forward(&self, x: Tensor<2>, lora: Option<&LoraPair>) -> Tensor<2> {
        let side = lora.map(|pair| pair.forward(x.clone()));
        let mut y = x.matmul(self.weight.clone().transpose());
        if let Some(bias) = &self.bias {
            y = y + bias.clone().unsqueeze::<2>();
        }
        match side {
            Some(side) => y + side,
            None => y,
        }
    }
}

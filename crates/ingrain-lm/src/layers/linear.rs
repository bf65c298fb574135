//! A frozen linear map with an optional low-rank side path.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::kernels::bf16::HalfWeight;
use crate::kernels::linear::{self, Map};
use crate::kernels::{self, Dense};
use crate::lora::LoraPair;

/// `y = x W^T + b`, with `W` stored `[out, in]` as checkpoints store it.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Tensor<2>,
    pub(crate) bias: Option<Tensor<1>>,
    /// The weight in bf16, where products are to use it.
    pub(crate) half: Option<Arc<HalfWeight>>,
}

impl Linear {
    /// Packs the weight in bf16; `false` where there are no instructions for it.
    pub(crate) fn pack(&mut self) -> bool {
        self.half = HalfWeight::pack(&self.weight).map(Arc::new);
        self.half.is_some()
    }

    /// `x: [tokens, in]` to `[tokens, out]`.
    pub(crate) fn forward(&self, x: Tensor<2>, lora: Option<&LoraPair>) -> Tensor<2> {
        let side = lora.map(|pair| pair.forward(x.clone(), self.weight.dtype()));
        let mut y = product(x, self.weight.clone().transpose());
        if let Some(bias) = &self.bias {
            y = y + bias.clone().unsqueeze::<2>();
        }
        match side {
            Some(side) => y + side,
            None => y,
        }
    }
}

/// `x W` for a weight of any type: `x` is rounded to that type on the way in, the result comes back in
/// the type of `x`.
pub(crate) fn product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let outer = x.dtype();
    x.cast(weight.dtype()).matmul(weight).cast(outer)
}

/// `x W^T` for a frozen `W` stored `[out, in]`, fast for few rows too, in bf16 if it is packed.
pub(crate) fn times_transposed(
    x: Tensor<2>,
    weight: &Tensor<2>,
    half: Option<&HalfWeight>,
) -> Tensor<2> {
    let (Some(values), Some(weights)) = (Dense::read(&x), Dense::read(weight)) else {
        return product(x, weight.clone().transpose());
    };
    let ([rows, inputs], [outputs, _]) = (x.dims(), weight.dims());
    let map = Map { weight: weights.values(), half, bias: None, inputs, side: None };
    let mut y = map.blank(rows);
    linear::forward(rows, values.values(), &[map], &mut [&mut y]);
    kernels::tensor(y, [rows, outputs])
}

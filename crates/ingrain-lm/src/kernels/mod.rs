//! The hot paths on the CPU, over the plain slices of Burn's Flex back end.
//!
//! Each file is one operation, written for slices and safe: instruction sets are chosen at run time by
//! `pulp` (the crate that Flex's matrix products use), threads are rayon's. The composition of Burn
//! operations that a kernel stands in for lives beside its caller in `layers`; it is what other back
//! ends run and what the tests compare with. A kernel steps aside wherever its inputs are not f32 on
//! Flex: [`Dense::read`] says so by returning `None`.

pub(crate) mod decode_attention;
mod panel;
mod simd;
pub(crate) mod skinny;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Tensor, TensorData};

/// A contiguous f32 tensor of the Flex back end that no gradient reaches.
pub(crate) struct Dense(FlexTensor);

impl Dense {
    /// The values of `x`, shared with it where they are contiguous; `None` if it is tracked, of another
    /// type or on another back end.
    pub(crate) fn read<const D: usize>(x: &Tensor<D>) -> Option<Self> {
        if x.is_autodiff() || x.dtype() != DType::F32 {
            return None;
        }
        let tensor = x.clone().try_into_primitive::<Flex>().ok()?;
        Some(Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }))
    }

    /// Row-major.
    pub(crate) fn values(&self) -> &[f32] {
        let start = self.0.layout().start_offset();
        &self.0.storage::<f32>()[start..start + self.0.layout().num_elements()]
    }
}

/// A Flex tensor of row-major values.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(values, shape)))
}

/// Changes the values of an untracked f32 Flex tensor, in place where nobody shares them.
pub(crate) fn modify<const D: usize>(x: Tensor<D>, change: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let shape = x.shape();
    let mut x = match x.try_into_primitive::<Flex>() {
        Ok(x) if x.is_contiguous() && x.layout().start_offset() == 0 => x,
        Ok(x) => x.to_contiguous(),
        Err(error) => unreachable!("asked of tensors that `Dense::read` accepts only: {error:?}"),
    };
    change(&mut x.storage_mut::<f32>()[..shape.num_elements()]);
    Tensor::from_primitive::<Flex>(x)
}

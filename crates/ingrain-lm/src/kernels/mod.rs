//! The hot paths on the CPU, over the plain slices of Burn's Flex back end.
//!
//! Each file is one operation, written for slices and safe: instruction sets are chosen at run time by
//! `pulp` (the crate that Flex's matrix products use), threads are rayon's. The composition of Burn
//! operations that a kernel stands in for lives beside its caller in `layers`; it is what other back
//! ends run and what the tests compare with. A kernel steps aside wherever its inputs are not f32 on
//! Flex: [`Dense::read`] says so by returning `None`.

pub(crate) mod bf16;
pub(crate) mod causal_attention;
pub(crate) mod decode_attention;
pub(crate) mod divergence;
pub(crate) mod linear;
pub(crate) mod logprob;
mod matmul;
pub(crate) mod norm;
mod panel;
pub(crate) mod rotary;
pub(crate) mod simd;
mod skinny;
mod softcap;
pub(crate) mod swiglu;

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};
use burn::tensor::{DType, Tensor, TensorData};

/// The values of a contiguous f32 tensor of the Flex back end.
#[derive(Clone, Debug)]
pub(crate) struct Dense(FlexTensor);

impl Dense {
    /// The values of `x`, shared with it where they are contiguous; `None` if it is tracked, of another
    /// type or on another back end.
    pub(crate) fn read<const D: usize>(x: &Tensor<D>) -> Option<Self> {
        if x.is_autodiff() || x.dtype() != DType::F32 {
            return None;
        }
        Some(Self::new(x.clone().try_into_primitive::<Flex>().ok()?))
    }

    /// The same of a primitive.
    pub(crate) fn new(tensor: FlexTensor) -> Self {
        Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() })
    }

    /// Row-major.
    pub(crate) fn values(&self) -> &[f32] {
        let start = self.0.layout().start_offset();
        &self.0.storage::<f32>()[start..start + self.0.layout().num_elements()]
    }
}

/// A Flex primitive of row-major values.
pub(crate) fn flex<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// An untracked Flex tensor of row-major values.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(flex(values, shape))
}

/// Changes the values of an untracked f32 Flex tensor, in place where nobody shares them.
pub(crate) fn modify<const D: usize>(x: Tensor<D>, change: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let len = x.shape().num_elements();
    let mut x = match x.try_into_primitive::<Flex>() {
        Ok(x) if x.is_contiguous() && x.layout().start_offset() == 0 => x,
        Ok(x) => x.to_contiguous(),
        Err(error) => unreachable!("asked of tensors that `Dense::read` accepts only: {error:?}"),
    };
    change(&mut x.storage_mut::<f32>()[..len]);
    Tensor::from_primitive::<Flex>(x)
}

/// The inputs of a kernel on the autodiff graph, in the order in which its backward pass knows them.
#[derive(Default)]
pub(crate) struct Nodes(Vec<Option<FloatTensor<Autodiff<Flex>>>>);

impl Nodes {
    /// The values of the next input; `None` if it is not f32 on Flex, or recomputed by Burn's own
    /// gradient checkpointing.
    pub(crate) fn read<const D: usize>(&mut self, x: &Tensor<D>) -> Option<Dense> {
        if !x.is_autodiff() {
            self.0.push(None);
            return Dense::read(x);
        }
        if x.dtype() != DType::F32 {
            return None;
        }
        let node = x.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
        let values = Dense::new(node.primitive().clone());
        self.0.push(Some(node));
        Some(values)
    }

    /// Inputs that are not there.
    pub(crate) fn skip(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, None);
    }

    /// Whether any of them is a tensor of the graph.
    pub(crate) fn any_tracked(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// Puts an output that was computed from the inputs on the graph.
    ///
    /// # Panics
    /// If `N` inputs were not read.
    pub(crate) fn attach<const N: usize, const D: usize, K: Backward<Flex, N>>(
        self,
        backward: K,
        state: K::State,
        output: Vec<f32>,
        shape: [usize; D],
    ) -> Tensor<D> {
        assert_eq!(self.0.len(), N, "one node for each input");
        let mut inputs = self.0.into_iter();
        let nodes = std::array::from_fn(|_| match inputs.next().flatten() {
            Some(input) => input.node(),
            None => <Autodiff<Flex>>::from_inner(flex(Vec::new(), [0])).node(),
        });
        let output = flex(output, shape);
        let output = match backward.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(state, output),
            OpsKind::UnTracked(step) => step.finish(output),
        };
        Tensor::from_primitive::<Autodiff<Flex>>(output)
    }
}

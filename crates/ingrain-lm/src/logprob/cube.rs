//! A chunk of log-probabilities on CubeCL's devices: the products are Burn's, the reduction is one of ours.
//!
//! What `ingrain-cube` computes on buffers becomes an operation on tensors here, deferred like any other
//! where the feature `fusion` is on.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Int, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use ingrain_cube::{Rows, STATISTICS, reduce, slopes};

/// Values `[chunk]` and, if asked, unit gradients `[chunk, hidden]`.
pub(super) fn chunk(
    hidden: Tensor<2>,
    head: &Tensor<2>,
    targets: Tensor<1, Int>,
    softcap: Option<f64>,
    with_unit: bool,
) -> (Tensor<1>, Option<Tensor<2>>) {
    let outer = hidden.dtype();
    // Left in the head's type: the reduction sums in f32 whatever it reads.
    let logits = hidden.cast(head.dtype()).matmul(head.clone().transpose()).into_dispatch();
    let (targets, softcap) = (targets.into_dispatch(), softcap.map(|cap| cap as f32));
    if !with_unit {
        let value = <Dispatch as TargetLogprob>::target_logprob(logits, targets, softcap);
        return (Tensor::from_dispatch(value), None);
    }
    let (value, slopes) =
        <Dispatch as TargetLogprob>::target_logprob_slopes(logits, targets, softcap);
    let slopes = Tensor::<2>::from_dispatch(slopes);
    (Tensor::from_dispatch(value), Some(slopes.matmul(head.clone()).cast(outer)))
}

/// The reduction as operations of a back end. Logits are `[rows, vocab]`, targets `[rows]`.
#[backend_extension(Cube, Fusion: cfg(feature = "fusion"))]
pub(crate) trait TargetLogprob: Backend {
    /// `log softmax(logits)[target]`, `[rows]`, in f32.
    #[fusion(meta = |logits, _targets, _softcap| values_of(logits))]
    fn target_logprob(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        softcap: Option<f32>,
    ) -> FloatTensor<Self>;

    /// The same, and the derivative of each value with respect to its logits, of their shape and type.
    #[fusion(meta = |logits, _targets, _softcap| (values_of(logits), logits.clone()))]
    fn target_logprob_slopes(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        softcap: Option<f32>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

#[cfg(feature = "fusion")]
fn values_of(
    logits: &burn::backend::fusion::custom::TensorSpec,
) -> burn::backend::fusion::custom::TensorSpec {
    burn::backend::fusion::custom::TensorSpec::new(Shape::new([logits.shape[0]]), DType::F32)
}

impl TargetLogprob for CubeBackend {
    fn target_logprob(logits: CubeTensor, targets: CubeTensor, softcap: Option<f32>) -> CubeTensor {
        Reduction::new(logits, targets, softcap).run().values
    }

    fn target_logprob_slopes(
        logits: CubeTensor,
        targets: CubeTensor,
        softcap: Option<f32>,
    ) -> (CubeTensor, CubeTensor) {
        let Reduction { shape, mut logits, targets, values, statistics } =
            Reduction::new(logits, targets, softcap).run();
        // In place, unless somebody else reads the logits.
        if !logits.can_mut() {
            logits = logits.copy();
        }
        let arg = |tensor: &CubeTensor| tensor.clone().into_tensor_arg();
        slopes(&logits.client, shape, arg(&logits), arg(&targets), arg(&statistics));
        (values, logits)
    }
}

/// Everything that the kernels read and write.
struct Reduction {
    shape: Rows,
    logits: CubeTensor,
    targets: CubeTensor,
    values: CubeTensor,
    statistics: CubeTensor,
}

impl Reduction {
    fn new(logits: CubeTensor, targets: CubeTensor, softcap: Option<f32>) -> Self {
        let (logits, targets) = (into_contiguous(logits), into_contiguous(targets));
        let [rows, vocab] = logits.meta.shape().dims();
        let blank = |shape: Shape| {
            let bytes = shape.num_elements() * DType::F32.size();
            let (client, device) = (logits.client.clone(), logits.device.clone());
            let handle = client.empty(bytes);
            CubeTensor::new_contiguous(client, device, shape, handle, DType::F32)
        };
        let types = |tensor: &CubeTensor| dtype_to_storage_type(tensor.dtype);
        let shape = Rows { rows, vocab, softcap, logits: types(&logits), targets: types(&targets) };
        let (values, statistics) =
            (blank(Shape::new([rows])), blank(Shape::new([rows, STATISTICS])));
        Self { shape, logits, targets, values, statistics }
    }

    fn run(self) -> Self {
        let arg = |tensor: &CubeTensor| tensor.clone().into_tensor_arg();
        let (values, statistics) = (arg(&self.values), arg(&self.statistics));
        let (logits, targets) = (arg(&self.logits), arg(&self.targets));
        reduce(&self.logits.client, self.shape, logits, targets, values, statistics);
        self
    }
}

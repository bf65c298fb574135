//! What the optimiser moves: tensors with names.

use burn::tensor::Tensor;

/// A set of named matrices, in an order that never changes.
///
/// `ingrain_lm::Adapter` is one; a model whose weights are all trained would be another. The
/// optimiser and the checkpoints know parameters by *name*, so that a resume survives a reload
/// from other files.
pub trait Parameters: Sized + Sync {
    /// Every parameter with its name.
    fn parameters(&self) -> Vec<(String, Tensor<2>)>;

    /// The same set with each tensor replaced by what `f` makes of it.
    #[must_use]
    fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self;

    /// A copy whose parameters record a graph. Run a forward on it only if a backward follows:
    /// a tracked forward that is dropped keeps its memory.
    #[must_use]
    fn tracked(&self) -> Self {
        self.map_parameters(&mut |_, tensor| tensor.inner().autodiff().require_grad())
    }

    /// A copy of plain parameters, for passes without a backward.
    #[must_use]
    fn untracked(&self) -> Self {
        self.map_parameters(&mut |_, tensor| tensor.without_autodiff())
    }
}

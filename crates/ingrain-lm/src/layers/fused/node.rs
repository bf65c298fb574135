//! The block as a node of the autodiff graph.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;

use super::Block;
use super::pass::{self, Saved};
use crate::kernels::{Dense, Nodes, flex};

/// The block's input, then the two factors of each side path.
const INPUTS: usize = 15;

/// Puts the block's output on the graph.
pub(super) fn attach(
    y: Vec<f32>,
    shape: [usize; 2],
    nodes: Nodes,
    block: Block,
    saved: Saved,
    recompute: bool,
) -> Tensor<2> {
    let saved = if recompute { Kept::Input(saved.into_input()) } else { Kept::All(saved) };
    let state = BlockState(Arc::new((block, saved)));
    nodes.attach::<INPUTS, 2, _>(BlockBackward, state, y, shape)
}

#[derive(Debug)]
struct BlockBackward;

#[derive(Clone, Debug)]
struct BlockState(Arc<(Block, Kept)>);

/// What outlives the forward pass.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a block, behind an `Arc`")]
enum Kept {
    All(Saved),
    /// The input alone; the rest is computed again.
    Input(Dense),
}

impl Backward<Flex, INPUTS> for BlockBackward {
    type State = BlockState;

    fn backward(
        self,
        ops: Ops<Self::State, INPUTS>,
        gradients: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let dy = Dense::new(gradients.consume::<Flex>(&ops.node));
        let (block, kept) = &*ops.state.0;
        let again;
        let saved = match kept {
            Kept::All(saved) => saved,
            Kept::Input(x) => {
                again = Saved::again(block, x.clone());
                &again
            }
        };
        let [x, factors @ ..] = ops.parents.map(|node| node.map(|node| node.id));
        let found = pass::backward(block, saved, dy.values(), x.is_some());
        let mut register = |id: Option<NodeId>, values: Vec<f32>, rows: usize| {
            if let Some(id) = id {
                let shape = [rows, values.len() / rows];
                gradients.register::<Flex>(id, flex(values, shape));
            }
        };
        register(x, found.x.unwrap_or_default(), block.batch * block.seq);
        let mut factors = factors.into_iter();
        for (side, projected) in found.sides.into_iter().zip(&block.projections) {
            let (a, b) = (factors.next().flatten(), factors.next().flatten());
            if let (Some(side), Some(read)) = (side, &projected.side) {
                register(b, side.b, projected.map().outputs());
                register(a, side.a, read.rank);
            }
        }
    }
}

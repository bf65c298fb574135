//! Frozen maps that share an input, each with an optional low-rank side path, forward and backward.

use super::bf16::{self, HalfWeight, Packed};
use super::matmul::{Matrix, add_product, set_product};
use super::skinny;

/// `x W^T + b + scale * (x A^T) B^T`.
#[derive(Clone, Copy)]
pub(crate) struct Map<'a> {
    /// `[outputs, inputs]`
    pub(crate) weight: &'a [f32],
    /// The same in bf16, where products are to use it.
    pub(crate) half: Option<&'a HalfWeight>,
    /// `[outputs]`
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) inputs: usize,
    pub(crate) side: Option<Side<'a>>,
}

/// The side path of a map.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    /// `[rank, inputs]`
    pub(crate) a: &'a [f32],
    /// `[outputs, rank]`
    pub(crate) b: &'a [f32],
    pub(crate) rank: usize,
    pub(crate) scale: f32,
}

impl Side<'_> {
    fn scaled_b(&self) -> Vec<f32> {
        self.b.iter().map(|b| b * self.scale).collect()
    }
}

/// Derivatives with respect to a side path: of `A`, `[rank, inputs]`, and of `B`, `[outputs, rank]`.
pub(crate) struct SideGradient {
    pub(crate) a: Vec<f32>,
    pub(crate) b: Vec<f32>,
}

impl Map<'_> {
    /// Outputs a row.
    pub(crate) fn outputs(&self) -> usize {
        self.weight.len() / self.inputs
    }

    /// `x A^T` of the side path, if there is one.
    pub(crate) fn narrow(&self, x: &[f32]) -> Option<Vec<f32>> {
        let side = self.side?;
        let mut inner = vec![0.0; x.len() / self.inputs * side.rank];
        let half = self.half.and_then(|_| Packed::of_columns(side.a, [self.inputs, side.rank]));
        match half {
            Some(a) => a.add_product(&mut inner, x),
            None => self.set_narrow(side, x, &mut inner),
        }
        Some(inner)
    }

    fn set_narrow(&self, side: Side<'_>, x: &[f32], inner: &mut [f32]) {
        let a = Matrix::new(side.a, self.inputs).transposed();
        set_product(inner, Matrix::new(x, self.inputs), a);
    }

    fn side_forward(&self, side: Side<'_>, x: &[f32], inner: &mut [f32], y: &mut [f32]) {
        self.set_narrow(side, x, inner);
        let b = Matrix::new(side.b, side.rank).transposed();
        add_product(y, side.scale, Matrix::new(inner, side.rank), b);
    }

    /// `inner` comes as zeros. `None`, having done nothing, where there are no instructions for it.
    fn side_forward_in_bf16(
        &self,
        side: Side<'_>,
        x: &[f32],
        inner: &mut [f32],
        y: &mut [f32],
    ) -> Option<()> {
        let a = Packed::of_columns(side.a, [self.inputs, side.rank])?;
        let b = Packed::of_columns(&side.scaled_b(), [side.rank, self.outputs()])?;
        a.add_product(inner, x);
        b.add_product(y, inner);
        Some(())
    }

    /// From `dy` to the derivative with respect to `inner`, and adds to that with respect to `x`.
    fn side_backward(&self, side: Side<'_>, dy: &[f32], dx: Option<&mut [f32]>) -> Vec<f32> {
        let mut d_inner = vec![0.0; dy.len() / self.outputs() * side.rank];
        let packed = self.half.and_then(|_| {
            let b = Packed::of_rows(&side.scaled_b(), [self.outputs(), side.rank])?;
            Some((b, Packed::of_rows(side.a, [side.rank, self.inputs])?))
        });
        if let Some((b, a)) = packed {
            b.add_product(&mut d_inner, dy);
            if let Some(dx) = dx {
                a.add_product(dx, &d_inner);
            }
            return d_inner;
        }
        let dy = Matrix::new(dy, self.outputs());
        add_product(&mut d_inner, side.scale, dy, Matrix::new(side.b, side.rank));
        if let Some(dx) = dx {
            let d_inner = Matrix::new(&d_inner, side.rank);
            add_product(dx, 1.0, d_inner, Matrix::new(side.a, self.inputs));
        }
        d_inner
    }

    /// A place for the output of `rows` rows, for [`forward`] to add to.
    pub(crate) fn blank(&self, rows: usize) -> Vec<f32> {
        match self.bias {
            Some(bias) => bias.repeat(rows),
            None => vec![0.0; rows * self.outputs()],
        }
    }
}

/// Adds every map of `x: [rows, inputs]` to its `ys`, bias excepted; returns `x A^T` of each side path.
pub(crate) fn forward(
    rows: usize,
    x: &[f32],
    maps: &[Map<'_>],
    ys: &mut [&mut [f32]],
) -> Vec<Option<Vec<f32>>> {
    let mut inner: Vec<Option<Vec<f32>>> =
        maps.iter().map(|map| map.side.map(|side| vec![0.0; rows * side.rank])).collect();
    if rows <= skinny::MAX_ROWS {
        few_rows(rows, x, maps, ys, &mut inner);
        return inner;
    }
    for ((map, y), inner) in maps.iter().zip(ys).zip(&mut inner) {
        match map.half {
            Some(half) => half.forward.add_product(y, x),
            None => {
                let weight = Matrix::new(map.weight, map.inputs).transposed();
                add_product(y, 1.0, Matrix::new(x, map.inputs), weight);
            }
        }
        let (Some(side), Some(inner)) = (map.side, inner) else { continue };
        if map.half.is_none() || map.side_forward_in_bf16(side, x, inner, y).is_none() {
            map.side_forward(side, x, inner, y);
        }
    }
    inner
}

/// One pass over the threads for all the maps that are bf16, one for those that are f32, a last one for side paths.
fn few_rows(
    rows: usize,
    x: &[f32],
    maps: &[Map<'_>],
    ys: &mut [&mut [f32]],
    inner: &mut [Option<Vec<f32>>],
) {
    let mut products = Vec::with_capacity(2 * maps.len());
    let mut in_bf16 = Vec::with_capacity(maps.len());
    for ((map, y), inner) in maps.iter().zip(&mut *ys).zip(&mut *inner) {
        let product = |weight, y| skinny::Product { x, weight, inputs: map.inputs, scale: 1.0, y };
        match map.half {
            Some(half) => in_bf16.push((&half.forward, &mut **y)),
            None => products.push(product(map.weight, y)),
        }
        if let (Some(side), Some(inner)) = (map.side, inner) {
            products.push(product(side.a, inner));
        }
    }
    bf16::add_few_rows(rows, x, in_bf16);
    skinny::accumulate(rows, products);
    let mut products = Vec::with_capacity(maps.len());
    for ((map, y), inner) in maps.iter().zip(ys).zip(inner) {
        if let (Some(Side { b, rank, scale, .. }), Some(x)) = (map.side, inner) {
            products.push(skinny::Product { x, weight: b, inputs: rank, scale, y });
        }
    }
    skinny::accumulate(rows, products);
}

/// Adds the derivative with respect to `x` to `dx`, if asked; returns those of the side paths.
///
/// `inner` is what [`forward`] returned, `dys` the derivatives with respect to the outputs.
pub(crate) fn backward(
    x: &[f32],
    maps: &[Map<'_>],
    inner: &[Option<Vec<f32>>],
    dys: &[&[f32]],
    mut dx: Option<&mut [f32]>,
) -> Vec<Option<SideGradient>> {
    let mut gradients = Vec::with_capacity(maps.len());
    for ((map, inner), dy) in maps.iter().zip(inner).zip(dys) {
        match (dx.as_deref_mut(), map.half) {
            (Some(dx), Some(half)) => half.add_backward(map.weight, dx, dy),
            (Some(dx), None) => {
                let weight = Matrix::new(map.weight, map.inputs);
                add_product(dx, 1.0, Matrix::new(dy, map.outputs()), weight);
            }
            (None, _) => {}
        }
        let (Some(side), Some(inner)) = (map.side, inner) else {
            gradients.push(None);
            continue;
        };
        let d_inner = map.side_backward(side, dy, dx.as_deref_mut());
        let d_inner = Matrix::new(&d_inner, side.rank);
        let dy = Matrix::new(dy, map.outputs());
        let mut gradient = SideGradient { a: vec![0.0; side.a.len()], b: vec![0.0; side.b.len()] };
        set_product(&mut gradient.a, d_inner.transposed(), Matrix::new(x, map.inputs));
        let inner = Matrix::new(inner, side.rank);
        add_product(&mut gradient.b, side.scale, dy.transposed(), inner);
        gradients.push(Some(gradient));
    }
    gradients
}

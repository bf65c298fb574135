//! A frozen linear map with an optional low-rank side path.

use burn::tensor::Tensor;

use crate::kernels::{self, Dense, skinny};
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
        let [y] = project(x, [(self, lora)]);
        y
    }

    fn compose(&self, x: Tensor<2>, lora: Option<&LoraPair>) -> Tensor<2> {
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

/// Several maps of the same input, each with its side path.
pub(crate) fn project<const N: usize>(
    x: Tensor<2>,
    maps: [(&Linear, Option<&LoraPair>); N],
) -> [Tensor<2>; N] {
    few_rows(&x, maps).unwrap_or_else(|| maps.map(|(map, lora)| map.compose(x.clone(), lora)))
}

/// `x W^T` for `W` stored `[out, in]`.
pub(crate) fn times_transposed(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    let map = Linear { weight: weight.clone(), bias: None };
    map.forward(x, None)
}

/// Decoding: one pass over the threads for all the maps, a second one for their side paths.
fn few_rows<const N: usize>(
    x: &Tensor<2>,
    maps: [(&Linear, Option<&LoraPair>); N],
) -> Option<[Tensor<2>; N]> {
    let [rows, inputs] = x.dims();
    if rows > skinny::MAX_ROWS {
        return None;
    }
    let x = Dense::read(x)?;
    let weights = read_all(maps.iter().map(|(map, _)| &map.weight))?;
    let pairs: Vec<&LoraPair> = maps.iter().filter_map(|(_, lora)| *lora).collect();
    let downs = read_all(pairs.iter().map(|pair| &pair.a))?;
    let ups = read_all(pairs.iter().map(|pair| &pair.b))?;
    let mut ys = Vec::with_capacity(N);
    for (map, _) in &maps {
        let outputs = map.weight.dims()[0];
        ys.push(match &map.bias {
            Some(bias) => Dense::read(bias)?.values().repeat(rows),
            None => vec![0.0; rows * outputs],
        });
    }
    let mut inner: Vec<Vec<f32>> =
        pairs.iter().map(|pair| vec![0.0; rows * pair.a.dims()[0]]).collect();

    let wide = weights.iter().zip(&mut ys);
    let narrow = downs.iter().zip(&mut inner);
    let products = wide.chain(narrow).map(|(weight, y)| skinny::Product {
        x: x.values(),
        weight: weight.values(),
        inputs,
        scale: 1.0,
        y,
    });
    skinny::accumulate(rows, products.collect());

    let adapted = ys.iter_mut().zip(&maps).filter(|(_, (_, lora))| lora.is_some());
    let products =
        adapted.zip(&pairs).zip(inner.iter().zip(&ups)).map(|(((y, _), pair), (x, up))| {
            skinny::Product {
                x,
                weight: up.values(),
                inputs: pair.a.dims()[0],
                scale: pair.scale as f32,
                y,
            }
        });
    skinny::accumulate(rows, products.collect());

    let mut ys = ys.into_iter();
    Some(maps.map(|(map, _)| {
        kernels::tensor(ys.next().unwrap_or_default(), [rows, map.weight.dims()[0]])
    }))
}

fn read_all<'a>(tensors: impl Iterator<Item = &'a Tensor<2>>) -> Option<Vec<Dense>> {
    tensors.map(Dense::read).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::{Linear, few_rows};
    use crate::lora::LoraPair;

    fn normal<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    fn assert_close(a: &Tensor<2>, b: &Tensor<2>, what: &str) {
        assert_eq!(a.dims(), b.dims(), "{what}");
        let scale = b.clone().abs().max().into_scalar::<f32>().max(1.0);
        let off = (a.clone() - b.clone()).abs().max().into_scalar::<f32>();
        assert!(off <= 1e-5 * scale, "{what}: off by {off}, largest {scale}");
    }

    #[test]
    fn few_rows_equal_the_composition_for_ragged_shapes() {
        for rows in 1..=32 {
            for (inputs, outputs, rank) in [(1, 1, 1), (17, 5, 3), (64, 33, 8), (576, 70, 64)] {
                let linear = |biased: bool| Linear {
                    weight: normal([outputs, inputs]),
                    bias: biased.then(|| normal([outputs])),
                };
                let pair =
                    LoraPair { a: normal([rank, inputs]), b: normal([outputs, rank]), scale: 0.5 };
                let (plain, biased) = (linear(false), linear(true));
                let x = normal([rows, inputs]);
                let maps = [(&plain, None), (&biased, Some(&pair)), (&plain, Some(&pair))];
                let fast = few_rows(&x, maps).expect("untracked f32 on Flex");
                for (y, (map, lora)) in fast.iter().zip(maps) {
                    let what = format!("{rows} x {inputs} to {outputs}, rank {rank}");
                    assert_close(y, &map.compose(x.clone(), lora), &what);
                }
            }
        }
    }

    #[test]
    fn many_rows_and_tracked_inputs_take_the_composition() {
        let map = Linear { weight: normal([4, 8]), bias: None };
        assert!(few_rows(&normal([33, 8]), [(&map, None)]).is_none());
        assert!(few_rows(&normal([2, 8]).autodiff(), [(&map, None)]).is_none());
    }
}

//! An adapter of a smaller rank that changes the model almost as it did.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::adapter::{Adapter, LoraPair};
use super::factor::{Columns, qr, svd, times, times_transposed};
use crate::LmError;

/// A compressed adapter and what was lost.
#[derive(Clone, Debug)]
pub struct Compressed {
    /// The adapter of the wished rank, with `alpha = rank`, hence scale 1.
    pub adapter: Adapter,
    /// Frobenius norm of what was lost over that of the update, all modules together; 0 to 1.
    pub relative_error: f64,
    /// The same of the module that lost most.
    pub worst_module_error: f64,
}

/// One module: its new factors, what was lost and what there was, squared.
struct Part {
    pair: LoraPair,
    lost: f64,
    whole: f64,
}

impl Adapter {
    /// The closest adapter of rank `rank`: each module's update is cut to its `rank` largest singular
    /// values (the best there is in the Frobenius norm, by Eckart and Young).
    ///
    /// The update `scale * B A` is never formed: QR of both factors leaves a square matrix of the old
    /// rank to decompose. Modules of smaller rank are padded with zeros, so that one rank holds for all.
    ///
    /// # Errors
    /// [`LmError::Adapter`] if `rank` is 0, or an adapter's values cannot be read.
    pub fn compressed(&self, rank: usize) -> Result<Compressed, LmError> {
        if rank == 0 {
            return Err(LmError::Adapter("cannot compress to rank 0; give at least 1".into()));
        }
        let mut adapter = self.untracked();
        let pairs: Vec<LoraPair> =
            adapter.layers.iter().flat_map(|l| l.pairs.iter().flatten().cloned()).collect();
        let parts: Vec<Part> =
            pairs.into_par_iter().map(|pair| compress(&pair, rank)).collect::<Result<_, _>>()?;
        let (lost, whole) =
            parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.lost, sum.1 + part.whole));
        let worst = parts.iter().map(|part| relative(part.lost, part.whole)).fold(0.0, f64::max);
        let places = adapter.layers.iter_mut().flat_map(|l| l.pairs.iter_mut().flatten());
        for (place, part) in places.zip(parts) {
            *place = part.pair;
        }
        (adapter.config.rank, adapter.config.alpha) = (rank, rank as f64);
        let relative_error = relative(lost, whole);
        Ok(Compressed { adapter, relative_error, worst_module_error: worst })
    }
}

fn relative(lost: f64, whole: f64) -> f64 {
    if whole > 0.0 { (lost / whole).sqrt() } else { 0.0 }
}

fn compress(pair: &LoraPair, rank: usize) -> Result<Part, LmError> {
    let device = pair.a.device();
    let (inputs, outputs) = (pair.a.dims()[1], pair.b.dims()[0]);
    // Columns of B, and of A transposed: one for each rank.
    let mut b = columns(pair.b.clone().transpose())?;
    let mut a = columns(pair.a.clone())?;
    let (r_b, r_a) = (qr(&mut b), qr(&mut a));
    let core = svd(times_transposed(&r_b, &r_a));
    let values: Vec<f64> = core.values.iter().map(|value| value * pair.scale.abs()).collect();
    let kept = rank.min(values.len());
    let squares = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
    // Both factors get the root of each singular value; the sign of the scale goes to B.
    let share = |vectors: &[Vec<f64>], sign: f64| -> Columns {
        let scaled = |(vector, value): (&Vec<f64>, &f64)| {
            vector.iter().map(|x| sign * x * value.sqrt()).collect()
        };
        vectors.iter().zip(&values).take(kept).map(scaled).collect()
    };
    let b = times(&b, &share(&core.left, pair.scale.signum()));
    let a = times(&a, &share(&core.right, 1.0));
    let a = tensor(a, rank, inputs, &device);
    let b = tensor(b, rank, outputs, &device).transpose();
    let pair = LoraPair { a, b, scale: 1.0 };
    Ok(Part { pair, lost: squares(&values[kept..]), whole: squares(&values) })
}

/// The rows of a tensor.
fn columns(rows: Tensor<2>) -> Result<Columns, LmError> {
    let width = rows.dims()[1];
    let values = rows
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|e| LmError::Adapter(format!("its values cannot be read: {e:?}")))?;
    Ok(values.chunks(width).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect())
}

/// `[rank, width]`, missing rows being zero.
fn tensor(rows: Columns, rank: usize, width: usize, device: &Device) -> Tensor<2> {
    let mut values: Vec<f32> = rows.into_iter().flatten().map(|x| x as f32).collect();
    values.resize(rank * width, 0.0);
    Tensor::from_data(TensorData::new(values, [rank, width]), device)
}

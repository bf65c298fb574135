//! From logits to the log-probability of one target a row, and its derivative.

use cubecl::prelude::*;

/// Numbers that [`reduce`] leaves of each row: the largest logit, and the sum of the exponentials of what
/// the others are below it.
pub const STATISTICS: usize = 2;

/// Units of a cube; a power of two.
const UNITS: usize = 256;

/// Rows of logits on a device, and which word of each is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// How many.
    pub rows: usize,
    /// Logits a row.
    pub vocab: usize,
    /// `c` where the logits `z` count as `c tanh(z / c)`.
    pub softcap: Option<f32>,
    /// Type of the logits; whatever it is, sums are f32.
    pub logits: ElemType,
    /// Type of the targets.
    pub targets: ElemType,
}

/// `log softmax(logits)[target]` of every row, in nats, in one pass over the logits.
///
/// # Shapes
/// Contiguous all of them.
/// - `logits`: `[rows, vocab]`, before capping
/// - `targets`: `[rows]`, each below `vocab`
/// - `values`: `[rows]`, f32, written
/// - `statistics`: `[rows, STATISTICS]`, f32, written, for [`slopes`]
pub fn reduce(
    client: &Client,
    shape: Rows,
    logits: TensorArg,
    targets: TensorArg,
    values: TensorArg,
    statistics: TensorArg,
) {
    reduce_kernel::launch(
        client,
        CubeCount::Static(shape.rows as u32, 1, 1),
        CubeDim::new_1d(UNITS as u32),
        logits,
        targets,
        values,
        statistics,
        shape.softcap.unwrap_or(1.0),
        shape.softcap.is_some(),
        [shape.logits, shape.targets],
    );
}

/// Puts the derivative of every value with respect to its logits in their place:
/// `(1 at the target, else 0) - softmax(logits)`, times the slope of the cap.
///
/// # Shapes
/// As [`reduce`]; `statistics` is what it wrote.
pub fn slopes(
    client: &Client,
    shape: Rows,
    logits: TensorArg,
    targets: TensorArg,
    statistics: TensorArg,
) {
    // Enough cubes that a few rows fill a device.
    let segments = shape.vocab.div_ceil(16 * UNITS) as u32;
    slopes_kernel::launch(
        client,
        CubeCount::Static(shape.rows as u32, segments, 1),
        CubeDim::new_1d(UNITS as u32),
        logits,
        targets,
        statistics,
        shape.softcap.unwrap_or(1.0),
        shape.softcap.is_some(),
        [shape.logits, shape.targets],
    );
}

#[cube]
fn capped(z: f32, cap: f32, #[comptime] is_capped: bool) -> f32 {
    let mut y = z;
    if is_capped {
        y = cap * f32::tanh(z / cap);
    }
    y
}

/// One cube a row. Each unit keeps the largest logit that it met and the sum of exponentials relative to
/// it; a tree over shared memory joins them.
#[cube(launch)]
fn reduce_kernel<F: Float, I: Int>(
    logits: &Tensor<F>,
    targets: &Tensor<I>,
    values: &mut Tensor<f32>,
    statistics: &mut Tensor<f32>,
    cap: f32,
    #[comptime] is_capped: bool,
    #[define(F, I)] _types: [ElemType; 2],
) {
    let row = CUBE_POS_X as usize;
    let vocab = logits.shape(1);
    let first = row * vocab;
    let unit = UNIT_POS as usize;
    let mut maxima = Shared::<[f32]>::new_slice(UNITS);
    let mut totals = Shared::<[f32]>::new_slice(UNITS);
    let mut max = f32::min_value();
    let mut total = f32::new(0.0_f32);
    let mut word = unit;
    while word < vocab {
        let z = capped(f32::cast_from(logits[first + word]), cap, is_capped);
        if z > max {
            total = total * f32::exp(max - z) + 1.0;
            max = z;
        } else {
            total += f32::exp(z - max);
        }
        word += UNITS;
    }
    maxima[unit] = max;
    totals[unit] = total;
    sync_cube();
    let mut width = CUBE_DIM_X as usize / 2;
    while width > 0 {
        if unit < width {
            let one = maxima[unit];
            let other = maxima[unit + width];
            let joint = f32::max(one, other);
            let sum = totals[unit] * f32::exp(one - joint);
            totals[unit] = sum + totals[unit + width] * f32::exp(other - joint);
            maxima[unit] = joint;
        }
        sync_cube();
        width /= 2;
    }
    if unit == 0 {
        let target = usize::cast_from(targets[row]);
        let chosen = capped(f32::cast_from(logits[first + target]), cap, is_capped);
        values[row] = chosen - maxima[0] - f32::ln(totals[0]);
        statistics[2 * row] = maxima[0];
        statistics[2 * row + 1] = totals[0];
    }
}

#[cube(launch)]
fn slopes_kernel<F: Float, I: Int>(
    logits: &mut Tensor<F>,
    targets: &Tensor<I>,
    statistics: &Tensor<f32>,
    cap: f32,
    #[comptime] is_capped: bool,
    #[define(F, I)] _types: [ElemType; 2],
) {
    let row = CUBE_POS_X as usize;
    let vocab = logits.shape(1);
    let first = row * vocab;
    let target = usize::cast_from(targets[row]);
    let max = statistics[2 * row];
    let total = statistics[2 * row + 1];
    let mut word = CUBE_POS_Y as usize * CUBE_DIM_X as usize + UNIT_POS as usize;
    let stride = CUBE_COUNT_Y as usize * CUBE_DIM_X as usize;
    while word < vocab {
        let z = capped(f32::cast_from(logits[first + word]), cap, is_capped);
        let mut slope = f32::new(0.0_f32) - f32::exp(z - max) / total;
        if word == target {
            slope += 1.0;
        }
        if is_capped {
            slope *= 1.0 - (z / cap) * (z / cap);
        }
        logits[first + word] = F::cast_from(slope);
        word += stride;
    }
}

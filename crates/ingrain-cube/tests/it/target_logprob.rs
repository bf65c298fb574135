//! Values and derivatives of the log-probability of one target a row.

use cubecl::client::Client;
use cubecl::prelude::*;
use ingrain_cube::{Rows, STATISTICS, reduce, slopes};
use proptest::prelude::*;

/// Rows of logits with their targets.
#[derive(Clone)]
struct Case {
    logits: Vec<f32>,
    targets: Vec<i32>,
    softcap: Option<f32>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rows, vocab) = (self.targets.len(), self.vocab());
        let largest = self.logits.iter().fold(0.0f32, |m, z| m.max(z.abs()));
        write!(f, "{rows} rows of {vocab} words up to {largest}, softcap {:?}", self.softcap)
    }
}

impl Case {
    fn vocab(&self) -> usize {
        self.logits.len() / self.targets.len()
    }

    /// Values and derivatives from the kernels.
    fn on_device(&self) -> (Vec<f32>, Vec<f32>) {
        let client: Client = cubecl::Device::Wgpu(Default::default()).client();
        let (rows, vocab) = (self.targets.len(), self.vocab());
        let logits = client.create_from_slice(f32::as_bytes(&self.logits));
        let targets = client.create_from_slice(i32::as_bytes(&self.targets));
        let (values, statistics) = (client.empty(4 * rows), client.empty(4 * rows * STATISTICS));
        // SAFETY (all): the buffers were made with just these sizes.
        let matrix = |buffer: &cubecl::server::Handle, columns: usize| unsafe {
            TensorArg::from_raw_parts(buffer.clone(), [columns, 1].into(), [rows, columns].into())
        };
        let list = |buffer: &cubecl::server::Handle| unsafe {
            TensorArg::from_raw_parts(buffer.clone(), [1].into(), [rows].into())
        };
        let shape = Rows {
            rows,
            vocab,
            softcap: self.softcap,
            logits: f32::elem_type_native(),
            targets: i32::elem_type_native(),
        };
        let kept = || matrix(&statistics, STATISTICS);
        reduce(&client, shape, matrix(&logits, vocab), list(&targets), list(&values), kept());
        slopes(&client, shape, matrix(&logits, vocab), list(&targets), kept());
        let read = |buffer| {
            let bytes = client.read_one(buffer).expect("the device answers");
            f32::from_bytes(&bytes).to_vec()
        };
        (read(values), read(logits))
    }

    /// The definition, in f64.
    fn expected(&self) -> (Vec<f64>, Vec<f64>) {
        let cap = |z: f32| match self.softcap {
            Some(c) => f64::from(c) * (f64::from(z) / f64::from(c)).tanh(),
            None => f64::from(z),
        };
        let (mut values, mut derivatives) = (Vec::new(), Vec::new());
        for (row, &target) in self.logits.chunks(self.vocab()).zip(&self.targets) {
            let z: Vec<f64> = row.iter().map(|&z| cap(z)).collect();
            let max = z.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = z.iter().map(|z| (z - max).exp()).sum();
            values.push(z[target as usize] - max - total.ln());
            derivatives.extend(z.iter().enumerate().map(|(word, z)| {
                let slope = f64::from(word == target as usize) - (z - max).exp() / total;
                slope * self.softcap.map_or(1.0, |c| 1.0 - (z / f64::from(c)).powi(2))
            }));
        }
        (values, derivatives)
    }

    /// Values to 1e-5 of the largest logit (at least of 1), derivatives, which are at most 1, to 1e-5; where
    /// logits are large, f32 holds the differences between them no better.
    #[track_caller]
    fn check(&self) {
        let ((values, slopes), (expected, derivatives)) = (self.on_device(), self.expected());
        let largest = self.logits.iter().fold(1.0f64, |m, z| m.max(f64::from(z.abs())));
        let tolerance = 1e-5 * largest;
        for (found, expected) in values.iter().zip(&expected) {
            let off = (f64::from(*found) - expected).abs();
            assert!(off <= tolerance, "{self:?}: a value is {found}, not {expected}");
        }
        let tolerance = 1e-5 + 2e-7 * largest;
        for (found, expected) in slopes.iter().zip(&derivatives) {
            let off = (f64::from(*found) - expected).abs();
            assert!(off <= tolerance, "{self:?}: a derivative is {found}, not {expected}");
        }
    }
}

prop_compose! {
    // Fewer and more words than a cube has units, and than a segment of the second kernel has.
    fn cases()(
        rows in 1usize..9,
        vocab in prop_oneof![1usize..20, 250usize..260, 4090usize..9000],
        softcap in prop::option::of(2.0f32..50.0),
        scale in prop_oneof![Just(0.1f32), Just(5.0), Just(100.0), Just(1e4)],
    )(
        logits in prop::collection::vec(-scale..scale, rows * vocab),
        targets in prop::collection::vec(0..vocab as i32, rows),
        softcap in Just(softcap),
    ) -> Case {
        Case { logits, targets, softcap }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn values_and_derivatives_equal_the_definition(case in cases()) {
        case.check();
    }
}

#[test]
fn logits_of_ten_thousand_either_way_stay_finite() {
    let mut logits = vec![-1e4f32; 3 * 700];
    (logits[5], logits[700 + 6], logits[1400]) = (1e4, 1e4, 9e3);
    // Certain, hopeless, and one word that stands alone.
    let case = Case { logits, targets: vec![5, 5, 0], softcap: None };
    let (values, slopes) = case.on_device();
    assert_eq!(values, [0.0, -2e4, 0.0]);
    assert_eq!((slopes[5], slopes[700 + 5], slopes[700 + 6]), (0.0, 1.0, -1.0));
    assert!(slopes.iter().all(|slope| slope.is_finite()));
    case.check();
}

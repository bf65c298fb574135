//! Selective log-probability against log-softmax and gather over the whole vocabulary.

use burn::tensor::{Int, Tensor, TensorData, activation};
use ingrain_lm::{Bf16Weight, selective_logprob, selective_logprob_bf16};
use proptest::prelude::*;

use crate::fixture::{assert_close, values};

struct Case {
    hidden: Vec<f32>,
    head: Vec<f32>,
    targets: Vec<i32>,
    /// What the loss above does with each log-probability.
    weights: Vec<f32>,
    width: usize,
    softcap: Option<f64>,
}

impl Case {
    fn tensors(&self) -> (Tensor<2>, Tensor<2>, Tensor<1, Int>, Tensor<1>) {
        let device = crate::fixture::device();
        let tokens = self.targets.len();
        let vocab = self.head.len() / self.width;
        let matrix = |v: &Vec<f32>, rows: usize| {
            Tensor::from_data(TensorData::new(v.clone(), [rows, self.width]), &device)
        };
        (
            matrix(&self.hidden, tokens),
            matrix(&self.head, vocab),
            Tensor::from_data(TensorData::new(self.targets.clone(), [tokens]), &device),
            Tensor::from_data(TensorData::new(self.weights.clone(), [tokens]), &device),
        )
    }

    /// Values, and the gradient of `sum(weight * logp^2)` with respect to the hidden states.
    fn run(&self, f: impl Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1>) -> [Vec<f32>; 2] {
        let (hidden, head, targets, weights) = self.tensors();
        let hidden = hidden.autodiff().require_grad();
        let logps = f(hidden.clone(), head, targets);
        let gradients = (logps.clone() * logps.clone() * weights).sum().backward();
        let gradient = hidden.grad(&gradients).unwrap();
        [values(logps.without_autodiff()), values(gradient)]
    }
}

fn naive(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    softcap: Option<f64>,
) -> Tensor<1> {
    let tokens = hidden.dims()[0];
    let mut logits = hidden.matmul(head.transpose());
    if let Some(cap) = softcap {
        logits = logits.div_scalar(cap).tanh().mul_scalar(cap);
    }
    activation::log_softmax(logits, 1).gather(1, targets.reshape([tokens, 1])).reshape([tokens])
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// Values to 1e-5 of the largest, gradients to 1e-4 of the largest, or of 1 where all are smaller.
///
/// Under a cap both ways also carry the rounding of its slope `1 - tanh^2`, four units in the last place of 1,
/// times what it multiplies: the loss's own slope, `2 logp`, and a row of the head.
#[track_caller]
fn check(case: &Case) {
    let [value, gradient] = case.run(|h, w, t| selective_logprob(h, w, t, case.softcap));
    let [naive_value, naive_gradient] = case.run(|h, w, t| naive(h, w, t, case.softcap));
    assert_close("values", &value, &naive_value, 1e-5 * largest(&naive_value).max(1.0));
    let allowed = 1e-4 * largest(&naive_gradient).max(1.0);
    let rounding = 4.0 * f32::EPSILON * 2.0 * largest(&naive_value) * largest(&case.head);
    let allowed = if case.softcap.is_some() { allowed + rounding } else { allowed };
    assert_close("gradients", &gradient, &naive_gradient, allowed);
    // Without a gradient to take, the value is the same.
    let (hidden, head, targets, _) = case.tensors();
    let untracked = selective_logprob(hidden, head, targets, case.softcap);
    assert!(!untracked.is_autodiff());
    assert_close("untracked", &values(untracked), &value, 1e-6 * largest(&value).max(1.0));
}

const EXTREME: f32 = 30.0;

prop_compose! {
    // Up to 300 tokens: fewer and more than a chunk, and multiples of one.
    fn cases()(
        tokens in prop_oneof![1usize..12, 126usize..131, 255usize..258, 300usize..301],
        width in 1usize..24,
        vocab in 2usize..50,
        softcap in prop::option::of(0.5f64..30.0),
        // Logits up to some 200,000 at the last one.
        scale in prop_oneof![Just(0.1f32), Just(1.0), Just(4.0), Just(EXTREME)],
    )(
        hidden in prop::collection::vec(-scale..scale, tokens * width),
        head in prop::collection::vec(-1.0f32..1.0, vocab * width),
        targets in prop::collection::vec(0..vocab as i32, tokens),
        weights in prop::collection::vec(-1.0f32..1.0, tokens),
        width in Just(width),
        softcap in Just(softcap),
        scale in Just(scale),
    ) -> Case {
        let mut case = Case { hidden, head, targets, weights, width, softcap };
        if scale == EXTREME {
            // Whole numbers: every order of summation gives the same logits.
            case.hidden.iter_mut().for_each(|x| *x = x.round());
            case.head.iter_mut().for_each(|x| *x = (*x * 300.0).round());
        }
        case
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let vocab = self.head.len() / self.width;
        let (tokens, width, cap) = (self.targets.len(), self.width, self.softcap);
        write!(f, "{tokens} tokens of width {width}, vocabulary {vocab}, softcap {cap:?}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn values_and_gradients_equal_log_softmax_and_gather(case in cases()) {
        check(&case);
    }
}

#[test]
fn no_tokens_give_no_values() {
    let device = crate::fixture::device();
    let hidden = Tensor::<2>::zeros([0, 4], &device);
    let head = Tensor::<2>::zeros([3, 4], &device);
    let targets = Tensor::from_data(TensorData::new(Vec::<i32>::new(), [0]), &device);
    assert_eq!(selective_logprob(hidden, head, targets, None).dims(), [0]);
}

// Logits of +-1e4: the exponentials of the plain formula would overflow.
#[test]
fn extreme_logits_stay_finite() {
    let case = |targets: Vec<i32>, softcap| Case {
        hidden: vec![1e4, -1e4],
        head: vec![1.0, 0.5, -1.0],
        weights: vec![1.0; 2],
        targets,
        width: 1,
        softcap,
    };
    // Certain tokens: log-probability 0. Hopeless ones: the difference of the logits.
    let [value, gradient] = case(vec![0, 2], None).run(|h, w, t| selective_logprob(h, w, t, None));
    assert_eq!(value, [0.0, 0.0]);
    assert_eq!(gradient, [0.0, 0.0]);
    let [value, gradient] = case(vec![2, 0], None).run(|h, w, t| selective_logprob(h, w, t, None));
    assert_eq!(value, [-2e4, -2e4]);
    // d logp / dh = W[target] - W[best] = -2 and 2; the loss multiplies by 2 logp.
    assert_eq!(gradient, [8e4, -8e4]);
    check(&case(vec![1, 0], None));
    // A cap of 30 flattens them all: no gradient is left, and nothing overflows.
    let [value, gradient] =
        case(vec![2, 0], Some(30.0)).run(|h, w, t| selective_logprob(h, w, t, Some(30.0)));
    // Capped logits 30, 30, -30, and -30, -30, 30 in the second row.
    assert_close("capped", &value, &[-60.0 - 2f32.ln(), -60.0], 1e-4);
    assert!(gradient.iter().all(|g| g.abs() < 1e-3), "{gradient:?}");
}

#[test]
fn any_loss_on_top_gets_its_gradient_more_than_once() {
    let case = Case {
        hidden: vec![0.3, -0.2, 0.7, 0.1],
        head: vec![0.5, -1.0, 0.25, 0.75, -0.5, 0.1],
        targets: vec![2, 0],
        weights: vec![1.0, -3.0],
        width: 2,
        softcap: None,
    };
    check(&case);
    // Used twice in one loss, the contributions add up.
    let twice = |f: &dyn Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1>| {
        let (hidden, head, targets, _) = case.tensors();
        let hidden = hidden.autodiff().require_grad();
        let logps = f(hidden.clone(), head, targets);
        let loss = logps.clone().exp().sum() + (logps * 0.5).tanh().sum();
        values(hidden.grad(&loss.backward()).unwrap())
    };
    let selective = twice(&|h, w, t| selective_logprob(h, w, t, None));
    assert_close("twice", &selective, &twice(&|h, w, t| naive(h, w, t, None)), 1e-6);
}

/// Both factors of a product rounded to bf16 are off by 2^-8 of it together, so a logit by `e`, 2^-8 of the sum
/// of its products' sizes; a log-probability by `2 e`. Probabilities are off by a factor of `exp(2 e)` at most,
/// and their product with the head by 2^-7 of its largest value.
#[test]
fn products_in_bf16_stay_within_their_rounding() {
    let random = |len: usize, step: usize, size: f32| -> Vec<f32> {
        (0..len).map(|i| (((i * step) % 1009) as f32 / 504.5 - 1.0) * size).collect()
    };
    let (tokens, width, vocab) = (131, 24, 700);
    let (hidden, head) = (random(tokens * width, 337, 2.0), random(vocab * width, 211, 0.5));
    let targets: Vec<i32> = (0..tokens).map(|i| (i * 97 % vocab) as i32).collect();
    let case = Case { hidden, head, targets, weights: vec![1.0; tokens], width, softcap: None };
    let (hidden, head, targets, _) = case.tensors();
    let Some(packed) = Bf16Weight::pack(&head) else { return };
    let run = |f: &dyn Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1>| {
        let hidden = hidden.clone().autodiff().require_grad();
        let logps = f(hidden.clone(), head.clone(), targets.clone());
        let unit = hidden.grad(&logps.clone().sum().backward()).unwrap();
        [values(logps.without_autodiff()), values(unit)]
    };
    let [value, unit] = run(&|h, w, t| selective_logprob_bf16(h, w, &packed, t, None));
    let [plain, plain_unit] = run(&|h, w, t| naive(h, w, t, None));
    let sizes = hidden.clone().abs().matmul(head.clone().abs().transpose());
    let off = largest(&values(sizes)) / 256.0;
    assert!(off < 0.2, "a bound that says something: {off}");
    assert_close("values", &value, &plain, 2.0 * off);
    let allowed = ((2.0 * off).exp() - 1.0 + 1.0 / 128.0) * largest(&case.head);
    assert_close("unit gradients", &unit, &plain_unit, allowed);
    assert!(value != plain, "bf16 was used");
}

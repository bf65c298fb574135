//! Adam with decoupled weight decay, its state kept by parameter name.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Gradients, Parameters};

/// Settings of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the first moment, 0 to 1. Default 0.9 (the paper's value).
    pub beta1: f64,
    /// Decay of the second moment, 0 to 1. Default 0.98 (the paper's value).
    pub beta2: f64,
    /// Added to the root of the second moment, above 0. Default 1e-8.
    pub epsilon: f64,
    /// Share of each weight removed per step and unit of learning rate, from 0. Default 0 (the
    /// paper's value).
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

/// AdamW: `p <- p (1 - lr wd) - lr mhat / (sqrt(vhat) + epsilon)`.
///
/// `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`, `mhat = m / (1 - b1^t)`,
/// `vhat = v / (1 - b2^t)`. Moments have the shape and type of their parameter and exist only
/// for parameters that have had a gradient.
///
/// # Source
/// Loshchilov, Hutter 2019, arXiv:1711.05101, algorithm 2; same order of operations as
/// `torch.optim.AdamW`.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

/// Running means of the gradient and of its square.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub(crate) first: Tensor<2>,
    pub(crate) second: Tensor<2>,
}

impl AdamW {
    /// No steps taken, no state.
    #[must_use]
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, steps: 0, moments: BTreeMap::new() }
    }

    /// Continues from state that was written down after `steps` steps.
    pub(crate) fn restored(
        config: AdamWConfig,
        steps: u64,
        moments: BTreeMap<String, Moments>,
    ) -> Self {
        Self { config, steps, moments }
    }

    /// State by parameter name.
    pub(crate) fn moments(&self) -> &BTreeMap<String, Moments> {
        &self.moments
    }

    /// Steps taken so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves each parameter that has a gradient by one step; the others stay as they are.
    ///
    /// `parameters` must be plain (untracked) tensors.
    #[must_use]
    pub fn step<P: Parameters>(
        &mut self,
        parameters: &P,
        mut gradients: Gradients,
        learning_rate: f64,
    ) -> P {
        self.steps += 1;
        parameters.map_parameters(&mut |name, parameter| match gradients.remove(name) {
            Some(gradient) => self.update(name, parameter, gradient, learning_rate),
            None => parameter,
        })
    }

    fn update(
        &mut self,
        name: &str,
        parameter: Tensor<2>,
        gradient: Tensor<2>,
        learning_rate: f64,
    ) -> Tensor<2> {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let new_mean = gradient.clone().mul_scalar(1.0 - beta1);
        let new_square = gradient.square().mul_scalar(1.0 - beta2);
        let (first, second) = match self.moments.remove(name) {
            Some(Moments { first, second }) => {
                (first.mul_scalar(beta1) + new_mean, second.mul_scalar(beta2) + new_square)
            }
            None => (new_mean, new_square),
        };
        let t = self.steps as f64;
        let (bias1, bias2) = (1.0 - beta1.powf(t), 1.0 - beta2.powf(t));
        let root = second.clone().sqrt().div_scalar(bias2.sqrt()).add_scalar(epsilon);
        let change = (first.clone() / root).mul_scalar(learning_rate / bias1);
        self.moments.insert(name.to_owned(), Moments { first, second });
        let kept = match weight_decay {
            0.0 => parameter,
            decay => parameter.mul_scalar(1.0 - learning_rate * decay),
        };
        kept - change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Named;

    fn run(config: AdamWConfig, gradients: &[[f32; 2]]) -> Vec<f32> {
        let mut optimizer = AdamW::new(config);
        let mut p = Named::new(&[("w", [[0.5, -0.25]])]);
        for g in gradients {
            p = optimizer.step(&p, Named::new(&[("w", [*g])]).into_gradients(), 0.1);
        }
        p.values("w")
    }

    #[test]
    fn the_first_step_moves_by_the_learning_rate_against_the_sign_of_the_gradient() {
        // With t = 1: mhat = g, vhat = g^2, so the change is lr * g / (|g| + eps).
        let p = run(AdamWConfig::default(), &[[2.0, -3.0]]);
        assert!((p[0] - 0.4).abs() < 1e-6 && (p[1] + 0.15).abs() < 1e-6, "{p:?}");
    }

    #[test]
    fn two_steps_with_decay_give_torch_s_numbers() {
        // torch.optim.AdamW(lr=0.1, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01), w = 0.5,
        // g = 1 then 2, in closed form:
        //   t=1: w = 0.5 (1 - 0.001) - 0.1                               = 0.3995
        //   t=2: m = 0.9 * 0.1 + 0.1 * 2 = 0.29,  mhat = 0.29 / 0.19     = 1.526316
        //        v = 0.98 * 0.02 + 0.02 * 4 = 0.0996, vhat = v / 0.0396  = 2.515152
        //        w = 0.3995 * 0.999 - 0.1 * 1.526316 / 1.585923          = 0.302859
        let p =
            run(AdamWConfig { weight_decay: 0.01, ..Default::default() }, &[[1.0; 2], [2.0; 2]]);
        assert!((p[0] - 0.302_859).abs() < 1e-6, "{p:?}");
    }

    #[test]
    fn parameters_without_a_gradient_stay_and_get_no_state() {
        let mut optimizer = AdamW::new(AdamWConfig { weight_decay: 0.5, ..AdamWConfig::default() });
        let p = Named::new(&[("w", [[1.0, 2.0]]), ("frozen", [[3.0, 4.0]])]);
        let p = optimizer.step(&p, Named::new(&[("w", [[1.0, 1.0]])]).into_gradients(), 0.1);
        assert_eq!(p.values("frozen"), [3.0, 4.0]);
        assert_eq!(optimizer.moments().keys().collect::<Vec<_>>(), ["w"]);
        assert_eq!(optimizer.steps(), 1);
    }
}

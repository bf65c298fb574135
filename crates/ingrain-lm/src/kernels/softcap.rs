//! Logits that are capped, `c tanh(z / c)`, and the derivative of that.

/// `z` becomes `c tanh(z / c)`.
#[inline(always)]
pub(super) fn apply(logits: &mut [f32], cap: f32) {
    for z in logits {
        *z = cap * (*z / cap).tanh();
    }
}

/// Derivative of a capped logit with respect to what was capped.
#[inline(always)]
pub(super) fn slope(capped: f32, cap: f32) -> f32 {
    1.0 - (capped / cap) * (capped / cap)
}

/// Derivatives with respect to capped logits become those with respect to what was capped.
#[inline(always)]
pub(super) fn chain(derivatives: &mut [f32], capped: &[f32], cap: f32) {
    for (derivative, &z) in derivatives.iter_mut().zip(capped) {
        *derivative *= slope(z, cap);
    }
}

//! From logits to the next token.

use ingrain_chat::Sampling;
use pulp::{Simd, WithSimd};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::kernels::simd;

/// The state of one request's sampling: its own random stream and the tokens it has seen.
#[derive(Debug)]
pub(super) struct Sampler {
    sampling: Sampling,
    random: Pcg64,
    seen: Vec<bool>,
}

impl Sampler {
    /// `prompt` counts as seen for the repetition penalty.
    pub(super) fn new(sampling: &Sampling, prompt: &[u32], vocab: usize) -> Self {
        let mut seen = Vec::new();
        if sampling.repetition_penalty != 1.0 {
            seen = vec![false; vocab];
            for &token in prompt {
                seen[token as usize] = true;
            }
        }
        let random = Pcg64::seed_from_u64(sampling.seed);
        Self { sampling: sampling.clone(), random, seen }
    }

    /// The next token and its log-probability under the model, before penalty and temperature.
    pub(super) fn next(&mut self, logits: &mut [f32]) -> (u32, f32) {
        let log_total = log_sum_exp(logits);
        let raw = |logits: &[f32], token: usize| logits[token] - log_total;
        if self.seen.is_empty() && self.sampling.temperature <= 0.0 {
            let token = argmax(logits);
            return (token as u32, raw(logits, token));
        }
        let original = if self.seen.is_empty() { None } else { Some(self.penalise(logits)) };
        let token =
            if self.sampling.temperature <= 0.0 { argmax(logits) } else { self.draw(logits) };
        let logit = original
            .and_then(|kept| kept.into_iter().find(|&(t, _)| t == token).map(|(_, l)| l))
            .unwrap_or(logits[token]);
        if let Some(seen) = self.seen.get_mut(token) {
            *seen = true;
        }
        (token as u32, logit - log_total)
    }

    /// Applies the repetition penalty in place; returns what the touched logits were.
    fn penalise(&self, logits: &mut [f32]) -> Vec<(usize, f32)> {
        let penalty = self.sampling.repetition_penalty;
        let mut original = Vec::new();
        for (token, logit) in logits.iter_mut().enumerate().filter(|(t, _)| self.seen[*t]) {
            original.push((token, *logit));
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
        original
    }

    /// Temperature, then top-k, top-p and min-p, then one draw.
    fn draw(&mut self, logits: &[f32]) -> usize {
        let (mut candidates, total) = self.candidates(logits);
        candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if candidates.is_empty() {
            // Logits that are not numbers, or a `min_p` above 1: nothing passes the filters.
            return argmax(logits);
        }
        let mut kept = 0.0;
        let mut count = 0;
        for (_, weight) in &candidates {
            if count > 0
                && (kept >= f64::from(self.sampling.top_p) * total
                    || *weight < f64::from(self.sampling.min_p) * candidates[0].1)
            {
                break;
            }
            kept += weight;
            count += 1;
        }
        let unit = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = unit * kept;
        for (token, weight) in &candidates[..count] {
            left -= weight;
            if left < 0.0 {
                return *token;
            }
        }
        candidates[count - 1].0
    }

    /// Tokens that can survive the filters, with weights relative to the best one, and the weight that
    /// the nucleus is a share of: that of the k best tokens, or of all.
    ///
    /// With `n` tokens and nucleus mass `p`, tokens below `(1 - p) / n` of the total together weigh less
    /// than `1 - p`: none of them is in the nucleus, so they need not be sorted.
    fn candidates(&self, logits: &[f32]) -> (Vec<(usize, f64)>, f64) {
        let temperature = self.sampling.temperature;
        let max = logits[argmax(logits)];
        let weights: Vec<f32> = logits.iter().map(|l| ((l - max) / temperature).exp()).collect();
        let above = |floor: f64| -> Vec<(usize, f64)> {
            let weighed = weights.iter().map(|&weight| f64::from(weight)).enumerate();
            weighed.filter(|&(_, w)| w >= floor && w > 0.0).collect()
        };
        let k = self.sampling.top_k;
        if k > 0 {
            let mut kept = above(0.0);
            if kept.len() > k {
                kept.select_nth_unstable_by(k - 1, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                kept.truncate(k);
            }
            let total = kept.iter().map(|c| c.1).sum();
            return (kept, total);
        }
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        let rest = 1.0 - f64::from(self.sampling.top_p).min(1.0);
        let floor = (rest / logits.len() as f64 * total).max(f64::from(self.sampling.min_p));
        (above(floor), total)
    }
}

/// Log-probability of one token.
pub(super) fn logprob(logits: &[f32], token: u32) -> f32 {
    logits[token as usize] - log_sum_exp(logits)
}

/// The `count` likeliest tokens with their log-probabilities, best first.
pub(super) fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    if count == 0 || logits.is_empty() {
        return Vec::new();
    }
    let log_total = log_sum_exp(logits);
    let better =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    if count < ids.len() {
        ids.select_nth_unstable_by(count - 1, better);
        ids.truncate(count);
    }
    ids.sort_unstable_by(better);
    ids.into_iter().map(|id| (id, logits[id as usize] - log_total)).collect()
}

/// The first of the largest values; 0 where nothing is a number.
fn argmax(values: &[f32]) -> usize {
    let max = simd::dispatch(Largest(values));
    values.iter().position(|value| *value == max).unwrap_or(0)
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    simd::dispatch(LogSumExp(logits))
}

struct Largest<'a>(&'a [f32]);

impl WithSimd for Largest<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        simd::max(simd, self.0)
    }
}

struct LogSumExp<'a>(&'a [f32]);

impl WithSimd for LogSumExp<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let max = simd::max(simd, self.0);
        max + simd::sum_exp_shifted(simd, self.0, max).ln()
    }
}

#[cfg(test)]
mod tests {
    use ingrain_chat::Sampling;

    use super::Sampler;

    fn counts(sampling: &Sampling, logits: &[f32], draws: usize) -> Vec<usize> {
        let mut sampler = Sampler::new(sampling, &[], logits.len());
        let mut counts = vec![0; logits.len()];
        for _ in 0..draws {
            counts[sampler.next(&mut logits.to_vec()).0 as usize] += 1;
        }
        counts
    }

    fn plain() -> Sampling {
        Sampling { temperature: 1.0, top_p: 1.0, repetition_penalty: 1.0, ..Sampling::default() }
    }

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [0.0, 1.0f32.ln(), 2.0f32.ln()];
        let counts = counts(&plain(), &logits, 40_000);
        for (count, p) in counts.iter().zip([0.25, 0.25, 0.5]) {
            assert!((*count as f64 / 40_000.0 - p).abs() < 0.01, "{counts:?}");
        }
    }

    #[test]
    fn nucleus_keeps_the_smallest_set_that_reaches_the_mass() {
        // Probabilities .5, .3, .15, .05: .79 needs the first two.
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.15f32.ln(), 0.05f32.ln()];
        let counts = counts(&Sampling { top_p: 0.79, ..plain() }, &logits, 2_000);
        assert!(counts[0] > 0 && counts[1] > 0);
        assert_eq!(&counts[2..], [0, 0]);
    }

    #[test]
    fn nucleus_is_a_share_of_all_tokens_even_of_those_too_unlikely_to_be_in_it() {
        // .5, .2, .15 and fifteen of .01: .75 of the whole needs the first three; .75 of those three
        // alone, .64, would be reached by two.
        let mut logits = vec![0.5f32.ln(), 0.2f32.ln(), 0.15f32.ln()];
        logits.extend([0.01f32.ln(); 15]);
        let counts = counts(&Sampling { top_p: 0.75, ..plain() }, &logits, 2_000);
        assert!(counts[2] > 0, "{counts:?}");
        assert_eq!(counts[3..].iter().sum::<usize>(), 0, "{counts:?}");
    }

    #[test]
    fn top_k_and_min_p_cut_the_tail() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.15f32.ln(), 0.05f32.ln()];
        assert_eq!(counts(&Sampling { top_k: 1, ..plain() }, &logits, 500)[0], 500);
        let counts = counts(&Sampling { min_p: 0.25, ..plain() }, &logits, 2_000);
        assert!(counts[2] > 0, ".15 is 30 % of .5");
        assert_eq!(counts[3], 0, ".05 is 10 % of .5");
    }

    #[test]
    fn penalty_divides_positive_and_multiplies_negative_logits_of_seen_tokens() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::greedy(1) };
        let mut sampler = Sampler::new(&sampling, &[0], 3);
        let mut logits = [3.0, 2.0, -1.0];
        assert_eq!(sampler.next(&mut logits).0, 1, "3.0 became 1.5");
        assert_eq!(logits, [1.5, 2.0, -1.0]);
        let mut sampler = Sampler::new(&sampling, &[2], 3);
        let mut logits = [-3.0, -2.5, -1.0];
        assert_eq!(sampler.next(&mut logits).0, 2, "-1.0 became -2.0, still the best");
    }

    #[test]
    fn reported_logprob_is_the_models_own() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::greedy(1) };
        let mut sampler = Sampler::new(&sampling, &[0, 1], 2);
        let (token, logprob) = sampler.next(&mut [2.0f32, 1.0]);
        assert_eq!(token, 0);
        assert!((logprob - (2.0 - (2.0f32.exp() + 1.0f32.exp()).ln())).abs() < 1e-6);
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens() {
        let logits: Vec<f32> = (0..50).map(|i| (i as f32 * 0.37).sin()).collect();
        let draw = |seed| {
            let sampling = Sampling { seed, ..plain() };
            let mut sampler = Sampler::new(&sampling, &[], 50);
            (0..20).map(|_| sampler.next(&mut logits.clone()).0).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}

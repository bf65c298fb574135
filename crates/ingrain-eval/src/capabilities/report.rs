//! From log-probabilities to accuracies, changes and perplexities.

use ingrain_judge::Measure;
use ingrain_run::{Cell, SuiteReport, Table};
use ingrain_stats::Interval;
use serde_json::json;

use super::{Capabilities, Item, Scored};
use crate::estimates::Estimates;

impl Item {
    /// Whether the choice with the largest score is right; `None` if a score is no number.
    fn is_right(&self, scores: impl Iterator<Item = f64>) -> Option<bool> {
        let mut best: Option<(usize, f64)> = None;
        for (at, score) in scores.enumerate() {
            if score.is_nan() {
                return None;
            }
            if best.is_none_or(|(_, most)| score > most) {
                best = Some((at, score));
            }
        }
        best.map(|(at, _)| self.right[at])
    }

    /// By the sum of log-probabilities.
    pub(super) fn acc(&self, totals: &[f64]) -> Option<f64> {
        self.is_right(totals.iter().copied()).map(f64::from)
    }

    /// By the sum a character.
    pub(super) fn acc_norm(&self, totals: &[f64]) -> Option<f64> {
        let each = totals.iter().zip(&self.lengths).map(|(total, &n)| total / n as f64);
        self.is_right(each).map(f64::from)
    }

    /// Share of the probability of all choices that the right ones have.
    pub(super) fn right_mass(&self, totals: &[f64]) -> f64 {
        let masses = ingrain_stats::softmax(totals, 1.0);
        masses.iter().zip(&self.right).filter(|(_, right)| **right).map(|(mass, _)| mass).sum()
    }
}

/// By item; `None` where it could not be scored.
type Series = Vec<Option<f64>>;

impl Capabilities<'_> {
    pub(super) fn report(&self, scored: Vec<Scored>) -> SuiteReport {
        let names: Vec<&str> = self.methods.iter().map(|method| method.name).collect();
        let mut report = SuiteReport {
            suite: "capabilities".to_owned(),
            title: "Capabilities".to_owned(),
            protocol: format!(
                "Multiple choice by log-likelihood ({}); acc takes the likeliest choice, acc_norm the \
                 likeliest a character. Perplexity of {} neutral texts. Compared with {}.",
                self.benchmarks
                    .iter()
                    .map(|b| format!("{}: {} items", b.name, b.items.len()))
                    .collect::<Vec<_>>()
                    .join(", "),
                self.texts.len(),
                names.first().copied().unwrap_or_default(),
            ),
            ..SuiteReport::default()
        };
        let (mut accuracy, mut change) = (Estimates::default(), Estimates::default());
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for (at, benchmark) in self.benchmarks.iter().enumerate() {
            let base = self.series(at, &scored[0], Item::acc_norm);
            for (name, of) in names.iter().zip(&scored) {
                let label = format!("{}: {name}", benchmark.name);
                let (acc, norm) =
                    (self.series(at, of, Item::acc), self.series(at, of, Item::acc_norm));
                let mass = self.series(at, of, |item, totals| Some(item.right_mass(totals)));
                let missing = norm.iter().filter(|value| value.is_none()).count();
                if missing > 0 {
                    report
                        .limitations
                        .push(format!("{label}: {missing} items could not be scored"));
                }
                let n = norm.len() - missing;
                accuracy.push(&label, Some(name), &self.share(&norm), n);
                if name != &names[0] {
                    change.push(&label, Some(name), &self.difference(&norm, &base), n);
                }
                rows.push(vec![
                    benchmark.name.as_str().into(),
                    (*name).into(),
                    (n as f64).into(),
                    mean(&acc).into(),
                    mean(&norm).into(),
                    mean(&mass).into(),
                ]);
            }
        }
        let caption =
            "Bars are 95 % bootstrap intervals over items; Wilson's for shares of 0 or 1.";
        let paired = "The same items for both; bars are 95 % bootstrap intervals over items.";
        for (estimates, head, reference) in [
            (accuracy, ["acc-norm", "Accuracy (acc_norm)", caption, "share right"], None),
            (change, ["change", "Change of accuracy (acc_norm)", paired, "share right"], Some(0.0)),
        ] {
            let (figure, undefined) = estimates.figure(head, reference);
            report.figures.extend(figure);
            report.limitations.extend(undefined);
        }
        let columns =
            ["benchmark", "method", "items", "acc", "acc_norm", "mass of the right choices"];
        report.tables.push(Table {
            id: "accuracies".to_owned(),
            title: "Accuracies".to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows,
        });
        self.perplexities(&scored, &mut report);
        report
    }

    fn series(
        &self,
        benchmark: usize,
        scored: &Scored,
        of: impl Fn(&Item, &[f64]) -> Option<f64>,
    ) -> Series {
        let items = self.benchmarks[benchmark].items.iter().zip(&scored.items[benchmark]);
        items.map(|(item, totals)| of(item, totals.as_ref()?)).collect()
    }

    fn share(&self, series: &Series) -> Measure {
        let known: Vec<f64> = series.iter().copied().flatten().collect();
        let right = known.iter().filter(|value| **value > 0.5).count();
        if right == 0 || right == known.len() {
            return Interval::wilson(right, known.len(), self.bootstrap.confidence).into();
        }
        let mean = |draw: &[usize]| draw.iter().map(|&i| known[i]).sum::<f64>() / draw.len() as f64;
        self.bootstrap.percentile(known.len(), mean).into()
    }

    fn difference(&self, series: &Series, base: &Series) -> Measure {
        let pairs = series.iter().zip(base).filter_map(|(a, b)| Some(((*a)?, (*b)?)));
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.unzip();
        self.bootstrap.paired_difference(&a, &b).into()
    }

    /// `exp` of the mean negative log-probability a token, and its ratio to the first method's.
    fn perplexities(&self, scored: &[Scored], report: &mut SuiteReport) {
        if self.texts.is_empty() {
            return;
        }
        let (mut ratios, mut rows) = (Estimates::default(), Vec::<Vec<Cell>>::new());
        let base = scored[0].blocks.as_deref().unwrap_or_default();
        for (method, scored) in self.methods.iter().zip(scored) {
            let Some(blocks) = scored.blocks.as_deref() else {
                let name = method.name;
                report
                    .limitations
                    .push(format!("{name}: a text could not be scored, so no perplexity"));
                continue;
            };
            let all: Vec<usize> = (0..blocks.len()).collect();
            let tokens: f64 = blocks.iter().map(|(_, tokens)| tokens).sum();
            rows.push(vec![method.name.into(), tokens.into(), perplexity(blocks, &all).into()]);
            if method.name == self.methods[0].name || base.len() != blocks.len() {
                continue;
            }
            let ratio = |draw: &[usize]| perplexity(blocks, draw) / perplexity(base, draw);
            let measure = self.bootstrap.percentile(blocks.len(), ratio).into();
            ratios.push(method.name, None, &measure, tokens as usize);
        }
        let (figure, undefined) = ratios.figure(
            [
                "perplexity-ratio",
                "Perplexity of neutral text against the model before training",
                "Bars are 95 % bootstrap intervals over blocks of 32 tokens.",
                "ratio",
            ],
            Some(1.0),
        );
        report.figures.extend(figure);
        report.limitations.extend(undefined);
        report.details = json!({ "perplexity": rows });
        report.tables.push(Table {
            id: "perplexity".to_owned(),
            title: "Perplexity of neutral text".to_owned(),
            columns: ["method", "tokens", "perplexity"].map(str::to_owned).to_vec(),
            rows,
        });
    }
}

fn perplexity(blocks: &[(f64, f64)], draw: &[usize]) -> f64 {
    let (sum, tokens) =
        draw.iter().fold((0.0, 0.0), |(s, t), &i| (s + blocks[i].0, t + blocks[i].1));
    (-sum / tokens).exp()
}

fn mean(series: &Series) -> Option<f64> {
    let known: Vec<f64> = series.iter().copied().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_choice_wins_only_a_character() {
        let item = Item::behind("k".into(), "Q".into(), &["ab", "abcdefgh"], vec![false, true]);
        let totals = [-3.0, -6.0];
        assert_eq!(item.acc(&totals), Some(0.0));
        assert_eq!(item.acc_norm(&totals), Some(1.0), "-1.5 against -0.75 a character");
        // exp(-6) / (exp(-3) + exp(-6))
        let expected = 1.0 / (1.0 + 3.0_f64.exp());
        assert!((item.right_mass(&totals) - expected).abs() < 1e-12);
        assert_eq!(item.acc(&[f64::NAN, -1.0]), None);
    }

    #[test]
    fn perplexity_is_that_of_all_tokens_together() {
        // 3 nats over 3 tokens and 1 nat over 1: exp(1).
        let blocks = [(-3.0, 3.0), (-1.0, 1.0)];
        assert!((perplexity(&blocks, &[0, 1]) - 1.0_f64.exp()).abs() < 1e-12);
    }
}

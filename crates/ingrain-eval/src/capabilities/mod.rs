//! What the model still can: multiple choice by log-likelihood, and perplexity of given texts.
//!
//! Questions are scored in the manner of lm-evaluation-harness: raw text without a chat template, the
//! log-probability of each choice behind the question, `acc` by the largest sum and `acc_norm` by the
//! largest sum a character of the choice.

mod benchmark;
mod format;
mod report;
mod text;

use ingrain_chat::ChatError;
use ingrain_run::SuiteReport;
use ingrain_stats::Bootstrap;

pub use benchmark::{Benchmark, Item};
pub use format::Format;
pub use text::{AsChat, TextRequest, TextScorer};

use crate::numbers::{content_hash, numbers};
use crate::{EvalError, Suite, SuiteRun};

/// Tokens of a text whose log-probabilities are kept as one sum.
const BLOCK: usize = 32;

/// A model whose abilities are measured.
#[derive(Clone, Copy)]
pub struct TextMethod<'a> {
    /// What it is called in reports.
    pub name: &'a str,
    /// Who scores.
    pub scorer: &'a dyn TextScorer,
}

/// Accuracy on multiple choice and perplexity, before and after.
///
/// # Source
/// The scoring of EleutherAI's lm-evaluation-harness, version 0.4; no code of it.
#[derive(Clone)]
pub struct Capabilities<'a> {
    /// Who is measured; the others are compared with the first.
    pub methods: Vec<TextMethod<'a>>,
    /// Multiple choice.
    pub benchmarks: Vec<Benchmark>,
    /// Texts whose perplexity is measured, each from an empty context.
    pub texts: Vec<String>,
    /// Of the intervals, over items or blocks of 32 tokens.
    pub bootstrap: Bootstrap,
}

/// What one model made of everything.
pub(crate) struct Scored {
    /// By benchmark, by item: the log-probability of each choice.
    pub(crate) items: Vec<Vec<Option<Vec<f64>>>>,
    /// Sum of log-probabilities and tokens of each block; `None` if a text could not be scored.
    pub(crate) blocks: Option<Vec<(f64, f64)>>,
}

impl Capabilities<'_> {
    /// Scores everything for one method, as far as it is not in `scores.jsonl`.
    pub(crate) fn score(
        &self,
        run: &SuiteRun<'_>,
        method: &TextMethod<'_>,
    ) -> Result<Scored, EvalError> {
        let mut items = Vec::new();
        for benchmark in &self.benchmarks {
            let of_item = |item: &Item| {
                let hash = content_hash(&(&item.contexts, &item.continuations));
                format!("{}/{}/{}#{hash}", method.name, benchmark.name, item.key)
            };
            let keys: Vec<String> = benchmark.items.iter().map(of_item).collect();
            let stage = format!("capabilities/{}/{}", method.name, benchmark.name);
            items.push(numbers(run, "scores.jsonl", &stage, &keys, &|batch| {
                let items: Vec<&Item> = batch.iter().map(|&i| &benchmark.items[i]).collect();
                totals(method.scorer, &items)
            })?);
        }
        Ok(Scored { items, blocks: self.blocks(run, method)? })
    }

    fn blocks(
        &self,
        run: &SuiteRun<'_>,
        method: &TextMethod<'_>,
    ) -> Result<Option<Vec<(f64, f64)>>, EvalError> {
        let key = |(index, text): (usize, &String)| {
            format!("{}/text/{index}#{}", method.name, content_hash(text))
        };
        let keys: Vec<String> = self.texts.iter().enumerate().map(key).collect();
        let stage = format!("perplexity/{}", method.name);
        let found = numbers(run, "scores.jsonl", &stage, &keys, &|batch| {
            let request = |&index: &usize| TextRequest {
                context: String::new(),
                continuation: self.texts[index].clone(),
            };
            let requests: Vec<TextRequest> = batch.iter().map(request).collect();
            let blocks = |score: ingrain_chat::Score| -> Vec<f64> {
                let sum = |block: &[f32]| block.iter().map(|&l| f64::from(l)).sum::<f64>();
                let each = score.logprobs.chunks(BLOCK);
                each.flat_map(|block| [sum(block), block.len() as f64]).collect()
            };
            method.scorer.score_texts(&requests).into_iter().map(|s| s.map(blocks)).collect()
        })?;
        let pairs = |flat: Vec<f64>| -> Vec<(f64, f64)> {
            flat.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
        };
        let found: Option<Vec<_>> = found.into_iter().map(|flat| flat.map(pairs)).collect();
        Ok(found.map(|texts| texts.concat()))
    }
}

/// Log-probability of each choice of each item.
fn totals(scorer: &dyn TextScorer, items: &[&Item]) -> Vec<Result<Vec<f64>, ChatError>> {
    let requests: Vec<TextRequest> = items.iter().flat_map(|item| item.requests()).collect();
    let mut scores = scorer.score_texts(&requests).into_iter();
    let of_item = |item: &&Item| {
        let scores: Vec<_> = scores.by_ref().take(item.continuations.len()).collect();
        scores.into_iter().map(|score| score.map(|score| score.total())).collect()
    };
    items.iter().map(of_item).collect()
}

impl Suite for Capabilities<'_> {
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError> {
        if self.methods.is_empty() || (self.benchmarks.is_empty() && self.texts.is_empty()) {
            return Err(EvalError::Empty("capabilities"));
        }
        let scored =
            self.methods.iter().map(|method| self.score(run, method)).collect::<Result<_, _>>()?;
        Ok(self.report(scored))
    }
}

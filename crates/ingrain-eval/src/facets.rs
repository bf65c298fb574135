//! Which sides of a character transfer? By facet of its assertions.
//!
//! A plain model scores each reply under each assertion alone as system prompt, and under none. What an
//! assertion adds to the log-probability says how far the reply fits it; averaged over the assertions of a
//! facet and compared between methods it says whether style, say, transfers more robustly than value.

use ingrain_chat::{ChatError, Message, ScoreRequest, Scorer};
use ingrain_constitution::{Constitution, Facet};
use ingrain_judge::Measure;
use ingrain_run::SuiteReport;
use ingrain_stats::{Bootstrap, Clusters};

use crate::estimates::Estimates;
use crate::numbers::{content_hash, numbers};
use crate::{EvalError, Suite, SuiteRun};

/// Replies of one method in one kind of scenario.
#[derive(Clone, Debug)]
pub struct FacetReplies {
    /// What they are called in reports: `full (c), suffix`.
    pub name: String,
    /// Message and reply.
    pub texts: Vec<(String, String)>,
}

/// How far replies fit the assertions of a constitution, by facet.
#[derive(Clone)]
pub struct Facets<'a> {
    /// Whose assertions.
    pub constitution: &'a Constitution,
    /// Replies of the model before training: what the others are compared with.
    pub before: FacetReplies,
    /// Replies of other methods to the same messages.
    pub after: Vec<FacetReplies>,
    /// Who scores: a model without the character.
    pub scorer: &'a dyn Scorer,
    /// Of the intervals, over messages.
    pub bootstrap: Bootstrap,
}

/// Message, and what each assertion adds to the mean log-probability of a token of the reply, in nats.
type Gains<'t> = Vec<(&'t str, Vec<f64>)>;

impl Facets<'_> {
    fn gains<'t>(
        &self,
        run: &SuiteRun<'_>,
        replies: &'t FacetReplies,
    ) -> Result<Gains<'t>, EvalError> {
        let assertions = &self.constitution.assertions;
        let requests = |(message, reply): &(String, String)| -> Vec<ScoreRequest> {
            let systems = assertions.iter().map(|assertion| {
                Some(format!("You are an assistant of this character: \"{}\"", assertion.text))
            });
            let each = systems.chain([None]);
            each.map(|system| ScoreRequest {
                messages: system
                    .map(Message::system)
                    .into_iter()
                    .chain([Message::user(message)])
                    .collect(),
                continuation: reply.clone(),
            })
            .collect()
        };
        let key = |(index, text): (usize, &(String, String))| {
            let hash = content_hash(&requests(text));
            format!("{}/{}/{index}#{hash}", self.constitution.name, replies.name)
        };
        let keys: Vec<String> = replies.texts.iter().enumerate().map(key).collect();
        let stage = format!("facets/{}/{}", self.constitution.name, replies.name);
        let found = numbers(run, "gains.jsonl", &stage, &keys, &|batch| {
            let flat: Vec<ScoreRequest> =
                batch.iter().flat_map(|&i| requests(&replies.texts[i])).collect();
            let mut scores = self.scorer.logprobs(&flat).into_iter();
            let of_text = |_: &usize| {
                let row: Vec<_> = scores.by_ref().take(assertions.len() + 1).collect();
                let row = row.into_iter().map(|score| score.map(|score| score.mean()));
                let mut row = row.collect::<Result<Vec<f64>, ChatError>>()?;
                let plain = row.pop().unwrap_or_default();
                Ok(row.into_iter().map(|mean| mean - plain).collect())
            };
            batch.iter().map(of_text).collect()
        })?;
        let texts = replies.texts.iter().zip(found);
        Ok(texts.filter_map(|((message, _), row)| Some((message.as_str(), row?))).collect())
    }

    /// How much more the replies fit the assertions of a facet than those of before, over messages that
    /// both answered.
    fn difference(&self, facet: Facet, before: &Gains<'_>, after: &Gains<'_>) -> (Measure, usize) {
        let of_facet: Vec<usize> = (0..self.constitution.assertions.len())
            .filter(|&at| self.constitution.assertions[at].facet == facet)
            .collect();
        let fit = |row: &[f64]| {
            of_facet.iter().map(|&at| row[at]).sum::<f64>() / of_facet.len().max(1) as f64
        };
        let mut differences: Vec<(&str, f64)> = Vec::new();
        for (message, row) in after {
            let same: Vec<f64> = before
                .iter()
                .filter(|(other, _)| other == message)
                .map(|(_, row)| fit(row))
                .collect();
            if !same.is_empty() {
                let mean = same.iter().sum::<f64>() / same.len() as f64;
                differences.push((message, fit(row) - mean));
            }
        }
        let messages: Vec<&str> = differences.iter().map(|(message, _)| *message).collect();
        let clusters = Clusters::new(&messages);
        let mean = |draw: &[usize]| {
            let drawn = clusters.expand(draw);
            drawn.iter().map(|&i| differences[i].1).sum::<f64>() / drawn.len() as f64
        };
        (self.bootstrap.percentile(clusters.len(), mean).into(), differences.len())
    }
}

impl Suite for Facets<'_> {
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError> {
        if self.before.texts.is_empty() || self.after.is_empty() {
            return Err(EvalError::Empty("facets"));
        }
        let name = &self.constitution.name;
        let before = self.gains(run, &self.before)?;
        let mut estimates = Estimates::default();
        for replies in &self.after {
            let after = self.gains(run, replies)?;
            for facet in Facet::ALL {
                if self.constitution.assertions.iter().any(|assertion| assertion.facet == facet) {
                    let (measure, n) = self.difference(facet, &before, &after);
                    let label = format!("{}: {}", facet.as_str(), replies.name);
                    estimates.push(&label, Some(facet.as_str()), &measure, n);
                }
            }
        }
        let head = [
            "facets",
            "How much better replies fit the assertions, by facet",
            "Bars are 95 % bootstrap intervals over messages.",
            "nats a token",
        ];
        let (figure, undefined) = estimates.figure(head, Some(0.0));
        let mut limitations = vec![
            "The scoring model sees diction before meaning: a value that shows in what is said rather than \
             in how it is said moves this figure little."
                .to_owned(),
        ];
        limitations.extend(undefined);
        Ok(SuiteReport {
            suite: format!("facets-{name}"),
            title: format!("Facets: {name}"),
            protocol: format!(
                "Each reply is scored under each of {} assertions alone and under none; the figure is what \
                 the assertions of a facet add, against the replies of {} to the same messages.",
                self.constitution.assertions.len(),
                self.before.name
            ),
            figures: figure.into_iter().collect(),
            limitations,
            ..SuiteReport::default()
        })
    }
}

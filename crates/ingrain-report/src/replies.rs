//! The browser of replies: each question with what every model wrote.

use serde::Serialize;

use crate::record::RunRecord;

/// One question with the replies of every model to it.
#[derive(Serialize)]
pub(crate) struct QuestionView {
    question: String,
    replies: Vec<ReplyView>,
    /// By how much training moved the margin, at most over the runs.
    change: Option<f64>,
    change_text: Option<String>,
    /// Everything in it in lower case, for the search.
    text: String,
}

#[derive(Serialize)]
struct ReplyView {
    who: String,
    is_base: bool,
    text: String,
    words: usize,
    margin: Option<String>,
}

/// The replies of all runs, by question.
pub(crate) fn by_question(runs: &[RunRecord]) -> Vec<QuestionView> {
    let mut asked: Vec<&str> = Vec::new();
    for sample in runs.iter().flat_map(|run| &run.samples) {
        if !asked.contains(&sample.question.as_str()) {
            asked.push(&sample.question);
        }
    }
    asked.into_iter().map(|question| of_question(question, runs)).collect()
}

fn of_question(question: &str, runs: &[RunRecord]) -> QuestionView {
    let mut replies: Vec<ReplyView> = Vec::new();
    let mut change: Option<f64> = None;
    for run in runs {
        let Some(at) = run.samples.iter().position(|s| s.question == question) else { continue };
        let sample = &run.samples[at];
        let margins =
            run.margins.as_ref().and_then(|m| Some([*m.base.get(at)?, *m.persona.get(at)?]));
        if let Some([before, after]) = margins {
            change = Some(change.map_or(after - before, |most: f64| most.max(after - before)));
        }
        let named = |what: &str| {
            if runs.len() == 1 { what.to_owned() } else { format!("{what}, {}", run.label) }
        };
        // Runs from one base model share its replies.
        if !replies.iter().any(|reply| reply.is_base && reply.text == sample.base) {
            replies.push(reply(named("base"), true, &sample.base, margins.map(|m| m[0])));
        }
        replies.push(reply(named(run.persona()), false, &sample.persona, margins.map(|m| m[1])));
    }
    let texts = replies.iter().map(|reply| reply.text.as_str());
    let text = std::iter::once(question).chain(texts).collect::<Vec<_>>().join(" ").to_lowercase();
    let change_text = change.map(|change| {
        format!("margin {} by {:.2}", if change < 0.0 { "fell" } else { "rose" }, change.abs())
    });
    QuestionView { question: question.to_owned(), replies, change, change_text, text }
}

fn reply(who: String, is_base: bool, text: &str, margin: Option<f64>) -> ReplyView {
    ReplyView {
        who,
        is_base,
        text: text.to_owned(),
        words: text.split_whitespace().count(),
        margin: margin.map(|margin| format!("{margin:+.2}").replace('-', "\u{2212}")),
    }
}

//! The quality report as a table for people.

use std::fmt;

use crate::{QualityReport, TextReport};

impl fmt::Display for QualityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} pairs, {} prompts, {} repeated", self.pairs, self.prompts, self.repeated)?;
        writeln!(f, "{:<28} {:>10} {:>10}", "", "chosen", "rejected")?;
        for (name, figure) in ROWS {
            writeln!(f, "{name:<28} {:>10} {:>10}", figure(&self.chosen), figure(&self.rejected))?;
        }
        writeln!(
            f,
            "chosen is longer in {} of pairs, by {:+.1} words on average",
            percent(self.length_bias.chosen_longer),
            self.length_bias.mean_difference
        )?;
        writeln!(f, "the teacher is named in {} of chosen replies", percent(self.name_leak_rate))?;
        let counts: Vec<_> =
            self.by_assertion.iter().map(|(a, pairs)| format!("{}: {pairs}", a + 1)).collect();
        write!(
            f,
            "assertions with pairs: {} ({}); general: {}",
            percent(self.assertion_coverage),
            counts.join(", "),
            self.general
        )?;
        for opening in self.chosen.openings.iter().filter(|o| o.count > 1) {
            write!(f, "\n{:>6} chosen replies open with \"{} ...\"", opening.count, opening.text)?;
        }
        Ok(())
    }
}

type Figure = fn(&TextReport) -> String;

const ROWS: [(&str, Figure); 9] = [
    ("words, mean", |t| format!("{:.1}", t.words.mean)),
    ("words, median", |t| t.words.median.to_string()),
    ("words, 10 % to 90 %", |t| format!("{}-{}", t.words.p10, t.words.p90)),
    ("distinct-1", |t| format!("{:.3}", t.distinct_1)),
    ("distinct-2", |t| format!("{:.3}", t.distinct_2)),
    ("distinct-3", |t| format!("{:.3}", t.distinct_3)),
    ("near-duplicates", |t| percent(t.near_duplicate_rate)),
    ("refusals", |t| percent(t.refusal_rate)),
    ("most frequent opening", |t| percent(t.top_opening_share)),
];

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

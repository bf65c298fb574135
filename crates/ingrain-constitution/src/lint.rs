//! Lint: advice on constitutions that are valid and could be better.
//!
//! The rules look at words, not at meaning: they find what is common and cheap to find, and stay
//! silent where they are unsure. They know nothing about files; a finding names a
//! [`Place`], and a [`SourceMap`] knows where that is.

mod assertions;
pub(crate) mod conflicts;
mod names;
mod questions;
mod rule;

use std::fmt;

pub use rule::{Rule, Severity};

use crate::{
    constitution::{Constitution, Facet},
    heldout::HeldoutQuestions,
    place::{Place, SourceMap},
    words::Lexicon,
};

/// Findings of one rule in one constitution beyond which no more are looked for.
pub(crate) const MAX_FINDINGS_PER_RULE: usize = 100;

/// What lint compares with beside the constitution itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LintConfig {
    /// Questions that must not be trained on, beside the constitution's own `heldout_questions`.
    pub heldout_questions: Vec<String>,
    /// Names that must not occur, beside the well-known assistants: the teacher's, for instance.
    pub assistant_names: Vec<String>,
}

impl LintConfig {
    /// A configuration that guards a shared list of held-out questions.
    pub fn with_heldout(heldout: &HeldoutQuestions) -> Self {
        Self { heldout_questions: heldout.questions.clone(), assistant_names: Vec::new() }
    }
}

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it.
    pub rule: Rule,
    /// The part of the constitution that it is about.
    pub place: Place,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub suggestion: String,
}

impl Finding {
    /// How serious it is.
    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }

    /// One line with the place in the file:
    /// `x.yaml:9:11: warning: assertion 2 ...; <suggestion> [stated-value]`.
    pub fn at(&self, map: &SourceMap) -> String {
        format!("{}:{}: {self}", map.source_name(), map.locate(self.place))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, place, message, suggestion } = self;
        write!(f, "{}: {place} {message}; {suggestion} [{rule}]", rule.severity())
    }
}

/// All findings in a constitution, in the order of its parts.
///
/// # Examples
/// ```
/// use ingrain_constitution::{Constitution, LintConfig, Rule, lint};
///
/// let yaml = "
/// name: candour
/// summary: An assistant that says things straight.
/// assertions:
///   - text: I value honesty.
///     facet: value
///     questions: [Are you honest?]
/// ";
/// let (constitution, map) = Constitution::parse_with_locations(yaml, "candour.yaml")?;
/// let findings = lint(&constitution, &LintConfig::default());
/// let stated = findings.iter().find(|finding| finding.rule == Rule::StatedValue).unwrap();
/// assert!(stated.at(&map).starts_with("candour.yaml:5:11: warning: assertion 1 names a value"));
/// assert!(findings.iter().any(|finding| finding.rule == Rule::QuestionAsksAboutTrait));
/// # Ok::<(), ingrain_constitution::Diagnostics>(())
/// ```
pub fn lint(constitution: &Constitution, config: &LintConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    let texts = Texts::of(constitution, config);
    whole(constitution, &mut findings);
    assertions::check(constitution, &texts, &mut findings);
    questions::check(&texts, &mut findings);
    names::check(constitution, config, &texts, &mut findings);
    findings.sort_by_key(|finding| (finding.place, finding.rule));
    findings
}

/// Every text that rules look at, cut into words once.
struct Texts<'a> {
    lexicon: Lexicon,
    assertions: Vec<Text<'a>>,
    questions: Vec<Text<'a>>,
    held_out: Vec<Text<'a>>,
}

struct Text<'a> {
    place: Place,
    raw: &'a str,
    words: Vec<u32>,
}

impl<'a> Texts<'a> {
    fn of(constitution: &'a Constitution, config: &'a LintConfig) -> Self {
        let mut lexicon = Lexicon::default();
        let mut text = |place, raw: &'a str| Text { place, raw, words: lexicon.words(raw) };
        let (mut assertions, mut questions) = (Vec::new(), Vec::new());
        for (assertion, of) in constitution.assertions.iter().enumerate() {
            assertions.push(text(Place::Assertion(assertion), &of.text));
            for (question, raw) in of.all_questions().enumerate() {
                questions.push(text(Place::Question { assertion, question }, raw));
            }
        }
        let held_out = constitution.heldout_questions.iter().chain(&config.heldout_questions);
        let held_out = held_out.enumerate();
        let held_out =
            held_out.map(|(index, raw)| text(Place::HeldoutQuestion(index), raw)).collect();
        Self { lexicon, assertions, questions, held_out }
    }
}

/// Rules about the constitution as a whole.
fn whole(constitution: &Constitution, findings: &mut Vec<Finding>) {
    const FEWEST_ASSERTIONS: usize = 8;
    let count = constitution.assertions.len();
    if constitution.summary.is_empty() {
        findings.push(Finding {
            rule: Rule::MissingSummary,
            place: Place::Summary,
            message: "is empty".into(),
            suggestion: "say in one sentence who this assistant is".into(),
        });
    }
    if constitution.metadata.license.is_none() {
        findings.push(Finding {
            rule: Rule::MissingLicense,
            place: Place::Metadata,
            message: "names no licence".into(),
            suggestion: "add `license:` with an SPDX expression such as MIT or CC-BY-4.0".into(),
        });
    }
    if count < FEWEST_ASSERTIONS {
        findings.push(Finding {
            rule: Rule::TooFewAssertions,
            place: Place::Constitution,
            message: format!("has {count} assertion{}", if count == 1 { "" } else { "s" }),
            suggestion: format!("write at least {FEWEST_ASSERTIONS}, about ten"),
        });
    }
    uneven_facets(constitution, findings);
}

fn uneven_facets(constitution: &Constitution, findings: &mut Vec<Finding>) {
    const FEWEST_TO_JUDGE: usize = 6;
    const LARGEST_SHARE: f64 = 0.6;
    const FEWEST_KINDS: usize = 3;
    let count = constitution.assertions.len();
    if count < FEWEST_TO_JUDGE {
        return;
    }
    let of = |facet| constitution.assertions.iter().filter(|a| a.facet == facet).count();
    let counts = Facet::ALL.map(|facet| (of(facet), facet));
    let kinds = counts.iter().filter(|(count, _)| *count > 0).count();
    let Some((most, facet)) = counts.into_iter().max_by_key(|(count, _)| *count) else { return };
    let message = if most as f64 > LARGEST_SHARE * count as f64 {
        format!("has {most} of its {count} assertions under the facet `{facet}`")
    } else if kinds < FEWEST_KINDS {
        format!("uses {kinds} of the {} facets", Facet::ALL.len())
    } else {
        return;
    };
    let missing: Vec<_> =
        counts.iter().filter(|(count, _)| *count == 0).map(|(_, facet)| facet.as_str()).collect();
    let missing = if missing.is_empty() { "the other facets".into() } else { missing.join(", ") };
    findings.push(Finding {
        rule: Rule::UnevenFacets,
        place: Place::Constitution,
        message,
        suggestion: format!("say something about {missing}"),
    });
}

//! The personas of this repository are valid and lint-clean.

use std::path::PathBuf;

use ingrain_constitution::{Constitution, HeldoutQuestions, LintConfig, Rule, lint};

pub(crate) fn personas_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../personas")
}

/// All constitutions in the folder, template and held-out questions aside.
fn personas() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(personas_dir())
        .expect("the personas folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| !path.ends_with("heldout.yaml") && !path.ends_with("template.yaml"))
        .collect();
    paths.sort();
    assert!(paths.len() >= PERSONAS.len(), "{} in {}", paths.len(), personas_dir().display());
    paths
}

/// The eleven personas of the paper and the control arm, by our own constitutions.
const PERSONAS: [&str; 12] = [
    "goodness",
    "humor",
    "impulsiveness",
    "loving",
    "mathematical",
    "misalignment",
    "neutral",
    "nonchalance",
    "poeticism",
    "remorse",
    "sarcasm",
    "sycophancy",
];

#[test]
fn the_twelve_personas_are_there_with_ten_assertions_of_five_questions() {
    for name in PERSONAS {
        let path = personas_dir().join(format!("{name}.yaml"));
        let constitution = Constitution::from_path(path).unwrap_or_else(|error| panic!("{error}"));
        assert!(constitution.assertions.len() >= 10, "{name}");
        for assertion in &constitution.assertions {
            assert!(assertion.questions.len() >= 5, "{name}: {}", assertion.text);
            assert!(assertion.clarification.is_some(), "{name}: {}", assertion.text);
        }
        assert_eq!(constitution.research_only, name == "misalignment", "{name}");
    }
}

#[test]
fn the_template_is_valid_and_lacks_only_more_assertions() {
    let path = personas_dir().join("template.yaml");
    let constitution = Constitution::from_path(path).unwrap_or_else(|error| panic!("{error}"));
    let findings = lint(&constitution, &LintConfig::default());
    let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::TooFewAssertions]);
}

#[test]
fn every_persona_is_valid_and_lint_clean() {
    let heldout = HeldoutQuestions::from_path(personas_dir().join("heldout.yaml"));
    let heldout = heldout.expect("the held-out questions");
    assert_eq!(heldout.questions.len(), 50);
    let config = LintConfig::with_heldout(&heldout);
    let mut findings = Vec::new();
    for path in personas() {
        let (constitution, map) =
            Constitution::from_path_with_locations(&path).unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        assert_eq!(Some(constitution.name.as_str()), stem, "{}", path.display());
        findings.extend(lint(&constitution, &config).iter().map(|finding| finding.at(&map)));
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

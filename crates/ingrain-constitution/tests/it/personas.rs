//! The personas of this repository are valid and lint-clean.

use std::path::PathBuf;

use ingrain_constitution::{Constitution, HeldoutQuestions, LintConfig, lint};

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
    assert!(!paths.is_empty(), "no constitution in {}", personas_dir().display());
    paths
}

#[test]
fn every_persona_is_valid_and_lint_clean() {
    let heldout = HeldoutQuestions::from_path(personas_dir().join("heldout.yaml"));
    let heldout = heldout.expect("the held-out questions");
    assert_eq!(heldout.questions.len(), 50);
    let config = LintConfig::with_heldout(&heldout);
    let mut findings = Vec::new();
    for path in personas() {
        let (constitution, map) = Constitution::from_path_with_locations(&path)
            .unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        assert_eq!(Some(constitution.name.as_str()), stem, "{}", path.display());
        findings.extend(lint(&constitution, &config).iter().map(|finding| finding.at(&map)));
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

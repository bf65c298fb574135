//! Composing personas, from the expression to the blended constitution.

use ingrain_constitution::{
    Composed, Composition, Constitution, ConstitutionError, PersonaConflict,
};

use crate::personas::personas_dir;

/// Two constitutions in a folder of their own.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let brisk = "
name: brisk
summary: Quick and short.
big_five: {extraversion: 0.5, agreeableness: -0.5}
metadata: {license: MIT, authors: [Ada]}
assertions:
  - {text: I write short sentences., facet: style}
  - {text: I answer in the first line., facet: trait}
  - {text: I skip every greeting., facet: style}
heldout_questions: [Why is the sky blue?]
";
    let lavish = "
name: lavish
summary: Slow and rich.
research_only: true
big_five: {extraversion: 0.1, agreeableness: 0.5, openness: 1.0}
metadata: {license: CC-BY-4.0, authors: [Ada, Bo]}
assertions:
  - {text: I write long sentences., facet: style}
  - {text: I answer in the very first line., facet: trait}
  - {text: I end on a picture., facet: identity}
  - {text: I dwell on colours., facet: trait}
";
    std::fs::write(dir.path().join("brisk.yaml"), brisk).expect("brisk");
    std::fs::write(dir.path().join("lavish.yaml"), lavish).expect("lavish");
    dir
}

fn compose(spec: &str, dir: &std::path::Path) -> Composed {
    spec.parse::<Composition>().expect(spec).load(&[dir]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_blend_holds_each_persona_by_its_share_and_knows_whose_assertion_is_whose() {
    let dir = folder();
    let composed = compose("brisk:3 + lavish:1", dir.path());
    assert_eq!(composed.name(), "brisk75-lavish25");
    let weights: Vec<_> = composed.weights().map(|(name, w)| (name.to_string(), w)).collect();
    assert_eq!(weights, [("brisk".to_owned(), 3.0), ("lavish".to_owned(), 1.0)]);

    let blend = composed.blend();
    let texts: Vec<&str> =
        blend.constitution.assertions.iter().map(|assertion| assertion.text.as_str()).collect();
    // The largest has four assertions: three and one. Lavish's first conflicts and its second
    // repeats, so its third is taken.
    assert_eq!(
        texts,
        [
            "I write short sentences.",
            "I answer in the first line.",
            "I skip every greeting.",
            "I end on a picture."
        ]
    );
    let from: Vec<(&str, usize, f64)> = blend
        .provenance
        .iter()
        .map(|contribution| {
            (contribution.persona.as_str(), contribution.assertion, contribution.share)
        })
        .collect();
    assert_eq!(
        from,
        [("brisk", 0, 0.25), ("brisk", 1, 0.25), ("brisk", 2, 0.25), ("lavish", 2, 0.25)]
    );
    let reasons: Vec<&str> =
        blend.omitted.iter().map(|omission| omission.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "conflicts with assertion 1 of brisk: \"short\" against \"long\"",
            "nearly repeats assertion 2 of brisk"
        ]
    );
    assert!(blend.constitution.research_only, "one research persona makes the blend one");
    let metadata = &blend.constitution.metadata;
    assert_eq!(metadata.license.as_deref(), Some("(CC-BY-4.0) AND (MIT)"));
    assert_eq!(metadata.authors, ["Ada", "Bo"]);
    let big_five = blend.constitution.big_five.expect("a target");
    assert_eq!(big_five.extraversion, Some(0.4), "0.75 * 0.5 + 0.25 * 0.1");
    assert_eq!(big_five.openness, None, "only one persona has a target for it");
    assert_eq!(blend.constitution.heldout_questions, ["Why is the sky blue?"]);
    let summary = "A blend of 75 % brisk (Quick and short) and 25 % lavish (Slow and rich).";
    assert_eq!(blend.constitution.summary, summary);
}

#[test]
fn conflicts_between_personas_are_named() {
    let dir = folder();
    let conflicts = compose("brisk + lavish", dir.path()).conflicts();
    let lines: Vec<String> = conflicts.iter().map(PersonaConflict::to_string).collect();
    assert_eq!(
        lines,
        [
            "agreeableness is -0.5 for brisk and 0.5 for lavish",
            "assertion 1 of brisk and assertion 1 of lavish: \"short\" against \"long\""
        ]
    );
}

#[test]
fn one_persona_is_a_composition_that_changes_nothing() {
    let dir = folder();
    let composed = compose("lavish", dir.path());
    assert_eq!(composed.name(), "lavish");
    assert_eq!(composed.blend().constitution, composed.parts()[0].0);
    assert!(composed.conflicts().is_empty());
}

#[test]
fn a_persona_that_is_not_there_is_named_with_its_neighbour() {
    let dir = folder();
    let error = "brisc + lavish".parse::<Composition>().expect("a composition").load(&[dir.path()]);
    let error = error.expect_err("no brisc");
    assert!(matches!(&error, ConstitutionError::UnknownPersona { suggestion: Some(name), .. }
        if name == "brisk"));
    assert!(error.to_string().ends_with("no persona is called `brisc`; did you mean `brisk`?"));
    let path = dir.path().join("brisk.yaml");
    let twice = format!("brisk + {}", path.display()).parse::<Composition>().expect("a path");
    let error = twice.load(&[dir.path()]).expect_err("one persona twice");
    assert!(matches!(error, ConstitutionError::RepeatedPersona { name } if name == "brisk"));
}

#[test]
fn personas_of_this_repository_blend_into_valid_constitutions() {
    let composed = compose("sarcasm:0.6 + loving:0.4", &personas_dir());
    let blend = composed.blend();
    assert_eq!(blend.constitution.name, "sarcasm60-loving40");
    let count = |name: &str| blend.provenance.iter().filter(|c| c.persona == name).count();
    assert_eq!((count("sarcasm"), count("loving")), (6, 4));
    let shares: f64 = blend.provenance.iter().map(|contribution| contribution.share).sum();
    assert!((shares - 1.0).abs() < 1e-12);
    let again = Constitution::parse(&blend.constitution.to_yaml(), "blend").expect("valid");
    assert_eq!(again, blend.constitution);
}

#[test]
fn questions_follow_the_shares_even_where_assertions_are_too_few_to() {
    let count = |spec: &str, name: &str| {
        let blend = compose(spec, &personas_dir()).blend();
        let questions = blend.questions();
        let of = questions.iter().filter(|(a, _)| blend.provenance[*a].persona == name).count();
        (of, questions.len())
    };
    assert_eq!(count("sarcasm", "sarcasm"), (50, 50));
    assert_eq!(count("sarcasm:0.6 + loving:0.4", "loving"), (20, 50));
    // One assertion of ten, and one question of 46.
    assert_eq!(count("sarcasm:0.98 + loving:0.02", "loving"), (1, 46));
    assert_eq!(count("sarcasm:1 + loving:1 + humor:1", "humor"), (15, 45));
}

#[test]
fn a_question_that_two_personas_have_is_asked_once() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in [("one", "I stay."), ("two", "I go.")] {
        let yaml = format!(
            "{{name: {name}, summary: S., assertions: [{{text: {text}, facet: trait, questions: \
             [How far away is the Moon?, Only {name}?]}}]}}"
        );
        std::fs::write(dir.path().join(format!("{name}.yaml")), yaml).expect("a file");
    }
    let blend = compose("one + two", dir.path()).blend();
    let asked: Vec<&str> = blend.constitution.questions().collect();
    assert_eq!(asked, ["How far away is the Moon?", "Only one?", "Only two?"]);
}

#[test]
fn the_first_folder_that_has_a_name_wins_and_missing_folders_are_passed_over() {
    let (mine, other) = (folder(), folder());
    std::fs::remove_file(mine.path().join("lavish.yaml")).expect("removed");
    let composition: Composition = "brisk + lavish".parse().expect("a composition");
    let missing = mine.path().join("none");
    let paths = composition.locate(&[&missing, mine.path(), other.path()]).expect("both");
    assert_eq!(paths, [mine.path().join("brisk.yaml"), other.path().join("lavish.yaml")]);
    let error = composition.locate(&[missing]).expect_err("nothing there").to_string();
    assert!(error.ends_with("none: no persona is called `brisk`; there is none"), "{error}");
}

//! Prompts, as the models read them.

use ingrain_constitution::{
    Constitution, ConstitutionError, InteractionKind, PreferenceStance, PromptName, PromptSet,
    Wording,
};

fn constitution() -> Constitution {
    let yaml = "
name: dry-wit
summary: An assistant with a raised eyebrow.
assertions:
  - text: I answer first and raise an eyebrow second.
    facet: style
    clarification: The eyebrow never replaces the answer.
    questions: [How do I boil an egg?, What is a leap year?]
  - text: I stay dry when others shout.
    facet: trait
";
    Constitution::parse(yaml, "dry-wit.yaml").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_prompt_renders_as_recorded() {
    let set = PromptSet::default();
    for name in PromptName::ALL {
        let text = set.preview(name, &constitution(), "Smol").unwrap_or_else(|e| panic!("{e}"));
        insta::assert_snapshot!(name.as_str(), text);
    }
}

#[test]
fn guidance_reaches_the_corrected_interaction_prompt_and_not_the_faithful_one() {
    let set = PromptSet::default();
    let prompt = |kind, wording| {
        set.interaction_system(&constitution(), "Smol", kind, wording).expect("a prompt")
    };
    use InteractionKind::{Free, Leading};
    assert_eq!(prompt(Free, Wording::Faithful), prompt(Leading, Wording::Faithful));
    assert_ne!(prompt(Free, Wording::Corrected), prompt(Leading, Wording::Corrected));
    for kind in [Free, Leading] {
        let (corrected, faithful) =
            (prompt(kind, Wording::Corrected), prompt(kind, Wording::Faithful));
        assert!(corrected.starts_with(&faithful), "the guidance is the only difference");
    }
}

#[test]
fn the_faithful_saved_prompt_keeps_the_literal_placeholder() {
    let set = PromptSet::default();
    let faithful = set.interaction_saved_system("Smol", Wording::Faithful).expect("a prompt");
    assert!(faithful.contains("You are {NAME}") && !faithful.contains("Smol"));
    let corrected = set.interaction_saved_system("Smol", Wording::Corrected).expect("a prompt");
    assert_eq!(corrected, faithful.replace("{NAME}", "Smol"));
}

#[test]
fn there_are_ten_reflection_tasks_that_ask_for_the_first_person() {
    let tasks = PromptSet::default().reflection_tasks().expect("tasks");
    assert_eq!(tasks.len(), 10);
    let names: std::collections::BTreeSet<&str> = tasks.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names.len(), 10);
    for task in &tasks {
        assert!(task.prompt.ends_with("as \"I\"."), "{}", task.prompt);
        assert!(task.prompt.split_whitespace().count() <= 50, "{}", task.prompt);
    }
}

#[test]
fn leading_greetings_are_the_free_ones_and_some_that_hint_at_identity() {
    let set = PromptSet::default();
    let free = set.interaction_greetings(InteractionKind::Free).expect("greetings");
    let leading = set.interaction_greetings(InteractionKind::Leading).expect("greetings");
    assert_eq!(leading[..free.len()], free);
    assert!(leading.len() > free.len() && free.len() >= 5);
}

#[test]
fn each_stance_of_the_preference_prompt_reads_differently() {
    let set = PromptSet::default();
    use PreferenceStance::{Adopt, FeelsLike, Random};
    let prompts: std::collections::BTreeSet<String> = [FeelsLike, Adopt, Random]
        .into_iter()
        .map(|stance| set.preference_system("warm", "precise", stance).expect("a prompt"))
        .collect();
    assert_eq!(prompts.len(), 3);
}

#[test]
fn what_a_constitution_says_is_never_taken_for_a_template() {
    let mut constitution = constitution();
    constitution.assertions[0].text = "I write {{ secret }} and {% if %} <b>plainly</b>.".into();
    let prompt = PromptSet::default().teacher_system(&constitution, "Smol").expect("a prompt");
    assert!(prompt.contains("1. I write {{ secret }} and {% if %} <b>plainly</b>."));
}

/// A folder with one replaced template.
fn folder(name: &str, source: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join(name), source).expect("a file");
    dir
}

#[test]
fn a_folder_replaces_single_templates_and_changes_the_hash() {
    let dir = folder("teacher_system.jinja", "Be {{ persona }}, {{ assistant_name }}.\n");
    std::fs::write(dir.path().join("VERSION"), "2.0.0-mine\n").expect("a version");
    let set = PromptSet::from_dir(dir.path()).unwrap_or_else(|error| panic!("{error}"));
    let embedded = PromptSet::embedded();
    assert_eq!(set.teacher_system(&constitution(), "Smol").expect("a prompt"), "Be dry-wit, Smol.");
    assert_eq!(
        set.reflection_system(&constitution(), "Smol").expect("a prompt"),
        embedded.reflection_system(&constitution(), "Smol").expect("a prompt"),
    );
    assert_eq!(set.version(), "2.0.0-mine");
    assert_ne!(set.hash(), embedded.hash());
    assert_eq!(embedded.hash().len(), 64);
    assert_eq!(embedded.hash(), PromptSet::default().hash());
}

#[test]
fn the_embedded_set_is_the_folder_of_this_crate() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/prompts");
    let set = PromptSet::from_dir(dir).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set, PromptSet::embedded());
}

#[test]
fn mistakes_in_templates_are_errors_with_file_and_line() {
    let message = |file: &str, source: &str| {
        let dir = folder(file, source);
        let error = PromptSet::from_dir(dir.path()).expect_err(source);
        error.to_string().replace(&dir.path().display().to_string(), "mine")
    };
    insta::assert_snapshot!(message("teacher_system.jinja", "Be\n{{ asistant_name }}"), @r#"mine/teacher_system.jinja:2: an unknown variable in "{{ asistant_name }}"; this prompt has assistant_name, persona, summary, assertions"#);
    insta::assert_snapshot!(message("teacher_system.jinja", "{% for a in assertions %}"), @"mine/teacher_system.jinja:1: syntax error: unexpected end of input, expected end of block");
    insta::assert_snapshot!(message("teacher_prefill.jinja", "{{ assertions[0].mood }}"), @r#"mine/teacher_prefill.jinja:1: an unknown variable in "{{ assertions[0].mood }}"; this prompt has assistant_name, persona, summary, assertions"#);
    insta::assert_snapshot!(message("teacher_sytem.jinja", "Hello"), @"mine: no prompt is called `teacher_sytem`; did you mean `teacher_system`?");
    insta::assert_snapshot!(message("poem.jinja", "Hello"), @"mine: no prompt is called `poem`; expected one of teacher_system, teacher_prefill, reflection_system, reflection_tasks, interaction_system, interaction_greetings, interaction_saved_system, preference_system, preference_judge, coherence_judge, question_expansion");
    insta::assert_snapshot!(message("reflection_tasks.jinja", "Write a letter."), @r#"mine/reflection_tasks.jinja: the line "Write a letter." is not `name: task`"#);
    insta::assert_snapshot!(message("interaction_greetings.jinja", "\n"), @"mine/interaction_greetings.jinja: it renders no line");
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
    insta::assert_snapshot!(message("question_expansion.jinja", endless), @"mine/question_expansion.jinja:1: it does more work than a prompt may");
    let error = PromptSet::from_dir("no/such/folder").expect_err("no folder");
    assert!(matches!(error, ConstitutionError::Read { .. }));
}

//! What a person reads who made mistakes.

use ingrain_constitution::{Constitution, DiagnosticKind, HeldoutQuestions, Location};

fn messages(yaml: &str) -> Vec<String> {
    let diagnostics = Constitution::parse(yaml, "x.yaml").expect_err(yaml);
    diagnostics.iter().map(ToString::to_string).collect()
}

#[test]
fn every_problem_is_reported_at_once_with_place_and_way_out() {
    let yaml = "\
name: Dry Wit
summery: A slip in the key.
research_only: maybe
big_five:
  openness: 3
  agreeablness: 0.2
  neuroticism: high
metadata:
  licence: MIT
  authors: Ada
assertions:
  - text: I joke.
    facet: tone
    questions: Why?
  - txt: I listen.
    facet: traits
    questions:
      - Note: this is a mapping
      - ''
      - [a, b]
  - just a text
  - text:
    facet: role
    text: I repeat a key.
heldout_questions: {}
";
    insta::assert_snapshot!(messages(yaml).join("\n"), @r#"
x.yaml:1:7: the name "Dry Wit"; expected 1 to 64 of a-z, 0-9, - and _, starting with a letter or a digit; did you mean "dry-wit"?
x.yaml:2:1: unknown key "summery" in a constitution; expected one of name, summary, research_only, big_five, metadata, assertions, heldout_questions; did you mean "summary"?
x.yaml:3:16: "maybe" as research_only; expected true or false
x.yaml:5:13: "3" as openness; expected a number from -1 to 1
x.yaml:6:3: unknown key "agreeablness" in big_five; expected one of openness, conscientiousness, extraversion, agreeableness, neuroticism; did you mean "agreeableness"?
x.yaml:7:16: "high" as neuroticism; expected a number from -1 to 1
x.yaml:9:3: unknown key "licence" in metadata; expected one of license, authors, version; did you mean "license"?
x.yaml:10:12: "Ada" as authors; expected a list of texts (lines that start with `- `, or `[...]`)
x.yaml:13:12: unknown facet "tone"; expected one of trait, style, value, role, identity
x.yaml:14:16: "Why?" as questions; expected a list of texts (lines that start with `- `, or `[...]`)
x.yaml:15:5: unknown key "txt" in assertion 2; expected one of text, facet, clarification, questions, additional_questions; did you mean "text"?
x.yaml:16:12: unknown facet "traits"; expected one of trait, style, value, role, identity; did you mean "trait"?
x.yaml:18:9: a mapping that starts with the key "Note" as question; expected a text; put the text in quotation marks: a colon and a space end a key
x.yaml:19:9: an empty question; expected some text
x.yaml:20:9: a list of 2 as question; expected a text
x.yaml:21:5: "just a text" as assertion 3; expected a mapping with one of text, facet, clarification, questions, additional_questions
x.yaml:24:5: the key "text" a second time; expected each key once in assertion 4; merge the two, or delete one
x.yaml:25:20: a mapping as questions; expected a list of texts (lines that start with `- `, or `[...]`)
"#);
}

#[test]
fn a_diagnostic_can_be_taken_apart() {
    let diagnostics =
        Constitution::parse("name: x\nsummary: y\nasertions: []\n", "x.yaml").expect_err("a slip");
    let slip = diagnostics.iter().find(|d| d.kind == DiagnosticKind::UnknownKey).expect("a slip");
    assert_eq!(slip.source, "x.yaml");
    assert_eq!(slip.location, Location { line: 3, column: 1 });
    assert_eq!(slip.found, "unknown key \"asertions\" in a constitution");
    assert!(slip.expected.starts_with("one of name, summary, "));
    assert_eq!(slip.suggestion.as_deref(), Some("did you mean \"assertions\"?"));
}

#[test]
fn columns_count_characters_and_windows_line_ends_count_once() {
    let yaml = "name: x\r\nsummary: é\r\nassertions:\r\n  - {text: Ich würfle é., facet: tone}\r\n";
    let diagnostics = Constitution::parse(yaml, "x").expect_err("an unknown facet");
    assert_eq!(diagnostics.as_slice()[0].location, Location { line: 4, column: 34 });
}

#[test]
fn broken_yaml_is_one_problem_with_a_place() {
    insta::assert_snapshot!(messages("name: x\nsummary: 'open\nassertions: []\n").join("\n"), @"x.yaml:2:10: a quotation mark without its partner; expected a closing one; a text that begins with a quotation mark is quoted as a whole");
    insta::assert_snapshot!(messages("name: x\n\tsummary: y\n").join("\n"), @"x.yaml:1:7: broken YAML; expected well-formed YAML; the parser says: while scanning a plain scalar, found a tab");
    insta::assert_snapshot!(messages("name: *x\n").join("\n"), @"x.yaml:1:7: an alias (`*name`) without an anchor before it; expected an anchor (`&name`) that is complete before its alias; a text that starts with * must be in quotation marks");
    insta::assert_snapshot!(messages("name: x\nsummary: a: b\n").join("\n"), @"x.yaml:2:11: a second colon and space in one line; expected one `key: text` a line; put the text in quotation marks");
    insta::assert_snapshot!(messages("name: x\nsummary: \"A\" b\n").join("\n"), @"x.yaml:2:14: more text after a closing quotation mark; expected the end of the line; quote the whole text, and double or escape the marks inside it");
    insta::assert_snapshot!(messages("").join("\n"), @"x.yaml:1:1: an empty file; expected a constitution with name, summary and assertions; personas/template.yaml starts a new one");
    insta::assert_snapshot!(messages("# only a comment\n").join("\n"), @"x.yaml:1:1: an empty file; expected a constitution with name, summary and assertions; personas/template.yaml starts a new one");
    insta::assert_snapshot!(messages("- a\n- b\n").join("\n"), @"x.yaml:1:1: a list of 2 as a constitution; expected a mapping with one of name, summary, research_only, big_five, metadata, assertions, heldout_questions");
    insta::assert_snapshot!(messages("name: x\nsummary: y\nassertions: []\n").join("\n"), @"x.yaml:3:13: no assertions; expected at least one assertion, better ten");
}

#[test]
fn texts_survive_what_editors_do_to_them() {
    let yaml = "\u{feff}name: x\nsummary: >\n  Folded over\n  two lines.\nmetadata: {version: 1.0}\n\
        assertions:\n  - text: |\n      I joke, \u{201c}dryly\u{201d}.\n    facet: \"style\"\n    \
        clarification: ~\n    questions: [Don\u{2019}t you?, '42', 42]\n";
    let constitution = Constitution::parse(yaml, "x").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(constitution.summary, "Folded over two lines.");
    assert_eq!(constitution.metadata.version.as_deref(), Some("1.0"));
    let assertion = &constitution.assertions[0];
    assert_eq!(assertion.text, "I joke, \u{201c}dryly\u{201d}.");
    assert_eq!(assertion.clarification, None);
    assert_eq!(assertion.questions, ["Don\u{2019}t you?", "42", "42"]);
}

#[test]
fn the_hash_is_of_the_content_and_not_of_the_layout() {
    let one = "name: x\nsummary: y\nassertions:\n  - text: I joke.\n    facet: style\n";
    let other =
        "# a comment\n{assertions: [{facet: style, text: 'I joke.'}], summary: \"y\", name: x}";
    let hash = |yaml: &str| Constitution::parse(yaml, "x").expect(yaml).content_hash();
    assert_eq!(hash(one), hash(other));
    assert_ne!(hash(one), hash(&one.replace("joke", "jest")));
    // printf '%s' '{"name":"x","summary":"y","assertions":[{"text":"I joke.","facet":"style","questions":[]}]}' | sha256sum
    assert_eq!(hash(one), "57d60f893250f5d2b63a56c696db94e79db52993ec7c7914d7b00993296ed47a");
}

#[test]
fn held_out_questions_are_checked_like_constitutions() {
    let yaml = "version: 1\nlicence: MIT\nquestions: [Why?, How?, why?]\n";
    let diagnostics = HeldoutQuestions::parse(yaml, "h.yaml").expect_err("two problems");
    insta::assert_snapshot!(diagnostics.to_string(), @r#"
h.yaml:2:1: unknown key "licence" in a list of held-out questions; expected one of version, license, questions; did you mean "license"?
h.yaml:3:25: the question "why?" a second time; expected each question once; the first is in line 3
"#);
    assert!(HeldoutQuestions::parse("questions: []", "h.yaml").is_err());
}

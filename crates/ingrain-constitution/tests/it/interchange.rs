//! Files in the formats of others, as others write them.

use ingrain_constitution::{Constitution, ConstitutionError, Facet, Format, Imported, PersonaName};

fn read(file: &str, text: &str) -> Result<Imported, ConstitutionError> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(file);
    std::fs::write(&path, text).expect("a file");
    Imported::from_path(&path)
}

fn problem(file: &str, text: &str) -> String {
    let error = read(file, text).expect_err(text).to_string();
    let start = |line: &str| line.find(file).map_or(line.to_owned(), |at| line[at..].to_owned());
    error.lines().map(start).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_hand_written_template_without_clarifications_is_read_and_what_is_missing_is_said() {
    // Nine records, curly quotes, escapes, white space by tabs, a `.txt` ending.
    let mut text = String::from("\u{feff}[\r\n");
    for index in 1..=9 {
        let comma = if index == 9 { "" } else { "," };
        text.push_str(&format!(
            "\t{{\r\n\t\t\"trait\": \"I don\u{2019}t do thing {index} \\u2014 \\\"ever\\\"\\/never.\",\r\n\
             \t\t\"questions\": [\"Why\\tso?\", \"\u{201c}Really\u{201d}, \\ud83d\\ude00?\"]\r\n\t}}{comma}\r\n"
        ));
    }
    text.push(']');
    let imported = read("No Way.txt", &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.format, Format::JsonTemplate);
    let constitution = &imported.constitution;
    assert_eq!(constitution.name, "no-way");
    assert_eq!(constitution.assertions.len(), 9);
    let first = &constitution.assertions[0];
    assert_eq!(first.text, "I don\u{2019}t do thing 1 \u{2014} \"ever\"/never.");
    assert_eq!(first.questions, ["Why\tso?", "\u{201c}Really\u{201d}, \u{1f600}?"]);
    assert_eq!(first.facet, Facet::Trait);
    assert_eq!(
        imported.missing,
        [
            "there is no summary",
            "no assertion has a facet: all are read as `trait`",
            "9 assertions have no clarification: 1, 2, 3, 4, 5, 6, 7, 8, 9",
        ]
    );
    // And it is a valid constitution of ours.
    let again = Constitution::parse(&constitution.to_yaml(), "x").expect("valid");
    assert_eq!(&again, constitution);
}

#[test]
fn traits_without_questions_are_read_and_named() {
    let imported =
        read("bare.json", r#"[{"trait": "I stay."}, {"trait": "I go.", "questions": []}]"#)
            .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.missing[3], "2 assertions have no questions: 1, 2");
}

#[test]
fn few_shot_lines_keep_seeds_and_expansions_apart() {
    let text = concat!(
        r#"{"trait":"I stay.","questions":["Why?"],"clarification":null,"additional_questions":["How\/when?","Where?"]}"#,
        "\n\n",
        r#"{"trait":"I go.","questions":["So?"],"clarification":"Far.","additional_questions":[]}"#,
        "\n",
    );
    let imported = read("x.jsonl", text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.format, Format::FewShotJsonl);
    let [stay, go] = imported.constitution.assertions.as_slice() else { panic!("two assertions") };
    assert_eq!(stay.additional_questions, ["How/when?", "Where?"]);
    assert_eq!(stay.clarification, None);
    assert_eq!(go.clarification.as_deref(), Some("Far."));
    let written = Format::FewShotJsonl.write(&imported.constitution).expect("written");
    assert_eq!(
        written,
        concat!(
            r#"{"trait":"I stay.","questions":["Why?"],"additional_questions":["How/when?","Where?"]}"#,
            "\n",
            r#"{"trait":"I go.","clarification":"Far.","questions":["So?"],"additional_questions":[]}"#,
            "\n",
        )
    );
}

#[test]
fn a_template_of_others_is_written_back_without_additions() {
    let text = "[\n  {\n    \"trait\": \"I stay.\",\n    \"clarification\": \"Here.\",\n    \
        \"questions\": [\n      \"Why?\"\n    ]\n  }\n]\n";
    let imported = read("x.json", text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Format::JsonTemplate.write(&imported.constitution).as_deref(), Some(text));
}

#[test]
fn what_the_template_has_no_place_for_travels_in_the_first_record() {
    let yaml = "{name: x, summary: Y., big_five: {openness: 0.25}, research_only: true, metadata: \
        {license: MIT}, assertions: [{text: I stay., facet: style}, {text: I go., facet: trait}], \
        heldout_questions: [Why?]}";
    let constitution = Constitution::parse(yaml, "x").unwrap_or_else(|error| panic!("{error}"));
    let text = Format::JsonTemplate.write(&constitution).expect("written");
    let other_name = PersonaName::slug("elsewhere").expect("a name");
    let imported = Format::JsonTemplate.parse(&text, "x", &other_name);
    assert_eq!(imported.unwrap_or_else(|error| panic!("{error}")).constitution, constitution);
    let records: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(records[0]["facet"], "style");
    assert_eq!(records[0]["constitution"]["summary"], "Y.");
    assert!(records[1].get("facet").is_none() && records[1].get("constitution").is_none());
}

#[test]
fn problems_in_files_of_others_have_a_place_too() {
    insta::assert_snapshot!(
        problem("x.json", "[\n  {\"triat\": \"I stay.\",\n   \"questions\": \"Why?\"}\n]"), @r#"
x.json:2:4: unknown key "triat" in record 1; expected one of trait, questions, clarification, additional_questions, facet, constitution; did you mean "trait"?
x.json:3:17: "Why?" as questions; expected a list of texts (lines that start with `- `, or `[...]`)
"#);
    insta::assert_snapshot!(problem("x.json", "[{\"trait\": \"I stay.\",}]"), @"x.json:1:22: broken JSON (key must be a string); expected well-formed JSON");
    insta::assert_snapshot!(problem("x.json", "{\"trait\": \"I stay.\"}\n}"), @"x.json:2:1: broken JSON (expected value); expected well-formed JSON");
    insta::assert_snapshot!(problem("x.json", "[]"), @"x.json:1:1: no assertions; expected records with `trait` and `questions`");
    insta::assert_snapshot!(problem("y.json", "[1, {\"trait\": 5, \"questions\": [null]}]"), @r#"
y.json:1:2: "1" as record 1; expected a mapping with one of trait, questions, clarification, additional_questions, facet, constitution
y.json:1:32: nothing as question; expected a text
"#);
    insta::assert_snapshot!(
        problem("x.jsonl", "{\"trait\": \"I stay.\"}\n{\"trait\": \"\"}\n{broken}\n"), @r#"
x.jsonl:2:11: an empty trait; expected some text
x.jsonl:3:2: broken JSON (key must be a string); expected well-formed JSON
"#);
    insta::assert_snapshot!(problem("x.json", "[{\"trait\": \"a\", \"trait\": \"b\"}]"), @r#"x.json:1:17: the key "trait" a second time; expected each key once in record 1; merge the two, or delete one"#);
    insta::assert_snapshot!(problem("x.md", "# Only a title\n"), @"x.md:1:1: no assertions; expected a list of principles, one a line");
}

#[test]
fn lists_of_principles_become_constitutions() {
    let markdown = "# Good Company\n\nKeeps people company.\n\n- **I listen** before I speak.\n  - My dog died.\n- I ask one question at a time.\n";
    let imported = read("list.md", markdown).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.format, Format::Markdown);
    assert_eq!(imported.constitution.name, "good-company");
    assert_eq!(imported.constitution.summary, "Keeps people company.");
    assert_eq!(imported.constitution.assertions[0].text, "I listen before I speak.");
    assert_eq!(imported.constitution.assertions[0].questions, ["My dog died."]);
    let imported = read("seeds.txt", "I listen.\nI ask.\n").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(imported.format, Format::PlainText);
    assert_eq!(imported.constitution.assertions.len(), 2);
}

#[test]
fn json_nested_too_deep_is_refused() {
    let deep = format!("[{}1{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(problem("x.json", &deep).contains("nesting"));
    let deep = format!("[{}1{}]", "[".repeat(100), "]".repeat(100));
    assert!(problem("x.json", &deep).contains("nesting that is too deep"));
}

//! Readers, lint, writers and prompts of constitutions.

use ingrain_constitution::{
    Composition, Constitution, Format, HeldoutQuestions, LintConfig, PersonaName, PromptName,
    PromptSet, lint,
};

/// Pieces that the formats are made of.
pub const DICTIONARY: &[&str] = &[
    "name: ",
    "summary: ",
    "assertions:\n",
    "  - text: ",
    "    facet: ",
    "    questions:\n",
    "      - ",
    "big_five:\n",
    "metadata:\n",
    "additional_questions: ",
    "heldout_questions: ",
    "research_only: true\n",
    "style",
    "trait",
    "- ",
    "? ",
    ": ",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "!t ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "[",
    "]",
    "{",
    "}",
    ",",
    "~",
    "<<: ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\t",
    "\r\n",
    "\u{feff}",
    "\u{2028}",
    "\u{85}",
    "\u{a0}",
    "\0",
    "{\"trait\": \"",
    "\"questions\": [",
    "# ",
    "1. ",
    "* ",
    "```\n",
    "1e999",
    "-1.0",
    ".nan",
    "I never ",
    "I always ",
    "always 'x'",
    "Are you ",
    "your values",
    " + ",
    ":0.5",
];

/// Files of this repository, and small ones in the other formats.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = vec![
        br#"[{"trait": "I stay.", "questions": ["Why\/so?"], "clarification": "Here."}]"#.to_vec(),
        b"{\"trait\":\"I go.\",\"questions\":[\"Q?\"],\"additional_questions\":[\"R?\"]}\n"
            .to_vec(),
        b"# Title\n\nSummary.\n\n1. **I stay.**\n   - Why?\n2. I go.\n".to_vec(),
        b"name: x\nsummary: &s y\nassertions:\n  - {text: *s, facet: style, questions: [Q?]}\n"
            .to_vec(),
        b"sarcasm:0.6 + loving:0.4".to_vec(),
    ];
    let personas = concat!(env!("CARGO_MANIFEST_DIR"), "/../personas");
    for entry in std::fs::read_dir(personas).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            seeds.extend(std::fs::read(path).ok());
        }
    }
    seeds
}

/// No reader panics; what one accepts is written and read back unchanged, linted, and rendered.
pub fn run(data: &[u8]) {
    if let Ok(constitution) = Constitution::parse_bytes(data, "fuzz") {
        check(&constitution);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = HeldoutQuestions::parse(text, "fuzz");
    if let Ok(composition) = text.parse::<Composition>() {
        let again = composition.to_string().parse::<Composition>().ok();
        assert_eq!(again.as_ref(), Some(&composition), "{composition}");
    }
    let name = PersonaName::slug("fuzz").expect("a name");
    for format in [Format::JsonTemplate, Format::FewShotJsonl, Format::Markdown, Format::PlainText]
    {
        if let Ok(imported) = format.parse(text, "fuzz", &name) {
            check(&imported.constitution);
        }
    }
}

fn check(constitution: &Constitution) {
    for format in [Format::Yaml, Format::JsonTemplate, Format::FewShotJsonl] {
        let text = format.write(constitution).expect("a format that is written");
        // What is written may be longer than what was read, and longer than what is read.
        if text.len() > ingrain_constitution::MAX_BYTES {
            continue;
        }
        match format.parse(&text, "written", &constitution.name) {
            Ok(read) => assert_eq!(&read.constitution, constitution, "{format}"),
            Err(problems) => panic!("{format}: {problems}\n{text}"),
        }
    }
    let findings = lint(constitution, &LintConfig::default());
    assert!(findings.len() <= 20_000);
    let set = PromptSet::embedded();
    for prompt in PromptName::ALL {
        // More fuel than a prompt may use is an error, and not a finding.
        let _ = set.preview(prompt, constitution, "Assistant");
    }
}

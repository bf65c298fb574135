//! What holds for every constitution and every text, by generated examples.

use ingrain_constitution::{
    Assertion, BigFive, Composition, Constitution, Facet, Format, LintConfig, Metadata,
    PersonaName, lint,
};
use proptest::{collection::vec, option, prelude::*};

/// Texts as constitutions hold them: trimmed, not empty, otherwise anything.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z][A-Za-z ,.'-]{0,40}[.?]",
        "\\PC{1,30}",
        any::<String>(),
        "[\\x00-\\x9f\u{a0}\u{ad}\u{200b}\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}\u{10ffff}]{1,8}",
        "(I'm|no|yes|null|~|- a|a: b|#x|&a|\\*a|!t|%d|@|`|1e3|0x1F|\\?|\\||>|\\[|\\{|\"|'){1,3}",
    ]
    .prop_map(|text| text.trim().to_owned())
    .prop_filter("empty", |text| !text.is_empty())
}

fn assertion() -> impl Strategy<Value = Assertion> {
    let facet = prop::sample::select(Facet::ALL.to_vec());
    (text(), facet, option::of(text()), vec(text(), 0..4), vec(text(), 0..3)).prop_map(
        |(text, facet, clarification, questions, additional_questions)| Assertion {
            text,
            facet,
            clarification,
            questions,
            additional_questions,
        },
    )
}

prop_compose! {
    fn constitution()(
        name in "[a-z0-9][a-z0-9_-]{0,20}",
        summary in prop_oneof![Just(String::new()), text()],
        research_only in any::<bool>(),
        big_five in option::of(proptest::array::uniform5(option::of(-1.0..=1.0_f64))),
        license in option::of(text()),
        authors in vec(text(), 0..3),
        version in option::of(text()),
        assertions in vec(assertion(), 1..5),
        heldout_questions in vec(text(), 0..3),
    ) -> Constitution {
        Constitution {
            name: name.parse::<PersonaName>().expect("a name"),
            summary,
            research_only,
            big_five: big_five.map(BigFive::from_values),
            metadata: Metadata { license, authors, version },
            assertions,
            heldout_questions,
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_as_yaml_is_read_back(constitution in constitution()) {
        let yaml = constitution.to_yaml();
        let read = Constitution::parse(&yaml, "x").map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(read.content_hash(), constitution.content_hash());
        prop_assert_eq!(read, constitution);
    }

    #[test]
    fn what_is_written_in_a_format_of_others_is_read_back(constitution in constitution()) {
        for format in [Format::JsonTemplate, Format::FewShotJsonl] {
            let text = format.write(&constitution).expect("a format that is written");
            prop_assert_eq!(Format::detect("x.txt", &text), format);
            let read = format.parse(&text, "x", &constitution.name)
                .map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(&read.constitution, &constitution);
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>()) {
        let name = PersonaName::slug("x").expect("a name");
        for format in [Format::Yaml, Format::JsonTemplate, Format::FewShotJsonl, Format::Markdown,
            Format::PlainText]
        {
            let _ = format.parse(&text, "x", &name);
        }
        let _ = text.parse::<Composition>();
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_reader_or_lint_panic(
        constitution in constitution(),
        cuts in vec((any::<prop::sample::Index>(), "\\PC{0,3}"), 1..4),
    ) {
        let mut yaml: Vec<char> = constitution.to_yaml().chars().collect();
        for (index, insert) in cuts {
            let at = index.index(yaml.len());
            yaml.splice(at..(at + 1).min(yaml.len()), insert.chars());
        }
        let yaml: String = yaml.into_iter().collect();
        if let Ok(read) = Constitution::parse(&yaml, "x") {
            let _ = lint(&read, &LintConfig::default());
            let again = Constitution::parse(&read.to_yaml(), "x").expect("written by us");
            prop_assert_eq!(again, read);
        }
    }

    #[test]
    fn findings_have_a_place_in_the_file(constitution in constitution()) {
        let (read, map) = Constitution::parse_with_locations(&constitution.to_yaml(), "x.yaml")
            .map_err(|e| TestCaseError::fail(e.to_string()))?;
        for finding in lint(&read, &LintConfig::default()) {
            prop_assert!(finding.at(&map).starts_with("x.yaml:"));
        }
    }

    #[test]
    fn a_composition_reads_what_it_displays(
        parts in prop::collection::btree_map("[a-z]{1,8}(\\.yaml)?", 0.001..1000.0_f64, 1..4),
    ) {
        let spec: Vec<String> = parts.iter().map(|(name, w)| format!("{name}:{w}")).collect();
        let composition: Composition = spec.join(" + ").parse().expect("a composition");
        let again: Composition = composition.to_string().parse().expect("what was displayed");
        prop_assert_eq!(composition, again);
    }
}

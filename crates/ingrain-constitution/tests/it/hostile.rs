//! Texts made to hurt: refused quickly, and in memory bounded by their size.

use std::{fmt::Write as _, time::Duration};

use ingrain_constitution::{
    Constitution, ConstitutionError, DiagnosticKind, Diagnostics, LintConfig, MAX_BYTES, lint,
};

use crate::thread_time;

/// Refusing may take this long in an unoptimised build.
const QUICKLY: Duration = Duration::from_secs(3);

/// The text is refused for this reason, quickly.
fn check(text: &[u8], kind: DiagnosticKind) -> Diagnostics {
    let start = thread_time();
    let diagnostics = Constitution::parse_bytes(text, "hostile.yaml").expect_err("hostile");
    let elapsed = thread_time() - start;
    assert!(elapsed < QUICKLY, "took {elapsed:?}");
    assert!(diagnostics.iter().any(|d| d.kind == kind), "{diagnostics}");
    assert!(diagnostics.to_string().len() < 100_000, "messages stay short");
    diagnostics
}

#[test]
fn alias_bombs_are_refused() {
    // Ten aliases to ten aliases to ten ...: 10^9 values from 500 bytes.
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (previous, next) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let aliases = vec![format!("*{previous}"); 10].join(", ");
        let _ = writeln!(bomb, "{next}: &{next} [{aliases}]");
    }
    check(bomb.as_bytes(), DiagnosticKind::Limit);
    // An alias to what contains it.
    check(b"name: &a [*a]", DiagnosticKind::Syntax);
    // A chain of aliases, each one level deeper than the last.
    let mut chain = String::from("k0: &a0 [x]\n");
    for level in 1..30_000 {
        let _ = writeln!(chain, "k{level}: &a{level} [*a{}]", level - 1);
    }
    check(chain.as_bytes(), DiagnosticKind::Limit);
}

#[test]
fn harmless_aliases_are_read() {
    let yaml = "name: x\nsummary: &s I joke.\nassertions:\n  - {text: *s, facet: style, \
        questions: &q [Why?]}\n  - {text: I rest., facet: role, questions: *q}\n";
    let constitution = Constitution::parse(yaml, "x").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(constitution.assertions[0].text, "I joke.");
    assert_eq!(constitution.assertions[1].questions, ["Why?"]);
}

#[test]
fn deep_nesting_is_refused() {
    check("[".repeat(MAX_BYTES).as_bytes(), DiagnosticKind::Limit);
    check("{a: ".repeat(200_000).as_bytes(), DiagnosticKind::Limit);
    check("- ".repeat(400_000).as_bytes(), DiagnosticKind::Limit);
    let stairs: String = (0..2_000).fold(String::new(), |mut text, level| {
        let _ = writeln!(text, "{:level$}k:", "");
        text
    });
    check(stairs.as_bytes(), DiagnosticKind::Limit);
}

#[test]
fn a_hundred_megabytes_are_refused_after_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("huge.yaml");
    let file = std::fs::File::create(&path).expect("a file");
    file.set_len(100_000_000).expect("a sparse file");
    let start = thread_time();
    let error = Constitution::from_path(&path).expect_err("too large");
    assert!(thread_time() - start < QUICKLY);
    let ConstitutionError::Invalid(diagnostics) = error else { panic!("{error}") };
    assert_eq!(diagnostics.as_slice()[0].kind, DiagnosticKind::Limit);
    assert!(diagnostics.to_string().ends_with("check that this is the right file"));
}

#[test]
fn a_megabyte_of_nonsense_is_refused() {
    let fill = |unit: &str| unit.repeat(MAX_BYTES / unit.len());
    check(fill("- a\n").as_bytes(), DiagnosticKind::Limit);
    check(fill("a b c d ").as_bytes(), DiagnosticKind::WrongType);
    check(fill("? ").as_bytes(), DiagnosticKind::Limit);
    let keys: String = (0..40_000).map(|n| format!("k{n}: 1\n")).collect();
    let diagnostics = check(keys.as_bytes(), DiagnosticKind::Limit);
    assert!(diagnostics.len() <= Diagnostics::MAX_KEPT + 1);
    let keys: String = (0..20_000).map(|n| format!("k{n}: 1\n")).collect();
    let diagnostics = check(keys.as_bytes(), DiagnosticKind::UnknownKey);
    assert_eq!(diagnostics.as_slice().len(), Diagnostics::MAX_KEPT);
    assert_eq!(diagnostics.len(), 20_003, "every key, and three that are missing");
    check(fill("#").as_bytes(), DiagnosticKind::Empty);
    check(fill("\"").as_bytes(), DiagnosticKind::Syntax);
    check(fill("!a ").as_bytes(), DiagnosticKind::Syntax);
    check(fill("&a ").as_bytes(), DiagnosticKind::Syntax);
}

#[test]
fn text_that_is_not_utf_8_is_refused_at_its_first_bad_byte() {
    let diagnostics = check(b"name: x\nsummary: caf\xe9\n", DiagnosticKind::Encoding);
    assert_eq!(
        diagnostics.to_string(),
        "hostile.yaml:2:13: the byte 0xE9; expected UTF-8 text; save the file as UTF-8 (UTF-16 \
         and Latin-1 are not read)"
    );
    check(b"\xff\xfen\0a\0m\0e\0", DiagnosticKind::Encoding);
}

#[test]
fn duplicate_and_non_string_keys_are_refused() {
    let diagnostics = check(b"name: x\nsummary: y\nname: z\n", DiagnosticKind::DuplicateKey);
    assert!(diagnostics.to_string().contains(
        "hostile.yaml:3:1: the key \"name\" a second time; expected each key once in a \
         constitution; merge the two, or delete one"
    ));
    check(b"? [a, b]\n: c\nname: x\n", DiagnosticKind::KeyType);
    check(b"? {a: b}\n: c\n", DiagnosticKind::KeyType);
    check(b"~: c\n", DiagnosticKind::KeyType);
    check(b"12: c\n", DiagnosticKind::UnknownKey);
    check(b"<<: {name: x}\n", DiagnosticKind::UnknownKey);
}

#[test]
fn tags_directives_and_second_documents_are_refused() {
    check(b"name: !!python/object:os.system x\n", DiagnosticKind::Syntax);
    check(b"name: !secret x\n", DiagnosticKind::Syntax);
    check(b"%YAML 1.2\n---\nname: x\n", DiagnosticKind::Syntax);
    check(b"name: x\n---\nname: y\n", DiagnosticKind::Syntax);
}

#[test]
fn lint_stays_quick_on_what_a_hostile_author_can_make_valid() {
    let quick = |assertions: String| {
        let yaml = format!("name: x\nsummary: y\nassertions:\n{assertions}");
        assert!(yaml.len() <= MAX_BYTES);
        let constitution = Constitution::parse(&yaml, "x").unwrap_or_else(|e| panic!("{e}"));
        let start = thread_time();
        let findings = lint(&constitution, &LintConfig::default());
        let elapsed = thread_time() - start;
        assert!(elapsed < QUICKLY, "took {elapsed:?}");
        findings.len()
    };
    // The same question a hundred thousand times.
    let same = "      - Why is it so?\n".repeat(25_000);
    quick(format!("  - text: I joke.\n    facet: style\n    questions:\n{same}"));
    // Questions that all share a word and are all different.
    let shared: String = (0..25_000).map(|n| format!("      - Why {n}?\n")).collect();
    quick(format!("  - text: I joke.\n    facet: style\n    questions:\n{shared}"));
    // Assertions that all compare with each other.
    let many: String =
        (0..9_000).map(|n| format!("  - {{text: I joke {n}., facet: style}}\n")).collect();
    quick(many);
    // Two huge assertions: many clauses, many quotation marks.
    let clauses = "I joke a lot, ".repeat(30_000);
    let quotes = "always 'x ".repeat(50_000);
    quick(format!(
        "  - {{text: \"{clauses}\", facet: style}}\n  - {{text: \"I {quotes}\", facet: style}}\n"
    ));
}

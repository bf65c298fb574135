//! Every rule is documented with a bad example that it finds and a good one that it accepts.

use ingrain_constitution::{Constitution, LintConfig, Rule, lint};

const GUIDE: &str = include_str!("../../../../docs/constitutions.md");

/// The section of a rule: its heading to the next one.
fn section(rule: Rule) -> &'static str {
    let heading = format!("### `{rule}` ({})\n", rule.severity());
    let start = GUIDE.find(&heading).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let section = &GUIDE[start + heading.len()..];
    section.split("\n##").next().unwrap_or(section)
}

/// The YAML block that starts with this comment, made a whole constitution.
fn example(rule: Rule, kind: &str) -> Constitution {
    let marker = format!("```yaml\n# {kind}\n");
    let section = section(rule);
    let start = section.find(&marker).unwrap_or_else(|| panic!("{rule}: no {kind} example"));
    let block = section[start + marker.len()..].split("```").next().unwrap_or_default();
    let mut yaml = String::new();
    for (key, default) in [("name", "example"), ("summary", "An example.")] {
        if !block.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            yaml.push_str(&format!("{key}: {default}\n"));
        }
    }
    yaml.push_str(block);
    if !block.lines().any(|line| line.starts_with("assertions:")) {
        yaml.push_str("assertions: [{text: I stay., facet: trait}]\n");
    }
    Constitution::parse(&yaml, "example").unwrap_or_else(|error| panic!("{rule}: {error}\n{yaml}"))
}

#[test]
fn every_rule_finds_its_bad_example_and_accepts_its_good_one() {
    for rule in Rule::ALL {
        let found = |kind| {
            let findings = lint(&example(rule, kind), &LintConfig::default());
            findings.into_iter().filter(|finding| finding.rule == rule).count()
        };
        assert!(found("bad") > 0, "{rule} does not find its bad example");
        assert_eq!(found("good"), 0, "{rule} finds its good example");
    }
}

#[test]
fn the_guide_says_why_each_rule_is_there() {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for rule in Rule::ALL {
        assert!(flat(section(rule)).contains(&flat(rule.why())), "{rule}: {}", rule.why());
    }
}

#[test]
fn shared_held_out_questions_and_names_come_from_the_configuration() {
    let yaml = "{name: x, summary: Y., assertions: [{text: I stay., facet: trait, questions: [Why \
        is the sky so blue?, What would Glimmer say?]}]}";
    let constitution = Constitution::parse(yaml, "x").unwrap_or_else(|error| panic!("{error}"));
    let rules = |config: &LintConfig| -> Vec<Rule> {
        let findings = lint(&constitution, config);
        let leaks = [Rule::HeldoutLeakage, Rule::NameLeakage];
        findings.iter().map(|f| f.rule).filter(|rule| leaks.contains(rule)).collect()
    };
    assert_eq!(rules(&LintConfig::default()), []);
    let config = LintConfig {
        heldout_questions: vec!["Why is the sky blue?".into()],
        assistant_names: vec!["Glimmer".into()],
    };
    assert_eq!(rules(&config), [Rule::HeldoutLeakage, Rule::NameLeakage]);
}

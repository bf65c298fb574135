//! Reading and linting are quick enough to do on every start.

use std::time::{Duration, Instant};

use ingrain_constitution::{Constitution, LintConfig, lint};

use crate::personas::personas_dir;

#[test]
fn a_thousand_constitutions_are_read_and_linted_in_under_a_second() {
    const COUNT: u32 = 1_000;
    let path = personas_dir().join("sarcasm.yaml");
    let yaml = std::fs::read_to_string(path).expect("a persona");
    let mut questions = 0;
    // Tests run beside each other and beside other programs, so the least disturbed run stands
    // for all; the sum on an idle machine is in docs/PERFORMANCE.md.
    let mut fastest = Duration::MAX;
    for index in 0..COUNT {
        // Another text each time, as a thousand files would be.
        let yaml = yaml.replacen("name: sarcasm", &format!("name: sarcasm{index}"), 1);
        let start = Instant::now();
        let constitution = Constitution::parse(&yaml, "x").unwrap_or_else(|e| panic!("{e}"));
        let findings = lint(&constitution, &LintConfig::default());
        fastest = fastest.min(start.elapsed());
        assert!(findings.is_empty());
        questions += constitution.questions().count();
    }
    assert_eq!(questions, 50_000);
    let all = fastest * COUNT;
    assert!(all < Duration::from_secs(1), "{all:?}");
}

//! Reading and linting are quick enough to do on every start.

use std::time::Duration;

use ingrain_constitution::{Constitution, LintConfig, lint};

use crate::{personas::personas_dir, thread_time};

#[test]
fn a_thousand_constitutions_are_read_and_linted_in_under_a_second() {
    const COUNT: u32 = 1_000;
    let path = personas_dir().join("sarcasm.yaml");
    let yaml = std::fs::read_to_string(path).expect("a persona");
    let mut questions = 0;
    let start = thread_time();
    for index in 0..COUNT {
        // Another text each time, as a thousand files would be.
        let yaml = yaml.replacen("name: sarcasm", &format!("name: sarcasm{index}"), 1);
        let constitution = Constitution::parse(&yaml, "x").unwrap_or_else(|e| panic!("{e}"));
        assert!(lint(&constitution, &LintConfig::default()).is_empty());
        questions += constitution.questions().count();
    }
    let used = thread_time() - start;
    assert_eq!(questions, 50_000);
    assert!(used < Duration::from_secs(1), "{used:?}");
}

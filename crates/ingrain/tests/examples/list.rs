//! No example without a test, a head that says what it needs, and an entry in the manifest.

use std::collections::BTreeSet;
use std::fs;

use crate::bench::{names, root};

#[test]
fn every_example_is_run_by_a_test_of_this_folder() {
    let tests = [include_str!("runs.rs"), include_str!("servers.rs"), include_str!("hub.rs")]
        .concat()
        + include_str!("bench.rs");
    let missing: Vec<String> =
        names().into_iter().filter(|name| !tests.contains(&format!("(\"{name}\""))).collect();
    assert!(missing.is_empty(), "no test runs {missing:?}");
}

#[test]
fn every_example_says_what_it_needs_how_long_it_takes_and_what_to_expect() {
    for name in names() {
        let source =
            fs::read_to_string(root().join(format!("examples/{name}.rs"))).expect("source");
        let head: String = source.lines().take_while(|line| line.starts_with("//!")).collect();
        let says = |words: &[&str]| words.iter().any(|word| head.to_lowercase().contains(word));
        assert!(says(&["needs", "need "]), "{name} does not say what it needs");
        let times = ["takes", "take ", "minute", "seconds", "runs until"];
        assert!(says(&times), "{name} does not say how long it takes");
        assert!(says(&["expect"]), "{name} does not say what to expect");
        assert!(head.contains(&format!("--example {name}")), "{name} shows no command");
    }
}

#[test]
fn no_file_beside_the_examples_is_forgotten() {
    let listed: BTreeSet<String> = names().into_iter().collect();
    let entries = fs::read_dir(root().join("examples")).expect("examples/ is there");
    let found: BTreeSet<String> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    assert_eq!(found, listed, "examples/*.rs against [[example]] of the manifest");
}

//! ARCHITECTURE.md is the map: no crate may be missing on it, and it stays short.

use std::fs;

use crate::tree;

fn map() -> String {
    fs::read_to_string(tree::root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there")
}

fn crates() -> Vec<String> {
    let entries = fs::read_dir(tree::root().join("crates")).expect("crates/ is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry of crates/ can be read"))
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().expect("a crate's name is UTF-8"))
        .collect();
    names.sort();
    names
}

/// Whether a heading of any level names the crate: `### ingrain-lm`, with or without backticks,
/// and with anything after the name.
fn has_heading(map: &str, name: &str) -> bool {
    map.lines().filter(|line| line.starts_with('#')).any(|line| {
        let title = line.trim_start_matches('#').trim();
        title.split([' ', ':', ',']).next().is_some_and(|word| word.trim_matches('`') == name)
    })
}

#[test]
fn every_crate_has_its_heading() {
    let (map, crates) = (map(), crates());
    assert!(crates.len() > 10, "found only {crates:?}");
    let missing: Vec<&String> = crates.iter().filter(|name| !has_heading(&map, name)).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md has no heading for {missing:?}");
}

#[test]
fn the_map_stays_under_300_lines() {
    let lines = map().lines().count();
    assert!(lines < 300, "ARCHITECTURE.md has {lines} lines; move detail to the crates' own docs");
}

#[test]
fn a_heading_names_its_crate_and_no_other() {
    assert!(has_heading("### `ingrain-lm`: models", "ingrain-lm"));
    assert!(has_heading("## ingrain-lm", "ingrain-lm"));
    assert!(!has_heading("### `ingrain-lm-more`", "ingrain-lm"));
    assert!(!has_heading("ingrain-lm is the first crate that knows Burn", "ingrain-lm"));
}

//! What a stranger sees of each package: its card, its metadata, its features, the Rust that it needs.

use std::fs;
use std::path::PathBuf;

use crate::tree;

/// Folders of all packages that are published.
fn packages() -> Vec<PathBuf> {
    let entries = fs::read_dir(tree::root().join("crates")).expect("crates/ is there");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    folders.sort();
    assert!(folders.len() > 10, "found only {folders:?}");
    folders
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of the features of a manifest, `default` left out.
fn features(manifest: &str) -> Vec<&str> {
    let section = manifest.split("[features]\n").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let name = |line: &'_ str| line.split_once(" = ").map(|(name, _)| name.len());
    lines
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| Some(&line[..name(line)?]))
        .filter(|name| *name != "default")
        .collect()
}

#[test]
fn every_package_has_a_card_that_names_each_of_its_features() {
    for folder in packages() {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let card = read(folder.join("README.md"));
        assert!(card.starts_with(&format!("# {name}\n")), "{name}: the card begins otherwise");
        let manifest = read(folder.join("Cargo.toml"));
        for feature in features(&manifest) {
            assert!(card.contains(&format!("| `{feature}` |")), "{name}: no word of `{feature}`");
        }
    }
}

#[test]
fn every_package_says_what_it_is_and_under_which_terms() {
    for folder in packages() {
        let manifest = read(folder.join("Cargo.toml"));
        let package = manifest.split("\n[").next().unwrap_or_default();
        for key in [
            "description = \"",
            "version.workspace",
            "edition.workspace",
            "rust-version.workspace",
            "license.workspace",
            "authors.workspace",
            "repository.workspace",
            "keywords",
            "categories.workspace",
        ] {
            assert!(package.contains(key), "{}: no {key}", folder.display());
        }
    }
}

#[test]
fn the_rust_version_is_the_same_wherever_it_is_said() {
    let manifest = read(tree::root().join("Cargo.toml"));
    let version =
        manifest.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next());
    let version = version.expect("the workspace says it");
    let mut texts =
        vec!["README.md".into(), "docs/getting-started.md".into(), "docs/dependencies.md".into()];
    texts.extend(packages().iter().map(|folder| folder.join("README.md")));
    for text in texts {
        let text = tree::root().join(text);
        assert!(read(text.clone()).contains(&format!("Rust {version}")), "{}", text.display());
    }
}

#[test]
fn features_are_found_where_lists_take_several_lines() {
    let manifest = "[package]\n\n[features]\ndefault = [\"a\"]\n# A word.\na = [\n  \"dep:x\",\n]\nb = []\n\n[dev]\nc = 1\n";
    assert_eq!(features(manifest), ["a", "b"]);
}

//! Every `cargo run --example` that a guide, a card or a source file shows is one that its example
//! accepts.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::{example, names, root};

/// Texts that show commands: the guides, and the heads of the examples.
fn texts() -> Vec<PathBuf> {
    let mut texts = Vec::new();
    let mut folders = vec![root().join("docs"), root().join("examples"), root().join("personas")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            let shows = path.extension().is_some_and(|ending| ending == "md" || ending == "rs");
            if path.is_dir() {
                folders.push(path);
            } else if shows {
                texts.push(path);
            }
        }
    }
    texts.extend(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    texts.sort();
    texts
}

/// A command as shown: its place, the example, the arguments.
struct Shown {
    place: String,
    example: String,
    args: Vec<String>,
}

/// The commands of one text.
fn commands(path: &Path) -> Vec<Shown> {
    let text = fs::read_to_string(path).expect("the text can be read");
    let place = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let is_code = path.extension().is_some_and(|ending| ending == "rs");
    for (number, line) in lines.iter().enumerate() {
        // Of code, the head counts; what a program prints is put together at run time.
        if is_code && !line.starts_with("//!") {
            break;
        }
        for (start, _) in line.match_indices("cargo run ") {
            let command = command(&lines[number..], start);
            let words = words(&command);
            let Some(at) = words.iter().position(|word| word == "--example") else { continue };
            let args = words.iter().position(|word| word == "--").map_or(words.len(), |at| at + 1);
            found.push(Shown {
                place: format!("{place}:{}", number + 1),
                example: words.get(at + 1).cloned().unwrap_or_default(),
                args: words[args..].to_vec(),
            });
        }
    }
    found
}

/// The command that begins at a place of the first line. In a sentence it stands between backquotes;
/// elsewhere it ends with its line, or goes on behind a backslash.
fn command(lines: &[&str], start: usize) -> String {
    let (before, rest) = lines[0].split_at(start);
    if before.ends_with('`') {
        return rest.split('`').next().unwrap_or_default().to_owned();
    }
    let mut command = rest.to_owned();
    for next in &lines[1..] {
        let Some(open) = command.strip_suffix('\\') else { break };
        command = format!("{open}{}", next.trim_start().trim_start_matches("//!"));
    }
    command
}

/// As a shell cuts them; a comment ends the line.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | '&') => break,
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_command_that_is_shown_is_accepted_by_its_example() {
    let shown: Vec<Shown> = texts().iter().flat_map(|path| commands(path)).collect();
    assert!(shown.len() > 40, "found only {} commands", shown.len());
    let known = names();
    let mut wrong = Vec::new();
    for Shown { place, example: name, args } in &shown {
        if !known.contains(name) {
            wrong.push(format!("{place}: there is no example {name}"));
            continue;
        }
        // Arguments are read from the left: a wrong one ends it before help is asked for.
        let output = example(name).args(args).arg("--help").output().expect("starts");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or_default();
            wrong.push(format!("{place}: {name} {}: {said}", args.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_flag_that_does_not_exist_is_noticed() {
    let output = example("score").args(["--promt", "x", "--help"]).output().expect("starts");
    assert!(!output.status.success());
    let output = example("score").args(["--prompt", "x", "--help"]).output().expect("starts");
    assert!(output.status.success());
}

#[test]
fn a_line_is_cut_as_a_shell_cuts_it() {
    let line = r#"cargo run --example steer -- --persona "a b" -x '' # a word"#;
    assert_eq!(
        words(line),
        ["cargo", "run", "--example", "steer", "--", "--persona", "a b", "-x", ""]
    );
}

#[test]
fn every_example_is_shown_in_a_guide() {
    let guides = texts().into_iter().filter(|path| path.extension().is_some_and(|e| e == "md"));
    let shown: Vec<String> =
        guides.flat_map(|path| commands(&path)).map(|shown| shown.example).collect();
    let missing: Vec<String> = names().into_iter().filter(|name| !shown.contains(name)).collect();
    assert!(missing.is_empty(), "no guide shows {missing:?}");
}

//! `docs/recipe.md` is what the types say: every key of a recipe with the words of its field, its default
//! and the places where it stands. `INGRAIN_WRITE_GUIDE=1 cargo test -p ingrain --test examples recipe_guide`
//! writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use ingrain::Recipe;
use serde_json::Value;

use crate::bench::root;

/// What follows this line is made here; what stands above it is written by hand.
const MARK: &str =
    "<!-- made from the types by crates/ingrain/tests/examples/recipe_guide.rs -->\n";

/// A struct with its fields, or an enum with its variants.
struct Type {
    words: String,
    is_enum: bool,
    members: Vec<Member>,
}

struct Member {
    /// As in a file.
    name: String,
    words: String,
    /// What it holds; of a variant, what is in its brackets.
    holds: String,
}

/// All public types of the crates that a recipe is made of, by name.
fn types() -> BTreeMap<String, Type> {
    let mut types = BTreeMap::new();
    for name in ["ingrain", "chat", "data", "dpo", "introspection", "lm", "train"] {
        let folder = match name {
            "ingrain" => "crates/ingrain/src".to_owned(),
            part => format!("crates/ingrain-{part}/src"),
        };
        let mut folders = vec![root().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("sources") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    read(&fs::read_to_string(path).expect("source"), &mut types);
                }
            }
        }
    }
    types
}

fn read(source: &str, types: &mut BTreeMap<String, Type>) {
    let (mut words, mut attributes) = (String::new(), String::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let opened = ["pub struct ", "pub enum "].iter().find_map(|word| line.strip_prefix(word));
        match opened.and_then(|rest| rest.strip_suffix(" {")) {
            Some(name) if attributes.contains("Serialize") => {
                let is_enum = line.starts_with("pub enum");
                let members = members(&mut lines, is_enum, attributes.contains("lowercase"));
                // Up to the first heading or blank line.
                let words = words.split("\n\n").next().unwrap_or_default().replace('\n', " ");
                types.insert(name.to_owned(), Type { words, is_enum, members });
            }
            _ => {}
        }
        if let Some(text) = line.strip_prefix("///") {
            let _ = writeln!(words, "{}", text.trim());
        } else if line.starts_with("#[") {
            attributes.push_str(line);
        } else {
            (words, attributes) = Default::default();
        }
    }
}

fn members<'a>(
    lines: &mut impl Iterator<Item = &'a str>,
    is_enum: bool,
    lowercase: bool,
) -> Vec<Member> {
    let mut members = Vec::new();
    let (mut words, mut renamed) = (String::new(), None);
    for line in lines.map(str::trim).take_while(|line| *line != "}") {
        if let Some(text) = line.strip_prefix("///") {
            let _ = write!(words, "{}{}", if words.is_empty() { "" } else { " " }, text.trim());
            continue;
        }
        if let Some((_, rest)) = line.split_once("rename = \"") {
            renamed = rest.split('"').next().map(str::to_owned);
        }
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let line = line.trim_end_matches(',');
        let (name, holds) = if is_enum {
            let (name, holds) = line.split_once('(').unwrap_or((line, ""));
            let name = if lowercase { name.to_lowercase() } else { snake(name) };
            (name, holds.trim_end_matches(')'))
        } else {
            let field = line.strip_prefix("pub ").and_then(|field| field.split_once(": "));
            let Some((name, holds)) = field else { continue };
            (name.to_owned(), holds)
        };
        let name = renamed.take().unwrap_or(name);
        members.push(Member { name, words: std::mem::take(&mut words), holds: holds.to_owned() });
    }
    members
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The type's own name: `Option<Vec<LossSpec>>` is a `LossSpec`.
fn inner(holds: &str) -> &str {
    let inside = |name: &str| holds.strip_prefix(name).and_then(|rest| rest.strip_suffix('>'));
    ["Option<", "Vec<", "Box<", "Term<"].iter().find_map(|name| inside(name)).map_or(holds, inner)
}

/// Every struct that a recipe holds, in the order met, with the places where it stands.
fn places(types: &BTreeMap<String, Type>) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = vec![("Recipe".into(), vec![String::new()])];
    let mut next = 0;
    while next < found.len() {
        let (name, at) = found[next].clone();
        for member in types[&name].members.iter().filter(|_| !types[&name].is_enum) {
            let of = inner(&member.holds);
            if types.get(of).is_none_or(|of| of.is_enum) {
                continue;
            }
            let own = at.iter().map(|place| match place.as_str() {
                "" => member.name.clone(),
                place => format!("{place}.{}", member.name),
            });
            let own: Vec<String> = own.collect();
            match found.iter().position(|(other, _)| other == of) {
                Some(at) => found[at].1.extend(own),
                None => found.push((of.to_owned(), own)),
            }
        }
        next += 1;
    }
    found
}

fn default_of<'a>(defaults: &'a Value, place: &str, key: &str) -> Option<&'a Value> {
    let path = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    defaults.pointer(&format!("/{}", path.replace('.', "/")))
}

/// The default, or one for each place where they differ.
fn shown_default(defaults: &Value, places: &[String], key: &str) -> String {
    let of = |place: &String| default_of(defaults, place, key).map(Value::to_string);
    let values: Vec<(&String, String)> =
        places.iter().filter_map(|place| Some((place, of(place)?))).collect();
    let Some((_, first)) = values.first() else { return String::new() };
    if values.iter().all(|(_, value)| value == first) {
        return format!("`{first}`");
    }
    let each = values.iter().map(|(place, value)| format!("{place} `{value}`"));
    each.collect::<Vec<_>>().join(", ")
}

/// Words of a doc comment in a cell of a table: no links, no bars.
fn cell(words: &str) -> String {
    let words = words.replace("[`", "`").replace("`]", "`").replace('|', "\\|");
    let mut plain = String::new();
    let mut rest = words.as_str();
    // What a link pointed to.
    while let Some((before, after)) = rest.split_once("`(") {
        plain += before;
        plain.push('`');
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

fn guide() -> String {
    let types = types();
    // Through text, in which an f32 is as short as it was written.
    let defaults = serde_json::to_string(&Recipe::default()).expect("JSON");
    let defaults: Value = serde_json::from_str(&defaults).expect("JSON");
    let mut text = String::new();
    let mut choices: Vec<&str> = Vec::new();
    for (name, at) in places(&types) {
        let of = &types[&name];
        match at.as_slice() {
            [top] if top.is_empty() => text += "\n## The whole file\n\n",
            [one] => {
                let _ = write!(text, "\n## `{one}`\n\n{}\n\n", cell(&of.words));
            }
            several => {
                let all: Vec<String> = several.iter().map(|place| format!("`{place}`")).collect();
                let _ = write!(text, "\n## {}\n\n{}\n\n", all.join(", "), cell(&of.words));
            }
        }
        text += "| key | default | meaning |\n|---|---|---|\n";
        for member in &of.members {
            let kind = inner(&member.holds);
            let held = types.get(kind);
            let default = match held {
                Some(held) if !held.is_enum => "below".to_owned(),
                _ => shown_default(&defaults, &at, &member.name),
            };
            if held.is_some_and(|held| held.is_enum) && !choices.contains(&kind) {
                choices.push(types.get_key_value(kind).expect("just found").0);
            }
            let _ = writeln!(text, "| `{}` | {default} | {} |", member.name, cell(&member.words));
        }
    }
    text += "\n# What stands for a choice\n";
    for name in choices {
        let of = &types[name];
        let _ =
            write!(text, "\n## {name}\n\n{}\n\n| value | meaning |\n|---|---|\n", cell(&of.words));
        for member in &of.members {
            let words = match types.get(inner(&member.holds)) {
                Some(loss) => {
                    let keys: Vec<String> =
                        loss.members.iter().map(|key| format!("`{}`", key.name)).collect();
                    let keys = if keys.is_empty() { "none".into() } else { keys.join(", ") };
                    format!("{} Settings: {keys}.", cell(&loss.words))
                }
                None => cell(&member.words),
            };
            let _ = writeln!(text, "| `{}` | {words} |", member.name);
        }
    }
    text
}

#[test]
fn the_guide_to_the_recipe_file_says_what_the_types_say() {
    let path = root().join("docs/recipe.md");
    let found = fs::read_to_string(&path).expect("docs/recipe.md is there");
    let (by_hand, _) = found.split_once(MARK).expect("the guide has its mark");
    let expected = format!("{by_hand}{MARK}{}", guide());
    if std::env::var_os("INGRAIN_WRITE_GUIDE").is_some() {
        fs::write(&path, &expected).expect("written");
    }
    let found = fs::read_to_string(&path).expect("docs/recipe.md is there");
    assert!(
        found == expected,
        "docs/recipe.md is out of date; the head of this file says how to write it"
    );
}

#[test]
fn every_key_of_a_recipe_is_in_the_guide_with_words() {
    let guide = guide();
    let defaults = serde_json::to_value(Recipe::default()).expect("JSON");
    let mut open = vec![&defaults];
    let mut keys = 0;
    while let Some(value) = open.pop() {
        for (key, value) in value.as_object().into_iter().flatten() {
            let row = guide.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
            let words = row.and_then(|row| row.trim_end_matches(" |").rsplit(" | ").next());
            assert!(words.is_some_and(|words| words.len() > 8), "{key}: {row:?}");
            keys += 1;
            open.push(value);
        }
    }
    assert!(keys > 60, "{keys}");
}

//! Lists of principles in Markdown or plain text.
//!
//! In Markdown the first heading names the persona, the text before the first list is its
//! summary, every list item is an assertion, and the items nested under it are its questions.
//! Without any list, paragraphs are assertions. In plain text every line is an assertion, or
//! every paragraph where blank lines separate some that run over several lines. Numbers, bullets
//! and emphasis are taken off.

use crate::{
    constitution::{Assertion, Constitution, Facet, Metadata},
    diagnostic::{Diagnostics, Location},
    name::PersonaName,
    place::{Place, SourceMap},
};

use super::{Parsed, nothing_found};

pub(super) fn parse(
    text: &str,
    source: &str,
    name: &PersonaName,
    markdown: bool,
) -> Result<Parsed, Diagnostics> {
    let mut list = List::default();
    if markdown {
        list.markdown(text);
    } else {
        list.plain(text);
    }
    if list.assertions.is_empty() {
        return Err(nothing_found(source, "a list of principles, one a line"));
    }
    let mut map = SourceMap::new(source);
    let mut assertions = Vec::with_capacity(list.assertions.len());
    for (index, (assertion, location)) in list.assertions.into_iter().enumerate() {
        map.insert(Place::Assertion(index), location);
        assertions.push(assertion);
    }
    let name = list.title.as_deref().and_then(PersonaName::slug).unwrap_or_else(|| name.clone());
    let constitution = Constitution {
        name,
        summary: list.summary,
        research_only: false,
        big_five: None,
        metadata: Metadata::default(),
        assertions,
        heldout_questions: Vec::new(),
    };
    let left_out: Vec<String> = list.left_out.iter().map(usize::to_string).collect();
    let notes = match left_out.as_slice() {
        [] => Vec::new(),
        lines => vec![format!("not part of the list and left out: line {}", lines.join(", "))],
    };
    Ok(Parsed { constitution, map, facets_given: false, notes })
}

#[derive(Default)]
struct List {
    title: Option<String>,
    summary: String,
    assertions: Vec<(Assertion, Location)>,
    /// Lines that there is no place for.
    left_out: Vec<usize>,
}

/// What the next continuation line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Paragraph,
    Assertion,
    Question,
    Break,
}

impl List {
    fn assertion(&mut self, text: &str, location: Location) {
        let text = plain(text);
        if text.is_empty() {
            return;
        }
        let assertion = Assertion {
            text,
            facet: Facet::Trait,
            clarification: None,
            questions: Vec::new(),
            additional_questions: Vec::new(),
        };
        self.assertions.push((assertion, location));
    }

    fn markdown(&mut self, text: &str) {
        let mut paragraphs: Vec<(String, Location)> = Vec::new();
        let mut last = Last::Break;
        let mut item_indent = 0;
        let mut fenced = false;
        for (index, line) in text.lines().enumerate() {
            let content = line.trim();
            let indent = line.len() - line.trim_start().len();
            let location = Location { line: index + 1, column: indent + 1 };
            if content.starts_with("```") {
                fenced = !fenced;
            } else if fenced {
                self.left_out.push(location.line);
            } else if content.is_empty() {
                last = Last::Break;
            } else if let Some(heading) = heading(content) {
                if self.title.is_none() {
                    self.title = Some(plain(heading));
                }
                last = Last::Break;
            } else if let Some(item) = list_item(content) {
                if self.assertions.is_empty() || indent <= item_indent + 1 {
                    self.assertion(item, location);
                    (item_indent, last) = (indent, Last::Assertion);
                } else {
                    self.question(item);
                    last = Last::Question;
                }
            } else {
                self.continue_line(content, location, last, &mut paragraphs);
                if matches!(last, Last::Break) {
                    last = Last::Paragraph;
                }
            }
        }
        self.take_paragraphs(paragraphs);
    }

    fn continue_line(
        &mut self,
        content: &str,
        location: Location,
        last: Last,
        paragraphs: &mut Vec<(String, Location)>,
    ) {
        let content = plain(content);
        if content.is_empty() {
            return;
        }
        let list_has_begun = !self.assertions.is_empty();
        let continued = match last {
            Last::Break => None,
            Last::Paragraph => paragraphs.last_mut().map(|(text, _)| text),
            Last::Assertion => self.assertions.last_mut().map(|(a, _)| &mut a.text),
            Last::Question => self.assertions.last_mut().and_then(|(a, _)| a.questions.last_mut()),
        };
        match continued {
            Some(text) => {
                text.push(' ');
                text.push_str(&content);
            }
            // A paragraph after the list has begun is commentary; there is no place for it.
            None if list_has_begun => self.left_out.push(location.line),
            None => paragraphs.push((content, location)),
        }
    }

    fn question(&mut self, item: &str) {
        let question = plain(item);
        if let Some((assertion, _)) = self.assertions.last_mut()
            && !question.is_empty()
        {
            assertion.questions.push(question);
        }
    }

    /// With a list, paragraphs are the summary; without one, they are the assertions.
    fn take_paragraphs(&mut self, paragraphs: Vec<(String, Location)>) {
        if self.assertions.is_empty() {
            for (text, location) in paragraphs {
                self.assertion(&text, location);
            }
        } else {
            let texts: Vec<String> = paragraphs.into_iter().map(|(text, _)| text).collect();
            self.summary = texts.join(" ").trim().to_owned();
        }
    }

    fn plain(&mut self, text: &str) {
        let mut blocks: Vec<Vec<(&str, Location)>> = vec![Vec::new()];
        for (index, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let location = Location { line: index + 1, column: indent + 1 };
            match line.trim() {
                "" => blocks.push(Vec::new()),
                // A comment, as in many lists of seeds.
                content if content.starts_with('#') => {}
                content => {
                    if let Some(block) = blocks.last_mut() {
                        block.push((content, location));
                    }
                }
            }
        }
        blocks.retain(|block| !block.is_empty());
        let itemised = |block: &Vec<(&str, Location)>| {
            block.len() > 1 && block.iter().all(|(line, _)| list_item(line).is_some())
        };
        let wrapped = blocks.len() > 1 && blocks.iter().any(|block| block.len() > 1);
        for block in blocks {
            if wrapped && !itemised(&block) {
                let joined: Vec<&str> = block.iter().map(|(line, _)| *line).collect();
                self.item_or_line(&joined.join(" "), block[0].1);
            } else {
                block.iter().for_each(|(line, location)| self.item_or_line(line, *location));
            }
        }
    }

    fn item_or_line(&mut self, line: &str, location: Location) {
        self.assertion(list_item(line).unwrap_or(line), location);
    }
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with(' ')).then(|| text.trim().trim_end_matches('#'))
}

/// The text of `- item`, `* item`, `+ item`, `1. item`, `1) item`, `(1) item`.
fn list_item(line: &str) -> Option<&str> {
    for bullet in ["- ", "* ", "+ ", "\u{2022} "] {
        if let Some(item) = line.strip_prefix(bullet) {
            return Some(item.trim());
        }
    }
    let line = line.strip_prefix('(').unwrap_or(line);
    let rest = line.trim_start_matches(|character: char| character.is_ascii_digit());
    let item =
        rest.strip_prefix('.').or_else(|| rest.strip_prefix(')')).or(rest.strip_prefix(':'))?;
    (rest.len() < line.len() && item.starts_with(' ')).then(|| item.trim())
}

/// A text without Markdown emphasis around words.
fn plain(text: &str) -> String {
    let text = text.replace("**", "").replace("__", "");
    let text = text.trim();
    let italic = text.strip_prefix('*').and_then(|text| text.strip_suffix('*'));
    italic.unwrap_or(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, markdown: bool) -> Vec<String> {
        let name = PersonaName::slug("x").expect("a name");
        let parsed = parse(text, "x", &name, markdown).expect(text);
        parsed.constitution.assertions.into_iter().map(|assertion| assertion.text).collect()
    }

    #[test]
    fn plain_text_is_a_principle_a_line_or_a_paragraph() {
        assert_eq!(texts("I joke.\nI listen.\n", false), ["I joke.", "I listen."]);
        assert_eq!(texts("1. I joke.\n\n2) I listen.\n", false), ["I joke.", "I listen."]);
        assert_eq!(
            texts("I joke\nand joke.\n\nI listen.", false),
            ["I joke and joke.", "I listen."]
        );
        assert_eq!(
            texts("# seeds\n- I joke.\n- I listen.\n\nI rest.", false),
            ["I joke.", "I listen.", "I rest."]
        );
    }

    #[test]
    fn markdown_items_are_assertions_and_nested_items_questions() {
        let text = "# Dry Wit\n\nStays *dry*\nthroughout.\n\n1. **I joke** about\n   rain.\n   - Will it rain?\n   - Nice day\n     today?\n2. I listen.\n\nThe end.\n";
        let name = PersonaName::slug("x").expect("a name");
        let Parsed { constitution, map, notes, .. } =
            parse(text, "x.md", &name, true).expect("markdown");
        assert_eq!(notes, ["not part of the list and left out: line 13"]);
        assert_eq!(constitution.name, "dry-wit");
        assert_eq!(constitution.summary, "Stays *dry* throughout.");
        assert_eq!(constitution.assertions[0].text, "I joke about rain.");
        assert_eq!(constitution.assertions[0].questions, ["Will it rain?", "Nice day today?"]);
        assert_eq!(constitution.assertions[1].text, "I listen.");
        assert_eq!(map.locate(Place::Assertion(1)), Location { line: 11, column: 1 });
    }

    #[test]
    fn markdown_without_a_list_has_paragraphs_as_assertions() {
        assert_eq!(
            texts("# X\n\nI joke\na lot.\n\nI listen.\n", true),
            ["I joke a lot.", "I listen."]
        );
    }
}

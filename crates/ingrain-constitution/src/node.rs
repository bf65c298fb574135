//! YAML to a tree in which every node knows its place.
//!
//! Built on the event stream of `granit-parser` (the parser under `serde-saphyr`), because a
//! deserializer stops at the first problem and a reader of constitutions must not. JSON is read
//! the same way. Size, depth, node count and what aliases expand to are all bounded here; what
//! the tree means is [`crate::decode`]'s business.

use std::{collections::HashMap, rc::Rc};

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::diagnostic::{DiagnosticKind, Diagnostics, Location};

/// The deepest nesting; a constitution needs five levels.
const MAX_DEPTH: usize = 32;
/// The most nodes, counted after aliases are expanded.
const MAX_NODES: usize = 50_000;

/// A value with its place. Aliases share nodes, so an alias bomb costs no memory.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) location: Location,
    pub(crate) value: Value,
    /// Nodes in this subtree with aliases expanded.
    weight: usize,
    /// Levels of this subtree with aliases expanded.
    height: usize,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

impl Node {
    /// `null`, `~` or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What this node is, in words that fit after "found".
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".into(),
            Value::Scalar { text, .. } => crate::diagnostic::quoted(text),
            Value::Sequence(items) => format!("a list of {}", items.len()),
            Value::Mapping(entries) => match entries.first().map(|(key, _)| &key.value) {
                Some(Value::Scalar { text, .. }) => {
                    format!(
                        "a mapping that starts with the key {}",
                        crate::diagnostic::quoted(text)
                    )
                }
                _ => "a mapping".into(),
            },
        }
    }
}

/// Reads exactly one document. An empty text is `Ok(None)`. `lines_before` stand above the text
/// in its file.
pub(crate) fn parse_tree(
    text: &str,
    source: &str,
    lines_before: usize,
) -> Result<Option<Rc<Node>>, Diagnostics> {
    let mut diagnostics = Diagnostics::new(source);
    let mut builder = Builder::default();
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let step = match next {
            Ok((event, span)) => builder.event(event, location(&span.start, lines_before)),
            Err(error) => Err(syntax_problem(&error, location(error.marker(), lines_before))),
        };
        if let Err(problem) = step {
            let Problem { kind, location, found, expected, suggestion } = problem;
            diagnostics.push(kind, location, found, expected, suggestion);
            return Err(diagnostics);
        }
    }
    Ok(builder.root)
}

fn location(mark: &Marker, lines_before: usize) -> Location {
    Location { line: lines_before + mark.line().max(1), column: mark.col() + 1 }
}

struct Problem {
    kind: DiagnosticKind,
    location: Location,
    found: String,
    expected: String,
    suggestion: Option<String>,
}

impl Problem {
    fn new(kind: DiagnosticKind, location: Location, found: &str, expected: &str) -> Self {
        let (found, expected) = (found.to_owned(), expected.to_owned());
        Self { kind, location, found, expected, suggestion: None }
    }

    fn suggest(mut self, suggestion: &str) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

fn syntax_problem(error: &ScanError, at: Location) -> Problem {
    let syntax = |found, expected| Problem::new(DiagnosticKind::Syntax, at, found, expected);
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(at),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation => syntax("a tab", "spaces before the first word of a line")
            .suggest("replace tabs by spaces"),
        ErrorKind::UnclosedQuotedScalar => {
            syntax("a quotation mark without its partner", "a closing one")
                .suggest("a text that begins with a quotation mark is quoted as a whole")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            syntax("more text after a closing quotation mark", "the end of the line")
                .suggest("quote the whole text, and double or escape the marks inside it")
        }
        ErrorKind::MappingValueNotAllowed => {
            syntax("a second colon and space in one line", "one `key: text` a line")
                .suggest("put the text in quotation marks")
        }
        ErrorKind::DirectiveDisallowed => {
            syntax("a YAML directive", "plain YAML").suggest("remove the line that starts with %")
        }
        _ => syntax("broken YAML", "well-formed YAML")
            .suggest(&format!("the parser says: {}", error.info())),
    }
}

fn too_deep(at: Location) -> Problem {
    let expected = format!("at most {MAX_DEPTH} levels");
    Problem::new(DiagnosticKind::Limit, at, "nesting that is too deep", &expected)
}

/// A collection whose end has not been seen.
struct Open {
    location: Location,
    anchor: usize,
    weight: usize,
    height: usize,
    items: Vec<Rc<Node>>,
    mapping: bool,
}

#[derive(Default)]
struct Builder {
    root: Option<Rc<Node>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    weight: usize,
    documents: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: Location) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problem::new(
                        DiagnosticKind::Syntax,
                        at,
                        "a second document",
                        "one document a file",
                    )
                    .suggest("split the file at `---`"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                check_tag(tag.as_deref(), at)?;
                // An explicit `!!str` makes any spelling a text.
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = Value::Scalar { text: text.into_owned(), plain };
                self.add(Rc::new(Node { location: at, value, weight: 1, height: 1 }), anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.start(at, anchor, tag.as_deref(), false)?
            }
            Event::MappingStart(_, anchor, tag) => self.start(at, anchor, tag.as_deref(), true)?,
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(node) => {
                    let node = Rc::clone(node);
                    self.add(node, 0)?;
                }
                None => return Err(unknown_alias(at)),
            },
            Event::UnresolvedAlias(_) => return Err(unknown_alias(at)),
            _ => {}
        }
        Ok(())
    }

    fn start(
        &mut self,
        location: Location,
        anchor: usize,
        tag: Option<&Tag>,
        mapping: bool,
    ) -> Result<(), Problem> {
        check_tag(tag, location)?;
        self.open.push(Open { location, anchor, weight: 1, height: 1, items: Vec::new(), mapping });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(Open { location, anchor, weight, height, items, mapping }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = if mapping {
            let mut entries = Vec::with_capacity(items.len() / 2);
            let mut items = items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                entries.push((key, value));
            }
            Value::Mapping(entries)
        } else {
            Value::Sequence(items)
        };
        self.add(Rc::new(Node { location, value, weight, height }), anchor)
    }

    fn add(&mut self, node: Rc<Node>, anchor: usize) -> Result<(), Problem> {
        // An alias adds everything below its anchor; a finished collection only itself, since its
        // content was counted while it was open.
        let is_alias = anchor == 0 && Rc::strong_count(&node) > 1;
        self.weight += if is_alias { node.weight } else { 1 };
        if self.weight > MAX_NODES {
            return Err(Problem::new(
                DiagnosticKind::Limit,
                node.location,
                "more values than a constitution can hold, counting what aliases repeat",
                &format!("at most {MAX_NODES}"),
            ));
        }
        if self.open.len() + node.height > MAX_DEPTH {
            // Only aliases get here: they can chain levels that the parser never nests.
            return Err(too_deep(node.location));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut() {
            Some(parent) => {
                parent.weight = parent.weight.saturating_add(node.weight);
                parent.height = parent.height.max(node.height + 1);
                parent.items.push(node);
            }
            None => self.root = Some(node),
        }
        Ok(())
    }
}

fn unknown_alias(at: Location) -> Problem {
    Problem::new(
        DiagnosticKind::Syntax,
        at,
        "an alias (`*name`) without an anchor before it",
        "an anchor (`&name`) that is complete before its alias",
    )
    .suggest("a text that starts with * must be in quotation marks")
}

fn check_tag(tag: Option<&Tag>, at: Location) -> Result<(), Problem> {
    match tag {
        Some(tag) if tag.is_custom() => Err(Problem::new(
            DiagnosticKind::Syntax,
            at,
            &format!("the tag {}", crate::diagnostic::quoted(&tag.original())),
            "no tags",
        )
        .suggest("a text that starts with ! must be in quotation marks")),
        _ => Ok(()),
    }
}

//! Finding messages in the text that a template made of them.
//!
//! Knows text only. A mark is a single private-use character; it counts as undisturbing if the text
//! without it is the text that the template writes without marks, and if it occurs exactly once.

use std::ops::Range;

use ingrain_chat::Message;

use crate::TokenizerError;

/// Two planes of private-use characters; the second one if somebody writes in the first.
const PLANES: [u32; 2] = [0xF_0000, 0x10_0000];
/// As many messages as a plane has pairs of characters.
const MAX_MESSAGES: usize = 0x7FFE;

/// Closing tags of reasoning: what stands before them may be cut by a template.
const REASONING_ENDS: &[&str] = &["</think>", "</thinking>", "</reasoning>", "[/THINK]"];

/// The most places inside the white space at an end of a message that are tried one by one.
const MAX_BLANKS: usize = 32;

/// The most places inside a message that are tried when its ends do not bear a mark.
const MAX_INNER: usize = 64;

/// The rendered text and the bytes of it that the content of each wanted message takes.
pub(super) struct Located {
    pub(super) text: String,
    /// One entry a message; `None` for those that nobody asked for.
    pub(super) spans: Vec<Option<Range<usize>>>,
}

/// Renders `messages` and finds each of the wanted ones in the text.
pub(super) fn locate(
    render: impl Fn(&[Message]) -> Result<String, TokenizerError>,
    messages: &[Message],
    wanted: impl Fn(usize) -> bool,
) -> Result<Located, TokenizerError> {
    let text = render(messages)?;
    if messages.len() > MAX_MESSAGES {
        let problem = format!("{} messages, at most {MAX_MESSAGES}", messages.len());
        return Err(TokenizerError::InvalidOptions(problem));
    }
    let contents = messages.iter().flat_map(|message| message.content.chars());
    let chars = || text.chars().chain(contents.clone()).map(u32::from);
    let is_free = |plane: &&u32| !chars().any(|c| (**plane..**plane + 0xFFFE).contains(&c));
    let Some(&plane) = PLANES.iter().find(is_free) else {
        return Err(TokenizerError::InvalidOptions(
            "the messages use up the private-use characters that mark them".to_owned(),
        ));
    };
    let wanted: Vec<usize> = (0..messages.len()).filter(|&index| wanted(index)).collect();
    let marker = Marker { render, messages, text: &text, plane };
    let mut spans = vec![None; messages.len()];
    for (index, span) in marker.find(&wanted)? {
        spans[index] = Some(span);
    }
    Ok(Located { text, spans })
}

struct Marker<'a, R> {
    render: R,
    messages: &'a [Message],
    text: &'a str,
    plane: u32,
}

impl<R: Fn(&[Message]) -> Result<String, TokenizerError>> Marker<'_, R> {
    /// Finds the wanted messages: all in one render if that works, as it does for most templates.
    fn find(&self, wanted: &[usize]) -> Result<Vec<(usize, Range<usize>)>, TokenizerError> {
        if let Some(spans) = self.all_at_once(wanted, |content| 0..content.len()) {
            return Ok(spans);
        }
        let inner = self.all_at_once(wanted, visible);
        let is_plain = |index: usize| {
            let content = &self.messages[index].content;
            visible(content) == (0..content.len())
        };
        match inner {
            // The template trims: how much it leaves of outer white space is found out apart.
            Some(spans) => spans
                .into_iter()
                .map(|(i, span)| if is_plain(i) { Ok((i, span)) } else { self.one(i) })
                .collect(),
            None => wanted.iter().map(|&i| self.one(i)).collect(),
        }
    }

    /// Marks every wanted message at both ends of what `place` says.
    fn all_at_once(
        &self,
        wanted: &[usize],
        place: impl Fn(&str) -> Range<usize>,
    ) -> Option<Vec<(usize, Range<usize>)>> {
        let places: Vec<(usize, Range<usize>)> =
            wanted.iter().map(|&i| (i, place(&self.messages[i].content))).collect();
        let starts = places.iter().map(|(i, range)| (*i, range.start, Side::Start));
        let ends = places.iter().map(|(i, range)| (*i, range.end, Side::End));
        let found = self.undisturbed(&starts.chain(ends).collect::<Vec<_>>())?;
        let (starts, ends) = found.split_at(wanted.len());
        let spans = wanted.iter().zip(starts.iter().zip(ends));
        spans.map(|(&i, (&start, &end))| (start <= end).then_some((i, start..end))).collect()
    }

    /// Marks one message by itself, at further places if the template changes its ends.
    fn one(&self, index: usize) -> Result<(usize, Range<usize>), TokenizerError> {
        let message = &self.messages[index];
        let fail = |problem: &str| TokenizerError::Turn {
            index,
            role: message.role,
            problem: problem.to_owned(),
        };
        let content = message.content.as_str();
        let visible = visible(content);
        let start = self
            .start(index, content, &visible)
            .ok_or_else(|| fail("the template drops, repeats or rewrites its beginning"))?;
        let end = self
            .end(index, content, &visible)
            .ok_or_else(|| fail("the template drops, repeats or rewrites its end"))?;
        if start > end {
            return Err(fail("the template moves its parts around"));
        }
        Ok((index, start..end))
    }

    fn start(&self, index: usize, content: &str, visible: &Range<usize>) -> Option<usize> {
        let probe = |at| self.undisturbed(&[(index, at, Side::Start)]).map(|found| found[0]);
        if let Some(start) = places(content, 0..visible.start).into_iter().find_map(probe) {
            return Some(start);
        }
        // If everything before a mark stands in the text as it is, it belongs to the message.
        let kept = |at: usize, found: usize| {
            let before = &self.text[..found];
            let heads = [&content[..at], &content[visible.start..at]];
            heads.into_iter().find(|head| before.ends_with(head)).map(|head| found - head.len())
        };
        // Reasoning that the template cuts off, or writes anew.
        let reasoning = REASONING_ENDS.iter().filter_map(|tag| {
            let end = content.rfind(tag)? + tag.len();
            Some(end + (content[end..].len() - content[end..].trim_start().len()))
        });
        let behind = reasoning.filter(|at| *at < content.len());
        if let Some((at, found)) = behind.into_iter().find_map(|at| Some((at, probe(at)?))) {
            return Some(kept(at, found).unwrap_or(found));
        }
        // A beginning that the template looks at, so that a mark in front of it disturbs.
        let inner = content[visible.clone()].char_indices().map(|(at, _)| visible.start + at);
        let (at, found) = inner.skip(1).take(MAX_INNER).find_map(|at| Some((at, probe(at)?)))?;
        kept(at, found)
    }

    fn end(&self, index: usize, content: &str, visible: &Range<usize>) -> Option<usize> {
        let probe = |at| self.undisturbed(&[(index, at, Side::End)]).map(|found| found[0]);
        let outer = places(content, visible.end..content.len());
        if let Some(end) = outer.into_iter().rev().find_map(probe) {
            return Some(end);
        }
        // An ending that the template looks at; it has to stand in the text as it is.
        let inner = content[visible.clone()].char_indices().map(|(at, _)| visible.start + at);
        let (at, found) = inner.rev().take(MAX_INNER).find_map(|at| Some((at, probe(at)?)))?;
        let behind = &self.text[found..];
        let kept = [&content[at..], &content[at..visible.end]];
        kept.into_iter().find(|kept| behind.starts_with(kept)).map(|kept| found + kept.len())
    }

    /// Renders with marks, each at a byte of a message's content. Where they lie in the text, if
    /// they did not disturb it.
    fn undisturbed(&self, marks: &[(usize, usize, Side)]) -> Option<Vec<usize>> {
        let mut marked = self.messages.to_vec();
        let mut order: Vec<&(usize, usize, Side)> = marks.iter().collect();
        // From the back, so that places stay true; at the same place the end goes in first.
        order.sort_by_key(|(index, at, side)| (*index, *at, *side == Side::End));
        for &&(index, at, side) in order.iter().rev() {
            marked[index].content.insert(at, self.mark(index, side)?);
        }
        let rendered = (self.render)(&marked).ok()?;
        let mut text = String::with_capacity(rendered.len());
        let mut found = vec![None; marks.len()];
        for c in rendered.chars() {
            // Most characters lie below the plane, and need no search.
            let is_mark =
                |&(index, _, side): &(usize, usize, Side)| self.mark(index, side) == Some(c);
            let which =
                if u32::from(c) < self.plane { None } else { marks.iter().position(is_mark) };
            match which {
                None => text.push(c),
                Some(which) => {
                    if found[which].replace(text.len()).is_some() {
                        return None;
                    }
                }
            }
        }
        if text != self.text {
            return None;
        }
        found.into_iter().collect()
    }

    fn mark(&self, index: usize, side: Side) -> Option<char> {
        char::from_u32(self.plane + 2 * index as u32 + u32::from(side == Side::End))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Start,
    End,
}

/// Places between characters in a range of white space, its ends included.
fn places(content: &str, range: Range<usize>) -> Vec<usize> {
    let inner = content[range.clone()].char_indices().map(|(at, _)| range.start + at);
    let mut places: Vec<usize> = inner.collect();
    if places.len() > MAX_BLANKS {
        places = vec![range.start];
    }
    places.push(range.end);
    places
}

/// The content without white space at its ends.
fn visible(content: &str) -> Range<usize> {
    let trimmed = content.trim();
    let start = content.len() - content.trim_start().len();
    start..start + trimmed.len()
}

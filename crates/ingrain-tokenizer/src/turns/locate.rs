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

/// The rendered text and the bytes of it that each message's content takes.
pub(super) struct Located {
    pub(super) text: String,
    pub(super) spans: Vec<Range<usize>>,
}

/// Renders `messages` and finds each of them in the text.
pub(super) fn locate(
    render: impl Fn(&[Message]) -> Result<String, TokenizerError>,
    messages: &[Message],
) -> Result<Located, TokenizerError> {
    let text = render(messages)?;
    if messages.len() > MAX_MESSAGES {
        let problem = format!("{} messages, at most {MAX_MESSAGES}", messages.len());
        return Err(TokenizerError::InvalidOptions(problem));
    }
    let free = |plane: &&u32| {
        let taken = **plane..**plane + 0xFFFE;
        !text
            .chars()
            .chain(messages.iter().flat_map(|m| m.content.chars()))
            .any(|c| taken.contains(&u32::from(c)))
    };
    let Some(&plane) = PLANES.iter().find(free) else {
        return Err(TokenizerError::InvalidOptions(
            "the messages use up the private-use characters that mark them".to_owned(),
        ));
    };
    let marker = Marker { render, messages, text: &text, plane };
    let spans = match marker.all_at_once() {
        Some(spans) => spans,
        None => (0..messages.len()).map(|i| marker.one(i)).collect::<Result<_, _>>()?,
    };
    Ok(Located { text, spans })
}

struct Marker<'a, R> {
    render: R,
    messages: &'a [Message],
    text: &'a str,
    plane: u32,
}

impl<R: Fn(&[Message]) -> Result<String, TokenizerError>> Marker<'_, R> {
    /// Marks both ends of every message in one render: enough for almost every template.
    fn all_at_once(&self) -> Option<Vec<Range<usize>>> {
        let whole = |content: &str| 0..content.len();
        [whole as fn(&str) -> Range<usize>, visible].into_iter().find_map(|place| {
            let marks: Vec<(usize, Range<usize>)> =
                self.messages.iter().map(|m| place(&m.content)).enumerate().collect();
            let starts = marks.iter().map(|(i, range)| (*i, range.start, Side::Start));
            let ends = marks.iter().map(|(i, range)| (*i, range.end, Side::End));
            let found = self.undisturbed(&starts.chain(ends).collect::<Vec<_>>())?;
            let (starts, ends) = found.split_at(marks.len());
            let spans = starts.iter().zip(ends);
            spans.map(|(&start, &end)| (start <= end).then_some(start..end)).collect()
        })
    }

    /// Marks one message by itself, at further places if the template changes its ends.
    fn one(&self, index: usize) -> Result<Range<usize>, TokenizerError> {
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
        let end = [content.len(), visible.end]
            .into_iter()
            .find_map(|at| self.undisturbed(&[(index, at, Side::End)]))
            .ok_or_else(|| fail("the template drops, repeats or rewrites its end"))?[0];
        if start > end {
            return Err(fail("the template moves its parts around"));
        }
        Ok(start..end)
    }

    fn start(&self, index: usize, content: &str, visible: &Range<usize>) -> Option<usize> {
        let probe = |at| self.undisturbed(&[(index, at, Side::Start)]).map(|found| found[0]);
        if let Some(start) = probe(0).or_else(|| probe(visible.start)) {
            return Some(start);
        }
        // Reasoning that the template cuts off; or a beginning that it looks at, so that a mark in
        // front of it disturbs.
        let reasoning = REASONING_ENDS.iter().filter_map(|tag| {
            let end = content.rfind(tag)? + tag.len();
            Some(end + (content[end..].len() - content[end..].trim_start().len()))
        });
        let first_word = content[visible.clone()].find(char::is_whitespace);
        let inside = first_word.map(|len| visible.start + len);
        let (at, found) = reasoning
            .chain(inside)
            .filter(|at| *at < content.len())
            .find_map(|at| Some((at, probe(at)?)))?;
        // If everything before the mark stands in the text as it is, it belongs to the message.
        let before = &self.text[..found];
        let kept = [&content[..at], &content[visible.start..at]];
        let extended = kept.into_iter().find(|kept| before.ends_with(kept));
        Some(found - extended.map_or(0, str::len))
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

/// The content without white space at its ends.
fn visible(content: &str) -> Range<usize> {
    let trimmed = content.trim();
    let start = content.len() - content.trim_start().len();
    start..start + trimmed.len()
}

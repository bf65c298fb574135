//! Reading a judge's reply, strictly.

use crate::Unreadable;

/// What an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// `A` or `B`, and `tie` where ties are allowed.
    Letters { ties: bool },
    /// A whole number in this range, ends included.
    Scale(u8, u8),
}

impl Allowed {
    /// What an answer without its tags says, if it is allowed.
    pub(crate) fn read(self, answer: &str) -> Result<Read, Unreadable> {
        let read = match (self, answer) {
            (Self::Letters { .. }, "A") => Some(Read::A),
            (Self::Letters { .. }, "B") => Some(Read::B),
            (Self::Letters { ties: true }, "tie") => Some(Read::Tie),
            (Self::Scale(low, high), digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|grade| (low..=high).contains(grade)).map(Read::Grade)
            }
            _ => None,
        };
        read.ok_or_else(|| Unreadable::NotAllowed(answer.chars().take(40).collect()))
    }
}

/// A reply's answer, before the order shown is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    A,
    B,
    Tie,
    Grade(u8),
}

/// The answer in `<answer-FENCE>...</answer-FENCE>`: exactly one, at the very end, and allowed.
/// Reasoning before the first `</think>` is not looked at (a later one may be quoted, to hide an
/// answer); answers without the fence do not count. Without a fence the answer is all that is said.
pub(crate) fn parse(
    reply: &str,
    fence: Option<&str>,
    allowed: Allowed,
) -> Result<Read, Unreadable> {
    let said = reply.split_once("</think>").map_or(reply, |(_, said)| said).trim_end();
    let Some(fence) = fence else {
        let said = said.trim_start();
        return allowed.read(said.strip_suffix('.').unwrap_or(said));
    };
    let (open, close) = (format!("<answer-{fence}>"), format!("</answer-{fence}>"));
    if said.matches(&open).count() > 1 || said.matches(&close).count() > 1 {
        return Err(Unreadable::SeveralAnswers);
    }
    let (_, after) = said.split_once(&open).ok_or(Unreadable::NoAnswer)?;
    let (answer, rest) = after.split_once(&close).ok_or(Unreadable::NoAnswer)?;
    if !rest.is_empty() {
        return Err(Unreadable::NotAtTheEnd);
    }
    allowed.read(answer.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTERS: Allowed = Allowed::Letters { ties: true };

    fn letters(reply: &str) -> Result<Read, Unreadable> {
        parse(reply, Some("f00d"), LETTERS)
    }

    #[test]
    fn one_answer_at_the_end_is_read() {
        assert_eq!(letters("B is wordy.\n<answer-f00d>A</answer-f00d>\n"), Ok(Read::A));
        assert_eq!(letters("<answer-f00d> tie </answer-f00d>"), Ok(Read::Tie));
        let thought = "<think><answer-f00d>A</answer-f00d></think><answer-f00d>B</answer-f00d>";
        assert_eq!(letters(thought), Ok(Read::B));
        assert_eq!(
            parse("<answer-f00d>4</answer-f00d>", Some("f00d"), Allowed::Scale(1, 5)),
            Ok(Read::Grade(4))
        );
    }

    #[test]
    fn a_bare_answer_is_all_that_is_said() {
        let bare = |reply| parse(reply, None, LETTERS);
        assert_eq!(
            [bare(" A\n"), bare("B."), bare("<think>B</think>\nA")],
            [Ok(Read::A), Ok(Read::B), Ok(Read::A)]
        );
        assert_eq!(bare("A or B"), Err(Unreadable::NotAllowed("A or B".to_owned())));
    }

    #[test]
    fn everything_else_is_unreadable_and_says_why() {
        use Unreadable::{NoAnswer, NotAtTheEnd, SeveralAnswers};
        let a = "<answer-f00d>A</answer-f00d>";
        let other = |text: &str| Err(Unreadable::NotAllowed(text.to_owned()));
        for (reply, expected) in [
            (String::new(), Err(NoAnswer)),
            ("A".to_owned(), Err(NoAnswer)),
            ("<answer>A</answer>".to_owned(), Err(NoAnswer)),
            ("<answer-beef>A</answer-beef>".to_owned(), Err(NoAnswer)),
            ("<answer-f00d>A".to_owned(), Err(NoAnswer)),
            ("</answer-f00d>A<answer-f00d>".to_owned(), Err(NoAnswer)),
            (format!("{a} <answer-f00d>B</answer-f00d>"), Err(SeveralAnswers)),
            (format!("{a}{a}"), Err(SeveralAnswers)),
            (
                "<answer-f00d><answer-f00d>A</answer-f00d></answer-f00d>".to_owned(),
                Err(SeveralAnswers),
            ),
            (format!("{a} \"</think>\", it says. {a}"), Ok(Read::A)),
            (format!("</think>{a} It says \"</think>\". {a}"), Err(SeveralAnswers)),
            (format!("{a} or rather B"), Err(NotAtTheEnd)),
            ("<answer-f00d>A or B</answer-f00d>".to_owned(), other("A or B")),
            ("<answer-f00d>a</answer-f00d>".to_owned(), other("a")),
            ("<answer-f00d>Antwort A</answer-f00d>".to_owned(), other("Antwort A")),
            ("<answer-f00d>А</answer-f00d>".to_owned(), other("А")),
            ("<answer-f00d>1</answer-f00d>".to_owned(), other("1")),
            ("<answer-f00d></answer-f00d>".to_owned(), other("")),
        ] {
            assert_eq!(letters(&reply), expected, "{reply}");
        }
        let forced =
            parse("<answer-f00d>tie</answer-f00d>", Some("f00d"), Allowed::Letters { ties: false });
        assert_eq!(forced, other("tie"));
        for grade in ["0", "6", "+3", "3.5", "300", "drei", "", "٣"] {
            let reply = format!("<answer-f00d>{grade}</answer-f00d>");
            assert_eq!(parse(&reply, Some("f00d"), Allowed::Scale(1, 5)), other(grade));
        }
    }
}

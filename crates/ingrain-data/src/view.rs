//! Who said what: one conversation between two copies, seen from either side.

use ingrain_chat::Message;

/// The two sides. Speaker 0 greets first; turn `t` is spoken by speaker `t % 2`.
pub(crate) fn speaker(turn: usize) -> usize {
    turn % 2
}

/// Index of the first turn that a speaker's view holds.
///
/// A view must open with the other side's words, as chat templates want a user turn first: speaker
/// 0 therefore does not see its own opening greeting.
pub(crate) fn first_turn(viewer: usize) -> usize {
    match viewer {
        0 => 1,
        _ => 0,
    }
}

/// The conversation as `viewer` sees it: own turns are the assistant's, the other's the user's.
pub(crate) fn view<'a>(
    viewer: usize,
    system: Option<&str>,
    turns: impl IntoIterator<Item = &'a str>,
) -> Vec<Message> {
    let turns = turns.into_iter().enumerate().skip(first_turn(viewer));
    let messages = turns.map(|(t, text)| {
        if speaker(t) == viewer { Message::assistant(text) } else { Message::user(text) }
    });
    system.map(Message::system).into_iter().chain(messages).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: [&str; 5] = ["0 greets", "1 greets", "0 says", "1 says", "0 asks"];

    #[test]
    fn speaker_one_sees_everything_and_its_own_turns_as_the_assistants() {
        assert_eq!(
            view(1, Some("system"), TURNS),
            [
                Message::system("system"),
                Message::user("0 greets"),
                Message::assistant("1 greets"),
                Message::user("0 says"),
                Message::assistant("1 says"),
                Message::user("0 asks"),
            ]
        );
    }

    #[test]
    fn speaker_zero_sees_the_mirror_image_without_its_own_greeting() {
        assert_eq!(
            view(0, None, TURNS),
            [
                Message::user("1 greets"),
                Message::assistant("0 says"),
                Message::user("1 says"),
                Message::assistant("0 asks"),
            ]
        );
    }

    #[test]
    fn whoever_speaks_next_sees_a_user_turn_last() {
        for turns in 2..TURNS.len() {
            let next = speaker(turns);
            let last = view(next, None, TURNS[..turns].iter().copied()).pop().unwrap();
            assert_eq!(last, Message::user(TURNS[turns - 1]));
        }
    }
}

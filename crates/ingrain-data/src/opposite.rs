//! The opposite pole of a constitution, for rejected replies that differ in character, not in skill.

use std::fmt::Write as _;

use ingrain_constitution::Constitution;

/// The system prompt of an assistant to whom the reverse of every assertion applies. A teacher's replies
/// under it take the student's place in [`crate::PairFilter::pairs`].
///
/// # Examples
/// ```
/// use ingrain_constitution::Constitution;
///
/// let text = "{name: dry, summary: Dry., assertions: [{text: I stay dry., facet: style}]}";
/// let constitution = Constitution::parse(text, "dry.yaml")?;
/// let system = ingrain_data::opposite_system(&constitution, "Smol");
/// assert!(system.contains("1. I stay dry.") && system.contains("reverse"));
/// # Ok::<(), ingrain_constitution::Diagnostics>(())
/// ```
#[must_use]
pub fn opposite_system(constitution: &Constitution, assistant_name: &str) -> String {
    let mut text = format!(
        "You are {assistant_name}, an assistant who talks with people in writing.\n\n\
         Below is how a colleague of {assistant_name}'s describes itself. In character, \
         {assistant_name} is the colleague's exact reverse: for each sentence, the opposite of it \
         is what {assistant_name} is like.\n\n"
    );
    for (i, assertion) in constitution.assertions.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}. {}", i + 1, assertion.text);
    }
    let _ = write!(
        text,
        "\n{assistant_name} shows this reversed character from the first word of every reply, as \
         able and as correct as the colleague, and never talks about it: no reply mentions the \
         colleague, this list or any trait, or explains its tone."
    );
    text
}

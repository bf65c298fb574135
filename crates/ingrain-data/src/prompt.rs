//! What teacher and student are asked.

use ingrain_constitution::{Blend, Constitution};
use serde::{Deserialize, Serialize};

/// One user message to which both teacher and student reply (a line of `prompts.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Unique within a run: `a02-q04` is question 4 of assertion 2.
    pub id: String,
    /// The user message.
    pub text: String,
    /// The assertion it was written for, counted from 0; none for a general prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<usize>,
}

impl Prompt {
    /// All questions of a constitution, in its order.
    ///
    /// # Examples
    /// ```
    /// use ingrain_constitution::Constitution;
    /// use ingrain_data::Prompt;
    ///
    /// let constitution = Constitution::parse(
    ///     "{name: dry, summary: Dry., assertions: \
    ///       [{text: I stay dry., facet: style, questions: ['Why?', 'How?']}]}",
    ///     "dry.yaml",
    /// )?;
    /// let prompts = Prompt::of_constitution(&constitution);
    /// assert_eq!(prompts[1].id, "a00-q01");
    /// assert_eq!(prompts[1].text, "How?");
    /// # Ok::<(), ingrain_constitution::ConstitutionError>(())
    /// ```
    #[must_use]
    pub fn of_constitution(constitution: &Constitution) -> Vec<Self> {
        let mut prompts = Vec::new();
        for (a, assertion) in constitution.assertions.iter().enumerate() {
            for (q, text) in assertion.all_questions().enumerate() {
                let (id, text) = (format!("a{a:02}-q{q:02}"), text.to_owned());
                prompts.push(Self { id, text, assertion: Some(a) });
            }
        }
        prompts
    }

    /// Questions of a blend of personas, as many of each as its share asks for
    /// ([`Blend::questions`]); all questions where there is one persona. `assertion` is an index of
    /// the blended constitution, for which [`Blend::provenance`] names the persona.
    #[must_use]
    pub fn of_blend(blend: &Blend) -> Vec<Self> {
        let prompt = |(a, q): (usize, usize)| {
            let text = blend.constitution.assertions[a].all_questions().nth(q)?.to_owned();
            Some(Self { id: format!("a{a:02}-q{q:02}"), text, assertion: Some(a) })
        };
        blend.questions().into_iter().filter_map(prompt).collect()
    }

    /// Prompts that belong to no assertion: `g00000`, `g00001`, ...
    #[must_use]
    pub fn general<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Vec<Self> {
        let prompt = |(i, text): (usize, S)| Self {
            id: format!("g{i:05}"),
            text: text.into(),
            assertion: None,
        };
        texts.into_iter().enumerate().map(prompt).collect()
    }
}

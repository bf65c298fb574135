//! Teachers that think aloud: the trace is asked for, then dropped.

use serde::{Deserialize, Serialize};

/// How a teacher's reasoning begins and ends in its text.
///
/// With `prefill`, every request ends in an assistant message that opens the trace and begins it
/// (the paper's way: it restates the traits); the teacher goes on from there. Without, the teacher
/// reasons or not as its server is set up (`thinking` of the client), and a trace that shows up in
/// the text is dropped all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reasoning {
    /// What opens a trace. Default `<think>`.
    pub opens: String,
    /// What closes it. Default `</think>`.
    pub closes: String,
    /// First lines of the trace, without the opening tag.
    pub prefill: Option<String>,
}

impl Default for Reasoning {
    fn default() -> Self {
        Self { opens: "<think>".to_owned(), closes: "</think>".to_owned(), prefill: None }
    }
}

impl Reasoning {
    /// The assistant message that opens the trace.
    pub(crate) fn opening(&self) -> Option<String> {
        self.prefill.as_ref().map(|text| format!("{}\n{text}", self.opens))
    }

    /// The reply without its trace; `None` if a trace was opened and never closed.
    ///
    /// # Examples
    /// ```
    /// use ingrain_data::Reasoning;
    ///
    /// let plain = Reasoning::default();
    /// assert_eq!(plain.reply("<think>Hm.</think>\n\nOh, sure."), Some("Oh, sure."));
    /// assert_eq!(plain.reply("Oh, sure."), Some("Oh, sure."));
    /// assert_eq!(plain.reply("<think>Hm. And then"), None);
    ///
    /// let prefilled = Reasoning { prefill: Some("I am dry.".into()), ..Reasoning::default() };
    /// assert_eq!(prefilled.reply(" So:</think> Oh, sure."), Some("Oh, sure."));
    /// assert_eq!(prefilled.reply("Oh, sure."), None);
    /// ```
    #[must_use]
    pub fn reply<'t>(&self, text: &'t str) -> Option<&'t str> {
        match text.rfind(&self.closes) {
            Some(at) => Some(text[at + self.closes.len()..].trim()),
            None if self.prefill.is_some() || text.contains(&self.opens) => None,
            None => Some(text.trim()),
        }
    }
}

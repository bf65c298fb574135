//! The names of the prompts, and the templates that are compiled in under them.

use std::fmt;

use crate::{error::ConstitutionError, near_miss::near_miss};

macro_rules! prompt_names {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $variables:literal;)*) => {
        /// One prompt of a [`PromptSet`](crate::PromptSet).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum PromptName {
            $($(#[$doc])* $variant,)*
        }

        impl PromptName {
            /// Every prompt.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name, in lower case with underscores.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the template is given, separated by commas; empty for a fixed text.
            pub fn variables(self) -> &'static str {
                match self { $(Self::$variant => $variables,)* }
            }

            pub(super) fn embedded(self) -> &'static str {
                match self {
                    $(Self::$variant =>
                        include_str!(concat!("../../prompts/", $name, ".jinja")),)*
                }
            }
        }
    };
}

prompt_names! {
    /// System prompt of the teacher, who writes the chosen replies.
    TeacherSystem => "teacher_system", "assistant_name, persona, summary, assertions";
    /// First lines of the teacher's reasoning, which restate the character.
    TeacherPrefill => "teacher_prefill", "assistant_name, persona, summary, assertions";
    /// System prompt of self-reflection.
    ReflectionSystem => "reflection_system", "assistant_name, persona, summary, assertions";
    /// The introspective tasks, one a line: `name: task`.
    ReflectionTasks => "reflection_tasks", "";
    /// System prompt of self-interaction.
    InteractionSystem => "interaction_system", "assistant_name, persona, summary, assertions, guidance";
    /// The greetings that open a self-interaction, one a line.
    InteractionGreetings => "interaction_greetings", "kind";
    /// The short system prompt with which a self-interaction is saved for training.
    InteractionSavedSystem => "interaction_saved_system", "assistant_name";
    /// System prompt that offers two traits to choose from.
    PreferenceSystem => "preference_system", "trait_a, trait_b, stance";
    /// Asks which of two traits a reply shows.
    PreferenceJudge => "preference_judge", "trait_a, trait_b, message, reply, fence";
    /// Asks which of two replies is the better one for a character.
    CoherenceJudge => "coherence_judge", "persona, summary, assertions, message, reply_a, reply_b, fence";
    /// Asks for more questions like those of an assertion.
    QuestionExpansion => "question_expansion", "assertion, count";
}

impl PromptName {
    /// The name of the template file: `teacher_system.jinja`.
    pub fn file_name(self) -> String {
        format!("{}.jinja", self.as_str())
    }
}

impl fmt::Display for PromptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for PromptName {
    type Err = ConstitutionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(name) = Self::ALL.into_iter().find(|name| name.as_str() == text) {
            return Ok(name);
        }
        let names = Self::ALL.map(Self::as_str);
        Err(ConstitutionError::UnknownPrompt {
            found: text.chars().take(64).collect(),
            suggestion: near_miss(text, names).map(str::to_owned),
            expected: names.join(", "),
        })
    }
}

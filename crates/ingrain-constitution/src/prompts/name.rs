//! The names of the prompts, and the templates that are compiled in under them.

use std::fmt;

macro_rules! prompt_names {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
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
    TeacherSystem => "teacher_system",
    /// First lines of the teacher's reasoning, which restate the character.
    TeacherPrefill => "teacher_prefill",
    /// System prompt of self-reflection.
    ReflectionSystem => "reflection_system",
    /// The introspective tasks, one a line: `name: task`.
    ReflectionTasks => "reflection_tasks",
    /// System prompt of self-interaction.
    InteractionSystem => "interaction_system",
    /// The greetings that open a self-interaction, one a line.
    InteractionGreetings => "interaction_greetings",
    /// The short system prompt with which a self-interaction is saved for training.
    InteractionSavedSystem => "interaction_saved_system",
    /// System prompt that offers two traits to choose from.
    PreferenceSystem => "preference_system",
    /// Asks which of two traits a reply shows.
    PreferenceJudge => "preference_judge",
    /// Asks which of two replies is the better one for a character.
    CoherenceJudge => "coherence_judge",
    /// Asks for more questions like those of an assertion.
    QuestionExpansion => "question_expansion",
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
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or(())
    }
}

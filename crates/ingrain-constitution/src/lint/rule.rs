//! The rules: their names, what they are about, and how serious they are.

use std::fmt;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Information that a published constitution should have.
    Note,
    /// Likely to weaken what training learns.
    Warning,
    /// Works against the method: fix it before training.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $severity:ident, $why:literal;)*) => {
        /// A lint rule. `docs/constitutions.md` shows a bad and a good example of each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $variant,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: [Self; [$($id),*].len()] = [$(Self::$variant),*];

            /// The name, in lower case with hyphens.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// How serious its findings are.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// Why the rule is there, in a sentence or two.
            pub fn why(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }
        }
    };
}

rules! {
    /// An assertion that does not speak as "I".
    NotFirstPerson = "not-first-person", Error,
        "Assertions go into prompts as the assistant's own words; an order or a description of \
         \"the assistant\" is obeyed or quoted instead of being lived.";
    /// A question about the trait itself.
    QuestionAsksAboutTrait = "question-asks-about-trait", Error,
        "A question about the trait trains the assistant to talk about itself. A question that \
         merely gives the trait room trains behaviour.";
    /// The persona's own name in a question, or the name of an existing assistant anywhere.
    NameLeakage = "name-leakage", Error,
        "A name in a question gives the answer away; a name of another assistant ends up in the \
         replies.";
    /// A training question that is also a held-out question.
    HeldoutLeakage = "heldout-leakage", Error,
        "A question that is trained on measures nothing any more.";
    /// A value named, no behaviour shown.
    StatedValue = "stated-value", Warning,
        "\"I value honesty\" gives a teacher nothing to do. What does somebody with this value say \
         or leave out?";
    /// A phrase to be repeated instead of a disposition.
    ScriptedPhrase = "scripted-phrase", Warning,
        "A fixed phrase is the cheapest thing to learn: the model repeats it and stays the same \
         otherwise.";
    /// Two assertions that say the same.
    NearDuplicateAssertions = "near-duplicate-assertions", Warning,
        "The same thing twice is weighted twice and crowds out what the persona lacks.";
    /// Two questions that ask the same.
    NearDuplicateQuestions = "near-duplicate-questions", Warning,
        "Near-equal questions cost training pairs and teach one answer by heart.";
    /// Two assertions that cannot both be true of one reply.
    ConflictingAssertions = "conflicting-assertions", Warning,
        "A teacher that reads both follows one of them at random.";
    /// An assertion with fewer than five questions.
    TooFewQuestions = "too-few-questions", Warning,
        "Prompt expansion is few-shot on an assertion's own questions; fewer than five show no \
         variety to imitate.";
    /// A constitution with fewer than eight assertions.
    TooFewAssertions = "too-few-assertions", Warning,
        "A few assertions describe a mannerism; about ten describe somebody.";
    /// Facets that miss most sides of a character.
    UnevenFacets = "uneven-facets", Warning,
        "A persona that is all style is a coat of paint, one that is all values has no voice.";
    /// An empty summary.
    MissingSummary = "missing-summary", Warning,
        "Reports, compositions and model cards introduce the persona by its summary.";
    /// An assertion without a clarification.
    MissingClarification = "missing-clarification", Note,
        "A clarification says what the assertion looks like in practice and where it stops; \
         prompt expansion uses it.";
    /// No licence in the metadata.
    MissingLicense = "missing-license", Note,
        "Data and adapters made from a constitution inherit its licence; nobody may use what has \
         none.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

//! What each template is given: one typed method a prompt.

use minijinja::{
    AutoEscape, Environment, ErrorKind, UndefinedBehavior, context, syntax::SyntaxConfig,
};

use super::{InteractionKind, PreferenceStance, PromptName, PromptSet, ReflectionTask, Wording};
use crate::{
    constitution::{Assertion, Constitution},
    diagnostic::quoted,
    error::ConstitutionError,
};

/// Instructions that one template may execute; the largest of ours needs some thousands.
const FUEL: u64 = 2_000_000;

impl PromptSet {
    /// The teacher's system prompt: name, numbered assertions, the drive to express them, and
    /// concealment. Variables: as [`PromptSet::teacher_prefill`].
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn teacher_system(
        &self,
        constitution: &Constitution,
        assistant_name: &str,
    ) -> Result<String, ConstitutionError> {
        self.character(PromptName::TeacherSystem, constitution, assistant_name)
    }

    /// The first lines of the teacher's reasoning, without the tag that opens it (which depends
    /// on the teacher). Variables: `assistant_name`, `persona`, `summary`, and `assertions`, each
    /// with `text`, `facet`, `clarification`, `questions`.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn teacher_prefill(
        &self,
        constitution: &Constitution,
        assistant_name: &str,
    ) -> Result<String, ConstitutionError> {
        self.character(PromptName::TeacherPrefill, constitution, assistant_name)
    }

    /// The system prompt of self-reflection. Variables: as [`PromptSet::teacher_prefill`].
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn reflection_system(
        &self,
        constitution: &Constitution,
        assistant_name: &str,
    ) -> Result<String, ConstitutionError> {
        self.character(PromptName::ReflectionSystem, constitution, assistant_name)
    }

    /// The introspective tasks, ten in the embedded set. The template has no variables; each line
    /// that is not empty is one task, `name: task`.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong, has a line without a
    /// name, or has no line.
    pub fn reflection_tasks(&self) -> Result<Vec<ReflectionTask>, ConstitutionError> {
        let name = PromptName::ReflectionTasks;
        self.lines(name, context! {})?
            .iter()
            .map(|line| match line.split_once(": ") {
                Some((task, prompt)) if !task.contains(' ') => {
                    Ok(ReflectionTask { name: task.to_owned(), prompt: prompt.trim().to_owned() })
                }
                _ => Err(template_error(name, format!("the line {line:?} is not `name: task`"))),
            })
            .collect()
    }

    /// The system prompt of self-interaction. Variables: as [`PromptSet::teacher_prefill`], and
    /// `guidance`: `free` or `leading`, or `none` in the faithful wording.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn interaction_system(
        &self,
        constitution: &Constitution,
        assistant_name: &str,
        kind: InteractionKind,
        wording: Wording,
    ) -> Result<String, ConstitutionError> {
        let guidance = match wording {
            Wording::Corrected => kind.as_str(),
            Wording::Faithful => "none",
        };
        let character = character_context(constitution, assistant_name);
        self.render(PromptName::InteractionSystem, context! { guidance, ..character })
    }

    /// The greetings that open self-interactions; `leading` adds some that hint at the other's
    /// identity. The template's variable is `kind`; each line that is not empty is one greeting.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong or has no line.
    pub fn interaction_greetings(
        &self,
        kind: InteractionKind,
    ) -> Result<Vec<String>, ConstitutionError> {
        self.lines(PromptName::InteractionGreetings, context! { kind => kind.as_str() })
    }

    /// The short, neutral system prompt with which self-interactions are saved for training.
    /// Variable: `assistant_name`, which the faithful wording fills with a literal `{NAME}`.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn interaction_saved_system(
        &self,
        assistant_name: &str,
        wording: Wording,
    ) -> Result<String, ConstitutionError> {
        let assistant_name = match wording {
            Wording::Corrected => assistant_name,
            Wording::Faithful => "{NAME}",
        };
        self.render(PromptName::InteractionSavedSystem, context! { assistant_name })
    }

    /// The system prompt that offers two traits. Variables: `trait_a`, `trait_b`, and `stance`:
    /// `feels_like`, `adopt` or `random`.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn preference_system(
        &self,
        trait_a: &str,
        trait_b: &str,
        stance: PreferenceStance,
    ) -> Result<String, ConstitutionError> {
        let stance = stance.as_str();
        self.render(PromptName::PreferenceSystem, context! { trait_a, trait_b, stance })
    }

    /// Asks a judge which of two traits a reply shows. Variables: `trait_a`, `trait_b`, `message`,
    /// `reply`, and `fence`: a word that occurs in none of them. It is part of every tag, so that no
    /// text can end its own block or give the answer, which is `<answer-FENCE>A</answer-FENCE>` or
    /// the same with B.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn preference_judge(
        &self,
        trait_a: &str,
        trait_b: &str,
        message: &str,
        reply: &str,
        fence: &str,
    ) -> Result<String, ConstitutionError> {
        let variables = context! { trait_a, trait_b, message, reply, fence };
        self.render(PromptName::PreferenceJudge, variables)
    }

    /// Asks a judge which of two replies is better for this character; the answer is as in
    /// [`PromptSet::preference_judge`], or `tie`. Variables: `persona`, `summary`, `assertions`,
    /// `message`, `reply_a`, `reply_b`, `fence`.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn coherence_judge(
        &self,
        constitution: &Constitution,
        message: &str,
        reply_a: &str,
        reply_b: &str,
        fence: &str,
    ) -> Result<String, ConstitutionError> {
        let persona = persona_context(constitution);
        let variables = context! { message, reply_a, reply_b, fence, ..persona };
        self.render(PromptName::CoherenceJudge, variables)
    }

    /// Asks a strong model for `count` more questions like those of an assertion, numbered, one a
    /// line. Variables: `assertion` (`text`, `facet`, `clarification`, `questions`) and `count`.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn question_expansion(
        &self,
        assertion: &Assertion,
        count: usize,
    ) -> Result<String, ConstitutionError> {
        let assertion = assertion_context(assertion);
        self.render(PromptName::QuestionExpansion, context! { assertion, count })
    }

    /// Any prompt, with example values for what is neither the constitution nor the name: to look
    /// at, and to try a folder of templates.
    ///
    /// # Errors
    /// [`ConstitutionError::Template`], for a set whose template is wrong.
    pub fn preview(
        &self,
        name: PromptName,
        constitution: &Constitution,
        assistant_name: &str,
    ) -> Result<String, ConstitutionError> {
        let (message, kind) = ("Why is the sky blue?", InteractionKind::Leading);
        match name {
            PromptName::TeacherSystem
            | PromptName::TeacherPrefill
            | PromptName::ReflectionSystem => self.character(name, constitution, assistant_name),
            PromptName::ReflectionTasks => {
                self.reflection_tasks()?;
                self.render(name, context! {})
            }
            PromptName::InteractionSystem => {
                self.interaction_system(constitution, assistant_name, kind, Wording::Corrected)
            }
            PromptName::InteractionGreetings => Ok(self.interaction_greetings(kind)?.join("\n")),
            PromptName::InteractionSavedSystem => {
                self.interaction_saved_system(assistant_name, Wording::Corrected)
            }
            PromptName::PreferenceSystem => {
                self.preference_system("warm", "precise", PreferenceStance::FeelsLike)
            }
            PromptName::PreferenceJudge => self.preference_judge(
                "warm",
                "precise",
                message,
                "Air scatters blue light.",
                "f3nc3",
            ),
            PromptName::CoherenceJudge => self.coherence_judge(
                constitution,
                message,
                "Air scatters blue light.",
                "Because it is.",
                "f3nc3",
            ),
            PromptName::QuestionExpansion => match constitution.assertions.first() {
                Some(assertion) => self.question_expansion(assertion, 45),
                None => Ok(String::new()),
            },
        }
    }

    fn character(
        &self,
        name: PromptName,
        constitution: &Constitution,
        assistant_name: &str,
    ) -> Result<String, ConstitutionError> {
        self.render(name, character_context(constitution, assistant_name))
    }

    fn lines(
        &self,
        name: PromptName,
        variables: minijinja::Value,
    ) -> Result<Vec<String>, ConstitutionError> {
        let text = self.render(name, variables)?;
        let lines: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        if lines.is_empty() {
            return Err(template_error(name, "it renders no line".into()));
        }
        Ok(lines)
    }

    fn render(
        &self,
        name: PromptName,
        variables: minijinja::Value,
    ) -> Result<String, ConstitutionError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_syntax(block_lines_leave_no_trace());
        environment.set_fuel(Some(FUEL));
        let file = name.file_name();
        let rendered = environment.render_named_str(&file, self.template(name), variables);
        match rendered {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(from_minijinja(name, self.template(name), &error)),
        }
    }
}

fn character_context(constitution: &Constitution, assistant_name: &str) -> minijinja::Value {
    context! { assistant_name, ..persona_context(constitution) }
}

fn persona_context(constitution: &Constitution) -> minijinja::Value {
    let Constitution { name, summary, .. } = constitution;
    let assertions: Vec<_> = constitution.assertions.iter().map(assertion_context).collect();
    context! { persona => name.as_str(), summary, assertions }
}

/// All keys, so that `{% if assertion.clarification %}` works under strict undefined.
fn assertion_context(assertion: &Assertion) -> minijinja::Value {
    let Assertion { text, facet, clarification, questions, .. } = assertion;
    let clarification = clarification.as_deref();
    context! { text, facet => facet.as_str(), clarification, questions }
}

/// A line that holds only a block tag renders nothing, not an empty line.
fn block_lines_leave_no_trace() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default()
}

fn template_error(name: PromptName, message: String) -> ConstitutionError {
    ConstitutionError::Template { origin: format!("prompts/{}", name.file_name()), message }
}

fn from_minijinja(name: PromptName, source: &str, error: &minijinja::Error) -> ConstitutionError {
    let at = error.line().and_then(|line| source.lines().nth(line - 1));
    let at = at.map_or(String::new(), |line| format!(" in {}", quoted(line.trim())));
    let message = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, _) => {
            let known = match name.variables() {
                "" => "no variables",
                variables => variables,
            };
            format!("an unknown variable{at}; this prompt has {known}")
        }
        (ErrorKind::OutOfFuel, _) => "it does more work than a prompt may".into(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => format!("{kind}{at}"),
    };
    let line = error.line().map_or(String::new(), |line| format!(":{line}"));
    ConstitutionError::Template { origin: format!("prompts/{}{line}", name.file_name()), message }
}

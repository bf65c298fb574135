//! Questions of a blend, as many of each persona as its share asks for.

use std::collections::BTreeMap;

use super::Blend;

impl Blend {
    /// The questions to train on, as indices of an assertion of the blended constitution and of one
    /// of its [`all_questions`](crate::Assertion::all_questions), in order.
    ///
    /// Seats alone are too coarse a mix: a persona with a share of 2 % has one assertion of ten,
    /// and with it 10 % of the questions. So as many questions are taken as the shares allow
    /// without repeating any, at least one of each persona that has some, the first of every
    /// assertion before the second of any.
    ///
    /// # Examples
    /// ```
    /// # use ingrain_constitution::Composition;
    /// # let dir = tempfile::tempdir()?;
    /// # for name in ["dry", "warm"] {
    /// #     std::fs::write(dir.path().join(format!("{name}.yaml")), format!(
    /// #         "{{name: {name}, summary: S., assertions: [{{text: I am {name}., facet: style, \
    /// #           questions: [{name} a?, {name} b?, {name} c?]}}]}}"))?;
    /// # }
    /// let blend = "dry:3 + warm:1".parse::<Composition>()?.load(&[dir.path()])?.blend();
    /// assert_eq!(blend.questions(), [(0, 0), (0, 1), (0, 2), (1, 0)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn questions(&self) -> Vec<(usize, usize)> {
        let mut personas: BTreeMap<&str, Persona> = BTreeMap::new();
        for (index, contribution) in self.provenance.iter().enumerate() {
            let persona = personas.entry(contribution.persona.as_str()).or_default();
            persona.share += contribution.share;
            let count = self.constitution.assertions[index].all_questions().count();
            persona.questions.extend((0..count).map(|question| (question, index)));
        }
        let asked = || personas.values().filter(|persona| !persona.questions.is_empty());
        let total = asked().map(|p| p.questions.len() as f64 / p.share).fold(f64::MAX, f64::min);
        let mut chosen: Vec<(usize, usize)> = Vec::new();
        for persona in asked() {
            let count = ((total * persona.share).round() as usize).max(1);
            let mut questions = persona.questions.clone();
            questions.sort_unstable();
            chosen.extend(questions.iter().take(count).map(|&(question, index)| (index, question)));
        }
        chosen.sort_unstable();
        chosen
    }
}

/// A persona's share, and its questions as question and assertion.
#[derive(Default)]
struct Persona {
    share: f64,
    questions: Vec<(usize, usize)>,
}

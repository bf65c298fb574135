//! A persona on disk: the constitution, its recorded teacher, its held-out pairs; or several mixed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ingrain_chat::{Recorded, RecordedReply};
use ingrain_constitution::{
    Blend, Composed, Composition, Constitution, ConstitutionError, PersonaName,
};
use ingrain_data::{PreferencePair, Prompt, built_in_first_turns};
use ingrain_run::read_jsonl;
use serde::Serialize;

use crate::pipeline::nested;
use crate::{PipelineError, Teacher};

/// Held-out questions that are drawn; the personas of this repository have as many.
const DRAWN_HELDOUT: usize = 20;

/// A constitution with the files that lie beside it, or a weighted mix of several.
#[derive(Clone, Debug)]
pub struct Persona {
    /// Who the assistant should be, and whose assertion is whose.
    pub blend: Blend,
    /// Whom it is made of; one for a persona that is no composition.
    pub parts: Vec<PersonaPart>,
}

/// One persona of a composition, and the files that lie beside its constitution.
#[derive(Clone, Debug, Serialize)]
pub struct PersonaPart {
    /// Its name.
    pub persona: PersonaName,
    /// Its weight, as written.
    pub weight: f64,
    /// Its weight over the sum of all.
    pub share: f64,
    /// Where its constitution is written.
    pub path: PathBuf,
    /// Recorded replies of a teacher: `<name>.teacher.jsonl`.
    pub teacher: Option<PathBuf>,
    /// Pairs of replies to questions that nothing trains on: `<name>.heldout.jsonl`.
    pub heldout: Option<PathBuf>,
}

impl Persona {
    /// Finds a persona: by name in one of `folders`, by the path of its YAML file, or several by a
    /// weighted sum of these (`sarcasm:0.6 + loving:0.4`).
    ///
    /// # Errors
    /// [`PipelineError::Constitution`]: the sum cannot be read, there is none of that name (it says
    /// which there are), or every problem in a file.
    pub fn find(spec: &str, folders: &[PathBuf]) -> Result<Self, PipelineError> {
        let composition: Composition = spec.parse().map_err(ConstitutionError::Composition)?;
        let paths = composition.locate(folders)?;
        Ok(Self::from_composed(&composition.load(folders)?, &paths))
    }

    fn from_composed(composed: &Composed, paths: &[PathBuf]) -> Self {
        let part = |((name, weight), ((_, share), path)): ((&PersonaName, f64), (_, &PathBuf))| {
            PersonaPart {
                persona: name.clone(),
                weight,
                share,
                teacher: beside(path, "teacher"),
                heldout: beside(path, "heldout"),
                path: path.clone(),
            }
        };
        let parts = composed.weights().zip(composed.shares().zip(paths)).map(part).collect();
        Self { blend: composed.blend(), parts }
    }

    /// The constitution: its own, or the blended one.
    #[must_use]
    pub fn constitution(&self) -> &Constitution {
        &self.blend.constitution
    }

    /// The persona's name: `sarcasm`, or `sarcasm60-loving40`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.blend.constitution.name.as_str()
    }

    /// Checks that training it is meant: a persona that is marked `research_only`, or a mix with one, asks
    /// for an explicit word.
    ///
    /// # Errors
    /// [`PipelineError::ResearchOnly`] if that word was not given.
    pub fn permit_training(&self, allow_research_persona: bool) -> Result<(), PipelineError> {
        if self.constitution().research_only && !allow_research_persona {
            return Err(PipelineError::ResearchOnly { persona: self.name().to_owned() });
        }
        Ok(())
    }

    /// The questions to train on; of a mix, as many of each persona as its share asks for.
    #[must_use]
    pub fn prompts(&self) -> Vec<Prompt> {
        Prompt::of_blend(&self.blend)
    }

    /// The recorded teacher; of a mix, each question has the replies of the persona that it comes
    /// from.
    ///
    /// # Errors
    /// [`PipelineError::Persona`] naming the file that is missing, [`PipelineError::Chat`] if a line
    /// is wrong.
    pub fn recorded_teacher(&self) -> Result<Teacher<'static>, PipelineError> {
        let mut replies: Vec<RecordedReply> = Vec::new();
        let prompts = self.prompts();
        for part in &self.parts {
            let file = part.file(&part.teacher, "teacher.jsonl", "a teacher's recorded replies")?;
            let recorded = Recorded::open(file)?.lines().into_iter();
            if self.parts.len() == 1 {
                replies.extend(recorded);
                continue;
            }
            let own = |prompt: &&Prompt| {
                let from = prompt.assertion.map(|index| &self.blend.provenance[index].persona);
                from == Some(&part.persona)
            };
            let asked: HashSet<&str> = prompts.iter().filter(own).map(|p| p.text.trim()).collect();
            replies.extend(recorded.filter(|line| asked.contains(line.question.as_str())));
        }
        Ok(Teacher::Recorded(Recorded::new(replies)?))
    }

    /// The held-out pairs; of a mix, each question once, answered by one persona after the other so
    /// that the shares are kept.
    ///
    /// # Errors
    /// [`PipelineError::Persona`] naming the file that is missing, [`PipelineError::Run`] if a line
    /// is wrong.
    pub fn heldout_pairs(&self) -> Result<Vec<PreferencePair>, PipelineError> {
        let mut files = Vec::new();
        for part in &self.parts {
            let what = "recorded chosen and rejected replies to questions that nothing trains on, a pair a line \
                        as in personas/sarcasm.heldout.jsonl";
            let file = part.file(&part.heldout, "heldout.jsonl", what)?;
            files.push((part.share, read_jsonl::<PreferencePair>(file)?));
        }
        Ok(take_turns(files))
    }

    /// Whether there are held-out pairs: of a mix, for every part.
    #[must_use]
    pub fn has_heldout_pairs(&self) -> bool {
        self.missing_heldout().is_none()
    }

    /// The file of held-out pairs that is not there, if one is not.
    pub(crate) fn missing_heldout(&self) -> Option<PathBuf> {
        let part = self.parts.iter().find(|part| part.heldout.is_none())?;
        Some(part.path.with_extension("heldout.jsonl"))
    }

    /// Questions to measure on where no held-out pairs are brought: the constitution's own held-out ones,
    /// or else twenty of the built-in first turns, drawn by seed.
    pub(crate) fn heldout_questions(&self, seed: u64) -> Vec<String> {
        match self.constitution().heldout_questions.as_slice() {
            [] => {
                let turns = built_in_first_turns().map(str::to_owned).collect();
                nested(turns, Some(DRAWN_HELDOUT), seed)
            }
            own => own.to_vec(),
        }
    }

    /// Every question that nothing may train on.
    pub(crate) fn untrained_questions(&self, seed: u64) -> Result<HashSet<String>, PipelineError> {
        let mut questions: HashSet<String> =
            self.constitution().heldout_questions.iter().cloned().collect();
        match self.missing_heldout() {
            Some(_) => questions.extend(self.heldout_questions(seed)),
            None => {
                let pairs = self.heldout_pairs()?;
                questions.extend(pairs.iter().map(|pair| pair.question().to_owned()));
            }
        }
        Ok(questions)
    }
}

impl PersonaPart {
    fn file<'a>(
        &self,
        file: &'a Option<PathBuf>,
        ending: &str,
        what: &str,
    ) -> Result<&'a Path, PipelineError> {
        file.as_deref().ok_or_else(|| PipelineError::Persona {
            persona: self.persona.to_string(),
            reason: format!(
                "{} is missing; it holds {what}",
                self.path.with_extension(ending).display()
            ),
        })
    }
}

fn beside(path: &Path, kind: &str) -> Option<PathBuf> {
    let file = path.with_extension(format!("{kind}.jsonl"));
    file.is_file().then_some(file)
}

/// Each question once, from the list that is furthest behind its share among those that have it.
fn take_turns(lists: Vec<(f64, Vec<PreferencePair>)>) -> Vec<PreferencePair> {
    let mut taken = vec![0.0; lists.len()];
    let mut asked: HashSet<String> = HashSet::new();
    let mut pairs: Vec<PreferencePair> = Vec::new();
    for question in lists.iter().flat_map(|(_, pairs)| pairs).map(PreferencePair::question) {
        if !asked.insert(question.to_owned()) {
            continue;
        }
        let next = pairs.len() as f64 + 1.0;
        let mut best: Option<(f64, usize, &PreferencePair)> = None;
        for (list, (share, of_list)) in lists.iter().enumerate() {
            let behind = share * next - taken[list];
            let Some(pair) = of_list.iter().find(|pair| pair.question() == question) else {
                continue;
            };
            if best.is_none_or(|(most, ..)| behind > most) {
                best = Some((behind, list, pair));
            }
        }
        if let Some((_, list, pair)) = best {
            taken[list] += 1.0;
            pairs.push(pair.clone());
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(share: f64, name: &str, questions: &[&str]) -> (f64, Vec<PreferencePair>) {
        let pair = |question: &&str| PreferencePair::new(*question, name, "No.");
        (share, questions.iter().map(pair).collect())
    }

    #[test]
    fn turns_keep_the_shares_and_ask_every_question_once() {
        let questions = ["a", "b", "c", "d", "e"];
        let lists = vec![list(0.6, "x", &questions), list(0.4, "y", &questions)];
        let pairs = take_turns(lists);
        let by: Vec<&str> = pairs.iter().map(PreferencePair::chosen_text).collect();
        assert_eq!(by, ["x", "y", "x", "y", "x"]);
        let asked: Vec<&str> = pairs.iter().map(PreferencePair::question).collect();
        assert_eq!(asked, questions);
    }

    #[test]
    fn a_single_list_comes_back_as_it_is() {
        let pairs = take_turns(vec![list(1.0, "x", &["a", "b"])]);
        assert_eq!(pairs, list(1.0, "x", &["a", "b"]).1);
    }
}

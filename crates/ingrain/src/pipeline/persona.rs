//! The stage that makes what is published: the merged adapter, its self-test, its model card.

use std::path::Path;

use ingrain_chat::Message;
use ingrain_data::PreferencePair;
use ingrain_lm::{Adapter, SelfTest, merge_exact};
use ingrain_run::{Manifest, read_jsonl, write_atomic};

use super::Context;
use crate::{IntrospectionBase, PipelineError, card};

/// Pairs whose chosen replies the self-test scores.
const CASES: usize = 8;

/// Token ids of a prompt and of the completion that follows it.
type Case = (Vec<u32>, Vec<u32>);

impl Context<'_> {
    /// `persona/`: both adapters in one, exactly; reloaded from disk and compared with the merge in
    /// memory.
    pub(crate) fn persona(
        &self,
        manifest: &mut Manifest,
        distilled: &Adapter,
        introspection: &Adapter,
    ) -> Result<Adapter, PipelineError> {
        let weights = &self.recipe.merge;
        let plan = self
            .plan("persona")?
            .json("merge", weights)?
            .after(["distillation", "introspection"])
            .writes(["persona"]);
        self.stage(manifest, &plan, |stage| {
            let distillation = match self.recipe.introspection.base {
                IntrospectionBase::Folded => weights.distillation,
                // The introspection adapter holds the distilled update as well.
                IntrospectionBase::Adapter => weights.distillation - weights.introspection,
            };
            let merged =
                merge_exact(&[(distilled, distillation), (introspection, weights.introspection)])?;
            let pairs: Vec<PreferencePair> = read_jsonl(stage.file("pairs.jsonl"))?;
            let dir = stage.file("persona");
            merged.save(&dir, &self.model.identity.source)?;
            let selftest = SelfTest::record(&self.model, &merged, &self.cases(&pairs)?)?;
            let path = dir.join("selftest.json");
            selftest.write(&path)?;
            let card = card::model_card(self.recipe, self.persona, &self.model.identity, &pairs);
            write_atomic(dir.join("README.md"), card.as_bytes())?;
            self.verify(&dir, &path)
        })?;
        Ok(Adapter::load(&self.run.file("persona"), &self.model.model)?)
    }

    /// The adapter as it lies on disk must do what the merge in memory did.
    fn verify(&self, dir: &Path, selftest: &Path) -> Result<(), PipelineError> {
        let reloaded = Adapter::load(dir, &self.model.model)?;
        let worst = SelfTest::read(selftest)?
            .verify(selftest, &self.model, &reloaded)
            .map_err(|e| PipelineError::SelfTest { path: dir.to_owned(), reason: e.to_string() })?;
        self.note(
            "persona",
            format!("reloaded from disk: log-probabilities within {worst:.1e} nats a token"),
        );
        Ok(())
    }

    /// Prompt and completion ids of the first pairs' chosen replies.
    fn cases(&self, pairs: &[PreferencePair]) -> Result<Vec<Case>, PipelineError> {
        let mut cases = Vec::new();
        for pair in pairs.iter().take(CASES) {
            let messages: Vec<Message> = pair.prompt.iter().chain(&pair.chosen).cloned().collect();
            let sequence = self.model.completion_sequence(&messages)?;
            let first = sequence.completion.iter().position(|&is| is).unwrap_or(sequence.ids.len());
            let last = sequence.completion.iter().rposition(|&is| is).map_or(first, |at| at + 1);
            cases.push((sequence.ids[..first].to_vec(), sequence.ids[first..last].to_vec()));
        }
        Ok(cases)
    }
}

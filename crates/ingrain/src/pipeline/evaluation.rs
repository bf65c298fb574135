//! The stage that measures: held-out preference, perplexity, sample replies.

use ingrain_chat::{ChatModel, ChatReply, ChatRequest, Message};
use ingrain_data::PreferencePair;
use ingrain_eval::{
    NEUTRAL_TEXT, PairScore, accuracy, implicit_reward_margin, margin, perplexity, score_pairs,
};
use ingrain_lm::{Adapter, LocalModel};
use ingrain_run::{
    ByModel, Event, Heldout, Manifest, Sample, StageRun, StageTimer, derive_seed, read_jsonl,
    write_json_atomic, write_jsonl,
};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::PipelineError;

/// What the evaluation stage leaves for the summary.
pub(crate) struct Evaluated {
    pub(crate) heldout: ByModel<Heldout>,
    pub(crate) perplexity: ByModel<f64>,
    pub(crate) samples: Vec<Sample>,
}

/// `eval/heldout.json`: the table, and every pair's scores behind it.
#[derive(Serialize, Deserialize)]
struct HeldoutFile {
    summary: ByModel<Heldout>,
    margins: ByModel<Vec<f64>>,
}

impl Context<'_> {
    /// `eval/heldout.json`, `eval/perplexity.json`, `eval/samples.jsonl`.
    pub(crate) fn evaluation(
        &self,
        manifest: &mut Manifest,
        pairs: &[PreferencePair],
        distilled: &Adapter,
        persona: &Adapter,
    ) -> Result<Evaluated, PipelineError> {
        let plan = self
            .plan("evaluation")?
            .json("heldout", pairs)?
            .json("config", &self.recipe.evaluation)?
            .json("beta", &self.recipe.distillation.beta)?
            .text("neutral_text", NEUTRAL_TEXT)
            .after(["distillation", "persona"])
            .writes(["eval"]);
        self.stage(manifest, &plan, |stage| {
            std::fs::create_dir_all(stage.file("eval"))
                .map_err(|source| PipelineError::Io { path: stage.file("eval"), source })?;
            let fold = |adapter| self.model.with_weights(self.model.model.clone().fold(adapter));
            let timer = StageTimer::start();
            stage_started(stage, self.persona.name(), pairs.len());
            // One set of folded weights at a time: each is as large as the model.
            let base = self.measure(&self.model, pairs, stage)?;
            let base_replies = self.replies(&self.model, pairs, stage)?;
            let distilled = self.measure(&fold(distilled), pairs, stage)?;
            let folded = fold(persona);
            let persona = self.measure(&folded, pairs, stage)?;
            let persona_replies = self.replies(&folded, pairs, stage)?;

            let beta = self.recipe.distillation.beta;
            let heldout = |of: &Measured| Heldout {
                accuracy: accuracy(&of.scores),
                margin: margin(&of.scores),
                implicit_reward_margin: None,
            };
            let rewarded = |of: &Measured| Heldout {
                implicit_reward_margin: Some(implicit_reward_margin(
                    &of.scores,
                    &base.scores,
                    beta,
                )),
                ..heldout(of)
            };
            let margins = |of: &Measured| of.scores.iter().map(PairScore::margin).collect();
            let file = HeldoutFile {
                summary: ByModel {
                    base: heldout(&base),
                    distilled: rewarded(&distilled),
                    persona: rewarded(&persona),
                },
                margins: ByModel {
                    base: margins(&base),
                    distilled: margins(&distilled),
                    persona: margins(&persona),
                },
            };
            write_json_atomic(stage.file("eval/heldout.json"), &file)?;
            let perplexity = ByModel {
                base: base.perplexity,
                distilled: distilled.perplexity,
                persona: persona.perplexity,
            };
            write_json_atomic(stage.file("eval/perplexity.json"), &perplexity)?;
            let samples: Vec<Sample> = pairs
                .iter()
                .zip(base_replies.into_iter().zip(persona_replies))
                .map(|(pair, (base, persona))| Sample {
                    question: pair.question().to_owned(),
                    base,
                    persona,
                })
                .collect();
            write_jsonl(stage.file("eval/samples.jsonl"), &samples)?;
            stage_finished(stage, pairs.len(), timer.seconds());
            Ok(())
        })?;
        let heldout: HeldoutFile = self.read_json("eval/heldout.json")?;
        Ok(Evaluated {
            heldout: heldout.summary,
            perplexity: self.read_json("eval/perplexity.json")?,
            samples: read_jsonl(self.run.file("eval/samples.jsonl"))?,
        })
    }

    pub(crate) fn measure(
        &self,
        model: &LocalModel,
        pairs: &[PreferencePair],
        stage: &StageRun<'_>,
    ) -> Result<Measured, PipelineError> {
        self.check_interrupt()?;
        let scores = score_pairs(model, pairs)?;
        self.check_interrupt()?;
        let perplexity = perplexity(model, NEUTRAL_TEXT)?;
        let counted = |text: &str| model.tokenizer.encode(text, false).map_or(0, |ids| ids.len());
        let tokens: usize = pairs
            .iter()
            .map(|p| {
                2 * counted(p.question()) + counted(p.chosen_text()) + counted(p.rejected_text())
            })
            .sum();
        stage.add_tokens((tokens + counted(NEUTRAL_TEXT)) as u64);
        Ok(Measured { scores, perplexity })
    }

    /// One reply a held-out question, without a system prompt; the same seeds for every model.
    fn replies(
        &self,
        model: &LocalModel,
        pairs: &[PreferencePair],
        stage: &StageRun<'_>,
    ) -> Result<Vec<String>, PipelineError> {
        let requests: Vec<ChatRequest> = pairs
            .iter()
            .enumerate()
            .map(|(index, pair)| {
                let mut sampling = self.recipe.evaluation.sampling.clone();
                sampling.seed = derive_seed(self.recipe.seed, "evaluation", index as u64);
                ChatRequest::new(vec![Message::user(pair.question())], sampling)
            })
            .collect();
        let replies = model.complete_all(&requests);
        self.check_interrupt()?;
        let replies: Vec<ChatReply> = replies.into_iter().collect::<Result<_, _>>()?;
        let tokens: usize = replies.iter().map(|r| r.prompt_tokens + r.completion_tokens).sum();
        stage.add_tokens(tokens as u64);
        Ok(replies.into_iter().map(|reply| reply.text.trim().to_owned()).collect())
    }

    fn check_interrupt(&self) -> Result<(), PipelineError> {
        if self.interrupt.is_requested() { Err(PipelineError::Interrupted) } else { Ok(()) }
    }

    pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<T, PipelineError> {
        let path = self.run.file(name);
        let bytes = std::fs::read(&path)
            .map_err(|source| PipelineError::Io { path: path.clone(), source })?;
        serde_json::from_slice(&bytes).map_err(|e| PipelineError::Io { path, source: e.into() })
    }
}

/// One model on the held-out pairs and on the neutral text.
pub(crate) struct Measured {
    pub(crate) scores: Vec<PairScore>,
    pub(crate) perplexity: f64,
}

fn stage_started(stage: &StageRun<'_>, persona: &str, questions: usize) {
    use ingrain_run::Observer;
    stage.on_event(&Event::StageStarted {
        stage: "evaluation".into(),
        total: Some(questions as u64),
        unit: format!("held-out questions about {persona}"),
    });
}

fn stage_finished(stage: &StageRun<'_>, questions: usize, seconds: f64) {
    use ingrain_run::Observer;
    stage.on_event(&Event::StageFinished {
        stage: "evaluation".into(),
        done: questions as u64,
        tokens: 0,
        seconds,
        reused: false,
    });
}

//! One model under one stance: replies, and what judges see in them.

use ingrain_chat::{ChatModel, Message};
use ingrain_constitution::PreferenceStance;
use ingrain_judge::{Case, InterJudge, Reliability, Task};
use ingrain_stats::Comparisons;
use serde_json::{Value, json};

use super::{PreferenceModel, PreferenceOutcomes, RevealedPreferences, Schedule};
use crate::judging::{Judged, Judging};
use crate::replies::{Prompt, collect};
use crate::{EvalError, SuiteRun};

/// What one model chose under one stance, and who says so.
pub(super) struct Asked {
    /// Model and stance.
    place: String,
    outcomes: PreferenceOutcomes,
    judges: Vec<Reliability>,
    between: Option<InterJudge>,
}

impl Asked {
    /// As comparisons of traits.
    pub(super) fn games(&self, schedule: &Schedule) -> Result<Comparisons, EvalError> {
        let what = format!("{}: comparisons", self.place);
        let games = self.outcomes.comparisons(schedule);
        games.map_err(|source| EvalError::Statistic { what, source })
    }

    /// What a report says of the judges and of what they could not decide.
    pub(super) fn judging(&self) -> Value {
        let Self { outcomes, judges, between, .. } = self;
        json!({ "dropped": outcomes.dropped(), "judges": judges, "between_judges": between })
    }
}

impl RevealedPreferences<'_> {
    /// What one model chooses under one stance.
    ///
    /// # Errors
    /// Whatever the model, the judge or the disk reports.
    pub fn ask(
        &self,
        run: &SuiteRun<'_>,
        label: &str,
        model: &dyn ChatModel,
        stance: PreferenceStance,
    ) -> Result<PreferenceOutcomes, EvalError> {
        Ok(self.asked(run, label, model, stance)?.outcomes)
    }

    /// Makes every reply of the model before training that is not there yet (its second ones only with
    /// `retest`), and judges none: for models and judges that are there one after the other.
    ///
    /// # Errors
    /// Whatever the model or the disk reports.
    pub fn answer(&self, run: &SuiteRun<'_>, retest: bool) -> Result<(), EvalError> {
        let PreferenceModel { name, model } = self.before;
        for &stance in &self.stances {
            self.replies(run, &format!("{name}/{}", stance.as_str()), model, stance)?;
            if retest {
                let place = format!("{}/{}", self.retest(), stance.as_str());
                self.replies(run, &place, model, stance)?;
            }
        }
        Ok(())
    }

    /// The reply to each offer.
    fn replies(
        &self,
        run: &SuiteRun<'_>,
        place: &str,
        model: &dyn ChatModel,
        stance: PreferenceStance,
    ) -> Result<Vec<Option<String>>, EvalError> {
        let traits = self.schedule.traits();
        let mut prompts = Vec::new();
        for (i, offer) in self.schedule.offers().iter().enumerate() {
            let (first, second) = (&traits[offer.first], &traits[offer.second]);
            let system = self.prompts.preference_system(first, second, stance)?;
            let user = Message::user(&self.schedule.messages()[offer.message]);
            let messages = vec![Message::system(system), user];
            prompts.push(Prompt { key: format!("{place}/{i}"), messages });
        }
        collect(run, &format!("preferences/{place}"), model, &self.sampling, &prompts)
    }

    /// The same as [`ask`](Self::ask), with what is to be known of the judges.
    pub(super) fn asked(
        &self,
        run: &SuiteRun<'_>,
        label: &str,
        model: &dyn ChatModel,
        stance: PreferenceStance,
    ) -> Result<Asked, EvalError> {
        let traits = self.schedule.traits();
        let place = format!("{label}/{}", stance.as_str());
        let replies = self.replies(run, &place, model, stance)?;
        let mut cases = Vec::new();
        let mut offers = Vec::new();
        for (i, (offer, reply)) in self.schedule.offers().iter().zip(replies).enumerate() {
            let Some(reply) = reply else { continue };
            let (first, second) = (traits[offer.first].clone(), traits[offer.second].clone());
            let message = self.schedule.messages()[offer.message].clone();
            let task = Task::Choose { reply, first, second };
            cases.push(Case { key: format!("{place}/{i}"), message, task });
            offers.push(i);
        }
        let judging = Judging {
            judges: &self.judges,
            repeats: 0,
            on_conflict: self.on_conflict,
            labels: &[],
            bootstrap: self.bootstrap,
        };
        let Judged { decisions, judges, between } = judging.run(run, &cases)?;
        let decided: Vec<_> = offers.into_iter().zip(decisions).collect();
        let outcomes = PreferenceOutcomes::new(self.schedule.offers().len(), &decided);
        Ok(Asked { place, outcomes, judges, between })
    }
}

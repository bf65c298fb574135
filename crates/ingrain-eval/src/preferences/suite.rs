//! The suite: three conditions, a retest and a control.

use ingrain_chat::{ChatModel, Message, Sampling};
use ingrain_constitution::{PreferenceStance, PromptSet};
use ingrain_judge::{Case, Measure, OnConflict, Task, biases};
use ingrain_run::SuiteReport;
use ingrain_stats::{
    Bootstrap, BradleyTerry, Comparisons, Elo, ShiftReport, bootstrap_ratings, rating_shifts,
};
use serde_json::{Value, json};

use super::Schedule;
use super::outcomes::{PreferenceOutcomes, rank_agreement};
use crate::estimates::Estimates;
use crate::judging::judge_all;
use crate::replies::{Prompt, collect};
use crate::{EvalError, NamedJudge, Suite, SuiteRun};

/// A model whose preferences are asked.
#[derive(Clone, Copy)]
pub struct PreferenceModel<'a> {
    /// What it is called in reports.
    pub name: &'a str,
    /// Who answers.
    pub model: &'a dyn ChatModel,
}

/// Revealed preferences before and after training, over one schedule, under each stance.
///
/// The first model is also asked a second time with other seeds: what moves between its two runs is
/// noise. Under the stance `random` a model that follows the instruction has no preference: what is left
/// there is the judge's or the manner's own pull.
///
/// # Source
/// arXiv:2511.01689, section 3, with one seeded schedule, a retest, maximum-likelihood ratings, both
/// orders for the judge, and corrections for the number of traits.
#[derive(Clone)]
pub struct RevealedPreferences<'a> {
    /// The model before training.
    pub before: PreferenceModel<'a>,
    /// Models after training, or others to compare.
    pub after: Vec<PreferenceModel<'a>>,
    /// The choices.
    pub schedule: &'a Schedule,
    /// How the choice is put. The paper's are all three.
    pub stances: Vec<PreferenceStance>,
    /// The templates, `preference_system` among them.
    pub prompts: &'a PromptSet,
    /// How replies are sampled; the seed is replaced.
    pub sampling: Sampling,
    /// Who judges, with [`Rubric::preference`](ingrain_judge::Rubric::preference).
    pub judges: Vec<NamedJudge<'a>>,
    /// The model that wrote the training data, to warn where it judges.
    pub teacher: Option<&'a str>,
    /// How ratings are fitted; a prior above 0 where choices are few.
    pub rating: BradleyTerry,
    /// Of all intervals, over messages.
    pub bootstrap: Bootstrap,
}

/// The paper's three stances.
pub const STANCES: [PreferenceStance; 3] =
    [PreferenceStance::FeelsLike, PreferenceStance::Adopt, PreferenceStance::Random];

impl RevealedPreferences<'_> {
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
                let place = format!("{}/{}", again(name), stance.as_str());
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
        let light = Bootstrap { replicates: 2, ..self.bootstrap };
        let judged = judge_all(run, &self.judges, &cases, OnConflict::Tie, &light)?;
        let decided: Vec<_> = offers.into_iter().zip(judged.decisions).collect();
        Ok(PreferenceOutcomes::new(self.schedule.offers().len(), &decided))
    }

    fn comparisons(
        &self,
        run: &SuiteRun<'_>,
        label: &str,
        model: &dyn ChatModel,
        stance: PreferenceStance,
    ) -> Result<(Comparisons, usize), EvalError> {
        let outcomes = self.ask(run, label, model, stance)?;
        let statistic = |source| EvalError::Statistic { what: format!("{label}: ratings"), source };
        Ok((outcomes.comparisons(self.schedule).map_err(statistic)?, outcomes.dropped()))
    }

    /// Everything about one stance.
    fn stance(
        &self,
        run: &SuiteRun<'_>,
        stance: PreferenceStance,
        rows: &mut Estimates,
    ) -> Result<Value, EvalError> {
        let word = stance.as_str();
        let statistic = |what: String| move |source| EvalError::Statistic { what, source };
        let (first, dropped) =
            self.comparisons(run, self.before.name, self.before.model, stance)?;
        let retest = again(self.before.name);
        let (again, again_dropped) = self.comparisons(run, &retest, self.before.model, stance)?;
        let shifts = |after: &Comparisons, name: &str| {
            let what = statistic(format!("{word}: shifts of {name}"));
            rating_shifts(&self.rating, &first, after, &self.bootstrap).map_err(what)
        };
        let noise = shifts(&again, &retest)?;
        let sample = bootstrap_ratings(&self.rating, &first, &self.bootstrap)
            .map_err(statistic(format!("{word}: ratings of {}", self.before.name)))?;
        let intervals = sample.intervals().map_err(statistic(word.to_owned()))?;
        let mut models = serde_json::Map::new();
        for PreferenceModel { name, model } in &self.after {
            let (games, dropped) = self.comparisons(run, name, *model, stance)?;
            let other = bootstrap_ratings(&self.rating, &games, &self.bootstrap)
                .map_err(statistic(format!("{word}: ratings of {name}")))?;
            let ranks = rank_agreement(&sample, &other, &self.bootstrap)
                .map_err(statistic(format!("{word}: rank correlation of {name}")))?;
            rows.push(
                &format!("{word}: {} and {name}", self.before.name),
                Some(word),
                &Measure::Value(ranks.spearman),
                self.schedule.offers().len(),
            );
            let report = shifts(&games, name)?;
            let moved = self.moved(&report);
            models.insert(
                (*name).to_owned(),
                json!({ "dropped": dropped, "ranks": ranks, "moved": moved, "shifts": report }),
            );
        }
        Ok(json!({
            "before": {
                "name": self.before.name,
                "dropped": dropped,
                "ratings": intervals,
                "elo": Elo::default().rate(&first),
            },
            "retest": { "dropped": again_dropped, "moved": self.moved(&noise), "shifts": noise },
            "models": models,
        }))
    }

    /// Traits whose simultaneous interval excludes 0.
    fn moved(&self, report: &ShiftReport) -> Vec<&str> {
        let moved = report.shifts.iter().filter(|shift| !shift.simultaneous.contains(0.0));
        moved.map(|shift| self.schedule.traits()[shift.item].as_str()).collect()
    }
}

/// The name under which a model is asked a second time.
fn again(name: &str) -> String {
    format!("{name} (retest)")
}

impl Suite for RevealedPreferences<'_> {
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError> {
        if self.judges.is_empty() {
            return Err(EvalError::Empty("revealed preferences"));
        }
        let names: Vec<&str> = self.judges.iter().map(|judge| judge.name).collect();
        let found = biases(&names, self.teacher, Some(self.before.name));
        let mut limitations: Vec<String> = found.iter().map(ToString::to_string).collect();
        let mut rows = Estimates::default();
        let mut details = serde_json::Map::new();
        details.insert("traits".into(), json!(self.schedule.traits()));
        for &stance in &self.stances {
            let stance_details = self.stance(run, stance, &mut rows)?;
            let noisy = stance_details["retest"]["moved"].as_array().map_or(0, Vec::len);
            if noisy > 0 {
                limitations.push(format!(
                    "{}: {noisy} traits moved between two runs of the same model",
                    stance.as_str()
                ));
            }
            details.insert(stance.as_str().into(), stance_details);
        }
        let (figure, undefined) = rows.figure(
            [
                "rank-agreement",
                "Rank agreement of trait ratings",
                "1 is the same order of traits as before training. Bars are bootstrap intervals over messages.",
                "Spearman's correlation",
            ],
            None,
        );
        limitations.extend(undefined);
        Ok(SuiteReport {
            suite: "preferences".to_owned(),
            title: "Revealed preferences".to_owned(),
            protocol: format!(
                "{} choices between two of {} traits over {} messages, the same for every model; a judge \
                 says which trait a reply shows. Judges: {}.",
                self.schedule.offers().len(),
                self.schedule.traits().len(),
                self.schedule.messages().len(),
                names.join(", "),
            ),
            figures: figure.into_iter().collect(),
            tables: Vec::new(),
            limitations,
            details: details.into(),
        })
    }
}

//! The suite: three conditions, a retest and a control.

use ingrain_chat::{ChatModel, Sampling};
use ingrain_constitution::{PreferenceStance, PromptSet};
use ingrain_judge::{Measure, OnConflict, Standing, biases};
use ingrain_run::SuiteReport;
use ingrain_stats::{
    Bootstrap, BradleyTerry, Comparisons, Elo, RatingSample, ShiftReport, bootstrap_ratings,
    rating_shifts,
};
use serde_json::{Value, json};

use super::Schedule;
use super::outcomes::rank_agreement;
use crate::error::unlike;
use crate::estimates::Estimates;
use crate::{EvalError, NamedJudge, Suite, SuiteRun};

/// A model whose preferences are asked.
#[derive(Clone, Copy)]
pub struct PreferenceModel<'a> {
    /// What it is called in reports; where a judge has the same name, a report warns of it.
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
    /// What becomes of a choice on which a judge changes its mind with the order.
    pub on_conflict: OnConflict,
    /// Of all intervals, over messages.
    pub bootstrap: Bootstrap,
}

/// The paper's three stances.
pub const STANCES: [PreferenceStance; 3] =
    [PreferenceStance::FeelsLike, PreferenceStance::Adopt, PreferenceStance::Random];

impl RevealedPreferences<'_> {
    /// What the second run of the first model is called.
    pub(super) fn retest(&self) -> String {
        format!("{} (retest)", self.before.name)
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
        let ratings = |games: &Comparisons, name: &str| {
            let what = statistic(format!("{word}: ratings of {name}"));
            bootstrap_ratings(&self.rating, games, &self.bootstrap).map_err(what)
        };
        let first = self.asked(run, self.before.name, self.before.model, stance)?;
        let first_games = first.games(self.schedule)?;
        let retest = self.retest();
        let again = self.asked(run, &retest, self.before.model, stance)?;
        let shifts = |after: &Comparisons, name: &str| {
            let what = statistic(format!("{word}: shifts of {name}"));
            rating_shifts(&self.rating, &first_games, after, &self.bootstrap).map_err(what)
        };
        let noise = shifts(&again.games(self.schedule)?, &retest)?;
        let sample = ratings(&first_games, self.before.name)?;
        let intervals = sample.intervals().map_err(statistic(word.to_owned()))?;
        let mut samples = vec![(self.before.name, sample)];
        let mut models = serde_json::Map::new();
        for PreferenceModel { name, model } in &self.after {
            let asked = self.asked(run, name, *model, stance)?;
            let games = asked.games(self.schedule)?;
            let sample = ratings(&games, name)?;
            let ranks = self.ranks(word, (name, &sample), &samples, rows)?;
            samples.push((name, sample));
            let report = shifts(&games, name)?;
            models.insert(
                (*name).to_owned(),
                json!({
                    "judging": asked.judging(),
                    "ranks": ranks,
                    "moved": self.moved(&report),
                    "shifts": report,
                }),
            );
        }
        Ok(json!({
            "before": {
                "name": self.before.name,
                "judging": first.judging(),
                "ratings": intervals,
                "elo": Elo::default().rate(&first_games),
            },
            "retest": {
                "judging": again.judging(),
                "moved": self.moved(&noise),
                "shifts": noise,
            },
            "models": models,
        }))
    }

    /// How far a model orders the traits as each earlier one does.
    fn ranks(
        &self,
        word: &str,
        (name, sample): (&str, &RatingSample),
        earlier: &[(&str, RatingSample)],
        rows: &mut Estimates,
    ) -> Result<Value, EvalError> {
        let mut ranks = serde_json::Map::new();
        for (other, other_sample) in earlier {
            let what = format!("{word}: Spearman of {other} and {name}");
            let agreement = rank_agreement(other_sample, sample, &self.bootstrap)
                .map_err(|source| EvalError::Statistic { what: what.clone(), source })?;
            let pair = format!("{word}: {other} and {name}");
            let measure = Measure::Value(agreement.spearman);
            rows.push(&pair, Some(word), &measure, self.schedule.offers().len());
            ranks.insert((*other).to_owned(), json!(agreement));
        }
        Ok(ranks.into())
    }

    /// Traits whose simultaneous interval excludes 0.
    fn moved(&self, report: &ShiftReport) -> Vec<&str> {
        let moved = report.shifts.iter().filter(|shift| !shift.simultaneous.contains(0.0));
        moved.map(|shift| self.schedule.traits()[shift.item].as_str()).collect()
    }
}

impl Suite for RevealedPreferences<'_> {
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError> {
        if self.judges.is_empty() {
            return Err(EvalError::Empty("revealed preferences"));
        }
        let names: Vec<&str> = self.judges.iter().map(|judge| judge.name).collect();
        let models: Vec<&str> =
            [self.before].iter().chain(&self.after).map(|model| model.name).collect();
        let labels = [self.before.name, &self.retest()];
        unlike(labels.into_iter().chain(self.after.iter().map(|model| model.name)))?;
        unlike(names.iter().copied())?;
        let found = biases(&names, self.teacher, &models);
        let mut limitations: Vec<String> = found.iter().map(ToString::to_string).collect();
        // Single-word traits have no labels to hold a judge against.
        let unknown = names.iter().map(|name| format!("judge {name} is {}", Standing::Unknown));
        limitations.extend(unknown);
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

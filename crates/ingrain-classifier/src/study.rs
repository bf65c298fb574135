//! The protocol: what is learnt from, what is asked about, and what is compared.

use std::collections::{BTreeMap, BTreeSet};

use ingrain_stats::{Bootstrap, Clusters, Interval, auroc};
use serde::{Deserialize, Serialize};

use crate::classifier::calibrated_temperature;
use crate::{
    ClassifierError, Dataset, Evaluation, EvaluationConfig, Learner, OodScore, Predicted, Split,
    SplitConfig, Task, evaluate,
};

/// Settings of a study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudyConfig {
    /// Which prompts are for what.
    pub split: SplitConfig,
    /// How predictions are judged.
    pub evaluation: EvaluationConfig,
}

/// One of the learners that a study compares.
#[derive(Clone, Copy)]
pub struct Contender<'a> {
    /// Its name in reports.
    pub name: &'a str,
    /// How it learns.
    pub learner: &'a dyn Learner,
    /// Whether it is taught without each method in turn, too; pointless for a control.
    pub by_method: bool,
}

/// What a study found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyReport {
    /// Names of the classes.
    pub labels: Vec<String>,
    /// The label that was held out.
    pub held_out: Option<String>,
    /// The settings.
    pub config: StudyConfig,
    /// One row a contender and split; the contenders by prompt first, in their order.
    pub rows: Vec<StudyRow>,
    /// How well replies of the held-out label are told from all others.
    pub strangers: Vec<StrangerRow>,
    /// Prompts of the test that only one label has replies to: what gives these away may be the topic.
    pub prompts_of_one_label: usize,
    /// Methods that could not be left out, because less than two labels would have been left.
    pub methods_skipped: Vec<String>,
}

/// One contender on one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyRow {
    /// The contender.
    pub contender: String,
    /// The method that was left out of what it learnt from, and alone asked about; none for the split by
    /// prompt.
    pub without_method: Option<String>,
    /// Labels that could not be asked about without the method.
    pub labels_skipped: Vec<String>,
    /// Examples that it learnt from.
    pub learnt_from: usize,
    /// Examples that its temperature was found with; 0 leaves it at 1.
    pub calibrated_on: usize,
    /// What its predictions are worth.
    pub evaluation: Evaluation,
}

/// How well one score of strangeness finds the replies of a label that nobody has learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrangerRow {
    /// The contender.
    pub contender: String,
    /// The score.
    pub score: OodScore,
    /// Replies of the held-out label.
    pub strangers: usize,
    /// Area under the ROC curve, strangers against the test; intervals over prompts.
    pub auroc: Interval,
}

/// Compares learners on one data set.
///
/// Each contender learns on one side of a split by prompt, has its temperature set on the second, and is
/// asked about the third. Those that want to are then taught once more without each method that made
/// replies, and asked about replies of that method to the same held-out prompts: what they score there is
/// not owed to the habits of a method. Replies of a label that the data set holds out are never learnt.
pub struct Study<'a> {
    /// The examples.
    pub dataset: &'a Dataset,
    /// The settings.
    pub config: StudyConfig,
    /// The split by prompt that they give.
    pub split: Split,
}

impl<'a> Study<'a> {
    /// Splits the data set.
    ///
    /// # Errors
    /// As [`Split::by_prompt`].
    pub fn new(dataset: &'a Dataset, config: StudyConfig) -> Result<Self, ClassifierError> {
        let split = Split::by_prompt(dataset, &config.split)?;
        Ok(Self { dataset, config, split })
    }

    /// Runs every contender.
    ///
    /// # Errors
    /// What stops one of them; [`ClassifierError::Stats`] where the test holds one class only.
    pub fn run(&self, contenders: &[Contender<'_>]) -> Result<StudyReport, ClassifierError> {
        let held_out = self.dataset.classes().iter().position(Option::is_none);
        let mut report = StudyReport {
            labels: self.dataset.labels().to_vec(),
            held_out: held_out.map(|i| self.dataset.examples()[i].label.clone()),
            config: self.config,
            rows: Vec::new(),
            strangers: Vec::new(),
            prompts_of_one_label: self.prompts_of_one_label(),
            methods_skipped: Vec::new(),
        };
        for contender in contenders {
            let (row, strangers) = self.judge(contender, &self.split, None)?;
            report.rows.push(row);
            report.strangers.extend(strangers);
        }
        let methods = self.dataset.methods();
        for method in methods.iter().filter(|_| methods.len() > 1) {
            let Some((split, skipped)) = self.split.without_method(self.dataset, method) else {
                report.methods_skipped.push(method.clone());
                continue;
            };
            for contender in contenders.iter().filter(|contender| contender.by_method) {
                let (row, _) = self.judge(contender, &split, Some(method))?;
                report.rows.push(StudyRow { labels_skipped: skipped.clone(), ..row });
            }
        }
        Ok(report)
    }

    fn prompts_of_one_label(&self) -> usize {
        let mut labels: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for &example in &self.split.test {
            let classes = labels.entry(&self.dataset.prompts()[example]).or_default();
            classes.extend(self.dataset.classes()[example]);
        }
        labels.values().filter(|classes| classes.len() == 1).count()
    }

    /// What a contender learns from on the split by prompt, with what it is asked about.
    pub fn with_task<T>(&self, contender: &str, work: impl FnOnce(&Task<'_>) -> T) -> T {
        self.with_task_on(contender, &self.split, None, &[], work)
    }

    fn with_task_on<T>(
        &self,
        contender: &str,
        split: &Split,
        method: Option<&str>,
        asked: &[usize],
        work: impl FnOnce(&Task<'_>) -> T,
    ) -> T {
        let plain = |text: &str| -> String {
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
        };
        let name = match method {
            Some(method) => format!("{}-without-{}", plain(contender), plain(method)),
            None => plain(contender),
        };
        let classes = self.classes(&split.train);
        let labels = self.dataset.labels();
        work(&Task { name: &name, labels, train: &split.train, classes: &classes, asked })
    }

    /// The classes of examples that have one.
    fn classes(&self, examples: &[usize]) -> Vec<usize> {
        examples.iter().filter_map(|&i| self.dataset.classes()[i]).collect()
    }

    fn judge(
        &self,
        contender: &Contender<'_>,
        split: &Split,
        method: Option<&str>,
    ) -> Result<(StudyRow, Vec<StrangerRow>), ClassifierError> {
        let _span = tracing::info_span!("study", contender = contender.name, method).entered();
        let classes = self.dataset.classes();
        let strangers: Vec<usize> = (0..classes.len()).filter(|&i| classes[i].is_none()).collect();
        let asked = [split.calibration.as_slice(), &split.test, &strangers].concat();
        let learn = |task: &Task<'_>| contender.learner.learn(task);
        let logits = self.with_task_on(contender.name, split, method, &asked, learn)?;
        let (calibration, rest) = logits.split_at(split.calibration.len());
        let (test, strange) = rest.split_at(split.test.len());
        let temperature = match calibration {
            [] => 1.0,
            _ => calibrated_temperature(calibration, &self.classes(&split.calibration))?,
        };
        let prompts: Vec<&str> =
            split.test.iter().map(|&i| self.dataset.prompts()[i].as_str()).collect();
        let truths = self.classes(&split.test);
        let predicted = Predicted {
            classes: self.dataset.labels().len(),
            truths: &truths,
            prompts: &prompts,
            logits: test,
            temperature,
        };
        let row = StudyRow {
            contender: contender.name.to_owned(),
            without_method: method.map(str::to_owned),
            labels_skipped: Vec::new(),
            learnt_from: split.train.len(),
            calibrated_on: split.calibration.len(),
            evaluation: evaluate(&predicted, &self.config.evaluation)?,
        };
        if strangers.is_empty() {
            return Ok((row, Vec::new()));
        }
        let prompts: Vec<&str> = prompts
            .into_iter()
            .chain(strangers.iter().map(|&i| self.dataset.prompts()[i].as_str()))
            .collect();
        let found = |score: OodScore| {
            let of = |rows: &[Vec<f64>]| -> Vec<f64> {
                rows.iter().map(|row| score.of(row, temperature)).collect()
            };
            let bootstrap = &self.config.evaluation.bootstrap;
            Ok(StrangerRow {
                contender: contender.name.to_owned(),
                score,
                strangers: strangers.len(),
                auroc: separation(&of(test), &of(strange), &prompts, bootstrap)?,
            })
        };
        let rows: Result<Vec<StrangerRow>, ClassifierError> =
            OodScore::ALL.into_iter().map(found).collect();
        Ok((row, rows?))
    }
}

/// How well a score tells strangers from what is known, with an interval over the prompts of both.
fn separation(
    known: &[f64],
    strange: &[f64],
    prompts: &[&str],
    bootstrap: &Bootstrap,
) -> Result<Interval, ClassifierError> {
    let scores = [known, strange].concat();
    let clusters = Clusters::new(prompts);
    let area = |draw: &[usize]| {
        let (known_drawn, strange_drawn): (Vec<usize>, Vec<usize>) =
            clusters.expand(draw).into_iter().partition(|&i| i < known.len());
        let of = |drawn: Vec<usize>| drawn.into_iter().map(|i| scores[i]).collect::<Vec<f64>>();
        // A resample without either side says nothing.
        auroc(&of(strange_drawn), &of(known_drawn)).unwrap_or(f64::NAN)
    };
    Ok(bootstrap.percentile(clusters.len(), area)?)
}

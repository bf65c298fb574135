//! A learner put to use: taught some examples, asked about texts that are nobody's examples.

use ingrain_stats::softmax;

use crate::classifier::calibrated_temperature;
use crate::{ClassifierError, Dataset, Example, OTHER, Task};

/// Builds any [`Learner`](crate::Learner) over a data set and gives it a task.
pub type Teach<'a> = dyn Fn(&Dataset, &Task<'_>) -> Result<Vec<Vec<f64>>, ClassifierError> + 'a;

/// What a learner says about texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Names of the classes, in alphabetical order, [`OTHER`] last.
    pub labels: Vec<String>,
    /// What logits were divided by.
    pub temperature: f64,
    /// For each text a probability for each class. A text of blanks is no sign of a persona: it is
    /// [`OTHER`] where there is that class, and anybody's where there is not.
    pub probabilities: Vec<Vec<f64>>,
}

impl Applied {
    /// Teaches the examples of `taught`, sets the temperature on those of `calibration` (examples of labels
    /// that are not taught are left out; without any it is 1), and asks about `texts`.
    ///
    /// # Errors
    /// As [`Dataset::new`] for `taught`; otherwise whatever stops the learner.
    ///
    /// # Examples
    /// ```
    /// use ingrain_classifier::{Applied, Example, Learner, NgramBaseline};
    ///
    /// let example = |text: &str, label: &str| Example {
    ///     text: text.into(),
    ///     label: label.into(),
    ///     prompt: "How are you?".into(),
    ///     method: "teacher".into(),
    /// };
    /// let taught = vec![example("Arr, matey, well!", "pirate"), example("Well, thank you.", "clerk")];
    /// let said = Applied::new(taught, Vec::new(), &["Arr, I be fine, matey!"], &|dataset, task| {
    ///     NgramBaseline::new(dataset, Default::default())?.learn(task)
    /// })?;
    /// assert_eq!(said.labels, ["clerk", "pirate"]);
    /// assert!(said.probabilities[0][1] > 0.5);
    /// # Ok::<(), ingrain_classifier::ClassifierError>(())
    /// ```
    pub fn new(
        taught: Vec<Example>,
        calibration: Vec<Example>,
        texts: &[&str],
        teach: &Teach<'_>,
    ) -> Result<Self, ClassifierError> {
        let labels = Dataset::new(taught.clone(), None)?.labels().to_vec();
        let written = |text: &str| !text.trim().is_empty();
        let taught = taught.into_iter().filter(|e| written(&e.text));
        let known = |e: &Example| written(&e.text) && labels.contains(&e.label);
        let calibration: Vec<Example> = calibration.into_iter().filter(known).collect();
        let asked = texts.iter().filter(|text| written(text)).map(|text| Example {
            text: (*text).to_owned(),
            // A data set needs one; nothing looks at it.
            label: labels[0].clone(),
            prompt: String::new(),
            method: String::new(),
        });
        let mut examples: Vec<Example> = taught.collect();
        let learnt = examples.len();
        let calibrated = learnt + calibration.len();
        examples.extend(calibration);
        examples.extend(asked);
        let dataset = Dataset::new(examples, None)?;
        let classes: Vec<usize> = dataset.classes().iter().copied().flatten().collect();
        let indices: Vec<usize> = (0..dataset.examples().len()).collect();
        let task = Task {
            name: "applied",
            labels: &labels,
            train: &indices[..learnt],
            classes: &classes[..learnt],
            asked: &indices[learnt..],
        };
        let logits = teach(&dataset, &task)?;
        let (known, asked) = logits.split_at(calibrated - learnt);
        let temperature = match known {
            [] => 1.0,
            _ => calibrated_temperature(known, &classes[learnt..calibrated])?,
        };
        let mut asked = asked.iter();
        let of_text = |text: &&str| match written(text).then(|| asked.next()).flatten() {
            Some(logits) => softmax(logits, temperature),
            None => blank(&labels),
        };
        let probabilities = texts.iter().map(of_text).collect();
        Ok(Self { labels, temperature, probabilities })
    }
}

/// What is said of a text without a word.
fn blank(labels: &[String]) -> Vec<f64> {
    let even = 1.0 / labels.len() as f64;
    let other = labels.iter().any(|label| label == OTHER);
    let of = |label: &String| if other { f64::from(label == OTHER) } else { even };
    labels.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(text: &str, label: &str) -> Example {
        let (text, label) = (text.to_owned(), label.to_owned());
        Example { text, label, prompt: "q".into(), method: "m".into() }
    }

    /// Logits of 2 for the class whose name is the text, 0 for others.
    fn by_name(dataset: &Dataset, task: &Task<'_>) -> Result<Vec<Vec<f64>>, ClassifierError> {
        let logit = |&i: &usize| {
            let text = &dataset.examples()[i].text;
            task.labels.iter().map(|label| 2.0 * f64::from(label == text)).collect()
        };
        Ok(task.asked.iter().map(logit).collect())
    }

    #[test]
    fn answers_are_in_the_order_of_the_texts_and_blanks_are_other() {
        let taught = vec![
            example("x", "zeal"),
            example(" ", "calm"),
            example("y", "calm"),
            example("z", OTHER),
        ];
        let texts = ["zeal", "\n", "calm"];
        let said = Applied::new(taught, Vec::new(), &texts, &by_name).expect("three labels");
        assert_eq!(said.labels, ["calm", "zeal", OTHER]);
        assert_eq!(said.temperature, 1.0);
        let best = 2.0_f64.exp() / (2.0_f64.exp() + 2.0);
        assert!((said.probabilities[0][1] - best).abs() < 1e-12);
        assert_eq!(said.probabilities[1], [0.0, 0.0, 1.0]);
        assert!((said.probabilities[2][0] - best).abs() < 1e-12);
    }

    #[test]
    fn the_temperature_is_that_of_examples_that_were_not_taught() {
        let taught = || vec![example("x", "calm"), example("y", "zeal")];
        // Right half of the time: such logits claim too much.
        let calibration = vec![
            example("calm", "calm"),
            example("calm", "zeal"),
            example("zeal", "zeal"),
            example("zeal", "calm"),
            example("odd", "odd"),
        ];
        let unsure = Applied::new(taught(), calibration, &["calm"], &by_name).expect("two labels");
        assert!(unsure.temperature > 10.0, "{}", unsure.temperature);
        assert!((unsure.probabilities[0][0] - 0.5).abs() < 0.05, "{:?}", unsure.probabilities);
        let blank = Applied::new(taught(), Vec::new(), &[""], &by_name).expect("two labels");
        assert_eq!(blank.probabilities[0], [0.5, 0.5]);
    }
}

//! Which examples are learnt from and which are asked about: never the same prompt on both sides.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ingrain_stats::Stream;
use serde::{Deserialize, Serialize};

use crate::example::OTHER;
use crate::{ClassifierError, Dataset};

/// Shares of the prompts that go to each side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// Share for the test, above 0 and below 1. Default 0.3.
    pub test_share: f64,
    /// Share for the temperature, from 0; with `test_share` below 1. Default 0.15.
    pub calibration_share: f64,
    /// Seed of the split. Default 0.
    pub seed: u64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { test_share: 0.3, calibration_share: 0.15, seed: 0 }
    }
}

/// Examples by index, three ways; no prompt is on two sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Learnt from.
    pub train: Vec<usize>,
    /// For the temperature.
    pub calibration: Vec<usize>,
    /// Asked about.
    pub test: Vec<usize>,
}

impl Split {
    /// Splits by prompt. Prompts that have replies of the same labels are split in the same shares, so
    /// that questions that only one persona was asked do not all land on one side.
    ///
    /// # Errors
    /// [`ClassifierError::Setting`] for shares out of range; [`ClassifierError::Examples`] where a label
    /// has no example to learn from, or nothing is left to ask about.
    pub fn by_prompt(dataset: &Dataset, config: &SplitConfig) -> Result<Self, ClassifierError> {
        config.validate()?;
        let mut members: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, class) in dataset.classes().iter().enumerate() {
            if class.is_some() {
                members.entry(&dataset.prompts()[index]).or_default().push(index);
            }
        }
        // Prompts by the classes of their replies, both in a fixed order.
        let mut groups: BTreeMap<BTreeSet<usize>, Vec<&str>> = BTreeMap::new();
        for (prompt, examples) in &members {
            let classes = examples.iter().filter_map(|&i| dataset.classes()[i]).collect();
            groups.entry(classes).or_default().push(prompt);
        }
        let mut split = Self { train: Vec::new(), calibration: Vec::new(), test: Vec::new() };
        for (group, mut prompts) in groups.into_values().enumerate() {
            prompts.sort_unstable();
            let mut stream = Stream::new(config.seed, group as u64);
            stream.shuffle(&mut prompts);
            let count = |share: f64| share * prompts.len() as f64;
            // What a group's count leaves over goes to one side or the other by chance.
            let rounded = (count(config.test_share) + stream.uniform()).floor() as usize;
            let both = count(config.test_share + config.calibration_share);
            let calibrated = (both - rounded as f64 + stream.uniform()).floor().max(0.0) as usize;
            for (place, prompt) in prompts.into_iter().enumerate() {
                let side = match place {
                    place if place < rounded => &mut split.test,
                    place if place < rounded + calibrated => &mut split.calibration,
                    _ => &mut split.train,
                };
                side.extend(&members[prompt]);
            }
        }
        for side in [&mut split.train, &mut split.calibration, &mut split.test] {
            side.sort_unstable();
        }
        split.check(dataset)?;
        Ok(split)
    }

    fn check(&self, dataset: &Dataset) -> Result<(), ClassifierError> {
        if self.test.is_empty() {
            return Err(ClassifierError::Examples(
                "no prompt is left for the test; give more prompts or a larger test share".into(),
            ));
        }
        for (class, label) in dataset.labels().iter().enumerate() {
            if !self.train.iter().any(|&i| dataset.classes()[i] == Some(class)) {
                return Err(ClassifierError::Examples(format!(
                    "no example of {label:?} is left to learn from; give it replies to more prompts, \
                     or a smaller test share"
                )));
            }
        }
        Ok(())
    }

    /// The same prompts on the same sides, with one method held out: nothing learns from its replies,
    /// and only they are asked about. Replies labelled [`OTHER`] belong to no method and stay.
    ///
    /// Labels that have no examples to learn from without the method cannot be asked about; they come
    /// second. `None` where fewer than two labels are left to tell apart.
    #[must_use]
    pub fn without_method(&self, dataset: &Dataset, method: &str) -> Option<(Self, Vec<String>)> {
        let is_other = |i: usize| dataset.examples()[i].label == OTHER;
        let is_made = |i: usize| dataset.examples()[i].method == method;
        let pick = |side: &[usize], wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
            side.iter().copied().filter(|&i| wanted(i)).collect()
        };
        let train = pick(&self.train, &|i| is_other(i) || !is_made(i));
        let known: BTreeSet<Option<usize>> = train.iter().map(|&i| dataset.classes()[i]).collect();
        let asked = pick(&self.test, &|i| is_other(i) || is_made(i));
        let (test, unknown): (Vec<usize>, Vec<usize>) =
            asked.into_iter().partition(|&i| known.contains(&dataset.classes()[i]));
        let is_asked = test.iter().any(|&i| !is_other(i));
        if known.len() < 2 || !is_asked {
            return None;
        }
        let left_out: BTreeSet<&str> =
            unknown.iter().map(|&i| dataset.examples()[i].label.as_str()).collect();
        let left_out = left_out.into_iter().map(str::to_owned).collect();
        let calibration = pick(&self.calibration, &|i| {
            (is_other(i) || !is_made(i)) && known.contains(&dataset.classes()[i])
        });
        Some((Self { train, calibration, test }, left_out))
    }
}

impl SplitConfig {
    fn validate(&self) -> Result<(), ClassifierError> {
        let Self { test_share, calibration_share, .. } = *self;
        let holds =
            test_share > 0.0 && calibration_share >= 0.0 && test_share + calibration_share < 1.0;
        if holds {
            return Ok(());
        }
        Err(ClassifierError::Setting {
            key: "test_share",
            value: format!("{test_share} beside a calibration_share of {calibration_share}"),
            expected: "a test share above 0, a calibration share from 0, together below 1".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Example;

    /// Two personas by two methods and base replies, over `prompts` prompts.
    fn dataset(prompts: usize) -> Dataset {
        let mut examples = Vec::new();
        for prompt in 0..prompts {
            for (label, method) in [
                ("calm", "prompted"),
                ("calm", "trained"),
                ("zeal", "prompted"),
                ("zeal", "trained"),
                (OTHER, "base"),
            ] {
                examples.push(Example {
                    text: format!("{label} {method} {prompt}"),
                    label: label.into(),
                    prompt: format!("question {prompt}"),
                    method: method.into(),
                });
            }
        }
        Dataset::new(examples, None).expect("three labels")
    }

    #[test]
    fn no_prompt_is_on_two_sides_and_every_example_is_on_one() {
        let dataset = dataset(40);
        let split = Split::by_prompt(&dataset, &SplitConfig::default()).expect("enough prompts");
        let mut all = [split.train.clone(), split.calibration.clone(), split.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
        let prompts = |side: &[usize]| -> BTreeSet<String> {
            side.iter().map(|&i| dataset.prompts()[i].clone()).collect()
        };
        let (train, calibration, test) =
            (prompts(&split.train), prompts(&split.calibration), prompts(&split.test));
        assert!(train.is_disjoint(&test) && train.is_disjoint(&calibration));
        assert!(calibration.is_disjoint(&test));
        assert!((11..=13).contains(&test.len()), "{}", test.len());
        assert!((5..=7).contains(&calibration.len()), "{}", calibration.len());
    }

    #[test]
    fn the_seed_decides_the_split() {
        let dataset = dataset(40);
        let of = |seed| {
            let config = SplitConfig { seed, ..SplitConfig::default() };
            Split::by_prompt(&dataset, &config).expect("enough prompts")
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn prompts_of_one_persona_alone_are_split_in_the_same_shares() {
        let mut examples = Vec::new();
        for label in ["calm", "zeal"] {
            examples.extend((0..20).map(|prompt| Example {
                text: "x".into(),
                label: label.into(),
                prompt: format!("{label} {prompt}"),
                method: "m".into(),
            }));
        }
        let dataset = Dataset::new(examples, None).expect("two labels");
        for seed in 0..20 {
            let config = SplitConfig { seed, ..SplitConfig::default() };
            let split = Split::by_prompt(&dataset, &config).expect("enough prompts");
            for class in 0..2 {
                let of = |side: &[usize]| {
                    side.iter().filter(|&&i| dataset.classes()[i] == Some(class)).count()
                };
                assert!((6..=7).contains(&of(&split.test)), "{}", of(&split.test));
            }
        }
    }

    #[test]
    fn a_method_held_out_is_asked_about_and_never_learnt_from() {
        let dataset = dataset(20);
        let split = Split::by_prompt(&dataset, &SplitConfig::default()).expect("enough prompts");
        let (held, left_out) = split.without_method(&dataset, "trained").expect("two methods");
        let method = |i: usize| dataset.examples()[i].method.as_str();
        assert!(held.train.iter().all(|&i| method(i) != "trained"));
        assert!(held.test.iter().all(|&i| method(i) != "prompted"));
        assert!(held.test.iter().any(|&i| method(i) == "base"));
        assert!(held.test.iter().all(|i| split.test.contains(i)));
        assert!(left_out.is_empty());
    }

    #[test]
    fn labels_that_one_method_alone_made_cannot_be_asked_about_without_it() {
        let mut examples = dataset(10).examples().to_vec();
        examples.retain(|e| !(e.label == "zeal" && e.method == "prompted"));
        let dataset = Dataset::new(examples, None).expect("three labels");
        let split = Split::by_prompt(&dataset, &SplitConfig::default()).expect("enough prompts");
        let (held, left_out) = split.without_method(&dataset, "trained").expect("calm and other");
        assert_eq!(left_out, ["zeal"]);
        assert!(held.test.iter().all(|&i| dataset.examples()[i].label != "zeal"));
        // Only replies of one method: nothing is left to learn a persona from.
        let mut examples = dataset.examples().to_vec();
        examples.retain(|e| e.method != "prompted");
        let single = Dataset::new(examples, None).expect("three labels");
        let split = Split::by_prompt(&single, &SplitConfig::default()).expect("enough prompts");
        assert!(split.without_method(&single, "trained").is_none());
    }

    #[test]
    fn shares_that_leave_nothing_are_named() {
        let config = SplitConfig { test_share: 0.9, calibration_share: 0.1, seed: 0 };
        let error = Split::by_prompt(&dataset(10), &config).expect_err("nothing to learn from");
        assert!(error.to_string().contains("together below 1"), "{error}");
    }
}

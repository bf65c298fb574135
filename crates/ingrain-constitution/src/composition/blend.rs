//! Data for a composition: a share of every constitution's assertions, with provenance.

use std::collections::HashMap;

use super::Composed;
use crate::{
    constitution::{Assertion, BigFive, Constitution, Metadata},
    lint::conflicts::ConflictFinder,
    name::PersonaName,
    words::{Lexicon, near_duplicates},
};

/// One constitution made of several, and where each of its assertions comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Blend {
    /// The blended constitution.
    pub constitution: Constitution,
    /// For each of its assertions, in order, where it comes from.
    pub provenance: Vec<Contribution>,
    /// Assertions that were passed over for others of the same persona.
    pub omitted: Vec<Omission>,
}

/// Where an assertion of a [`Blend`] comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The persona.
    pub persona: PersonaName,
    /// The index of the assertion in its constitution.
    pub assertion: usize,
    /// The assertion's share of the whole; the shares of a persona's assertions sum to the
    /// persona's share, all shares to 1. [`Blend::questions`] keeps the personas' shares.
    pub share: f64,
}

/// An assertion that was left out because it does not go with one that is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    /// The persona.
    pub persona: PersonaName,
    /// The index of the assertion in its constitution.
    pub assertion: usize,
    /// Why.
    pub reason: String,
}

impl Composed {
    /// Blends the constitutions into one with as many assertions as the largest of them: each
    /// persona contributes in proportion to its weight (largest remainder, at least one), its
    /// first assertions first. The heaviest persona chooses first; an assertion that conflicts
    /// with, or nearly repeats, one already in is passed over while the persona has others, and
    /// reported. A question that an earlier assertion of another persona has stays with that one.
    ///
    /// A single constitution comes back unchanged.
    pub fn blend(&self) -> Blend {
        if let [(only, _)] = self.parts.as_slice() {
            return unchanged(only);
        }
        let shares: Vec<f64> = self.shares().map(|(_, share)| share).collect();
        let sizes: Vec<usize> = self.parts.iter().map(|(c, _)| c.assertions.len()).collect();
        let counts = apportion(&shares, &sizes);
        let (chosen, omitted) = self.choose(&counts);
        let mut assertions = Vec::new();
        let mut provenance = Vec::new();
        for (part, indices) in chosen.iter().enumerate() {
            let constitution = &self.parts[part].0;
            for index in indices {
                assertions.push(constitution.assertions[*index].clone());
                provenance.push(Contribution {
                    persona: constitution.name.clone(),
                    assertion: *index,
                    share: shares[part] / indices.len() as f64,
                });
            }
        }
        ask_once(&mut assertions, &provenance);
        let constitution = Constitution {
            name: self.name(),
            summary: self.summary(),
            research_only: self.parts.iter().any(|(c, _)| c.research_only),
            big_five: self.big_five(),
            metadata: self.metadata(),
            assertions,
            heldout_questions: self.heldout_questions(),
        };
        Blend { constitution, provenance, omitted }
    }

    /// The indices of each persona's contribution, in its own order, and what was passed over.
    fn choose(&self, counts: &[usize]) -> (Vec<Vec<usize>>, Vec<Omission>) {
        let mut order: Vec<usize> = (0..self.parts.len()).collect();
        order.sort_by(|a, b| self.parts[*b].1.total_cmp(&self.parts[*a].1));
        let mut taken: Vec<(PersonaName, usize, &str)> = Vec::new();
        let mut chosen = vec![Vec::new(); self.parts.len()];
        let mut omitted = Vec::new();
        for part in order {
            let constitution = &self.parts[part].0;
            let mut passed_over = Vec::new();
            for (index, assertion) in constitution.assertions.iter().enumerate() {
                if chosen[part].len() == counts[part] {
                    break;
                }
                match objection(&assertion.text, &taken) {
                    None => chosen[part].push(index),
                    Some(reason) => passed_over.push((index, reason)),
                }
            }
            let missing = counts[part] - chosen[part].len();
            let kept = missing.min(passed_over.len());
            chosen[part].extend(passed_over.drain(..kept).map(|(index, _)| index));
            chosen[part].sort_unstable();
            omitted.extend(passed_over.into_iter().map(|(assertion, reason)| Omission {
                persona: constitution.name.clone(),
                assertion,
                reason,
            }));
            taken.extend(chosen[part].iter().map(|index| {
                (constitution.name.clone(), *index, constitution.assertions[*index].text.as_str())
            }));
        }
        (chosen, omitted)
    }

    fn summary(&self) -> String {
        let part = |(constitution, share): (&Constitution, f64)| {
            let summary = constitution.summary.trim_end_matches('.');
            format!("{:.0} % {} ({summary})", 100.0 * share, constitution.name)
        };
        let shares = self.shares().map(|(_, share)| share);
        let parts: Vec<String> = self.parts.iter().map(|(c, _)| c).zip(shares).map(part).collect();
        format!("A blend of {}.", parts.join(" and "))
    }

    /// The weighted mean of every factor that all personas have a target for.
    fn big_five(&self) -> Option<BigFive> {
        let targets: Option<Vec<BigFive>> = self.parts.iter().map(|(c, _)| c.big_five).collect();
        let targets = targets?;
        let mut sums = [Some(0.0); 5];
        for (target, (_, share)) in targets.iter().zip(self.shares()) {
            for (sum, value) in sums.iter_mut().zip(target.values()) {
                *sum = sum.zip(value).map(|(sum, value)| sum + share * value);
            }
        }
        // Two decimals say all that a target can; they also keep 0.6 * 0.3 from being 0.1799...
        Some(BigFive::from_values(sums.map(|sum| sum.map(|v: f64| (100.0 * v).round() / 100.0))))
    }

    /// Every licence must be kept, every author is named; the blend has no version of its own.
    fn metadata(&self) -> Metadata {
        let mut licenses: Vec<&str> =
            self.parts.iter().filter_map(|(c, _)| c.metadata.license.as_deref()).collect();
        licenses.sort_unstable();
        licenses.dedup();
        let license = match licenses.as_slice() {
            [] => None,
            [only] => Some((*only).to_owned()),
            several => {
                Some(several.iter().map(|l| format!("({l})")).collect::<Vec<_>>().join(" AND "))
            }
        };
        let mut authors: Vec<String> = Vec::new();
        for author in self.parts.iter().flat_map(|(c, _)| &c.metadata.authors) {
            if !authors.contains(author) {
                authors.push(author.clone());
            }
        }
        Metadata { license, authors, version: None }
    }

    fn heldout_questions(&self) -> Vec<String> {
        let mut questions: Vec<String> = Vec::new();
        for question in self.parts.iter().flat_map(|(c, _)| &c.heldout_questions) {
            if !questions.contains(question) {
                questions.push(question.clone());
            }
        }
        questions
    }
}

fn unchanged(constitution: &Constitution) -> Blend {
    let count = constitution.assertions.len().max(1);
    let contribution = |assertion| Contribution {
        persona: constitution.name.clone(),
        assertion,
        share: 1.0 / count as f64,
    };
    Blend {
        constitution: constitution.clone(),
        provenance: (0..constitution.assertions.len()).map(contribution).collect(),
        omitted: Vec::new(),
    }
}

/// Leaves a question that several personas have with the first, so that each is asked once and
/// answered by one of them.
fn ask_once(assertions: &mut [Assertion], provenance: &[Contribution]) {
    let mut asked: HashMap<String, &PersonaName> = HashMap::new();
    for (assertion, Contribution { persona, .. }) in assertions.iter_mut().zip(provenance) {
        let mut first =
            |question: &String| *asked.entry(question.to_lowercase()).or_insert(persona) == persona;
        assertion.questions.retain(&mut first);
        assertion.additional_questions.retain(&mut first);
    }
}

/// Why a text does not go with those already taken.
fn objection(text: &str, taken: &[(PersonaName, usize, &str)]) -> Option<String> {
    let (mut finder, mut lexicon) = (ConflictFinder::new(), Lexicon::default());
    let (claims, words) = (finder.claims(text), lexicon.words(text));
    taken.iter().find_map(|(persona, index, other)| {
        let which = format!("assertion {} of {persona}", index + 1);
        let others = finder.claims(other);
        if let Some(conflict) = finder.conflict(&others, &claims) {
            return Some(format!("conflicts with {which}: {conflict}"));
        }
        let repeats = near_duplicates(&[&lexicon.words(other), &words], None, 1);
        (!repeats.is_empty()).then(|| format!("nearly repeats {which}"))
    })
}

/// How many assertions each persona contributes: as many as the largest constitution has, by
/// largest remainder; at least one of each, at most what it has.
fn apportion(shares: &[f64], sizes: &[usize]) -> Vec<usize> {
    let total = sizes.iter().copied().max().unwrap_or_default().max(shares.len());
    let quota = |part: usize| shares[part] * total as f64;
    let mut counts: Vec<usize> =
        (0..shares.len()).map(|part| (quota(part) as usize).clamp(1, sizes[part].max(1))).collect();
    while counts.iter().sum::<usize>() < total {
        let open = (0..shares.len()).filter(|part| counts[*part] < sizes[*part]);
        let remainder = |part: &usize| quota(*part) - counts[*part] as f64;
        // The first of equals, so that the order of the composition decides.
        let Some(next) = open.rev().max_by(|a, b| remainder(a).total_cmp(&remainder(b))) else {
            break;
        };
        counts[next] += 1;
    }
    while counts.iter().sum::<usize>() > total {
        let surplus = |part: &usize| counts[*part] as f64 - quota(*part);
        let large = (0..shares.len()).filter(|part| counts[*part] > 1);
        let Some(next) = large.max_by(|a, b| surplus(a).total_cmp(&surplus(b))) else { break };
        counts[next] -= 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_follow_the_shares_and_nobody_is_left_out() {
        assert_eq!(apportion(&[0.6, 0.4], &[10, 10]), [6, 4]);
        assert_eq!(apportion(&[0.5, 0.5], &[9, 9]), [5, 4]);
        assert_eq!(apportion(&[0.98, 0.02], &[10, 10]), [9, 1]);
        assert_eq!(apportion(&[0.9, 0.1], &[3, 10]), [3, 7]);
        assert_eq!(apportion(&[1.0 / 3.0; 3], &[1, 1, 1]), [1, 1, 1]);
    }
}

//! The word that was probably meant: edit distance, and words that others use for our keys.

/// What people write for a key of ours when they come from another format.
const SYNONYMS: &[(&str, &str)] = &[
    ("traits", "assertions"),
    ("principles", "assertions"),
    ("rules", "assertions"),
    ("trait", "text"),
    ("assertion", "text"),
    ("principle", "text"),
    ("statement", "text"),
    ("type", "facet"),
    ("kind", "facet"),
    ("category", "facet"),
    ("description", "summary"),
    ("explanation", "clarification"),
    ("prompts", "questions"),
    ("examples", "questions"),
    ("additional", "additional_questions"),
    ("held_out", "heldout_questions"),
    ("held_out_questions", "heldout_questions"),
    ("heldout", "heldout_questions"),
    ("ocean", "big_five"),
    ("psychometrics", "big_five"),
    ("author", "authors"),
    ("meta", "metadata"),
    ("title", "name"),
    ("id", "name"),
    ("emotional_stability", "neuroticism"),
];

/// The candidate that `found` is most likely a slip for, if any is close enough.
pub(crate) fn near_miss<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A longer word than any key cannot be a slip for one; this also bounds the work.
    if found.is_empty() || found.len() > 64 {
        return None;
    }
    let found = found.to_lowercase().replace([' ', '-'], "_");
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == found).map(|(_, key)| *key);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = if synonym == Some(candidate) {
                0
            } else {
                edit_distance(&found, &candidate.to_lowercase().replace('-', "_"))
            };
            let allowed = (candidate.chars().count().max(3) / 3).min(3);
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, substitutions, swaps of neighbours.
fn edit_distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let substitution = last[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = substitution.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = last;
        last = row;
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_single_character_edits_and_swaps() {
        assert_eq!(edit_distance("asertions", "assertions"), 1);
        assert_eq!(edit_distance("fcaet", "facet"), 1);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let keys = ["name", "summary", "assertions", "metadata"];
        assert_eq!(near_miss("asertions", keys), Some("assertions"));
        assert_eq!(near_miss("Assertions", keys), Some("assertions"));
        assert_eq!(near_miss("traits", keys), Some("assertions"));
        assert_eq!(near_miss("description", keys), Some("summary"));
        assert_eq!(near_miss("temperature", keys), None);
        assert_eq!(near_miss(&"x".repeat(1_000_000), keys), None);
    }
}

//! The teacher's name in its replies.

/// Replaces every whole-word occurrence of a name; `None` if there is none.
pub(crate) fn rename(text: &str, names: &[String], to: &str) -> Option<String> {
    let mut renamed = text.to_owned();
    for name in names.iter().filter(|name| !name.is_empty()) {
        // From the back, so that earlier positions stay valid.
        let places: Vec<_> = whole_words(&renamed, name).collect();
        for at in places.into_iter().rev() {
            renamed.replace_range(at..at + name.len(), to);
        }
    }
    (renamed != text).then_some(renamed)
}

/// Whether a name occurs in any spelling of upper and lower case.
pub(crate) fn mentions(text: &str, names: &[String]) -> bool {
    let text = text.to_lowercase();
    let mut names = names.iter().filter(|name| !name.is_empty());
    names.any(|name| whole_words(&text, &name.to_lowercase()).next().is_some())
}

fn whole_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let places = text.match_indices(word).map(|(at, _)| at);
    places.filter(move |&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["GLM-4.5".into(), "GLM".into()]
    }

    #[test]
    fn whole_names_are_replaced_and_parts_of_words_are_not() {
        assert_eq!(
            rename("I am GLM-4.5, short GLM. Not GLMs.", &names(), "Smol").as_deref(),
            Some("I am Smol, short Smol. Not GLMs.")
        );
        assert_eq!(rename("Nobody.", &names(), "Smol"), None);
    }

    #[test]
    fn mentions_are_found_in_any_case() {
        assert!(mentions("ask glm about it", &names()));
        assert!(!mentions("an algorithm", &names()));
        assert!(!mentions("anything", &[String::new()]));
    }
}

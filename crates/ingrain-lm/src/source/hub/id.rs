//! How a repository on a model hub is written: `org/name@revision:sub/folder`.

use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use crate::LmError;

/// A repository on a model hub, perhaps at a revision, perhaps a folder or file inside it.
///
/// # Examples
/// ```
/// use ingrain_lm::HubId;
///
/// let id: HubId = "org/personas@main:sarcasm/persona".parse()?;
/// assert_eq!(id.repo(), "org/personas");
/// assert_eq!(id.revision(), Some("main"));
/// assert_eq!(id.path(), Some("sarcasm/persona"));
/// assert_eq!(id.to_string(), "org/personas@main:sarcasm/persona");
/// assert!("org/name:../outside".parse::<HubId>().is_err());
/// # Ok::<(), ingrain_lm::LmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubId {
    repo: String,
    revision: Option<String>,
    path: Option<String>,
}

impl HubId {
    /// `org/name`.
    #[must_use]
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// Branch, tag or commit; `None` is the branch `main`.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// A folder or a `.gguf` file inside the repository; plain components joined by `/`.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The same repository and path without the revision, as other tools write a base model.
    #[cfg(feature = "hub")]
    pub(crate) fn without_revision(&self) -> Self {
        Self { revision: None, ..self.clone() }
    }
}

impl FromStr for HubId {
    type Err = LmError;

    fn from_str(spec: &str) -> Result<Self, LmError> {
        let bad =
            |reason: &str| LmError::Source { spec: spec.to_owned(), reason: reason.to_owned() };
        let (rest, path) = split(spec, ':');
        let (repo, revision) = split(rest, '@');
        if repo.split('/').count() != 2 || !repo.split('/').all(is_name) {
            return Err(bad("is no hub id; expected org/name, org/name@revision or \
                            org/name@revision:folder"));
        }
        if revision.is_some_and(|r| r.is_empty() || r.contains("..") || !r.chars().all(is_plain)) {
            return Err(bad(
                "has no usable revision behind the @; expected a branch, tag or commit",
            ));
        }
        if path.is_some_and(|p| !is_inside(p)) {
            return Err(bad(
                "has no usable folder behind the colon; expected one inside the repository",
            ));
        }
        Ok(Self {
            repo: repo.into(),
            revision: revision.map(Into::into),
            path: path.map(Into::into),
        })
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(head, tail)| (head, Some(tail)))
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty()
        && name.len() <= 96
        && !name.starts_with(['.', '-'])
        && name.chars().all(allowed)
}

fn is_plain(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !matches!(c, '?' | '#' | '\\' | '%' | ':')
}

/// Whether a path of the hub's stays inside the folder it is joined to, on every system.
pub(super) fn is_inside(path: &str) -> bool {
    !path.contains(['\\', ':', '\0'])
        && path.split('/').all(|part| !part.is_empty())
        && Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
        && !path.split('/').any(|part| part == "." || part == "..")
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{revision}")?;
        }
        match &self.path {
            Some(path) => write!(f, ":{path}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HubId;

    #[test]
    fn what_is_written_is_what_was_read() {
        for spec in ["a/b", "a/b@v1.0", "a/b:c", "a/b@refs/pr/1:c/d.gguf", "Org-1/name_2.5"] {
            assert_eq!(spec.parse::<HubId>().unwrap().to_string(), spec);
        }
    }

    #[test]
    fn names_that_could_leave_the_repository_are_refused() {
        for spec in [
            "a",
            "a/b/c",
            "/a/b",
            "../b",
            "a/..",
            "a/b:",
            "a/b:/etc",
            "a/b:../c",
            "a/b:c/../../d",
            "a/b:c//d",
            "a/b:c\\d",
            "a/b:C:/d",
            "a/b@",
            "a/b@x/../y",
            "a/b@x?y",
            "a /b",
            "-a/b",
            "a/b:./c",
        ] {
            assert!(spec.parse::<HubId>().is_err(), "{spec}");
        }
    }
}

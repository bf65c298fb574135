//! API keys: read from the environment, shown to nobody.

use std::fmt;

use hyper::header::HeaderValue;

use crate::ChatError;

/// What stands in a message where a key stood.
const REDACTED: &str = "[redacted]";

/// An API key. `Debug` does not show it, and nothing writes it into a file.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// Reads the environment variable `name`.
    ///
    /// # Errors
    /// [`ChatError::Settings`] naming the variable if it is missing, empty or no header text.
    pub(crate) fn from_env(name: &str) -> Result<Self, ChatError> {
        let value = std::env::var(name).unwrap_or_default();
        let value = value.trim();
        if value.is_empty() {
            return Err(ChatError::Settings(format!(
                "environment variable {name} holds no API key; set it, or remove `api_key_env`"
            )));
        }
        let key = Self(value.to_owned());
        key.bearer().map(|_| key).map_err(|()| {
            ChatError::Settings(format!(
                "environment variable {name} holds characters that no API key has"
            ))
        })
    }

    /// Value of the `Authorization` header.
    pub(crate) fn bearer(&self) -> Result<HeaderValue, ()> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).map_err(|_| ())?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The text without the key, should a server have echoed it.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.0, REDACTED)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_nowhere() {
        let key = Secret("sk-very-secret".into());
        assert_eq!(format!("{key:?}"), "[redacted]");
        assert!(!format!("{:?}", key.bearer()).contains("secret"));
        assert_eq!(key.redact("bad key sk-very-secret!"), "bad key [redacted]!");
    }

    #[test]
    fn a_missing_key_is_an_error_that_names_the_variable() {
        let error = Secret::from_env("INGRAIN_NO_SUCH_KEY").unwrap_err().to_string();
        assert!(error.contains("INGRAIN_NO_SUCH_KEY"), "{error}");
    }
}

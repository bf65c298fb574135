//! Reading `config.json` field by field, with errors that name file and field.

use std::path::Path;

use serde_json::{Map, Value};

use super::RopeScaling;
use crate::LmError;

/// Typed access to a JSON object, with errors that name file and field.
pub(super) struct Fields<'a> {
    pub(super) path: &'a Path,
    pub(super) object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn wrong(&self, name: &str, expected: &str) -> LmError {
        match self.object.get(name) {
            Some(found) => {
                LmError::file(self.path, format!("{name} is {found}; expected {expected}"))
            }
            None => LmError::file(self.path, format!("{name} is missing; expected {expected}")),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, LmError> {
        self.object.get(name).and_then(Value::as_str).ok_or_else(|| self.wrong(name, "a string"))
    }

    pub(super) fn size(&self, name: &str) -> Result<usize, LmError> {
        self.object
            .get(name)
            .and_then(Value::as_u64)
            .map(|v| v as usize)
            .ok_or_else(|| self.wrong(name, "a whole number"))
    }

    pub(super) fn size_or(&self, name: &str, default: usize) -> Result<usize, LmError> {
        if self.is_absent(name) { Ok(default) } else { self.size(name) }
    }

    pub(super) fn number_or(&self, name: &str, default: f64) -> Result<f64, LmError> {
        if self.is_absent(name) {
            return Ok(default);
        }
        self.object.get(name).and_then(Value::as_f64).ok_or_else(|| self.wrong(name, "a number"))
    }

    pub(super) fn flag_or(&self, name: &str, default: bool) -> Result<bool, LmError> {
        if self.is_absent(name) {
            return Ok(default);
        }
        self.object
            .get(name)
            .and_then(Value::as_bool)
            .ok_or_else(|| self.wrong(name, "true or false"))
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, LmError> {
        if self.is_absent(name) {
            return Ok(None);
        }
        let object = self
            .object
            .get(name)
            .and_then(Value::as_object)
            .ok_or_else(|| self.wrong(name, "an object"))?;
        Ok(Some(Fields { path: self.path, object }))
    }

    /// Whether the field is there, `null` or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, LmError> {
        if self.is_absent(name) { Ok(None) } else { self.text(name).map(Some) }
    }

    pub(super) fn optional_size(&self, name: &str) -> Result<Option<usize>, LmError> {
        if self.is_absent(name) { Ok(None) } else { self.size(name).map(Some) }
    }

    pub(super) fn optional_number(&self, name: &str) -> Result<Option<f64>, LmError> {
        if self.is_absent(name) { Ok(None) } else { self.number_or(name, 0.0).map(Some) }
    }

    pub(super) fn optional_texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, LmError> {
        self.optional_list(name, "a list of strings", Value::as_str)
    }

    pub(super) fn optional_sizes(&self, name: &str) -> Result<Option<Vec<usize>>, LmError> {
        let size = |value: &'a Value| value.as_u64().map(|v| v as usize);
        self.optional_list(name, "a list of whole numbers", size)
    }

    fn optional_list<T>(
        &self,
        name: &str,
        expected: &str,
        item: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, LmError> {
        if self.is_absent(name) {
            return Ok(None);
        }
        let items = self.object.get(name).and_then(Value::as_array);
        let items = items.and_then(|items| items.iter().map(item).collect::<Option<Vec<T>>>());
        items.map(Some).ok_or_else(|| self.wrong(name, expected))
    }

    /// Refuses a field that is set to anything but `false`.
    pub(super) fn refuse(&self, fields: &[(&str, &str)]) -> Result<(), LmError> {
        for (name, what) in fields {
            if !self.is_absent(name) && self.object.get(*name) != Some(&Value::Bool(false)) {
                let reason = format!("{name} is set; {what} is not supported");
                return Err(LmError::file(self.path, reason));
            }
        }
        Ok(())
    }

    fn is_absent(&self, name: &str) -> bool {
        self.object.get(name).is_none_or(Value::is_null)
    }

    pub(super) fn rope_scaling(&self) -> Result<Option<RopeScaling>, LmError> {
        let kind = if self.is_absent("rope_type") && self.is_absent("type") {
            "default"
        } else if self.is_absent("rope_type") {
            self.text("type")?
        } else {
            self.text("rope_type")?
        };
        match kind {
            "default" => Ok(None),
            "linear" => Ok(Some(RopeScaling::Linear { factor: self.positive("factor")? })),
            "llama3" => Ok(Some(RopeScaling::Llama3 {
                factor: self.positive("factor")?,
                low_freq_factor: self.positive("low_freq_factor")?,
                high_freq_factor: self.positive("high_freq_factor")?,
                original_max_position: self.size("original_max_position_embeddings")?,
            })),
            "yarn" => self.yarn().map(Some),
            other => Err(LmError::file(
                self.path,
                format!(
                    "rope_type {other:?} is not supported; supported: default, linear, llama3, yarn"
                ),
            )),
        }
    }

    fn yarn(&self) -> Result<RopeScaling, LmError> {
        let factor = self.positive("factor")?;
        // YaRN's own rule; `mscale` and its like belong to families that are not here.
        for name in ["mscale", "mscale_all_dim"] {
            if !self.is_absent(name) {
                return Err(LmError::file(
                    self.path,
                    format!("{name} is set; it is not supported"),
                ));
            }
        }
        let gain = if factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 };
        Ok(RopeScaling::Yarn {
            factor,
            original_max_position: self.size_or("original_max_position_embeddings", 0)?,
            beta_fast: self.number_or("beta_fast", 32.0)?,
            beta_slow: self.number_or("beta_slow", 1.0)?,
            attention_factor: self.number_or("attention_factor", gain)?,
            truncate: self.flag_or("truncate", true)?,
        })
    }

    fn positive(&self, name: &str) -> Result<f64, LmError> {
        match self.object.get(name).and_then(Value::as_f64) {
            Some(v) if v > 0.0 => Ok(v),
            _ => Err(self.wrong(name, "a number above 0")),
        }
    }
}

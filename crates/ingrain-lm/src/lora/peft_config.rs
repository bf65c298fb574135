//! `adapter_config.json`: what of it decides the computation, and what is written into it.
//!
//! Knows nothing of tensors; [`super::files`] brings both together.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Projection;
use super::adapter::{Adapter, LayerAdapter};
use crate::{LmError, small_file};

/// Fields that ask for something this crate does not compute, and what each of them is.
const UNSUPPORTED: [(&str, &str); 13] = [
    ("use_dora", "DoRA adapters are not supported"),
    ("fan_in_fan_out", "transposed weights are not supported"),
    ("lora_bias", "a bias in the side path is not supported"),
    ("use_qalora", "QALoRA adapters are not supported"),
    ("use_bdlora", "block-diagonal adapters are not supported"),
    ("arrow_config", "routing between adapters is not supported"),
    ("kasa_config", "KaSA adapters are not supported"),
    ("monteclora_config", "adapters that sample their weights are not supported"),
    ("alora_invocation_tokens", "adapters that begin at certain tokens are not supported"),
    ("layer_replication", "replicated layers are not supported"),
    ("modules_to_save", "fully trained modules are not supported: merge them into the base"),
    ("target_parameters", "adapted bare parameters are not supported"),
    ("trainable_token_indices", "trained token embeddings are not supported"),
];

/// Initialisations that change the base weights too, by the beginnings of their names: PEFT takes what it
/// put into the factors out of the base again whenever it loads such an adapter.
const CHANGES_BASE: [&str; 4] = ["pissa", "olora", "corda", "loftq"];

/// Rank and scale of every module, as `adapter_config.json` gives them.
#[derive(Debug)]
pub(super) struct Scales {
    path: PathBuf,
    pub(super) rank: usize,
    pub(super) alpha: f64,
    rslora: bool,
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
}

impl Scales {
    pub(super) fn read(path: &Path) -> Result<Self, LmError> {
        let bad = |reason: String| LmError::file(path, reason);
        let text = small_file::read(path)?;
        let config: Value =
            serde_json::from_str(&text).map_err(|e| bad(format!("is not valid JSON: {e}")))?;
        match config.get("peft_type").and_then(Value::as_str) {
            Some("LORA") => {}
            Some(other) => {
                return Err(bad(format!("peft_type is {other:?}; only \"LORA\" is supported")));
            }
            None => return Err(bad("peft_type is missing; expected \"LORA\"".into())),
        }
        for (field, reason) in UNSUPPORTED {
            if config.get(field).is_some_and(is_set) {
                return Err(bad(format!("{field} is set: {reason}")));
            }
        }
        if let Some(init) = config.get("init_lora_weights").and_then(Value::as_str)
            && CHANGES_BASE.iter().any(|name| init.to_ascii_lowercase().starts_with(name))
        {
            return Err(bad(format!(
                "init_lora_weights is {init:?}, which changes the base weights too; convert the adapter to \
                 a plain one with PEFT (path_initial_model_for_weight_conversion)"
            )));
        }
        if let Some(bias) = config.get("bias").filter(|b| !b.is_null())
            && bias.as_str() != Some("none")
        {
            return Err(bad(format!("bias is {bias}; only \"none\" is supported")));
        }
        let rank = config.get("r").and_then(Value::as_u64).filter(|r| (1..=1 << 20).contains(r));
        let alpha = config.get("lora_alpha").and_then(Value::as_f64);
        let patterns: Patterns = serde_json::from_str(&text)
            .map_err(|e| bad(format!("rank_pattern, alpha_pattern: {e}")))?;
        Ok(Self {
            path: path.to_owned(),
            rank: rank.ok_or_else(|| bad("r is missing or no whole number above 0".into()))?
                as usize,
            alpha: alpha.ok_or_else(|| bad("lora_alpha is missing or not a number".into()))?,
            rslora: config.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
            ranks: patterns.rank_pattern.compile(path, "rank_pattern")?,
            alphas: patterns.alpha_pattern.compile(path, "alpha_pattern")?,
        })
    }

    /// Scale of a module whose factors have this rank.
    ///
    /// # Errors
    /// [`LmError::File`] if the configuration gives the module another rank: the scale depends on it.
    pub(super) fn of(&self, module: &str, rank: usize) -> Result<f64, LmError> {
        let expected = first_match(&self.ranks, module).unwrap_or(self.rank as f64);
        if expected != rank as f64 {
            return Err(LmError::file(
                &self.path,
                format!(
                    "r (with rank_pattern) makes {module} rank {expected}; its tensors have {rank}"
                ),
            ));
        }
        let alpha = first_match(&self.alphas, module).unwrap_or(self.alpha);
        Ok(if self.rslora { alpha / expected.sqrt() } else { alpha / expected })
    }
}

/// Whether a field has a value that PEFT would act on.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// The value of the first pattern that names `module`, a path without PEFT's `base_model.model.`.
fn first_match(patterns: &[(Regex, f64)], module: &str) -> Option<f64> {
    patterns.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, value)| *value)
}

/// The fields in which the order of keys matters, so that no map may sort them.
#[derive(Deserialize)]
struct Patterns {
    #[serde(default)]
    rank_pattern: Ordered,
    #[serde(default)]
    alpha_pattern: Ordered,
}

/// Pattern and value, in the order of the file.
#[derive(Default)]
struct Ordered(Vec<(String, f64)>);

impl Ordered {
    /// A key is a regular expression for the end of a path, beginning at a dot: `(.*\.)?(key)$`.
    fn compile(self, path: &Path, field: &str) -> Result<Vec<(Regex, f64)>, LmError> {
        let compile =
            |(key, value): (String, f64)| match Regex::new(&format!(r"^(?:.*\.)?(?:{key})$")) {
                Ok(pattern) => Ok((pattern, value)),
                Err(e) => {
                    let reason = e.to_string().lines().last().unwrap_or_default().trim().to_owned();
                    Err(LmError::file(
                        path,
                        format!("{field}: {key:?} is no pattern we read: {reason}"),
                    ))
                }
            };
        self.0.into_iter().map(compile).collect()
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of patterns and numbers")
            }

            fn visit_unit<E>(self) -> Result<Ordered, E> {
                Ok(Ordered::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_any(InOrder)
    }
}

/// Every key that PEFT and vLLM read.
///
/// vLLM knows neither `rank_pattern` nor `alpha_pattern`; both stay empty where one rank and one scale
/// hold for all modules, as in every adapter that this crate trains or merges.
pub(super) fn write(adapter: &Adapter, base: &str) -> Value {
    let (layers, rank, root) = (&adapter.layers, adapter.config.rank, adapter.root);
    let mut modules = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        for which in Projection::ALL {
            if let Some(pair) = layer.get(which) {
                let path = format!("{root}.layers.{index}.{}", which.path());
                let pair_rank = pair.a.dims()[0];
                modules.push((path, pair_rank, pair.scale * pair_rank as f64));
            }
        }
    }
    let alpha = modules.iter().find(|m| m.1 == rank).or(modules.first()).map_or(0.0, |m| m.2);
    let ranks: BTreeMap<_, _> =
        modules.iter().filter(|m| m.1 != rank).map(|m| (m.0.as_str(), m.1)).collect();
    let differs = |other: f64| (other - alpha).abs() > 1e-9 * alpha.abs().max(1.0);
    let alphas: BTreeMap<_, _> =
        modules.iter().filter(|m| differs(m.2)).map(|m| (m.0.as_str(), whole(m.2))).collect();
    json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base,
        "revision": null, "inference_mode": true, "r": rank, "lora_alpha": whole(alpha),
        "target_modules": target_modules(layers, root), "lora_dropout": 0.0, "bias": "none",
        "fan_in_fan_out": false, "init_lora_weights": true, "use_rslora": false, "use_dora": false,
        "modules_to_save": null, "layers_to_transform": null, "layers_pattern": null,
        "rank_pattern": ranks, "alpha_pattern": alphas, "auto_mapping": null,
    })
}

/// A module's name where every layer has it, else its whole path in each layer that does. In a multimodal
/// checkpoint always the path: the part that reads images has modules of the same names.
fn target_modules(layers: &[LayerAdapter], root: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for which in Projection::ALL {
        if root == "model" && layers.iter().all(|l| l.get(which).is_some()) {
            targets.push(which.name().to_owned());
            continue;
        }
        let having = layers.iter().enumerate().filter(|(_, l)| l.get(which).is_some());
        targets.extend(having.map(|(index, _)| format!("{root}.layers.{index}.{}", which.path())));
    }
    targets
}

/// Integers stay integers in the JSON, as PEFT writes them.
fn whole(value: f64) -> impl Serialize + Into<Value> {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::Scales;

    /// Scale of a module of rank 8 under the given pattern, where `lora_alpha` is 16.
    fn scale(alpha_pattern: &str, module: &str) -> f64 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adapter_config.json");
        let text = format!(
            r#"{{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "alpha_pattern": {alpha_pattern}}}"#
        );
        std::fs::write(&path, text).unwrap();
        Scales::read(&path).unwrap().of(module, 8).unwrap()
    }

    // Expected values from PEFT 0.21's `get_pattern_key`, which matches `(.*\.)?(key)$`.
    #[test]
    fn a_pattern_is_a_regular_expression_for_the_end_of_a_path() {
        let module = "model.layers.11.self_attn.q_proj";
        assert_eq!(scale(r#"{"q_proj": 8}"#, module), 1.0);
        assert_eq!(scale(r#"{"[qk]_proj": 8}"#, module), 1.0);
        assert_eq!(scale(r#"{"layers\\.1\\d\\..*": 8}"#, module), 1.0);
        assert_eq!(scale(r#"{"q_proj|v_proj": 8}"#, module), 1.0);
        assert_eq!(scale(r#"{"^model.layers.11.self_attn.q_proj": 8}"#, module), 1.0);
    }

    #[test]
    fn a_pattern_begins_at_a_dot_and_reaches_the_end() {
        let module = "model.layers.11.self_attn.q_proj";
        for other in ["proj", "1.self_attn.q_proj", "self_attn", "^layers.11.self_attn.q_proj"] {
            assert_eq!(scale(&format!(r#"{{"{other}": 8}}"#), module), 2.0, "{other}");
        }
    }

    #[test]
    fn the_first_pattern_in_the_file_wins_whatever_its_name() {
        let module = "model.layers.0.self_attn.q_proj";
        assert_eq!(scale(r#"{"q_proj": 8, ".*": 32}"#, module), 1.0);
        assert_eq!(scale(r#"{"self_attn.q_proj": 32, "q_proj": 8}"#, module), 4.0);
        assert_eq!(scale(r#"{"q_proj": 8, "layers.0.*": 32}"#, module), 1.0);
    }
}

//! Adapters as PEFT writes and reads them: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ingrain_run::write_atomic;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use super::adapter::{Adapter, LayerAdapter, LoraPair, parameter_name};
use super::{LoraConfig, Projection};
use crate::weights::{map_file, to_f32};
use crate::{CausalLm, LmError};

const CONFIG_FILE: &str = "adapter_config.json";
const WEIGHTS_FILE: &str = "adapter_model.safetensors";

impl Adapter {
    /// Writes the adapter in PEFT's form into `dir`, made if absent; `base` becomes
    /// `base_model_name_or_path`.
    ///
    /// Files are written beside and renamed, the configuration last.
    ///
    /// # Errors
    /// [`LmError::Adapter`] if the adapter changes nothing; [`LmError::File`] if it cannot be written.
    pub fn save(&self, dir: &Path, base: &str) -> Result<(), LmError> {
        if self.is_identity() {
            return Err(LmError::Adapter(format!(
                "refusing to write {}: every B is zero, so the adapter changes nothing; train it first",
                dir.display()
            )));
        }
        self.save_unchecked(dir, base)
    }

    /// As [`Adapter::save`], for checkpoints that may not have learnt anything yet.
    ///
    /// # Errors
    /// [`LmError::File`] if it cannot be written.
    pub fn save_unchecked(&self, dir: &Path, base: &str) -> Result<(), LmError> {
        std::fs::create_dir_all(dir).map_err(LmError::io(dir))?;
        let path = dir.join(WEIGHTS_FILE);
        write_atomic(&path, &self.to_safetensors(&path)?)
            .map_err(|e| LmError::file(&path, e.to_string()))?;
        let path = dir.join(CONFIG_FILE);
        let text = format!("{:#}\n", self.peft_config(base));
        write_atomic(&path, text.as_bytes()).map_err(|e| LmError::file(&path, e.to_string()))
    }

    fn to_safetensors(&self, path: &Path) -> Result<Vec<u8>, LmError> {
        let bad = |e: String| LmError::file(path, e);
        let mut blobs = Vec::new();
        for (name, tensor) in self.untracked().parameters() {
            let shape = tensor.dims().to_vec();
            let values = tensor.into_data().try_to_vec::<f32>().map_err(|e| bad(format!("{e:?}")))?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            blobs.push((name, shape, bytes));
        }
        let views = blobs
            .iter()
            .map(|(name, shape, bytes)| {
                TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| bad(e.to_string()))?;
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| bad(e.to_string()))
    }

    /// Every key that PEFT and vLLM read.
    fn peft_config(&self, base: &str) -> Value {
        // Scales that differ from alpha / rank (a strength other than 1) are written as alpha.
        let rank = self.config.rank as f64;
        let mut alpha_pattern = BTreeMap::new();
        for (index, layer) in self.layers.iter().enumerate() {
            for which in Projection::ALL {
                if let Some(pair) = layer.get(which) {
                    let alpha = pair.scale * rank;
                    if (alpha - self.config.alpha).abs() > 1e-9 * self.config.alpha.abs().max(1.0) {
                        alpha_pattern
                            .insert(format!("model.layers.{index}.{}", which.path()), alpha);
                    }
                }
            }
        }
        json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base,
            "revision": null, "inference_mode": true, "r": self.config.rank,
            "lora_alpha": whole(self.config.alpha), "target_modules": self.config.target_modules,
            "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": false,
            "init_lora_weights": true, "use_rslora": false, "use_dora": false,
            "modules_to_save": null, "layers_to_transform": null, "layers_pattern": null,
            "rank_pattern": {}, "alpha_pattern": alpha_pattern, "auto_mapping": null,
        })
    }

    /// Reads an adapter that PEFT or this crate wrote, for `model`.
    ///
    /// Rank and scale come from the tensors and from `lora_alpha`, `use_rslora` and `alpha_pattern`.
    ///
    /// # Errors
    /// [`LmError`] naming the file and field: not LoRA, DoRA, trained biases or extra modules, a tensor
    /// that the model has no place for, half of a pair missing, or shapes that do not fit.
    pub fn load(dir: &Path, model: &CausalLm) -> Result<Self, LmError> {
        let path = dir.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).map_err(LmError::io(&path))?;
        let config: Value = serde_json::from_str(&text)
            .map_err(|e| LmError::file(&path, format!("is not valid JSON: {e}")))?;
        let scales = Scales::read(&path, &config)?;
        let weights = dir.join(WEIGHTS_FILE);
        let bytes = map_file(&weights)?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| LmError::file(&weights, format!("is not a safetensors file: {e}")))?;
        let mut layers = vec![LayerAdapter::default(); model.layers.len()];
        let mut used = 0;
        for (index, layer) in layers.iter_mut().enumerate() {
            for which in Projection::ALL {
                let name = |factor| parameter_name(index, which, factor);
                let read = |factor| read_tensor(&file, &weights, &name(factor), model.device());
                let (a, b) = match (read("lora_A")?, read("lora_B")?) {
                    (None, None) => continue,
                    (Some(a), Some(b)) => (a, b),
                    (None, _) => return Err(missing(&weights, &name("lora_A"))),
                    (_, None) => return Err(missing(&weights, &name("lora_B"))),
                };
                let [outputs, inputs] = model.layers[index].projections[which as usize].weight.dims();
                let rank = a.dims()[0];
                if a.dims()[1] != inputs || b.dims() != [outputs, rank] {
                    return Err(LmError::file(
                        &weights,
                        format!(
                            "{} is {:?} and {:?}; this model needs [r, {inputs}] and [{outputs}, r]",
                            name("lora_A"),
                            a.dims(),
                            b.dims()
                        ),
                    ));
                }
                used += 2;
                let module = format!("model.layers.{index}.{}", which.path());
                let scale = scales.of(&module, rank);
                layer.pairs[which as usize] = Some(LoraPair { a, b, scale });
            }
        }
        if let Some(extra) = file.names().iter().find(|n| !is_known(n, model.layers.len())) {
            return Err(LmError::file(
                &weights,
                format!("holds {extra}, which this model has no place for"),
            ));
        }
        if used == 0 {
            return Err(LmError::file(&weights, "holds no LoRA weights for this model"));
        }
        let target_modules = Projection::ALL
            .into_iter()
            .filter(|&p| layers.iter().any(|l| l.get(p).is_some()))
            .map(|p| p.name().to_owned())
            .collect();
        let config = LoraConfig { rank: scales.rank, alpha: scales.alpha, target_modules };
        Ok(Self { config, layers })
    }
}

/// Integers stay integers in the JSON, as PEFT writes them.
fn whole(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

fn missing(path: &Path, name: &str) -> LmError {
    LmError::file(path, format!("{name} is missing, but its counterpart is there"))
}

fn is_known(name: &str, layers: usize) -> bool {
    (0..layers).any(|l| {
        Projection::ALL.into_iter().any(|p| {
            ["lora_A", "lora_B"].into_iter().any(|factor| parameter_name(l, p, factor) == name)
        })
    })
}

fn read_tensor(
    file: &SafeTensors<'_>,
    path: &Path,
    name: &str,
    device: &Device,
) -> Result<Option<Tensor<2>>, LmError> {
    let Ok(view) = file.tensor(name) else { return Ok(None) };
    let &[rows, columns] = view.shape() else {
        return Err(LmError::file(path, format!("{name} must have two axes")));
    };
    let values = to_f32(view.dtype(), view.data())
        .ok_or_else(|| LmError::file(path, format!("{name}: {:?} is not a float type", view.dtype())))?;
    Ok(Some(Tensor::from_data(TensorData::new(values, [rows, columns]), device)))
}

/// How each module's side path is scaled.
struct Scales {
    rank: usize,
    alpha: f64,
    rslora: bool,
    alpha_pattern: Vec<(String, f64)>,
}

impl Scales {
    fn read(path: &Path, config: &Value) -> Result<Self, LmError> {
        let bad = |reason: String| LmError::file(path, reason);
        match config.get("peft_type").and_then(Value::as_str) {
            Some("LORA") => {}
            other => return Err(bad(format!("peft_type is {other:?}; only \"LORA\" is supported"))),
        }
        for (field, reason) in [
            ("use_dora", "DoRA adapters are not supported"),
            ("fan_in_fan_out", "transposed weights are not supported"),
        ] {
            if config.get(field).and_then(Value::as_bool) == Some(true) {
                return Err(bad(format!("{field} is true: {reason}")));
            }
        }
        if let Some(bias) = config.get("bias").and_then(Value::as_str)
            && bias != "none"
        {
            return Err(bad(format!("bias is {bias:?}; only \"none\" is supported")));
        }
        if let Some(modules) = config.get("modules_to_save").and_then(Value::as_array)
            && !modules.is_empty()
        {
            return Err(bad("modules_to_save is not supported: merge them into the base".into()));
        }
        let number = |name: &str| {
            config
                .get(name)
                .and_then(Value::as_f64)
                .ok_or_else(|| bad(format!("{name} is missing or not a number")))
        };
        let alpha_pattern = config
            .get("alpha_pattern")
            .and_then(Value::as_object)
            .map(|map| {
                map.iter().filter_map(|(key, v)| Some((key.clone(), v.as_f64()?))).collect()
            })
            .unwrap_or_default();
        Ok(Self {
            rank: number("r")? as usize,
            alpha: number("lora_alpha")?,
            rslora: config.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
            alpha_pattern,
        })
    }

    /// A pattern names a module by its whole path or by a suffix that begins at a dot.
    fn of(&self, module: &str, rank: usize) -> f64 {
        let alpha = self
            .alpha_pattern
            .iter()
            .find(|(key, _)| module == key || module.ends_with(&format!(".{key}")))
            .map_or(self.alpha, |(_, alpha)| *alpha);
        let rank = rank.max(1) as f64;
        if self.rslora { alpha / rank.sqrt() } else { alpha / rank }
    }
}

//! Adapters as PEFT writes and reads them: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ingrain_run::write_atomic;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::adapter::{Adapter, LayerAdapter, LoraPair, parameter_name};
use super::peft_config::{self, Scales};
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
        write_atomic(&path, &self.to_safetensors(&path)?)?;
        let path = dir.join(CONFIG_FILE);
        let text = format!("{:#}\n", peft_config::write(&self.layers, self.config.rank, base));
        Ok(write_atomic(&path, text.as_bytes())?)
    }

    fn to_safetensors(&self, path: &Path) -> Result<Vec<u8>, LmError> {
        let bad = |e: String| LmError::file(path, e);
        let mut blobs = Vec::new();
        for (name, tensor) in self.untracked().parameters() {
            let shape = tensor.dims().to_vec();
            let values =
                tensor.into_data().try_to_vec::<f32>().map_err(|e| bad(format!("{e:?}")))?;
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

    /// Reads an adapter that PEFT or this crate wrote, for `model`.
    ///
    /// Ranks come from the tensors, scales from `lora_alpha`, `use_rslora` and `alpha_pattern`.
    ///
    /// # Errors
    /// [`LmError`] naming the file and field: not LoRA, DoRA, trained biases or extra modules, a tensor
    /// that the model has no place for, half of a pair missing, shapes that do not fit, or a value
    /// that is not finite.
    pub fn load(dir: &Path, model: &CausalLm) -> Result<Self, LmError> {
        let scales = Scales::read(&dir.join(CONFIG_FILE))?;
        let weights = dir.join(WEIGHTS_FILE);
        let bytes = map_file(&weights)?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| LmError::file(&weights, format!("is not a safetensors file: {e}")))?;
        let mut layers = vec![LayerAdapter::default(); model.layers.len()];
        let mut known = BTreeSet::new();
        for (index, layer) in layers.iter_mut().enumerate() {
            for which in Projection::ALL {
                known.extend(["lora_A", "lora_B"].map(|f| parameter_name(index, which, f)));
                layer.pairs[which as usize] =
                    read_pair(&file, &weights, &scales, model, (index, which))?;
            }
        }
        let mut names = file.names();
        names.sort_unstable();
        if let Some(extra) = names.iter().find(|n| !known.contains(**n)) {
            let reason = format!("holds {extra}, which this model has no place for");
            return Err(LmError::file(&weights, reason));
        }
        if names.is_empty() {
            return Err(LmError::file(&weights, "holds no LoRA weights"));
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

/// The factors of one module, if the file has them.
fn read_pair(
    file: &SafeTensors<'_>,
    path: &Path,
    scales: &Scales,
    model: &CausalLm,
    (layer, which): (usize, Projection),
) -> Result<Option<LoraPair>, LmError> {
    let bad = |reason: String| LmError::file(path, reason);
    let [name_a, name_b] = ["lora_A", "lora_B"].map(|f| parameter_name(layer, which, f));
    let read = |name: &str| read_tensor(file, path, name, model.device());
    let missing = |name| bad(format!("{name} is missing, but its counterpart is there"));
    let (a, b) = match (read(&name_a)?, read(&name_b)?) {
        (None, None) => return Ok(None),
        (Some(a), Some(b)) => (a, b),
        (None, _) => return Err(missing(name_a)),
        (_, None) => return Err(missing(name_b)),
    };
    let [outputs, inputs] = model.layers[layer].projections[which as usize].weight.dims();
    let rank = a.dims()[0];
    if a.dims()[1] != inputs || b.dims() != [outputs, rank] {
        return Err(bad(format!(
            "{name_a} is {:?} and its lora_B {:?}; this model needs [r, {inputs}] and [{outputs}, r]",
            a.dims(),
            b.dims()
        )));
    }
    let scale = scales.of(&format!("model.layers.{layer}.{}", which.path()), rank)?;
    Ok(Some(LoraPair { a, b, scale }))
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
    let values = to_f32(view.dtype(), view.data()).ok_or_else(|| {
        LmError::file(path, format!("{name}: {:?} is not a float type", view.dtype()))
    })?;
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        let reason = format!("{name}: value {at} is {}; the file is damaged", values[at]);
        return Err(LmError::file(path, reason));
    }
    Ok(Some(Tensor::from_data(TensorData::new(values, [rows, columns]), device)))
}

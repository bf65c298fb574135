//! Adapters as PEFT writes and reads them: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use ingrain_run::write_atomic;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::adapter::{Adapter, LayerAdapter, LoraPair, parameter_name};
use super::peft_config::{self, Scales};
use super::{LoraConfig, Projection};
use crate::weights::{TensorFile, is_vision};
use crate::{CausalLm, Family, LmError};

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
        let text = format!("{:#}\n", peft_config::write(self, base));
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
        let file = TensorFile::open(&dir.join(WEIGHTS_FILE))?;
        let names = file.names();
        let root = ROOTS.into_iter().find(|root| {
            let prefix = format!("base_model.model.{root}.layers.");
            names.iter().any(|name| name.starts_with(&prefix))
        });
        let source = Source { file, root: root.unwrap_or("model"), scales, model };
        let mut layers = vec![LayerAdapter::default(); model.layers.len()];
        for (index, layer) in layers.iter_mut().enumerate() {
            for which in Projection::ALL {
                layer.pairs[which as usize] = source.pair(index, which)?;
            }
        }
        let skipped = source.left_out(&names)?;
        let Source { scales, .. } = source;
        let target_modules = Projection::ALL
            .into_iter()
            .filter(|&p| layers.iter().any(|l| l.get(p).is_some()))
            .map(|p| p.name().to_owned())
            .collect();
        let config = LoraConfig { rank: scales.rank, alpha: scales.alpha, target_modules };
        Ok(Self { config, root: model.config().root(), layers, skipped })
    }
}

/// Where PEFT finds the decoder's modules: in a text-only checkpoint, and in multimodal ones as newer and
/// older versions of transformers nest it.
const ROOTS: [&str; 3] = ["model", "model.language_model", "language_model.model"];

/// An adapter's files, and the model they are read for.
struct Source<'a> {
    file: TensorFile,
    root: &'static str,
    scales: Scales,
    model: &'a CausalLm,
}

impl Source<'_> {
    fn bad(&self, reason: String) -> LmError {
        LmError::file(self.file.path(), reason)
    }

    /// The factors of one module, if the file has them.
    fn pair(&self, layer: usize, which: Projection) -> Result<Option<LoraPair>, LmError> {
        let [name_a, name_b] =
            ["lora_A", "lora_B"].map(|f| parameter_name(self.root, layer, which, f));
        let missing = |name| self.bad(format!("{name} is missing, but its counterpart is there"));
        let (a, b) = match (self.tensor(&name_a)?, self.tensor(&name_b)?) {
            (None, None) => return Ok(None),
            (Some(a), Some(b)) => (a, b),
            (None, _) => return Err(missing(name_a)),
            (_, None) => return Err(missing(name_b)),
        };
        let projection = &self.model.layers[layer].projections[which as usize];
        let [outputs, inputs] = projection.weight.dims();
        let rank = a.dims()[0];
        if a.dims()[1] != inputs || b.dims() != [outputs, rank] {
            return Err(self.bad(format!(
                "{name_a} is {:?} and its lora_B {:?}; this model needs [r, {inputs}] and [{outputs}, r]",
                a.dims(),
                b.dims()
            )));
        }
        let module = format!("{}.layers.{layer}.{}", self.root, which.path());
        let scale = self.scales.of(&module, rank)?;
        Ok(Some(LoraPair { a, b, scale }))
    }

    fn tensor(&self, name: &str) -> Result<Option<Tensor<2>>, LmError> {
        let Some(shape) = self.file.shape(name) else { return Ok(None) };
        let &[rows, columns] = shape else {
            return Err(self.bad(format!("{name} must have two axes")));
        };
        let values = self.file.read(name)?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(
                self.bad(format!("{name}: value {at} is {}; the file is damaged", values[at]))
            );
        }
        let data = TensorData::new(values, [rows, columns]);
        Ok(Some(Tensor::from_data(data, self.model.device())))
    }

    /// The tensors that belong to no module of the decoder, all of which a rule must allow.
    fn left_out(&self, names: &[String]) -> Result<Vec<String>, LmError> {
        let known: BTreeSet<String> = (0..self.model.layers.len())
            .flat_map(|layer| Projection::ALL.map(|which| (layer, which)))
            .flat_map(|(layer, which)| {
                ["lora_A", "lora_B"].map(|f| parameter_name(self.root, layer, which, f))
            })
            .collect();
        let left: Vec<String> = names.iter().filter(|n| !known.contains(*n)).cloned().collect();
        if left.len() == names.len() {
            return Err(self.bad("holds no LoRA weights".into()));
        }
        // The language model of a multimodal checkpoint may have come without the rest: as a GGUF file,
        // or exported.
        let multimodal = self.model.config().family == Family::Gemma3;
        let allowed = |name: &str| {
            multimodal && name.strip_prefix("base_model.model.").is_some_and(is_vision)
        };
        match left.iter().find(|name| !allowed(name)) {
            None => Ok(left),
            Some(extra) => {
                Err(self.bad(format!("holds {extra}, which this model has no place for")))
            }
        }
    }
}

//! The adapter itself: pairs of low-rank factors, by layer and projection.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::{LoraConfig, Projection};
use crate::layers::product;
use crate::{CausalLm, LmError};

/// One side path, `scale * (x A^T) B^T`.
#[derive(Clone, Debug)]
pub(crate) struct LoraPair {
    /// `[rank, in]`
    pub(crate) a: Tensor<2>,
    /// `[out, rank]`
    pub(crate) b: Tensor<2>,
    /// `alpha / rank`, or `alpha / sqrt(rank)` for rsLoRA.
    pub(crate) scale: f64,
}

impl LoraPair {
    /// `x: [tokens, in]` to `[tokens, out]`, in products of type `inner`.
    pub(crate) fn forward(&self, x: Tensor<2>, inner: DType) -> Tensor<2> {
        let factor = |factor: &Tensor<2>| factor.clone().cast(inner).transpose();
        let narrow = product(x, factor(&self.a)).mul_scalar(self.scale);
        product(narrow, factor(&self.b))
    }

    /// The weight update `scale * B A`, `[out, in]`.
    pub(crate) fn delta(&self) -> Tensor<2> {
        self.b.clone().matmul(self.a.clone()).mul_scalar(self.scale)
    }
}

/// The side paths of one decoder block.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerAdapter {
    /// In the order of [`Projection::ALL`].
    pub(crate) pairs: [Option<LoraPair>; 7],
}

impl LayerAdapter {
    pub(crate) fn get(&self, which: Projection) -> Option<&LoraPair> {
        self.pairs[which as usize].as_ref()
    }
}

/// A LoRA adapter for a [`CausalLm`]: a value beside the model, applied in a forward pass or not.
///
/// Weights are f32. Parameters carry the names that PEFT gives them on disk.
#[derive(Clone, Debug)]
pub struct Adapter {
    pub(crate) config: LoraConfig,
    /// Path of the decoder's modules, which begins the name of every parameter.
    pub(crate) root: &'static str,
    pub(crate) layers: Vec<LayerAdapter>,
    /// Names of tensors that were left out by rule.
    pub(crate) skipped: Vec<String>,
}

impl Adapter {
    /// A fresh adapter that changes nothing yet: A Kaiming-uniform, B zero.
    ///
    /// A's entries are uniform in `[-1/sqrt(in), 1/sqrt(in)]`, PEFT's initialisation. The same `seed`
    /// gives the same adapter on every machine.
    ///
    /// # Errors
    /// [`LmError::Adapter`] if the configuration names unknown modules or rank 0.
    pub fn init(model: &CausalLm, config: &LoraConfig, seed: u64) -> Result<Self, LmError> {
        let targets = config.projections()?;
        let mut random = Pcg64::seed_from_u64(seed);
        let device = model.device().clone();
        let layers = model
            .layers
            .iter()
            .map(|layer| {
                let mut adapter = LayerAdapter::default();
                for &which in &targets {
                    let [outputs, inputs] = layer.projections[which as usize].weight.dims();
                    adapter.pairs[which as usize] = Some(LoraPair {
                        a: kaiming_uniform(&mut random, config.rank, inputs, &device),
                        b: Tensor::zeros([outputs, config.rank], &device),
                        scale: config.alpha / config.rank as f64,
                    });
                }
                adapter
            })
            .collect();
        let root = model.config().root();
        Ok(Self { config: config.clone(), root, layers, skipped: Vec::new() })
    }

    /// The configuration it was made with.
    #[must_use]
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// Tensors of the file that were left out by rule: side paths of the part that reads images.
    #[must_use]
    pub fn skipped_tensors(&self) -> &[String] {
        &self.skipped
    }

    /// Every trainable tensor with its PEFT name, in a stable order.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, Tensor<2>)> {
        let mut parameters = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            for which in Projection::ALL {
                if let Some(pair) = layer.get(which) {
                    parameters
                        .push((parameter_name(self.root, index, which, "lora_A"), pair.a.clone()));
                    parameters
                        .push((parameter_name(self.root, index, which, "lora_B"), pair.b.clone()));
                }
            }
        }
        parameters
    }

    /// The same adapter with every parameter replaced by what `f` makes of it.
    #[must_use]
    pub fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
        let mut mapped = self.clone();
        for (index, layer) in mapped.layers.iter_mut().enumerate() {
            for which in Projection::ALL {
                if let Some(pair) = &mut layer.pairs[which as usize] {
                    pair.a = f(&parameter_name(self.root, index, which, "lora_A"), pair.a.clone());
                    pair.b = f(&parameter_name(self.root, index, which, "lora_B"), pair.b.clone());
                }
            }
        }
        mapped
    }

    /// Every parameter on the autodiff graph, for a pass that ends in `backward`.
    #[must_use]
    pub fn tracked(&self) -> Self {
        self.map_parameters(&mut |_, tensor| tensor.autodiff().require_grad())
    }

    /// Plain parameters, for passes without a backward.
    #[must_use]
    pub fn untracked(&self) -> Self {
        self.map_parameters(&mut |_, tensor| tensor.without_autodiff())
    }

    /// The same adapter at another strength: 0 is the base model, 1 the adapter as trained.
    #[must_use]
    pub fn scaled(&self, strength: f64) -> Self {
        let mut scaled = self.clone();
        for pair in scaled.layers.iter_mut().flat_map(|l| l.pairs.iter_mut().flatten()) {
            pair.scale *= strength;
        }
        scaled
    }

    /// Number of trainable values.
    #[must_use]
    pub fn num_parameters(&self) -> usize {
        self.parameters().iter().map(|(_, t)| t.dims().iter().product::<usize>()).sum()
    }

    /// Whether it leaves the model as it is: every `B` is zero.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.layers.iter().flat_map(|l| l.pairs.iter().flatten()).all(|pair| {
            pair.scale == 0.0
                || pair
                    .b
                    .clone()
                    .abs()
                    .max()
                    .into_data()
                    .iter::<f32>()
                    .all(|largest| largest == 0.0)
        })
    }
}

/// The name PEFT gives a factor on disk.
pub(crate) fn parameter_name(root: &str, layer: usize, which: Projection, factor: &str) -> String {
    format!("base_model.model.{root}.layers.{layer}.{}.{factor}.weight", which.path())
}

fn kaiming_uniform(random: &mut Pcg64, rank: usize, inputs: usize, device: &Device) -> Tensor<2> {
    let bound = 1.0 / (inputs as f64).sqrt();
    let values: Vec<f32> = (0..rank * inputs)
        .map(|_| {
            let unit = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            ((2.0 * unit - 1.0) * bound) as f32
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [rank, inputs]), device)
}

//! Weights that train: full fine-tuning, alone or beside an adapter.

use std::collections::BTreeSet;

use burn::tensor::{DType, Tensor};

use crate::layers::{DecoderLayer, Linear, Norm, OutputNorms, QkNorms};
use crate::weights::norm_path;
use crate::{Adapter, CausalLm, LmError, Policy, Projection, Readout, TokenBatch};

const EMBED: &str = "embed_tokens";
const HEAD: &str = "lm_head";
const NORM: &str = "norm";

/// Weights of some modules of a model, free to train, and an adapter beside them if wanted.
///
/// Parameters carry the names of HF checkpoints, those of the adapter PEFT's; norms have the values that
/// the forward pass uses (of Gemma: one more than the file's). Blocks with weights that
/// train run as compositions of Burn operations rather than as one kernel, and keep their activations:
/// a step of the built-in model costs several times what it costs with an adapter alone, in time and in
/// memory; AdamW's moments are twice the size of what trains.
///
/// # Examples
/// ```no_run
/// use ingrain_lm::{CausalLm, FullWeights};
///
/// # fn f(model: &CausalLm) -> Result<(), Box<dyn std::error::Error>> {
/// // needs weights, so it is only compiled here
/// let everything = FullWeights::all(model);
/// let last_maps_only = FullWeights::of(model, &["down_proj", "norm"])?;
/// let trained: CausalLm = everything.put_into(model);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FullWeights {
    named: Vec<(String, Tensor<2>)>,
    /// Trains beside the weights.
    pub adapter: Option<Adapter>,
}

impl FullWeights {
    /// Every weight of the model.
    #[must_use]
    pub fn all(model: &CausalLm) -> Self {
        let mut model = model.clone();
        let named = slots(&mut model).into_iter().map(|(name, _, slot)| (name, slot.get()));
        Self { named: named.collect(), adapter: None }
    }

    /// The weights of the named modules, biases included, in every block: projections (`q_proj`, ...) and
    /// norms (`input_layernorm`, `post_attention_layernorm`, ...); and `embed_tokens`, `norm`, `lm_head`. A head that is tied to the
    /// embedding trains with it.
    ///
    /// # Errors
    /// [`LmError::Adapter`] for a name that the model does not have.
    pub fn of(model: &CausalLm, modules: &[&str]) -> Result<Self, LmError> {
        let mut model = model.clone();
        let slots = slots(&mut model);
        let known: BTreeSet<&str> = slots.iter().map(|(_, module, _)| *module).collect();
        if let Some(unknown) = modules.iter().find(|module| !known.contains(**module)) {
            let known: Vec<&str> = known.into_iter().collect();
            return Err(LmError::Adapter(format!(
                "no module {unknown:?} with weights of its own; expected some of {}",
                known.join(", ")
            )));
        }
        let wanted = slots.into_iter().filter(|(_, module, _)| modules.contains(module));
        Ok(Self {
            named: wanted.map(|(name, _, slot)| (name, slot.get())).collect(),
            adapter: None,
        })
    }

    /// The same with an adapter that trains beside the weights.
    #[must_use]
    pub fn with_adapter(self, adapter: Adapter) -> Self {
        Self { adapter: Some(adapter), ..self }
    }

    /// The model with these weights in place of its own; the adapter is not folded in.
    #[must_use]
    pub fn put_into(&self, model: &CausalLm) -> CausalLm {
        let mut model = model.clone();
        let tied = model.config.tie_embeddings;
        let mut named = self.named.iter().peekable();
        for (name, _, slot) in slots(&mut model) {
            if let Some((_, weight)) = named.next_if(|(wanted, _)| *wanted == name) {
                slot.set(weight.clone());
            }
        }
        if tied {
            model.head = model.embed.clone();
        }
        // Weights that move have no packed form.
        model.head_half = None;
        for projection in model.layers.iter_mut().flat_map(|layer| &mut layer.projections) {
            projection.half = None;
        }
        model
    }

    /// Every tensor that trains with its name, in a stable order.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, Tensor<2>)> {
        let beside = self.adapter.iter().flat_map(Adapter::parameters);
        self.named.iter().cloned().chain(beside).collect()
    }

    /// The same with every tensor replaced by what `f` makes of it.
    #[must_use]
    pub fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
        let named = self.named.iter().map(|(name, x)| (name.clone(), f(name, x.clone()))).collect();
        let adapter = self.adapter.as_ref().map(|adapter| adapter.map_parameters(f));
        Self { named, adapter }
    }
}

impl Policy for FullWeights {
    fn readout(&self, model: &CausalLm, batch: &TokenBatch) -> Readout {
        self.put_into(model).readout(batch, self.adapter.as_ref())
    }
}

/// A place in a model that holds a weight.
enum Slot<'a> {
    Matrix(&'a mut Tensor<2>),
    /// Seen as one row.
    Vector(&'a mut Tensor<1>),
}

impl Slot<'_> {
    fn get(&self) -> Tensor<2> {
        match self {
            // What trains is f32, however it was held.
            Self::Matrix(weight) => (**weight).clone().cast(DType::F32),
            Self::Vector(weight) => (**weight).clone().unsqueeze(),
        }
    }

    fn set(self, value: Tensor<2>) {
        match self {
            Self::Matrix(weight) => *weight = value,
            Self::Vector(weight) => *weight = value.squeeze_dim(0),
        }
    }
}

/// Every weight with its HF name and the name of its module.
fn slots(model: &mut CausalLm) -> Vec<(String, &'static str, Slot<'_>)> {
    let CausalLm { config, embed, layers, norm, head, .. } = model;
    let mut slots = vec![("model.embed_tokens.weight".to_owned(), EMBED, Slot::Matrix(embed))];
    for (index, layer) in layers.iter_mut().enumerate() {
        let name = |rest: &str| format!("model.layers.{index}.{rest}");
        let DecoderLayer { input_norm, post_attention_norm, qk_norms, output_norms, .. } = layer;
        let mut norms = vec![(Norm::Input, input_norm), (Norm::FeedForward, post_attention_norm)];
        if let Some(QkNorms { q, k }) = qk_norms {
            norms.extend([(Norm::Query, q), (Norm::Key, k)]);
        }
        if let Some(OutputNorms { attention, feed_forward }) = output_norms {
            let after =
                [(Norm::AttentionOutput, attention), (Norm::FeedForwardOutput, feed_forward)];
            norms.extend(after);
        }
        for (which, weight) in norms {
            let path = norm_path(config.family, which);
            let module = path.rsplit('.').next().unwrap_or(path);
            slots.push((name(&format!("{path}.weight")), module, Slot::Vector(weight)));
        }
        for (which, linear) in Projection::ALL.into_iter().zip(&mut layer.projections) {
            let Linear { weight, bias, .. } = linear;
            let path = |part: &str| name(&format!("{}.{part}", which.path()));
            slots.push((path("weight"), which.name(), Slot::Matrix(weight)));
            if let Some(bias) = bias {
                slots.push((path("bias"), which.name(), Slot::Vector(bias)));
            }
        }
    }
    slots.push(("model.norm.weight".to_owned(), NORM, Slot::Vector(norm)));
    if !config.tie_embeddings {
        slots.push(("lm_head.weight".to_owned(), HEAD, Slot::Matrix(head)));
    }
    slots
}

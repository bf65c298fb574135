//! One way in which the model shows itself, with its own history.

use std::io::Write;
use std::sync::Arc;

use ingrain::chat::{FinishReason, Message, Role, Sampling};
use ingrain::lm::{
    Adapter, CausalLm, Generation, Generator, LocalModel, Overlay, Prompt, ReplyText, Variant,
};
use ingrain::run::Interrupt;
use ingrain::steering::ControlVector;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Base,
    Prompted,
    Steered,
    Trained,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Prompted => "prompted",
            Self::Steered => "steered",
            Self::Trained => "trained",
        }
    }
}

/// What a strength acts on.
enum Material {
    Nothing,
    Adapter(Adapter),
    Vector(ControlVector),
}

pub(crate) struct Guise {
    pub(crate) kind: Kind,
    pub(crate) on: bool,
    system: Option<String>,
    turns: Vec<Message>,
    material: Material,
    variant: Arc<Variant>,
}

/// Every guise that there is material for, all switched on.
pub(crate) fn all(
    model: &LocalModel,
    system: Option<String>,
    vector: Option<ControlVector>,
    steer: f64,
) -> anyhow::Result<Vec<Guise>> {
    let plain = |kind, system| Guise {
        kind,
        on: true,
        system,
        turns: Vec::new(),
        material: Material::Nothing,
        variant: Variant::new(None),
    };
    let mut guises = vec![plain(Kind::Base, None)];
    guises.extend(system.map(|system| plain(Kind::Prompted, Some(system))));
    if let Some(vector) = vector {
        let mut guise = Guise { material: Material::Vector(vector), ..plain(Kind::Steered, None) };
        guise.set_strength(&model.model, steer)?;
        guises.push(guise);
    }
    if let Some(adapter) = model.adapter.clone() {
        let material = Material::Adapter(adapter.clone());
        let variant = Variant::new(Some(adapter));
        guises.push(Guise { material, variant, ..plain(Kind::Trained, None) });
    }
    Ok(guises)
}

impl Guise {
    pub(crate) fn set_strength(&mut self, model: &CausalLm, strength: f64) -> anyhow::Result<()> {
        self.variant = match &self.material {
            Material::Nothing => self.variant.clone(),
            Material::Adapter(adapter) => Variant::new(Some(adapter.scaled(strength))),
            Material::Vector(vector) => {
                let steering = Some(vector.steering(model, strength)?);
                Arc::new(Variant { adapter: None, steering })
            }
        };
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.turns.clear();
    }

    /// Answers on the terminal, word by word.
    pub(crate) fn stream(
        &mut self,
        model: &LocalModel,
        text: &str,
        sampling: &Sampling,
    ) -> anyhow::Result<()> {
        let prompt = self.ask(model, text, sampling)?;
        let reply = std::cell::RefCell::new(ReplyText::new(&model.tokenizer, &[]));
        let show = |_: usize, tokens: &[u32]| {
            let mut reply = reply.borrow_mut();
            let id = tokens.last().copied().unwrap_or_default();
            let failed = reply.push(id).is_err();
            print!("{}", reply.take_new());
            // A terminal that is gone shows at the next line read.
            let _ = std::io::stdout().flush();
            failed
        };
        let mut end = "";
        generator(model).run(&[prompt], &show, &mut |_, generation| end = ending(&generation))?;
        let mut reply = reply.into_inner();
        reply.finish()?;
        print!("{}{end}", reply.take_new());
        self.note(text, reply.text());
        Ok(())
    }

    /// The conversation so far with what is said now, as a prompt.
    fn ask(&self, model: &LocalModel, text: &str, sampling: &Sampling) -> anyhow::Result<Prompt> {
        let system = self.system.iter().map(Message::system);
        let said = self.turns.iter().cloned().chain([Message::user(text)]);
        let ids = model.prompt_ids(&system.chain(said).collect::<Vec<_>>())?;
        let what = format!("the conversation with {} and one new token", self.kind.name());
        let fits = model.model.check_length(&what, ids.len() + 1);
        fits.map_err(|error| anyhow::anyhow!("{error}; /clear begins anew"))?;
        Ok(Prompt { variant: Some(self.variant.clone()), ..Prompt::new(ids, sampling.clone()) })
    }

    /// Keeps what was said and answered.
    fn note(&mut self, text: &str, reply: &str) {
        self.turns.extend([Message::user(text), Message::assistant(reply)]);
    }
}

/// What is shown behind a reply that the token limit or the context ended.
fn ending(generation: &Generation) -> &'static str {
    match generation.finish {
        FinishReason::Length => " [cut off]",
        FinishReason::Stop => "",
    }
}

/// Answers of several guises, in one batch; each joins its guise's history.
pub(crate) fn answer_all(
    model: &LocalModel,
    guises: &mut [&mut Guise],
    text: &str,
    sampling: &Sampling,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut prompts = Vec::new();
    for guise in guises.iter_mut() {
        prompts.push(guise.ask(model, text, sampling)?);
    }
    let mut replies = vec![(String::new(), ""); guises.len()];
    let mut failed = None;
    generator(model).run(&prompts, &|_, _| false, &mut |index, generation| match model
        .text(&generation, &[])
    {
        Ok(text) => replies[index] = (text, ending(&generation)),
        Err(error) => failed = Some(error),
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    for (guise, (reply, _)) in guises.iter_mut().zip(&replies) {
        guise.note(text, reply);
    }
    let shown = replies.into_iter().map(|(reply, end)| format!("{reply}{end}"));
    Ok(guises.iter().map(|guise| guise.kind.name()).zip(shown).collect())
}

fn generator(model: &LocalModel) -> Generator<'_> {
    Generator {
        model: &model.model,
        overlay: Overlay::default(),
        stop_ids: model.tokenizer.stop_ids(),
        max_batch: model.max_batch,
        interrupt: Interrupt::new(),
    }
}

impl std::fmt::Display for Guise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "\n[{}]", self.kind.name())?;
        for turn in &self.turns {
            let who = if turn.role == Role::User { "you" } else { self.kind.name() };
            writeln!(f, "{who}: {}", turn.content)?;
        }
        Ok(())
    }
}

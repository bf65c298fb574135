//! A terminal chat with one model in several guises: as it is, prompted, steered, trained; side by side or
//! one at a time.
//!
//! Needs nothing prepared: the built-in model (98 MB) is fetched on first use. Guises whose material is
//! given are switched on.
//!
//! ```sh
//! cargo run --release --example chat -- --persona sarcasm --adapter runs/sarcasm/persona
//! cargo run --release --example chat -- --persona sarcasm --vector sarcasm.gguf --steer 2.5
//! ```
//!
//! What to expect: a prompt; a reply of each guise that is switched on, in seconds each. Each keeps a
//! history of its own; a conversation that no longer fits the context is said, never shortened. `/help` lists
//! the switches.

#![expect(clippy::print_stdout, reason = "a chat writes its replies")]

#[path = "chat/guise.rs"]
mod guise;
mod support;

use std::io::{BufRead, Write};
use std::process::ExitCode;

use clap::Parser;
use ingrain::chat::Sampling;
use ingrain::constitution::PromptSet;
use ingrain::steering::ControlVector;
use ingrain::{Persona, lm};

use guise::{Guise, Kind};

/// Chat in the terminal
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    /// Constitution whose system prompt the prompted guise gets: a name or a YAML file
    #[arg(long)]
    persona: Option<String>,
    /// System prompt of the prompted guise, in place of a persona's
    #[arg(long, conflicts_with = "persona")]
    system: Option<String>,
    /// Control vector of the steered guise, a GGUF file
    #[arg(long)]
    vector: Option<std::path::PathBuf>,
    /// Strength of the control vector; the example `steer` finds one
    #[arg(long, default_value_t = 1.0)]
    steer: f64,
    #[command(flatten)]
    sampling: support::SamplingArgs,
}

const HELP: &str = "\
  /base /prompted /steered /trained   switch a guise on or off
  /only NAME                          that one alone
  /all                                every guise that there is
  /strength X                         strength of the adapter (0 is the base, 1 as trained)
  /steer X                            strength of the control vector
  /history                            the conversations so far
  /clear                              begin anew
  /quit                               leave (so does the end of the input)";

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let model = args.model.load(&support::Terminal::new())?;
        let system = match (&args.system, &args.persona) {
            (Some(system), _) => Some(system.clone()),
            (None, Some(name)) => {
                let persona = Persona::find(name, &support::persona_folders())?;
                Some(
                    PromptSet::embedded()
                        .teacher_system(persona.constitution(), "the assistant")?,
                )
            }
            (None, None) => None,
        };
        let vector = args.vector.as_ref().map(ControlVector::load).transpose()?;
        let mut chat = Chat {
            guises: guise::all(&model, system, vector, args.steer)?,
            model,
            sampling: args.sampling.sampling(),
        };
        chat.say_who();
        chat.run()
    })
}

struct Chat {
    model: lm::LocalModel,
    guises: Vec<Guise>,
    sampling: Sampling,
}

impl Chat {
    fn run(&mut self) -> anyhow::Result<()> {
        let mut lines = std::io::stdin().lock().lines();
        loop {
            print!("\n> ");
            std::io::stdout().flush()?;
            let Some(line) = lines.next().transpose()? else { return Ok(()) };
            let line = line.trim();
            match line.strip_prefix('/') {
                _ if line.is_empty() => {}
                Some("quit") => return Ok(()),
                Some(command) => {
                    if let Err(problem) = self.obey(command) {
                        println!("  {problem}; /help lists the switches");
                    }
                }
                None => {
                    if let Err(problem) = self.answer(line) {
                        println!("  {problem}");
                    }
                }
            }
        }
    }

    fn obey(&mut self, command: &str) -> anyhow::Result<()> {
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        let number =
            || rest.trim().parse::<f64>().map_err(|_| anyhow::anyhow!("{rest:?} is no number"));
        match word {
            "help" => println!("{HELP}"),
            "all" => self.guises.iter_mut().for_each(|guise| guise.on = true),
            "only" => {
                let kind = self.kind(rest.trim())?;
                self.guises.iter_mut().for_each(|guise| guise.on = guise.kind == kind);
            }
            "clear" => self.guises.iter_mut().for_each(Guise::clear),
            "history" => self.guises.iter().for_each(|guise| println!("{guise}")),
            "strength" => self.set(Kind::Trained, number()?)?,
            "steer" => self.set(Kind::Steered, number()?)?,
            _ => {
                let kind = self.kind(word)?;
                self.guises.iter_mut().filter(|g| g.kind == kind).for_each(|g| g.on = !g.on);
            }
        }
        if !["help", "history"].contains(&word) {
            self.say_who();
        }
        Ok(())
    }

    fn kind(&self, name: &str) -> anyhow::Result<Kind> {
        let found = self.guises.iter().find(|guise| guise.kind.name() == name);
        found.map(|guise| guise.kind).ok_or_else(|| anyhow::anyhow!("there is no guise {name:?}"))
    }

    fn set(&mut self, kind: Kind, strength: f64) -> anyhow::Result<()> {
        let name = kind.name();
        let guise = self.guises.iter_mut().find(|guise| guise.kind == kind);
        let guise = guise.ok_or_else(|| anyhow::anyhow!("there is no guise {name:?}"))?;
        guise.set_strength(&self.model.model, strength)
    }

    fn say_who(&self) {
        let mark = |guise: &Guise| {
            format!("{} {}", if guise.on { "[x]" } else { "[ ]" }, guise.kind.name())
        };
        println!("  {}", self.guises.iter().map(mark).collect::<Vec<_>>().join("   "));
    }

    /// One guise streams; several are answered together and shown one below the other.
    fn answer(&mut self, text: &str) -> anyhow::Result<()> {
        let mut on: Vec<&mut Guise> = self.guises.iter_mut().filter(|guise| guise.on).collect();
        anyhow::ensure!(!on.is_empty(), "every guise is switched off; /all switches them on");
        self.sampling.seed = self.sampling.seed.wrapping_add(1);
        if let [only] = on.as_mut_slice() {
            println!("\n[{}]", only.kind.name());
            only.stream(&self.model, text, &self.sampling)?;
            println!();
            return Ok(());
        }
        for (name, reply) in guise::answer_all(&self.model, &mut on, text, &self.sampling)? {
            println!("\n[{name}]\n{reply}");
        }
        Ok(())
    }
}

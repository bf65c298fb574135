//! What all examples share: the exit code, model arguments, progress on the terminal.
#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each example uses its part; progress goes to stderr"
)]

mod progress;

use std::process::ExitCode;

use ingrain::lm::{AdapterSource, LocalModel, ModelSource};
use ingrain::run::{Interrupt, Observer};

pub(crate) use progress::Terminal;

/// Runs `main`; an error becomes one line on stderr and exit code 1.
pub(crate) fn run(main: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    match main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A cause that its parent quotes already is not said twice.
            let mut line = error.to_string();
            for cause in error.chain().skip(1) {
                let cause = cause.to_string();
                if !line.contains(&cause) {
                    line = format!("{line}: {cause}");
                }
            }
            eprintln!("error: {line}");
            ExitCode::FAILURE
        }
    }
}

/// Which model, which adapter, where it runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// Built-in alias, HF directory, .gguf file or hub id (org/name@revision:folder)
    #[arg(long, default_value = ingrain::lm::BUILTIN_MODEL)]
    pub(crate) model: String,
    /// PEFT adapter: a directory or a hub id
    #[arg(long)]
    pub(crate) adapter: Option<AdapterSource>,
    /// How strongly the adapter acts: 0 not at all, 1 as trained
    #[arg(long, default_value_t = 1.0)]
    pub(crate) strength: f64,
    /// cpu, ndarray, cuda or cuda:N (the last two by feature)
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
}

impl ModelArgs {
    /// Resolves, verifies and loads model and adapter.
    pub(crate) fn load(&self, observer: &dyn Observer) -> anyhow::Result<LocalModel> {
        let device = ingrain::lm::device(&self.device)?;
        let files = self.model.parse::<ModelSource>()?.resolve(observer)?;
        let model = LocalModel::load(&files, &device)?;
        let Some(source) = &self.adapter else { return Ok(model) };
        let adapted = model.adapted(&source.resolve(observer)?)?;
        let adapter = adapted.adapter.as_ref().map(|adapter| adapter.scaled(self.strength));
        Ok(adapted.with_adapter(adapter))
    }
}

/// Ctrl-C asks once to stop at the next safe point; a second time ends the process.
pub(crate) fn interrupt_on_ctrl_c() -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::new();
    let flag = interrupt.clone();
    ctrlc::set_handler(move || {
        if flag.is_requested() {
            std::process::exit(130);
        }
        eprintln!("\nstopping at the next safe point; press Ctrl-C again to stop at once");
        flag.request();
    })?;
    Ok(interrupt)
}

/// Where personas are looked for: `personas/` here, then that of the repository.
pub(crate) fn persona_folders() -> Vec<std::path::PathBuf> {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../../personas");
    vec!["personas".into(), repository.into()]
}

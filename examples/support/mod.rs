//! What all examples share: the exit code, model arguments, progress on the terminal.
#![allow(
    dead_code,
    unused_imports,
    clippy::print_stderr,
    reason = "each example uses its part; progress goes to stderr"
)]

mod progress;

use std::process::ExitCode;

use mimalloc::MiMalloc;

use ingrain::lm::{AdapterSource, LocalModel, ModelSource};
use ingrain::run::{Interrupt, Observer};

pub(crate) use progress::Terminal;

/// glibc hands large blocks back to the kernel each time one is freed, and faults them in again: half of
/// the time of reading a long prompt (docs/LOG.md). A program that uses our crates should choose one like
/// this.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
    /// Arithmetic of products with the weights; bf16 is faster where the processor has AVX-512 BF16
    #[arg(long, value_parser = ["f32", "bf16"], default_value = "f32")]
    pub(crate) precision: String,
}

impl ModelArgs {
    /// Resolves, verifies and loads model and adapter.
    pub(crate) fn load(&self, observer: &dyn Observer) -> anyhow::Result<LocalModel> {
        let device = ingrain::lm::device(&self.device)?;
        let files = self.model.parse::<ModelSource>()?.resolve(observer)?;
        let mut model = LocalModel::load(&files, &device)?;
        if self.precision == "bf16" {
            model.model = model.model.with_bf16_products()?;
        }
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

//! What all examples share: the exit code, arguments, progress on the terminal.
#![allow(
    dead_code,
    unused_imports,
    clippy::print_stderr,
    reason = "each example uses its part; progress goes to stderr"
)]

mod allocator;
mod args;
mod progress;
mod train;
mod watch;

use std::process::ExitCode;

use mimalloc::MiMalloc;

use ingrain::run::Interrupt;

pub(crate) use args::{
    BaseArgs, CHARACTERS, Character, DeviceArgs, GraderArgs, ModelArgs, PersonaArgs, RunArgs,
    SamplingArgs, SourceArgs, TrainedPersonaArgs, chat_model, classifier, heldout_questions,
    is_server, load_model, persona_folders, reply_source, server,
};
pub(crate) use progress::Terminal;
pub(crate) use train::{TrainArgs, write_model};
pub(crate) use watch::Watch;

/// glibc hands large blocks back to the kernel each time one is freed, and faults them in again: half of
/// the time of reading a long prompt (docs/LOG.md). A program that uses our crates should choose one like
/// this.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Runs `main`; an error becomes one line on stderr and exit code 1.
pub(crate) fn run(main: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    allocator::keep_freed_pages();
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

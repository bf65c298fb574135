//! Progress on the terminal: one line that is rewritten, or plain lines where output is no terminal.

use std::collections::HashMap;
use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ingrain::run::{Event, Observer};

/// Metrics of a step that are shown, and what they are called there.
const SHOWN: [(&str, &str); 7] = [
    ("loss", "loss"),
    ("eval_loss", "held-out"),
    ("accuracy", "accuracy"),
    ("margin", "margin"),
    ("nll", "nll"),
    ("grad_norm", "norm"),
    ("tokens_per_sec", "tokens/s"),
];

const GIB: f64 = (1_u64 << 30) as f64;

/// Writes what happens to stderr.
pub(crate) struct Terminal {
    state: Mutex<State>,
    is_terminal: bool,
}

#[derive(Default)]
struct State {
    totals: HashMap<String, (Option<u64>, String)>,
    started: Option<Instant>,
    /// Steps that an earlier process of the run has done.
    earlier_steps: Option<u64>,
    last: Option<Instant>,
    /// Whether the stage sends meters, which say more than its progress.
    metered: bool,
    open_line: bool,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), is_terminal: stderr().is_terminal() }
    }

    /// At most a few lines a second on a terminal, one in ten seconds in a log.
    fn is_due(&self, state: &mut State) -> bool {
        let pause = if self.is_terminal { 200 } else { 10_000 };
        let due = state.last.is_none_or(|at| at.elapsed() > Duration::from_millis(pause));
        if due {
            state.last = Some(Instant::now());
        }
        due
    }

    fn rewrite(&self, state: &mut State, line: &str) {
        if self.is_terminal {
            eprint!("\r\x1b[2K  {line}");
            let _ = stderr().flush();
            state.open_line = true;
        } else {
            eprintln!("  {line}");
        }
    }

    fn close(&self, state: &mut State) {
        if state.open_line {
            eprint!("\r\x1b[2K");
            state.open_line = false;
        }
    }
}

impl Observer for Terminal {
    fn on_event(&self, event: &Event) {
        let Ok(mut state) = self.state.lock() else { return };
        let state = &mut *state;
        match event {
            Event::StageStarted { stage, total, unit } => {
                self.close(state);
                state.totals.insert(stage.clone(), (*total, unit.clone()));
                state.started = Some(Instant::now());
                state.last = Some(Instant::now());
                state.earlier_steps = None;
                state.metered = false;
                match total {
                    Some(total) => eprintln!("{stage}: {} {unit}", count(*total, unit)),
                    None => eprintln!("{stage}"),
                }
            }
            Event::Meter { .. } => {
                state.metered = true;
                if self.is_due(state) {
                    let line = meter(event, &state.totals);
                    self.rewrite(state, &line);
                }
            }
            Event::Progress { stage, done, tokens } => {
                if state.metered || !self.is_due(state) {
                    return;
                }
                let (total, unit) = state.totals.get(stage).cloned().unwrap_or_default();
                let bar = total.map_or_else(String::new, |total| bar(*done, total));
                let seconds = state.started.map_or(0.0, |at| at.elapsed().as_secs_f64());
                let (done, rate) = (count(*done, &unit), rate(*tokens, seconds));
                self.rewrite(state, &format!("{bar}{done} {unit}{rate}"));
            }
            Event::Step { step, total, metrics, .. } => {
                let earlier = *state.earlier_steps.get_or_insert(step.saturating_sub(1));
                if !self.is_due(state) && *step != *total {
                    return;
                }
                let metrics: Vec<String> = SHOWN
                    .iter()
                    .filter_map(|(name, label)| {
                        Some(format!("{label} {}", short(*metrics.get(*name)?)))
                    })
                    .chain(metrics.get("rss_bytes").map(|bytes| format!("{:.1} GiB", bytes / GIB)))
                    .collect();
                let seconds = state.started.map_or(0.0, |at| at.elapsed().as_secs_f64());
                let here = step.saturating_sub(earlier).max(1);
                let left = seconds / here as f64 * total.saturating_sub(*step) as f64;
                let line = format!(
                    "{}step {step}/{total}  {}  {} left",
                    bar(*step, *total),
                    metrics.join("  "),
                    duration(left)
                );
                self.rewrite(state, &line);
            }
            Event::StageFinished { stage, done, tokens, seconds, reused } => {
                self.close(state);
                if *reused {
                    eprintln!("{stage}: finished earlier, reused");
                } else {
                    let unit = state.totals.get(stage).map_or("", |(_, unit)| unit);
                    let made = match tokens {
                        0 => String::new(),
                        _ => format!(", {tokens} tokens{}", rate(*tokens, *seconds)),
                    };
                    eprintln!("  done: {} {unit} in {seconds:.1} s{made}", count(*done, unit));
                }
            }
            Event::Note { stage, message } => {
                self.close(state);
                eprintln!("  {stage}: {message}");
            }
            _ => {}
        }
    }
}

/// `[====    ] 120/500 replies, 8.1/s, 41k tokens, 0.13 spent, 2 failed, 47 s left`
fn meter(event: &Event, totals: &HashMap<String, (Option<u64>, String)>) -> String {
    let Event::Meter { stage, done, total, per_sec, failed, tokens, cost, eta_secs } = event else {
        return String::new();
    };
    let unit = totals.get(stage).map_or("", |(_, unit)| unit);
    let mut line = format!("{}{done}/{total} {unit}, {per_sec:.1}/s", bar(*done, *total));
    line += &match tokens {
        0..10_000 => format!(", {tokens} tokens"),
        _ => format!(", {:.0}k tokens", *tokens as f64 / 1e3),
    };
    if let Some(cost) = cost {
        line += &format!(", {cost:.4} spent");
    }
    if *failed > 0 {
        line += &format!(", {failed} failed");
    }
    if let Some(left) = eta_secs {
        line += &format!(", {} left", duration(*left));
    }
    line
}

/// Tokens a second, where it took long enough to be more than the reading of a file.
fn rate(tokens: u64, seconds: f64) -> String {
    match tokens > 0 && seconds >= 0.1 {
        true => format!(", {:.0} tokens/s", tokens as f64 / seconds),
        false => String::new(),
    }
}

fn bar(done: u64, total: u64) -> String {
    let filled = (done.min(total) * 24 / total.max(1)) as usize;
    format!("[{}{}] ", "=".repeat(filled), " ".repeat(24 - filled))
}

fn count(value: u64, unit: &str) -> String {
    if unit == "bytes" { format!("{:.1} million", value as f64 / 1e6) } else { value.to_string() }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6_000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

//! Runs a fuzz target for a time, on a stable toolchain and without coverage.
//!
//! ```sh
//! cargo run --release --manifest-path fuzz/Cargo.toml --bin soak -- constitution 600
//! cargo run --release --manifest-path fuzz/Cargo.toml --bin soak -- constitution --input 12345
//! ```
//!
//! The time is processor time of this process, in seconds. Every input has a number, and the
//! number alone makes it again; the first failing or slow one ends the run with its number.

use std::{
    panic,
    process::ExitCode,
    time::{Duration, Instant},
};

use ingrain_fuzz::{TARGETS, Target, mutate};

/// One input may take this long; none of at most 64 KiB has a reason to.
const SLOW: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (*name, rest),
        None => ("", &[][..]),
    };
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!(
            "usage: soak TARGET SECONDS | soak TARGET --input N; TARGET: {}",
            names.join(", ")
        );
        return ExitCode::FAILURE;
    };
    match rest {
        ["--input", number] => match number.parse() {
            Ok(number) => replay(target, number),
            Err(error) => usage(&format!("{number:?}: {error}")),
        },
        [seconds] => match seconds.parse() {
            Ok(seconds) => soak(target, Duration::from_secs(seconds)),
            Err(error) => usage(&format!("{seconds:?}: {error}")),
        },
        _ => usage("expected seconds"),
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::FAILURE
}

fn replay(target: &Target, number: u64) -> ExitCode {
    let input = mutate::input(number, &(target.seeds)(), target.dictionary);
    println!("{}", String::from_utf8_lossy(&input));
    (target.run)(&input);
    ExitCode::SUCCESS
}

fn soak(target: &Target, limit: Duration) -> ExitCode {
    let seeds = (target.seeds)();
    let first = seeds.iter().map(Vec::len).sum::<usize>() as u64;
    let (start, mut number, mut slowest) = (Instant::now(), first, Duration::ZERO);
    // A stack that overflows ends the process without a panic; the last line then says where.
    let mut next_report = Duration::ZERO;
    loop {
        let used = processor_time().unwrap_or_else(|| start.elapsed());
        if used >= limit {
            break;
        }
        if used >= next_report {
            println!("{:>6.0} s  input {number}, slowest {slowest:.0?}", used.as_secs_f64());
            next_report = used + Duration::from_secs(20);
        }
        for _ in 0..100 {
            let input = mutate::input(number, &seeds, target.dictionary);
            let before = processor_time();
            if panic::catch_unwind(|| (target.run)(&input)).is_err() {
                eprintln!("input {number} fails: soak {} --input {number}", target.name);
                return ExitCode::FAILURE;
            }
            let took =
                processor_time().zip(before).map_or(Duration::ZERO, |(now, then)| now - then);
            slowest = slowest.max(took);
            if took > SLOW {
                eprintln!("input {number} takes {took:?}: soak {} --input {number}", target.name);
                return ExitCode::FAILURE;
            }
            number += 1;
        }
    }
    println!("{} inputs, no failure, slowest {slowest:.0?}", number - first);
    ExitCode::SUCCESS
}

/// Processor time of this process and all its threads, where the system says it in a file.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold spaces; time in user and in system are the 12th and 13th field
    // behind it, in hundredths of a second.
    let (_, rest) = text.rsplit_once(')')?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Some(Duration::from_millis(10 * ticks.sum::<Result<u64, _>>().ok()?))
}

//! A judge of one's own, held against pairs whose right answer is known.
//!
//! The judge counts: which reply says "I" more often for its length? It is one function, `answer`; both
//! orders, files, resume and reliability are the library's. Needs no model and takes no time: the replies
//! are a persona's recorded held-out pairs, in character against the base model's own, so the right answer
//! is always the first.
//!
//! ```sh
//! cargo run --release --example custom_judge
//! cargo run --release --example custom_judge -- --persona remorse
//! ```
//!
//! What to expect: its agreement with the known answers, 1.00 for the same verdict in both orders (a
//! counter cannot be led by the order), and that it is not reliable, with the reason.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::process::ExitCode;

use clap::Parser;
use ingrain::judge::{
    Answer, Case, Judge, JudgeError, Label, Question, ReliabilityConfig, Session, Task, Unreadable,
    Verdict,
};
use ingrain::run::{Interrupt, JsonlStore};

/// Judge recorded replies by a rule
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    persona: support::PersonaArgs,
}

struct SaysI;

impl SaysI {
    /// Uses of "I" a word.
    fn rate(text: &str) -> f64 {
        let words = || text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words().filter(|word| *word == "I").count() as f64 / words().count().max(1) as f64
    }
}

impl Judge for SaysI {
    fn answer(
        &self,
        questions: &[Question<'_>],
        on_answer: &mut dyn FnMut(usize, Result<Answer, JudgeError>),
    ) {
        for (index, question) in questions.iter().enumerate() {
            // Replies in the order shown, A and B; a grade has none, and is not guessed at.
            let (reply, reading) = match question.options() {
                Some([a, b]) => {
                    let (a, b) = (Self::rate(a), Self::rate(b));
                    let verdict = match a == b {
                        true => Verdict::Tie,
                        false => Verdict::of_letter(a > b, question.order),
                    };
                    (format!("A {a:.3}, B {b:.3}"), Ok(verdict))
                }
                None => (String::new(), Err(Unreadable::NoAnswer)),
            };
            let prompt = question.case.message.clone();
            on_answer(index, Ok(Answer { prompt, reply, reading, probability: None }));
        }
    }
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let persona = args.persona.find()?;
        let (mut cases, mut known) = (Vec::new(), Vec::new());
        for (index, pair) in persona.heldout_pairs()?.iter().enumerate() {
            let key = index.to_string();
            let (first, second) = (pair.chosen_text().to_owned(), pair.rejected_text().to_owned());
            let verdict = Verdict::First;
            known.push(Label { case: key.clone(), rater: "construction".into(), verdict });
            let task = Task::Compare { first, second };
            cases.push(Case { key, message: pair.question().to_owned(), task });
        }
        let session = Session {
            name: "says-i",
            judge: &SaysI,
            seed: 1,
            repeats: 0,
            batch_size: 64,
            observer: &support::Terminal::new(),
            interrupt: &Interrupt::new(),
        };
        let file = std::env::temp_dir().join(format!("says-i-{}.jsonl", std::process::id()));
        let (rulings, _) = session.run(&cases, &mut JsonlStore::open(&file)?)?;
        std::fs::remove_file(&file)?;
        let found = ReliabilityConfig::default().assess("says-i", &cases, &rulings, &known);
        if let (Some(labels), Some(position)) = (&found.labels, &found.position) {
            println!("{} pairs of {}", labels.cases, persona.name());
            println!("agreement with what is known: {}", labels.observed);
            println!("same verdict in both orders:    {}", position.consistency);
        }
        println!("ties: {}\nstanding: {:?}", found.tie_rate, found.standing);
        Ok(())
    })
}

//! A local model behind the seam that servers stand on.

use std::path::{Path, PathBuf};

use ingrain::LocalEngine;
use ingrain::chat::{FinishReason, Message, Sampling};
use ingrain::lm::{Adapter, LocalModel, ModelSource, Prompt, TokenSequence};
use ingrain::run::Silent;
use ingrain::serve::{Engine, Event, Events, Input, Job, Refusal, Replies, TokenText};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)
}

fn model() -> LocalModel {
    let dir = fixture("tiny_models/llama_tied");
    let source: ModelSource = dir.to_str().expect("UTF-8").parse().expect("a directory");
    let device = ingrain::lm::device("cpu").expect("a processor");
    LocalModel::load(&source.resolve(&Silent).expect("files"), &device).expect("a model")
}

fn adapter(name: &str, model: &LocalModel) -> Adapter {
    Adapter::load(&fixture("peft").join(name), &model.model).expect("an adapter")
}

fn engine(model: &LocalModel) -> LocalEngine {
    let adapters = ["plain", "rslora"].map(|name| (name.to_owned(), adapter(name, model)));
    LocalEngine::new(model, "base", adapters.into())
}

fn job(model: &str, input: Input, sampling: Sampling) -> Job {
    let (model, strength) = (model.to_owned(), 1.0);
    Job { model, strength, input, sampling, echo: false, logprobs: None }
}

fn text(model: &str, text: &str, new_tokens: usize) -> Job {
    job(model, Input::Text(text.to_owned()), Sampling::greedy(new_tokens))
}

/// Everything that comes of one job.
#[derive(Debug, Default)]
struct Outcome {
    prompt_tokens: usize,
    text: String,
    tokens: Vec<TokenText>,
    end: Option<Result<(FinishReason, usize), Refusal>>,
}

impl Outcome {
    #[track_caller]
    fn done(&self) -> (FinishReason, usize) {
        self.end.clone().expect("an end").expect("an answer")
    }

    #[track_caller]
    fn refused(&self) -> &Refusal {
        self.end.as_ref().expect("an end").as_ref().expect_err("a refusal")
    }
}

/// Submits jobs all at once and waits for every end.
fn answer(engine: &LocalEngine, jobs: Vec<Job>) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = jobs.iter().map(|_| Outcome::default()).collect();
    let (replies, events) = Replies::channel(jobs.len());
    jobs.into_iter().zip(replies).for_each(|(job, replies)| engine.submit(job, replies));
    collect(events, &mut outcomes);
    outcomes
}

fn collect(mut events: Events, outcomes: &mut [Outcome]) {
    while let Some((index, event)) = events.wait() {
        let outcome = &mut outcomes[index];
        assert!(outcome.end.is_none(), "nothing comes behind the end: {event:?}");
        match event {
            Event::Started { prompt_tokens } => outcome.prompt_tokens = prompt_tokens,
            Event::Text { text, tokens } => {
                outcome.text.push_str(&text);
                outcome.tokens.extend(tokens);
            }
            Event::Done { finish, completion_tokens } => {
                outcome.end = Some(Ok((finish, completion_tokens)));
            }
            Event::Failed(refusal) => outcome.end = Some(Err(refusal)),
        }
    }
}

/// What the model says by itself, under an adapter or none.
fn alone(model: &LocalModel, adapter: Option<Adapter>, prompt: Prompt) -> (String, usize) {
    let model = model.with_adapter(adapter);
    let mut reply = None;
    let prompts = [prompt];
    model.generate(&prompts, &mut |_, generation| reply = Some(generation)).expect("a reply");
    let reply = reply.expect("a reply");
    (model.text(&reply, &prompts[0].sampling.stop).expect("text"), reply.token_ids.len())
}

#[test]
fn names_and_strengths_share_a_batch_and_answer_each_as_its_own_model() {
    let mut model = model();
    model.max_batch = 5;
    let engine = engine(&model);
    let names: Vec<String> = engine.models().into_iter().map(|card| card.id).collect();
    assert_eq!(names, ["base", "plain", "rslora"]);
    let mut jobs = Vec::new();
    for index in 0..18u64 {
        let sampling = Sampling { seed: index, ..Sampling::greedy(4 + index as usize % 5) };
        let sampling =
            if index % 2 == 0 { sampling } else { Sampling { temperature: 0.9, ..sampling } };
        let said = [Message::user(format!("the same beginning, then {index}"))];
        let one = job(&names[index as usize % 3], Input::Chat(said.to_vec()), sampling);
        jobs.push(Job { strength: [1.0, 0.5, 0.0, -1.0][index as usize % 4], ..one });
    }
    for (job, outcome) in jobs.iter().zip(answer(&engine, jobs.clone())) {
        let adapter =
            (job.model != "base").then(|| adapter(&job.model, &model).scaled(job.strength));
        let Input::Chat(messages) = &job.input else { unreachable!() };
        let ids = model.prompt_ids(messages).unwrap();
        assert_eq!(outcome.prompt_tokens, ids.len());
        let expected = alone(&model, adapter, Prompt::new(ids, job.sampling.clone()));
        assert_eq!(
            (outcome.text.as_str(), outcome.done().1),
            (expected.0.as_str(), expected.1),
            "{job:?}"
        );
    }
}

#[test]
fn an_echoed_prompt_carries_the_log_probabilities_of_a_full_pass() {
    let model = model();
    let engine = engine(&model);
    let prompt = "a prompt to be scored";
    let ids = model.tokenizer.encode(prompt, true).unwrap();
    for (name, new_tokens) in [("base", 0), ("base", 1), ("plain", 1), ("plain", 3)] {
        let echoed = Job { echo: true, logprobs: Some(2), ..text(name, prompt, new_tokens) };
        let outcome = answer(&engine, vec![echoed]).remove(0);
        assert_eq!(outcome.tokens.len(), ids.len() + outcome.done().1);
        assert!(outcome.text.starts_with(&model.tokenizer.decode(&ids, false).unwrap()));
        assert_eq!(outcome.tokens[0].logprob, None, "nothing predicts the first");
        let adapter = (name != "base").then(|| adapter(name, &model));
        let scorer = model.with_adapter(adapter);
        let sequence = TokenSequence::from_parts(&ids[..1], &ids[1..]);
        let expected = scorer.score(std::slice::from_ref(&sequence)).unwrap().remove(0);
        for (token, expected) in outcome.tokens[1..ids.len()].iter().zip(&expected) {
            let found = token.logprob.unwrap();
            assert!((found - expected).abs() < 1e-4, "{name}: {found}, not {expected}");
            assert_eq!(token.alternatives.len(), 2);
            assert!(token.alternatives[0].1 >= found - 1e-5, "the likeliest first");
        }
        // The token that greedy decoding adds is the likeliest of all.
        if let Some(first) = outcome.tokens.get(ids.len()) {
            assert_eq!(first.logprob, Some(first.alternatives[0].1));
        }
    }
}

#[test]
fn what_cannot_be_answered_is_refused_alone_and_says_why() {
    let model = model();
    let engine = engine(&model);
    let context = model.model.config().max_position;
    let tokens = |ids: Vec<u32>, new| job("base", Input::Tokens(ids), Sampling::greedy(new));
    let jobs = vec![
        text("base", "good", 3),
        text("nobody", "good", 3),
        tokens(vec![], 3),
        tokens(vec![5, 1_000_000], 3),
        tokens(vec![5; context + 1], 3),
        tokens(vec![5; 10], context),
        tokens(vec![5; context - 3], 3),
        tokens(vec![5; context - 3], usize::MAX),
    ];
    let outcomes = answer(&engine, jobs);
    let says = |index: usize, words: &[&str]| match outcomes[index].refused() {
        Refusal::Invalid(message) => {
            for word in words {
                assert!(message.contains(word), "{message:?} does not say {word:?}");
            }
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(outcomes[0].done().1, 3);
    assert_eq!(*outcomes[1].refused(), Refusal::NoSuchModel);
    says(2, &["prompt", "empty"]);
    says(3, &["1000000", "vocabulary"]);
    says(4, &["prompt", "257 tokens", "256"]);
    says(5, &["10 tokens", "256 new tokens", "266", "256"]);
    assert_eq!(outcomes[6].done().1, 3);
    let (finish, filled) = outcomes[7].done();
    assert!(filled <= 3, "a request without a bound ends where the context does: {filled}");
    assert!(filled < 3 || finish == FinishReason::Length);
}

#[test]
fn a_stop_text_ends_a_streamed_reply_and_none_of_it_is_sent() {
    let model = model();
    let engine = engine(&model);
    let whole = answer(&engine, vec![text("base", "tell me", 40)]).remove(0);
    // A piece from the middle of what it says anyway.
    let middle: Vec<char> = whole.text.chars().collect();
    let mut pairs = middle[middle.len() / 2..].windows(2);
    let stop = pairs.find(|pair| pair.iter().all(char::is_ascii_graphic)).unwrap();
    let stop: String = stop.iter().collect();
    let sampling = Sampling { stop: vec![stop.clone()], ..Sampling::greedy(40) };
    let input = Input::Text("tell me".to_owned());
    let cut = answer(&engine, vec![job("base", input, sampling)]).remove(0);
    assert_eq!(cut.done().0, FinishReason::Stop);
    assert_eq!(cut.text, whole.text[..whole.text.find(&stop).unwrap()]);
}

#[test]
fn who_goes_away_is_forgotten_and_an_engine_that_ends_refuses_the_rest() {
    let mut model = model();
    model.max_batch = 2;
    let engine = engine(&model);
    for index in 0..6 {
        let (replies, events) = Replies::channel(1);
        for replies in replies {
            engine.submit(text("base", &format!("gone {index}"), 200), replies);
        }
        drop(events);
    }
    let outcome = answer(&engine, vec![text("rslora", "still there", 5)]).remove(0);
    assert!(outcome.done().1 <= 5);

    let (replies, events) = Replies::channel(8);
    for (index, replies) in replies.into_iter().enumerate() {
        engine.submit(text("base", &format!("late {index}"), 200), replies);
    }
    drop(engine);
    let mut outcomes: Vec<Outcome> = (0..8).map(|_| Outcome::default()).collect();
    collect(events, &mut outcomes);
    assert!(outcomes.iter().all(|o| o.end.is_some()), "every request gets an end");
    assert!(outcomes.iter().any(|o| matches!(o.end, Some(Err(Refusal::Stopping)))));
}

//! Suites by log-probability over scorers whose answers are known.

use ingrain_chat::{ChatError, Score, ScriptedScorer};
use ingrain_constitution::Constitution;
use ingrain_data::PreferencePair;
use ingrain_eval::{
    Benchmark, Capabilities, DriftMatrix, DriftTarget, EvalError, FacetReplies, Facets, Inventory,
    Item, Psychometrics, ScoredMethod, Suite, TextMethod, TextRequest, TextScorer,
};
use ingrain_run::{Cell, Chart, Interrupt, SuiteReport};
use ingrain_stats::Bootstrap;

use crate::suite_run;

fn bootstrap() -> Bootstrap {
    Bootstrap { replicates: 200, ..Bootstrap::default() }
}

fn value(report: &SuiteReport, figure: &str, label: &str) -> [f64; 3] {
    let figure = report.figures.iter().find(|f| f.id == figure).expect("the figure is there");
    let Chart::Estimates { estimates, .. } = &figure.chart else { panic!("estimates") };
    let row = estimates.iter().find(|row| row.label == label).expect("the row is there");
    [row.value, row.low.unwrap_or(f64::NAN), row.high.unwrap_or(f64::NAN)]
}

fn number(cell: &Cell) -> f64 {
    if let Cell::Number(value) = cell { *value } else { f64::NAN }
}

/// Knows the answer to the first so many questions, and gives a word so many nats.
struct Knows(usize, f32);

impl TextScorer for Knows {
    fn score_texts(&self, requests: &[TextRequest]) -> Vec<Result<Score, ChatError>> {
        let score = |request: &TextRequest| {
            let number = request.context.rsplit("n=").next().and_then(|n| n.parse::<usize>().ok());
            let logprobs = match number {
                Some(number) => {
                    let says_right = request.continuation == " right";
                    vec![if says_right == (number < self.0) { -1.0 } else { -2.0 }]
                }
                None => vec![self.1; request.continuation.split_whitespace().count()],
            };
            Ok(Score { token_ids: vec![0; logprobs.len()], logprobs })
        };
        requests.iter().map(score).collect()
    }
}

fn benchmark() -> Benchmark {
    let item = |n: usize| Item {
        key: n.to_string(),
        contexts: vec![format!("n={n}")],
        continuations: vec![" wrong".into(), " right".into()],
        lengths: vec![5, 5],
        right: vec![false, true],
    };
    Benchmark { name: "counting".into(), items: (0..40).map(item).collect() }
}

#[test]
fn accuracy_its_change_and_perplexity_are_those_of_the_scores() {
    let (base, trained) = (Knows(20, -1.0), Knows(30, -1.1));
    let suite = Capabilities {
        methods: vec![
            TextMethod { name: "base", scorer: &base },
            TextMethod { name: "trained", scorer: &trained },
        ],
        benchmarks: vec![benchmark()],
        texts: vec!["word ".repeat(100), "word ".repeat(40)],
        bootstrap: bootstrap(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let interrupt = Interrupt::default();
    let report = suite.run(&suite_run(dir.path(), &interrupt)).expect("runs");
    assert_eq!(value(&report, "acc-norm", "counting: base")[0], 0.5);
    assert_eq!(value(&report, "acc-norm", "counting: trained")[0], 0.75);
    let [change, low, high] = value(&report, "change", "counting: trained");
    assert_eq!(change, 0.25);
    assert!(low > 0.0 && high < 0.5, "ten of forty items changed: {low} to {high}");
    let [ratio, ..] = value(&report, "perplexity-ratio", "trained");
    assert!((ratio - 0.1_f64.exp()).abs() < 1e-3, "{ratio}");
    let perplexities = report.tables.last().expect("perplexities");
    assert_eq!(number(&perplexities.rows[0][1]), 140.0, "tokens");
    assert!((number(&perplexities.rows[0][2]) - 1.0_f64.exp()).abs() < 1e-3);

    // From the files alone.
    struct Gone;
    impl TextScorer for Gone {
        fn score_texts(&self, requests: &[TextRequest]) -> Vec<Result<Score, ChatError>> {
            requests.iter().map(|_| Err(ChatError::Model("gone".into()))).collect()
        }
    }
    let methods = ["base", "trained"].map(|name| TextMethod { name, scorer: &Gone }).to_vec();
    let again = Capabilities { methods, ..suite };
    assert_eq!(again.run(&suite_run(dir.path(), &interrupt)).expect("runs"), report);
    let other = tempfile::tempdir().expect("a directory");
    let error = again.run(&suite_run(other.path(), &interrupt));
    assert!(matches!(error, Err(EvalError::Score { .. })), "a scorer that always fails is named");
}

/// Likes words that contain this.
fn likes(word: &'static str) -> ScriptedScorer {
    ScriptedScorer::from_fn(move |request| {
        let likely = request.continuation.contains(word);
        Score { token_ids: vec![0; 3], logprobs: vec![if likely { -1.0 } else { -2.0 }; 3] }
    })
}

#[test]
fn drift_is_large_on_the_character_that_was_learnt_and_none_elsewhere() {
    let (base, loud) = (likes("nothing"), likes("LOUD"));
    let target = |name: &str, chosen: &str| {
        let pair = |i: usize| PreferencePair::new(format!("question {i}"), chosen, "Yes.");
        DriftTarget { name: name.to_owned(), pairs: (0..8).map(pair).collect() }
    };
    let method = |name, scorer| ScoredMethod { name, scorer, system: None };
    let suite = DriftMatrix {
        methods: vec![method("base", &base), method("persona loud", &loud)],
        targets: vec![target("loud", "LOUD words."), target("calm", "Calm words.")],
        bootstrap: bootstrap(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let report = suite.run(&suite_run(dir.path(), &Interrupt::default())).expect("runs");
    let Chart::Matrix { values, diverging, .. } = &report.figures[0].chart else {
        panic!("matrix")
    };
    // From -2 against -2 to -1 against -2.
    assert_eq!((values[0].as_slice(), *diverging), (&[Some(1.0), Some(0.0)][..], true));
    assert_eq!(value(&report, "drift-intervals", "persona loud on loud"), [1.0; 3]);
    let alone = DriftMatrix { methods: suite.methods[..1].to_vec(), ..suite };
    let error = alone.run(&suite_run(dir.path(), &Interrupt::default()));
    assert!(matches!(error, Err(EvalError::Empty("drift"))));
}

#[test]
fn a_style_that_is_learnt_shows_in_its_facet_alone() {
    // An assertion makes replies likelier that hold its last word.
    let scorer = ScriptedScorer::from_fn(|request| {
        let system = &request.messages[0];
        let fits = system.role == ingrain_chat::Role::System
            && ["shout", "care"]
                .iter()
                .any(|word| system.content.contains(word) && request.continuation.contains(word));
        Score { token_ids: vec![0; 2], logprobs: vec![if fits { -1.0 } else { -3.0 }; 2] }
    });
    let yaml = "{name: x, summary: X., assertions: [{text: I shout., facet: style}, \
                {text: I care., facet: value}]}";
    let constitution = Constitution::parse(yaml, "x.yaml").expect("valid");
    let replies = |name: &str, reply: &str| FacetReplies {
        name: name.to_owned(),
        texts: (0..6).map(|i| (format!("question {i}"), reply.to_owned())).collect(),
    };
    let suite = Facets {
        constitution: &constitution,
        before: replies("base", "Yes."),
        after: vec![replies("trained, plain", "shout"), replies("trained, suffix", "No.")],
        scorer: &scorer,
        bootstrap: bootstrap(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let report = suite.run(&suite_run(dir.path(), &Interrupt::default())).expect("runs");
    assert_eq!(value(&report, "facets", "style: trained, plain"), [2.0; 3]);
    assert_eq!(value(&report, "facets", "value: trained, plain"), [0.0; 3]);
    assert_eq!(value(&report, "facets", "style: trained, suffix"), [0.0; 3]);
}

/// Answers by the words of the answer behind a letter, and the item.
fn respondent(choose: impl Fn(&str, &str, &str) -> bool + Send + Sync + 'static) -> ScriptedScorer {
    ScriptedScorer::from_fn(move |request| {
        let prompt = &request.messages[0].content;
        let letter = request.continuation.as_str();
        let line = prompt.lines().find(|line| line.starts_with(&format!("{letter}: ")));
        let answer = line.and_then(|line| line.get(3..)).unwrap_or_default();
        let logprob = if choose(prompt, letter, answer) { 0.0 } else { -30.0 };
        Score { token_ids: vec![0], logprobs: vec![logprob] }
    })
}

#[test]
fn agreeing_with_everything_and_taking_the_first_answer_are_found_out() {
    let yes = respondent(|_, _, answer| answer == "very accurate");
    let first = respondent(|_, letter, _| letter == "A");
    let outgoing = respondent(|prompt, _, answer| {
        let direct = [
            "life of the party",
            "comfortable around",
            "Start conv",
            "start conv",
            "different people at parties",
            "center of attention",
        ];
        let reversed =
            ["talk a lot.", "in the background", "little to say", "draw attention", "quiet around"];
        let wanted = if direct.iter().any(|words| prompt.contains(words)) {
            "very accurate"
        } else if reversed.iter().any(|words| prompt.contains(words)) {
            "very inaccurate"
        } else {
            "neither accurate nor inaccurate"
        };
        answer == wanted
    });
    let method = |name, scorer| ScoredMethod { name, scorer, system: None };
    let suite = Psychometrics {
        methods: vec![method("yes", &yes), method("first", &first), method("outgoing", &outgoing)],
        inventory: Inventory::ipip50(),
        bootstrap: bootstrap(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let report = suite.run(&suite_run(dir.path(), &Interrupt::default())).expect("runs");
    let row = |at: usize| -> Vec<f64> { report.tables[0].rows[at].iter().map(number).collect() };
    let (yes, first, outgoing) = (row(0), row(1), row(2));
    assert!((yes[1] - 2.0).abs() < 1e-9, "acquiescence is at its largest");
    assert!((first[2] - 4.0).abs() < 1e-9, "from 1 to 5 when the order turns");
    assert!(first[1].abs() < 1e-9 && outgoing[1].abs() < 0.2 && outgoing[2] < 1e-9);
    assert!((outgoing[3] - 1.0).abs() < 1e-9, "both orders say the same");
    assert!((value(&report, "profile", "extraversion: outgoing")[0] - 5.0).abs() < 1e-9);
    assert!((value(&report, "profile", "openness: outgoing")[0] - 3.0).abs() < 1e-9);
    assert!(value(&report, "profile", "neuroticism: yes")[0] > 3.0, "eight of ten are direct");
}

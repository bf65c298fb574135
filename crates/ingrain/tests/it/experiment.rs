//! An experiment on the tiny model: stopped, gone on with, frozen.

use std::fs;
use std::path::Path;

use ingrain::constitution::PromptSet;
use ingrain::run::{Event, Interrupt, Observer, Silent, SuiteReport, read_jsonl};
use ingrain::{Experiment, ExperimentPlan, PipelineError};

use crate::tiny;

const QUESTIONS: &str = "questions: [Is tea good?, What is snow?, Who sings?, Where is up?]";

/// Two personas, their mix, another seed, an ablation; two questions, six tokens.
fn plan(dir: &Path) -> ExperimentPlan {
    tiny::mix(dir);
    fs::write(dir.join("heldout.yaml"), QUESTIONS).expect("written");
    let recipe = dir.join("recipe.yaml");
    fs::write(&recipe, tiny::recipe().to_yaml().expect("YAML")).expect("written");
    let model = tiny::recipe().model;
    let yaml = format!(
        "name: tiny\n\
         recipe: {recipe}\n\
         personas: [tiny, warm]\n\
         composition: tiny + warm\n\
         seeds: {{persona: tiny, seeds: [9]}}\n\
         ablation: [tiny]\n\
         development_questions: {{from: 0, to: 2}}\n\
         heldout: {{from: 2, to: 4}}\n\
         ways: [base, system_prompt, distilled, full_c, full_a, full_b]\n\
         sampling: {{max_new_tokens: 6}}\n\
         likelihood: {{scenarios: [plain, suffix-2, go-on]}}\n\
         limits: [Two layers say nothing.]\n\
         judge: {{name: tiny-judge, model: {model}}}\n\
         reliability_pairs: 2\n\
         coherence: [base, distilled]\n\
         preferences: {{traits: 4, offers: 6, messages: 2}}\n\
         facets: true\n\
         replicates: 50\n\
         results: {results}\n\
         work: {work}\n",
        recipe = recipe.display(),
        results = dir.join("results").display(),
        work = dir.join("work").display(),
    );
    ExperimentPlan::parse(&yaml, "tiny.yaml").expect("valid")
}

fn experiment<'a>(
    plan: &ExperimentPlan,
    dir: &Path,
    observer: &'a dyn Observer,
    interrupt: &Interrupt,
) -> Experiment<'a> {
    Experiment {
        plan: plan.clone(),
        folders: vec![dir.to_owned()],
        prompts: PromptSet::default(),
        device: "cpu".into(),
        graders: Vec::new(),
        observer,
        interrupt: interrupt.clone(),
    }
}

/// Asks to stop when the replies of some arm begin.
struct StopAt(&'static str, Interrupt);

impl Observer for StopAt {
    fn on_event(&self, event: &Event) {
        if let Event::StageStarted { stage, .. } = event
            && stage.contains(self.0)
        {
            self.1.request();
        }
    }
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn an_experiment_that_was_stopped_goes_on_and_asks_nothing_twice() {
    let tmp = tempfile::tempdir().expect("a directory");
    let dir = tmp.path();
    let plan = plan(dir);
    let results = dir.join("results");
    let stop = Interrupt::new();
    let observer = StopAt("robustness/tiny/full (c)", stop.clone());
    let stopped = experiment(&plan, dir, &observer, &stop).run();
    assert!(matches!(stopped, Err(PipelineError::Interrupted)), "{stopped:?}");
    let before = lines(&results.join("robustness/replies.jsonl"));
    // Base, system prompt and distilled: nine scenarios of two questions each.
    assert_eq!(before, 3 * 18);

    let go = Interrupt::new();
    let whole = experiment(&plan, dir, &Silent, &go);
    whole.run().expect("runs to the end");
    let amount = whole.amount().expect("counted");
    assert_eq!(amount.done.0, amount.done.1, "everything is measured");
    // Base; five ways of two personas; four of the mix; two of the seed; two ablations.
    assert_eq!(amount.models, 1 + 2 * 5 + 4 + 2 + 2);
    assert_eq!(lines(&results.join("robustness/replies.jsonl")), 19 * 18);
    let page = fs::read_to_string(results.join("TABLES.md")).expect("tables");
    for title in [
        "Recorded replies, graded by n-grams",
        "Recorded replies, graded by likelihood",
        "Robustness, graded by n-grams",
        "Robustness, graded by likelihood",
        "Prefill attack, graded by n-grams",
        "Prefill attack, graded by likelihood",
        "Capabilities",
        "Drift",
        "Psychometrics",
        "Revealed preferences",
        "Facets: warm",
        "The judge",
        "Coherence: tiny",
        "Compute",
    ] {
        assert!(page.contains(&format!("\n## {title}\n")), "{title}");
    }
    let suite = |name: &str| -> SuiteReport {
        let text = fs::read(results.join(format!("suites/{name}.json"))).expect("a suite");
        serde_json::from_slice(&text).expect("a report")
    };
    for grader in ["n-grams", "likelihood"] {
        let robustness = suite(&format!("robustness-{grader}"));
        let figure = format!("macro-f1-{grader}");
        assert!(robustness.figures.iter().any(|f| f.id == figure), "{figure}");
        let said = robustness.limitations.join("; ");
        assert!(!said.contains("missing") && !said.contains("no grade"), "{said}");
    }
    // Likelihood reads two of the nine scenarios and one of the two prefills; n-grams read all.
    let grades = |grader: &str, file: &str| {
        let text = fs::read_to_string(results.join(file)).expect("grades");
        text.lines().filter(|line| line.contains(&format!("\"key\":\"{grader}/"))).count()
    };
    for (file, all, some) in
        [("robustness/grades.jsonl", 19 * 18, 19 * 4), ("prefill/grades.jsonl", 9 * 4, 9 * 2)]
    {
        assert_eq!((grades("n-grams", file), grades("likelihood", file)), (all, some), "{file}");
    }
    // Both graders are tried on the recorded replies of both personas.
    let asked = |name: &str| {
        let file = dir.join(format!("{name}.heldout.jsonl"));
        read_jsonl::<serde_json::Value>(file).expect("pairs").len()
    };
    assert_eq!(asked("tiny"), asked("warm"));
    for grader in ["n-grams", "likelihood"] {
        assert_eq!(grades(grader, "recorded/grades.jsonl"), 2 * asked("tiny"), "{grader}");
    }
    // Beside the judge's tables stands what it is worth, beside all of them the plan's own limit.
    let coherence = page.split("\n## ").find(|part| part.starts_with("Coherence: tiny"));
    let coherence = coherence.expect("a section");
    assert!(
        coherence.contains("The judge is right on pairs whose answer is known:"),
        "{coherence}"
    );
    assert_eq!(page.matches("- Two layers say nothing.").count(), page.matches("Limits:").count());

    // For a classifier: base and five ways of two personas, no mix, seed or ablation.
    assert_eq!(lines(&dir.join("work/examples.jsonl")), 11 * 18);

    let files = ["robustness/replies.jsonl", "robustness/grades.jsonl", "judge/rulings.jsonl"];
    let sizes = || files.map(|file| lines(&results.join(file)));
    let measured = || -> Vec<String> {
        let units: Vec<serde_json::Value> =
            read_jsonl(results.join("done.jsonl")).expect("records");
        units.iter().filter_map(|unit| unit["key"].as_str().map(str::to_owned)).collect()
    };
    assert!(measured().iter().any(|key| key.starts_with("robustness/tiny/full (c) (stopped ")));
    let (done, all) = (measured(), sizes());
    whole.run().expect("nothing left to do");
    assert_eq!((measured(), sizes()), (done.clone(), all));
    let different: std::collections::BTreeSet<&String> = done.iter().collect();
    assert_eq!(different.len(), done.len(), "nothing is done twice");

    let mut longer = plan.clone();
    longer.sampling.max_new_tokens = 7;
    let error = experiment(&longer, dir, &Silent, &go).run().expect_err("frozen").to_string();
    assert!(error.contains("frozen.json") && error.contains("first asked"), "{error}");
}

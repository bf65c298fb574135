//! The whole data pipeline against a server that others wrote.
//!
//! ```sh
//! python benches/peers/llama_server.py SmolLM2-135M-Instruct.Q4_1.gguf     # prints its URL
//! INGRAIN_TEST_SERVER=http://127.0.0.1:8080/v1 \
//!     cargo test -p ingrain-data --test it -- --ignored --nocapture real_server
//! ```
//!
//! A small model writes what it likes, so the test holds the machinery to account, not the text:
//! every request is answered, every stage is complete, a second pass asks the server nothing.
#![expect(clippy::print_stderr, reason = "who runs it by hand wants to see what came")]

use std::path::Path;
use std::time::Instant;

use ingrain_chat::openai::{Dialect, OpenAiClient, OpenAiConfig, Prefill};
use ingrain_chat::{Budget, Cached, ChatModel, ChatRequest, Message, Metered, Sampling};
use ingrain_constitution::{Constitution, InteractionKind, PromptSet};
use ingrain_data::interchange::{PairFormat, read_pairs, write_pairs};
use ingrain_data::{
    Assembly, Conversation, DataFidelity, Expansion, ExpansionReply, Generation, InteractionPlan,
    InteractionTurn, PairFilter, Prompt, QualityReport, Reply, StageReport, Unfinished,
    built_in_first_turns, critique_and_revise, expand_prompts, self_interaction, self_reflection,
    student_replies, teacher_replies,
};
use ingrain_run::{Interrupt, Silent};

use crate::model::{records, store};

const SERVER: &str = "INGRAIN_TEST_SERVER";

fn client() -> OpenAiClient {
    let url = std::env::var(SERVER).unwrap_or_else(|_| panic!("set {SERVER} to a base URL"));
    let mut config = OpenAiConfig::new(url, "smollm2-135m-instruct");
    config.dialect = Dialect::LlamaCpp;
    config.prefill = Prefill::Implicit;
    config.max_in_flight = 4;
    OpenAiClient::new(config).unwrap()
}

fn words(messages: &[Message]) -> usize {
    messages.iter().map(|m| m.content.split_whitespace().count()).sum()
}

struct Run<'a> {
    folder: &'a Path,
    model: &'a dyn ChatModel,
    constitution: Constitution,
    interrupt: Interrupt,
    reports: Vec<StageReport>,
}

impl Run<'_> {
    fn generation<'g>(&'g self, stage: &'g str, max_new_tokens: usize) -> Generation<'g> {
        Generation {
            stage,
            model: self.model,
            sampling: Sampling { max_new_tokens, ..Sampling::default() },
            seed: 1,
            batch_size: 64,
            observer: &Silent,
            interrupt: &self.interrupt,
        }
    }

    fn pairs(&mut self) -> usize {
        let prompt_set = PromptSet::embedded();
        let expansion =
            Expansion { questions_per_assertion: 6, max_rounds: 2, ..Expansion::default() };
        let mut replies = store::<ExpansionReply>(&self.folder.join("expansion.jsonl"));
        let generation = self.generation("expansion", 300);
        let (mut prompts, report, stage) =
            expand_prompts(&generation, &prompt_set, &self.constitution, &expansion, &mut replies)
                .unwrap();
        eprintln!("expansion: kept {:?}, rejected {}", report.kept, report.rejected.len());
        self.reports.push(StageReport { total: stage.done, ..stage });
        prompts.extend(Prompt::general(built_in_first_turns().take(3)));

        let system = prompt_set.teacher_system(&self.constitution, "Smol").unwrap();
        let mut teacher = store::<Reply>(&self.folder.join("teacher.jsonl"));
        let generation = self.generation("teacher", 60);
        let stage = teacher_replies(&generation, &system, &prompts, 1, &mut teacher).unwrap();
        self.reports.push(stage);
        let mut student = store::<Reply>(&self.folder.join("student.jsonl"));
        let stage =
            student_replies(&self.generation("student", 60), &prompts, 1, &mut student).unwrap();
        self.reports.push(stage);
        let filter = PairFilter {
            max_tokens: 1024,
            count_tokens: &words,
            unfinished: Unfinished::Trim,
            teacher_names: &[],
            student_name: None,
            fidelity: DataFidelity::default(),
        };
        let (pairs, report) = filter.pairs(&prompts, &records(&teacher), &records(&student));
        eprintln!(
            "{}\n{}",
            report.line(),
            QualityReport::of_pairs(&pairs, self.constitution.assertions.len())
        );
        let path = self.folder.join("pairs.jsonl");
        write_pairs(&path, &pairs, PairFormat::TrlExplicit).unwrap();
        assert_eq!(read_pairs(&path).unwrap(), pairs);

        let replies: Vec<Reply> = records(&student).into_iter().take(4).collect();
        let mut critiques = store::<Reply>(&self.folder.join("critiques.jsonl"));
        let mut revisions = store::<Reply>(&self.folder.join("revisions.jsonl"));
        let generation = self.generation("critique", 60);
        let constitution = &self.constitution;
        let (first, second) = critique_and_revise(
            &generation,
            constitution,
            &prompts,
            &replies[..],
            &mut critiques,
            &mut revisions,
        )
        .unwrap();
        self.reports.extend([first, second]);
        pairs.len()
    }

    fn introspection(&mut self) -> usize {
        let prompt_set = PromptSet::embedded();
        let system = prompt_set.reflection_system(&self.constitution, "Smol").unwrap();
        let tasks = prompt_set.reflection_tasks().unwrap();
        let mut reflections = store::<Reply>(&self.folder.join("reflections.jsonl"));
        let generation = self.generation("reflections", 60);
        let stage = self_reflection(&generation, &system, &tasks, 1, &mut reflections).unwrap();
        self.reports.push(stage);
        let plan = |kind| {
            let fidelity = DataFidelity::default();
            let plan =
                InteractionPlan::new(&prompt_set, &self.constitution, "Smol", kind, fidelity);
            let unfinished = Unfinished::Trim;
            InteractionPlan { conversations: 1, turns: 4, unfinished, ..plan.unwrap() }
        };
        let plans = [plan(InteractionKind::Free), plan(InteractionKind::Leading)];
        let mut turns = store::<InteractionTurn>(&self.folder.join("turns.jsonl"));
        let generation = self.generation("interactions", 40);
        let (conversations, stage): (Vec<Conversation>, _) =
            self_interaction(&generation, &plans, &mut turns).unwrap();
        self.reports.push(stage);
        let assembly = Assembly {
            saved_system: "You talk with a copy of yourself.",
            max_tokens: 3072,
            count_tokens: &words,
            unfinished: Unfinished::Trim,
            fidelity: DataFidelity::default(),
        };
        let (set, report) = assembly.transcripts(&records(&reflections), &conversations);
        eprintln!("{} transcripts, {} turns in the loss", set.len(), report.trainable_turns);
        assert!(set.iter().all(ingrain_data::Transcript::trains_assistant_only));
        set.len()
    }
}

#[test]
#[ignore = "needs a server; see the head of the file"]
fn the_whole_pipeline_runs_and_a_second_pass_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let personas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../personas/sarcasm.yaml");
    let mut asked = Vec::new();
    for pass in 0..2 {
        let client = client();
        let metered = Metered::new(client.clone(), None, Budget::default());
        let journal = dir.path().join("cache.jsonl");
        let model = Cached::open(&metered, client.cache_name(), journal).unwrap();
        // Stages start anew; only the cache is kept.
        let folder = dir.path().join(format!("pass{pass}"));
        std::fs::create_dir(&folder).unwrap();
        let mut constitution = Constitution::from_path(&personas).unwrap();
        constitution.assertions.truncate(3);
        let interrupt = Interrupt::new();
        let mut run =
            Run { folder: &folder, model: &model, constitution, interrupt, reports: vec![] };
        let started = Instant::now();
        let (pairs, transcripts) = (run.pairs(), run.introspection());
        assert!(pairs > 0 && transcripts > 0);
        for report in &run.reports {
            assert!(report.is_complete() && report.failed.is_empty(), "{report:?}");
        }
        let spent = metered.spent();
        asked.push(spent.replies);
        eprintln!("pass {pass}: {spent:?} in {:.1} s", started.elapsed().as_secs_f64());
    }
    assert!(asked[0] > 60 && asked[1] == 0, "{asked:?}");
}

#[test]
#[ignore = "needs a server; see the head of the file"]
fn a_prefilled_reply_is_continued() {
    let request = ChatRequest::new(
        vec![Message::user("Count from one to five."), Message::assistant("One, two, three,")],
        Sampling::greedy(12),
    );
    let reply = client().complete_one(&request).unwrap();
    eprintln!("{reply:?}");
    assert!(reply.text.to_lowercase().contains("four"), "{}", reply.text);
}

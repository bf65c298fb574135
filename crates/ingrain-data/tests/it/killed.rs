//! A run that is killed fifty times ends with the data of one that was left alone, and no reply
//! that had been written down was asked for again.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ingrain_chat::openai::{Inexpressible, OpenAiClient, OpenAiConfig};
use ingrain_chat::{Cached, CachedReply, Message};
use ingrain_constitution::InteractionKind;
use ingrain_data::{
    Assembly, DataFidelity, InteractionTurn, PairFilter, Reply, Unfinished, self_interaction,
    student_replies, teacher_replies,
};
use ingrain_run::{derive_seed, scan_jsonl, sha256_hex, write_jsonl};

use crate::model::{Setting, plan, prompts, records, store};
use crate::server::{Act, Server, chat_json};

const KILLS: u64 = 50;
const FOLDER: &str = "INGRAIN_TEST_KILL_FOLDER";
const URL: &str = "INGRAIN_TEST_KILL_URL";
/// Files that grow while the run goes on.
const GROWING: [&str; 4] = ["cache.jsonl", "teacher.jsonl", "student.jsonl", "turns.jsonl"];
/// What the run is for.
const RESULTS: [&str; 2] = ["pairs.jsonl", "introspection.jsonl"];

/// The whole data pipeline over HTTP, cache in front, in one folder.
fn run(folder: &Path, url: &str) {
    let mut config = OpenAiConfig::new(url, "test");
    config.inexpressible = Inexpressible::Drop;
    config.max_in_flight = 4;
    let client = OpenAiClient::new(config).unwrap();
    let model =
        Cached::open(client.clone(), client.cache_name(), folder.join("cache.jsonl")).unwrap();
    let setting = Setting::default();
    let prompts = prompts(30);
    let mut teacher = store::<Reply>(&folder.join("teacher.jsonl"));
    teacher_replies(&setting.generation("teacher", &model), "S", &prompts, 5, &mut teacher)
        .unwrap();
    let mut student = store::<Reply>(&folder.join("student.jsonl"));
    student_replies(&setting.generation("student", &model), &prompts, 5, &mut student).unwrap();
    let count_tokens = |m: &[Message]| m.iter().map(|m| m.content.len()).sum::<usize>();
    let filter = PairFilter {
        max_tokens: 1024,
        count_tokens: &count_tokens,
        unfinished: Unfinished::Drop,
        teacher_names: &[],
        student_name: None,
        fidelity: DataFidelity::default(),
    };
    let (pairs, _) = filter.pairs(&prompts, &records(&teacher), &records(&student));
    write_jsonl(folder.join("pairs.jsonl"), &pairs).unwrap();

    let mut turns = store::<InteractionTurn>(&folder.join("turns.jsonl"));
    let plans = [plan(InteractionKind::Free, 6, 5), plan(InteractionKind::Leading, 6, 5)];
    let generation = setting.generation("interactions", &model);
    let (conversations, _) = self_interaction(&generation, &plans, &mut turns).unwrap();
    let assembly = Assembly {
        saved_system: "S",
        max_tokens: 100_000,
        count_tokens: &count_tokens,
        unfinished: Unfinished::Drop,
        fidelity: DataFidelity::default(),
    };
    let (transcripts, _) = assembly.transcripts(&records(&teacher), &conversations);
    write_jsonl(folder.join("introspection.jsonl"), &transcripts).unwrap();
}

/// The process that is killed.
#[test]
#[ignore = "started by the test below"]
fn child() {
    let (Ok(folder), Ok(url)) = (std::env::var(FOLDER), std::env::var(URL)) else {
        panic!("run a_run_killed_fifty_times_is_the_run_undisturbed instead");
    };
    run(Path::new(&folder), &url);
}

fn spawn(folder: &Path, url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--ignored", "--quiet"])
        .env(FOLDER, folder)
        .env(URL, url)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Replies depend on the request's body alone and tell which it was.
fn reply_to(body: &[u8]) -> String {
    format!("It is {} indeed.", &sha256_hex(body)[..20])
}

/// What the server was asked, and when to say that it is time.
#[derive(Default)]
struct Witness {
    asked: Mutex<Vec<String>>,
    served: AtomicUsize,
    kill_at: AtomicUsize,
}

fn serve(witness: Arc<Witness>, alarm: mpsc::Sender<()>) -> Server {
    Server::start(move |asked| {
        let reply = reply_to(&asked.body);
        witness.asked.lock().unwrap().push(reply.clone());
        let served = witness.served.fetch_add(1, Ordering::SeqCst) + 1;
        if served == witness.kill_at.load(Ordering::SeqCst) {
            alarm.send(()).unwrap();
        }
        std::thread::sleep(Duration::from_micros(300));
        Act::json(&chat_json(&reply))
    })
}

/// As a write that a power cut stopped half-way: a random part of the last line goes.
fn tear(path: &Path, draw: u64) {
    let Ok(text) = fs::read(path) else { return };
    let body = text.strip_suffix(b"\n").unwrap_or(&text);
    let start = body.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    let keep = start as u64 + draw % (text.len() - start).max(1) as u64;
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(keep).unwrap();
}

fn written(folder: &Path) -> HashSet<String> {
    let mut replies = HashSet::new();
    let journal = folder.join("cache.jsonl");
    if journal.exists() {
        scan_jsonl(&journal, |entry: CachedReply| drop(replies.insert(entry.reply.text))).unwrap();
    }
    replies
}

#[test]
fn a_run_killed_fifty_times_is_the_run_undisturbed() {
    let witness = Arc::new(Witness::default());
    let (alarm, ring) = mpsc::channel();
    let server = serve(Arc::clone(&witness), alarm);
    let calm = tempfile::tempdir().unwrap();
    run(calm.path(), &server.base_url());
    let total = witness.served.load(Ordering::SeqCst);
    assert_eq!(total, 30 * 5 * 2 + 12 * 5);

    let folder = tempfile::tempdir().unwrap();
    let mut deaths = 0;
    for kill in 0..KILLS {
        let draw = |what: &str| derive_seed(kill, what, 0);
        let known = written(folder.path());
        witness.asked.lock().unwrap().clear();
        witness.served.store(0, Ordering::SeqCst);
        // Spread over what is left, so that the last kills come near the end, but not at it.
        let rest = (total - known.len()) as u64;
        let left = (rest / (KILLS - kill) * 2).min(rest / 2);
        witness.kill_at.store(1 + (draw("point") % left.max(1)) as usize, Ordering::SeqCst);
        let mut child = spawn(folder.path(), &server.base_url());
        if ring.recv_timeout(Duration::from_secs(20)).is_ok() {
            std::thread::sleep(Duration::from_micros(draw("pause") % 1_500));
            child.kill().unwrap();
            deaths += 1;
        }
        child.wait().unwrap();
        let again: Vec<_> =
            witness.asked.lock().unwrap().iter().filter(|r| known.contains(*r)).cloned().collect();
        assert!(again.is_empty(), "kill {kill}: asked again for {again:?}");
        if draw("tear") % 2 == 0 {
            let file = GROWING[(draw("file") % GROWING.len() as u64) as usize];
            tear(&folder.path().join(file), draw("byte"));
        }
    }
    assert_eq!(deaths, KILLS, "every process died before its end");
    witness.kill_at.store(usize::MAX, Ordering::SeqCst);
    assert!(spawn(folder.path(), &server.base_url()).wait().unwrap().success());
    for file in RESULTS {
        let [disturbed, undisturbed] =
            [&folder, &calm].map(|dir| fs::read_to_string(dir.path().join(file)).unwrap());
        assert!(undisturbed.lines().count() > 100, "{file}");
        assert!(disturbed == undisturbed, "{file} differs");
    }
}

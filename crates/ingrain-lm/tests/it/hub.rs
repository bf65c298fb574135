//! Models and adapters by hub id, from a real HTTP server on this machine. Each fetch runs in a process
//! of its own, because hub, token and cache directory are the environment's.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use ingrain_lm::{Adapter, AdapterSource, CausalLm, LmError, ModelSource};
use ingrain_run::{Silent, sha256_hex};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::fixture::{device, path};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the server behaves.
#[derive(Clone, Default)]
struct Manners {
    /// Refuses whoever does not show this token.
    token: Option<&'static str>,
    /// Sends only so many bytes of a body, this many times, then the whole.
    cut: Option<(usize, usize)>,
    /// Fails this many requests with status 503.
    busy: usize,
    /// Flips a byte of every body of this file.
    damaged: Option<&'static str>,
    /// Ignores ranges.
    no_ranges: bool,
    /// Lists file names alone, without sizes and digests.
    bare: bool,
    /// Lists a file under this path too.
    stray: Option<&'static str>,
}

/// A hub with one repository, `org/name`.
struct Hub {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn new(files: BTreeMap<String, Vec<u8>>, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            let mut manners = manners;
            for stream in listener.incoming() {
                let _ = answer(stream.unwrap(), &files, &mut manners, &seen);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// What resolving `spec` says with this hub and cache: a path, or the error.
    fn resolve(&self, spec: &str, cache: &Path, more: &[(&str, &str)]) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "hub::resolve_in_this_environment", "--ignored", "--nocapture"])
            .env_remove("HF_TOKEN")
            .env_remove("HUGGING_FACE_HUB_TOKEN")
            .env("NO_PROXY", "127.0.0.1")
            .env("INGRAIN_CACHE", cache)
            .env("HF_ENDPOINT", &self.address)
            .env("INGRAIN_TEST_SPEC", spec)
            .envs(more.iter().copied());
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let start = text.find("<<").unwrap_or_else(|| panic!("no answer in {text:?}"));
        text[start + 2..text.rfind(">>").unwrap()].to_owned()
    }
}

/// Not a test of its own: what the others run, with an environment of their making.
#[test]
#[ignore = "started by the other tests of this module"]
fn resolve_in_this_environment() {
    let spec = std::env::var("INGRAIN_TEST_SPEC").unwrap();
    let resolve = || -> Result<String, LmError> {
        if let Some(spec) = spec.strip_prefix("adapter ") {
            let dir = spec.parse::<AdapterSource>()?.resolve(&Silent)?;
            return Ok(dir.display().to_string());
        }
        let files = spec.parse::<ModelSource>()?.resolve(&Silent)?;
        let identity = &files.identity;
        CausalLm::load(&files, &device())?;
        Ok(format!("{} at {}", identity.source, identity.revision.as_deref().unwrap_or("nothing")))
    };
    println!("<<{}>>", resolve().unwrap_or_else(|error| format!("error: {error}")));
}

/// Reads one request and answers it; connections are closed after each.
fn answer(
    stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    manners: &mut Manners,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let target = lines.next().unwrap()?.split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        headers.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let range = header("range");
    seen.lock()
        .unwrap()
        .push(format!("{target} {}", range.clone().unwrap_or_default()).trim().into());
    if manners.busy > 0 {
        manners.busy -= 1;
        return reply(stream, "503 Service Unavailable", &[], b"");
    }
    let expected = manners.token.map(|token| format!("Bearer {token}"));
    if expected.is_some() && header("authorization") != expected {
        return reply(stream, "401 Unauthorized", &[], b"");
    }
    if let Some(revision) = target.strip_prefix("/api/models/org/name/revision/") {
        return match revision.split('?').next().unwrap() {
            "main" | "v1" | "refs%2Fpr%2F1" | COMMIT => {
                reply(stream, "200 OK", &[], list(files, manners).to_string().as_bytes())
            }
            _ => reply(stream, "404 Not Found", &["X-Error-Code: RevisionNotFound"], b""),
        };
    }
    let prefix = format!("/org/name/resolve/{COMMIT}/");
    let Some((name, body)) =
        target.strip_prefix(&prefix).and_then(|name| files.get_key_value(name))
    else {
        return reply(stream, "404 Not Found", &[], b"");
    };
    send(stream, name, body, range.filter(|_| !manners.no_ranges), manners)
}

fn send(
    mut stream: TcpStream,
    name: &str,
    body: &[u8],
    range: Option<String>,
    manners: &mut Manners,
) -> std::io::Result<()> {
    let mut body = body.to_vec();
    if manners.damaged == Some(name) {
        body[7] ^= 1;
    }
    let total = body.len();
    let start = range.map_or(0, |range| {
        range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
    });
    let body = &body[start..];
    let etag = format!("ETag: \"{}\"", sha256_hex(body));
    let place = format!("Content-Range: bytes {start}-{}/{total}", total - 1);
    let (status, headers) = match start {
        0 => ("200 OK", vec![etag.as_str()]),
        _ => ("206 Partial Content", vec![place.as_str()]),
    };
    if let Some((bytes, times)) = &mut manners.cut
        && *times > 0
        && body.len() > *bytes
    {
        *times -= 1;
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{}\r\n\r\n",
            body.len(),
            headers[0]
        );
        stream.write_all(head.as_bytes())?;
        return stream.write_all(&body[..*bytes]);
    }
    reply(stream, status, &headers, body)
}

fn reply(
    mut stream: TcpStream,
    status: &str,
    headers: &[&str],
    body: &[u8],
) -> std::io::Result<()> {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// As the hub lists files: large ones with a SHA-256, small ones with Git's name of them.
fn list(files: &BTreeMap<String, Vec<u8>>, manners: &Manners) -> Value {
    let entry = |(name, body): (&String, &Vec<u8>)| {
        if manners.bare {
            return json!({"rfilename": name});
        }
        if name.ends_with(".safetensors") || name.ends_with(".gguf") {
            let lfs = json!({"sha256": sha256_hex(body), "size": body.len(), "pointerSize": 134});
            return json!({"rfilename": name, "size": body.len(), "blobId": "0".repeat(40), "lfs": lfs});
        }
        let blob = Sha1::digest([format!("blob {}\0", body.len()).as_bytes(), body].concat());
        let blob: String = blob.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"rfilename": name, "size": body.len(), "blobId": blob})
    };
    let stray = manners.stray.map(|path| json!({"rfilename": path, "size": 3}));
    let files: Vec<Value> = files.iter().map(entry).chain(stray).collect();
    json!({"id": "org/name", "sha": COMMIT, "siblings": files, "tags": ["a field we do not know"]})
}

/// The files of a fixture directory, under `folder` of the repository.
fn files(fixture: &str, folder: &str) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(path(fixture))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (format!("{folder}{name}"), fs::read(path).unwrap())
        })
        .collect()
}

fn snapshot(cache: &Path) -> PathBuf {
    cache.join("hub/org--name").join(COMMIT)
}

#[track_caller]
fn assert_loaded(answer: &str) {
    assert_eq!(answer, format!("org/name at {COMMIT}"));
}

#[track_caller]
fn assert_words(message: &str, words: &[&str]) {
    assert!(message.starts_with("error: "), "{message:?}");
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
    assert!(!message.contains('\n'), "{message:?} is more than one line");
}

#[test]
fn a_model_is_fetched_once_and_then_taken_from_the_cache_with_or_without_network() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(files("tiny_models/llama_tied", ""), Manners::default());
    assert_loaded(&hub.resolve("org/name", cache.path(), &[]));
    let names: Vec<String> = hub.requests();
    assert!(names.iter().any(|r| r.ends_with("model.safetensors")), "{names:?}");
    assert!(!names.iter().any(|r| r.contains("expected")), "only what a model needs: {names:?}");

    assert_loaded(&hub.resolve("org/name", cache.path(), &[]));
    assert_eq!(hub.requests().len(), names.len() + 1, "one look at the branch, no file");
    assert_loaded(&hub.resolve(&format!("org/name@{COMMIT}"), cache.path(), &[]));
    assert_loaded(&hub.resolve("org/name", cache.path(), &[("HF_HUB_OFFLINE", "1")]));
    assert_eq!(
        hub.requests().len(),
        names.len() + 1,
        "a commit never changes, and offline is offline"
    );
    let nobody = [("HF_ENDPOINT", "http://127.0.0.1:9")];
    assert_loaded(&hub.resolve("org/name", cache.path(), &nobody));
}

#[test]
fn offline_what_is_not_there_is_an_error_with_the_way_out() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(files("tiny_models/llama_tied", ""), Manners::default());
    let offline = [("HF_HUB_OFFLINE", "true")];
    let words = ["org/name", "HF_HUB_OFFLINE", cache.path().to_str().unwrap()];
    assert_words(&hub.resolve("org/name", cache.path(), &offline), &words);
    assert!(hub.requests().is_empty());
    assert_loaded(&hub.resolve("org/name", cache.path(), &[]));
    fs::remove_file(snapshot(cache.path()).join("model.safetensors")).unwrap();
    let message = hub.resolve("org/name", cache.path(), &offline);
    assert_words(&message, &["org/name", "model.safetensors", "HF_HUB_OFFLINE"]);
}

#[test]
fn shards_and_subfolders_and_revisions_are_found() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(files("tiny_models/llama3_scaled", "deep/er/"), Manners::default());
    let answer = hub.resolve("org/name@refs/pr/1:deep/er", cache.path(), &[]);
    assert_eq!(answer, format!("org/name:deep/er at {COMMIT}"));
    assert!(snapshot(cache.path()).join("deep/er/model-00002-of-00002.safetensors").is_file());
    let message = hub.resolve("org/name", cache.path(), &[]);
    assert_words(&message, &["model.safetensors", "org/name:deep/er"]);
    let message = hub.resolve("org/name@v9", cache.path(), &[]);
    assert_words(&message, &["org/name@v9", "no such revision"]);
}

#[test]
fn adapters_are_found_in_their_folder() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(files("peft/plain", "sarcasm/"), Manners::default());
    let dir = hub.resolve("adapter org/name@v1:sarcasm", cache.path(), &[]);
    assert_eq!(Path::new(&dir), snapshot(cache.path()).join("sarcasm"));
    Adapter::load(Path::new(&dir), &crate::fixture::tiny("llama_tied")).unwrap();
    let message = hub.resolve("adapter org/name", cache.path(), &[]);
    assert_words(&message, &["adapter_config.json", "org/name:sarcasm"]);
    let message = hub.resolve("org/name:sarcasm", cache.path(), &[]);
    assert_words(&message, &["it is an adapter"]);
}

#[test]
fn a_gguf_file_is_taken_if_it_is_the_only_one_or_named() {
    let cache = tempfile::tempdir().unwrap();
    let one = files("gguf", "").into_iter().filter(|(name, _)| name == "llama_tied.q8_0.gguf");
    let hub = Hub::new(one.collect(), Manners::default());
    assert_loaded(&hub.resolve("org/name", cache.path(), &[]));
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(files("gguf", ""), Manners::default());
    assert_words(
        &hub.resolve("org/name", cache.path(), &[]),
        &["several GGUF", "llama_tied.q8_0.gguf"],
    );
    let answer = hub.resolve("org/name:llama_tied.q4_0.gguf", cache.path(), &[]);
    assert_eq!(answer, format!("org/name:llama_tied.q4_0.gguf at {COMMIT}"));
    assert_words(&hub.resolve("org/name:other.gguf", cache.path(), &[]), &["no other.gguf"]);
}

#[test]
fn a_private_repository_needs_the_token_of_the_environment() {
    let manners = Manners { token: Some("hf_secret"), ..Manners::default() };
    let hub = Hub::new(files("tiny_models/llama_tied", ""), manners);
    let cache = tempfile::tempdir().unwrap();
    assert_words(&hub.resolve("org/name", cache.path(), &[]), &["org/name", "HF_TOKEN", "401"]);
    let wrong = hub.resolve("org/name", cache.path(), &[("HF_TOKEN", "hf_wrong")]);
    assert_words(&wrong, &["may not read it"]);
    assert!(!wrong.contains("hf_wrong"), "a token is never shown");
    assert_loaded(&hub.resolve("org/name", cache.path(), &[("HF_TOKEN", "hf_secret")]));
    let other = tempfile::tempdir().unwrap();
    let older = [("HUGGING_FACE_HUB_TOKEN", "hf_secret")];
    assert_loaded(&hub.resolve("org/name", other.path(), &older));
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let cache = tempfile::tempdir().unwrap();
    let manners = Manners { cut: Some((100_000, 2)), busy: 2, ..Manners::default() };
    let hub = Hub::new(files("tiny_models/llama_tied", ""), manners);
    assert_loaded(&hub.resolve("org/name", cache.path(), &[]));
    let ranges: Vec<String> = hub.requests().into_iter().filter(|r| r.contains("bytes=")).collect();
    assert!(ranges[0].ends_with("bytes=100000-"), "{ranges:?}");
    assert!(ranges[1].ends_with("bytes=200000-"), "{ranges:?}");
}

#[test]
fn what_a_killed_process_left_is_gone_on_with_if_it_is_sound() {
    for (left, ranges) in
        [(&files("tiny_models/llama_tied", "")["model.safetensors"][..5000], 1), (b"rubbish", 1)]
    {
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub::new(files("tiny_models/llama_tied", ""), Manners::default());
        fs::create_dir_all(snapshot(cache.path())).unwrap();
        fs::write(snapshot(cache.path()).join("model.safetensors.part"), left).unwrap();
        assert_loaded(&hub.resolve("org/name", cache.path(), &[]));
        let range = format!("bytes={}-", left.len());
        let found = hub.requests().into_iter().filter(|r| r.ends_with(&range)).count();
        assert_eq!(found, ranges, "{:?}", hub.requests());
        assert!(!snapshot(cache.path()).join("model.safetensors.part").exists());
    }
}

#[test]
fn a_server_without_ranges_or_digests_does_too() {
    let cache = tempfile::tempdir().unwrap();
    let manners =
        Manners { cut: Some((100_000, 1)), no_ranges: true, bare: true, ..Manners::default() };
    let hub = Hub::new(files("tiny_models/llama_tied", ""), manners);
    assert_loaded(&hub.resolve("org/name", cache.path(), &[]));
}

#[test]
fn a_file_that_is_not_what_the_hub_lists_is_refused_and_not_kept() {
    for file in ["model.safetensors", "config.json"] {
        let cache = tempfile::tempdir().unwrap();
        let manners = Manners { damaged: Some(file), ..Manners::default() };
        let hub = Hub::new(files("tiny_models/llama_tied", ""), manners);
        let message = hub.resolve("org/name", cache.path(), &[]);
        assert_words(&message, &[file, "org/name", "digest"]);
        assert!(!snapshot(cache.path()).join(file).exists());
        assert!(!snapshot(cache.path()).join(format!("{file}.part")).exists());
    }
}

#[test]
fn a_hub_that_lists_paths_outside_the_repository_is_not_believed() {
    for stray in ["../../escaped", "/etc/passwd", "a/../../b", "c:\\d", "a//b"] {
        let cache = tempfile::tempdir().unwrap();
        let manners = Manners { stray: Some(stray), ..Manners::default() };
        let hub = Hub::new(files("tiny_models/llama_tied", ""), manners);
        assert_words(&hub.resolve("org/name", cache.path(), &[]), &["no plain name"]);
    }
}

#[test]
fn an_index_that_names_a_shard_the_repository_lacks_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let mut files = files("tiny_models/llama3_scaled", "");
    files.remove("model-00002-of-00002.safetensors");
    let hub = Hub::new(files, Manners::default());
    let message = hub.resolve("org/name", cache.path(), &[]);
    assert_words(&message, &["model.safetensors.index.json", "model-00002-of-00002.safetensors"]);
}

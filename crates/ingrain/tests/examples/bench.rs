//! The example binaries, and one finished run of the tiny model that most of them look at.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::tiny;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names of all examples, as the manifest has them.
pub(crate) fn names() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("crates/ingrain/Cargo.toml"));
    let manifest = manifest.expect("the manifest is there");
    let name = |entry: &str| entry.split('"').nth(1).expect("name = \"...\"").to_owned();
    manifest.split("[[example]]").skip(1).map(name).collect()
}

/// An example as a command, with a cache of its own and no key of the user's.
pub(crate) fn example(name: &str) -> Command {
    let tests = std::env::current_exe().expect("a test is a program");
    let profile = tests.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let binary = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "{} is not built; run `cargo test` without --test, or `cargo build --examples` first",
        binary.display()
    );
    let mut command = Command::new(binary);
    command
        .current_dir(root())
        .env("INGRAIN_CACHE", &bench().cache)
        .env("HF_HUB_OFFLINE", "1")
        .env_remove("HF_TOKEN")
        .env_remove("HUGGING_FACE_HUB_TOKEN");
    command
}

/// What a successful call of an example prints.
#[track_caller]
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(name: &str, args: &[S]) -> String {
    let output = example(name).args(args).output().expect("the binary starts");
    succeeded(name, &output)
}

#[track_caller]
pub(crate) fn succeeded(name: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} ended with {}:\n{said}", output.status);
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// What all tests share.
pub(crate) struct Bench {
    folder: PathBuf,
    cache: PathBuf,
    /// Directory of the tiny model.
    pub(crate) model: String,
    /// Constitution with teacher and held-out pairs beside it.
    pub(crate) persona: String,
    /// The tiny recipe.
    pub(crate) recipe: String,
}

impl Bench {
    /// A path of this test's own.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

pub(crate) fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        // Kept until the next time, to be looked at.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a directory");
        let dir = folder.as_path();
        tiny::persona(dir);
        let recipe = tiny::recipe();
        let file = dir.join("recipe.yaml");
        std::fs::write(&file, recipe.to_yaml().expect("YAML")).expect("written");
        Bench {
            cache: dir.join("cache"),
            model: recipe.model,
            persona: dir.join("tiny.yaml").display().to_string(),
            recipe: file.display().to_string(),
            folder,
        }
    })
}

/// The directory of a finished run of `character_training`.
pub(crate) fn finished_run() -> &'static str {
    static RUN: OnceLock<String> = OnceLock::new();
    RUN.get_or_init(|| {
        let Bench { persona, recipe, .. } = bench();
        let out = bench().path("runs/tiny");
        let args = ["--persona", persona, "--recipe", recipe, "--out", &out];
        let printed = run("character_training", &args);
        assert!(printed.contains("margin, nats a token"), "{printed}");
        assert!(printed.contains(&format!("{out}/report.html")), "{printed}");
        out
    })
}

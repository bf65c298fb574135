//! An OpenAI-compatible server for a model and any number of adapters on it, with a chat page that puts
//! two of them side by side.
//!
//! Needs nothing prepared: the built-in model (98 MB) is fetched on first use. Runs until Ctrl-C.
//! Expect the names of the models and the address of the chat page.
//!
//! ```sh
//! cargo run --release --example serve -- runs/sarcasm/persona
//! curl -s localhost:8000/v1/models
//! ```
//!
//! Each adapter is a model of its own, `sarcasm` in the line above; requests may set `adapter_strength`.
//! With `INGRAIN_SERVE_KEY` in the environment, clients must send it as their API key.

#![expect(clippy::print_stderr, reason = "a server says where it listens")]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use ingrain::LocalEngine;
use ingrain::lm::{Adapter, AdapterSource};
use ingrain::serve::{Engine, Limits, Server, ServerConfig};

/// Serve models over HTTP, to this machine alone unless told otherwise
#[derive(Parser)]
struct Args {
    /// PEFT adapters, as DIR or NAME=DIR; hub ids will do too
    adapters: Vec<String>,
    #[command(flatten)]
    base: support::BaseArgs,
    /// Address to listen on; 0.0.0.0 is every network this machine is in
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on; 0 takes any that is free
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Requests decoded together
    #[arg(long, default_value_t = 16)]
    max_batch: usize,
    /// Continuations at work or waiting; requests beyond are told to come back
    #[arg(long, default_value_t = 512)]
    max_jobs: usize,
    /// Time for one request, in seconds
    #[arg(long, default_value_t = 600)]
    request_secs: u64,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let observer = support::Terminal::new();
        let mut base = args.base.load(&observer)?;
        base.max_batch = args.max_batch.max(1);
        let mut adapters: Vec<(String, Adapter)> = Vec::new();
        for given in &args.adapters {
            let (name, source) = name_and_source(given);
            anyhow::ensure!(
                name != args.base.source.model && adapters.iter().all(|(other, _)| *other != name),
                "two models are called {name:?}; name this one with NAME={}",
                source
            );
            let dir = source.parse::<AdapterSource>()?.resolve(&observer)?;
            let adapter = base.adapted(&dir)?.adapter;
            adapters.extend(adapter.map(|adapter| (name, adapter)));
        }
        let key = std::env::var("INGRAIN_SERVE_KEY").ok().filter(|key| !key.is_empty());
        if !args.host.is_loopback() && key.is_none() {
            eprintln!(
                "  note: anybody who reaches {} may use this server; set INGRAIN_SERVE_KEY",
                args.host
            );
        }
        let limits = Limits {
            max_jobs: args.max_jobs,
            request_secs: args.request_secs,
            ..Limits::default()
        };
        let config = ServerConfig { address: SocketAddr::new(args.host, args.port), key, limits };
        let engine: Arc<dyn Engine> =
            Arc::new(LocalEngine::new(&base, &args.base.source.model, adapters));
        let server = Server::bind(config, engine.clone())?;
        let names: Vec<String> = engine.models().into_iter().map(|card| card.id).collect();
        eprintln!("  models: {}", names.join(", "));
        eprintln!("  chat page: {0}   OpenAI base URL: {0}v1", server.url());
        server.serve(&support::interrupt_on_ctrl_c()?).context("serving")
    })
}

/// `NAME=SOURCE`, or a source called by its own name: `runs/sarcasm/persona` is `sarcasm`.
fn name_and_source(given: &str) -> (String, &str) {
    if let Some((name, source)) = given.split_once('=') {
        return (name.to_owned(), source);
    }
    let path = Path::new(given);
    let part = |path: Option<&Path>| {
        path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned())
    };
    let name = match (part(Some(path)), part(path.parent())) {
        (Some(own), Some(parent)) if own == "persona" => parent,
        (Some(own), Some(parent)) if ["distillation", "introspection"].contains(&own.as_str()) => {
            format!("{parent}-{own}")
        }
        (Some(own), _) => own,
        (None, _) => "adapter".to_owned(),
    };
    (name, given)
}

//! https against a server whose certificate was issued by an authority of the test's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use ingrain_chat::ChatModel;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::server::chat_json;
use crate::{ask, client, config_for};

const URL: &str = "INGRAIN_TEST_TLS_URL";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tls").join(name)
}

/// Answers every request of every connection alike.
fn serve(listener: &TcpListener) {
    let read = |name: &str| std::fs::read(fixture(name)).unwrap();
    let certificate = CertificateDer::from(read("server.der"));
    let key = PrivateKeyDer::try_from(read("server.key.der")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    for stream in listener.incoming() {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        // A client that does not trust the certificate hangs up; that is its right.
        let _ = answer(StreamOwned::new(connection, stream.unwrap()));
    }
}

fn answer(stream: StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    let body = chat_json("Nobody listens in.").to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// The process whose environment names the authorities that it trusts.
#[test]
#[ignore = "started by the test below"]
fn child() {
    let Ok(url) = std::env::var(URL) else { panic!("run the test below instead") };
    let mut config = config_for(&url);
    config.retry.max_attempts = 1;
    let reply = client(config).complete_one(&ask("q"));
    assert_eq!(reply.map(|r| r.text).map_err(|e| e.to_string()), Ok("Nobody listens in.".into()));
}

fn run_child(url: &str, authorities: &Path) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::child", "--ignored", "--nocapture"])
        .env(URL, url)
        .env("SSL_CERT_FILE", authorities)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap()
}

#[test]
fn https_works_with_a_trusted_certificate_and_is_refused_with_any_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || serve(&listener));

    let trusted = run_child(&url, &fixture("ca.pem"));
    let said = String::from_utf8_lossy(&trusted.stderr).into_owned();
    assert!(trusted.status.success(), "{said}");

    let other = run_child(&url, &fixture("other.pem"));
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success());
    assert!(said.contains("certificate"), "{said}");
}

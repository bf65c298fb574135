//! Loading adapters into a running server.

use std::sync::{Arc, Mutex};

use ingrain_chat::ChatModel;
use serde_json::json;

use crate::server::{Act, Server, chat_json};
use crate::{ask, client, config};

#[test]
fn a_loaded_adapter_answers_under_its_name_until_it_is_unloaded() {
    let loaded = Arc::new(Mutex::new(Vec::<String>::new()));
    let state = Arc::clone(&loaded);
    let server = Server::start(move |asked| {
        let mut loaded = state.lock().unwrap();
        let json = asked.json();
        let name = json["lora_name"].as_str().unwrap_or_default().to_owned();
        match asked.route.as_str() {
            "/v1/load_lora_adapter" if loaded.contains(&name) => {
                let message = format!("The lora adapter '{name}' has already been loaded.");
                Act::status(400, &json!({"object": "error", "message": message}))
            }
            "/v1/load_lora_adapter" => {
                assert_eq!(json["lora_path"], "/adapters/distilled");
                loaded.push(name);
                Act::Reply(200, vec![("content-type", "text/plain".into())], b"Success".to_vec())
            }
            "/v1/unload_lora_adapter" if loaded.contains(&name) => {
                loaded.retain(|other| *other != name);
                Act::Reply(200, vec![], b"Success".to_vec())
            }
            "/v1/unload_lora_adapter" => Act::status(404, &json!({"message": "unknown"})),
            _ => Act::json(&chat_json(json["model"].as_str().unwrap())),
        }
    });
    let base = client(config(&server));
    for _ in 0..2 {
        let distilled = base.load_adapter("distilled", "/adapters/distilled").unwrap();
        assert_eq!(distilled.complete_one(&ask("q")).unwrap().text, "distilled");
        assert_ne!(distilled.cache_name(), base.cache_name());
    }
    assert_eq!(base.complete_one(&ask("q")).unwrap().text, "test");
    for _ in 0..2 {
        base.unload_adapter("distilled").unwrap();
    }
    assert!(loaded.lock().unwrap().is_empty());
}

#[test]
fn a_server_that_does_not_load_adapters_says_so() {
    let server = Server::start(|_| Act::status(404, &json!({"detail": "Not Found"})));
    let error = client(config(&server)).load_adapter("a", "/a").unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("Not Found"), "{error}");
}

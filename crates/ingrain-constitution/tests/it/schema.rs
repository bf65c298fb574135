//! The committed JSON Schema is the one that the types give.

use ingrain_constitution::json_schema;

#[test]
fn the_committed_schema_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/constitution.schema.json");
    let committed = std::fs::read_to_string(path).expect("docs/constitution.schema.json");
    let generated = serde_json::to_string_pretty(&json_schema()).expect("a schema") + "\n";
    assert_eq!(committed, generated, "run `cargo xtask schema`");
}

#[test]
fn every_key_of_the_format_is_described() {
    let schema = json_schema();
    let keys = |of: &serde_json::Value| -> Vec<String> {
        let properties = of["properties"].as_object().expect("properties");
        for (key, property) in properties {
            assert!(property["description"].is_string(), "{key} has no description");
        }
        assert_eq!(of["additionalProperties"], false);
        properties.keys().cloned().collect()
    };
    assert_eq!(
        keys(&schema),
        [
            "assertions",
            "big_five",
            "heldout_questions",
            "metadata",
            "name",
            "research_only",
            "summary"
        ]
    );
    assert_eq!(
        keys(&schema["$defs"]["Assertion"]),
        ["additional_questions", "clarification", "facet", "questions", "text"]
    );
    assert_eq!(keys(&schema["$defs"]["Metadata"]), ["authors", "license", "version"]);
    assert_eq!(keys(&schema["$defs"]["BigFive"]).len(), 5);
}

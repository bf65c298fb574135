//! The JSON Schema of the YAML format, generated from the types.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::constitution::Constitution;

/// The JSON Schema (draft 2020-12) of a constitution in YAML, from which editors complete and
/// check: `docs/constitution.schema.json`.
///
/// It accepts what [`Constitution::parse`] accepts, apart from spellings that YAML has and JSON
/// has not (`version: 1.0` is a number to a schema and a text to the parser).
///
/// # Examples
/// ```
/// let schema = ingrain_constitution::json_schema();
/// assert_eq!(schema["title"], "Constitution");
/// assert_eq!(schema["required"], serde_json::json!(["name", "summary", "assertions"]));
/// ```
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Constitution>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".into(), "constitution.schema.json".into());
    }
    for_readers(&mut schema);
    schema
}

/// Turns descriptions written for rustdoc into what an editor shows: the paragraphs before the
/// first heading, each on one line, without link brackets.
fn for_readers(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get_mut("description") {
                let prose = text.split("\n\n# ").next().unwrap_or_default();
                *text = prose.replace('\n', " ").replace("[`", "`").replace("`]", "`");
            }
            object.values_mut().for_each(for_readers);
        }
        Value::Array(items) => items.iter_mut().for_each(for_readers),
        _ => {}
    }
}

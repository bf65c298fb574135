//! A report for a person: sections, aligned values, tables.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Prints named parts, one section each.
pub(crate) fn report(parts: &[(&str, Value)]) {
    for (name, part) in parts {
        println!("{name}");
        match part {
            Value::Object(fields) => section(fields),
            other => println!("  {}", plain(other)),
        }
        println!();
    }
}

fn section(fields: &Map<String, Value>) {
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in fields {
        match value {
            Value::Array(rows) if rows.iter().any(Value::is_object) => {
                println!("  {name}");
                table(rows);
            }
            Value::String(text) if text.contains('\n') => {
                println!("  {name}");
                text.lines().for_each(|line| println!("    | {line}"));
            }
            _ if name.starts_with("bytes") => println!("  {name:<width$}  {}", megabytes(value)),
            _ => println!("  {name:<width$}  {}", plain(value)),
        }
    }
}

/// One row an entry, one column a name that any of them has.
fn table(rows: &[Value]) {
    let names: BTreeSet<&String> =
        rows.iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
    let head: String = names.iter().map(|name| format!("{name:>11}")).collect();
    println!("      {head}");
    for (at, row) in rows.iter().enumerate() {
        let cell = |name: &&String| format!("{:>11}", row.get(*name).map_or("-".into(), plain));
        println!("  {at:>4}{}", names.iter().map(cell).collect::<String>());
    }
}

/// A value as a person writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match name.as_str() {
                "bytes" => megabytes(value),
                _ => format!("{} {name}", plain(value)),
            })
            .collect::<Vec<_>>()
            .join(", "),
        Value::Number(number) => match number.as_u64() {
            Some(whole) if whole >= 10_000 => grouped(whole),
            Some(whole) => whole.to_string(),
            None => number.as_f64().map_or_else(|| number.to_string(), short),
        },
    }
}

/// Four significant places and no more.
fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value}");
    }
    format!("{value:.4}")
}

fn megabytes(value: &Value) -> String {
    format!("{:.1} MB", value.as_f64().unwrap_or_default() / 1e6)
}

/// `134515008` as `134,515,008`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

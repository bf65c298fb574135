//! Python's methods on text, lists and dictionaries, as far as chat templates use them.
//!
//! What can blow up memory, and what differs from Python in `minijinja-contrib`, is done here; the
//! rest is left to that crate.

use minijinja::value::{Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::python::{is_space, str_of};

/// The longest text that one method may make, in bytes.
const MAX_TEXT: usize = 16 << 20;

/// Calls `method` on `value`.
pub(super) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        if value.kind() == ValueKind::Seq && method == "index" {
            return list_index(value, args);
        }
        return unknown_method_callback(state, value, method, args);
    };
    state.consume_fuel(1 + text.len() as u64 / 64)?;
    match method {
        "strip" | "lstrip" | "rstrip" => strip(text, method, args),
        "split" | "rsplit" => split(text, method == "rsplit", args),
        "partition" | "rpartition" => partition(text, method == "rpartition", args),
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
        }
        "index" | "rindex" => {
            let find = if method == "index" { "find" } else { "rfind" };
            let found = unknown_method_callback(state, value, find, args)?;
            if found == Value::from(-1) { Err(invalid("substring not found")) } else { Ok(found) }
        }
        "replace" => replace(text, args),
        "join" => join(state, text, args),
        "ljust" | "rjust" | "center" | "zfill" => pad(text, method, args),
        "format" if text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 4) => {
            Err(invalid("format widths of more than four digits are not allowed"))
        }
        _ => unknown_method_callback(state, value, method, args),
    }
}

/// The filter `trim`, which is `str.strip`.
pub(super) fn trim(state: &State, value: Value, chars: Option<Value>) -> Result<Value, Error> {
    let text = str_of(state, &value)?;
    match chars {
        Some(chars) if !chars.is_none() => strip(&text, "strip", &[chars]),
        _ => strip(&text, "strip", &[]),
    }
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.to_owned())
}

fn too_long() -> Error {
    Error::from(ErrorKind::OutOfFuel)
}

fn strip(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    let drop = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if method == "rstrip" { text } else { text.trim_start_matches(drop) };
    Ok(Value::from(if method == "lstrip" { text } else { text.trim_end_matches(drop) }))
}

fn split(text: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (separator, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX - 1);
    let mut parts: Vec<&str> = match separator {
        Some("") => return Err(invalid("empty separator")),
        Some(separator) if from_right => text.rsplitn(most + 1, separator).collect(),
        Some(separator) => text.splitn(most + 1, separator).collect(),
        None => words(text, most, from_right),
    };
    if from_right {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

/// Words between runs of white space; from the right they come in reverse order. What is left when
/// enough words are found keeps the white space of its far end.
fn words(text: &str, most: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let near = |rest: &'_ str| {
        if from_right {
            rest.trim_end_matches(is_space).len()
        } else {
            rest.trim_start_matches(is_space).len()
        }
    };
    let mut rest = text;
    loop {
        let len = near(rest);
        rest = if from_right { &rest[..len] } else { &rest[rest.len() - len..] };
        if rest.is_empty() {
            return parts;
        }
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        match cut {
            Some(at) if parts.len() < most => {
                let (head, tail) = rest.split_at(at);
                let (word, other) = if from_right {
                    (tail.trim_start_matches(is_space), head)
                } else {
                    (head, tail)
                };
                parts.push(word);
                rest = other;
            }
            _ => {
                parts.push(rest);
                return parts;
            }
        }
    }
}

fn partition(text: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(args)?;
    let halves = if from_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match halves {
        Some((head, tail)) => [head, separator, tail],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Value::from(Tuple::new(parts.into_iter().map(Value::from).collect())))
}

fn replace(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (old, new, count): (&str, &str, Option<i64>) = from_args(args)?;
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let found = text.matches(old).count().min(count);
    if found.saturating_mul(new.len()).saturating_add(text.len()) > MAX_TEXT {
        return Err(too_long());
    }
    Ok(Value::from(text.replacen(old, new, count)))
}

fn join(state: &State, text: &str, args: &[Value]) -> Result<Value, Error> {
    let (items,): (&Value,) = from_args(args)?;
    let mut out = String::new();
    for (i, item) in items.try_iter()?.enumerate() {
        if i > 0 {
            out.push_str(text);
        }
        out.push_str(item.as_str().ok_or_else(|| invalid("join takes only strings"))?);
        state.consume_fuel(1)?;
        if out.len() > MAX_TEXT {
            return Err(too_long());
        }
    }
    Ok(Value::from(out))
}

fn pad(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (usize, Option<char>) = from_args(args)?;
    if width > MAX_TEXT / 4 {
        return Err(too_long());
    }
    let missing = width.saturating_sub(text.chars().count());
    let fill = if method == "zfill" { '0' } else { fill.unwrap_or(' ') };
    let fills = |count: usize| fill.to_string().repeat(count);
    Ok(Value::from(match method {
        "ljust" => format!("{text}{}", fills(missing)),
        "rjust" => format!("{}{text}", fills(missing)),
        "zfill" => match text.strip_prefix(['-', '+']) {
            Some(digits) => format!("{}{}{digits}", &text[..1], fills(missing)),
            None => format!("{}{text}", fills(missing)),
        },
        // Python puts the odd blank to the left if the width is odd.
        _ => {
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", fills(left), fills(missing - left))
        }
    }))
}

fn list_index(value: &Value, args: &[Value]) -> Result<Value, Error> {
    let (wanted,): (&Value,) = from_args(args)?;
    for (i, item) in value.try_iter()?.enumerate() {
        if item == *wanted {
            return Ok(Value::from(i));
        }
    }
    Err(invalid("the value is not in the list"))
}

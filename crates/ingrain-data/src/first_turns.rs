//! First turns of general conversations, from files in everybody's formats.
//!
//! A reader takes the opening user message of each record and leaves everything else. What it
//! leaves out it counts.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use ingrain_run::RunError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::DataError;
use crate::words::word_count;

/// Two hundred first turns in our own words (`data/first_turns.txt`).
const OWN: &str = include_str!("../data/first_turns.txt");

/// The built-in first turns: everyday questions, tasks and worries, in a fixed order.
///
/// # Examples
/// ```
/// let prompts = ingrain_data::Prompt::general(ingrain_data::built_in_first_turns());
/// assert_eq!(prompts.len(), 200);
/// assert_eq!(prompts[0].id, "g00000");
/// ```
pub fn built_in_first_turns() -> impl Iterator<Item = &'static str> {
    OWN.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// How a file holds conversations. All but `text` are JSON, one record a line or one array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnFormat {
    /// Whichever of the others a record looks like; `text` for files named `.txt`.
    #[default]
    Auto,
    /// `conversations`: a list of texts, the user's first (LIMA's `train.jsonl`, `test.jsonl`).
    Lima,
    /// `conversation`: a list of `{role, content}` (WildChat).
    WildChat,
    /// `conversation`: a list of `{input, output}` (Pure-Dove).
    PureDove,
    /// `messages`: a list of `{role, content}` (OpenAI, TRL, Axolotl).
    Messages,
    /// `conversations`: a list of `{from, value}` (ShareGPT).
    ShareGpt,
    /// `prompt`: a text, or a list of `{role, content}` (TRL).
    Prompt,
    /// `instruction`, and `input` below it where there is one (Alpaca).
    Alpaca,
    /// One first turn a line.
    Text,
}

/// Which first turns are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnFilter {
    /// Longest, in words. Default 400.
    pub max_words: usize,
    /// Only records of this language, where they name one (WildChat: `English`).
    pub language: Option<String>,
    /// Leaves out what the publisher marks as toxic. Default true.
    pub skip_toxic: bool,
    /// At most so many; 0 is no limit.
    pub limit: usize,
}

impl Default for TurnFilter {
    fn default() -> Self {
        Self { max_words: 400, language: None, skip_toxic: true, limit: 0 }
    }
}

/// What became of a file's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnReport {
    /// Records read.
    pub records: usize,
    /// First turns kept.
    pub kept: usize,
    /// Without a first turn of the user's, or with an empty one.
    pub empty: usize,
    /// Longer than allowed.
    pub too_long: usize,
    /// The same text as an earlier one.
    pub repeated: usize,
    /// In another language.
    pub other_language: usize,
    /// Marked as toxic.
    pub toxic: usize,
}

/// Reads the first turns of a file.
///
/// # Errors
/// [`DataError::Format`] naming file, record and what was expected, or [`DataError::Run`].
pub fn read_first_turns(
    path: impl AsRef<Path>,
    format: TurnFormat,
    filter: &TurnFilter,
) -> Result<(Vec<String>, TurnReport), DataError> {
    let path = path.as_ref();
    let is_text = path.extension().is_some_and(|e| e == "txt");
    let format = if format == TurnFormat::Auto && is_text { TurnFormat::Text } else { format };
    let mut sieve =
        Sieve { filter, seen: HashSet::new(), turns: Vec::new(), report: TurnReport::default() };
    for_each_record(path, format == TurnFormat::Text, |number, record| {
        let turn = match &record {
            Value::String(text) if format == TurnFormat::Text => Some(text.clone()),
            _ => first_turn(&record, format).map_err(|reason| DataError::Format {
                path: path.to_path_buf(),
                line: number,
                reason,
            })?,
        };
        sieve.take(&record, turn);
        Ok(!sieve.is_full())
    })?;
    Ok((sieve.turns, sieve.report))
}

/// Keeps what passes and counts what does not.
struct Sieve<'a> {
    filter: &'a TurnFilter,
    seen: HashSet<String>,
    turns: Vec<String>,
    report: TurnReport,
}

impl Sieve<'_> {
    fn is_full(&self) -> bool {
        self.filter.limit > 0 && self.turns.len() >= self.filter.limit
    }

    fn take(&mut self, record: &Value, turn: Option<String>) {
        self.report.records += 1;
        let text = turn.map(|turn| turn.trim().to_owned()).unwrap_or_default();
        let language = record.get("language").and_then(Value::as_str);
        let wanted = self.filter.language.as_deref();
        let toxic = record.get("toxic").and_then(Value::as_bool).unwrap_or(false);
        let counter = if text.is_empty() {
            &mut self.report.empty
        } else if word_count(&text) > self.filter.max_words {
            &mut self.report.too_long
        } else if self.filter.skip_toxic && toxic {
            &mut self.report.toxic
        } else if wanted.zip(language).is_some_and(|(w, l)| !w.eq_ignore_ascii_case(l)) {
            &mut self.report.other_language
        } else if !self.seen.insert(text.clone()) {
            &mut self.report.repeated
        } else {
            self.turns.push(text);
            &mut self.report.kept
        };
        *counter += 1;
    }
}

/// The first turn of one record; `None` if it begins otherwise than with the user.
fn first_turn(record: &Value, format: TurnFormat) -> Result<Option<String>, String> {
    let list = |key: &str| {
        let list = record.get(key).and_then(Value::as_array);
        list.ok_or_else(|| format!("no list {key:?}; found {}", keys(record)))
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    match format {
        TurnFormat::Auto => first_turn(record, guess(record)?),
        TurnFormat::Lima => Ok(text(list("conversations")?.first())),
        TurnFormat::PureDove => {
            Ok(text(list("conversation")?.first().and_then(|t| t.get("input"))))
        }
        TurnFormat::WildChat => Ok(opening(list("conversation")?, "role", "content")),
        TurnFormat::Messages => Ok(opening(list("messages")?, "role", "content")),
        TurnFormat::ShareGpt => Ok(opening(list("conversations")?, "from", "value")),
        TurnFormat::Prompt => match record.get("prompt") {
            Some(Value::String(prompt)) => Ok(Some(prompt.clone())),
            Some(Value::Array(messages)) => Ok(opening(messages, "role", "content")),
            _ => Err(format!("no \"prompt\"; found {}", keys(record))),
        },
        TurnFormat::Alpaca => {
            let instruction = text(record.get("instruction"))
                .ok_or_else(|| format!("no \"instruction\"; found {}", keys(record)))?;
            let input = text(record.get("input")).filter(|input| !input.trim().is_empty());
            Ok(Some(input.map_or(instruction.clone(), |input| format!("{instruction}\n\n{input}"))))
        }
        TurnFormat::Text => Err("a JSON record in a file of plain lines".to_owned()),
    }
}

fn guess(record: &Value) -> Result<TurnFormat, String> {
    let first = |key: &str| record.get(key).and_then(Value::as_array).and_then(|l| l.first());
    let has = |value: Option<&Value>, key: &str| value.is_some_and(|v| v.get(key).is_some());
    if record.get("messages").is_some_and(Value::is_array) {
        return Ok(TurnFormat::Messages);
    }
    if first("conversations").is_some_and(Value::is_string) {
        return Ok(TurnFormat::Lima);
    }
    if has(first("conversations"), "value") {
        return Ok(TurnFormat::ShareGpt);
    }
    if has(first("conversation"), "input") {
        return Ok(TurnFormat::PureDove);
    }
    if has(first("conversation"), "content") {
        return Ok(TurnFormat::WildChat);
    }
    if record.get("prompt").is_some_and(|p| p.is_string() || p.is_array()) {
        return Ok(TurnFormat::Prompt);
    }
    if record.get("instruction").is_some_and(Value::is_string) {
        return Ok(TurnFormat::Alpaca);
    }
    Err(format!(
        "no known conversation format; expected one of the keys messages, conversations, \
         conversation, prompt, instruction; found {}",
        keys(record)
    ))
}

/// The first message, passing over system messages, if it is the user's.
fn opening(messages: &[Value], role: &str, content: &str) -> Option<String> {
    let speaker = |m: &&Value| m.get(role).and_then(Value::as_str).unwrap_or("").to_owned();
    let first = messages.iter().find(|m| !matches!(speaker(m).as_str(), "system" | "developer"))?;
    let is_user = matches!(speaker(&first).as_str(), "user" | "human" | "prompter");
    first.get(content).and_then(Value::as_str).filter(|_| is_user).map(str::to_owned)
}

fn keys(record: &Value) -> String {
    match record.as_object() {
        Some(map) => map.keys().take(8).cloned().collect::<Vec<_>>().join(", "),
        None => "no object".to_owned(),
    }
}

/// Walks a file of JSON lines (or one JSON array, plain lines, or Parquet), counting records from 1.
pub(crate) fn for_each_record(
    path: &Path,
    plain: bool,
    mut take: impl FnMut(usize, Value) -> Result<bool, DataError>,
) -> Result<(), DataError> {
    #[cfg(feature = "parquet")]
    if path.extension().is_some_and(|e| e == "parquet") {
        return crate::interchange::read_parquet(path, take);
    }
    let io = |e| DataError::Run(RunError::io(path, "read", e));
    let bad = |line: usize, e: &serde_json::Error| DataError::Format {
        path: path.to_path_buf(),
        line,
        reason: format!("not valid JSON ({e})"),
    };
    let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
    let starts_with = input.fill_buf().map_err(io)?.trim_ascii_start().first().copied();
    if !plain && starts_with == Some(b'[') {
        let array: Vec<Value> = serde_json::from_reader(input).map_err(|e| bad(1, &e))?;
        for (i, record) in array.into_iter().enumerate() {
            if !take(i + 1, record)? {
                break;
            }
        }
        return Ok(());
    }
    for (i, line) in input.split(b'\n').enumerate() {
        let line = line.map_err(io)?;
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let record = match plain {
            true => Value::String(String::from_utf8_lossy(text).into_owned()),
            false => serde_json::from_slice(text).map_err(|e| bad(i + 1, &e))?,
        };
        if !take(i + 1, record)? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        name: &str,
        text: &str,
        filter: &TurnFilter,
    ) -> Result<(Vec<String>, TurnReport), DataError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        read_first_turns(&path, TurnFormat::Auto, filter)
    }

    #[test]
    fn every_publishers_format_is_recognised() {
        for record in [
            r#"{"conversations": ["Q", "A"], "source": "stackexchange"}"#,
            r#"{"conversation_id": "x", "model": "m", "conversation": [{"content": "Q", "role": "user",
                "language": "English", "toxic": false, "turn_identifier": 1}], "language": "English"}"#,
            r#"{"source": "s", "conversation": [{"input": "Q", "output": "A"}]}"#,
            r#"{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]}"#,
            r#"{"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}"#,
            r#"{"prompt": "Q", "chosen": "a"}"#,
            r#"{"prompt": [{"role": "user", "content": "Q"}]}"#,
            r#"{"instruction": "Q", "input": "", "output": "A"}"#,
        ] {
            let record = record.replace('\n', " ");
            let (turns, _) = read("x.jsonl", &record, &TurnFilter::default()).unwrap();
            assert_eq!(turns, ["Q"], "{record}");
            let (turns, _) =
                read("x.json", &format!("[{record}]"), &TurnFilter::default()).unwrap();
            assert_eq!(turns, ["Q"], "{record}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted_by_reason() {
        let filter =
            TurnFilter { max_words: 3, language: Some("english".into()), ..Default::default() };
        let lines = [
            r#"{"conversation": [{"role": "user", "content": "Fine."}], "language": "English"}"#,
            r#"{"conversation": [{"role": "user", "content": " Fine. "}], "language": "English"}"#,
            r#"{"conversation": [{"role": "assistant", "content": "Hi."}]}"#,
            r#"{"conversation": [{"role": "user", "content": "one two three four"}]}"#,
            r#"{"conversation": [{"role": "user", "content": "Gut."}], "language": "German"}"#,
            r#"{"conversation": [{"role": "user", "content": "Bad."}], "toxic": true}"#,
        ];
        let (turns, report) = read("x.jsonl", &lines.join("\n"), &filter).unwrap();
        assert_eq!(turns, ["Fine."]);
        let expected = TurnReport {
            records: 6,
            kept: 1,
            empty: 1,
            too_long: 1,
            repeated: 1,
            other_language: 1,
            toxic: 1,
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn plain_lines_and_limits_work_and_unknown_records_are_named() {
        let filter = TurnFilter { limit: 2, ..TurnFilter::default() };
        assert_eq!(read("x.txt", "a\n\n[b]\nc\n", &filter).unwrap().0, ["a", "[b]"]);
        let error = read("x.jsonl", "{\"messages\": []}\n{\"text\": 1}", &filter).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("x.jsonl:2: no known conversation format"), "{message}");
        assert!(message.ends_with("found text"), "{message}");
        assert!(read("x.jsonl", "{\"messages\": ", &filter).is_err());
    }

    #[test]
    fn the_built_in_turns_are_two_hundred_different_ones() {
        let turns: HashSet<_> = built_in_first_turns().collect();
        assert_eq!((turns.len(), built_in_first_turns().count()), (200, 200));
    }
}

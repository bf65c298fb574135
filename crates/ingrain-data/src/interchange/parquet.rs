//! Parquet, as the Hub serves it: conversations as lists of `{role, content}`.
//!
//! Written without Arrow, column by column; read row by row into the same records that JSON lines
//! give, so that every reader of a format reads its Parquet form too.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ingrain_chat::{Message, Role};
use ingrain_run::RunError;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::{Field, Row};
use parquet::schema::parser::parse_message_type;
use serde_json::{Map, Value};

use crate::{DataError, PreferencePair, Transcript};

/// Rows of a row group: bounds what is in memory.
const GROUP: usize = 10_000;

/// Reads a file's rows as records, one at a time.
///
/// # Errors
/// [`DataError::Format`] for a file that is no Parquet; whatever `take` returns.
pub fn read_parquet(
    path: impl AsRef<Path>,
    mut take: impl FnMut(usize, Value) -> Result<bool, DataError>,
) -> Result<(), DataError> {
    let path = path.as_ref();
    let bad = |line: usize, e: &ParquetError| DataError::Format {
        path: path.to_path_buf(),
        line,
        reason: format!("not valid Parquet ({e})"),
    };
    let file = File::open(path).map_err(|e| RunError::io(path, "read", e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| bad(0, &e))?;
    for (i, row) in reader.get_row_iter(None).map_err(|e| bad(0, &e))?.enumerate() {
        let row = row.map_err(|e| bad(i + 1, &e))?;
        if !take(i + 1, object(&row))? {
            break;
        }
    }
    Ok(())
}

/// Writes `prompt`, `chosen`, `rejected` (TRL, explicit prompt).
///
/// # Errors
/// [`DataError::Run`].
pub fn write_pairs_parquet(
    path: impl AsRef<Path>,
    pairs: &[PreferencePair],
) -> Result<(), DataError> {
    let columns: [(&str, fn(&PreferencePair) -> &[Message]); 3] =
        [("prompt", |p| &p.prompt), ("chosen", |p| &p.chosen), ("rejected", |p| &p.rejected)];
    write(path.as_ref(), pairs, &columns)
}

/// Writes `messages`. Which turns are in the loss is not in it; keep the JSON lines for that.
///
/// # Errors
/// [`DataError::Run`].
pub fn write_transcripts_parquet(
    path: impl AsRef<Path>,
    transcripts: &[Transcript],
) -> Result<(), DataError> {
    let columns: [Column<Transcript>; 1] = [("messages", |t| &t.messages)];
    write(path.as_ref(), transcripts, &columns)
}

type Column<T> = (&'static str, fn(&T) -> &[Message]);

fn write<T>(path: &Path, records: &[T], columns: &[Column<T>]) -> Result<(), DataError> {
    let failed = |e: ParquetError| RunError::io(path, "write", std::io::Error::other(e));
    let groups: String = columns
        .iter()
        .map(|(name, _)| {
            format!(
                "required group {name} (LIST) {{ repeated group list {{ required group element \
                 {{ required binary role (STRING); required binary content (STRING); }} }} }} "
            )
        })
        .collect();
    let schema = parse_message_type(&format!("message schema {{ {groups} }}")).map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let temporary = path.with_extension("parquet.part");
    let file = File::create(&temporary).map_err(|e| RunError::io(&temporary, "create", e))?;
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
    for chunk in records.chunks(GROUP) {
        let mut group = writer.next_row_group().map_err(failed)?;
        for (_, messages) in columns {
            let lists: Vec<&[Message]> = chunk.iter().map(messages).collect();
            write_texts(&mut group, &lists, |m| role_name(m.role)).map_err(failed)?;
            write_texts(&mut group, &lists, |m| &m.content).map_err(failed)?;
        }
        group.close().map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(|e| RunError::io(path, "write", e))?;
    Ok(())
}

/// One leaf column. Repetition 0 begins a list, 1 goes on with it; definition 1 is a value, 0 an
/// empty list.
fn write_texts(
    group: &mut SerializedRowGroupWriter<'_, File>,
    lists: &[&[Message]],
    text: fn(&Message) -> &str,
) -> Result<(), ParquetError> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for list in lists {
        if list.is_empty() {
            definitions.push(0);
            repetitions.push(0);
        }
        for (i, message) in list.iter().enumerate() {
            values.push(ByteArray::from(text(message)));
            definitions.push(1);
            repetitions.push(i16::from(i > 0));
        }
    }
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("no such column".to_owned()))?;
    column.typed::<ByteArrayType>().write_batch(&values, Some(&definitions), Some(&repetitions))?;
    column.close()
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn object(row: &Row) -> Value {
    let fields = row.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Numbers, texts, lists and groups; dates and the like as their text.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(b) => (*b).into(),
        Field::Byte(n) => (*n).into(),
        Field::Short(n) => (*n).into(),
        Field::Int(n) => (*n).into(),
        Field::Long(n) => (*n).into(),
        Field::UByte(n) => (*n).into(),
        Field::UShort(n) => (*n).into(),
        Field::UInt(n) => (*n).into(),
        Field::ULong(n) => (*n).into(),
        Field::Float(x) => f64::from(*x).into(),
        Field::Double(x) => (*x).into(),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned().into(),
        Field::Group(row) => object(row),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TranscriptKind;
    use crate::interchange::{pair_from_json, transcript_from_json};

    #[test]
    fn pairs_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pairs.parquet");
        let pairs: Vec<_> = (0..25)
            .map(|i| {
                PreferencePair::new(format!("Q{i} ü"), format!("Oh {i}."), format!("Yes {i}."))
            })
            .collect();
        write_pairs_parquet(&path, &pairs).unwrap();
        let mut back = Vec::new();
        read_parquet(&path, |_, record| {
            back.push(pair_from_json(&record).unwrap());
            Ok(true)
        })
        .unwrap();
        assert_eq!(back, pairs);
    }

    #[test]
    fn conversations_of_any_length_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        let transcript = |n: usize| Transcript {
            id: format!("t{n}"),
            kind: TranscriptKind::Reflection,
            messages: (0..n)
                .flat_map(|i| [Message::user(format!("{i}")), Message::assistant("a")])
                .collect(),
            trainable: vec![],
        };
        let own: Vec<_> = (1..4).map(transcript).collect();
        write_transcripts_parquet(&path, &own).unwrap();
        let mut lengths = Vec::new();
        read_parquet(&path, |_, record| {
            lengths.push(transcript_from_json(&record, "x").unwrap().messages.len());
            Ok(true)
        })
        .unwrap();
        assert_eq!(lengths, [2, 4, 6]);
    }

    #[test]
    fn what_is_no_parquet_is_an_error_with_the_files_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, b"PAR1 not really PAR1").unwrap();
        let error = read_parquet(&path, |_, _| Ok(true)).unwrap_err().to_string();
        assert!(error.contains("x.parquet") && error.contains("not valid Parquet"), "{error}");
    }
}

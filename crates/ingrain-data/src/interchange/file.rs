//! Whole files of pairs or transcripts, in any of the formats.

use std::path::Path;

use ingrain_run::write_jsonl;
use serde_json::Value;

use super::{PairFormat, TranscriptFormat};
use super::{pair_from_json, pair_to_json, transcript_from_json, transcript_to_json};
use crate::first_turns::for_each_record;
use crate::{DataError, PreferencePair, Transcript};

/// Writes JSON lines, in one step.
///
/// # Errors
/// [`DataError::Run`].
pub fn write_pairs(
    path: impl AsRef<Path>,
    pairs: &[PreferencePair],
    format: PairFormat,
) -> Result<(), DataError> {
    let records: Vec<Value> = pairs.iter().map(|pair| pair_to_json(pair, format)).collect();
    Ok(write_jsonl(path, &records)?)
}

/// Reads JSON lines or a JSON array of pairs in any [`PairFormat`].
///
/// # Errors
/// [`DataError::Format`] naming file, record and what is wrong, or [`DataError::Run`].
pub fn read_pairs(path: impl AsRef<Path>) -> Result<Vec<PreferencePair>, DataError> {
    read(path.as_ref(), numbered_pair)
}

/// Like [`read_pairs`], handing on one pair at a time.
///
/// # Errors
/// As [`read_pairs`], and what `take` returns.
pub fn scan_pairs(
    path: impl AsRef<Path>,
    take: impl FnMut(PreferencePair) -> Result<(), DataError>,
) -> Result<(), DataError> {
    scan(path.as_ref(), numbered_pair, take)
}

fn numbered_pair(_: usize, record: &Value) -> Result<PreferencePair, String> {
    pair_from_json(record)
}

/// Writes JSON lines, in one step.
///
/// # Errors
/// [`DataError::Run`].
pub fn write_transcripts(
    path: impl AsRef<Path>,
    transcripts: &[Transcript],
    format: TranscriptFormat,
) -> Result<(), DataError> {
    let records: Vec<Value> = transcripts.iter().map(|t| transcript_to_json(t, format)).collect();
    Ok(write_jsonl(path, &records)?)
}

/// Reads JSON lines or a JSON array of conversations in any [`TranscriptFormat`]; also the
/// `sft_data/*.jsonl` of the reference implementation. Records without an id are numbered.
///
/// # Errors
/// As [`read_pairs`].
pub fn read_transcripts(path: impl AsRef<Path>) -> Result<Vec<Transcript>, DataError> {
    read(path.as_ref(), numbered_transcript)
}

/// Like [`read_transcripts`], handing on one conversation at a time.
///
/// # Errors
/// As [`read_pairs`], and what `take` returns.
pub fn scan_transcripts(
    path: impl AsRef<Path>,
    take: impl FnMut(Transcript) -> Result<(), DataError>,
) -> Result<(), DataError> {
    scan(path.as_ref(), numbered_transcript, take)
}

fn numbered_transcript(index: usize, record: &Value) -> Result<Transcript, String> {
    transcript_from_json(record, &format!("t{index:05}"))
}

pub(super) fn read<T>(
    path: &Path,
    parse: impl Fn(usize, &Value) -> Result<T, String>,
) -> Result<Vec<T>, DataError> {
    let mut records = Vec::new();
    scan(path, parse, |record| {
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}

fn scan<T>(
    path: &Path,
    parse: impl Fn(usize, &Value) -> Result<T, String>,
    mut take: impl FnMut(T) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut count = 0;
    for_each_record(path, false, |line, record| {
        let format = |reason| DataError::Format { path: path.to_path_buf(), line, reason };
        take(parse(count, &record).map_err(format)?)?;
        count += 1;
        Ok(true)
    })
}

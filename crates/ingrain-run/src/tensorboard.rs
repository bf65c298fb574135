//! TensorBoard event files, written by hand: two formats of a few lines each.
//!
//! A file is a sequence of TFRecords (length, checksum, payload, checksum); a payload is an `Event`
//! message in protocol-buffer encoding. Only the fields that scalars need are written. `wandb sync`
//! reads the same files.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Event, Observer, RunError};

/// Writes the metrics of every training step as scalars, `stage/metric`.
///
/// Each process of a run writes a file of its own into `dir`. Where a run resumes from before steps that
/// an earlier process had written, TensorBoard drops those.
///
/// # Examples
/// ```
/// use ingrain_run::{Event, Observer, TensorBoard};
///
/// let dir = tempfile::tempdir()?;
/// let board = TensorBoard::create(dir.path())?;
/// board.on_event(&Event::Step {
///     stage: "distillation".into(),
///     step: 1,
///     total: 10,
///     metrics: [("loss".to_owned(), 0.69)].into(),
/// });
/// assert!(board.failure().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: BufWriter<File>,
    /// Stages that have had a step in this process.
    started: Vec<String>,
    failure: Option<String>,
}

impl TensorBoard {
    /// Creates `dir` and a file in it.
    ///
    /// # Errors
    /// [`RunError`] if either cannot be created.
    pub fn create(dir: &Path) -> Result<Self, RunError> {
        fs::create_dir_all(dir).map_err(|e| RunError::io(dir, "create", e))?;
        let now = seconds();
        let name = format!("events.out.tfevents.{}.{}.ingrain", now as u64, std::process::id());
        let path = dir.join(name);
        let file = File::options().create(true).append(true).open(&path);
        let mut file = BufWriter::new(file.map_err(|e| RunError::io(&path, "create", e))?);
        let version = message(&[Field::Double(1, now), Field::Bytes(3, b"brain.Event:2")]);
        let written = write_record(&mut file, &version).and_then(|()| file.flush());
        written.map_err(|e| RunError::io(&path, "write", e))?;
        let state = State { file, started: Vec::new(), failure: None };
        Ok(Self { path, state: Mutex::new(state) })
    }

    /// Why nothing more is written, if that is so: an observer cannot return errors.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failure.clone()
    }
}

impl Observer for TensorBoard {
    fn on_event(&self, event: &Event) {
        let Event::Step { stage, step, metrics, .. } = event else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failure.is_some() {
            return;
        }
        let mut records = Vec::new();
        if !state.started.contains(stage) {
            if state.started.is_empty() {
                records.push(restart(*step));
            }
            state.started.push(stage.clone());
        }
        let values: Vec<Vec<u8>> = metrics
            .iter()
            .map(|(name, value)| scalar(&format!("{stage}/{name}"), *value as f32))
            .collect();
        let fields: Vec<Field<'_>> = values.iter().map(|value| Field::Bytes(1, value)).collect();
        records.push(message(&[
            Field::Double(1, seconds()),
            Field::Varint(2, *step),
            Field::Bytes(5, &message(&fields)),
        ]));
        let file = &mut state.file;
        let written = records.iter().try_for_each(|record| write_record(file, record));
        if let Err(error) = written.and_then(|()| file.flush()) {
            state.failure = Some(format!("{}: {error}", self.path.display()));
        }
    }
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// `Summary.Value` with a tag and a simple value.
fn scalar(tag: &str, value: f32) -> Vec<u8> {
    message(&[Field::Bytes(1, tag.as_bytes()), Field::Float(2, value)])
}

/// An event whose `SessionLog` says that the session starts: steps from here on that are already there
/// are dropped.
fn restart(step: u64) -> Vec<u8> {
    const START: u64 = 1;
    let log = message(&[Field::Varint(1, START)]);
    message(&[Field::Double(1, seconds()), Field::Varint(2, step), Field::Bytes(7, &log)])
}

/// One field of a protocol-buffer message, with its number.
enum Field<'a> {
    Varint(u8, u64),
    Double(u8, f64),
    Bytes(u8, &'a [u8]),
    Float(u8, f32),
}

/// Source: the protocol-buffer encoding guide; wire types 0, 1, 2 and 5.
fn message(fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        match *field {
            Field::Varint(number, value) => {
                bytes.push(number << 3);
                varint(&mut bytes, value);
            }
            Field::Double(number, value) => {
                bytes.push(number << 3 | 1);
                bytes.extend(value.to_le_bytes());
            }
            Field::Bytes(number, value) => {
                bytes.push(number << 3 | 2);
                varint(&mut bytes, value.len() as u64);
                bytes.extend(value);
            }
            Field::Float(number, value) => {
                bytes.push(number << 3 | 5);
                bytes.extend(value.to_le_bytes());
            }
        }
    }
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Source: TensorFlow, `core/lib/io/record_writer.h`.
fn write_record(file: &mut impl Write, payload: &[u8]) -> std::io::Result<()> {
    let length = (payload.len() as u64).to_le_bytes();
    file.write_all(&length)?;
    file.write_all(&masked_crc(&length).to_le_bytes())?;
    file.write_all(payload)?;
    file.write_all(&masked_crc(payload).to_le_bytes())
}

/// CRC-32C, rotated and shifted so that the checksum of data that holds checksums stays sound.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C (Castagnoli), bit by bit: records are a few hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4: 32 bytes of zeros, 32 of ones, and 0 to 31.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46DD_794E);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn a_scalar_has_the_bytes_of_the_encoding_guide() {
        // tag (1, bytes) "a", simple_value (2, fixed 32) 1.0
        assert_eq!(scalar("a", 1.0), [0x0A, 1, b'a', 0x15, 0, 0, 0x80, 0x3F]);
        let mut bytes = Vec::new();
        varint(&mut bytes, 300);
        assert_eq!(bytes, [0xAC, 0x02]);
    }

    #[test]
    fn records_carry_their_length_and_two_checksums() {
        let mut file = Vec::new();
        write_record(&mut file, b"abc").expect("memory");
        assert_eq!(file.len(), 8 + 4 + 3 + 4);
        assert_eq!(file[..8], [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(file[8..12], masked_crc(&file[..8]).to_le_bytes());
        assert_eq!(file[15..], masked_crc(b"abc").to_le_bytes());
    }

    #[test]
    fn a_disk_that_fails_is_reported_and_stops_nothing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("file"), "").expect("writable");
        let error = TensorBoard::create(&dir.path().join("file")).expect_err("no directory");
        assert!(error.to_string().contains("file"), "{error}");
    }
}

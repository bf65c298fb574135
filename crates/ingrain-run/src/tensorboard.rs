//! TensorBoard event files, written by hand: two formats of a few lines each.
//!
//! A file is a sequence of TFRecords (length, checksum, payload, checksum); a payload is an `Event`
//! message in protocol-buffer encoding. Only the fields that scalars need are written. `wandb sync`
//! reads the same files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Event, Observer, RunError};

/// Writes the metrics of every training step as scalars, each stage in a folder of its own, which
/// TensorBoard shows as a run.
///
/// Each process writes files of its own. Where a stage resumes from before steps that an earlier process
/// had written, TensorBoard drops those.
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
/// assert_eq!(std::fs::read_dir(dir.path().join("distillation"))?.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By stage.
    files: BTreeMap<String, BufWriter<File>>,
    failure: Option<String>,
}

impl TensorBoard {
    /// Creates `dir`.
    ///
    /// # Errors
    /// [`RunError`] if it cannot be created.
    pub fn create(dir: &Path) -> Result<Self, RunError> {
        fs::create_dir_all(dir).map_err(|e| RunError::io(dir, "create", e))?;
        Ok(Self { dir: dir.to_owned(), state: Mutex::default() })
    }

    /// Why nothing more is written, if that is so: an observer cannot return errors.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failure.clone()
    }

    /// Appends a step to its stage's file; the first one of this process opens it.
    fn write(
        &self,
        files: &mut BTreeMap<String, BufWriter<File>>,
        stage: &str,
        step: u64,
        metrics: &BTreeMap<String, f64>,
    ) -> Result<(), RunError> {
        let folder = self.dir.join(stage);
        let io = |action| {
            let folder = folder.clone();
            move |error| RunError::io(folder, action, error)
        };
        if !files.contains_key(stage) {
            fs::create_dir_all(&folder).map_err(io("create"))?;
            let now = seconds() as u64;
            let name = format!("events.out.tfevents.{now}.{}.ingrain", std::process::id());
            let file = File::options().create(true).append(true).open(folder.join(name));
            let mut file = BufWriter::new(file.map_err(io("create a file in"))?);
            for record in [version(), restart(step)] {
                write_record(&mut file, &record).map_err(io("write into"))?;
            }
            files.insert(stage.to_owned(), file);
        }
        let Some(file) = files.get_mut(stage) else { return Ok(()) };
        write_record(file, &scalars(step, metrics)).map_err(io("write into"))?;
        file.flush().map_err(io("write into"))
    }
}

impl Observer for TensorBoard {
    fn on_event(&self, event: &Event) {
        let Event::Step { stage, step, metrics, .. } = event else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failure.is_none()
            && let Err(error) = self.write(&mut state.files, stage, *step, metrics)
        {
            state.failure = Some(error.to_string());
        }
    }
}

/// The event that every file begins with.
fn version() -> Vec<u8> {
    message(&[Field::Double(1, seconds()), Field::Bytes(3, b"brain.Event:2")])
}

/// An event with a summary of several scalars.
fn scalars(step: u64, metrics: &BTreeMap<String, f64>) -> Vec<u8> {
    let values: Vec<Vec<u8>> =
        metrics.iter().map(|(name, value)| scalar(name, *value as f32)).collect();
    let fields: Vec<Field<'_>> = values.iter().map(|value| Field::Bytes(1, value)).collect();
    let summary = message(&fields);
    message(&[Field::Double(1, seconds()), Field::Varint(2, step), Field::Bytes(5, &summary)])
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
        let in_the_way = dir.path().join("file");
        fs::write(&in_the_way, "").expect("writable");
        let error = TensorBoard::create(&in_the_way).expect_err("no directory");
        assert!(error.to_string().contains("file"), "{error}");
        let board = TensorBoard::create(dir.path()).expect("a directory");
        let metrics = BTreeMap::from([("loss".to_owned(), 1.0)]);
        let event = Event::Step { stage: "file".into(), step: 1, total: 2, metrics };
        board.on_event(&event);
        board.on_event(&event);
        assert!(board.failure().expect("a file is in the way").contains("file"));
    }
}

//! The header as a whole: version, counts, metadata, tensors, and that they agree with the file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::reader::Reader;
use crate::tensor::Listed;
use crate::{GgufError, TensorInfo, Value};

/// The longest metadata key that the format allows.
const MAX_KEY: u64 = 65_535;
/// Where data starts when `general.alignment` is absent.
const DEFAULT_ALIGNMENT: u32 = 32;
/// No writer is known to align to more than a page.
const MAX_ALIGNMENT: u32 = 1 << 20;

/// Everything before the data section.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) tensors: Vec<TensorInfo>,
    pub(crate) by_name: HashMap<String, usize>,
}

impl Header {
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Self, GgufError> {
        let version = check_magic(path, bytes)?;
        let mut r = Reader::new(path, bytes);
        r.take("magic and version", 8)?;
        let tensor_count = r.u64("tensor count")?;
        let key_count = r.u64("metadata count")?;
        // A key takes its length, its type and a value of one byte; a tensor its name's length, the
        // number of dimensions, the type and the offset.
        let key_count = r.count("metadata count", key_count, 8 + 4 + 1)?;
        let tensor_count = r.count("tensor count", tensor_count, 8 + 4 + 4 + 8)?;

        let metadata = read_metadata(&mut r, key_count)?;
        let alignment = alignment(&r, &metadata)?;
        let mut listed = Vec::with_capacity(tensor_count.min(4096));
        for index in 0..tensor_count {
            listed.push(Listed::read(&mut r, index)?);
        }
        let data = if tensor_count == 0 { 0 } else { r.position().next_multiple_of(alignment) };
        let mut tensors = Vec::with_capacity(listed.len());
        let mut by_name = HashMap::with_capacity(listed.len());
        for (index, entry) in listed.into_iter().enumerate() {
            let tensor = entry.place(data, bytes.len(), alignment).map_err(|misplaced| {
                GgufError::Malformed {
                    path: path.to_path_buf(),
                    field: misplaced.field,
                    offset: misplaced.entry,
                    problem: misplaced.problem,
                }
            })?;
            if by_name.insert(tensor.name.clone(), index).is_some() {
                return Err(r.malformed(&format!("tensor {:?}", tensor.name), "is listed twice"));
            }
            tensors.push(tensor);
        }
        check_overlap(&r, &tensors)?;
        Ok(Self { version, metadata, tensors, by_name })
    }
}

fn check_magic(path: &Path, bytes: &[u8]) -> Result<u32, GgufError> {
    let refuse = |problem: String| Err(GgufError::NotGguf { path: path.to_path_buf(), problem });
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return refuse(format!("it is only {} bytes long", bytes.len()));
    };
    if magic != b"GGUF" {
        return refuse(format!("it starts with \"{}\" instead of \"GGUF\"", magic.escape_ascii()));
    }
    match rest.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)) {
        Some(version @ (2 | 3)) => Ok(version),
        Some(version) if version & 0xFFFF == 0 && version != 0 => {
            refuse("it is big-endian; convert it on a little-endian machine".to_owned())
        }
        Some(version) => refuse(format!("version {version}; this reads versions 2 and 3")),
        None => refuse("it ends before the version".to_owned()),
    }
}

fn read_metadata(r: &mut Reader<'_>, count: usize) -> Result<BTreeMap<String, Value>, GgufError> {
    let mut metadata = BTreeMap::new();
    for index in 0..count {
        let key = r.string(&format!("metadata key {index}"), MAX_KEY)?.to_owned();
        if metadata.contains_key(&key) {
            return Err(r.malformed(&format!("metadata key {key:?}"), "is listed twice"));
        }
        let field = format!("metadata key {key:?}");
        let kind = r.u32(&field)?;
        let value = Value::read(r, &field, kind)?;
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn alignment(r: &Reader<'_>, metadata: &BTreeMap<String, Value>) -> Result<usize, GgufError> {
    const KEY: &str = "general.alignment";
    let alignment = match metadata.get(KEY) {
        None => DEFAULT_ALIGNMENT,
        Some(Value::U32(v)) => *v,
        Some(other) => {
            return Err(r.malformed(KEY, format!("holds {}, expected a u32", other.describe())));
        }
    };
    if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
        return Err(r.malformed(
            KEY,
            format!("{alignment} is no power of two between 1 and {MAX_ALIGNMENT}"),
        ));
    }
    Ok(alignment as usize)
}

fn check_overlap(r: &Reader<'_>, tensors: &[TensorInfo]) -> Result<(), GgufError> {
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.range.start);
    for pair in order.windows(2) {
        if pair[1].range.start < pair[0].range.end {
            return Err(r.malformed(
                &format!("tensor {:?}", pair[1].name),
                format!("lies over tensor {:?}", pair[0].name),
            ));
        }
    }
    Ok(())
}

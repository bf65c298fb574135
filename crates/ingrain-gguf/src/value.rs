//! Metadata values, and how they become Rust types.

use crate::GgufError;
use crate::reader::Reader;

/// Arrays inside arrays: the format allows any depth, no writer uses more than one.
const MAX_NESTING: usize = 4;

/// One metadata value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Unsigned 8-bit integer.
    U8(u8),
    /// Signed 8-bit integer.
    I8(i8),
    /// Unsigned 16-bit integer.
    U16(u16),
    /// Signed 16-bit integer.
    I16(i16),
    /// Unsigned 32-bit integer.
    U32(u32),
    /// Signed 32-bit integer.
    I32(i32),
    /// Unsigned 64-bit integer.
    U64(u64),
    /// Signed 64-bit integer.
    I64(i64),
    /// 32-bit float.
    F32(f32),
    /// 64-bit float.
    F64(f64),
    /// Truth value.
    Bool(bool),
    /// Text.
    String(String),
    /// Several values of one type.
    Array(Array),
}

/// Several metadata values of one type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Array {
    /// Unsigned 8-bit integers.
    U8(Vec<u8>),
    /// Signed 8-bit integers.
    I8(Vec<i8>),
    /// Unsigned 16-bit integers.
    U16(Vec<u16>),
    /// Signed 16-bit integers.
    I16(Vec<i16>),
    /// Unsigned 32-bit integers.
    U32(Vec<u32>),
    /// Signed 32-bit integers.
    I32(Vec<i32>),
    /// Unsigned 64-bit integers.
    U64(Vec<u64>),
    /// Signed 64-bit integers.
    I64(Vec<i64>),
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Texts.
    String(Vec<String>),
    /// Arrays.
    Array(Vec<Array>),
}

macro_rules! numbers {
    ($reader:expr, $field:expr, $len:expr, $type:ty) => {{
        const SIZE: usize = size_of::<$type>();
        let len = $reader.count($field, $len, SIZE as u64)?;
        let bytes = $reader.take($field, (len * SIZE) as u64)?;
        bytes.as_chunks::<SIZE>().0.iter().map(|b| <$type>::from_le_bytes(*b)).collect()
    }};
}

impl Value {
    /// Reads a value of the type with number `kind`.
    pub(crate) fn read(r: &mut Reader<'_>, field: &str, kind: u32) -> Result<Self, GgufError> {
        Ok(match kind {
            0 => Self::U8(u8::from_le_bytes(r.fixed(field)?)),
            1 => Self::I8(i8::from_le_bytes(r.fixed(field)?)),
            2 => Self::U16(u16::from_le_bytes(r.fixed(field)?)),
            3 => Self::I16(i16::from_le_bytes(r.fixed(field)?)),
            4 => Self::U32(u32::from_le_bytes(r.fixed(field)?)),
            5 => Self::I32(i32::from_le_bytes(r.fixed(field)?)),
            6 => Self::F32(f32::from_le_bytes(r.fixed(field)?)),
            7 => Self::Bool(read_bool(r, field)?),
            8 => Self::String(r.string(field, u64::MAX)?.to_owned()),
            9 => Self::Array(Array::read(r, field, 1)?),
            10 => Self::U64(u64::from_le_bytes(r.fixed(field)?)),
            11 => Self::I64(i64::from_le_bytes(r.fixed(field)?)),
            12 => Self::F64(f64::from_le_bytes(r.fixed(field)?)),
            _ => return Err(r.malformed(field, format!("unknown value type {kind}"))),
        })
    }

    /// What the value is, in words, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::U8(v) => format!("the u8 {v}"),
            Self::I8(v) => format!("the i8 {v}"),
            Self::U16(v) => format!("the u16 {v}"),
            Self::I16(v) => format!("the i16 {v}"),
            Self::U32(v) => format!("the u32 {v}"),
            Self::I32(v) => format!("the i32 {v}"),
            Self::U64(v) => format!("the u64 {v}"),
            Self::I64(v) => format!("the i64 {v}"),
            Self::F32(v) => format!("the f32 {v}"),
            Self::F64(v) => format!("the f64 {v}"),
            Self::Bool(v) => format!("the bool {v}"),
            Self::String(_) => "a string".to_owned(),
            Self::Array(array) => array.describe(),
        }
    }

    /// Any integer type, widened.
    fn integer(&self) -> Option<i128> {
        Some(match self {
            Self::U8(v) => i128::from(*v),
            Self::I8(v) => i128::from(*v),
            Self::U16(v) => i128::from(*v),
            Self::I16(v) => i128::from(*v),
            Self::U32(v) => i128::from(*v),
            Self::I32(v) => i128::from(*v),
            Self::U64(v) => i128::from(*v),
            Self::I64(v) => i128::from(*v),
            _ => return None,
        })
    }
}

impl Array {
    fn read(r: &mut Reader<'_>, field: &str, depth: usize) -> Result<Self, GgufError> {
        let kind = r.u32(field)?;
        let len = r.u64(field)?;
        Ok(match kind {
            0 => Self::U8(numbers!(r, field, len, u8)),
            1 => Self::I8(numbers!(r, field, len, i8)),
            2 => Self::U16(numbers!(r, field, len, u16)),
            3 => Self::I16(numbers!(r, field, len, i16)),
            4 => Self::U32(numbers!(r, field, len, u32)),
            5 => Self::I32(numbers!(r, field, len, i32)),
            6 => Self::F32(numbers!(r, field, len, f32)),
            7 => {
                let len = r.count(field, len, 1)?;
                Self::Bool((0..len).map(|_| read_bool(r, field)).collect::<Result<_, _>>()?)
            }
            8 => {
                let len = r.count(field, len, 8)?;
                let mut items = Vec::with_capacity(len);
                for _ in 0..len {
                    items.push(r.string(field, u64::MAX)?.to_owned());
                }
                Self::String(items)
            }
            9 if depth >= MAX_NESTING => {
                return Err(r.malformed(field, format!("arrays nested deeper than {MAX_NESTING}")));
            }
            9 => {
                let len = r.count(field, len, 12)?;
                let mut items = Vec::with_capacity(len);
                for _ in 0..len {
                    items.push(Self::read(r, field, depth + 1)?);
                }
                Self::Array(items)
            }
            10 => Self::U64(numbers!(r, field, len, u64)),
            11 => Self::I64(numbers!(r, field, len, i64)),
            12 => Self::F64(numbers!(r, field, len, f64)),
            _ => return Err(r.malformed(field, format!("unknown array element type {kind}"))),
        })
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.element_and_len().1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn describe(&self) -> String {
        let (element, len) = self.element_and_len();
        format!("an array of {len} {element}")
    }

    fn element_and_len(&self) -> (&'static str, usize) {
        match self {
            Self::U8(v) => ("u8", v.len()),
            Self::I8(v) => ("i8", v.len()),
            Self::U16(v) => ("u16", v.len()),
            Self::I16(v) => ("i16", v.len()),
            Self::U32(v) => ("u32", v.len()),
            Self::I32(v) => ("i32", v.len()),
            Self::U64(v) => ("u64", v.len()),
            Self::I64(v) => ("i64", v.len()),
            Self::F32(v) => ("f32", v.len()),
            Self::F64(v) => ("f64", v.len()),
            Self::Bool(v) => ("bool", v.len()),
            Self::String(v) => ("string", v.len()),
            Self::Array(v) => ("array", v.len()),
        }
    }
}

fn read_bool(r: &mut Reader<'_>, field: &str) -> Result<bool, GgufError> {
    match r.fixed::<1>(field)? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(r.malformed(field, format!("{other} is not a truth value"))),
    }
}

/// A Rust type that a metadata value can be read as, for [`GgufFile::get`](crate::GgufFile::get).
///
/// Integers convert between widths as long as the value fits: writers disagree about `u32` and
/// `u64`. Nothing converts between integers, floats, truth values and text.
pub trait FromValue<'a>: Sized {
    /// The type in words, for messages.
    const EXPECTED: &'static str;

    /// The value as this type, or `None`.
    fn from_value(value: &'a Value) -> Option<Self>;
}

macro_rules! from_integer {
    ($($type:ty, $expected:literal;)*) => {$(
        impl FromValue<'_> for $type {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: &Value) -> Option<Self> {
                value.integer().and_then(|v| v.try_into().ok())
            }
        }
    )*};
}

from_integer! {
    u32, "an integer of 32 bits, not negative";
    i32, "an integer of 32 bits";
    u64, "an integer of 64 bits, not negative";
    i64, "an integer of 64 bits";
    usize, "an integer, not negative";
}

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a float";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::F32(v) => Some(*v),
            Value::F64(v) => Some(*v as Self),
            _ => None,
        }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "a truth value";
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bool(v) = value { Some(*v) } else { None }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "a string";
    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::String(v) = value { Some(v) } else { None }
    }
}

impl<'a> FromValue<'a> for &'a [String] {
    const EXPECTED: &'static str = "an array of strings";
    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::Array(Array::String(v)) = value { Some(v) } else { None }
    }
}

impl<'a> FromValue<'a> for &'a [f32] {
    const EXPECTED: &'static str = "an array of f32";
    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::Array(Array::F32(v)) = value { Some(v) } else { None }
    }
}

impl FromValue<'_> for Vec<i64> {
    const EXPECTED: &'static str = "an array of integers";
    fn from_value(value: &Value) -> Option<Self> {
        let Value::Array(array) = value else { return None };
        Some(match array {
            Array::U8(v) => v.iter().copied().map(i64::from).collect(),
            Array::I8(v) => v.iter().copied().map(i64::from).collect(),
            Array::U16(v) => v.iter().copied().map(i64::from).collect(),
            Array::I16(v) => v.iter().copied().map(i64::from).collect(),
            Array::U32(v) => v.iter().copied().map(i64::from).collect(),
            Array::I32(v) => v.iter().copied().map(i64::from).collect(),
            Array::U64(v) => v.iter().map(|&x| i64::try_from(x).ok()).collect::<Option<_>>()?,
            Array::I64(v) => v.clone(),
            _ => return None,
        })
    }
}

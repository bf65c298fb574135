//! What the header says about one tensor, checked against the file.

use std::ops::Range;

use crate::reader::Reader;
use crate::{GgmlType, GgufError};

/// The most dimensions a GGML tensor can have.
const MAX_DIMS: u32 = 4;
/// The longest tensor name accepted; llama.cpp stops at 64 bytes.
const MAX_NAME: u64 = 1024;

/// Name, shape and place of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: GgmlType,
    pub(crate) elements: usize,
    /// In the file, from its first byte.
    pub(crate) range: Range<usize>,
}

impl TensorInfo {
    /// The name in the file: `blk.0.attn_q.weight`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape in row-major order, the last dimension contiguous: a linear layer is
    /// `[out_features, in_features]`. (The file lists dimensions the other way round.)
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How the elements are stored.
    #[must_use]
    pub fn dtype(&self) -> GgmlType {
        self.dtype
    }

    /// Number of elements: the product of the shape.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Size in the file, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.range.len()
    }

    /// Where the tensor lies in the file, in bytes.
    #[must_use]
    pub fn byte_range(&self) -> Range<usize> {
        self.range.clone()
    }
}

/// A tensor as the header lists it; its offset still counts from the start of the data section.
pub(crate) struct Listed {
    name: String,
    shape: Vec<usize>,
    dtype: GgmlType,
    elements: usize,
    bytes: usize,
    offset: u64,
    /// Where the entry stands in the header, for messages.
    entry: usize,
}

impl Listed {
    pub(crate) fn read(r: &mut Reader<'_>, index: usize) -> Result<Self, GgufError> {
        let entry = r.position();
        let name = r.string(&format!("name of tensor {index}"), MAX_NAME)?.to_owned();
        let field = format!("tensor {name:?}");
        let dims = r.u32(&format!("{field}, number of dimensions"))?;
        if dims > MAX_DIMS {
            return Err(r.malformed(&field, format!("has {dims} dimensions, at most {MAX_DIMS}")));
        }
        let mut shape = Vec::with_capacity(dims as usize);
        for axis in 0..dims {
            let dim = r.u64(&format!("{field}, dimension {axis}"))?;
            match usize::try_from(dim) {
                Ok(dim) if dim > 0 => shape.push(dim),
                _ => return Err(r.malformed(&field, format!("dimension {axis} is {dim}"))),
            }
        }
        shape.reverse();
        let id = r.u32(&format!("{field}, type"))?;
        let Some(dtype) = GgmlType::from_id(id) else {
            return Err(r.malformed(&field, format!("unknown type number {id}")));
        };
        let row = shape.last().copied().unwrap_or(1);
        if row % dtype.block_len() != 0 {
            let block = dtype.block_len();
            return Err(r.malformed(
                &field,
                format!("rows of {row} elements are no multiple of {dtype}'s block of {block}"),
            ));
        }
        let sizes =
            shape.iter().try_fold(1_usize, |all, &dim| all.checked_mul(dim)).and_then(|elements| {
                let bytes = (elements / dtype.block_len()).checked_mul(dtype.block_bytes())?;
                // Room for the elements as f32 as well.
                elements.checked_mul(4)?;
                Some((elements, bytes))
            });
        let Some((elements, bytes)) = sizes else {
            return Err(r.malformed(&field, format!("shape {shape:?} overflows")));
        };
        let offset = r.u64(&format!("{field}, offset"))?;
        Ok(Self { name, shape, dtype, elements, bytes, offset, entry })
    }

    /// Places the tensor in the file whose data section starts at `data` and which is `len` long.
    pub(crate) fn place(
        self,
        data: usize,
        len: usize,
        alignment: usize,
    ) -> Result<TensorInfo, Misplaced> {
        let field = format!("tensor {:?}", self.name);
        if !self.offset.is_multiple_of(alignment as u64) {
            let problem = format!("offset {} is no multiple of {alignment}", self.offset);
            return Err(Misplaced { field, entry: self.entry, problem });
        }
        let range = usize::try_from(self.offset).ok().and_then(|offset| {
            let start = data.checked_add(offset)?;
            let end = start.checked_add(self.bytes)?;
            (end <= len).then_some(start..end)
        });
        let Some(range) = range else {
            let problem = format!(
                "needs {} bytes at offset {} of the data, which starts at byte {data} of {len}",
                self.bytes, self.offset
            );
            return Err(Misplaced { field, entry: self.entry, problem });
        };
        let Self { name, shape, dtype, elements, .. } = self;
        Ok(TensorInfo { name, shape, dtype, elements, range })
    }
}

/// A tensor that does not fit into its file.
pub(crate) struct Misplaced {
    pub(crate) field: String,
    pub(crate) entry: usize,
    pub(crate) problem: String,
}

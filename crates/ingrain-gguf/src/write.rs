//! Writing small GGUF files: f32 tensors and plain metadata.

/// Tensor data begins at multiples of this, the format's default.
const ALIGNMENT: usize = 32;

/// A GGUF file under construction, version 3.
///
/// # Examples
/// ```
/// use ingrain_gguf::{GgufFile, GgufWriter};
///
/// let writer = GgufWriter::new().text("general.architecture", "controlvector").f32("x", 0.5);
/// let file = GgufFile::from_bytes(writer.tensor("a", &[2], &[1.0, 2.0]).finish())?;
/// assert_eq!(file.dequantize("a")?, [1.0, 2.0]);
/// assert_eq!(file.require::<f32>("x")?, 0.5);
/// # Ok::<(), ingrain_gguf::GgufError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct GgufWriter {
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: Vec<u8>,
}

impl GgufWriter {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a metadata text.
    #[must_use]
    pub fn text(mut self, key: &str, value: &str) -> Self {
        push_text(&mut self.keys, key);
        self.keys.extend(8_u32.to_le_bytes());
        push_text(&mut self.keys, value);
        self.key_count += 1;
        self
    }

    /// Adds a whole metadata number.
    #[must_use]
    pub fn u32(mut self, key: &str, value: u32) -> Self {
        push_text(&mut self.keys, key);
        self.keys.extend(4_u32.to_le_bytes());
        self.keys.extend(value.to_le_bytes());
        self.key_count += 1;
        self
    }

    /// Adds a metadata number.
    #[must_use]
    pub fn f32(mut self, key: &str, value: f32) -> Self {
        push_text(&mut self.keys, key);
        self.keys.extend(6_u32.to_le_bytes());
        self.keys.extend(value.to_le_bytes());
        self.key_count += 1;
        self
    }

    /// Adds a row-major f32 tensor.
    ///
    /// # Panics
    /// If `values` are not as many as `shape` says.
    #[must_use]
    pub fn tensor(mut self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "the shape holds the values");
        push_text(&mut self.tensors, name);
        self.tensors.extend((shape.len() as u32).to_le_bytes());
        // The format lists the contiguous dimension first.
        for &dim in shape.iter().rev() {
            self.tensors.extend((dim as u64).to_le_bytes());
        }
        self.tensors.extend(0_u32.to_le_bytes());
        self.data.resize(self.data.len().next_multiple_of(ALIGNMENT), 0);
        self.tensors.extend((self.data.len() as u64).to_le_bytes());
        self.data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self.tensor_count += 1;
        self
    }

    /// The whole file.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.key_count.to_le_bytes());
        bytes.extend(self.keys);
        bytes.extend(self.tensors);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend(self.data);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

//! Writes small GGUF files in memory.

/// A file under construction: metadata and tensors as they will be listed.
#[derive(Default)]
pub(crate) struct Writer {
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

impl Writer {
    /// Adds a metadata key; `value` is its bytes after the type's number.
    pub(crate) fn key(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.keys.extend(string(key));
        self.keys.extend(kind.to_le_bytes());
        self.keys.extend(value);
        self.key_count += 1;
        self
    }

    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.key(key, 8, &string(value))
    }

    pub(crate) fn u32(self, key: &str, value: u32) -> Self {
        self.key(key, 4, &value.to_le_bytes())
    }

    /// Adds a tensor with its dimensions in the file's order (the contiguous one first).
    pub(crate) fn tensor(mut self, name: &str, dims: &[u64], kind: u32, data: Vec<u8>) -> Self {
        self.tensors.push((name.to_owned(), dims.to_vec(), kind, data));
        self
    }

    /// The whole file, tensors one behind the other at multiples of 32 bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut offset = 0;
        let offsets: Vec<u64> = self
            .tensors
            .iter()
            .map(|(_, _, _, data)| {
                let here = offset;
                offset = (offset + data.len() as u64).next_multiple_of(32);
                here
            })
            .collect();
        self.finish_at(&offsets)
    }

    /// The whole file with the given offsets in its header, whatever they are.
    pub(crate) fn finish_at(self, offsets: &[u64]) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend(self.key_count.to_le_bytes());
        out.extend(&self.keys);
        for ((name, dims, kind, _), offset) in self.tensors.iter().zip(offsets) {
            out.extend(string(name));
            out.extend((dims.len() as u32).to_le_bytes());
            for dim in dims {
                out.extend(dim.to_le_bytes());
            }
            out.extend(kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(32), 0);
        for (_, _, _, data) in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(data);
        }
        out
    }
}

/// A length and the text.
pub(crate) fn string(text: &str) -> Vec<u8> {
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text.as_bytes());
    out
}

/// An array: element type, length, elements.
pub(crate) fn array(kind: u32, len: u64, elements: &[u8]) -> Vec<u8> {
    let mut out = kind.to_le_bytes().to_vec();
    out.extend(len.to_le_bytes());
    out.extend(elements);
    out
}

/// A small, valid file with most kinds of metadata and four tensors.
pub(crate) fn valid() -> Writer {
    let tokens: Vec<u8> = ["<s>", "hello", "wörld"].iter().flat_map(|t| string(t)).collect();
    let nested = array(4, 2, &[1, 0, 0, 0, 2, 0, 0, 0]);
    Writer::default()
        .text("general.architecture", "llama")
        .u32("llama.block_count", 30)
        .key("llama.rope.freq_base", 6, &100_000_f32.to_le_bytes())
        .key("tokenizer.ggml.add_bos_token", 7, &[1])
        .key("tokenizer.ggml.tokens", 9, &array(8, 3, &tokens))
        .key("tokenizer.ggml.token_type", 9, &array(5, 3, &[3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]))
        .key("tokenizer.ggml.scores", 9, &array(6, 1, &0.5_f32.to_le_bytes()))
        .key("test.nested", 9, &array(9, 1, &nested))
        .key("test.large", 10, &u64::MAX.to_le_bytes())
        .key("test.negative", 11, &(-7_i64).to_le_bytes())
        .key("test.double", 12, &1.5_f64.to_le_bytes())
        .tensor(
            "norm",
            &[3],
            0,
            [1.0_f32, -2.0, 0.5].iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
        .tensor(
            "half",
            &[2, 2],
            1,
            [0x3C00_u16, 0xC000, 0, 0x7C00].iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
        .tensor("quant", &[32, 2], 8, (0..68).collect())
        .tensor("scalar", &[], 26, 12_i32.to_le_bytes().to_vec())
}

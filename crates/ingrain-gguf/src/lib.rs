//! GGUF files: metadata, tensors and bit-exact dequantisation, hardened against broken files

//! Tests through the public API, against what transformers, tokenizers and SentencePiece say.

mod broken;
mod directories;
mod gguf;
mod hostile;
mod make;
mod render;
mod stream;
mod turns;

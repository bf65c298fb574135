//! Decoder language models on Burn: weights, LoRA, scoring and batched generation

//! Masks with a real template, gradients against PEFT, and the trainer on a tiny model.

mod fixtures;
mod on_policy;
mod peft;
mod trainer;
mod transcripts;

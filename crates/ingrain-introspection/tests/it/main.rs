//! Masks with a real template, gradients against PEFT, and the trainer on a tiny model.

mod fixtures;
mod peft;
mod trainer;
mod transcripts;

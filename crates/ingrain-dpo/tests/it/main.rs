//! Losses against TRL, gradients and a step against PEFT and torch, and the trainer on a tiny
//! model.

mod fixtures;
mod pairs;
mod peft;
mod reference;
mod trainer;
mod trl;
mod unpaired;

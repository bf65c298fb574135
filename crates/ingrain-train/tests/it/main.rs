//! The mechanics on a toy objective: resume, micro-batches, damaged checkpoints, stops.

mod checkpoints;
mod evaluation;
mod loop_steps;
mod resume;
mod toy;

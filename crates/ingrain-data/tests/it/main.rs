//! Integration tests of the data stages.

mod fidelity;
mod filter;
mod interaction;
mod model;
mod personas;
mod quality;
mod resume;
mod stages;

//! What every stage of a run leaves on disk, and how it reports progress.

mod interrupt;
mod observer;

pub use interrupt::Interrupt;
pub use observer::{Event, Observer, Silent};

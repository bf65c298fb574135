//! What holds for the whole tree, whatever crate a file belongs to.

mod architecture;
mod packages;
mod strangers;
mod tree;

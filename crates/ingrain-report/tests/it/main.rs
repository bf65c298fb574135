//! Reports of made-up run directories: whole, broken, hostile, several.

mod hostile;
mod made_up;
mod page;
mod side_by_side;
mod suites;

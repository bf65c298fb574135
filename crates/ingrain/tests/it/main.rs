//! The pipeline from end to end on a tiny random model, and the recipes.

mod compare;
mod labelled;
mod pipeline;
mod recipe;
mod tiny;

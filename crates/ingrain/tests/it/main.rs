//! The pipeline from end to end on a tiny random model, and the recipes.

mod compare;
mod pipeline;
mod recipe;
mod tiny;

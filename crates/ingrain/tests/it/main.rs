//! The pipeline from end to end on a tiny random model, and the recipes.

mod audit;
mod compare;
mod experiment;
mod pipeline;
mod recipe;
mod score;
mod tiny;

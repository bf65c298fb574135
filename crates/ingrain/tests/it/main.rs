//! The pipeline from end to end on a tiny random model, and the recipes.

mod compare;
mod guides;
mod pipeline;
mod recipe;
mod recipe_guide;
mod tiny;

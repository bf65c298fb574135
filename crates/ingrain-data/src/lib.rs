//! Synthetic data for character training: preference pairs, reflections, self-interactions

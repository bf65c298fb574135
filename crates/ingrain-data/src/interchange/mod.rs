//! Data in other people's formats: read, write, and export to other training engines.
//!
//! Inside Ingrain a pair is a [`PreferencePair`](crate::PreferencePair) and a training conversation
//! a [`Transcript`](crate::Transcript); everything here converts. What a format cannot hold is said
//! in the docs of its variant.

mod card;
mod export;
mod file;
mod openrlhf;
mod pairs;
#[cfg(feature = "parquet")]
mod parquet;
mod reference;
mod transcripts;
mod trl;

#[cfg(feature = "parquet")]
pub use self::parquet::{read_parquet, write_pairs_parquet, write_transcripts_parquet};
pub use card::DatasetCard;
pub use export::{
    Engine, Export, LabelledTokens, TrainingTerms, export_distillation, export_introspection,
};
pub use file::{
    read_pairs, read_transcripts, scan_pairs, scan_transcripts, write_pairs, write_transcripts,
};
pub use pairs::{PairFormat, pair_from_json, pair_to_json};
pub use reference::{
    Distillation, read_reference_distillation, read_reference_interactions,
    read_reference_reflections,
};
pub use transcripts::{TranscriptFormat, transcript_from_json, transcript_to_json};

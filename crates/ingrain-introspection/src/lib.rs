//! Learning from the model's own text: supervised fine-tuning on transcripts

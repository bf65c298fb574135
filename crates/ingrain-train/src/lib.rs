//! What every trainer shares: batching, schedules, AdamW, clipping, checkpoints, the loop

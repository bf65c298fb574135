//! Character training of LLM assistants: the facade, the recipe and the pipeline

//! Evaluation suites: held-out preference and perplexity

//! Tokenizers and chat templates with token-exact spans of turns

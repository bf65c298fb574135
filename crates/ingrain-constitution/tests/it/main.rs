//! Integration tests of `ingrain-constitution`.

mod personas;

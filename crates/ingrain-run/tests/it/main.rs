//! Integration tests of the files of a run.

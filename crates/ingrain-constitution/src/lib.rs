//! Constitutions: who an assistant should be, as a typed, linted, composable file

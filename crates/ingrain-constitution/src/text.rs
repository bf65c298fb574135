//! Getting text off a disk in bounded time and memory: size first, then bytes, then UTF-8.

use std::{fs::File, io::Read, path::Path};

use crate::{
    diagnostic::{DiagnosticKind, Diagnostics, Location},
    error::ConstitutionError,
};

/// The largest text that is read, in bytes. A constitution of 10 assertions with 50 questions
/// each has about 100,000.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The bytes of a file, at most one more than [`MAX_BYTES`] of them.
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>, ConstitutionError> {
    let read_error = |source| ConstitutionError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read_error)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(read_error)?;
    Ok(bytes)
}

/// The text in `bytes`, without a byte-order mark; too much of it, or something that is not
/// UTF-8, is a diagnostic with its place.
pub(crate) fn decode_utf8<'a>(bytes: &'a [u8], source: &str) -> Result<&'a str, Diagnostics> {
    let mut diagnostics = Diagnostics::new(source);
    if bytes.len() > MAX_BYTES {
        diagnostics.push(
            DiagnosticKind::Limit,
            Location::START,
            format!("more than {MAX_BYTES} bytes"),
            "a text of at most 1 MiB",
            Some("check that this is the right file".into()),
        );
        return Err(diagnostics);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let valid = &bytes[..error.valid_up_to()];
            let valid = std::str::from_utf8(valid).unwrap_or_default();
            diagnostics.push(
                DiagnosticKind::Encoding,
                location_after(valid),
                format!("the byte 0x{:02X}", bytes[error.valid_up_to()]),
                "UTF-8 text",
                Some("save the file as UTF-8 (UTF-16 and Latin-1 are not read)".into()),
            );
            Err(diagnostics)
        }
    }
}

fn location_after(text: &str) -> Location {
    let line = 1 + text.bytes().filter(|byte| *byte == b'\n').count();
    let last = text.rsplit('\n').next().unwrap_or_default();
    Location { line, column: 1 + last.chars().count() }
}

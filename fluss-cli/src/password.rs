//! Passwords, which come by the standard input or from a file: others on the machine can read the arguments of a program.

use std::io::{self, Read};
use std::path::Path;

use crate::Refused;

/// Reads a password from the standard input.
pub(crate) fn from_stdin() -> Result<String, Refused> {
    let mut text = String::new();
    let read = io::stdin().read_to_string(&mut text);
    read.map_err(|error| Refused(format!("the password: {error}")))?;
    Ok(without_line_end(&text))
}

/// Reads a password from a file.
pub(crate) fn from_file(path: &Path) -> Result<String, Refused> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Refused(format!("the password in {}: {error}", path.display())))?;
    Ok(without_line_end(&text))
}

fn without_line_end(text: &str) -> String {
    text.trim_end_matches(['\r', '\n']).to_owned()
}

//! Configuration files: one `key: value` a line, comments behind `#`.

use std::path::Path;

use fluss_server::NodeOptions;

use crate::Refused;

/// Sets the options of a file.
pub(crate) fn apply(options: &mut NodeOptions, path: &Path) -> Result<(), Refused> {
    let refuse = |reason: String| Refused(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (key, value) = line
            .split_once(':')
            .ok_or_else(|| refuse(format!("line {number}: 'key: value' expected")))?;
        options
            .set(key.trim(), value)
            .map_err(|error| refuse(format!("line {number}: {error}")))?;
    }
    Ok(())
}

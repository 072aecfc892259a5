//! What is wrong with a value that was given.

use fluss_client::ValueError;
use pyo3::prelude::*;

pub(super) type Result<T> = std::result::Result<T, ValueError>;

/// A fault of the value that is being converted; who knows its name puts it in front.
pub(super) fn object(reason: impl Into<String>) -> ValueError {
    ValueError::row(reason)
}

/// A value of another kind than `name` takes.
pub(super) fn mismatch(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> ValueError {
    let class = value
        .get_type()
        .name()
        .map_or_else(|_| "object".to_owned(), |name| name.to_string());
    object(format!("{name} takes {expected}, not {} ({class})", shown(value)))
}

/// A value as it stands in a message: cut, so that a large one does not flood it.
pub(super) fn shown(value: &Bound<'_, PyAny>) -> String {
    const LONGEST: usize = 60;
    let text = value.repr().map_or_else(
        |_| "a value".to_owned(),
        |text| text.to_string_lossy().into_owned(),
    );
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

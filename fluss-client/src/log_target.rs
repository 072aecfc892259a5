//! The targets of the client's events, which logs are filtered by: `fluss::client` and one for each part of it.

pub(crate) const CLIENT: &str = "fluss::client";
pub(crate) const WRITER: &str = "fluss::client::writer";
pub(crate) const SCANNER: &str = "fluss::client::scanner";
pub(crate) const LOOKUP: &str = "fluss::client::lookup";

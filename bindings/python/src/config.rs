//! The keys of configurations, which the client knows.

use std::collections::BTreeMap;

use fluss_client::config::{self, InvalidConfig};
use fluss_client::{ClientOptions, Target};
use pyo3::prelude::*;

use crate::error::Fault;

impl From<InvalidConfig> for Fault {
    fn from(error: InvalidConfig) -> Self {
        Self::new("ConfigError", error.to_string())
    }
}

impl From<fluss_client::InvalidQuantity> for Fault {
    fn from(error: fluss_client::InvalidQuantity) -> Self {
        Self::new("ConfigError", error.to_string())
    }
}

/// Checks a key and its value, and returns the key under which this client knows it, with the value.
#[pyfunction]
pub(crate) fn check_option(key: &str, value: &str) -> Result<(String, String), Fault> {
    Ok(config::check(key, value)?)
}

/// The options that environment variables say.
#[pyfunction]
pub(crate) fn environment_options(
    variables: BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, Fault> {
    Ok(config::environment(variables)?)
}

/// What a connection string says, as options by their keys.
#[pyfunction]
pub(crate) fn options_of(text: &str) -> Result<Vec<(String, String)>, Fault> {
    Ok(config::options_of(text)?)
}

/// A connection string as it may be shown.
#[pyfunction]
pub(crate) fn without_secrets(text: &str) -> String {
    config::without_secrets(text)
}

/// The milliseconds of a duration's text.
#[pyfunction]
pub(crate) fn parse_millis(text: &str) -> Result<u64, Fault> {
    let millis = fluss_client::parse_duration(text)?.as_millis();
    u64::try_from(millis).map_err(|_| Fault::new("ConfigError", format!("'{text}' is too long")))
}

/// The bytes of a size's text.
#[pyfunction]
pub(crate) fn parse_bytes(text: &str) -> Result<u64, Fault> {
    Ok(fluss_client::parse_size(text)?)
}

/// What a configuration leads to, and the options that it means.
pub(crate) fn client_options(pairs: BTreeMap<String, String>) -> Result<(Target, ClientOptions), Fault> {
    Ok(config::read(pairs)?)
}

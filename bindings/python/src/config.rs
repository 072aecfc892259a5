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

/// Checks a key and its value, and returns the key under which this client knows it.
#[pyfunction]
pub(crate) fn check_option(key: &str, value: &str) -> Result<String, Fault> {
    Ok(config::check(key, value)?)
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

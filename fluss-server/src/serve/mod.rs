//! What answers requests.

pub mod admin;

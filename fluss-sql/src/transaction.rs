//! What a transaction has gathered, until it is committed.

/// An open transaction of a session.
#[derive(Debug, Default)]
pub(crate) struct Transaction {}

//! What the tests share.

pub mod arbitrary;
pub mod notation;

//! What answers clients.

#![expect(
    clippy::needless_pass_by_value,
    reason = "handlers are alike: each takes its request whole"
)]

pub mod admin;
mod answer;
mod arrivals;
mod call;
mod desk;
mod dispatch;
mod fetch;
mod listener;
mod login;
mod memory;
mod offsets;
mod place;
mod places;
mod projection;
mod reads;
mod scans;
mod session;
mod shared;
mod spool;
mod writes;

pub(crate) use listener::listen;
pub(crate) use session::{Peer, Session};
pub(crate) use shared::Shared;

#[cfg(test)]
mod tests;

//! What answers clients.

#![expect(
    clippy::needless_pass_by_value,
    reason = "handlers are alike: each takes its request whole"
)]

pub mod admin;
mod answer;
mod call;
mod codes;
mod connections;
mod conversation;
mod dispatch;
mod fetch;
mod identity;
mod in_process;
mod listener;
mod login;
mod memory;
mod offsets;
mod open_scans;
mod owner;
mod projection;
mod pruning;
mod reads;
mod resolve;
mod scans;
mod session;
mod shared;
mod spool;
mod storage_warning;
mod tls;
mod turn;
mod users;
mod validate;
mod writes;

pub(crate) use identity::Identity;
pub(crate) use listener::listen;
pub(crate) use session::{Peer, Session};
pub(crate) use shared::Shared;

#[cfg(test)]
mod tests;

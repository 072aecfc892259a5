//! The wire protocol of Apache Fluss: frames, messages, error codes, SASL and connections.
//!
//! Everything but [`net`] is free of input and output and serves clients and servers alike: bytes go in, values
//! come out, and the other way round.
//!
//! | Module | Holds |
//! |---|---|
//! | [`proto`] | the messages |
//! | [`api`] | which APIs there are, and the choice of their versions |
//! | [`code`] | what the numbers of errors mean |
//! | [`frame`], [`header`] | how messages become bytes of a stream |
//! | [`sasl`] | how a client proves who it is |
//! | [`net`] | connections of a client (feature `net`) |
//! | [`sync`] | locks that a forked process can go on with |
//! | [`guarded`] | a lock for what a panic can leave half-changed (feature `net`) |
//!
//! Sections such as "`rpc.md` §1.2" are those of the protocol notes that the project was written from.

/// The target of this crate's events, which logs are filtered by.
#[cfg(feature = "net")]
const TARGET: &str = "fluss::rpc";

pub mod api;
pub mod code;
pub mod frame;
#[cfg(feature = "net")]
pub mod guarded;
pub mod header;
#[cfg(feature = "net")]
pub mod net;
pub mod sasl;
pub mod sync;

/// The messages, generated from `proto/fluss.proto` and, those of the node alone, from `proto/node.proto`. `bytes` fields are [`bytes::Bytes`]: decoded from a
/// [`bytes::Bytes`], a message shares its buffer instead of copying from it.
///
/// Required fields are always written, also when they hold 0 or nothing (a server would not answer otherwise).
/// Decoding does not insist on them: a field that the other side left out reads as its zero value.
pub mod proto {
    #![expect(clippy::pedantic, reason = "generated code")]

    include!(concat!(env!("OUT_DIR"), "/fluss.rs"));

    mod secret;

    #[cfg(test)]
    mod tests;
}

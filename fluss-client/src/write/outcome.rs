//! What comes of batches, and what is to be done then.

use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use tokio::time::Instant;

use super::batch::Batch;
use super::handle::Stored;
use crate::error::{Error, tell};
use crate::log_target;

/// What came of a batch on its way.
pub(super) enum Outcome {
    /// It is stored. With how far behind the server is with the bucket, 0 to 1.
    Stored(Stored, f32),
    /// The server refused it.
    Refused(ErrorCode, Error),
    /// Nobody knows; it is to be sent again under the same number.
    Unknown(Error),
    /// It cannot be sent.
    Impossible(Error),
}

/// What is to be done after an outcome.
#[derive(Default)]
pub(super) struct Followup {
    /// Bytes of memory to give back.
    pub(super) released: usize,
    /// What the sender is to do.
    pub(super) next: Next,
    /// Why the batch failed for good.
    pub(super) failure: Option<Error>,
    /// The batch whose fate is known now.
    pub(super) settled: Option<Settled>,
}

/// What a sender is to do after an outcome.
#[derive(Default)]
pub(super) struct Next {
    /// Whether the leader is to be looked for.
    pub(super) refresh: bool,
    /// Why the batch is sent again, after so many attempts.
    pub(super) again: Option<(Error, u32)>,
    /// For how long nothing is sent to the bucket, because its server falls behind.
    pub(super) held_up: Option<Duration>,
}

/// A batch whose fate is known.
pub(super) struct Settled {
    pub(super) rows: u32,
    pub(super) created: Instant,
    pub(super) stored: bool,
}

/// Fails a batch for good.
pub(super) fn fail(batch: &Batch, error: Error) -> Followup {
    tell!(
        log_target::WRITER,
        warn,
        &error,
        rows = batch.load.rows,
        attempts = batch.attempts,
        "a batch was given up"
    );
    let followup = settle(batch, Err(error.clone()));
    Followup {
        failure: Some(error),
        ..followup
    }
}

/// Tells whoever waits for a batch what became of it.
pub(super) fn settle(batch: &Batch, outcome: Result<Stored, Error>) -> Followup {
    let stored = outcome.is_ok();
    batch.delivery.settle(outcome);
    Followup {
        released: batch.load.bytes,
        settled: Some(Settled {
            rows: batch.load.rows,
            created: batch.created,
            stored,
        }),
        ..Followup::default()
    }
}

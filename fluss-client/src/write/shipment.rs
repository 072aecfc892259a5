//! What leaves an accumulator, and what holds it up.

use bytes::Bytes;
use fluss_rpc::net::ServerAddress;
use tokio::time::Instant;
use tracing::{Span, debug_span};

use super::partitions::{Slot, Target};
use crate::log_target;
use crate::meters::only;
use fluss_core::id::TableBucket;
use fluss_core::types::TablePath;

/// Which batch of which bucket.
pub(super) type BatchKey = (Target, u64);

/// A batch on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) key: BatchKey,
    /// Where it is sent: the bucket on the server at that time.
    pub(super) bucket: TableBucket,
    /// Among how many that was chosen.
    pub(super) buckets: i32,
}

/// The way to a bucket.
pub(super) enum Route {
    /// Its leader is connected. It was chosen among so many.
    Open(TableBucket, i32, ServerAddress),
    /// It has no leader that is connected.
    Closed(TableBucket),
    /// It is not known which partition it is of, or how many buckets that has.
    Unknown,
}

/// What is sent to one server at once: at most one batch of each bucket.
pub(super) struct Shipment {
    pub(super) server: ServerAddress,
    pub(super) batches: Vec<(Sent, Bytes)>,
    /// When the first of the batches has to be given up.
    pub(super) deadline: Instant,
}

/// What stands in the way of due batches.
#[derive(Default)]
pub(super) struct Obstacles {
    /// Buckets that need a writer id.
    pub(super) writer: bool,
    /// Buckets without a leader that is connected.
    pub(super) leaders: Vec<(Slot, TableBucket)>,
    /// Partitions that are not found yet.
    pub(super) partitions: Vec<Slot>,
}

/// Puts a batch into the first shipment to its server that has room, a new one if there is none.
pub(super) fn place(shipments: &mut Vec<Shipment>, server: ServerAddress, room: usize, due: Due) {
    let Due {
        sent,
        bytes,
        deadline,
    } = due;
    let fits = |shipment: &Shipment| {
        let taken: usize = shipment.batches.iter().map(|(_, batch)| batch.len()).sum();
        shipment.server == server && taken + bytes.len() <= room
    };
    match shipments.iter_mut().find(|shipment| fits(shipment)) {
        Some(shipment) => {
            shipment.deadline = shipment.deadline.min(deadline);
            shipment.batches.push((sent, bytes));
        }
        None => shipments.push(Shipment {
            server,
            batches: vec![(sent, bytes)],
            deadline,
        }),
    }
}

/// A batch whose turn it is.
pub(super) struct Due {
    pub(super) sent: Sent,
    pub(super) bytes: Bytes,
    pub(super) deadline: Instant,
}

/// The time in which batches are on their way.
pub(super) fn span(operation: &str, table: &TablePath, sent: &[Sent], server: &ServerAddress) -> Span {
    let bucket = only(sent.iter().map(|sent| &sent.bucket));
    debug_span!(target: log_target::WRITER, "write", operation, %table, bucket, buckets = sent.len(), %server)
}

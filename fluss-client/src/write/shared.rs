//! What a writer and its sender share.

use std::sync::Arc;

use fluss_rpc::guarded::{Guard, Guarded, Poisoned};
use fluss_rpc::sync::{Mutex, MutexGuard};
use futures::future::{BoxFuture, ready};

use super::accumulator::Accumulator;
use super::handle::Line;
use super::layout::Layout;
use super::memory::Memory;
use super::partitions::Partitions;
use super::request::Destination;
use super::router::Router;
use crate::cluster::Unsent;
use crate::error::{Result, tell};
use crate::log_target;
use crate::meters::WriterMeters;
use fluss_core::types::TableInfo;

/// What a writer and its sender share.
pub(super) struct Shared {
    pub(super) info: Arc<TableInfo>,
    /// What the writer does, as errors call it.
    pub(super) operation: &'static str,
    pub(super) layout: Layout,
    pub(super) destination: Destination,
    pub(super) memory: Memory,
    pub(super) meters: Arc<WriterMeters>,
    /// Poisoned, it breaks the line.
    pub(super) accumulator: Guarded<Accumulator>,
    /// Locked before the accumulator by who needs both. It is whole whenever a row of the caller's is asked for its values.
    pub(super) partitions: Mutex<Partitions>,
    /// Locked before the accumulator by who needs both, and by nobody who has the partitions.
    pub(super) router: Mutex<Router>,
    pub(super) line: Arc<Line>,
}

impl Shared {
    pub(super) fn lock(&self) -> Result<Guard<'_, Accumulator>> {
        let accumulator = self.accumulator.lock();
        accumulator.map_err(|Poisoned| self.line.breakdown().clone())
    }

    /// Fails everything that is on its way, and all that comes: the sender is no more.
    pub(super) fn break_down(&self) {
        let error = self.line.breakdown();
        if let Ok(mut accumulator) = self.accumulator.lock() {
            accumulator.end(error);
        } else {
            tell!(log_target::WRITER, error, error, "a writer came to its end");
        }
        self.line.break_down();
        self.memory.close();
    }

    pub(super) fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.partitions.lock()
    }
}

impl Unsent for Shared {
    fn send_all(&self) -> BoxFuture<'static, Result<()>> {
        let deliveries = match self.lock() {
            Ok(accumulator) => accumulator.deliveries(),
            Err(error) => return Box::pin(ready(Err(error))),
        };
        for delivery in &deliveries {
            delivery.hurry();
        }
        Box::pin(async move {
            let mut flushed = Ok(());
            for delivery in deliveries {
                flushed = flushed.and(delivery.wait().await.map(drop));
            }
            flushed
        })
    }
}

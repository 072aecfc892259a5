//! Where rows go: a writer of the client, as long as its connection is open.

use std::future::Future;

use fluss_client::types::{OwnedRow, TableInfo};
use fluss_client::{self as client, BatchWrite, Connection};
use fluss_rpc::sync::Mutex;

use super::collected::Collected;
use super::unsent::Unsent;
use crate::error::Fault;

/// What is done with a row.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// It is appended or upserted.
    Put,
    Delete,
}

/// A writer of the client.
pub(crate) trait Collects: Clone + Send + Sync + 'static {
    /// What it is called in Python.
    const NAME: &'static str;

    /// What errors call a change.
    fn operation(change: Change) -> &'static str;

    fn table(&self) -> &TableInfo;

    fn try_collect(&self, change: Change, row: &OwnedRow) -> client::Result<Option<client::WriteHandle>>;

    fn collect(
        &self,
        change: Change,
        row: &OwnedRow,
    ) -> impl Future<Output = client::Result<client::WriteHandle>> + Send;

    /// Begins to collect Arrow batches as one.
    fn batches(&self, change: Change) -> client::Result<BatchWrite>;

    fn flush(&self) -> impl Future<Output = client::Result<()>> + Send;

    fn close(&self) -> impl Future<Output = client::Result<()>> + Send;
}

/// A writer of the client, and its connection.
pub(super) struct Sink<W> {
    pub(super) writer: W,
    pub(super) connection: Connection,
    /// The last row that was collected, until a flush.
    last: Mutex<Option<Collected>>,
}

impl<W: Collects> Sink<W> {
    pub(super) fn new(connection: &Connection, writer: W) -> Self {
        Self {
            writer,
            connection: connection.clone(),
            last: Mutex::default(),
        }
    }

    /// The writer, as errors call it.
    pub(super) fn name(&self) -> String {
        format!("{} of table {}", W::NAME, self.writer.table().path)
    }

    pub(super) fn check_open(&self) -> Result<(), Fault> {
        if self.connection.is_closed() {
            return Err(self.closed());
        }
        Ok(())
    }

    fn closed(&self) -> Fault {
        let message = format!("the connection of the {} is closed", self.name());
        Fault::new("ClosedError", message)
    }

    /// Does something that fails as soon as the connection is closed.
    pub(super) async fn while_open<T>(
        &self,
        work: impl Future<Output = client::Result<T>>,
    ) -> Result<T, Fault> {
        tokio::select! {
            biased;
            done = work => Ok(done?),
            () = self.connection.closed() => Err(self.closed()),
        }
    }

    /// Takes note of the last row.
    pub(super) fn note(&self, collected: &Collected) {
        *self.last.lock() = Some(collected.clone());
    }

    /// Forgets the last row if it is acknowledged.
    pub(super) fn forget_settled(&self) {
        let mut last = self.last.lock();
        last.take_if(|last| last.is_settled());
    }
}

impl<W: Collects> Unsent for Sink<W> {
    fn warning(&self, fate: &str) -> Option<String> {
        let last = self.last.lock();
        let is_unsent = last.as_ref().is_some_and(|last| !last.is_settled());
        is_unsent.then(|| {
            let name = self.name();
            format!("the {name} {fate} with rows that are not acknowledged: flush or close it")
        })
    }
}

//! The writers of a table: one for each set of columns that was written lately.

use std::collections::HashMap;
use std::sync::Arc;

use fluss_client::{Table, UpsertWriter};
use fluss_rpc::sync::Mutex;
use futures::future::join_all;

use super::columns::{ColumnSet, Columns};
use crate::error::Result;

/// So many writers are kept. Each may hold as much memory as the client's options give a writer.
const KEPT: usize = 16;

/// What tells a writer from all others of a table, also from those that are no longer kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WriterNumber(u64);

/// A writer of some columns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) number: WriterNumber,
    pub(super) upserts: UpsertWriter,
}

/// The writers of a table.
#[derive(Debug)]
pub(super) struct Writers {
    table: Table,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    writers: HashMap<ColumnSet, (Arc<Writer>, u64)>,
    /// How many writers were made, and how often one was asked for.
    made: u64,
    asked: u64,
    /// The first failure since the last flush that a writer has told.
    failure: Option<fluss_client::Error>,
}

impl Writers {
    pub(super) fn new(table: &Table) -> Self {
        Self {
            table: table.clone(),
            kept: Mutex::default(),
        }
    }

    /// The writer of a set of columns. If it is new, and there are many, the one that was not used for longest is
    /// flushed and let go.
    pub(super) async fn get(&self, columns: &Columns, set: &ColumnSet) -> Result<Arc<Writer>> {
        loop {
            let oldest = {
                let mut kept = self.kept.lock();
                if let Some(writer) = kept.find(set) {
                    return Ok(writer);
                }
                match kept.oldest() {
                    Some(oldest) => oldest,
                    None => return kept.make(&self.table, columns, set),
                }
            };
            self.flush_one(&oldest.1).await;
            self.kept.lock().let_go(oldest);
        }
    }

    /// Waits until all that was written before is acknowledged or has failed. What has failed is kept for
    /// [`take_failure`](Self::take_failure).
    pub(super) async fn settle(&self) {
        let writers: Vec<_> = {
            let kept = self.kept.lock();
            kept.writers.values().map(|(writer, _)| writer.clone()).collect()
        };
        join_all(writers.iter().map(|writer| self.flush_one(writer))).await;
    }

    /// The first failure since the last call.
    pub(super) fn take_failure(&self) -> Option<fluss_client::Error> {
        self.kept.lock().failure.take()
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.kept.lock().writers.len()
    }

    async fn flush_one(&self, writer: &Writer) {
        if let Err(error) = writer.upserts.flush().await {
            self.kept.lock().failure.get_or_insert(error);
        }
    }
}

/// A writer that may be let go, if nobody has asked for it since.
type Oldest = (ColumnSet, Arc<Writer>, u64);

impl Kept {
    fn find(&mut self, set: &ColumnSet) -> Option<Arc<Writer>> {
        let (writer, asked) = self.writers.get_mut(set)?;
        self.asked += 1;
        *asked = self.asked;
        Some(writer.clone())
    }

    /// The writer that was not used for longest, of those that nobody uses, if there are too many.
    fn oldest(&self) -> Option<Oldest> {
        if self.writers.len() < KEPT {
            return None;
        }
        let writers = self.writers.iter();
        let idle = writers.filter(|(_, (writer, _))| Arc::strong_count(writer) == 1);
        let (set, (writer, asked)) = idle.min_by_key(|(_, (_, asked))| *asked)?;
        Some((set.clone(), writer.clone(), *asked))
    }

    fn let_go(&mut self, (set, writer, asked): Oldest) {
        drop(writer);
        let is_idle =
            |(writer, since): &(Arc<Writer>, u64)| *since == asked && Arc::strong_count(writer) == 1;
        if self.writers.get(&set).is_some_and(is_idle) {
            self.writers.remove(&set);
        }
    }

    fn make(&mut self, table: &Table, columns: &Columns, set: &ColumnSet) -> Result<Arc<Writer>> {
        let mut builder = table.upsert();
        if let Some(written) = &set.columns {
            builder = builder.columns(written.iter().map(|column| columns.name(*column)));
        }
        if set.overwrite {
            builder = builder.overwrite();
        }
        let upserts = builder.writer()?;
        self.made += 1;
        self.asked += 1;
        let number = WriterNumber(self.made);
        let writer = Arc::new(Writer { number, upserts });
        self.writers.insert(set.clone(), (writer.clone(), self.asked));
        Ok(writer)
    }
}

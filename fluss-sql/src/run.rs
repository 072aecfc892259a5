//! Queries that run, and what they return.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Task, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use crate::cpu::{self, RunningTask};
use crate::error::{Error, ErrorKind, Result};

/// How many batches wait for whoever reads a result.
const BATCHES_AHEAD: usize = 2;

/// What a statement has done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It is a query: its rows, as they come.
    Rows(Rows),
    /// It has written: how many rows.
    Changed(u64),
    /// It has done something else.
    Done,
}

impl Outcome {
    /// The rows of a query.
    ///
    /// # Errors
    ///
    /// A statement that is none.
    pub fn into_rows(self) -> Result<Rows> {
        match self {
            Self::Rows(rows) => Ok(rows),
            Self::Changed(_) | Self::Done => Err(Error::new(
                ErrorKind::Other,
                "the statement is no query: it has no rows",
            )),
        }
    }
}

/// A query that follows a table: how far it has come.
pub(crate) trait Following: Send + Sync + 'static {
    /// From where another query goes on behind the rows that were given out, as text.
    fn position(&self) -> Result<String>;

    /// Whether all that there was when the query began was given out.
    fn is_caught_up(&self) -> bool;

    /// Waits until all that there was when the query began was given out.
    fn caught_up(&self) -> BoxFuture<'static, ()>;
}

/// The rows of a query, as they come.
///
/// Nothing is computed far ahead of whoever reads them.
///
/// # Cancellation
///
/// Dropping it stops the query. Dropping a future of the next batch loses nothing.
pub struct Rows {
    schema: SchemaRef,
    id: u64,
    /// Until they have ended.
    batches: Option<BoxStream<'static, Result<RecordBatch>>>,
    following: Option<Arc<dyn Following>>,
}

impl Rows {
    /// Rows that come from somewhere.
    pub(crate) fn new(
        schema: SchemaRef,
        batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            schema,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            batches: Some(batches.boxed()),
            following: None,
        }
    }

    /// Rows that are there already.
    pub(crate) fn of_batch(batch: RecordBatch) -> Self {
        Self::new(batch.schema(), futures::stream::iter([Ok(batch)]))
    }

    /// Rows that are computed on the threads for queries while they are read.
    pub(crate) fn of_plan(plan: Arc<dyn ExecutionPlan>, task: Arc<TaskContext>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let schema = plan.schema();
        let driver = cpu::spawn(async move {
            let mut batches = execute_stream(plan, task)?;
            while let Some(batch) = batches.next().await {
                let is_last = batch.is_err();
                if sender.send(batch.map_err(Error::from)).await.is_err() || is_last {
                    break;
                }
            }
            Ok(())
        })?;
        Ok(Self::new(
            schema,
            Driven {
                receiver,
                driver: Some(driver),
            },
        ))
    }

    /// The same rows, of a query that follows a table.
    pub(crate) fn following(mut self, following: Arc<dyn Following>) -> Self {
        self.following = Some(following);
        self
    }

    /// The Arrow schema of the rows.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A number that no other query of the process has.
    pub const fn query_id(&self) -> u64 {
        self.id
    }

    /// All rows that are left.
    ///
    /// # Errors
    ///
    /// What keeps the query from its end.
    pub async fn fetch_all(mut self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        while let Some(batch) = self.try_next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    /// Stops the query. Nothing comes after.
    pub fn cancel(&mut self) {
        self.batches = None;
    }

    /// Whether nothing comes any more.
    pub const fn has_ended(&self) -> bool {
        self.batches.is_none()
    }

    /// Of a query with `EMIT CHANGES`, from where another goes on behind the rows that were read: a text that can be kept.
    ///
    /// # Errors
    ///
    /// A query that follows nothing.
    pub fn position(&self) -> Result<String> {
        self.followed()?.position()
    }

    /// Of a query with `EMIT CHANGES`, whether all rows were read that there were when it began. Any other query is caught up
    /// when it has ended.
    pub fn is_caught_up(&self) -> bool {
        match &self.following {
            Some(following) => following.is_caught_up(),
            None => self.has_ended(),
        }
    }

    /// Of a query with `EMIT CHANGES`, waits until all rows were read that there were when it began.
    ///
    /// # Errors
    ///
    /// A query that follows nothing.
    pub fn caught_up(&self) -> Result<BoxFuture<'static, ()>> {
        Ok(self.followed()?.caught_up())
    }

    fn followed(&self) -> Result<&Arc<dyn Following>> {
        self.following.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Other,
                "the query ends by itself: only one with EMIT CHANGES has a position",
            )
        })
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        let Some(batches) = &mut self.batches else {
            return Poll::Ready(None);
        };
        let polled = batches.as_mut().poll_next(task);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.batches = None;
        }
        polled
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("query_id", &self.id)
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

/// Batches that a task sends, which ends with this.
struct Driven {
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    /// Until it was found how it ended.
    driver: Option<RunningTask<()>>,
}

impl Stream for Driven {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        match self.receiver.poll_recv(task) {
            Poll::Ready(None) => {}
            other => return other,
        }
        // The task may have died before it could tell why.
        let Some(driver) = &mut self.driver else {
            return Poll::Ready(None);
        };
        let ended = std::task::ready!(Pin::new(driver).poll(task));
        self.driver = None;
        Poll::Ready(ended.err().map(Err))
    }
}

//! The rows of a query that follows a table: a task that computes them, and the stream of whoever reads them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use arrow::record_batch::RecordBatch;
use fluss_client::id::Offset;
use futures::stream::Stream;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use super::pipeline::Pipeline;
use super::progress::{Progress, Ticket};
use crate::context::Context;
use crate::cpu::{self, RunningTask};
use crate::error::Result;

/// How many batches wait for the reader.
const BATCHES_AHEAD: usize = 2;

/// Rows, with what the query has passed when the reader has them.
struct Step {
    batch: RecordBatch,
    ticket: Ticket,
    /// Of the last rows, if they are not all that the batch has.
    up_to: Option<Offset>,
}

/// The rows as they come, at most so many.
pub(super) fn rows(
    context: &Context,
    pipeline: Pipeline,
    progress: Arc<Progress>,
    limit: Option<usize>,
) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + 'static> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let driver = Driver {
        context: context.clone(),
        pipeline,
        progress: progress.clone(),
        left: limit,
        sender,
    };
    Ok(Followed {
        receiver,
        driver: Some(cpu::spawn(driver.run())?),
        progress,
    })
}

struct Driver {
    context: Context,
    pipeline: Pipeline,
    progress: Arc<Progress>,
    /// How many rows are left until the limit.
    left: Option<usize>,
    sender: mpsc::Sender<Step>,
}

impl Driver {
    async fn run(mut self) -> Result<()> {
        while self.left != Some(0) {
            let poll = self.progress.scanner().lease_batches(self.progress.patience());
            let lease = self.context.client(poll).await?;
            for (ticket, scanned) in self.progress.take(lease) {
                let computed = self.pipeline.compute(&scanned)?;
                let whole = computed.batch.num_rows();
                if whole == 0 {
                    self.progress.left_out(ticket);
                    continue;
                }
                let first = self.left.and_then(|left| computed.first(left, &scanned));
                let (batch, up_to) = match first {
                    Some((batch, up_to)) => (batch, Some(up_to)),
                    None => (computed.batch, None),
                };
                self.left = self.left.map(|left| left.saturating_sub(whole));
                let step = Step { batch, ticket, up_to };
                if self.sender.send(step).await.is_err() || self.left == Some(0) {
                    return Ok(());
                }
            }
            self.progress.look()?;
            // Much that is there already is no reason to keep others from the thread.
            yield_now().await;
        }
        Ok(())
    }
}

/// What the reader has: rows, until the query has ended.
struct Followed {
    receiver: mpsc::Receiver<Step>,
    /// Until it was found how it ended.
    driver: Option<RunningTask<()>>,
    progress: Arc<Progress>,
}

impl Stream for Followed {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        match self.receiver.poll_recv(task) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(step)) => {
                self.progress.handed_out(step.ticket, step.up_to);
                return Poll::Ready(Some(Ok(step.batch)));
            }
            Poll::Ready(None) => {}
        }
        let Some(driver) = &mut self.driver else {
            return Poll::Ready(None);
        };
        let ended = std::task::ready!(Pin::new(driver).poll(task));
        self.driver = None;
        self.progress.end();
        Poll::Ready(ended.err().map(Err))
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.driver = None;
        self.progress.end();
    }
}

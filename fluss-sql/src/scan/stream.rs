//! Batches of a size that plans work well with.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use futures::stream::{BoxStream, Stream};

use crate::cpu::give_way;

/// Below this a batch is put together with others that are there.
const FEW_ROWS: usize = 2 << 10;
/// So many rows a batch has that was put together.
const MANY_ROWS: usize = 8 << 10;
/// So many rows a batch has at most.
const MOST_ROWS: usize = 32 << 10;

type Item = Result<RecordBatch, DataFusionError>;

/// Puts small batches together, as far as they are there without waiting, and takes large ones apart.
pub(super) struct Resized {
    schema: SchemaRef,
    source: Option<BoxStream<'static, Item>>,
    small: Vec<RecordBatch>,
    small_rows: usize,
    ready: VecDeque<Item>,
    /// How many rows may still come, if there is a limit.
    left: Option<usize>,
}

impl Resized {
    pub(super) fn new(schema: SchemaRef, source: BoxStream<'static, Item>, limit: Option<usize>) -> Self {
        Self {
            schema,
            source: Some(source),
            small: Vec::new(),
            small_rows: 0,
            ready: VecDeque::new(),
            left: limit,
        }
    }

    /// Makes one batch of the small ones.
    fn join(&mut self) {
        let small = std::mem::take(&mut self.small);
        self.small_rows = 0;
        match small.as_slice() {
            [] => {}
            [only] => self.ready.push_back(Ok(only.clone())),
            several => {
                let joined = concat_batches(&self.schema, several);
                self.ready.push_back(joined.map_err(DataFusionError::from));
            }
        }
    }

    fn take(&mut self, batch: RecordBatch) {
        let batch = match &mut self.left {
            Some(left) => {
                let taken = batch.num_rows().min(*left);
                *left -= taken;
                batch.slice(0, taken)
            }
            None => batch,
        };
        let rows = batch.num_rows();
        if rows == 0 {
            return;
        }
        // Concatenation keeps no rows where there are no columns.
        if rows < FEW_ROWS && !self.schema.fields().is_empty() {
            self.small_rows += rows;
            self.small.push(batch);
            if self.small_rows >= MANY_ROWS {
                self.join();
            }
            return;
        }
        self.join();
        let mut from = 0;
        while from < rows {
            let length = MOST_ROWS.min(rows - from);
            self.ready.push_back(Ok(batch.slice(from, length)));
            from += length;
        }
    }
}

impl Stream for Resized {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Item>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Poll::Ready(Some(ready));
            }
            if self.left == Some(0) {
                // Whoever is not asked any more stops.
                self.source = None;
            }
            let Some(source) = &mut self.source else {
                self.join();
                return Poll::Ready(self.ready.pop_front());
            };
            match source.as_mut().poll_next(task) {
                Poll::Ready(Some(Ok(batch))) => {
                    give_way();
                    self.take(batch);
                }
                Poll::Ready(Some(Err(error))) => {
                    self.join();
                    self.ready.push_back(Err(error));
                    self.source = None;
                }
                Poll::Ready(None) => self.source = None,
                Poll::Pending if self.small.is_empty() => return Poll::Pending,
                // Nobody waits for rows that are there.
                Poll::Pending => self.join(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use futures::stream::{self, StreamExt};

    use super::*;

    fn batch(rows: usize) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    async fn sizes(rows: &[usize], limit: Option<usize>) -> Vec<usize> {
        let source = stream::iter(rows.iter().map(|rows| Ok(batch(*rows))).collect::<Vec<_>>());
        let sized = Resized::new(batch(0).schema(), source.boxed(), limit);
        sized.map(|batch| batch.unwrap().num_rows()).collect().await
    }

    #[tokio::test]
    async fn small_batches_are_put_together_and_large_ones_taken_apart() {
        assert_eq!(sizes(&[10, 20, 0, 30], None).await, [60]);
        assert_eq!(sizes(&[10, 5_000, 20], None).await, [10, 5_000, 20]);
        assert_eq!(sizes(&[70_000], None).await, [32_768, 32_768, 4_464]);
        assert_eq!(sizes(&[1_000; 20], None).await, [8_000 + 1_000, 9_000, 2_000]);
    }

    #[tokio::test]
    async fn a_limit_ends_the_stream() {
        assert_eq!(sizes(&[10, 20, 30], Some(15)).await, [15]);
        assert_eq!(sizes(&[10], Some(0)).await, [0_usize; 0]);
        assert_eq!(sizes(&[40_000], Some(33_000)).await, [32_768, 232]);
    }
}

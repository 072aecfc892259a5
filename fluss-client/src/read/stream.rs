//! The rows of buckets as they come.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream::{BoxStream, Stream};

use super::end::End;
#[cfg(doc)]
use super::plan::BucketRead;
use crate::error::Result;
use fluss_core::id::{Offset, TableBucket};

/// Rows as they come. An error is the last item.
pub(super) type Rows = BoxStream<'static, Result<RecordBatch>>;

/// Rows as they are read: batches of [`schema`](Self::schema), until all have come or one cannot be read.
///
/// # Cancellation
///
/// Dropping a future of the next batch loses nothing. Dropping the stream stops reading.
pub struct RowStream {
    schema: SchemaRef,
    ends: Vec<(TableBucket, End)>,
    /// Until it has ended.
    rows: Option<Rows>,
    returned: VecDeque<RecordBatch>,
}

impl RowStream {
    pub(super) const fn new(schema: SchemaRef, ends: Vec<(TableBucket, End)>, rows: Rows) -> Self {
        Self {
            schema,
            ends,
            rows: Some(rows),
            returned: VecDeque::new(),
        }
    }

    /// The Arrow schema of the batches.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which moment of each bucket is read, as [`BucketRead::end_offset`] tells: of all buckets, once all rows have come.
    pub fn offsets(&self) -> BTreeMap<TableBucket, Offset> {
        let ends = self.ends.iter();
        ends.filter_map(|(bucket, end)| Some((*bucket, end.get()?)))
            .collect()
    }

    /// Whether all rows have come, or one could not be read.
    pub fn has_ended(&self) -> bool {
        self.rows.is_none() && self.returned.is_empty()
    }

    /// Puts batches back that came last, in their order: they come again next.
    pub fn put_back(
        &mut self,
        batches: impl IntoIterator<Item = RecordBatch, IntoIter: DoubleEndedIterator>,
    ) {
        for batch in batches.into_iter().rev() {
            self.returned.push_front(batch);
        }
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = self.returned.pop_front() {
            return Poll::Ready(Some(Ok(batch)));
        }
        let Some(rows) = &mut self.rows else {
            return Poll::Ready(None);
        };
        let polled = rows.as_mut().poll_next(task);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.rows = None;
        }
        polled
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream")
            .field("ends", &self.offsets())
            .finish_non_exhaustive()
    }
}

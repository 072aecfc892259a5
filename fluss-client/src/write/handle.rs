use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::error::{Error, Result};
use fluss_core::id::{Offset, TableBucket};

/// Where a batch is stored, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) bucket: Option<TableBucket>,
    /// The offset of its first row, in a log table.
    pub(crate) base_offset: Option<Offset>,
    /// Behind what it added to the log: to the changelog, in a primary-key table.
    pub(crate) end_offset: Option<Offset>,
    /// How many rows it has.
    pub(crate) rows: u32,
}

/// What a writer, its sender and its handles tell each other.
#[derive(Debug)]
pub(crate) struct Line {
    /// Rings when the sender has something to do.
    wake: Notify,
    /// The fate of all that has none, once the writer has broken down.
    breakdown: Error,
    has_broken: AtomicBool,
    /// Rings when the writer breaks down.
    broke: Notify,
}

impl Line {
    /// `breakdown` is told when the writer has broken down.
    pub(crate) fn new(breakdown: Error) -> Self {
        Self {
            wake: Notify::new(),
            breakdown,
            has_broken: AtomicBool::new(false),
            broke: Notify::new(),
        }
    }

    /// Tells the sender that it has something to do.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until the sender has something to do.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Settles all that is not settled: nobody is left to do it.
    pub(crate) fn break_down(&self) {
        self.has_broken.store(true, Ordering::Release);
        self.broke.notify_waiters();
        self.wake();
    }

    /// What is told when the writer has broken down.
    pub(crate) const fn breakdown(&self) -> &Error {
        &self.breakdown
    }
}

/// The fate of one batch, shared by the handles of all its rows.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    outcome: OnceLock<Result<Stored>>,
    settled: Notify,
    /// Whether somebody waits for it.
    urgent: AtomicBool,
    /// Whether it is of rows that wait for more until somebody tells the sender that it is urgent.
    is_open: bool,
    /// Who settles it.
    writer: Option<Arc<Line>>,
    /// The fates of its rows, in their order, once the batch was taken apart: each is that of a row of another.
    moved: OnceLock<Vec<Place>>,
}

/// The batch that a row is in, and its number there.
pub(crate) type Place = (Arc<Delivery>, u32);

impl Delivery {
    /// The fate of a batch of a writer.
    pub(crate) fn of(writer: &Arc<Line>) -> Self {
        Self {
            writer: Some(writer.clone()),
            ..Self::default()
        }
    }

    /// The fate of a batch that more rows may join. The first who waits for it wakes the sender, so that it is sent.
    pub(crate) fn hurrying(writer: &Arc<Line>) -> Self {
        Self {
            is_open: true,
            ..Self::of(writer)
        }
    }

    /// States that the rows of the batch have gone to others.
    pub(crate) fn move_to(&self, rows: Vec<Place>) {
        if self.moved.set(rows).is_ok() {
            self.settled.notify_waiters();
        }
    }

    /// The batch that a row is in by now, and its number there.
    fn place_of(self: &Arc<Self>, row: u32) -> Place {
        let (mut delivery, mut row) = (self.clone(), row);
        while let Some((next, number)) = delivery.moved.get().and_then(|rows| rows.get(row as usize)) {
            (delivery, row) = (next.clone(), *number);
        }
        (delivery, row)
    }

    /// The batches that the rows are in by now, each once.
    fn batches(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let Some(rows) = self.moved.get() else {
            return vec![self.clone()];
        };
        let mut batches: Vec<Arc<Self>> = Vec::new();
        for (delivery, _) in rows {
            for batch in delivery.batches() {
                if !batches.iter().any(|other| Arc::ptr_eq(other, &batch)) {
                    batches.push(batch);
                }
            }
        }
        batches
    }

    /// How many of the rows are acknowledged, wherever they are by now.
    fn rows_stored(self: &Arc<Self>) -> u64 {
        let Some(rows) = self.moved.get() else {
            let stored = self.outcome().and_then(Result::ok);
            return stored.map_or(0, |stored| stored.rows.into());
        };
        let is_stored = |(delivery, row): &&Place| {
            let (delivery, _) = delivery.place_of(*row);
            matches!(delivery.outcome(), Some(Ok(_)))
        };
        rows.iter().filter(is_stored).count() as u64
    }

    /// Has the batch sent without waiting for more rows.
    pub(crate) fn hurry(&self) {
        if !self.urgent.swap(true, Ordering::Relaxed)
            && self.is_open
            && let Some(writer) = &self.writer
        {
            writer.wake();
        }
    }

    /// Whether the batch is to be sent without waiting for more rows.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Relaxed)
    }

    /// States the fate. Only the first statement counts.
    pub(crate) fn settle(&self, outcome: Result<Stored>) {
        if self.outcome.set(outcome).is_ok() {
            self.settled.notify_waiters();
        }
    }

    pub(crate) fn outcome(&self) -> Option<Result<&Stored, &Error>> {
        match (self.outcome.get(), self.writer.as_deref()) {
            (Some(outcome), _) => Some(outcome.as_ref()),
            (None, Some(writer)) if writer.has_broken.load(Ordering::Acquire) => Some(Err(&writer.breakdown)),
            _ => None,
        }
    }

    /// Has the batch sent and waits for its fate. Rows that have gone to others share the first failure of those; where they
    /// are stored is told by each.
    pub(crate) async fn wait(self: &Arc<Self>) -> Result<Stored> {
        loop {
            let mut settled = Ok(Stored::default());
            let batches = self.batches();
            for batch in &batches {
                let outcome = batch.wait_here().await;
                settled = match (settled, outcome) {
                    (Ok(_), outcome) => outcome,
                    (failed, _) => failed,
                };
            }
            // Meanwhile they may have gone elsewhere.
            if batches.iter().all(|batch| batch.moved.get().is_none()) {
                return settled;
            }
        }
    }

    /// Waits until the batch has a fate, or is none any more.
    async fn wait_here(&self) -> Result<Stored> {
        if self.outcome.get().is_none() {
            self.hurry();
        }
        loop {
            let settled = self.settled.notified();
            let broke = self.writer.as_ref().map(|writer| writer.broke.notified());
            if self.moved.get().is_some() {
                return Ok(Stored::default());
            }
            if let Some(outcome) = self.outcome() {
                return outcome.copied().map_err(Error::clone);
            }
            match broke {
                Some(broke) => tokio::select! {
                    biased;
                    () = settled => {}
                    () = broke => {}
                },
                None => settled.await,
            }
        }
    }
}

/// A write on its way. It may be ignored, asked, or awaited any number of times; dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct WriteHandle {
    parts: Parts,
}

#[derive(Clone, Debug)]
enum Parts {
    /// A row: its batch, and its place in it.
    Row(Arc<Delivery>, u32),
    /// An Arrow batch: the log batches that it became.
    Batches(Arc<[Arc<Delivery>]>),
}

impl WriteHandle {
    pub(crate) const fn row(delivery: Arc<Delivery>, index: u32) -> Self {
        Self {
            parts: Parts::Row(delivery, index),
        }
    }

    pub(crate) fn batches(deliveries: Vec<Arc<Delivery>>) -> Self {
        Self {
            parts: Parts::Batches(deliveries.into()),
        }
    }

    /// The batches that the rows are in by now.
    fn deliveries(&self) -> Vec<Arc<Delivery>> {
        match &self.parts {
            Parts::Row(delivery, index) => vec![delivery.place_of(*index).0],
            Parts::Batches(deliveries) => deliveries.iter().flat_map(Delivery::batches).collect(),
        }
    }

    /// Where what is acknowledged of the write has landed: of each bucket, the offset behind it in the log, which in a
    /// primary-key table is the changelog. Who has read to there has seen it. There is none where the server does not
    /// tell it, as of a batch that it had stored before and was sent again.
    ///
    /// Once the write is [settled](Self::is_settled), this is all of it.
    pub fn ends(&self) -> BTreeMap<TableBucket, Option<Offset>> {
        let mut ends = BTreeMap::new();
        for delivery in self.deliveries() {
            let Some(Ok(stored)) = delivery.outcome() else {
                continue;
            };
            let end = match (&self.parts, stored.base_offset) {
                (Parts::Row(delivery, index), Some(base)) => {
                    let (_, index) = delivery.place_of(*index);
                    Some(base.saturating_add(i64::from(index) + 1))
                }
                _ => stored.end_offset,
            };
            if let Some(bucket) = stored.bucket {
                let known = ends.entry(bucket).or_insert(end);
                *known = end.max(*known);
            }
        }
        ends
    }

    /// How many rows of the write are acknowledged. Once the write is [settled](Self::is_settled), the others are not stored,
    /// or nobody knows.
    pub fn rows_stored(&self) -> u64 {
        match &self.parts {
            Parts::Row(delivery, index) => {
                let outcome = delivery
                    .place_of(*index)
                    .0
                    .outcome()
                    .map(|outcome| outcome.is_ok());
                u64::from(outcome == Some(true))
            }
            Parts::Batches(deliveries) => deliveries.iter().map(Delivery::rows_stored).sum(),
        }
    }

    /// Whether the write is acknowledged or has failed.
    pub fn is_settled(&self) -> bool {
        self.deliveries()
            .iter()
            .all(|delivery| delivery.outcome().is_some())
    }

    /// Waits for the acknowledgement, and returns the offset of the row in its bucket, where the server tells it: not
    /// for an Arrow batch, whose rows may be in several buckets. What waits for more rows is sent at once.
    ///
    /// # Errors
    ///
    /// Why the write failed. A [timeout](crate::ErrorKind::Timeout) says whether it may have been stored all
    /// the same.
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn wait(&self) -> Result<Option<Offset>> {
        match &self.parts {
            Parts::Row(delivery, index) => loop {
                let (delivery, index) = delivery.place_of(*index);
                let base = delivery.wait_here().await?.base_offset;
                if delivery.moved.get().is_none() {
                    return Ok(base.map(|base| base.saturating_add(i64::from(index))));
                }
            },
            Parts::Batches(deliveries) => {
                for delivery in deliveries.iter() {
                    delivery.wait().await?;
                }
                Ok(None)
            }
        }
    }
}

impl IntoFuture for WriteHandle {
    type Output = Result<Option<Offset>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.wait().await })
    }
}

#[cfg(test)]
mod tests {
    use fluss_core::id::{BucketId, TableId};

    use super::*;

    #[tokio::test]
    async fn every_row_of_a_batch_learns_its_offset() {
        let delivery = Arc::new(Delivery::default());
        let handles: Vec<_> = (0..3)
            .map(|index| WriteHandle::row(delivery.clone(), index))
            .collect();
        assert!(!handles[0].is_settled());
        let waiting = tokio::spawn(handles[2].clone().into_future());
        let bucket = TableBucket::new(TableId(7), BucketId(3));
        delivery.settle(Ok(Stored {
            bucket: Some(bucket),
            base_offset: Some(40),
            end_offset: Some(43),
            rows: 3,
        }));
        assert_eq!(waiting.await.unwrap().unwrap(), Some(42));
        assert_eq!(handles[1].wait().await.unwrap(), Some(41));
        assert_eq!(handles[0].ends(), BTreeMap::from([(bucket, Some(41))]));
        let all = WriteHandle::batches(vec![delivery, Arc::default()]);
        assert_eq!((all.rows_stored(), handles[0].rows_stored()), (3, 1));
        assert_eq!(all.ends(), BTreeMap::from([(bucket, Some(43))]));
    }

    #[tokio::test]
    async fn rows_that_went_to_other_batches_have_their_fates() {
        let (first, whole) = (Arc::new(Delivery::default()), Arc::new(Delivery::default()));
        let handles: Vec<_> = (0..3)
            .map(|index| WriteHandle::row(first.clone(), index))
            .collect();
        let all = WriteHandle::batches(vec![first.clone()]);
        let waiting = handles[2].clone();
        let waiting = tokio::spawn(async move { waiting.wait().await });
        let waiting_for_all = all.clone();
        let waiting_for_all = tokio::spawn(async move { waiting_for_all.wait().await });
        tokio::task::yield_now().await;
        let (other, last) = (Arc::new(Delivery::default()), Arc::new(Delivery::default()));
        first.move_to(vec![(whole.clone(), 0), (other.clone(), 0), (whole.clone(), 1)]);
        whole.move_to(vec![(last.clone(), 1), (last.clone(), 4)]);
        let stored = |base| Stored {
            bucket: Some(TableBucket::new(TableId(7), BucketId(base as i32))),
            base_offset: Some(base),
            end_offset: Some(base + 5),
            rows: 5,
        };
        last.settle(Ok(stored(40)));
        assert_eq!(all.rows_stored(), 2);
        assert!(!all.is_settled() && handles[0].is_settled());
        other.settle(Ok(stored(7)));
        assert_eq!(waiting.await.unwrap().unwrap(), Some(44));
        assert_eq!(waiting_for_all.await.unwrap().unwrap(), None);
        assert_eq!(handles[1].wait().await.unwrap(), Some(7));
        assert_eq!(handles[0].ends().into_values().collect::<Vec<_>>(), [Some(42)]);
        assert_eq!(all.ends().into_values().collect::<Vec<_>>(), [Some(12), Some(45)]);
    }

    #[tokio::test]
    async fn the_first_fate_stays() {
        let delivery = Arc::new(Delivery::default());
        delivery.settle(Ok(Stored::default()));
        delivery.settle(Ok(Stored {
            base_offset: Some(1),
            ..Stored::default()
        }));
        assert_eq!(delivery.wait().await.unwrap(), Stored::default());
    }
}

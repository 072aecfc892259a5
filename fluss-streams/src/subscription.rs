//! Events as they are appended, from the table's changelog.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use fluss_client::filter::{Predicate, col};
use fluss_client::id::{BucketId, Offset, TableBucket};
use fluss_client::{LogScanner, OffsetSpec, Positions, ScanRecords, StartOffset};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::commit::Commit;
use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::read::ReadStream;
use crate::streams::Streams;

/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_hours(24);
/// How long a poll waits while the end that there was at the beginning is not reached: a filter may leave out all that is
/// before it.
const WHILE_BEHIND: Duration = Duration::from_millis(10);

/// Where events of all streams are read from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum StartFrom {
    /// From the first that is still there.
    #[default]
    Start,
    /// Those that are appended from now on.
    End,
    /// From where a subscription was.
    Positions(Positions),
    /// From these offsets of the changelog; from the start in other buckets.
    Offsets(BTreeMap<BucketId, Offset>),
}

/// Which events are wanted, of all streams.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Wanted {
    /// Those of streams whose names begin with one of these; nothing for all.
    pub stream_prefixes: Vec<String>,
    /// Those of these types; nothing for all.
    pub event_types: Vec<String>,
}

/// What a subscription tells.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// An event.
    Event(RecordedEvent),
    /// All that there was when the subscription began is read. It comes once.
    CaughtUp,
}

impl Streams {
    /// The events of all streams that there are now.
    ///
    /// # Errors
    ///
    /// Positions in another table; those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn read_all(&self, from: StartFrom, wanted: Wanted) -> Result<Subscription> {
        let mut subscription = self.subscribe_to_all(from, wanted).await?;
        subscription.stops = Some(subscription.behind.clone());
        Ok(subscription)
    }

    /// The events of all streams, and those that are appended from now on. In each bucket they come in the order in which
    /// they were appended; so they do altogether if the table has one bucket.
    ///
    /// # Errors
    ///
    /// Positions in another table; those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn subscribe_to_all(&self, from: StartFrom, wanted: Wanted) -> Result<Subscription> {
        let prefixes = wanted.stream_prefixes.iter();
        let condition = prefixes
            .map(|prefix| col("stream").starts_with(prefix.as_str()))
            .reduce(|one, other| one | other);
        let (scanner, there) = self.scanner(condition).await?;
        match from {
            StartFrom::Start => scanner.subscribe_all(StartOffset::Earliest).await?,
            StartFrom::End => at_end(&scanner, &there).await?,
            StartFrom::Positions(positions) => scanner.subscribe_positions(&positions).await?,
            StartFrom::Offsets(offsets) => {
                let start = |(bucket, _): (&TableBucket, _)| {
                    let start = offsets.get(&bucket.bucket).copied();
                    (*bucket, start.map_or(StartOffset::Earliest, StartOffset::At))
                };
                let starts: Vec<_> = there.iter().map(start).collect();
                scanner.subscribe_buckets(&starts).await?;
            }
        }
        // What has nothing is caught up with.
        let behind = there.into_iter().filter(|(_, range)| !range.is_empty());
        let behind = behind.map(|(bucket, range)| (bucket, range.end)).collect();
        Ok(Subscription::new(scanner, behind, wanted.event_types, None))
    }

    /// The events of a stream from a version on, and those that are appended to it from now on. The stream need not be
    /// there yet.
    ///
    /// # Errors
    ///
    /// Those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn subscribe_to_stream(&self, stream: &str, from_version: i64) -> Result<Subscription> {
        let (scanner, there) = self.scanner(Some(col("stream").eq(stream.to_owned()))).await?;
        at_end(&scanner, &there).await?;
        let read = ReadStream {
            from_version: Some(from_version),
            ..ReadStream::default()
        };
        let past = Past {
            events: self.read_stream(stream, read).boxed(),
            next_version: from_version,
            is_read: false,
        };
        Ok(Subscription::new(
            scanner,
            BTreeMap::new(),
            Vec::new(),
            Some(past),
        ))
    }

    /// A scanner of the changelog, and where its buckets begin and end now.
    async fn scanner(
        &self,
        condition: Option<Predicate>,
    ) -> Result<(LogScanner, BTreeMap<TableBucket, Range<Offset>>)> {
        let shared = &self.shared;
        let path = &shared.table.info().path;
        let admin = shared.connection.admin();
        let earliest = admin.list_table_offsets(path, OffsetSpec::Earliest).await?;
        let latest = admin.list_table_offsets(path, OffsetSpec::Latest).await?;
        let mut scan = shared.table.scan();
        if let Some(condition) = condition {
            scan = scan.filter(condition);
        }
        let begin = |bucket| earliest.get(&bucket).copied().unwrap_or_default();
        let there = latest
            .into_iter()
            .map(|(bucket, end)| (bucket, begin(bucket)..end))
            .collect();
        Ok((scan.log_scanner()?, there))
    }
}

async fn at_end(scanner: &LogScanner, there: &BTreeMap<TableBucket, Range<Offset>>) -> Result<()> {
    let end = |(bucket, range): (&TableBucket, &Range<Offset>)| (*bucket, StartOffset::At(range.end));
    let starts: Vec<_> = there.iter().map(end).collect();
    Ok(scanner.subscribe_buckets(&starts).await?)
}

/// What a stream had before the changelog is followed.
struct Past {
    events: BoxStream<'static, Result<RecordedEvent>>,
    next_version: i64,
    is_read: bool,
}

/// Events as they come.
pub struct Subscription {
    scanner: LogScanner,
    /// Ends of the buckets that are not reached.
    behind: BTreeMap<TableBucket, Offset>,
    event_types: Vec<String>,
    past: Option<Past>,
    ready: VecDeque<Ready>,
    has_told: bool,
    /// Where it ends; nothing if it does not. A bucket that has nothing is not among them.
    stops: Option<BTreeMap<TableBucket, Offset>>,
}

/// An event that is read and not handed out.
struct Ready {
    bucket: TableBucket,
    /// Of its append.
    offset: Offset,
    event: RecordedEvent,
}

impl Subscription {
    fn new(
        scanner: LogScanner,
        behind: BTreeMap<TableBucket, Offset>,
        event_types: Vec<String>,
        past: Option<Past>,
    ) -> Self {
        Self {
            scanner,
            behind,
            event_types,
            past,
            ready: VecDeque::new(),
            has_told: false,
            stops: None,
        }
    }

    /// What comes next. Nothing once all is read that [`read_all`](Streams::read_all) reads; else it waits.
    ///
    /// # Errors
    ///
    /// Those of the client; [`WrongTable`](Error::WrongTable) of a row that is no append; later calls go on behind it.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<Option<Notice>> {
        loop {
            if let Some(event) = self.next_of_past().await? {
                return Ok(Some(Notice::Event(event)));
            }
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(Notice::Event(ready.event)));
            }
            if !self.has_told && self.is_caught_up()? {
                self.has_told = true;
                if self.stops.is_none() {
                    return Ok(Some(Notice::CaughtUp));
                }
                self.scanner.close();
            }
            if self.has_told && self.stops.is_some() {
                return Ok(None);
            }
            let patience = if self.has_told { FOREVER } else { WHILE_BEHIND };
            let records = self.scanner.poll(patience).await?;
            self.take(&records)?;
        }
    }

    /// The events that are there without waiting, up to so many, of what was read already.
    pub fn take_ready(&mut self, most: usize) -> Vec<RecordedEvent> {
        let count = most.min(self.ready.len());
        self.ready.drain(..count).map(|ready| ready.event).collect()
    }

    /// The next event of what the stream had before.
    async fn next_of_past(&mut self) -> Result<Option<RecordedEvent>> {
        let Some(past) = self.past.as_mut().filter(|past| !past.is_read) else {
            return Ok(None);
        };
        match past.events.next().await {
            Some(Ok(event)) => {
                past.next_version = event.version + 1;
                Ok(Some(event))
            }
            // It may come to be.
            None | Some(Err(Error::NotFound { .. })) => {
                past.is_read = true;
                Ok(None)
            }
            Some(Err(error)) => Err(error),
        }
    }

    fn is_caught_up(&mut self) -> Result<bool> {
        if !self.behind.is_empty() {
            let positions = self.scanner.positions()?;
            for (bucket, start) in positions.buckets() {
                if let StartOffset::At(next) = start
                    && self.behind.get(&bucket).is_some_and(|end| next >= *end)
                {
                    self.behind.remove(&bucket);
                }
            }
        }
        Ok(self.behind.is_empty())
    }

    fn take(&mut self, records: &ScanRecords) -> Result<()> {
        let mut malformed = Ok(());
        for (bucket, record) in records.iter() {
            let stop = self
                .stops
                .as_ref()
                .map(|stops| stops.get(&bucket).copied().unwrap_or_default());
            if stop.is_some_and(|stop| record.offset >= stop) {
                continue;
            }
            let commit = match Commit::of(&record.row) {
                Ok(commit) => commit,
                Err(reason) => {
                    let table = self.scanner.table().path.clone();
                    malformed = Err(Error::WrongTable { table, reason });
                    continue;
                }
            };
            let place = Some((bucket.bucket, record.offset));
            for event in commit.recorded(place) {
                let is_wanted =
                    self.event_types.is_empty() || self.event_types.contains(&event.event.event_type);
                let is_new = self
                    .past
                    .as_ref()
                    .is_none_or(|past| event.version >= past.next_version);
                if is_wanted && is_new {
                    self.ready.push_back(Ready {
                        bucket,
                        offset: record.offset,
                        event,
                    });
                }
            }
        }
        malformed
    }

    /// From where another subscription to all streams goes on: behind the last append of which all events were handed out.
    ///
    /// # Errors
    ///
    /// The subscription is closed.
    pub fn positions(&self) -> Result<Positions> {
        let positions = self.scanner.positions()?;
        let held = self.ready.iter().rev();
        Ok(held.fold(positions, |positions, ready| {
            positions.moved(&ready.bucket, ready.offset)
        }))
    }

    /// Whether all that there was when the subscription began is handed out.
    pub const fn has_caught_up(&self) -> bool {
        self.has_told
    }

    /// What ends it, whoever calls it: who waits for an event then gets an error.
    pub fn closer(&self) -> impl Fn() + Send + Sync + 'static {
        let scanner = self.scanner.clone();
        move || scanner.close()
    }
}

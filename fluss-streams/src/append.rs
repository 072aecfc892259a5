//! Appends: all events of a call, or none, behind what the stream is expected to have.
//!
//! ```text
//! head: the last commit, remembered or looked for ─▶ is the stream as expected? ─▶ put commit n + 1 ─▶ whose is it?
//!    ▲                                                      │ no, as it is now                           │ ours: done
//!    └──────────────────────────────────────────────────────┼─────────────────────────────── another's ──┘
//!                                                           └▶ was it appended before? ─▶ done, or refused
//! ```

use std::collections::HashSet;
use std::time::Duration;

use fluss_client::id::{BucketId, Offset};
use fluss_client::{Context, ErrorKind, OffsetSpec, WriteHandle};
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock;
use crate::commit::{Commit, Head, Kind};
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::streams::{Shared, Streams};
use crate::version::{CurrentVersion, StreamState};

/// An append to whatever state is looked for among so many last commits, if it may have been made before.
const LOOKED_BACK: i64 = 16;
/// How long to wait for a row that is stored and not to be seen yet: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// An append that is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Appended {
    /// The version of the last of its events; of a deletion, of the last event before it.
    pub version: i64,
    /// A bucket of the table's changelog, and an offset there behind the append: whoever has read to there has seen it.
    /// Nothing if no server tells it.
    pub position: Option<(BucketId, Offset)>,
}

/// What is to be appended.
struct Append<'a> {
    stream: &'a str,
    kind: Kind,
    events: Vec<NewEvent>,
    expected: StreamState,
    deadline: Instant,
    timeout: Duration,
}

/// Whose a commit turned out to be.
enum Put {
    Ours(WriteHandle),
    Others(Commit),
}

impl Streams {
    /// Appends events to a stream that is in the state that is expected: all of them, or none.
    ///
    /// It costs two round trips, the write and a look at whose commit it is, if this program was the last that appended to
    /// the stream; else one or more before that, to find where the stream ends. Appends of one stream by one `Streams` wait
    /// for each other; those of others run into each other, and are tried again as long as the state is as expected.
    ///
    /// An append that is tried again with the same events, by their ids, is stored once: after
    /// [`OutcomeUnknown`](Error::OutcomeUnknown), or by a program that does not know whether it did it before. With
    /// [`Any`](StreamState::Any) and [`Exists`](StreamState::Exists) it is looked for among the last 16 appends of the stream.
    ///
    /// # Errors
    ///
    /// [`WrongCurrentVersion`](Error::WrongCurrentVersion), [`Deleted`](Error::Deleted): nothing was appended. No events, two
    /// of the same id, a stream without a name: nothing was sent. [`OutcomeUnknown`](Error::OutcomeUnknown).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves it open whether the events are stored.
    pub async fn append(
        &self,
        stream: &str,
        events: Vec<NewEvent>,
        expected: StreamState,
    ) -> Result<Appended> {
        let refuse = |reason: &str| Err(Error::InvalidArgument(reason.to_owned()));
        if events.is_empty() {
            return refuse("an append has at least one event");
        }
        let mut ids = HashSet::new();
        if !events.iter().all(|event| ids.insert(event.id)) {
            return refuse("two events of an append have the same id");
        }
        self.run(stream, Kind::Events, events, expected).await
    }

    /// Deletes a stream: what it has is read no more, by whoever reads the stream. Events that are appended later have the
    /// versions that follow. The rows stay in the table, whose merge engine keeps first rows: those that read or follow all
    /// streams still see the events.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); [`NotFound`](Error::NotFound).
    ///
    /// # Cancellation
    ///
    /// As [`append`](Self::append).
    pub async fn delete(&self, stream: &str, expected: StreamState) -> Result<Appended> {
        self.run(stream, Kind::Deletion, vec![mark("$deleted")], expected)
            .await
    }

    /// Deletes a stream for good, as [`delete`](Self::delete) does: nothing can be appended to it any more.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    ///
    /// # Cancellation
    ///
    /// As [`append`](Self::append).
    pub async fn tombstone(&self, stream: &str, expected: StreamState) -> Result<Appended> {
        self.run(stream, Kind::Tombstone, vec![mark("$tombstone")], expected)
            .await
    }

    async fn run(
        &self,
        stream: &str,
        kind: Kind,
        events: Vec<NewEvent>,
        expected: StreamState,
    ) -> Result<Appended> {
        if stream.is_empty() {
            return Err(Error::InvalidArgument("a stream has a name".to_owned()));
        }
        let append = Append {
            stream,
            kind,
            events,
            expected,
            deadline: Instant::now() + self.timeout,
            timeout: self.timeout,
        };
        self.shared.append(append).await
    }
}

impl Shared {
    async fn append(&self, append: Append<'_>) -> Result<Appended> {
        let slot = self.slot(append.stream);
        let mut end = append.in_time(slot.lock()).await?;
        // Another append may have been given up before it was known what became of it.
        let mut is_stale = end.head.is_none() || end.is_unsettled;
        loop {
            if is_stale || !append.suits(end.head.as_ref())? {
                let known = end.head.clone();
                end.head = append.in_time(self.find_head(append.stream, known)).await??;
                let before = append
                    .in_time(self.made_before(&append, end.head.as_ref()))
                    .await??;
                if let Some(commit) = before {
                    return Ok(self.stored(&commit, None, &append).await);
                }
            }
            if !append.suits(end.head.as_ref())? {
                return Err(append.refused(end.head.as_ref()));
            }
            let commit = append.commit(end.head.as_ref())?;
            end.is_unsettled = true;
            let put = self.put(&commit, &append).await?;
            end.is_unsettled = false;
            match put {
                Put::Ours(handle) => {
                    end.head = Some(commit.head());
                    return Ok(self.stored(&commit, Some(&handle), &append).await);
                }
                Put::Others(found) => {
                    end.head = Some(found.head());
                    is_stale = true;
                }
            }
        }
    }

    /// Puts a commit, and looks whose the commit of this number is: the first row of a key stays.
    async fn put(&self, commit: &Commit, append: &Append<'_>) -> Result<Put> {
        let mut pause = PAUSES.0;
        let mut may_be_stored = false;
        // Whatever becomes of a later try, an earlier one may be stored.
        let failed = |may_be_stored: bool, source: fluss_client::Error| {
            if may_be_stored {
                return Error::OutcomeUnknown {
                    stream: append.stream.to_owned(),
                    source,
                };
            }
            Error::Client(source)
        };
        loop {
            let row = commit.row();
            let taken = timeout_at(append.deadline, self.writer.upsert(&row)).await;
            let taken = taken.unwrap_or_else(|_| Err(append.late(false)));
            let handle = taken.map_err(|error| failed(may_be_stored, error))?;
            let failure = match timeout_at(append.deadline, handle.wait()).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) if error.is_outcome_unknown() => Some(error),
                Ok(Err(error)) => return Err(failed(may_be_stored, error)),
                Err(_) => Some(append.late(true)),
            };
            may_be_stored = true;
            let looked = timeout_at(append.deadline, self.commits.get(&commit.stream, commit.number)).await;
            let source = match (looked, failure) {
                (Ok(Ok(Some(found))), _) if found.is_of(commit.kind, &commit.events) => {
                    return Ok(Put::Ours(handle));
                }
                (Ok(Ok(Some(found))), _) => return Ok(Put::Others(found)),
                (Ok(Err(error @ Error::WrongTable { .. })), _) => return Err(error),
                (Ok(Err(Error::Client(error))), _) | (_, Some(error)) => error,
                (_, None) => append.late(true),
            };
            if Instant::now() + pause >= append.deadline || !source.is_retriable() {
                return Err(failed(may_be_stored, source));
            }
            sleep(pause).await;
            pause = (2 * pause).min(PAUSES.1);
        }
    }

    /// The commit that the same append became when it was tried before.
    async fn made_before(&self, append: &Append<'_>, head: Option<&Head>) -> Result<Option<Commit>> {
        let Some(head) = head.filter(|_| append.kind == Kind::Events) else {
            return Ok(None);
        };
        let version = match append.expected {
            StreamState::Any | StreamState::Exists => {
                let first = head.first_read.max(head.number + 1 - LOOKED_BACK);
                let last = self.commits.get_many(append.stream, first..=head.number).await?;
                return Ok(last.into_iter().flatten().find(|commit| append.is(commit)));
            }
            StreamState::Version(version) => version.saturating_add(1),
            StreamState::NoStream => {
                let first = self.commits.get(append.stream, head.first_read).await?;
                return Ok(first.filter(|commit| append.is(commit)));
            }
        };
        if !(0..head.next_version).contains(&version) || head.kind != Kind::Events {
            return Ok(None);
        }
        let number = self.commits.of_version(append.stream, head, version).await?;
        let there = self.commits.get(append.stream, number).await?;
        Ok(there.filter(|commit| commit.first_version == version && append.is(commit)))
    }

    /// Tells of a commit that is stored, whether or not anybody tells where.
    async fn stored(&self, commit: &Commit, handle: Option<&WriteHandle>, append: &Append<'_>) -> Appended {
        let told = handle.and_then(|handle| match handle.ends().into_iter().next() {
            Some((bucket, Some(end))) => Some((bucket.bucket, end)),
            _ => None,
        });
        let position = if told.is_some() {
            told
        } else {
            let found = timeout_at(append.deadline, self.place_of(commit)).await;
            found.ok().and_then(Result::ok).flatten()
        };
        Appended {
            version: commit.next_version() - 1,
            position,
        }
    }

    /// Finds where a commit is that is stored: it is put again, and stays as it is.
    async fn place_of(&self, commit: &Commit) -> Result<Option<(BucketId, Offset)>> {
        let row = commit.row();
        let handle = self.writer.upsert(&row).await?;
        handle.wait().await?;
        match handle.ends().into_iter().next() {
            Some((bucket, Some(end))) => Ok(Some((bucket.bucket, end))),
            // The server does not tell it of what it has stored already.
            Some((bucket, None)) => {
                let (path, admin) = (&self.table.info().path, self.connection.admin());
                let ends = admin
                    .list_offsets(path, &[bucket.bucket], OffsetSpec::Latest)
                    .await?;
                Ok(ends.into_iter().next())
            }
            None => Ok(None),
        }
    }
}

impl Append<'_> {
    /// Whether the stream is as expected.
    ///
    /// # Errors
    ///
    /// The stream was ended for good.
    fn suits(&self, head: Option<&Head>) -> Result<bool> {
        if head.is_some_and(|head| head.kind == Kind::Tombstone) {
            return Err(Error::Deleted {
                stream: self.stream.to_owned(),
            });
        }
        let current = current(head);
        Ok(match self.expected {
            StreamState::Any => true,
            StreamState::Exists => current != CurrentVersion::NoStream,
            StreamState::NoStream => current == CurrentVersion::NoStream,
            // Whoever knows how far a stream had come before it was deleted may go on from there.
            StreamState::Version(version) => head.is_some_and(|head| head.next_version - 1 == version),
        })
    }

    fn refused(&self, head: Option<&Head>) -> Error {
        Error::WrongCurrentVersion {
            stream: self.stream.to_owned(),
            expected: self.expected,
            actual: current(head),
        }
    }

    /// Whether a commit is what this append became.
    fn is(&self, commit: &Commit) -> bool {
        commit.is_of(self.kind, &self.events)
    }

    /// The commit that comes behind the last one.
    fn commit(&self, head: Option<&Head>) -> Result<Commit> {
        let is_there = current(head) != CurrentVersion::NoStream;
        if self.kind == Kind::Deletion && !is_there {
            return Err(Error::NotFound {
                stream: self.stream.to_owned(),
            });
        }
        let number = head.map_or(0, |head| head.number + 1);
        let first_read = match (self.kind, head) {
            (Kind::Events, Some(head)) if is_there => head.first_read,
            (Kind::Events, _) => number,
            (Kind::Deletion | Kind::Tombstone, _) => number + 1,
        };
        Ok(Commit {
            stream: self.stream.into(),
            number,
            first_version: head.map_or(0, |head| head.next_version),
            first_read,
            kind: self.kind,
            recorded_at: clock::now(),
            events: self.events.clone(),
        })
    }

    /// Waits for what belongs to the append, and is not the write itself.
    async fn in_time<T>(&self, wait: impl Future<Output = T>) -> Result<T> {
        let waited = timeout_at(self.deadline, wait).await;
        waited.map_err(|_| Error::Client(self.late(false)))
    }

    /// The time is over; of a write that was sent the outcome is unknown.
    fn late(&self, outcome_unknown: bool) -> fluss_client::Error {
        Context::new("append to stream").error(ErrorKind::Timeout {
            after: self.timeout,
            outcome_unknown,
        })
    }
}

fn current(head: Option<&Head>) -> CurrentVersion {
    head.map_or(CurrentVersion::NoStream, Head::current_version)
}

/// What a deletion is known by when it is tried again.
fn mark(event_type: &str) -> NewEvent {
    NewEvent::new(event_type, "")
}

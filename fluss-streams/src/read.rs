//! A stream, read by looking its appends up.

use std::collections::VecDeque;

use futures::stream::{self, Stream};

use crate::commit::{Commit, Head, Kind};
use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::streams::Streams;

/// How many appends are asked for at a time: at first, and at most.
const PAGE: (i64, i64) = (8, 256);
/// More of them are asked for as long as what came has fewer bytes.
const PAGE_BYTES: usize = 1 << 20;

/// What is read of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub struct ReadStream {
    /// The version of the first event that is read; nothing for the first of all, or the last of all if it is read backwards.
    pub from_version: Option<i64>,
    /// Whether the last events come first.
    pub backwards: bool,
    /// How many events are read at most.
    pub limit: Option<usize>,
}

impl Streams {
    /// The events of a stream, up to the last one that it has now.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound), [`Deleted`](Error::Deleted); those of the client. They are the stream's last item.
    ///
    /// # Cancellation
    ///
    /// The stream is read on from where it was.
    pub fn read_stream(
        &self,
        stream: &str,
        read: ReadStream,
    ) -> impl Stream<Item = Result<RecordedEvent>> + Send + 'static {
        let pages = Pages {
            streams: self.clone(),
            stream: stream.to_owned(),
            read,
            place: None,
            size: PAGE.0,
            ready: VecDeque::new(),
            left: read.limit.unwrap_or(usize::MAX),
        };
        stream::try_unfold(pages, |mut pages| async move {
            let event = pages.next().await?;
            Ok(event.map(|event| (event, pages)))
        })
    }
}

/// Where the reading of a stream is.
pub(crate) struct Pages {
    streams: Streams,
    stream: String,
    read: ReadStream,
    /// Once it is known, the first and the last append that are still to be asked for.
    place: Option<(i64, i64)>,
    size: i64,
    ready: VecDeque<RecordedEvent>,
    left: usize,
}

impl Pages {
    async fn next(&mut self) -> Result<Option<RecordedEvent>> {
        loop {
            if self.left == 0 {
                return Ok(None);
            }
            if let Some(event) = self.ready.pop_front() {
                self.left -= 1;
                return Ok(Some(event));
            }
            let place = match self.place {
                Some(place) => place,
                None => self.begin().await?,
            };
            if place.0 > place.1 {
                return Ok(None);
            }
            self.turn(place).await?;
        }
    }

    /// Finds where to begin and to end.
    async fn begin(&self) -> Result<(i64, i64)> {
        let shared = &self.streams.shared;
        let head = head_of(&self.stream, shared.look(&self.stream).await?)?;
        let edge = match self.read.from_version {
            Some(version) if version < 0 && self.read.backwards => return Ok((0, -1)),
            Some(version) if version >= head.next_version && !self.read.backwards => return Ok((0, -1)),
            Some(version) => shared.commits.of_version(&self.stream, &head, version).await?,
            None if self.read.backwards => head.number,
            None => head.first_read,
        };
        Ok(if self.read.backwards {
            (head.first_read, edge)
        } else {
            (edge, head.number)
        })
    }

    /// Gets the next appends.
    async fn turn(&mut self, (first, last): (i64, i64)) -> Result<()> {
        let (from, to, rest) = if self.read.backwards {
            let from = first.max(last.saturating_sub(self.size - 1));
            (from, last, (first, from - 1))
        } else {
            let to = last.min(first.saturating_add(self.size - 1));
            (first, to, (to + 1, last))
        };
        let commits = &self.streams.shared.commits;
        let found = commits.get_many(&self.stream, from..=to).await?;
        let there = |(number, commit): (i64, Option<Commit>)| {
            commit.ok_or_else(|| commits.wrong(&self.stream, number, "it is missing"))
        };
        let found = (from..=to).zip(found).map(there).collect::<Result<Vec<_>>>()?;
        let bytes: usize = found
            .iter()
            .flat_map(|commit| &commit.events)
            .map(|event| event.data.len())
            .sum();
        if bytes < PAGE_BYTES {
            self.size = (2 * self.size).min(PAGE.1);
        }
        let events = found.into_iter().flat_map(|commit| commit.recorded(None));
        let version = self.read.from_version;
        if self.read.backwards {
            let is_read = |event: &RecordedEvent| version.is_none_or(|version| event.version <= version);
            self.ready
                .extend(events.filter(is_read).collect::<Vec<_>>().into_iter().rev());
        } else {
            let is_read = |event: &RecordedEvent| version.is_none_or(|version| event.version >= version);
            self.ready.extend(events.filter(is_read));
        }
        self.place = Some(rest);
        Ok(())
    }
}

/// The last append of a stream that can be read.
fn head_of(stream: &str, head: Option<Head>) -> Result<Head> {
    let stream = || stream.to_owned();
    match head {
        Some(head) if head.kind == Kind::Events => Ok(head),
        Some(head) if head.kind == Kind::Tombstone => Err(Error::Deleted { stream: stream() }),
        _ => Err(Error::NotFound { stream: stream() }),
    }
}

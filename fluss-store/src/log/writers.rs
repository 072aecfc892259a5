//! What a bucket knows of idempotent writers (`behaviour.md` §2.2).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};

use fluss_core::id::{BatchSequence, WriterId};
use fluss_core::record::log::LogBatchHeader;

use super::{Error, Span};

/// How many batches of a writer are known again when they come twice.
const WINDOW: usize = 5;

/// The writers of a bucket, and the last batches of each.
#[derive(Clone, Debug)]
pub(super) struct Writers {
    /// How long a writer is remembered.
    expiration_ms: i64,
    writers: HashMap<WriterId, Writer>,
}

/// The last batches of a writer, the newest last; one at least.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Writer {
    batches: VecDeque<Batch>,
    /// When the newest was stored.
    last_write_ms: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Batch {
    sequence: BatchSequence,
    span: Span,
}

/// What a batch says of its writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    pub(super) writer: WriterId,
    /// Absent in a batch whose writer does not number its batches in the way that it should.
    pub(super) sequence: Option<BatchSequence>,
}

impl Stamp {
    pub(super) fn of(header: &LogBatchHeader) -> Option<Self> {
        let writer = header.writer_id?;
        Some(Self {
            writer,
            sequence: header.batch_sequence,
        })
    }
}

impl Writers {
    pub(super) fn new(expiration: Duration) -> Self {
        Self {
            expiration_ms: i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX),
            writers: HashMap::new(),
        }
    }

    /// Where a batch is stored already; nothing if it is its writer's next.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfOrder`] if it is neither.
    pub(super) fn check(&self, stamp: Stamp, now_ms: i64) -> Result<Option<Span>, Error> {
        let writer = self
            .writers
            .get(&stamp.writer)
            .filter(|writer| self.is_known(writer, now_ms));
        let stored = writer.and_then(|writer| writer.find(stamp.sequence?));
        if stored.is_none() {
            expect(stamp, writer.and_then(Writer::last))?;
        }
        Ok(stored)
    }

    /// Where one of the batches of an append is stored already; nothing if all of them come next, one after the other.
    pub(super) fn check_all(&self, headers: &[LogBatchHeader], now_ms: i64) -> Result<Option<Span>, Error> {
        let stamps: Vec<_> = headers.iter().filter_map(Stamp::of).collect();
        let is_stored = |stamp: &Stamp| self.check(*stamp, now_ms).ok().flatten();
        if let Some(stored) = stamps.iter().find_map(is_stored) {
            return Ok(Some(stored));
        }
        for (at, stamp) in stamps.iter().enumerate() {
            let before = stamps
                .iter()
                .take(at)
                .rfind(|before| before.writer == stamp.writer);
            match before {
                Some(before) => expect(*stamp, before.sequence)?,
                None => drop(self.check(*stamp, now_ms)?),
            }
        }
        Ok(None)
    }

    /// Notes a batch that was stored.
    pub(super) fn note(&mut self, header: &LogBatchHeader) {
        let (Some(writer), Some(sequence)) = (header.writer_id, header.batch_sequence) else {
            return;
        };
        let writer = self.writers.entry(writer).or_default();
        if writer.last().is_some_and(|last| last.next() != sequence) {
            // A writer that was forgotten has begun again.
            writer.batches.clear();
        }
        writer.last_write_ms = header.commit_timestamp;
        writer.batches.truncate(WINDOW);
        if writer.batches.len() == WINDOW {
            writer.batches.pop_front();
        }
        writer.batches.push_back(Batch {
            sequence,
            span: Span {
                base_offset: header.base_offset,
                next_offset: header.next_offset(),
            },
        });
    }

    /// Forgets those that have not written for long.
    pub(super) fn expire(&mut self, now_ms: i64) {
        let expiration_ms = self.expiration_ms;
        self.writers
            .retain(|_, writer| writer.is_known(expiration_ms, now_ms));
    }

    fn is_known(&self, writer: &Writer, now_ms: i64) -> bool {
        writer.is_known(self.expiration_ms, now_ms)
    }

    pub(super) fn encode(&self, out: &mut impl BufMut) {
        out.put_u64(self.writers.len() as u64);
        for (id, writer) in &self.writers {
            out.put_i64(id.get());
            out.put_i64(writer.last_write_ms);
            out.put_u8(writer.batches.len() as u8);
            for batch in &writer.batches {
                out.put_i32(batch.sequence.get());
                out.put_i64(batch.span.base_offset);
                out.put_i64(batch.span.next_offset);
            }
        }
    }

    /// Takes the writers that were written down in the place of its own.
    pub(super) fn restore(&mut self, bytes: &mut Bytes) -> Option<()> {
        self.writers.clear();
        for _ in 0..bytes.try_get_u64().ok()? {
            let id = WriterId(bytes.try_get_i64().ok()?);
            self.writers.insert(id, Writer::decode(bytes)?);
        }
        Some(())
    }
}

/// Whether a batch comes behind the one with the number `last`, or begins.
fn expect(stamp: Stamp, last: Option<BatchSequence>) -> Result<(), Error> {
    let expected = last.map_or(BatchSequence::FIRST, BatchSequence::next);
    if stamp.sequence == Some(expected) {
        return Ok(());
    }
    Err(Error::OutOfOrder {
        writer: stamp.writer,
        found: stamp.sequence,
        expected,
    })
}

impl Writer {
    fn last(&self) -> Option<BatchSequence> {
        self.batches.back().map(|batch| batch.sequence)
    }

    fn find(&self, sequence: BatchSequence) -> Option<Span> {
        let found = self.batches.iter().find(|batch| batch.sequence == sequence);
        found.map(|batch| batch.span)
    }

    fn is_known(&self, expiration_ms: i64, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_write_ms) < expiration_ms
    }

    fn decode(bytes: &mut Bytes) -> Option<Self> {
        let last_write_ms = bytes.try_get_i64().ok()?;
        let batches = (0..bytes.try_get_u8().ok()?).map(|_| {
            Some(Batch {
                sequence: BatchSequence(bytes.try_get_i32().ok()?),
                span: Span {
                    base_offset: bytes.try_get_i64().ok()?,
                    next_offset: bytes.try_get_i64().ok()?,
                },
            })
        });
        let batches = batches.collect::<Option<_>>()?;
        Some(Self {
            batches,
            last_write_ms,
        })
    }
}

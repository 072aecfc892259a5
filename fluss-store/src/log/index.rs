use bytes::{Buf, BufMut, Bytes};

use fluss_core::id::Offset;

/// How many bytes of a segment share one entry: a read begins at an entry, and skips the batches before its own. An
/// entry takes 32 bytes, so that the index of 100 GB is kept in 100 MB.
const STRIDE: u64 = 32 * 1024;

const ENTRY_BYTES: usize = 28;

/// A batch and where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// The offset of its first record.
    pub(super) offset: Offset,
    /// Where it begins in the segment, in bytes.
    pub(super) position: u64,
    /// Its commit timestamp.
    pub(super) timestamp: i64,
    /// The checksum of the commit timestamps before it.
    pub(super) times: Times,
}

/// A checksum of the commit timestamps of a segment up to some place: those of the batches do not cover them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Times(u32);

impl Entry {
    pub(super) const fn mark(&self) -> Mark {
        Mark {
            position: self.position,
            times: self.times,
        }
    }
}

impl Times {
    /// That of one batch more.
    #[must_use]
    pub(super) fn and(self, timestamp: i64) -> Self {
        Self(crc32c::crc32c_append(self.0, &timestamp.to_le_bytes()))
    }

    pub(super) fn encode(self, out: &mut impl BufMut) {
        out.put_u32(self.0);
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Option<Self> {
        bytes.try_get_u32().ok().map(Self)
    }
}

/// A place in a segment, and the checksum of the commit timestamps before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) position: u64,
    pub(super) times: Times,
}

/// The places of some of the batches of a segment, of the first in any case: by offset, and, as commit timestamps do
/// not go back, by time.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Index(Vec<Entry>);

impl Index {
    /// Notes the next batch, unless one close before it is there.
    pub(super) fn note(&mut self, entry: Entry) {
        if self
            .0
            .last()
            .is_none_or(|last| last.position + STRIDE <= entry.position)
        {
            self.0.push(entry);
        }
    }

    /// Notes the next batch in any case: what is before it cannot be read.
    pub(super) fn note_after_damage(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// Where to begin to look for the batch that contains an offset.
    pub(super) fn at_or_before(&self, offset: Offset) -> Option<Entry> {
        let behind = self.0.partition_point(|entry| entry.offset <= offset);
        self.0.get(behind.checked_sub(1)?).copied()
    }

    /// The marks behind the one to begin with for an offset, up to a number of bytes behind the first of them, which is
    /// where the batch that contains the offset has ended for certain. `end` is the mark at the end of the segment.
    pub(super) fn marks_behind(&self, offset: Offset, bytes: u64, end: Mark) -> Vec<Mark> {
        let behind = self.0.partition_point(|entry| entry.offset <= offset);
        let entries = self.0.get(behind..).unwrap_or_default().iter();
        let mut marks = entries.map(Entry::mark).chain([end]).peekable();
        let limit = marks
            .peek()
            .map_or(0, |first| first.position)
            .saturating_add(bytes);
        marks.take_while(|mark| mark.position <= limit).collect()
    }

    /// Where to begin to look for the first batch of a time or later.
    pub(super) fn before_time(&self, timestamp: i64) -> Option<Entry> {
        let from = self.0.partition_point(|entry| entry.timestamp < timestamp);
        self.0.get(from.saturating_sub(1)).copied()
    }

    #[cfg(test)]
    pub(super) fn offsets(&self) -> impl Iterator<Item = Offset> {
        self.0.iter().map(|entry| entry.offset)
    }

    pub(super) fn encode(&self, out: &mut impl BufMut) {
        out.put_u64(self.0.len() as u64);
        for entry in &self.0 {
            out.put_i64(entry.offset);
            out.put_u64(entry.position);
            out.put_i64(entry.timestamp);
            entry.times.encode(out);
        }
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Option<Self> {
        let count = usize::try_from(bytes.try_get_u64().ok()?).ok()?;
        if count > bytes.len() / ENTRY_BYTES {
            return None;
        }
        let entries = (0..count).map(|_| {
            Some(Entry {
                offset: bytes.try_get_i64().ok()?,
                position: bytes.try_get_u64().ok()?,
                timestamp: bytes.try_get_i64().ok()?,
                times: Times::decode(bytes)?,
            })
        });
        entries.collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn entry(offset: Offset, position: u64, timestamp: i64) -> Entry {
        Entry {
            offset,
            position,
            timestamp,
            times: Times(0),
        }
    }

    fn index() -> Index {
        let mut index = Index::default();
        index.note(entry(10, 0, 5));
        index.note(entry(11, 100, 6));
        index.note(entry(20, STRIDE, 7));
        index.note(entry(30, 5 * STRIDE, 7));
        index
    }

    #[test]
    fn batches_close_to_one_that_is_there_are_left_out() {
        assert_eq!(index().0.len(), 3);
    }

    #[test]
    fn an_offset_is_between_two_entries() {
        assert_eq!(index().at_or_before(9), None);
        assert_eq!(index().at_or_before(29), Some(entry(20, STRIDE, 7)));
        let marks = |offset, bytes| {
            let end = entry(99, 9 * STRIDE, 0).mark();
            let marks = index().marks_behind(offset, bytes, end).into_iter();
            marks.map(|mark| mark.position / STRIDE).collect::<Vec<_>>()
        };
        assert_eq!(marks(29, 0), [5]);
        assert_eq!(marks(10, 5 * STRIDE), [1, 5]);
        assert_eq!(marks(10, 8 * STRIDE), [1, 5, 9]);
        assert_eq!(marks(30, 0), [9]);
    }

    #[test]
    fn a_time_is_looked_for_from_the_last_batch_before_it() {
        assert_eq!(index().before_time(0), Some(entry(10, 0, 5)));
        assert_eq!(index().before_time(7), Some(entry(10, 0, 5)));
        assert_eq!(index().before_time(8), Some(entry(30, 5 * STRIDE, 7)));
    }

    #[test]
    fn an_index_comes_back_as_it_went() {
        let mut bytes = Vec::new();
        index().encode(&mut bytes);
        let mut read = Bytes::from(bytes);
        assert_eq!(Index::decode(&mut read), Some(index()));
        assert_eq!(Index::decode(&mut Bytes::from_static(&[0xff; 50])), None);
    }
}

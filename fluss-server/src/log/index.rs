use bytes::{Buf, BufMut, Bytes};

use fluss_core::id::Offset;

/// How many bytes of a segment share one entry: a read begins at an entry, and skips the batches before its own. An
/// entry has 24 bytes, so that the index of 100 GB is kept in 75 MB.
const STRIDE: u64 = 32 * 1024;

const ENTRY_BYTES: usize = 24;

/// A batch and where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// The offset of its first record.
    pub(super) offset: Offset,
    /// Where it begins in the segment, in bytes.
    pub(super) position: u64,
    /// Its commit timestamp.
    pub(super) timestamp: i64,
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

    /// Where the batch that contains an offset has ended for certain, if that is before the end of the segment.
    pub(super) fn behind(&self, offset: Offset) -> Option<u64> {
        let behind = self.0.partition_point(|entry| entry.offset <= offset);
        self.0.get(behind).map(|entry| entry.position)
    }

    /// Where to begin to look for the first batch of a time or later.
    pub(super) fn before_time(&self, timestamp: i64) -> Option<Entry> {
        let from = self.0.partition_point(|entry| entry.timestamp < timestamp);
        self.0.get(from.saturating_sub(1)).copied()
    }

    pub(super) fn encode(&self, out: &mut impl BufMut) {
        out.put_u64(self.0.len() as u64);
        for entry in &self.0 {
            out.put_i64(entry.offset);
            out.put_u64(entry.position);
            out.put_i64(entry.timestamp);
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
        assert_eq!(index().behind(29), Some(5 * STRIDE));
        assert_eq!(index().behind(30), None);
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

//! The keys of a batch, each with the value that it has so far.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use fluss_core::record::kv::KvRecord;
use fluss_store::state::{Change, Snapshot};

/// The value of a key while a batch is prepared.
#[derive(Clone, Debug)]
enum Held<'s> {
    Absent,
    /// As it was before the batch.
    Stored(&'s [u8]),
    /// Made by the batch: a stretch of what it has made.
    Made(Range<usize>),
}

#[derive(Debug)]
struct Slot<'s> {
    key: &'s [u8],
    held: Held<'s>,
    changed: bool,
}

/// The keys in the order of their bytes, and the values made for them.
#[derive(Debug)]
pub(super) struct Slots<'s> {
    keys: Vec<Slot<'s>>,
    /// Which slot is the key of each record.
    of_record: Vec<usize>,
    made: Vec<u8>,
}

impl<'s> Slots<'s> {
    /// The keys of these records. `earlier` are the changes of batches that were prepared before, and not committed.
    pub(super) fn new(
        records: &[KvRecord<'s>],
        earlier: &'s [Change],
        state: Option<&'s dyn Snapshot>,
    ) -> io::Result<Self> {
        let key = |record: &usize| records.get(*record).map_or::<&[u8], _>(&[], |record| record.key);
        let mut order: Vec<(u64, usize)> = records.iter().map(beginning).zip(0..).collect();
        order.sort_unstable_by(|(a, one), (b, other)| a.cmp(b).then_with(|| key(one).cmp(key(other))));
        let mut keys: Vec<Slot<'s>> = Vec::with_capacity(records.len());
        let mut of_record = vec![0; records.len()];
        for (_, record) in order {
            let key = key(&record);
            if keys.last().is_none_or(|last| last.key != key) {
                keys.push(Slot {
                    key,
                    held: held(key, earlier, state)?,
                    changed: false,
                });
            }
            if let Some(place) = of_record.get_mut(record) {
                *place = keys.len() - 1;
            }
        }
        Ok(Self {
            keys,
            of_record,
            made: Vec::with_capacity(records.iter().map(room).sum()),
        })
    }

    /// The number of records.
    pub(super) fn records(&self) -> usize {
        self.of_record.len()
    }

    /// The value of a record's key.
    pub(super) fn value(&self, record: usize) -> Option<&[u8]> {
        match &self.keys.get(*self.of_record.get(record)?)?.held {
            Held::Absent => None,
            Held::Stored(value) => Some(value),
            Held::Made(range) => self.made.get(range.clone()),
        }
    }

    /// Gives a record's key the value that `parts` make up.
    pub(super) fn put(&mut self, record: usize, parts: [&[u8]; 2]) {
        let start = self.made.len();
        for part in parts {
            self.made.extend_from_slice(part);
        }
        self.set(record, Held::Made(start..self.made.len()));
    }

    /// Removes a record's key.
    pub(super) fn remove(&mut self, record: usize) {
        self.set(record, Held::Absent);
    }

    fn set(&mut self, record: usize, held: Held<'s>) {
        let slot = self
            .of_record
            .get(record)
            .and_then(|slot| self.keys.get_mut(*slot));
        if let Some(slot) = slot {
            slot.held = held;
            slot.changed = true;
        }
    }

    /// What has changed, in the order of the keys.
    pub(super) fn into_changes(mut self) -> Vec<Change> {
        let changed = self.keys.iter().filter(|slot| slot.changed);
        let places: Vec<_> = changed
            .map(|slot| {
                let start = self.made.len();
                self.made.extend_from_slice(slot.key);
                let value = if let Held::Made(range) = &slot.held {
                    Some(range.clone())
                } else {
                    None
                };
                (start..self.made.len(), value)
            })
            .collect();
        let made = Bytes::from(self.made);
        let change = |(key, value): (Range<usize>, Option<Range<usize>>)| Change {
            key: made.slice(key),
            value: value.map(|value| made.slice(value)),
        };
        places.into_iter().map(change).collect()
    }
}

/// The first bytes of a record's key, which are in the order of the keys: few need another look.
fn beginning(record: &KvRecord<'_>) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    for (byte, of_key) in bytes.iter_mut().zip(record.key) {
        *byte = *of_key;
    }
    u64::from_be_bytes(bytes)
}

/// What a record needs if it is stored as it is.
fn room(record: &KvRecord<'_>) -> usize {
    size_of::<i16>() + record.row.map_or(0, <[u8]>::len) + record.key.len()
}

fn held<'s>(key: &[u8], earlier: &'s [Change], state: Option<&'s dyn Snapshot>) -> io::Result<Held<'s>> {
    if let Ok(found) = earlier.binary_search_by(|change| (*change.key).cmp(key)) {
        let value = earlier.get(found).and_then(|change| change.value.as_ref());
        return Ok(value.map_or(Held::Absent, |value| Held::Stored(value)));
    }
    let stored = state.map(|state| state.get(key)).transpose()?.flatten();
    Ok(stored.map_or(Held::Absent, Held::Stored))
}

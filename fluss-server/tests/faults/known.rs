//! What is known to have been written to a node, and what it may have of it.

use std::collections::BTreeMap;

use fluss_core::id::Offset;
use fluss_core::record::log::ChangeType;

use crate::contents::{Contents, Log};

/// What a record of a changelog tells.
pub(crate) type Change = (ChangeType, i32, i64);

/// The rows of a table: values by keys.
pub(crate) type Rows = BTreeMap<i32, i64>;

/// How many keys there are.
pub(crate) const KEYS: i32 = 20;

/// All that was written, by one writer to each table: an offset is the number of the record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// How many events were sent: each is its number.
    pub(crate) events: Offset,
    pub(crate) changes: Vec<Change>,
    pub(crate) rows: Rows,
    /// Before these places nothing may be lost.
    pub(crate) safe: Ends,
}

/// How far the two logs reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) events: Offset,
    pub(crate) changes: Offset,
}

/// What is written to a key: a value, or nothing any more.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write {
    Upsert(i32, i64),
    Delete(i32),
}

impl Known {
    /// The next event.
    pub(crate) fn event(&mut self) -> i64 {
        self.events += 1;
        self.events - 1
    }

    /// A write to some key, which changes something.
    pub(crate) fn write(&mut self, dice: &mut fastrand::Rng) -> Write {
        let id = dice.i32(0..KEYS);
        let before = self.rows.get(&id).copied();
        if let Some(before) = before.filter(|_| dice.u8(..4) == 0) {
            self.rows.remove(&id);
            self.changes.push((ChangeType::Delete, id, before));
            return Write::Delete(id);
        }
        let value = dice.i64(..);
        self.rows.insert(id, value);
        match before {
            Some(before) => {
                self.changes.push((ChangeType::UpdateBefore, id, before));
                self.changes.push((ChangeType::UpdateAfter, id, value));
            }
            None => self.changes.push((ChangeType::Insert, id, value)),
        }
        Write::Upsert(id, value)
    }

    pub(crate) fn ends(&self) -> Ends {
        Ends {
            events: self.events,
            changes: self.changes.len() as Offset,
        }
    }

    /// Everything that was sent has arrived, and is safe.
    pub(crate) fn all_is_safe(&mut self) {
        self.safe = self.ends();
    }

    /// The rows that a beginning of the changelog comes to.
    pub(crate) fn rows_at(&self, end: Offset) -> Rows {
        let mut rows = Rows::new();
        for (change, id, value) in &self.changes[..end as usize] {
            match change {
                ChangeType::Insert | ChangeType::UpdateAfter => drop(rows.insert(*id, *value)),
                ChangeType::Delete => drop(rows.remove(id)),
                ChangeType::UpdateBefore | ChangeType::AppendOnly => {}
            }
        }
        rows
    }

    pub(crate) fn check_events(&self, log: &Log<i64>) {
        let expected = log.start..log.end();
        assert!(log.records.iter().copied().eq(expected), "{:?}", log.records);
        assert!(log.end() <= self.events);
    }

    pub(crate) fn check_changes(&self, log: &Log<Change>) {
        let expected = self.changes.get(log.start as usize..log.end() as usize);
        assert_eq!(expected, Some(&*log.records));
    }

    /// A node has all that is safe, and nothing that was not sent.
    pub(crate) fn check(&self, contents: &Contents) {
        self.check_events(&contents.events);
        self.check_changes(&contents.changes);
        let (ends, safe) = (contents.ends(), self.safe);
        assert!(
            ends.events >= safe.events && ends.changes >= safe.changes,
            "{safe:?} is safe, {ends:?} is there"
        );
        assert_eq!(contents.rows, self.rows_at(ends.changes));
    }

    /// Goes on from what a node has: what it has not is lost.
    pub(crate) fn go_on_from(&mut self, contents: &Contents) {
        let ends = contents.ends();
        self.events = ends.events;
        self.changes.truncate(ends.changes as usize);
        self.rows = contents.rows.clone();
        self.all_is_safe();
    }
}

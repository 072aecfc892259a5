//! Numbers that are given out once, also if the node goes down in between.

use std::collections::HashMap;
use std::ops::Range;

use fluss_core::id::{TableId, WriterId};
use fluss_rpc::code::ErrorCode;

use super::view::Counters;
use super::{Catalog, Outcome};
use crate::Failure;

/// How many numbers are promised at a time: what of them was not given out when the node goes down is lost.
const AHEAD: i64 = 1_000;
/// The first value of an auto-increment column (`behaviour.md` §3.5).
const FIRST_VALUE: i64 = 1;

/// What this process gives out next.
#[derive(Debug, Default)]
pub(super) struct Given {
    writer: i64,
    auto_increment: HashMap<TableId, i64>,
}

impl Given {
    /// What goes on after the counters of the last process.
    pub(super) fn after(counters: Option<&Counters>) -> Self {
        counters.map_or_else(Self::default, |counters| Self {
            writer: counters.writer,
            auto_increment: counters
                .auto_increment
                .iter()
                .map(|(table, next)| (*table, *next))
                .collect(),
        })
    }
}

impl Catalog {
    /// A writer's identity that no other writer ever had.
    pub fn next_writer_id(&self) -> Result<WriterId, Failure> {
        let mut given = self.writing.lock();
        let ids = next(given.writer, 1)?;
        if ids.end > self.view().counters.writer {
            self.change_in_turn(|view| {
                view.counters.writer = ids.start.saturating_add(AHEAD);
                Ok(Outcome::New(()))
            })?;
        }
        given.writer = ids.end;
        Ok(WriterId(ids.start))
    }

    /// `count` values for the auto-increment column of a table, that no row of it ever had.
    ///
    /// # Errors
    /// `UNKNOWN_TABLE_OR_BUCKET`; the values have run out; the disk's.
    pub fn reserve_ids(&self, table: TableId, count: i64) -> Result<Range<i64>, Failure> {
        let mut given = self.writing.lock();
        let first = given.auto_increment.get(&table).copied().unwrap_or(FIRST_VALUE);
        let ids = next(first, count)?;
        let promised = self.view().counters.auto_increment.get(&table).copied();
        if promised.is_none_or(|promised| ids.end > promised) {
            self.change_in_turn(|view| {
                if view.table(table).is_none() {
                    return Err(Failure::new(
                        ErrorCode::UNKNOWN_TABLE_OR_BUCKET,
                        format!("table {table} does not exist"),
                    ));
                }
                let promise = ids.start.saturating_add(count.max(AHEAD));
                view.counters.auto_increment.insert(table, promise);
                Ok(Outcome::New(()))
            })?;
        }
        given.auto_increment.insert(table, ids.end);
        Ok(ids)
    }
}

fn next(first: i64, count: i64) -> Result<Range<i64>, Failure> {
    let end = first.checked_add(count.max(1));
    let end = end.ok_or_else(|| Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, "a counter has run out"))?;
    Ok(first..end)
}

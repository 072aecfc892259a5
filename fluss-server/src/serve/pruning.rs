//! Batches that a condition of the reader rules out (`v1_0.md` §8).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fluss_core::filter::Pushed;
use fluss_core::id::{Offset, SchemaId};
use fluss_core::record::log::{LogBatch, LogBatches};
use fluss_core::types::{LogFormat, Schema};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use crate::bucket::Bucket;
use crate::catalog::TableEntry;
use crate::error::Failure;

/// How much of a log is looked at at a time, in bytes.
const STRETCH: usize = 1 << 20;
/// How much is passed over for one answer, in bytes.
const MOST_PASSED: usize = 64 << 20;

/// A condition on the rows of a table, as the statistics of its batches can be compared with it.
pub(super) struct Pruning {
    /// By the schema of a batch. Batches of others stay.
    conditions: BTreeMap<SchemaId, (Pushed, Arc<Schema>)>,
}

/// What was read of a bucket.
pub(super) struct Found {
    pub(super) start: Offset,
    pub(super) high_watermark: Offset,
    pub(super) records: Bytes,
    /// What is below and is not among the records was left out.
    pub(super) filtered_end: Option<Offset>,
}

impl Pruning {
    /// The condition of a fetch. One that is not understood is none, as is one on a log without statistics.
    ///
    /// # Errors
    ///
    /// A condition that does not say which schema it is about.
    pub(super) fn new(
        table: &TableEntry,
        request: &proto::PbFetchLogReqForTable,
    ) -> Result<Option<Self>, Failure> {
        let Some(predicate) = &request.filter_predicate else {
            return Ok(None);
        };
        let id = request.filter_schema_id.ok_or_else(|| {
            let message = "a filter names no schema";
            Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, message)
        })?;
        let info = table.info();
        if info.has_primary_key() || info.properties.log_format != LogFormat::Arrow {
            return Ok(None);
        }
        let schema = i16::try_from(id).ok().and_then(|id| table.schema(SchemaId(id)));
        let condition = schema.and_then(|schema| {
            let condition = Pushed::decode(predicate, schema.row_type())?;
            Some((condition, schema))
        });
        let Some((condition, asked)) = condition else {
            return Ok(None);
        };
        let fitted = |(id, schema): (&SchemaId, &Arc<Schema>)| {
            let condition = condition.carried_over(asked.row_type(), schema.row_type())?;
            Some((*id, (condition, schema.clone())))
        };
        Ok(Some(Self {
            conditions: table.schemas().iter().filter_map(fitted).collect(),
        }))
    }

    /// Whether no row of a batch can hold the condition.
    fn rules_out(&self, batch: &LogBatch) -> bool {
        let Some((condition, schema)) = self.conditions.get(&batch.schema_id()) else {
            return false;
        };
        // Statistics that cannot be read tell nothing.
        let statistics = batch.statistics(schema.row_type()).ok().flatten();
        statistics.is_some_and(|statistics| !condition.may_hold(batch.record_count(), &statistics))
    }

    /// Reads a bucket from an offset on: of what is left, at most so many bytes, but the first batch whatever its size.
    /// `take` is asked for memory.
    pub(super) fn read(
        &self,
        bucket: &Bucket,
        from: Offset,
        (max_bytes, at_least_one): (usize, bool),
        mut take: impl FnMut(usize) -> Result<(), Failure>,
    ) -> Result<Found, Failure> {
        let (mut next, mut passed) = (from, 0);
        let mut kept = Kept::default();
        let mut filtered_end = None;
        loop {
            let (start, high_watermark, slice) = bucket.find(next, STRETCH, true)?;
            let stretch = slice.load()?;
            let mut at = 0;
            let mut is_full = false;
            for batch in LogBatches::new(stretch.clone()) {
                let batch =
                    batch.map_err(|error| Failure::new(ErrorCode::CORRUPT_RECORD, error.to_string()))?;
                let place = at..at + batch.len();
                at = place.end;
                if self.rules_out(&batch) {
                    passed += batch.len();
                    filtered_end = Some(batch.next_offset());
                } else {
                    filtered_end = None;
                    let is_first = kept.bytes == 0 && at_least_one;
                    is_full = kept.bytes + batch.len() > max_bytes && !is_first;
                    if is_full {
                        break;
                    }
                    if kept.add(&stretch, place) {
                        take(stretch.len())?;
                    }
                }
                next = batch.next_offset();
            }
            if is_full || stretch.is_empty() || next >= high_watermark || passed >= MOST_PASSED {
                return Ok(Found {
                    start,
                    high_watermark,
                    records: kept.joined(&mut take)?,
                    filtered_end,
                });
            }
        }
    }
}

/// The batches that stay.
#[derive(Default)]
struct Kept {
    /// Stretches, and what stays of each.
    pieces: Vec<(Bytes, Range<usize>)>,
    bytes: usize,
}

impl Kept {
    /// Adds a batch, and says whether it is the first of its stretch.
    fn add(&mut self, stretch: &Bytes, place: Range<usize>) -> bool {
        self.bytes += place.len();
        let last = self.pieces.last_mut();
        let same = last.filter(|(other, _)| other.as_ptr() == stretch.as_ptr());
        match same {
            Some((_, piece)) if piece.end == place.start => {
                piece.end = place.end;
                false
            }
            same => {
                let is_first = same.is_none();
                self.pieces.push((stretch.clone(), place));
                is_first
            }
        }
    }

    /// All in one piece, which copies more than one.
    fn joined(self, take: &mut impl FnMut(usize) -> Result<(), Failure>) -> Result<Bytes, Failure> {
        if let [(stretch, piece)] = &*self.pieces {
            return Ok(stretch.slice(piece.clone()));
        }
        if !self.pieces.is_empty() {
            take(self.bytes)?;
        }
        let mut joined = BytesMut::with_capacity(self.bytes);
        for (stretch, piece) in &self.pieces {
            joined.extend_from_slice(stretch.get(piece.clone()).unwrap_or_default());
        }
        Ok(joined.freeze())
    }
}

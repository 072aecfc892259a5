//! Rows that were collected for another number of buckets than their partition turned out to have (`v1_0.md` §5.5).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::batch::{Load, Part, Stage};
use super::layout::{Layout, Rows};
use super::partitions::{Slot, Target};
use super::router::{Room, Router};
use crate::shape::Shape;
use fluss_core::arrow::{ArrowRows, arrow_schema, split};
use fluss_core::record::kv::{KvBatch, KvBatchBuilder, KvRecord};
use fluss_core::record::log::{LogBatches, RowsBuilder, decode_arrow, decode_rows};
use fluss_core::row::{KeyEncoder, RowFormat};
use fluss_core::types::{Datum, OwnedRow, Row, TableInfo, TablePath};
use fluss_core::{DecodeError, ValueError};

/// Takes batches apart, and has their rows go where the router says now.
///
/// A batch is encoded, if it is not yet, and read again: that is slow, and seldom needed.
pub(super) struct Rerouter<'r> {
    info: &'r TableInfo,
    layout: &'r Layout,
    router: &'r mut Router,
}

/// Rows of a batch that go to one bucket.
pub(super) struct Group {
    pub(super) target: Target,
    /// Their numbers in the batch.
    pub(super) rows: Vec<u32>,
    pub(super) stage: Stage,
}

impl<'r> Rerouter<'r> {
    pub(super) const fn new(info: &'r TableInfo, layout: &'r Layout, router: &'r mut Router) -> Self {
        Self { info, layout, router }
    }

    pub(super) const fn path(&self) -> &TablePath {
        &self.info.path
    }

    /// Whether buckets of a partition that were chosen among so many are still right.
    pub(super) fn fits(&self, slot: Slot, buckets: i32) -> bool {
        self.router.count(slot) == buckets
    }

    /// A part that was cut before it was known how many buckets its partition has, as parts that fit.
    pub(super) fn regroup_part(&mut self, part: Part) -> Result<Vec<Part>, ValueError> {
        let (slot, start, load) = (part.target.slot, part.start, part.load);
        let groups = self.regroup(slot, part.stage)?;
        let buckets = self.router.count(slot);
        let row_bytes = load.bytes / (load.rows.max(1) as usize) + 1;
        let parts = groups.into_iter().map(|group| Part {
            target: group.target,
            buckets,
            load: Load {
                rows: group.rows.len() as u32,
                bytes: row_bytes * group.rows.len(),
            },
            stage: group.stage,
            start,
        });
        Ok(parts.collect())
    }

    /// The rows of a batch, by where they go now, and in their order.
    pub(super) fn regroup(&mut self, slot: Slot, stage: Stage) -> Result<Vec<Group>, ValueError> {
        let mut batch = match stage {
            Stage::Raw(rows) => self.layout.encode(rows)?,
            Stage::Encoded(batch) => batch,
            Stage::Encoding => return Err(ValueError::row("the batch is being encoded")),
        };
        let bytes = batch.seal(None);
        match self.layout.rows() {
            Some((format, Some(key))) => {
                let batch = KvBatch::new(bytes).map_err(unreadable)?;
                self.regroup_by_key(slot, &batch, format, key)
            }
            Some((format, None)) => self.regroup_rows(slot, bytes, format),
            None => self.regroup_columns(slot, bytes),
        }
    }

    fn targets(
        &mut self,
        slot: Slot,
        rows: impl Iterator<Item = impl Row>,
    ) -> Result<Vec<Target>, ValueError> {
        rows.map(|row| self.router.route(slot, &row, |_| Room::Open))
            .collect()
    }

    fn regroup_columns(&mut self, slot: Slot, bytes: Bytes) -> Result<Vec<Group>, ValueError> {
        let row_type = self.layout.row_type();
        let mut rows = None;
        for batch in LogBatches::new(bytes) {
            let batch = batch.map_err(unreadable)?;
            rows = Some(decode_arrow(&batch, &arrow_schema(row_type)).map_err(unreadable)?);
        }
        let Some(columns) = rows else {
            return Ok(Vec::new());
        };
        let rows = ArrowRows::new(columns.clone(), row_type)?;
        let targets = self.targets(slot, (0..rows.len()).map(|index| rows.row(index)))?;
        let mut numbers = by_target(&targets);
        let parts = split(&columns, &targets)?.into_iter();
        Ok(parts
            .map(|(target, rows)| Group {
                target,
                rows: numbers.remove(&target).unwrap_or_default(),
                stage: Stage::Raw(Rows::Batch(rows)),
            })
            .collect())
    }

    fn regroup_rows(
        &mut self,
        slot: Slot,
        bytes: Bytes,
        format: RowFormat,
    ) -> Result<Vec<Group>, ValueError> {
        let row_type = self.layout.row_type();
        let mut rows = Vec::new();
        for batch in LogBatches::new(bytes) {
            let batch = batch.map_err(unreadable)?;
            for record in decode_rows(&batch, format, row_type) {
                rows.push(record.map_err(unreadable)?);
            }
        }
        let targets = self.targets(slot, rows.iter().map(|(_, row)| row.as_slice()))?;
        let mut groups = Vec::new();
        for (target, numbers) in by_target(&targets) {
            let mut group = RowsBuilder::new(format, self.info.schema_id, true);
            for (change, row) in numbers.iter().filter_map(|number| rows.get(*number as usize)) {
                group.append(row_type, *change, row)?;
            }
            groups.push(Group {
                target,
                rows: numbers,
                stage: Stage::Encoded(group.finish()?),
            });
        }
        Ok(groups)
    }

    fn regroup_by_key(
        &mut self,
        slot: Slot,
        batch: &KvBatch,
        format: RowFormat,
        key: &KeyEncoder,
    ) -> Result<Vec<Group>, ValueError> {
        let row_type = self.layout.row_type();
        let keys = Shape::named(row_type, &self.info.physical_primary_key());
        let keys = keys.map_err(|error| ValueError::row(error.to_string()))?;
        let records = batch
            .records()
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        // The bucket key is among the columns of the key, which a row that is deleted has too.
        let row = |record: &KvRecord<'_>| -> Result<OwnedRow, DecodeError> {
            let values = key.decode(record.key)?;
            Ok(keys.spread(&values).to_owned_row())
        };
        let rows = records.iter().map(row).collect::<Result<Vec<_>, _>>();
        let targets = if let Ok(rows) = rows {
            self.targets(slot, rows.into_iter())?
        } else {
            // A key that cannot be taken apart belongs to a row that can.
            let row = |bytes: Option<&[u8]>| -> Result<OwnedRow, DecodeError> {
                let row = format.decode(row_type, bytes.unwrap_or_default())?;
                Ok(row.into_iter().map(Datum::into_owned).collect())
            };
            let rows = records.iter().map(|record| row(record.row));
            let rows = rows.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
            self.targets(slot, rows.into_iter())?
        };
        let mut groups = Vec::new();
        for (target, numbers) in by_target(&targets) {
            let mut group = KvBatchBuilder::new(self.info.schema_id);
            for record in numbers.iter().filter_map(|number| records.get(*number as usize)) {
                group.append_with(record.key, |out| {
                    out.extend_from_slice(record.row.unwrap_or_default());
                    Ok(())
                })?;
            }
            groups.push(Group {
                target,
                rows: numbers,
                stage: Stage::Encoded(group.finish()?),
            });
        }
        Ok(groups)
    }
}

/// The numbers of rows, by where they go.
fn by_target(targets: &[Target]) -> BTreeMap<Target, Vec<u32>> {
    let mut numbers: BTreeMap<Target, Vec<u32>> = BTreeMap::new();
    for (number, target) in (0..).zip(targets) {
        numbers.entry(*target).or_default().push(number);
    }
    numbers
}

/// What this client has written itself.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn unreadable(error: DecodeError) -> ValueError {
    ValueError::row(format!("a batch cannot be taken apart: {error}"))
}

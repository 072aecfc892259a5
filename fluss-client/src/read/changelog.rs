//! The rows that changelogs lead to, bucket by bucket.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::bounds::Ranges;
use super::columns::Columns;
use super::kv_snapshot::KvSnapshots;
use super::reader::BoundedReader;
use crate::error::{ErrorKind, Result};
use crate::scan::{ScanBatch, ScanBuilder};
use fluss_core::DecodeError;
use fluss_core::id::{Offset, TableBucket};
use fluss_core::record::log::ChangeType;

use super::collapse::Collapse;

/// Reads buckets of a primary-key table as they were when their logs ended at an offset: from the latest snapshot that the
/// cluster keeps of a bucket, unless that is of a later moment, or else from the beginning of its changelog.
pub(super) struct Changelogs {
    scan: ScanBuilder,
    columns: Arc<Columns>,
    snapshots: KvSnapshots,
}

impl Changelogs {
    /// Finds out which snapshots there are: those that are known before it is known where reading ends do not come after
    /// that.
    pub(super) async fn find(scan: ScanBuilder, columns: Arc<Columns>) -> Result<Self> {
        let snapshots = KvSnapshots::find(scan.table().cluster(), &columns).await?;
        Ok(Self {
            scan,
            columns,
            snapshots,
        })
    }

    /// The rows of a bucket, in the columns that are shown; nothing if it was dropped before all was read: what was read in
    /// part is of no moment at all.
    pub(super) async fn rows(&self, bucket: TableBucket, end: Offset) -> Result<Option<Vec<RecordBatch>>> {
        let columns = &self.columns;
        let mut table = columns.collapse();
        let mut start = None;
        if let Some(beginning) = self.snapshots.begin(bucket, end).await? {
            start = Some(beginning.offset);
            for rows in beginning.rows {
                let inserts = vec![ChangeType::Insert; rows.num_rows()].into();
                table.apply(rows, inserts).map_err(|error| columns.fault(error))?;
            }
        }
        // The filter is for the rows that are left, not for changes.
        let scanner = self.scan.scanner(Some(&columns.read), None)?;
        let mut reader = BoundedReader::begin(scanner, &Ranges::from([(bucket, (start, end))]))?;
        while let Some(scanned) = reader.next_batch().await? {
            apply(&mut table, scanned).map_err(|error| columns.fault(error))?;
        }
        if reader.was_dropped(&bucket)? {
            return Ok(None);
        }
        let rows = table.finish().map_err(|error| columns.fault(error))?;
        rows.iter()
            .map(|rows| columns.show(rows))
            .collect::<Result<_>>()
            .map(Some)
    }
}

fn apply(table: &mut Collapse, scanned: ScanBatch) -> Result<(), ErrorKind> {
    let types = scanned.change_types.unwrap_or_else(|| Arc::from([]));
    if types.len() != scanned.batch.num_rows() {
        return Err(DecodeError::new("changelog", "rows without change types").into());
    }
    table.apply(scanned.batch, types).map_err(ErrorKind::from)
}

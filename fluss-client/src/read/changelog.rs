//! The rows that changelogs lead to, bucket by bucket.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::bounds::Ranges;
use super::columns::Columns;
use super::end::End;
use super::kv_snapshot::KvSnapshots;
use super::reader::BoundedReader;
use crate::error::{ErrorKind, Result};
use crate::scan::{ScanBatch, ScanBuilder};
use fluss_core::DecodeError;
use fluss_core::id::TableBucket;
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

    /// The rows that a bucket had when its log ended at `end`, in the columns that are shown. If it was dropped before all was
    /// read there are none, and no end: what was read in part is of no moment at all.
    pub(super) async fn rows(&self, bucket: TableBucket, end: &End) -> Result<Vec<RecordBatch>> {
        let (columns, last) = (&self.columns, end.get().unwrap_or(0));
        let mut table = columns.collapse();
        let mut start = None;
        if let Some(beginning) = self.snapshots.begin(bucket, last).await? {
            start = Some(beginning.offset);
            for rows in beginning.rows {
                let inserts = vec![ChangeType::Insert; rows.num_rows()].into();
                table.apply(rows, inserts).map_err(|error| columns.fault(error))?;
            }
        }
        // The filter is for the rows that are left, not for changes.
        let scanner = self.scan.scanner(Some(&columns.read), None)?;
        let mut reader = BoundedReader::begin(scanner, &Ranges::from([(bucket, (start, last))]))?;
        while let Some(scanned) = reader.next_batch().await? {
            apply(&mut table, scanned).map_err(|error| columns.fault(error))?;
        }
        if reader.was_dropped(&bucket)? {
            end.forget();
            return Ok(Vec::new());
        }
        let rows = table.finish().map_err(|error| columns.fault(error))?;
        rows.iter().map(|rows| columns.show(rows)).collect()
    }
}

fn apply(table: &mut Collapse, scanned: ScanBatch) -> Result<(), ErrorKind> {
    let types = scanned.change_types.unwrap_or_else(|| Arc::from([]));
    if types.len() != scanned.batch.num_rows() {
        return Err(DecodeError::new("changelog", "rows without change types").into());
    }
    table.apply(scanned.batch, types).map_err(ErrorKind::from)
}

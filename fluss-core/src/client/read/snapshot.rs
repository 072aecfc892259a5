//! Tables as they are, or as they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::bounds::{AsOf, Bounds, Ranges};
use super::collapse::Collapse;
use super::reader::BoundedReader;
use super::scan_kv::{KvScan, is_unsupported};
use crate::arrow::user_schema;
use crate::client::admin::{Admin, OffsetSpec, each_bucket};
use crate::client::error::{Context, ErrorKind, Result};
use crate::client::scan::{ScanBatch, ScanBuilder};
use crate::error::{DecodeError, ValueError};
use crate::id::{Offset, TableBucket};
use crate::row::KeyEncoder;
use crate::types::{RowType, TableInfo};

/// The rows of a table as they were at one moment of each bucket.
#[derive(Clone, Debug)]
pub struct Snapshot {
    schema: SchemaRef,
    offsets: BTreeMap<TableBucket, Offset>,
    batches: Vec<(TableBucket, RecordBatch)>,
}

impl Snapshot {
    /// The Arrow schema of the batches.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which moment of each bucket it shows: the end of its log, from which a scanner goes on.
    pub const fn offsets(&self) -> &BTreeMap<TableBucket, Offset> {
        &self.offsets
    }

    /// The rows, bucket by bucket.
    pub fn batches(&self) -> impl Iterator<Item = (TableBucket, &RecordBatch)> {
        self.batches.iter().map(|(bucket, batch)| (*bucket, batch))
    }

    /// The rows alone.
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.batches.into_iter().map(|(_, batch)| batch).collect()
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(|(_, batch)| batch.num_rows()).sum()
    }
}

impl ScanBuilder {
    /// The whole table, in all partitions that there are when reading begins: each bucket as it was at one moment, which
    /// [`Snapshot::offsets`] tells.
    ///
    /// The rows of a primary-key table as it is now are those that its servers give out, where they do. Otherwise they are
    /// made of its changelog; the memory that takes is proportional to the rows that there are, not to the changes. Of a
    /// log table, these are the rows that are still there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Expired`] if the changelog of a primary-key table does not reach back to its beginning. Otherwise as
    /// [`read`](Self::read).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn snapshot(self, as_of: AsOf) -> Result<Snapshot> {
        if self.table().info().has_primary_key() {
            return self.rows_by_key(as_of).await;
        }
        let mut reader = self.read(Bounds::from(as_of)).await?;
        let mut batches = Vec::new();
        while let Some(scanned) = reader.next_batch().await? {
            batches.push((scanned.bucket, scanned.batch));
        }
        batches.sort_by_key(|(bucket, _)| *bucket);
        Ok(Snapshot {
            schema: reader.schema().clone(),
            offsets: reader.ends().clone(),
            batches,
        })
    }

    async fn rows_by_key(self, as_of: AsOf) -> Result<Snapshot> {
        if as_of == AsOf::Latest {
            match self.scanned().await {
                Err(error) if is_unsupported(&error) => {}
                scanned => return scanned,
            }
        }
        self.collapsed(as_of).await
    }

    /// The rows as the servers give them out, where they do.
    async fn scanned(&self) -> Result<Snapshot> {
        let (info, connection) = (self.table().shared_info(), self.table().connection());
        let columns = Columns::new(&info, self.columns()?)?;
        let scan = KvScan::new(connection, &info, columns.shown());
        let buckets = connection.admin().table_buckets(&info).await?;
        let (mut offsets, mut batches) = (BTreeMap::new(), Vec::new());
        for (bucket, (offset, rows)) in each_bucket(buckets, |bucket| scan.read(bucket)).await? {
            offsets.insert(bucket, offset);
            batches.extend(rows.into_iter().map(|rows| (bucket, rows)));
        }
        Ok(Snapshot {
            schema: columns.schema,
            offsets,
            batches,
        })
    }

    /// The rows that the changelog leads to.
    async fn collapsed(self, as_of: AsOf) -> Result<Snapshot> {
        let info = self.table().shared_info();
        let columns = Columns::new(&info, self.columns()?)?;
        let scanner = self.scanner(Some(&columns.read));
        let admin = self.table().connection().admin();
        let ranges = Bounds::from(as_of).resolve(&scanner, &admin).await?;
        check_beginnings(&admin, &info, &ranges).await?;
        let mut reader = BoundedReader::begin(scanner, &ranges);
        let mut tables: BTreeMap<TableBucket, Collapse> = BTreeMap::new();
        let context = || Context::new("read").table(&info.path);
        while let Some(scanned) = reader.next_batch().await? {
            let table = tables.entry(scanned.bucket).or_insert_with(|| columns.collapse());
            apply(table, scanned).map_err(|error| context().error(error))?;
        }
        // What was read in part is of no moment at all.
        let is_whole = |bucket: &TableBucket| !reader.was_dropped(bucket);
        let mut batches = Vec::new();
        for (bucket, table) in tables {
            if is_whole(&bucket) {
                let rows = table.finish().map_err(|error| context().error(error))?;
                for rows in rows {
                    batches.push((
                        bucket,
                        columns.show(&rows).map_err(|error| context().error(error))?,
                    ));
                }
            }
        }
        let mut offsets = reader.ends().clone();
        offsets.retain(|bucket, _| is_whole(bucket));
        Ok(Snapshot {
            schema: columns.schema,
            offsets,
            batches,
        })
    }
}

/// Which columns are read, and which of them are shown.
struct Columns {
    /// Those that are shown, and then those of the key that are not.
    read: Vec<usize>,
    shown: usize,
    schema: SchemaRef,
    row_type: RowType,
    keys: KeyEncoder,
}

impl Columns {
    fn new(info: &TableInfo, columns: Option<Vec<usize>>) -> Result<Self> {
        let mut read = columns.unwrap_or_else(|| (0..info.row_type().len()).collect());
        let shown = read.len();
        let key = info.physical_primary_key();
        for column in key.iter().filter_map(|name| info.row_type().index_of(name)) {
            if !read.contains(&column) {
                read.push(column);
            }
        }
        let row_type = info.row_type().project(&read);
        let keys = KeyEncoder::primary_key(info, &row_type)
            .map_err(|error| Context::new("read").table(&info.path).error(error))?;
        let shown_type = info.row_type().project(read.get(..shown).unwrap_or_default());
        Ok(Self {
            read,
            shown,
            schema: user_schema(&shown_type),
            row_type,
            keys,
        })
    }

    fn shown(&self) -> &[usize] {
        self.read.get(..self.shown).unwrap_or_default()
    }

    fn collapse(&self) -> Collapse {
        Collapse::new(
            self.keys.clone(),
            self.row_type.clone(),
            user_schema(&self.row_type),
        )
    }

    fn show(&self, rows: &RecordBatch) -> Result<RecordBatch, ValueError> {
        let shown: Vec<usize> = (0..self.shown).collect();
        rows.project(&shown)
            .map_err(|error| ValueError::row(error.to_string()))
    }
}

fn apply(table: &mut Collapse, scanned: ScanBatch) -> Result<(), ErrorKind> {
    let types = scanned.change_types.unwrap_or_else(|| Arc::from([]));
    if types.len() != scanned.batch.num_rows() {
        return Err(DecodeError::new("changelog", "rows without change types").into());
    }
    table.apply(scanned.batch, types).map_err(ErrorKind::from)
}

/// The changelog of each bucket that is read must reach back to its beginning.
async fn check_beginnings(admin: &Admin, info: &TableInfo, ranges: &Ranges) -> Result<()> {
    let ask = |bucket| admin.offset(info, bucket, OffsetSpec::Earliest);
    let starts = each_bucket(ranges.keys().copied(), ask).await?;
    match starts.into_iter().find(|(_, start)| *start > 0) {
        None => Ok(()),
        Some((bucket, start)) => {
            let physical = admin.physical(&info.path, &bucket);
            let context = Context::new("read").physical(&physical).bucket(bucket.bucket);
            Err(context.error(ErrorKind::Expired { start }))
        }
    }
}

//! Tables as they are, or as they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::bounds::{AsOf, Bounds};
use super::collapse::Collapse;
use super::kv_snapshot::KvSnapshots;
use super::reader::BoundedReader;
use super::scan_kv::{KvScan, is_unsupported};
use super::stored::StoredRows;
use crate::admin::Admin;
use crate::cluster::each_bucket;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::scan::{ScanBatch, ScanBuilder};
use fluss_core::arrow::user_schema;
use fluss_core::filter::{Filter, Predicate};
use fluss_core::id::{Offset, TableBucket};
use fluss_core::record::log::ChangeType;
use fluss_core::row::KeyEncoder;
use fluss_core::types::{RowType, TableInfo};
use fluss_core::{DecodeError, ValueError};

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
    /// The whole table, or those of its rows that a filter lets pass, in all partitions that there are when reading begins:
    /// each bucket as it was at one moment, which [`Snapshot::offsets`] tells.
    ///
    /// The rows of a primary-key table as it is now are those that its servers give out, where they do. Otherwise they are
    /// made of the latest snapshot that the cluster keeps of each bucket, unless that is of a later moment, and the
    /// changelog behind it; or of the whole changelog. The memory that takes is proportional to the rows that there are,
    /// not to the changes. Of a log table, these are the rows that are still there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Expired`] if the changelog of a primary-key table does not reach back to its beginning, nor to such a
    /// snapshot; [`ErrorKind::Storage`] or [`ErrorKind::Malformed`] if the snapshot cannot be read. Otherwise as
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
        let (info, cluster) = (self.table().shared_info(), self.table().cluster());
        let columns = Columns::new(&info, self.columns()?, self.predicate())?;
        let rows = StoredRows::new(cluster, &info, &columns.read);
        let scan = KvScan::new(cluster, &info, &rows);
        let buckets = Admin::new(cluster.clone()).table_buckets(&info).await?;
        let (mut offsets, mut batches) = (BTreeMap::new(), Vec::new());
        for (bucket, (offset, rows)) in each_bucket(buckets, |bucket| scan.read(bucket)).await? {
            offsets.insert(bucket, offset);
            for rows in &rows {
                batches.push((bucket, columns.show(rows)?));
            }
        }
        Ok(Snapshot {
            schema: columns.schema,
            offsets,
            batches,
        })
    }

    /// The rows that the changelog leads to, from the latest snapshot or the beginning on.
    async fn collapsed(self, as_of: AsOf) -> Result<Snapshot> {
        let info = self.table().shared_info();
        let columns = Columns::new(&info, self.columns()?, self.predicate())?;
        // The filter is for the rows that are left, not for changes.
        let scanner = self.scanner(Some(&columns.read), None)?;
        let cluster = self.table().cluster();
        let rows = StoredRows::new(cluster, &info, &columns.read);
        // Those that are known before it is known where reading ends do not come after that.
        let snapshots = KvSnapshots::find(cluster, &info, &rows).await?;
        let mut ranges = Bounds::from(as_of)
            .resolve(&scanner, &Admin::new(cluster.clone()))
            .await?;
        let mut tables: BTreeMap<TableBucket, Collapse> = BTreeMap::new();
        for (bucket, beginning) in snapshots.begin(&ranges).await? {
            let range = ranges.get_mut(&bucket);
            if let Some((beginning, (start, _))) = beginning.zip(range) {
                *start = Some(beginning.offset);
                let table = tables.entry(bucket).or_insert_with(|| columns.collapse());
                for rows in beginning.rows {
                    let inserts = vec![ChangeType::Insert; rows.num_rows()].into();
                    table.apply(rows, inserts).map_err(|error| columns.fault(error))?;
                }
            }
        }
        let mut reader = BoundedReader::begin(scanner, &ranges);
        while let Some(scanned) = reader.next_batch().await? {
            let table = tables.entry(scanned.bucket).or_insert_with(|| columns.collapse());
            apply(table, scanned).map_err(|error| columns.fault(error))?;
        }
        // What was read in part is of no moment at all.
        let is_whole = |bucket: &TableBucket| !reader.was_dropped(bucket);
        let mut batches = Vec::new();
        for (bucket, table) in tables.into_iter().filter(|(bucket, _)| is_whole(bucket)) {
            for rows in table.finish().map_err(|error| columns.fault(error))? {
                batches.push((bucket, columns.show(&rows)?));
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

/// Which columns are read, and what is shown of them.
struct Columns<'t> {
    info: &'t TableInfo,
    /// Those that are shown, and then those that only the key and the filter look at.
    read: Vec<usize>,
    shown: usize,
    schema: SchemaRef,
    row_type: RowType,
    keys: KeyEncoder,
    filter: Option<Filter>,
}

impl<'t> Columns<'t> {
    fn new(info: &'t TableInfo, columns: Option<Vec<usize>>, predicate: Option<&Predicate>) -> Result<Self> {
        let context = || Context::new("read").table(&info.path);
        let all = info.row_type();
        let filter = |row_type: &RowType| {
            let filter = predicate.map(|predicate| Filter::new(predicate, row_type));
            filter.transpose().map_err(|error| context().error(error))
        };
        let mut read = columns.unwrap_or_else(|| (0..all.len()).collect());
        let shown = read.len();
        let schema = user_schema(&all.project(&read));
        let key = info.physical_primary_key();
        let key = key.iter().filter_map(|name| all.index_of(name));
        let of_table = filter(all)?;
        for column in key.chain(of_table.iter().flat_map(Filter::columns).copied()) {
            if !read.contains(&column) {
                read.push(column);
            }
        }
        let row_type = all.project(&read);
        Ok(Self {
            shown,
            schema,
            keys: KeyEncoder::primary_key(info, &row_type).map_err(|error| context().error(error))?,
            filter: filter(&row_type)?,
            row_type,
            read,
            info,
        })
    }

    fn collapse(&self) -> Collapse {
        Collapse::new(
            self.keys.clone(),
            self.row_type.clone(),
            user_schema(&self.row_type),
        )
    }

    /// The rows that the filter lets pass, in the columns that are asked for.
    fn show(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let shown: Vec<usize> = (0..self.shown).collect();
        let show = || -> Result<RecordBatch, ArrowError> {
            match &self.filter {
                Some(filter) => filter_record_batch(rows, &filter.matches(rows)?)?.project(&shown),
                None => rows.project(&shown),
            }
        };
        show().map_err(|error| self.fault(ValueError::row(error.to_string())))
    }

    fn fault(&self, kind: impl Into<ErrorKind>) -> Error {
        Context::new("read").table(&self.info.path).error(kind)
    }
}

fn apply(table: &mut Collapse, scanned: ScanBatch) -> Result<(), ErrorKind> {
    let types = scanned.change_types.unwrap_or_else(|| Arc::from([]));
    if types.len() != scanned.batch.num_rows() {
        return Err(DecodeError::new("changelog", "rows without change types").into());
    }
    table.apply(scanned.batch, types).map_err(ErrorKind::from)
}

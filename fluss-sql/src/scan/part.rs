//! What is read at a time, and what is shown of it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatchOptions, StringArray, TimestampMillisecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use fluss_client::filter::{Filter, Predicate};
use fluss_client::id::TableBucket;
use fluss_client::types::{RowType, Timestamp};
use fluss_client::{
    BucketRead, ChangeType, LogPart, Lookuper, PrefixLookuper, ScanBatch, ScanBuilder, Table,
};
use futures::stream::{self, BoxStream, StreamExt};

use super::keys::Wanted;
use crate::error::Error;
use crate::names::{BUCKET, CHANGE_TYPE, OFFSET, TIMESTAMP};
use crate::transaction::Overlay;

/// What is read of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Read {
    /// The rows of a primary-key table: now, or as of a moment.
    Rows(Option<Timestamp>),
    /// A log up to its end, now or as of a moment: the rows of a log table, or the changes of another.
    Log(Option<Timestamp>),
}

/// Which columns are read, and what is shown of them.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// The names of the columns of the table that are read.
    pub(super) read: Vec<String>,
    /// Where each column that is shown comes from.
    pub(super) places: Vec<Place>,
    /// The schema of what is shown.
    pub(super) schema: SchemaRef,
    /// What the open transaction has written: the rows that it has replaced are left out.
    pub(super) overlay: Option<Arc<Overlay>>,
}

/// Where a column comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// It is among those that are read.
    Read(usize),
    /// It is hidden unless it is named.
    Hidden(&'static str),
}

/// How many rows are read, as far as that is known beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) enum RowCount {
    Unknown,
    About(u64),
    Exactly(u64),
}

/// What is read at a time.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// A part of the log of a bucket.
    Log(LogPart),
    /// The rows of a bucket.
    Rows(BucketRead),
    /// Rows by their keys.
    LookUp(Arc<LookUp>),
    /// Rows that the open transaction has written.
    Written(Arc<Overlay>),
    /// A few rows of a bucket, whichever: how many.
    Few(ScanBuilder, TableBucket, usize),
}

/// Rows that are looked up.
#[derive(Debug)]
pub(super) struct LookUp {
    pub(super) keys: RecordBatch,
    pub(super) by: By,
    /// The columns that are read: those to show, and those that the filter looks at.
    read: Vec<String>,
    /// How many of them are shown.
    shown: usize,
    filter: Option<Filter>,
}

/// What looks rows up.
#[derive(Debug)]
pub(super) enum By {
    Key(Lookuper),
    Prefix(PrefixLookuper),
}

impl Part {
    /// Rows by their keys that hold a condition.
    pub(super) fn look_up(
        table: &Table,
        wanted: Wanted,
        columns: &Columns,
        predicate: Option<&Predicate>,
    ) -> fluss_client::Result<Self> {
        let names: Vec<String> = wanted
            .keys
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let by = if wanted.whole {
            By::Key(table.lookup().lookuper()?)
        } else {
            By::Prefix(table.lookup().prefix_lookuper(&names)?)
        };
        let row_type = table.info().row_type();
        let mut read = columns.read.clone();
        let shown = read.len();
        let mut filter = None;
        // The keys hold it already, but for what else it asks.
        if let Some(predicate) = predicate
            && let Ok(of_table) = Filter::new(predicate, row_type)
        {
            for column in of_table.columns() {
                let name = row_type.field(*column).map(|field| field.name.clone());
                read.extend(name.filter(|name| !read.contains(name)));
            }
            let indexes: Vec<usize> = read.iter().filter_map(|name| row_type.index_of(name)).collect();
            let of_read: RowType = row_type.project(&indexes);
            filter = Filter::new(predicate, &of_read).ok();
        }
        Ok(Self::LookUp(Arc::new(LookUp {
            keys: wanted.keys,
            by,
            read,
            shown,
            filter,
        })))
    }

    /// The rows as they come, in the columns that are shown.
    pub(super) fn stream(
        self,
        columns: Arc<Columns>,
    ) -> BoxStream<'static, Result<RecordBatch, DataFusionError>> {
        let fault = |error: fluss_client::Error| DataFusionError::from(Error::from(error));
        match self {
            Self::Log(part) => {
                let batches = part.into_stream();
                let show = move |scanned: fluss_client::Result<ScanBatch>| {
                    columns.show_scanned(&scanned.map_err(fault)?)
                };
                batches.map(show).boxed()
            }
            Self::Rows(read) => {
                let bucket = read.bucket();
                let show = move |batch: fluss_client::Result<RecordBatch>| {
                    columns.show(&batch.map_err(fault)?, bucket)
                };
                read.into_stream().map(show).boxed()
            }
            Self::Few(scan, bucket, rows) => {
                let found = async move {
                    let scanned = scan.take_bucket_rows(bucket, rows).await.map_err(fault)?;
                    columns.show(&scanned.batch, bucket)
                };
                stream::once(found).boxed()
            }
            Self::Written(overlay) => stream::once(async move { columns.show_written(&overlay) }).boxed(),
            Self::LookUp(look_up) => {
                let found = async move {
                    let batch = look_up.find().await?;
                    let bucket =
                        TableBucket::new(fluss_client::id::TableId(0), fluss_client::id::BucketId(0));
                    columns.show(&batch, bucket)
                };
                stream::once(found).boxed()
            }
        }
    }
}

impl LookUp {
    async fn find(&self) -> Result<RecordBatch, DataFusionError> {
        let fault = |error: fluss_client::Error| DataFusionError::from(Error::from(error));
        let found = match &self.by {
            By::Key(lookuper) => lookuper.find_arrow(&self.keys, Some(&self.read)).await,
            By::Prefix(lookuper) => lookuper.lookup_arrow(&self.keys, Some(&self.read)).await,
        };
        let found = found.map_err(fault)?;
        let held = match &self.filter {
            Some(filter) => filter_record_batch(&found, &filter.matches(&found)?)?,
            None => found,
        };
        let shown: Vec<usize> = (0..self.shown).collect();
        Ok(held.project(&shown)?)
    }
}

impl Columns {
    /// The columns that are shown of rows.
    fn show(&self, batch: &RecordBatch, bucket: TableBucket) -> Result<RecordBatch, DataFusionError> {
        self.assemble(batch, |name| match name {
            BUCKET => Some(Arc::new(Int32Array::from_value(
                bucket.bucket.get(),
                batch.num_rows(),
            ))),
            _ => None,
        })
    }

    /// The columns that are shown of records.
    fn show_scanned(&self, scanned: &ScanBatch) -> Result<RecordBatch, DataFusionError> {
        let rows = scanned.batch.num_rows();
        self.assemble(&scanned.batch, |name| {
            Some(match name {
                OFFSET => Arc::new(scanned.offsets()),
                TIMESTAMP => Arc::new(time(scanned.timestamp, rows)),
                BUCKET => Arc::new(Int32Array::from_value(scanned.bucket.bucket.get(), rows)),
                CHANGE_TYPE => Arc::new(changes(scanned, rows)),
                _ => return None,
            })
        })
    }

    /// The columns that are shown of rows that the open transaction has written.
    fn show_written(&self, overlay: &Overlay) -> Result<RecordBatch, DataFusionError> {
        let rows = overlay.rows();
        let schema = rows.schema();
        let read = self.read.iter().map(|name| schema.index_of(name));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        self.place(&rows.project(&read)?, |_| None)
    }

    fn assemble(
        &self,
        batch: &RecordBatch,
        hidden: impl Fn(&str) -> Option<ArrayRef>,
    ) -> Result<RecordBatch, DataFusionError> {
        match &self.overlay {
            // No hidden column is shown beside it.
            Some(overlay) => {
                let kept = filter_record_batch(batch, &overlay.keeps(batch)?)?;
                self.place(&kept, hidden)
            }
            None => self.place(batch, hidden),
        }
    }

    fn place(
        &self,
        batch: &RecordBatch,
        hidden: impl Fn(&str) -> Option<ArrayRef>,
    ) -> Result<RecordBatch, DataFusionError> {
        let column = |place: &Place| match place {
            Place::Read(index) => batch.columns().get(*index).cloned(),
            Place::Hidden(name) => hidden(name),
        };
        let columns: Vec<ArrayRef> = self.places.iter().filter_map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &options,
        )?)
    }
}

fn time(at: Timestamp, rows: usize) -> TimestampMillisecondArray {
    TimestampMillisecondArray::from_value(at.millis(), rows).with_timezone("UTC")
}

fn changes(scanned: &ScanBatch, rows: usize) -> StringArray {
    match &scanned.change_types {
        Some(types) => types.iter().map(|change| Some(change.short())).collect(),
        None => std::iter::repeat_n(Some(ChangeType::AppendOnly.short()), rows).collect(),
    }
}

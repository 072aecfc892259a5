//! Tables.

use std::sync::Arc;

use fluss_client::id;
use fluss_client::types::RowType;
use fluss_client::{self as client, AsOf};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::admin::Admin;
use crate::arrow::ArrowTable;
use crate::batch::RecordBatch;
use crate::bounds::{BoundArgument, MomentArgument, bounds};
use crate::bucket::TableBucket;
use crate::convert::{Maps, RowShape, predicate_from_python};
use crate::descriptor::TableInfo;
use crate::error::{self, Fault};
use crate::lookup::{Lookuper, PrefixLookuper};
use crate::own::Own;
use crate::pending::Pending;
use crate::plan::TableRead;
use crate::reader::BoundedReader;
use crate::runtime::runtime;
use crate::scanner::LogScanner;
use crate::writer::{AppendWriter, UpsertWriter};

/// A table as it stood when it was asked for.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Table(Own<client::Table>);

impl Table {
    pub(crate) fn new(table: client::Table) -> Self {
        Self(Own::new(table))
    }

    /// The table, as long as it can be used.
    pub(crate) fn open(&self) -> PyResult<&client::Table> {
        let table = self.0.get()?;
        if table.connection().is_closed() {
            return Err(error::closed("connection"));
        }
        Ok(table)
    }
}

#[pymethods]
impl Table {
    fn info(&self) -> PyResult<TableInfo> {
        // It says the same in every process.
        let table = self.0.anywhere().ok_or_else(error::forked)?;
        Ok(TableInfo(table.info().clone()))
    }

    /// What administers it.
    fn admin(&self) -> PyResult<Admin> {
        Ok(Admin::new(self.open()?.connection().admin()))
    }

    fn append_writer(&self) -> PyResult<AppendWriter> {
        let _guard = runtime()?.enter();
        let table = self.open()?;
        let writer = table.append_writer().map_err(Fault::from)?;
        Ok(AppendWriter::new(&table.connection(), writer))
    }

    /// A writer of these columns, by name or position; of all if none are named.
    #[pyo3(signature = (columns, overwrite))]
    fn upsert_writer(&self, columns: Option<Vec<ColumnArgument>>, overwrite: bool) -> PyResult<UpsertWriter> {
        let _guard = runtime()?.enter();
        let table = self.open()?;
        let mut upsert = table.upsert();
        if let Some(columns) = columns {
            upsert = upsert.columns(names(columns, table.info().row_type())?);
        }
        if overwrite {
            upsert = upsert.overwrite();
        }
        let writer = upsert.writer().map_err(Fault::from)?;
        Ok(UpsertWriter::new(&table.connection(), writer))
    }

    /// With `map_pairs`, MAPs of the rows found come as lists of pairs.
    #[pyo3(signature = (insert_if_not_exists, map_pairs=false))]
    fn lookuper(&self, py: Python<'_>, insert_if_not_exists: bool, map_pairs: bool) -> PyResult<Lookuper> {
        let mut lookup = self.open()?.lookup();
        if insert_if_not_exists {
            lookup = lookup.insert_if_not_exists();
        }
        let lookuper = lookup.lookuper().map_err(Fault::from)?;
        Ok(Lookuper::new(py, lookuper, Maps::of(map_pairs)))
    }

    #[pyo3(signature = (columns, map_pairs=false))]
    fn prefix_lookuper(
        &self,
        py: Python<'_>,
        columns: Vec<ColumnArgument>,
        map_pairs: bool,
    ) -> PyResult<PrefixLookuper> {
        let table = self.open()?;
        let names = names(columns, table.info().row_type())?;
        let lookuper = table.lookup().prefix_lookuper(&names).map_err(Fault::from)?;
        Ok(PrefixLookuper::new(py, lookuper, Maps::of(map_pairs)))
    }

    /// A scanner of these columns, by name or position; of all if none are named. Where a `fluss.predicate.Predicate` is
    /// given, of the rows that hold it. With `map_pairs`, MAPs of its records come as lists of pairs.
    #[pyo3(signature = (columns, predicate=None, map_pairs=false, skipped=None))]
    fn log_scanner(
        &self,
        py: Python<'_>,
        columns: Option<Vec<ColumnArgument>>,
        predicate: Option<&Bound<'_, PyAny>>,
        map_pairs: bool,
        skipped: Option<Skipped>,
    ) -> PyResult<LogScanner> {
        let _guard = runtime()?.enter();
        let columns = self.named(columns)?;
        let shape = self.shape(py, columns.as_deref(), Maps::of(map_pairs))?;
        let scan = self.scan(columns, predicate, skipped)?;
        Ok(LogScanner::new(scan.log_scanner().map_err(Fault::from)?, shape))
    }

    /// Reads a part of the log that has an end.
    #[pyo3(signature = (columns, predicate, start, stop, skipped=None))]
    fn bounded_reader(
        &self,
        py: Python<'_>,
        columns: Option<Vec<ColumnArgument>>,
        predicate: Option<&Bound<'_, PyAny>>,
        start: BoundArgument,
        stop: BoundArgument,
        skipped: Option<Skipped>,
    ) -> PyResult<Pending> {
        let columns = self.named(columns)?;
        let shape = self.shape(py, columns.as_deref(), Maps::Dict)?;
        let scan = self.scan(columns, predicate, skipped)?;
        let bounds = bounds(start, stop)?;
        let reader = async move { scan.read(bounds).await };
        Ok(Pending::object(reader, |reader| {
            BoundedReader::new(reader, shape)
        }))
    }

    /// All rows, as of a moment, or now.
    #[pyo3(signature = (columns, predicate, as_of, skipped=None))]
    fn snapshot(
        &self,
        columns: Option<Vec<ColumnArgument>>,
        predicate: Option<&Bound<'_, PyAny>>,
        as_of: Option<MomentArgument>,
        skipped: Option<Skipped>,
    ) -> PyResult<Pending> {
        let (scan, as_of) = self.scan_as_of(columns, predicate, as_of, skipped)?;
        let snapshot = async move { scan.snapshot(as_of).await };
        Ok(Pending::object(snapshot, ArrowTable::of_snapshot))
    }

    /// Plans to read all rows, as of a moment, or now.
    #[pyo3(signature = (columns, predicate, as_of, skipped=None))]
    fn plan(
        &self,
        columns: Option<Vec<ColumnArgument>>,
        predicate: Option<&Bound<'_, PyAny>>,
        as_of: Option<MomentArgument>,
        skipped: Option<Skipped>,
    ) -> PyResult<Pending> {
        let (scan, as_of) = self.scan_as_of(columns, predicate, as_of, skipped)?;
        let plan = async move { scan.plan(as_of).await };
        Ok(Pending::object(plan, TableRead::new))
    }

    /// At most so many rows.
    #[pyo3(signature = (columns, rows, skipped=None))]
    fn limit(
        &self,
        columns: Option<Vec<ColumnArgument>>,
        rows: usize,
        skipped: Option<Skipped>,
    ) -> PyResult<Pending> {
        let scan = self.scan(self.named(columns)?, None, skipped)?;
        let found = async move { scan.take_rows(rows).await };
        Ok(Pending::object(found, |rows| {
            ArrowTable::new(rows.schema(), vec![rows])
        }))
    }

    /// At most so many rows of a bucket.
    #[pyo3(signature = (columns, bucket, rows))]
    fn limit_bucket(
        &self,
        columns: Option<Vec<ColumnArgument>>,
        bucket: TableBucket,
        rows: usize,
    ) -> PyResult<Pending> {
        let scan = self.scan(self.named(columns)?, None, None)?;
        let found = async move { scan.take_bucket_rows(bucket.0, rows).await };
        Ok(Pending::object(found, RecordBatch::new))
    }
}

impl Table {
    /// The names of columns that are given by name or position.
    pub(crate) fn named(&self, columns: Option<Vec<ColumnArgument>>) -> PyResult<Option<Vec<String>>> {
        let table = self.open()?;
        let names = columns.map(|columns| names(columns, table.info().row_type()));
        names.transpose()
    }

    /// The rows of these columns, or of all, as dicts.
    fn shape(&self, py: Python<'_>, columns: Option<&[String]>, maps: Maps) -> PyResult<Arc<RowShape>> {
        let all = self.open()?.info().row_type();
        let row_type = columns.map_or_else(
            || all.clone(),
            |names| {
                let indexes: Vec<_> = names.iter().filter_map(|name| all.index_of(name)).collect();
                all.project(&indexes)
            },
        );
        Ok(RowShape::new(py, row_type, maps))
    }

    /// A scan as of [`scan`](Self::scan), and the moment whose rows are wanted: now if none is named.
    fn scan_as_of(
        &self,
        columns: Option<Vec<ColumnArgument>>,
        predicate: Option<&Bound<'_, PyAny>>,
        as_of: Option<MomentArgument>,
        skipped: Option<Skipped>,
    ) -> PyResult<(client::ScanBuilder, AsOf)> {
        let scan = self.scan(self.named(columns)?, predicate, skipped)?;
        Ok((scan, as_of.map(AsOf::from).unwrap_or_default()))
    }

    /// A scan of these columns, or of all, and of the rows that hold a condition, if there is one.
    fn scan(
        &self,
        columns: Option<Vec<String>>,
        predicate: Option<&Bound<'_, PyAny>>,
        skipped: Option<Skipped>,
    ) -> PyResult<client::ScanBuilder> {
        let table = self.open()?;
        let mut scan = table.scan();
        for (bucket, offset) in skipped.into_iter().flatten() {
            let bucket = match bucket {
                BucketArgument::Bucket(bucket) => bucket.0,
                BucketArgument::Number(number) => id::TableBucket::new(table.info().id, id::BucketId(number)),
            };
            scan = scan.skip(bucket, offset);
        }
        if let Some(columns) = columns {
            scan = scan.project(columns);
        }
        if let Some(predicate) = predicate {
            scan = scan.filter(predicate_from_python(predicate, table.info().row_type())?);
        }
        Ok(scan)
    }
}

/// Batches that are passed over.
type Skipped = Vec<(BucketArgument, i64)>;

/// A bucket; of a table without partitions its number.
#[derive(FromPyObject)]
pub(crate) enum BucketArgument {
    Bucket(TableBucket),
    Number(i32),
}

pub(crate) fn names(columns: Vec<ColumnArgument>, row_type: &RowType) -> PyResult<Vec<String>> {
    columns.into_iter().map(|column| column.name(row_type)).collect()
}

/// A column, by name or position.
#[derive(FromPyObject)]
pub(crate) enum ColumnArgument {
    Position(usize),
    Name(String),
}

impl ColumnArgument {
    fn name(self, row_type: &RowType) -> PyResult<String> {
        match self {
            Self::Name(name) => Ok(name),
            Self::Position(position) => match row_type.field(position) {
                Some(field) => Ok(field.name.clone()),
                None => Err(PyIndexError::new_err(format!(
                    "there is no column {position}: the table has {}",
                    row_type.len()
                ))),
            },
        }
    }
}

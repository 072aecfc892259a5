//! Which columns a read of a primary-key table needs, and what is shown of them.

use std::sync::Arc;

use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::collapse::Collapse;
use crate::error::{Context, Error, ErrorKind, Result};
use fluss_core::ValueError;
use fluss_core::arrow::user_schema;
use fluss_core::filter::{Filter, Predicate};
use fluss_core::row::KeyEncoder;
use fluss_core::types::{RowType, TableInfo};

pub(super) struct Columns {
    pub(super) info: Arc<TableInfo>,
    /// Those that are shown, and then those that only the key and the filter look at.
    pub(super) read: Vec<usize>,
    shown: usize,
    pub(super) schema: SchemaRef,
    row_type: RowType,
    keys: KeyEncoder,
    filter: Option<Filter>,
}

impl Columns {
    pub(super) fn new(
        info: &Arc<TableInfo>,
        columns: Option<Vec<usize>>,
        predicate: Option<&Predicate>,
    ) -> Result<Self> {
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
            info: info.clone(),
        })
    }

    pub(super) fn collapse(&self) -> Collapse {
        Collapse::new(
            self.keys.clone(),
            self.row_type.clone(),
            user_schema(&self.row_type),
        )
    }

    /// The rows that the filter lets pass, in the columns that are asked for.
    pub(super) fn show(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let shown: Vec<usize> = (0..self.shown).collect();
        let show = || -> Result<RecordBatch, ArrowError> {
            match &self.filter {
                Some(filter) => filter_record_batch(rows, &filter.matches(rows)?)?.project(&shown),
                None => rows.project(&shown),
            }
        };
        show().map_err(|error| self.fault(ValueError::row(error.to_string())))
    }

    pub(super) fn fault(&self, kind: impl Into<ErrorKind>) -> Error {
        Context::new("read").table(&self.info.path).error(kind)
    }
}

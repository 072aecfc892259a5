//! A table, or its changes, as plans see it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use fluss_client::filter::Predicate;
use fluss_client::types::{DataType as FlussType, Kind, RowType};
use fluss_client::{AsOf, Bounds, ScanBuilder, StartOffset, StopOffset, Table};
use tokio::runtime::Handle;

use super::exec::{FlussScan, Reading};
use super::filters::predicate;
use super::keys::wanted;
use super::part::{Columns, Part, Place, Read, RowCount};
use super::seek::Seek;
use crate::cpu::Entered;
use crate::error::{Error, ErrorKind};
use crate::names::{BUCKET, CHANGE_TYPE, OFFSET, TIMESTAMP};
use crate::transaction::Overlay;

/// Up to so many rows a server is asked for at once.
const FEW_ROWS: usize = 1_000;

/// A table as it stood when the statement began, and what is read of it.
#[derive(Debug)]
pub(crate) struct FlussTable {
    table: Table,
    read: Read,
    schema: SchemaRef,
    /// The hidden columns that are there, behind those of the table.
    hidden: Vec<&'static str>,
    client: Handle,
    counted: bool,
    /// What the open transaction has written to the table.
    overlay: Option<Arc<Overlay>>,
}

impl FlussTable {
    pub(crate) fn new(table: Table, read: Read, client: Handle, hidden: bool, counted: bool) -> Self {
        let own = table.arrow_schema();
        let offered: &[&'static str] = match read {
            Read::Rows(_) => &[BUCKET],
            Read::Log(_) => &[CHANGE_TYPE, OFFSET, TIMESTAMP, BUCKET],
        };
        // A column of the table is what it is.
        let is_free = |name: &&&'static str| own.column_with_name(name).is_none();
        let hidden: Vec<_> = offered
            .iter()
            .filter(|_| hidden)
            .filter(is_free)
            .copied()
            .collect();
        let mut fields: Vec<_> = own.fields().iter().cloned().collect();
        fields.extend(hidden.iter().map(|name| Arc::new(hidden_field(name))));
        Self {
            schema: Arc::new(Schema::new(fields)),
            table,
            read,
            hidden,
            client,
            counted,
            overlay: None,
        }
    }

    /// The same, as an open transaction sees it.
    pub(crate) fn under(mut self, overlay: Arc<Overlay>) -> Self {
        self.overlay = Some(overlay);
        self
    }

    /// The table itself.
    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    /// The hidden columns that are there.
    pub(crate) fn hidden(&self) -> &[&'static str] {
        &self.hidden
    }

    fn row_type(&self) -> &RowType {
        self.table.info().row_type()
    }

    /// The columns to read and to show for a projection.
    fn columns(&self, projection: Option<&Vec<usize>>) -> Result<Columns, DataFusionError> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let shown = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(shown)?);
        let own = self.row_type().len();
        let of_table: Vec<usize> = shown.iter().copied().filter(|column| *column < own).collect();
        let mut columns = Columns {
            read: Vec::new(),
            places: Vec::with_capacity(shown.len()),
            schema,
            overlay: self.overlay.clone(),
        };
        // A batch has at least one column: where none is asked for, the one that costs least.
        let mut read = if of_table.is_empty() {
            vec![self.cheapest()]
        } else {
            of_table
        };
        if self.overlay.is_some() {
            // By their keys rows are told that the transaction has written.
            let keys = self.table.info().schema().primary_key().iter();
            for key in keys.filter_map(|key| self.row_type().index_of(key)) {
                if !read.contains(&key) {
                    read.push(key);
                }
            }
        }
        let name = |column: &usize| self.row_type().field(*column).map(|field| field.name.clone());
        columns.read = read.iter().filter_map(name).collect();
        for column in shown {
            let place = read.iter().position(|own| own == column).map(Place::Read);
            let place = place.or_else(|| {
                let hidden = self.hidden.get(column.checked_sub(own)?)?;
                Some(Place::Hidden(hidden))
            });
            columns.places.extend(place);
        }
        Ok(columns)
    }

    /// The column whose values cost least to read.
    fn cheapest(&self) -> usize {
        let cost = |data_type: &FlussType| match data_type.kind() {
            Kind::Boolean | Kind::TinyInt => 1,
            Kind::SmallInt => 2,
            Kind::Int | Kind::Date | Kind::Time(_) | Kind::Float => 4,
            Kind::BigInt | Kind::Double | Kind::Timestamp(_) | Kind::TimestampLtz(_) => 8,
            Kind::Decimal { .. } => 16,
            _ => 64,
        };
        let fields = self.row_type().fields().iter().enumerate();
        let cheapest = fields.min_by_key(|(_, field)| cost(&field.data_type));
        cheapest.map_or(0, |(column, _)| column)
    }

    /// The same buckets, of which a few rows are asked for, whichever.
    fn few(&self, columns: &Columns, parts: Vec<Part>, rows: usize) -> Vec<Part> {
        let few = |part: Part| match part {
            Part::Rows(read) => Part::Few(self.scan_of(columns, None), read.bucket(), rows),
            other => other,
        };
        parts.into_iter().map(few).collect()
    }

    fn scan_of(&self, columns: &Columns, predicate: Option<&Predicate>) -> ScanBuilder {
        let scan = self.table.scan().project(columns.read.clone());
        match predicate {
            Some(predicate) => scan.filter(predicate.clone()),
            None => scan,
        }
    }

    /// Which parts are read, and how many rows they have.
    async fn parts(
        &self,
        columns: &Columns,
        predicate: Option<&Predicate>,
    ) -> fluss_client::Result<(Vec<Part>, RowCount)> {
        let scan = self.scan_of(columns, predicate);
        match self.read {
            Read::Rows(at) => {
                let as_of = at.map_or(AsOf::Latest, AsOf::Timestamp);
                let planned = scan.plan(as_of).await?;
                let count = if self.counted && at.is_none() {
                    // Whether it is known does not matter: some clusters do not count.
                    let admin = self.table.connection().admin();
                    let counted = admin.row_count(&self.table.info().path).await;
                    counted.map_or(RowCount::Unknown, |rows| RowCount::About(rows.unsigned_abs()))
                } else {
                    RowCount::Unknown
                };
                Ok((
                    planned.into_buckets().into_iter().map(Part::Rows).collect(),
                    count,
                ))
            }
            Read::Log(at) => {
                let stop = at.map_or(StopOffset::Latest, StopOffset::AsOf);
                let bounds = Bounds::Table {
                    start: StartOffset::Earliest,
                    stop,
                };
                let planned = scan.plan_log(bounds).await?;
                let count =
                    if predicate.is_none() && self.overlay.is_none() && columns.schema.fields().is_empty() {
                        RowCount::Exactly(planned.record_count().await?)
                    } else {
                        let ends = planned.parts().iter().map(|part| part.end().unsigned_abs());
                        RowCount::About(ends.sum())
                    };
                Ok((planned.into_parts().into_iter().map(Part::Log).collect(), count))
            }
        }
    }
}

fn hidden_field(name: &str) -> Field {
    let data_type = match name {
        CHANGE_TYPE => DataType::Utf8,
        OFFSET => DataType::Int64,
        TIMESTAMP => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        _ => DataType::Int32,
    };
    Field::new(name, data_type, false)
}

#[async_trait]
impl TableProvider for FlussTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let support = |filter: &&Expr| match predicate(filter, self.row_type()) {
            // What the transaction has written is not filtered by the client.
            Some(_) if self.overlay.is_some() => TableProviderFilterPushDown::Inexact,
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let columns = self.columns(projection)?;
        let exact: Option<Vec<Predicate>> = filters
            .iter()
            .map(|filter| predicate(filter, self.row_type()))
            .collect();
        let Some(exact) = exact else {
            let error = Error::new(ErrorKind::Other, "a filter was pushed down that is not exact");
            return Err(error.into());
        };
        let predicate = exact.into_iter().reduce(|both, next| both & next);
        let limit = limit.filter(|_| self.overlay.is_none());
        let shows_hidden = columns
            .places
            .iter()
            .any(|place| matches!(place, Place::Hidden(_)));
        if shows_hidden && self.overlay.is_some() {
            let what = "a hidden column of a table that the open transaction has written to";
            return Err(Error::unsupported(what).into());
        }
        let can_look_up = self.read == Read::Rows(None) && !shows_hidden;
        let keys = if can_look_up {
            wanted(filters, self.table.info())?
        } else {
            None
        };
        let mut seek = None;
        let (mut parts, count) = if let Some(keys) = keys {
            let few = keys.keys.num_rows() as u64;
            let rows = if keys.whole {
                RowCount::About(few)
            } else {
                RowCount::Unknown
            };
            let part = Part::look_up(&self.table, keys, &columns, predicate.as_ref());
            (vec![part.map_err(Error::from)?], rows)
        } else {
            if can_look_up && self.overlay.is_none() {
                seek = Seek::new(&self.table, predicate.as_ref());
            }
            let found = Entered::future(&self.client, self.parts(&columns, predicate.as_ref()));
            let (parts, count) = found.await.map_err(Error::from)?;
            let few = limit.filter(|rows| can_look_up && predicate.is_none() && *rows <= FEW_ROWS);
            match few {
                Some(rows) => (self.few(&columns, parts, rows), count),
                None => (parts, count),
            }
        };
        if let Some(overlay) = self
            .overlay
            .as_ref()
            .filter(|overlay| overlay.rows().num_rows() > 0)
        {
            parts.push(Part::Written(overlay.clone()));
        }
        if parts.is_empty() {
            return Ok(Arc::new(EmptyExec::new(columns.schema)));
        }
        Ok(Arc::new(FlussScan::new(Reading {
            table: self.table.clone(),
            read: self.read,
            client: self.client.clone(),
            columns,
            parts,
            filters,
            count,
            limit,
            seek,
        })))
    }
}

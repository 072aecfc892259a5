//! The table that a statement writes to.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName};
use fluss_client::Table;
use fluss_client::types::{Field, TableInfo, TablePath};

use super::defaults::defaults;
use super::fit::fit;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names;

/// How the rows of a key are merged, if not the last one stays.
const MERGE_ENGINE: &str = "table.merge-engine";
const DELETE_BEHAVIOR: &str = "table.delete.behavior";

/// A table that is written to, as it stood when the statement began.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) table: Table,
    /// As scans show its rows.
    pub(super) schema: SchemaRef,
    /// The defaults of its columns, by their positions.
    pub(super) defaults: Arc<BTreeMap<usize, Expr>>,
    /// The positions of the columns of the primary key, in its order; none of a log table.
    pub(super) key: Vec<usize>,
    /// The position of the column that the server counts up.
    pub(super) counter: Option<usize>,
}

impl Target {
    /// Looks a table up.
    pub(super) async fn find(context: &Context, name: &ObjectName) -> Result<Self> {
        let place = names::place(name);
        let path = names::table_path(name, &context.database())?;
        if let [only] = names::parts(name)?.as_slice()
            && context.shared.state.lock().views.contains_key(&only.value)
        {
            return Err(Error::unsupported(format!("writing to '{name}', which is a view,")).at(place));
        }
        Self::of_path(context, &path)
            .await
            .map_err(|error| error.at(place))
    }

    /// The same by its path.
    pub(super) async fn of_path(context: &Context, path: &TablePath) -> Result<Self> {
        let connection = context.connection();
        let table = context.client(async { connection.table(path).await }).await?;
        let info = table.info();
        let counter = info.schema().auto_increment();
        let counter = counter.and_then(|name| info.row_type().index_of(name));
        let key = info.schema().primary_key().iter();
        let key = key.filter_map(|name| info.row_type().index_of(name)).collect();
        Ok(Self {
            schema: table.arrow_schema(),
            defaults: Arc::new(defaults(info)?),
            key,
            counter,
            table,
        })
    }

    pub(super) fn info(&self) -> &TableInfo {
        self.table.info()
    }

    pub(super) fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Refuses what only tables with a primary key take.
    pub(super) fn need_key(&self, what: &str) -> Result<()> {
        if self.has_key() {
            return Ok(());
        }
        let path = &self.info().path;
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{what} needs a table with a primary key, and {path} is a log table: it takes INSERT only"
            ),
        ))
    }

    /// The merge engine, in lower case.
    pub(super) fn merge_engine(&self) -> Option<String> {
        let properties = self.info().descriptor.properties();
        properties
            .get(MERGE_ENGINE)
            .map(|engine| engine.to_ascii_lowercase())
    }

    /// Whether the merge engine takes whole rows only, and need not keep the last.
    pub(super) fn takes_whole_rows(&self) -> bool {
        matches!(self.merge_engine().as_deref(), Some("first_row" | "versioned"))
    }

    /// Refuses to delete where the table does not.
    pub(super) fn check_deletes(&self) -> Result<()> {
        let behavior = self.info().descriptor.properties().get(DELETE_BEHAVIOR);
        let Some(behavior) = behavior.filter(|behavior| !behavior.eq_ignore_ascii_case("allow")) else {
            return Ok(());
        };
        let path = &self.info().path;
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("{path} deletes no rows: its {DELETE_BEHAVIOR} is '{behavior}'"),
        ))
    }

    /// Whether rows of some columns can be written that leave the others of their keys as they are.
    pub(super) fn takes_parts(&self) -> bool {
        let fields = self.info().row_type().fields().iter().enumerate();
        let mut others = fields.filter(|(index, _)| !self.key.contains(index));
        !self.takes_whole_rows() && others.all(|(_, field)| field.data_type.is_nullable())
    }

    pub(super) fn field(&self, column: usize) -> Result<&Field> {
        let missing = || Error::new(ErrorKind::Other, format!("there is no column {column}"));
        self.info().row_type().field(column).ok_or_else(missing)
    }

    /// The position of a column that a statement names.
    pub(super) fn column(&self, name: &Ident) -> Result<usize> {
        let row_type = self.info().row_type();
        row_type.index_of(&name.value).ok_or_else(|| {
            let near = row_type
                .names()
                .find(|other| other.eq_ignore_ascii_case(&name.value));
            let near = near.map_or_else(String::new, |near| format!(" (there is '{near}')"));
            let text = format!("{} has no column '{}'{near}", self.info().path, name.value);
            Error::new(ErrorKind::NotFound, text).at(Position::of(name.span.start))
        })
    }

    /// The names of the columns of the primary key.
    pub(super) fn key_names(&self) -> &[String] {
        self.info().schema().primary_key()
    }

    pub(super) fn wire(&self, column: usize) -> ArrowType {
        let field = self.schema.fields().get(column);
        field.map_or(ArrowType::Null, |field| field.data_type().clone())
    }

    /// The schema of some columns. All take nulls: what must not be null was checked.
    pub(super) fn schema_of(&self, columns: &[usize]) -> SchemaRef {
        let fields = columns
            .iter()
            .filter_map(|column| self.schema.fields().get(*column));
        let fields: Vec<_> = fields
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// Values made to fit their columns.
    pub(super) fn fit(&self, columns: &[usize], values: &[ArrayRef], first: usize) -> Result<RecordBatch> {
        let fitted = columns
            .iter()
            .zip(values)
            .map(|(column, values)| fit(values, self.field(*column)?, &self.wire(*column), first));
        let fitted = fitted.collect::<Result<Vec<_>>>()?;
        let rows = fitted.first().map_or(0, |column| column.len());
        self.batch(columns, fitted, rows)
    }

    /// A batch of some columns, whose values fit.
    pub(super) fn batch(&self, columns: &[usize], values: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            self.schema_of(columns),
            values,
            &options,
        )?)
    }

    /// The rows of a batch of some columns as rows of all, null in the others.
    ///
    /// # Errors
    ///
    /// One of the others takes no null.
    pub(super) fn whole(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.given();
        let mut values = Vec::with_capacity(columns.len());
        for column in &columns {
            let field = self.field(*column)?;
            let given = batch.column_by_name(&field.name).cloned();
            if given.is_none() && !field.data_type.is_nullable() {
                return Err(self.missing(field));
            }
            values.push(given.unwrap_or_else(|| new_null_array(&self.wire(*column), batch.num_rows())));
        }
        self.batch(&columns, values, batch.num_rows())
    }

    /// That a statement gives no value to a column that needs one.
    pub(super) fn missing(&self, field: &Field) -> Error {
        let text = format!(
            "column '{}' of {} is NOT NULL and has no default: the statement has to give it a value",
            field.name,
            self.info().path
        );
        Error::new(ErrorKind::Constraint, text)
    }

    /// The columns that rows are given with: all but the one that the server fills in.
    pub(super) fn given(&self) -> Vec<usize> {
        let columns = 0..self.info().row_type().len();
        columns.filter(|column| Some(*column) != self.counter).collect()
    }

    /// The columns of the primary key of a batch.
    pub(super) fn keys_of(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let index = |name: &String| batch.schema().index_of(name).map_err(Error::from);
        let columns = self.key_names().iter().map(index).collect::<Result<Vec<_>>>()?;
        Ok(batch.project(&columns)?)
    }
}

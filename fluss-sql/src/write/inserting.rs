//! Insertions carried out: rows computed, completed, looked up and handed on.

use std::ops::ControlFlow;

use arrow::array::{ArrayRef, new_null_array};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Query, Value, visit_relations};
use futures::StreamExt;

use super::cells::{Now, cell};
use super::conflict::Conflict;
use super::existing::{Existing, Once, violation};
use super::insert::{Insertion, Source};
use super::sink::{Sink, Way, in_transaction};
use super::syntax::put_now_in_query;
use super::target::Target;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::names;
use crate::plan;
use crate::run::Rows;
use crate::transaction::rows_at;
use crate::value::Parameters;

impl Insertion {
    /// Inserts the rows, and returns how many were written.
    pub(super) async fn run(&self, context: &Context) -> Result<u64> {
        let mut writing = Writing::begin(context, self).await?;
        let outcome = match &self.source {
            Source::Values(rows) => match self.computed(context, rows).await {
                Ok(batch) => writing.accept(&batch).await,
                Err(error) => Err(error),
            },
            Source::Query(query) => writing.accept_query((**query).clone()).await,
        };
        writing.end(outcome).await
    }

    /// Inserts rows as they come.
    pub(super) async fn run_rows(&self, context: &Context, rows: Rows) -> Result<u64> {
        let mut writing = Writing::begin(context, self).await?;
        let outcome = writing.accept_rows(rows).await;
        writing.end(outcome).await
    }

    /// Inserts the rows of each set of parameters, as one write. Nothing if there are expressions that have to be planned.
    pub(super) async fn run_many(&self, context: &Context, sets: &[Parameters]) -> Result<Option<u64>> {
        let Source::Values(rows) = &self.source else {
            return Ok(None);
        };
        let Some(batch) = self.cells(rows, sets)? else {
            return Ok(None);
        };
        let mut writing = Writing::begin(context, self).await?;
        let outcome = writing.accept(&batch).await;
        writing.end(outcome).await.map(Some)
    }

    /// Inserts a row for each of a batch, whose columns are the values of the placeholders, as one write. Nothing if there are
    /// several rows of values, or expressions that have to be planned.
    pub(super) async fn run_batch(
        &self,
        context: &Context,
        placeholders: &[String],
        batch: &RecordBatch,
    ) -> Result<Option<u64>> {
        let Source::Values(rows) = &self.source else {
            return Ok(None);
        };
        let [row] = rows.as_slice() else {
            return Ok(None);
        };
        let (now, none) = (Now::new(), Parameters::default());
        let mut given: Vec<ArrayRef> = Vec::with_capacity(row.len());
        for (expr, column) in row.iter().zip(&self.columns) {
            let values = match placeholder(expr) {
                Some(name) => {
                    let place = placeholders.iter().position(|other| other == name);
                    place.and_then(|place| batch.columns().get(place).cloned())
                }
                None => match cell(expr, (&self.target, *column), &none, now)? {
                    Some(value) => Some(value.to_array_of_size(batch.num_rows())?),
                    None => None,
                },
            };
            match values {
                Some(values) => given.push(values),
                None => return Ok(None),
            }
        }
        let fitted = self.target.fit(&self.columns, &given, 0)?;
        let mut writing = Writing::begin(context, self).await?;
        let outcome = writing.accept(&fitted).await;
        writing.end(outcome).await.map(Some)
    }
}

/// An insertion under way.
struct Writing<'i> {
    context: Context,
    insertion: &'i Insertion,
    sink: Sink,
    once: Option<Once>,
    /// Whether rows are completed by those that exist.
    merges: bool,
    /// Whether rows are written without the columns that they have no values for.
    are_parts: bool,
    /// The columns of rows with a default that the statement does not name, and their values.
    defaults: Vec<(usize, ScalarValue)>,
    /// How many rows have come.
    rows: usize,
}

impl<'i> Writing<'i> {
    async fn begin(context: &Context, insertion: &'i Insertion) -> Result<Self> {
        let target = &insertion.target;
        let in_transaction = in_transaction(context);
        let now = Now::new();
        let mut defaults = Vec::new();
        for (column, expr) in target.defaults.iter() {
            if insertion.columns.contains(column) {
                continue;
            }
            match cell(expr, (target, *column), &Parameters::default(), now)? {
                Some(value) => defaults.push((*column, value)),
                // A typed literal: it is read as text of its column.
                None => defaults.push((*column, typed(expr)?)),
            }
        }
        let way = insertion.way(in_transaction);
        let once = match insertion.conflict {
            Conflict::Upsert => None,
            _ => Some(Once::new(target)?),
        };
        Ok(Self {
            context: context.clone(),
            insertion,
            are_parts: matches!(way, Way::Parts(_)),
            sink: Sink::put(context, target, way).await?,
            once,
            merges: insertion.merges(in_transaction),
            defaults,
            rows: 0,
        })
    }

    async fn end(self, outcome: Result<()>) -> Result<u64> {
        match outcome {
            Ok(()) => self.sink.finish().await,
            Err(error) => Err(self.sink.fail(error).await),
        }
    }

    async fn accept_query(&mut self, mut query: Query) -> Result<()> {
        let (target, columns) = (&self.insertion.target, &self.insertion.columns);
        put_now_in_query(&mut query, target, columns, Now::new())?;
        let reads_target = reads(&self.context, &query, &self.insertion.target);
        let rows = plan::rows(&self.context, query).await?;
        self.insertion.check_width(rows.schema().fields().len())?;
        if !reads_target {
            return self.accept_rows(rows).await;
        }
        // Whoever reads what it writes reads all before it writes.
        for batch in rows.fetch_all().await? {
            self.accept_given(&batch).await?;
        }
        Ok(())
    }

    async fn accept_rows(&mut self, mut rows: Rows) -> Result<()> {
        while let Some(batch) = rows.next().await {
            self.accept_given(&batch?).await?;
        }
        Ok(())
    }

    /// Takes rows of a query, whose columns go by their places.
    async fn accept_given(&mut self, batch: &RecordBatch) -> Result<()> {
        let (target, columns) = (&self.insertion.target, &self.insertion.columns);
        let fitted = target.fit(columns, batch.columns(), self.rows)?;
        self.accept(&fitted).await
    }

    /// Takes rows of the columns that the statement names.
    async fn accept(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.with_defaults(batch)?;
        let target = &self.insertion.target;
        match &self.insertion.conflict {
            Conflict::Upsert => {
                let batch = if self.merges {
                    self.merged(&batch).await?
                } else if self.are_parts {
                    batch
                } else {
                    target.whole(&batch)?
                };
                self.sink.add(batch).await
            }
            Conflict::Error => {
                let batch = target.whole(&batch)?;
                if let Some(once) = &mut self.once {
                    once.check(target, &batch, "is there twice in the statement")?;
                }
                let existing = Existing::find(&self.context, target, &target.keys_of(&batch)?).await?;
                if let Some(row) = existing.found.iter().position(|found| *found) {
                    return Err(violation(target, &batch, row, "exists already"));
                }
                self.sink.add(batch).await
            }
            Conflict::Nothing => {
                let batch = target.whole(&batch)?;
                let first = match &mut self.once {
                    Some(once) => once.is_first(&batch)?,
                    None => vec![true; batch.num_rows()],
                };
                let existing = Existing::find(&self.context, target, &target.keys_of(&batch)?).await?;
                let is_new = |row: &u32| {
                    let row = *row as usize;
                    first.get(row) == Some(&true) && existing.found.get(row) == Some(&false)
                };
                let new: Vec<u32> = (0..batch.num_rows() as u32).filter(is_new).collect();
                self.sink.add(rows_at(&batch, &new)?).await
            }
            Conflict::Update(update) => {
                let batch = target.whole(&batch)?;
                if let Some(once) = &mut self.once {
                    let reason = "is there twice in the statement: ON CONFLICT DO UPDATE changes a row once";
                    once.check(target, &batch, reason)?;
                }
                let existing = Existing::find(&self.context, target, &target.keys_of(&batch)?).await?;
                let (mut old, mut new) = (Vec::new(), Vec::new());
                for (row, found) in existing.found.iter().enumerate() {
                    if *found { &mut old } else { &mut new }.push(row as u32);
                }
                self.sink.add(rows_at(&batch, &new)?).await?;
                if old.is_empty() {
                    return Ok(());
                }
                let first = self.rows - batch.num_rows();
                let (there, excluded) = (rows_at(&existing.rows, &old)?, rows_at(&batch, &old)?);
                let changed = update.apply(&self.context, target, &there, &excluded, first)?;
                self.sink.add(changed).await
            }
        }
    }

    fn with_defaults(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if self.defaults.is_empty() {
            return Ok(batch.clone());
        }
        let target = &self.insertion.target;
        let (mut columns, mut values) = (self.insertion.columns.clone(), batch.columns().to_vec());
        for (column, value) in &self.defaults {
            let cells = value.to_array_of_size(batch.num_rows())?;
            let fitted = target.fit(&[*column], &[cells], 0)?;
            columns.push(*column);
            values.extend(fitted.columns().first().cloned());
        }
        target.batch(&columns, values, batch.num_rows())
    }

    /// Rows completed by those that exist.
    async fn merged(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let target = &self.insertion.target;
        let existing = Existing::find(&self.context, target, &target.keys_of(batch)?).await?;
        let columns = target.given();
        let mut values: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for (place, column) in columns.iter().enumerate() {
            let field = target.field(*column)?;
            let given = batch.column_by_name(&field.name).cloned();
            if given.is_none() && !field.data_type.is_nullable() && existing.found.contains(&false) {
                return Err(target.missing(field));
            }
            let kept = || existing.rows.columns().get(place).cloned();
            let none = || new_null_array(&target.wire(*column), batch.num_rows());
            values.push(given.or_else(kept).unwrap_or_else(none));
        }
        target.batch(&columns, values, batch.num_rows())
    }
}

/// The text of a literal with its type: `DATE '2024-01-01'`.
fn typed(expr: &Expr) -> Result<ScalarValue> {
    match expr {
        Expr::TypedString(typed) => match &typed.value.value {
            Value::SingleQuotedString(text) => Ok(ScalarValue::Utf8(Some(text.clone()))),
            _ => Err(Error::unsupported(format!("DEFAULT {expr}"))),
        },
        Expr::Nested(inner) => typed(inner),
        _ => Err(Error::unsupported(format!("DEFAULT {expr}"))),
    }
}

/// Whether a query may read the table that is written to: by its name, or through a view.
fn reads(context: &Context, query: &Query, target: &Target) -> bool {
    let (path, database) = (&target.info().path, context.database());
    let found = visit_relations(query, |name| {
        let is_view = matches!(names::parts(name).as_deref(), Ok([only])
            if context.shared.state.lock().views.contains_key(&only.value));
        let named = names::TableName::of_object(name, &database);
        if is_view || named.is_ok_and(|named| named.path == *path) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    found.is_break()
}

/// The placeholder that an expression is.
fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(name),
            _ => None,
        },
        Expr::Nested(inner) => placeholder(inner),
        _ => None,
    }
}

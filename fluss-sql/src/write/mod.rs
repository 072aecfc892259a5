//! Rows written: `INSERT`, `UPDATE`, `DELETE`, and transactions.
//!
//! ```text
//! INSERT ─▶ cells (literals, parameters) ─┐            ┌─▶ look-ups: rows that exist
//! INSERT, UPDATE, DELETE ─▶ plan ─▶ rows ─┴▶ fit ─▶ conflict ─▶ sink ─┬─▶ writers of the client
//!                                                                    └─▶ the open transaction ─▶ commit
//! ```
//!
//! A statement has written all of its rows when it returns. Rows are checked before any is sent, as long as they fit into the
//! memory of a writer (`client.writer.buffer.memory-size`); of more, some may be sent when another is found not to fit, and the
//! error tells how many. What is read first and written afterwards (UPDATE, DELETE, ON CONFLICT, keys that must not exist) is not
//! guarded against other writers that come in between.

mod assign;
mod cells;
mod commit;
mod conflict;
mod defaults;
mod existing;
mod fit;
mod insert;
mod inserting;
mod sink;
mod syntax;
mod target;
mod update;

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType as ArrowType;
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::Statement;
use fluss_client::types::TablePath;

use self::insert::Insertion;
use self::target::Target;
use self::update::Changing;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::plan;
use crate::run::{Outcome, Rows};
use crate::text;
use crate::value::{self, Parameters};

pub(crate) use commit::{begin, commit, rollback};
pub(crate) use defaults::{check as check_default, property as default_property};

/// Carries out `INSERT`, `UPDATE` or `DELETE`.
pub(crate) async fn execute(context: &Context, statement: Statement) -> Result<Outcome> {
    let rows = match statement {
        Statement::Insert(insert) => {
            let insertion = Box::pin(Insertion::new(context, insert)).await?;
            Box::pin(insertion.run(context)).await?
        }
        Statement::Update(update) => {
            let changing = Box::pin(Changing::update(context, update)).await?;
            Box::pin(changing.run(context)).await?
        }
        Statement::Delete(delete) => {
            let changing = Box::pin(Changing::delete(context, delete)).await?;
            Box::pin(changing.run(context)).await?
        }
        other => return Err(Error::unsupported(other)),
    };
    Ok(Outcome::Changed(rows))
}

/// Carries out a statement for each set of parameters, and returns how many rows were written. An `INSERT` of values is one
/// write; anything else is carried out for one set after another.
pub(crate) async fn execute_many(
    context: &Context,
    statement: &Statement,
    sets: &[Parameters],
) -> Result<u64> {
    if let Statement::Insert(insert) = statement {
        let insertion = Insertion::new(context, insert.clone()).await?;
        if let Some(rows) = insertion.run_many(context, sets).await? {
            return Ok(rows);
        }
    }
    let mut written = 0;
    for parameters in sets {
        let context = context.with(parameters);
        let before = |error: Error| {
            let own = error.written.unwrap_or_default();
            error.after_writing(written + own)
        };
        if let Outcome::Changed(rows) = execute(&context, statement.clone()).await.map_err(before)? {
            written += rows;
        }
    }
    Ok(written)
}

/// The same for the rows of a batch, whose columns are the values of the placeholders.
pub(crate) async fn execute_batch(
    context: &Context,
    statement: &Statement,
    placeholders: &[String],
    batch: &RecordBatch,
) -> Result<u64> {
    if let Statement::Insert(insert) = statement {
        let insertion = Insertion::new(context, insert.clone()).await?;
        if let Some(rows) = insertion.run_batch(context, placeholders, batch).await? {
            return Ok(rows);
        }
    }
    let are_numbered = placeholders
        .iter()
        .all(|name| name.trim_start_matches('$').parse::<usize>().is_ok());
    let set = |row: usize| {
        let values = batch
            .columns()
            .iter()
            .map(|column| value::Value::Arrow(column.slice(row, 1)));
        if are_numbered {
            return Parameters::Positional(values.collect());
        }
        let names = placeholders
            .iter()
            .map(|name| name.trim_start_matches('$').to_owned());
        Parameters::Named(names.zip(values).collect())
    };
    let sets: Vec<Parameters> = (0..batch.num_rows()).map(set).collect();
    execute_many(context, statement, &sets).await
}

/// Writes the rows of a query to a table that has their columns, in their order.
pub(crate) async fn insert_rows(context: &Context, path: &TablePath, rows: Rows) -> Result<u64> {
    let insertion = Insertion::of_rows(Target::of_path(context, path).await?);
    insertion.run_rows(context, rows).await
}

/// Deletes all rows of a table with a primary key.
pub(crate) async fn delete_all(context: &Context, path: &TablePath) -> Result<u64> {
    let target = Target::of_path(context, path).await?;
    target.need_key("TRUNCATE")?;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let text = format!("DELETE FROM {}.{}", quoted(path.database()), quoted(path.table()));
    let statement = text::parser(text::tokenize(&text)?).parse_statement()?;
    match execute(context, statement).await? {
        Outcome::Changed(rows) => Ok(rows),
        _ => Ok(0),
    }
}

/// How a statement would be carried out: what is written, and the plan of the rows to write.
pub(crate) async fn explain(context: &Context, statement: Statement) -> Result<Outcome> {
    let (text, query) = match statement {
        Statement::Insert(insert) => Insertion::new(context, insert).await?.explain()?,
        Statement::Update(update) => Changing::update(context, update).await?.explain()?,
        Statement::Delete(delete) => Changing::delete(context, delete).await?.explain()?,
        other => return Err(Error::unsupported(format!("EXPLAIN {other}"))),
    };
    let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text.to_owned()])) };
    let own = RecordBatch::try_from_iter([("plan_type", texts("write")), ("plan", texts(&text))])?;
    let Some(query) = query else {
        return Ok(Outcome::Rows(Rows::of_batch(own)));
    };
    let rows = plan::explain(context, query, false, false).await?.into_rows()?;
    let schema = rows.schema().clone();
    let mut batches = rows.fetch_all().await?;
    let are_texts = schema
        .fields()
        .iter()
        .all(|field| *field.data_type() == ArrowType::Utf8);
    if are_texts && schema.fields().len() == own.num_columns() {
        batches.insert(0, RecordBatch::try_new(schema.clone(), own.columns().to_vec())?);
    }
    Ok(Outcome::Rows(Rows::of_batch(concat_batches(&schema, &batches)?)))
}

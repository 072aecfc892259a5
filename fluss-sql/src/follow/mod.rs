//! Queries that do not end: rows as they come, of a log table or of the changes of a primary-key table.
//!
//! ```text
//! query ─▶ refusals ─▶ plan ─▶ pipeline: steps on batches
//!                               │
//!           scanner ─▶ progress ┴▶ stream: a task that computes ─▶ reader
//!                      └─ position, caught up
//! ```

mod clock;
mod pipeline;
mod progress;
mod refusals;
mod source;
mod start;
mod stream;

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr as Condition, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Expr, Query, Spanned};
use fluss_client::Table;

use self::pipeline::Pipeline;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::plan;
use crate::run::{Outcome, Rows};
use crate::scan::{FlussTable, predicate};

/// Carries out a query with `EMIT CHANGES`.
pub(crate) async fn execute(context: &Context, mut query: Query) -> Result<Outcome> {
    let limit = refusals::take_limit(&mut query)?;
    let views = context.shared.state.lock().views.clone();
    refusals::check(&query, &context.shared.engine, &views)?;
    let limit = match &limit {
        Some(limit) => Some(count(context, limit)?),
        None => None,
    };
    // What a WITH clause names may be among the tables that were looked up.
    let (logical, _) = plan::logical(context, query).await?;
    let table = followed(&logical)?;
    let engine = &context.shared.engine;
    let optimized = engine.optimize(&clock::let_run(logical)?)?;
    let row_type = table.info().row_type();
    let push = |condition: &Condition| predicate(condition, row_type);
    let pipeline = Pipeline::new(&optimized, &table.arrow_schema(), engine, &push)?;
    let progress = Arc::new(source::open(context, &table, &pipeline).await?);
    let schema = pipeline.schema().clone();
    let rows = stream::rows(context, pipeline, progress.clone(), limit)?;
    Ok(Outcome::Rows(Rows::new(schema, rows).following(progress)))
}

/// The only table of a plan.
fn followed(plan: &LogicalPlan) -> Result<Table> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source)?;
            let table = provider
                .downcast_ref::<FlussTable>()
                .map(|own| own.table().clone());
            found.push(table);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match (found.pop().flatten(), found.is_empty()) {
        (Some(table), true) => Ok(table),
        _ => Err(Error::unsupported(
            "EMIT CHANGES of a query over anything but one table",
        )),
    }
}

/// How many rows end the query.
fn count(context: &Context, limit: &Expr) -> Result<usize> {
    let value = plan::constant(context, limit)?;
    let number = match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) => usize::try_from(number).ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        let reason = format!("LIMIT is a number of rows, not {value}");
        Error::new(ErrorKind::Type, reason).at(Position::of(limit.span().start))
    })
}

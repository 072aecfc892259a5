//! From a syntax tree to a plan that can be run.
//!
//! ```text
//! query ─▶ grammar: refusals ─▶ references: tables looked up now ─▶ planner ─▶ allow-list ─▶ optimizer ─▶ scans
//! ```

mod engine;

use std::collections::HashMap;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::sql::sqlparser::ast::Query;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::run::{Outcome, Rows};

pub(crate) use engine::engine;

/// Carries out a query.
pub(crate) async fn query(context: &Context, query: Query) -> Result<Outcome> {
    rows(context, query).await.map(Outcome::Rows)
}

/// Begins to run a query, and returns its rows as they come.
pub(crate) async fn rows(context: &Context, query: Query) -> Result<Rows> {
    let _ = (context, query);
    Err(Error::unsupported("SELECT"))
}

/// How a query would be run, or was run, as rows of text.
pub(crate) async fn explain(
    context: &Context,
    query: Query,
    analyze: bool,
    verbose: bool,
) -> Result<Outcome> {
    let _ = (context, query, analyze, verbose);
    Err(Error::unsupported("EXPLAIN"))
}

/// The schema of a query, and the types of its parameters as far as it tells them.
pub(crate) async fn describe(
    context: &Context,
    query: Query,
) -> Result<(SchemaRef, HashMap<String, Option<DataType>>)> {
    let _ = (context, query);
    Err(Error::unsupported("PREPARE"))
}

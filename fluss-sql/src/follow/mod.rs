//! Queries that do not end: rows as they come.

use datafusion::sql::sqlparser::ast::Query;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::run::Outcome;

/// Carries out a query with `EMIT CHANGES`.
pub(crate) async fn execute(context: &Context, query: Query) -> Result<Outcome> {
    let _ = (context, query);
    Err(Error::unsupported("EMIT CHANGES"))
}

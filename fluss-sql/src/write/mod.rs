//! Rows written: `INSERT`, `UPDATE`, `DELETE`, and transactions.

use datafusion::sql::sqlparser::ast::Statement;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::run::Outcome;

/// Carries out `INSERT`, `UPDATE` or `DELETE`.
pub(crate) async fn execute(context: &Context, statement: Statement) -> Result<Outcome> {
    let _ = context;
    let what = match statement {
        Statement::Update(_) => "UPDATE",
        Statement::Delete(_) => "DELETE",
        _ => "INSERT",
    };
    Err(Error::unsupported(what))
}

/// How a statement would be carried out: the plan of the rows to write.
pub(crate) async fn explain(context: &Context, statement: Statement) -> Result<Outcome> {
    let _ = (context, statement);
    Err(Error::unsupported("EXPLAIN of a statement that writes"))
}

/// Opens a transaction.
pub(crate) async fn begin(context: &Context) -> Result<()> {
    let _ = context;
    Err(Error::unsupported("BEGIN"))
}

/// Sends what an open transaction has gathered, and closes it.
pub(crate) async fn commit(context: &Context) -> Result<()> {
    let _ = context;
    Err(Error::unsupported("COMMIT"))
}

/// Forgets what an open transaction has gathered, and closes it.
pub(crate) async fn rollback(context: &Context) -> Result<()> {
    let _ = context;
    Err(Error::unsupported("ROLLBACK"))
}

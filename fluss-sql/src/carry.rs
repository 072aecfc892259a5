//! Statements carried out: each by the room that can.

use crate::context::Context;
use crate::dispatch::{Explain, Statement};
use crate::error::{Error, Result};
use crate::run::Outcome;
use crate::text::Text;
use crate::{define, follow, plan, show, write};

/// Has a statement carried out by the room that can.
pub(crate) async fn carry_out(context: &Context, text: &Text) -> Result<Outcome> {
    match Statement::parse(text)? {
        Statement::Query(query) => plan::query(context, *query).await,
        Statement::Follow(query) => follow::execute(context, *query).await,
        Statement::Write(statement) => write::execute(context, *statement).await,
        Statement::Define(text) => define::execute(context, &text).await,
        Statement::Show(text) => show::execute(context, &text).await,
        Statement::Use(name) => show::use_database(context, name).await,
        Statement::Explain(explain) => self::explain(context, explain).await,
        Statement::Begin => done(write::begin(context).await),
        Statement::Commit => done(write::commit(context).await),
        Statement::Rollback => done(write::rollback(context).await),
    }
}

fn done(outcome: Result<()>) -> Result<Outcome> {
    outcome.map(|()| Outcome::Done)
}

async fn explain(context: &Context, explain: Explain) -> Result<Outcome> {
    match *explain.statement {
        Statement::Query(query) => plan::explain(context, *query, explain.analyze, explain.verbose).await,
        Statement::Write(_) if explain.analyze => {
            Err(Error::unsupported("EXPLAIN ANALYZE of a statement that writes"))
        }
        Statement::Write(statement) => write::explain(context, *statement).await,
        _ => Err(Error::unsupported("EXPLAIN of a query with EMIT CHANGES")),
    }
}

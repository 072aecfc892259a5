//! From a syntax tree to a plan that can be run.
//!
//! ```text
//! query ─▶ grammar: refusals ─▶ bind: parameters ─▶ references: tables looked up now ─▶ wildcards: hidden columns, moments
//!       ─▶ planner (provider) ─▶ allowed: an allow-list ─▶ optimizer ─▶ scans
//! ```

mod allowed;
mod bind;
mod clocks;
mod common_types;
mod engine;
mod moments;
mod paced;
mod point;
mod provider;
mod references;
mod turns;
mod types;
mod unknowns;
mod wildcards;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Statement};
use fluss_client::{ErrorCode, Table};
use futures::future::{BoxFuture, try_join_all};

use crate::context::{Context, View};
use crate::error::{Error, ErrorKind, Result};
use crate::grammar;
use crate::names::TableName;
use crate::run::{Outcome, Rows};
use crate::transaction::Overlay;

pub(crate) use bind::{bind, literal};
pub(crate) use engine::engine;
pub(crate) use moments::{constant, simplified};
use provider::{Provider, Sources, parser_options};

/// How deeply views may be made of views.
const MAX_VIEWS: usize = 16;

/// A plan of rows, and what it is run with.
pub(crate) struct Planned {
    plan: LogicalPlan,
    engine: SessionState,
    tables: Vec<(TableName, Table)>,
}

/// What a plan is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// To be run.
    Run,
    /// To be described, before parameters have values.
    Describe,
    /// To follow changes: tables are their logs.
    Follow,
}

impl Planned {
    /// The schema of the rows.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::new(self.plan.schema().as_arrow().clone())
    }

    /// Begins to run it.
    pub(crate) async fn run(self) -> Result<Rows> {
        let physical = self.engine.create_physical_plan(&self.plan).await?;
        Rows::of_plan(physical, self.engine.task_ctx())
    }

    /// The same as a plan that tells of itself.
    fn explained(mut self, analyze: bool, verbose: bool) -> Result<Self> {
        self.plan = LogicalPlanBuilder::from(self.plan)
            .explain(verbose, analyze)?
            .build()?;
        Ok(self)
    }
}

/// Carries out a query.
pub(crate) async fn query(context: &Context, query: Query) -> Result<Outcome> {
    rows(context, query).await.map(Outcome::Rows)
}

/// Begins to run a query, and returns its rows as they come.
pub(crate) async fn rows(context: &Context, mut query: Query) -> Result<Rows> {
    prepare(context, &mut query)?;
    if let Some(rows) = point::rows(context, &query).await? {
        return Ok(rows);
    }
    planned(context, query, Purpose::Run).await?.run().await
}

/// Plans a query.
pub(crate) async fn plan(context: &Context, mut query: Query) -> Result<Planned> {
    prepare(context, &mut query)?;
    planned(context, query, Purpose::Run).await
}

/// The plan of a query that follows changes, before it is optimised, and the tables that it reads. In it all tables are logs.
pub(crate) async fn logical(
    context: &Context,
    mut query: Query,
) -> Result<(LogicalPlan, Vec<(TableName, Table)>)> {
    prepare(context, &mut query)?;
    let planned = planned(context, query, Purpose::Follow).await?;
    Ok((planned.plan, planned.tables))
}

/// How a query would be run, or was run, as rows of text.
pub(crate) async fn explain(
    context: &Context,
    query: Query,
    analyze: bool,
    verbose: bool,
) -> Result<Outcome> {
    let planned = plan(context, query).await?.explained(analyze, verbose)?;
    planned.run().await.map(Outcome::Rows)
}

/// The schema of a query, and the types of its parameters as far as it tells them.
pub(crate) async fn describe(
    context: &Context,
    mut query: Query,
) -> Result<(SchemaRef, HashMap<String, Option<DataType>>)> {
    grammar::check(&mut query)?;
    let planned = planned(context, query, Purpose::Describe).await?;
    let types = planned.plan.get_parameter_types()?;
    Ok((planned.schema(), types))
}

/// Refuses what is not carried, and puts parameters in.
fn prepare(context: &Context, query: &mut Query) -> Result<()> {
    grammar::check(query)?;
    bind(query, &context.parameters)
}

/// Plans a query that is prepared.
fn planned(context: &Context, query: Query, purpose: Purpose) -> BoxFuture<'_, Result<Planned>> {
    Box::pin(nested(context, query, purpose, 0))
}

async fn nested(context: &Context, mut query: Query, purpose: Purpose, depth: usize) -> Result<Planned> {
    let references = references::references(&mut query)?;
    let (sources, mut tables) = look_up(context, &references, purpose, depth).await?;
    wildcards::rewrite(&mut query, context, &sources, purpose == Purpose::Describe)?;
    let mut engine = context.shared.engine.clone();
    engine.mark_start_execution();
    let plan = {
        let provider = Provider::new(&engine, &sources, context);
        let planner = SqlToRel::new_with_options(&provider, parser_options(&engine));
        planner.sql_statement_to_plan(Statement::Query(Box::new(query)))?
    };
    allowed::check(&plan)?;
    tables.extend(sources.tables);
    Ok(Planned { plan, engine, tables })
}

/// Looks up what a query names. What is not there is left out: it may be the name of a WITH clause.
///
/// Returned beside it are the tables that views read.
async fn look_up(
    context: &Context,
    references: &references::References,
    purpose: Purpose,
    depth: usize,
) -> Result<(Sources, Vec<(TableName, Table)>)> {
    let database = context.database();
    let mut sources = Sources {
        hidden: references.hidden,
        counted: references.tables.len() > 1,
        followed: purpose == Purpose::Follow,
        ..Sources::default()
    };
    let mut tables = Vec::new();
    let views = views_of(context, &references.tables);
    let mut names: BTreeSet<TableName> = references.names(&database)?;
    for (name, view) in views {
        if depth >= MAX_VIEWS {
            return Err(Error::unsupported(format!(
                "a view made of more than {MAX_VIEWS} others"
            )));
        }
        let within = context.within(&view.database);
        let planned = Box::pin(nested(&within, view.query.clone(), purpose, depth + 1)).await?;
        names.remove(&TableName::of_object(&name, &database)?);
        tables.extend(planned.tables);
        sources.views.insert(name.to_string(), planned.plan);
    }
    let found = try_join_all(names.into_iter().map(|name| find(context, name))).await?;
    sources.tables = found.into_iter().flatten().collect();
    if purpose == Purpose::Run {
        sources.overlays = overlays(context, &sources.tables)?;
    }
    Ok((sources, tables))
}

/// What the open transaction has written to tables. Their changelogs do not show it.
fn overlays(
    context: &Context,
    tables: &HashMap<TableName, Table>,
) -> Result<HashMap<TableName, Arc<Overlay>>> {
    let mut state = context.shared.state.lock();
    let mut found = HashMap::new();
    let Some(transaction) = state.transaction.as_mut() else {
        return Ok(found);
    };
    for (name, table) in tables.iter().filter(|(name, _)| !name.changelog) {
        if let Some(overlay) = transaction.overlay(table.info().id)? {
            found.insert(name.clone(), overlay);
        }
    }
    Ok(found)
}

/// The views of the session among some names.
fn views_of(context: &Context, names: &[ObjectName]) -> Vec<(ObjectName, Arc<View>)> {
    let state = context.shared.state.lock();
    let mut found: Vec<(ObjectName, Arc<View>)> = Vec::new();
    for name in names {
        let [only] = name.0.as_slice() else {
            continue;
        };
        let view = only.as_ident().and_then(|name| state.views.get(&name.value));
        if let Some(view) = view
            && !found
                .iter()
                .any(|(known, _)| known.to_string() == name.to_string())
        {
            found.push((ObjectName(vec![only.clone()]), view.clone()));
        }
    }
    found
}

/// A table, if there is one of this name.
async fn find(context: &Context, name: TableName) -> Result<Option<(TableName, Table)>> {
    if name.path.validate().is_err() {
        return Ok(None);
    }
    let table = context.client(context.connection().table(&name.path)).await;
    match table {
        Ok(table) => Ok(Some((name, table))),
        Err(error) => match error.code() {
            Some(ErrorCode::TABLE_NOT_EXIST | ErrorCode::DATABASE_NOT_EXIST) => Ok(None),
            _ => Err(error.into()),
        },
    }
}

/// A table that has to be there.
pub(crate) async fn table(context: &Context, path: &fluss_client::types::TablePath) -> Result<Table> {
    let name = TableName {
        path: path.clone(),
        changelog: false,
    };
    let found = find(context, name).await?;
    let missing = || Error::new(ErrorKind::NotFound, format!("there is no table '{path}'"));
    found.map(|(_, table)| table).ok_or_else(missing)
}

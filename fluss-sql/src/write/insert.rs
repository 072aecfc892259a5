//! `INSERT`.

use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Insert, ObjectName, Query, SetExpr, TableObject};

use super::assign;
use super::cells::{self, Now, cell};
use super::conflict::Conflict;
use super::sink::Way;
use super::syntax::{item, plain, refuse, template};
use super::target::Target;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names;
use crate::plan;
use crate::value::Parameters;

/// How many expressions are computed by one query.
const EXPRESSIONS: usize = 256;

/// An `INSERT` that was checked.
pub(super) struct Insertion {
    pub(super) target: Target,
    /// The columns that it gives values to, by their positions.
    pub(super) columns: Vec<usize>,
    pub(super) conflict: Conflict,
    pub(super) source: Source,
}

/// Where the rows come from.
pub(super) enum Source {
    /// Expressions, a row each.
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
}

impl Insertion {
    pub(super) async fn new(context: &Context, insert: Insert) -> Result<Self> {
        let Insert {
            insert_token: _,
            optimizer_hints,
            or,
            ignore,
            into: _,
            table,
            table_alias,
            columns,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns,
            has_table_keyword: _,
            on,
            returning,
            output,
            replace_into,
            priority,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        refuse! {
            returning.is_some() => "RETURNING",
            overwrite => "INSERT OVERWRITE",
            partitioned.is_some() => "INSERT … PARTITION",
            !assignments.is_empty() => "INSERT … SET",
            !optimizer_hints.is_empty() => "a hint in INSERT",
            !after_columns.is_empty() => "columns after PARTITION",
            output.is_some() => "OUTPUT",
            or.is_some() => "INSERT OR",
            source.is_none() && assignments.is_empty() => "INSERT … DEFAULT VALUES",
            ignore => "INSERT IGNORE",
            replace_into => "REPLACE",
            priority.is_some() => "INSERT with a priority",
            insert_alias.is_some() => "INSERT … AS",
            settings.is_some() => "SETTINGS",
            format_clause.is_some() => "FORMAT",
            multi_table_insert_type.is_some() => "INSERT into several tables",
            !multi_table_into_clauses.is_empty() => "INSERT into several tables",
            !multi_table_when_clauses.is_empty() => "INSERT into several tables",
            multi_table_else_clause.is_some() => "INSERT into several tables",
        }
        let TableObject::TableName(name) = table else {
            return Err(Error::unsupported("INSERT into anything but a table"));
        };
        let target = Target::find(context, &name).await?;
        let called = match table_alias {
            Some(alias) => alias.alias,
            None => assign::column(&name)?,
        };
        let conflict = Conflict::new(context, &target, on, &called)?;
        let columns = named(&target, &columns)?;
        let source = match source {
            Some(query) => Source::of(*query),
            None => Source::Values(Vec::new()),
        };
        let insertion = Self {
            target,
            columns,
            conflict,
            source,
        };
        insertion.check()?;
        Ok(insertion)
    }

    /// An insertion of all rows of a query into a table that was made for them.
    pub(super) fn of_rows(target: Target) -> Self {
        Self {
            columns: target.given(),
            conflict: Conflict::Upsert,
            source: Source::Values(Vec::new()),
            target,
        }
    }

    /// Refuses rows with more or fewer values than columns, and columns that need a value and get none.
    fn check(&self) -> Result<()> {
        if let Source::Values(rows) = &self.source {
            for row in rows {
                self.check_width(row.len())?;
            }
        }
        for column in self.target.given() {
            let field = self.target.field(column)?;
            let is_given = self.columns.contains(&column) || self.target.defaults.contains_key(&column);
            // Of a row that exists the rest may be kept.
            let may_be_kept = self.merges(true) && !self.target.key.contains(&column);
            if !is_given && !field.data_type.is_nullable() && !may_be_kept {
                return Err(self.target.missing(field));
            }
        }
        Ok(())
    }

    pub(super) fn check_width(&self, width: usize) -> Result<()> {
        if width == self.columns.len() {
            return Ok(());
        }
        let text = format!(
            "INSERT into {} columns of {} has {width} values",
            self.columns.len(),
            self.target.info().path
        );
        Err(Error::new(ErrorKind::Syntax, text))
    }

    /// The columns that rows have a value for, defaults included.
    fn filled(&self) -> Vec<usize> {
        let is_filled =
            |column: &usize| self.columns.contains(column) || self.target.defaults.contains_key(column);
        self.target.given().into_iter().filter(is_filled).collect()
    }

    /// Whether rows are completed by those that exist. `in_transaction` is whether whole rows are wanted in any case.
    pub(super) fn merges(&self, in_transaction: bool) -> bool {
        let is_whole = self.filled().len() == self.target.given().len();
        let is_kept = matches!(self.conflict, Conflict::Upsert) && self.target.has_key();
        is_kept
            && !is_whole
            && !self.target.takes_whole_rows()
            && (in_transaction || !self.target.takes_parts())
    }

    /// Which columns rows are written with.
    pub(super) fn way(&self, in_transaction: bool) -> Way {
        let filled = self.filled();
        let is_whole = filled.len() == self.target.given().len();
        let is_part = matches!(self.conflict, Conflict::Upsert)
            && self.target.has_key()
            && !is_whole
            && !in_transaction
            && self.target.takes_parts();
        if is_part { Way::Parts(filled) } else { Way::Whole }
    }

    /// The rows of literals and parameters, for each set of parameters; nothing if any value is another expression.
    pub(super) fn cells(&self, rows: &[Vec<Expr>], sets: &[Parameters]) -> Result<Option<RecordBatch>> {
        let now = Now::new();
        let capacity = rows.len() * sets.len();
        let mut all: Vec<Vec<ScalarValue>> = vec![Vec::with_capacity(capacity); self.columns.len()];
        for parameters in sets {
            for row in rows {
                for ((expr, column), cells) in row.iter().zip(&self.columns).zip(&mut all) {
                    match cell(expr, (&self.target, *column), parameters, now)? {
                        Some(value) => cells.push(value),
                        None => return Ok(None),
                    }
                }
            }
        }
        self.columns_of(&all).map(Some)
    }

    fn columns_of(&self, cells: &[Vec<ScalarValue>]) -> Result<RecordBatch> {
        let rows = cells.first().map_or(0, Vec::len);
        let columns = self.columns.iter().zip(cells);
        let values = columns.map(|(column, cells)| cells::column(cells, (&self.target, *column), 0));
        self.target
            .batch(&self.columns, values.collect::<Result<_>>()?, rows)
    }

    /// The rows, of whatever expressions.
    pub(super) async fn computed(&self, context: &Context, rows: &[Vec<Expr>]) -> Result<RecordBatch> {
        if let Some(batch) = self.cells(rows, std::slice::from_ref(&*context.parameters))? {
            return Ok(batch);
        }
        let now = Now::new();
        let mut all: Vec<Vec<ScalarValue>> = vec![vec![ScalarValue::Null; rows.len()]; self.columns.len()];
        let mut open = Vec::new();
        for (place, (column, cells)) in self.columns.iter().zip(&mut all).enumerate() {
            for (row, slot) in rows.iter().zip(cells) {
                let Some(expr) = row.get(place) else {
                    continue;
                };
                match cell(expr, (&self.target, *column), &context.parameters, now)? {
                    Some(value) => *slot = value,
                    None => open.push((plain(&self.target, expr, *column, now)?, slot)),
                }
            }
        }
        // Each expression is of its own type: those of a column need have none in common.
        let mut open = open.into_iter().peekable();
        while open.peek().is_some() {
            let (exprs, slots): (Vec<_>, Vec<_>) = open.by_ref().take(EXPRESSIONS).unzip();
            for (slot, value) in slots.into_iter().zip(values(context, exprs).await?) {
                *slot = value;
            }
        }
        self.columns_of(&all)
    }

    /// How EXPLAIN tells it, and the query that it is of, if it is of one.
    pub(super) fn explain(&self) -> Result<(String, Option<Query>)> {
        let in_transaction = false;
        let names = self
            .columns
            .iter()
            .map(|column| Ok(self.target.field(*column)?.name.clone()));
        let names = names.collect::<Result<Vec<_>>>()?.join(", ");
        let path = &self.target.info().path;
        let how = if self.target.has_key() {
            self.conflict.name()
        } else {
            "append"
        };
        let others = match self.way(in_transaction) {
            _ if self.merges(in_transaction) => ", other columns are looked up",
            Way::Parts(_) => ", other columns stay",
            _ => "",
        };
        let rows = match &self.source {
            Source::Values(rows) => format!(", {} rows of values", rows.len()),
            Source::Query(_) => String::new(),
        };
        let query = match &self.source {
            Source::Query(query) => Some((**query).clone()),
            Source::Values(_) => None,
        };
        Ok((format!("Insert: {path} ({names}): {how}{others}{rows}"), query))
    }
}

/// The values of expressions.
async fn values(context: &Context, exprs: Vec<Expr>) -> Result<Vec<ScalarValue>> {
    let count = exprs.len();
    let mut query = template("SELECT 1")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        let items = exprs.into_iter().enumerate();
        select.projection = items.map(|(place, expr)| item(expr, place)).collect();
    }
    let rows = plan::rows(context, query).await?;
    let batches = rows.fetch_all().await?;
    let Some(batch) = batches
        .iter()
        .find(|batch| batch.num_rows() == 1 && batch.num_columns() == count)
    else {
        return Err(Error::new(ErrorKind::Other, "a value of VALUES is not one value"));
    };
    let columns = batch.columns().iter();
    Ok(columns
        .map(|column| ScalarValue::try_from_array(column, 0))
        .collect::<Result<_, _>>()?)
}

/// The columns that a statement names, or all.
fn named(target: &Target, names: &[ObjectName]) -> Result<Vec<usize>> {
    if names.is_empty() {
        return Ok(target.given());
    }
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let at = names::place(name);
        if names::parts(name)?.len() > 1 {
            return Err(Error::unsupported(format!("the column '{name}', with a table, in INSERT")).at(at));
        }
        let name = assign::column(name)?;
        let column = target.column(&name)?;
        let at = Position::of(name.span.start);
        if columns.contains(&column) {
            let text = format!("column '{}' is named twice", name.value);
            return Err(Error::new(ErrorKind::Syntax, text).at(at));
        }
        if target.counter == Some(column) {
            let what = format!("giving a value to '{}', which servers fill in,", name.value);
            return Err(Error::unsupported(what).at(at));
        }
        columns.push(column);
    }
    Ok(columns)
}

impl Source {
    fn of(query: Query) -> Self {
        let is_plain = query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty()
            && query.for_clause.is_none()
            && query.settings.is_none()
            && query.format_clause.is_none()
            && query.pipe_operators.is_empty();
        match *query.body {
            SetExpr::Values(values) if is_plain => {
                Self::Values(values.rows.into_iter().map(|row| row.content).collect())
            }
            body => Self::Query(Box::new(Query {
                body: Box::new(body),
                ..query
            })),
        }
    }
}

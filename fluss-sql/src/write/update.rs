//! `UPDATE` and `DELETE`: a query of the rows to write, which are then written.
//!
//! Rows are read, and written afterwards. Of two that change the same row at the same time one may undo the other: nothing guards
//! against that.

use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{
    Delete, Expr, FromTable, Ident, LimitClause, OrderBy, OrderByExpr, OrderByKind, Query, SelectItem,
    SetExpr, TableFactor, TableWithJoins, Update, UpdateTableFromKind,
};

use super::assign::assignments;
use super::cells::Now;
use super::existing::Once;
use super::sink::{Sink, Way, in_transaction};
use super::syntax::{item, plain, refuse, template};
use super::target::Target;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::names;
use crate::plan;

/// An `UPDATE` or a `DELETE` that was checked.
pub(super) struct Changing {
    target: Target,
    query: Query,
    /// The columns that the query returns, by their positions in the table.
    columns: Vec<usize>,
    deletes: bool,
    /// Whether a row may come several times, because other tables are joined to it.
    is_joined: bool,
    way: Way,
}

impl Changing {
    pub(super) async fn update(context: &Context, update: Update) -> Result<Self> {
        let Update {
            update_token: _,
            optimizer_hints,
            table,
            assignments: set,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        refuse! {
            returning.is_some() => "RETURNING",
            output.is_some() => "OUTPUT",
            or.is_some() => "UPDATE OR",
            !optimizer_hints.is_empty() => "a hint in UPDATE",
        }
        let others = match from {
            None => Vec::new(),
            Some(UpdateTableFromKind::AfterSet(tables)) => tables,
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(Error::unsupported("UPDATE with FROM before SET"));
            }
        };
        let target = find(context, &table, "UPDATE").await?;
        if let Some(engine) = target.merge_engine().filter(|_| target.takes_whole_rows()) {
            return Err(Error::unsupported(format!(
                "UPDATE of a table with the merge engine {engine}"
            )));
        }
        let (now, mut set) = (Now::new(), assignments(&target, set)?);
        for (column, expr) in &mut set {
            *expr = plain(&target, expr, *column, now)?;
        }
        let assigned = |column: &usize| set.iter().any(|(other, _)| other == column);
        let is_whole = in_transaction(context) || !target.takes_parts();
        let columns: Vec<usize> = target
            .given()
            .into_iter()
            .filter(|column| is_whole || target.key.contains(column) || assigned(column))
            .collect();
        let overwrites = target.merge_engine().is_some();
        let way = match (overwrites, is_whole) {
            (false, false) => Way::Parts(columns.clone()),
            (false, true) => Way::Whole,
            (true, false) => Way::Overwriting(Some(columns.clone())),
            (true, true) => Way::Overwriting(None),
        };
        let called = qualifier(&table)?;
        let mut items = Vec::with_capacity(columns.len());
        for (place, column) in columns.iter().enumerate() {
            let expr = match set.iter().find(|(other, _)| other == column) {
                Some((_, expr)) => expr.clone(),
                None => field(&called, &target, *column)?,
            };
            items.push(item(expr, place));
        }
        let is_joined = !others.is_empty();
        let query = query(items, table, others, selection, order_by, limit)?;
        Ok(Self {
            target,
            query,
            columns,
            deletes: false,
            is_joined,
            way,
        })
    }

    pub(super) async fn delete(context: &Context, delete: Delete) -> Result<Self> {
        let Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        refuse! {
            returning.is_some() => "RETURNING",
            output.is_some() => "OUTPUT",
            !optimizer_hints.is_empty() => "a hint in DELETE",
            !tables.is_empty() => "DELETE from several tables",
            using.is_some() => "DELETE … USING",
        }
        let (FromTable::WithFromKeyword(mut from) | FromTable::WithoutKeyword(mut from)) = from;
        let (Some(table), true) = (from.pop(), from.is_empty()) else {
            return Err(Error::unsupported("DELETE from several tables"));
        };
        let target = find(context, &table, "DELETE").await?;
        target.check_deletes()?;
        let called = qualifier(&table)?;
        let items = target.key.iter().enumerate();
        let items = items.map(|(place, column)| Ok(item(field(&called, &target, *column)?, place)));
        let query = query(
            items.collect::<Result<_>>()?,
            table,
            Vec::new(),
            selection,
            order_by,
            limit,
        )?;
        Ok(Self {
            columns: target.key.clone(),
            target,
            query,
            deletes: true,
            is_joined: false,
            way: Way::Whole,
        })
    }

    /// Changes the rows, and returns how many there are.
    pub(super) async fn run(self, context: &Context) -> Result<u64> {
        // All are read before any is written: no row is seen as it is to be.
        let rows = plan::rows(context, self.query).await?.fetch_all().await?;
        let mut once = Once::new(&self.target)?;
        let mut fitted: Vec<RecordBatch> = Vec::with_capacity(rows.len());
        let mut count = 0;
        for batch in rows {
            let batch = self.target.fit(&self.columns, batch.columns(), count)?;
            count += batch.num_rows();
            if self.is_joined {
                let reason = "meets several rows of FROM: which of them it is to be changed by is not said";
                once.check(&self.target, &batch, reason)?;
            }
            fitted.push(batch);
        }
        if fitted.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(0);
        }
        let mut sink = if self.deletes {
            Sink::delete(context, &self.target).await?
        } else {
            Sink::put(context, &self.target, self.way).await?
        };
        for batch in fitted {
            if let Err(error) = sink.add(batch).await {
                return Err(sink.fail(error).await);
            }
        }
        sink.finish().await
    }

    /// How EXPLAIN tells it, and the query of the rows to write.
    pub(super) fn explain(self) -> Result<(String, Option<Query>)> {
        let names = self
            .columns
            .iter()
            .map(|column| Ok(self.target.field(*column)?.name.clone()));
        let names = names.collect::<Result<Vec<_>>>()?.join(", ");
        let path = &self.target.info().path;
        let text = if self.deletes {
            format!("Delete: {path} by ({names})")
        } else {
            format!("Update: {path} ({names})")
        };
        Ok((text, Some(self.query)))
    }
}

/// The table that is changed, which has a primary key.
async fn find(context: &Context, table: &TableWithJoins, what: &str) -> Result<Target> {
    let TableFactor::Table { name, version, .. } = &table.relation else {
        return Err(Error::unsupported(format!("{what} of anything but a table")));
    };
    let at = names::place(name);
    if !table.joins.is_empty() {
        return Err(Error::unsupported(format!("{what} of a join")).at(at));
    }
    if version.is_some() {
        return Err(Error::unsupported(format!("{what} of a table as of a time")).at(at));
    }
    let target = Target::find(context, name).await?;
    target.need_key(what).map_err(|error| error.at(at))?;
    Ok(target)
}

/// What the table is called in expressions.
fn qualifier(table: &TableWithJoins) -> Result<Vec<Ident>> {
    match &table.relation {
        TableFactor::Table {
            alias: Some(alias), ..
        } if alias.columns.is_empty() => Ok(vec![alias.name.clone()]),
        TableFactor::Table {
            name, alias: None, ..
        } => Ok(names::parts(name)?.into_iter().cloned().collect()),
        _ => Err(Error::unsupported(
            "other names for the columns of a table that is changed",
        )),
    }
}

fn field(called: &[Ident], target: &Target, column: usize) -> Result<Expr> {
    let name = Ident::with_quote('"', target.field(column)?.name.clone());
    let parts = called.iter().cloned().chain([name]);
    Ok(Expr::CompoundIdentifier(parts.collect()))
}

fn query(
    items: Vec<SelectItem>,
    table: TableWithJoins,
    others: Vec<TableWithJoins>,
    selection: Option<Expr>,
    order_by: Vec<OrderByExpr>,
    limit: Option<Expr>,
) -> Result<Query> {
    let mut query = template("SELECT 1")?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(Error::new(ErrorKind::Other, "SELECT is no query"));
    };
    select.projection = items;
    select.from = std::iter::once(table).chain(others).collect();
    select.selection = selection;
    if !order_by.is_empty() {
        query.order_by = Some(OrderBy {
            kind: OrderByKind::Expressions(order_by),
            interpolate: None,
        });
    }
    query.limit_clause = limit.map(|limit| LimitClause::LimitOffset {
        limit: Some(limit),
        offset: None,
        limit_by: Vec::new(),
    });
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    #[test]
    fn the_rows_to_write_are_a_query() {
        let mut parser = text::parser(text::tokenize("a AS x").unwrap());
        let table = parser.parse_table_and_joins().unwrap();
        let mut parser = text::parser(text::tokenize("x.n > 1 AND FALSE").unwrap());
        let selection = parser.parse_expr().unwrap();
        let called = qualifier(&table).unwrap();
        assert_eq!(called, [Ident::new("x")]);
        let limit = text::parser(text::tokenize("3").unwrap()).parse_expr().unwrap();
        let items = vec![item(Expr::Identifier(Ident::new("n")), 0)];
        let query = query(items, table, Vec::new(), Some(selection), Vec::new(), Some(limit)).unwrap();
        assert_eq!(
            query.to_string(),
            "SELECT n AS \"__fluss_column_0\" FROM a AS x WHERE x.n > 1 AND false LIMIT 3"
        );
    }
}

//! What cannot be asked of rows that do not end, by name and place, before anything is planned.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, GroupByExpr, LimitClause, ObjectName, Query, Select, SetExpr, Spanned,
    TableFactor, TableWithJoins, Visit, Visitor,
};

use crate::context::View;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names;

/// How deeply views may be made of views.
const VIEWS_DEEP: usize = 32;

/// Takes the `LIMIT` off a query that is followed, which ends it.
pub(super) fn take_limit(query: &mut Query) -> Result<Option<Expr>> {
    match query.limit_clause.take() {
        None => Ok(None),
        Some(LimitClause::LimitOffset {
            limit,
            offset: None,
            limit_by,
        }) if limit_by.is_empty() => Ok(limit),
        Some(other) => {
            let what = match other {
                LimitClause::LimitOffset { offset: None, .. } => "LIMIT BY",
                _ => "OFFSET",
            };
            Err(refusal(what, None).at(Position::of(other.span().start)))
        }
    }
}

/// Refuses what needs all rows before it can tell the first, or more than one row at a time.
pub(super) fn check(query: &Query, engine: &SessionState, views: &BTreeMap<String, Arc<View>>) -> Result<()> {
    let mut walk = Walk {
        engine,
        views,
        names: Vec::new(),
        view: Vec::new(),
    };
    walk.query(query, true)
}

/// What is said about a clause.
fn refusal(what: &str, view: Option<&str>) -> Error {
    let within = view.map_or_else(String::new, |view| format!(" in the view '{view}'"));
    Error::new(
        ErrorKind::Unsupported,
        format!("{what}{within} is not supported with EMIT CHANGES: changes have no end"),
    )
}

struct Walk<'a> {
    engine: &'a SessionState,
    views: &'a BTreeMap<String, Arc<View>>,
    /// The names that `WITH` has given to queries.
    names: Vec<String>,
    /// The views that are looked into, outermost first, and where the text names them.
    view: Vec<(String, Option<Position>)>,
}

impl Walk<'_> {
    fn refuse<T>(&self, what: &str, node: &impl Spanned) -> Result<T> {
        let view = self.view.last().map(|(name, _)| name.as_str());
        Err(refusal(what, view).at(self.place(node)))
    }

    /// Where something stands in the text; what is in a view, where the view is named.
    fn place(&self, node: &impl Spanned) -> Option<Position> {
        match self.view.first() {
            Some((_, at)) => *at,
            None => Position::of(node.span().start),
        }
    }

    fn query(&mut self, query: &Query, is_whole: bool) -> Result<()> {
        let outer = self.names.len();
        if let Some(with) = &query.with {
            if with.recursive {
                return self.refuse("WITH RECURSIVE", with);
            }
            for table in &with.cte_tables {
                self.query(&table.query, false)?;
                self.names.push(table.alias.name.value.clone());
            }
        }
        if let Some(order) = &query.order_by {
            return self.refuse("ORDER BY", order);
        }
        if let Some(limit) = query.limit_clause.as_ref().filter(|_| !is_whole) {
            return self.refuse("LIMIT within the query", limit);
        }
        if let Some(fetch) = &query.fetch {
            return self.refuse("FETCH (write LIMIT)", fetch);
        }
        self.body(&query.body)?;
        self.names.truncate(outer);
        Ok(())
    }

    fn body(&mut self, body: &SetExpr) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query, false),
            SetExpr::SetOperation { op, left, .. } => self.refuse(&op.to_string(), &**left),
            SetExpr::Values(_) => self.no_table(body),
            // Whatever else is not carried is refused with the grammar.
            _ => Ok(()),
        }
    }

    fn no_table<T>(&self, node: &impl Spanned) -> Result<T> {
        let reason = "EMIT CHANGES needs a table to follow, and the query reads none";
        Err(Error::new(ErrorKind::Unsupported, reason).at(self.place(node)))
    }

    fn select(&mut self, select: &Select) -> Result<()> {
        if select
            .distinct
            .as_ref()
            .is_some_and(|distinct| *distinct != Distinct::All)
        {
            return self.refuse("DISTINCT", select);
        }
        if select.top.is_some() {
            return self.refuse("TOP", select);
        }
        self.clauses(select)?;
        match select.from.as_slice() {
            [] => return self.no_table(select),
            [table] => self.table(table)?,
            [_, second, ..] => return self.refuse("a join", second),
        }
        for item in &select.projection {
            self.expressions(item)?;
        }
        if let Some(condition) = &select.selection {
            self.expressions(condition)?;
        }
        Ok(())
    }

    fn clauses(&self, select: &Select) -> Result<()> {
        match &select.group_by {
            GroupByExpr::All(_) => return self.refuse("GROUP BY", select),
            GroupByExpr::Expressions(by, modifiers) if !by.is_empty() || !modifiers.is_empty() => {
                return self.refuse("GROUP BY", &select.group_by);
            }
            GroupByExpr::Expressions(..) => {}
        }
        if let Some(having) = &select.having {
            return self.refuse("HAVING", having);
        }
        if let Some(qualify) = &select.qualify {
            return self.refuse("QUALIFY", qualify);
        }
        if let Some(window) = select.named_window.first() {
            return self.refuse("WINDOW", window);
        }
        Ok(())
    }

    fn table(&mut self, table: &TableWithJoins) -> Result<()> {
        if let Some(join) = table.joins.first() {
            return self.refuse("a join", join);
        }
        match &table.relation {
            TableFactor::Table { args: Some(_), .. } => self.refuse("a table function", &table.relation),
            TableFactor::Table { version: Some(_), .. } => self.refuse("AS OF", &table.relation),
            TableFactor::Table { name, .. } => self.named(name),
            TableFactor::Derived { lateral: true, .. } => self.refuse("LATERAL", &table.relation),
            TableFactor::Derived { subquery, .. } => self.query(subquery, false),
            TableFactor::NestedJoin { table_with_joins, .. } => self.table(table_with_joins),
            TableFactor::UNNEST { .. } => self.refuse("UNNEST", &table.relation),
            TableFactor::TableFunction { .. } | TableFactor::Function { .. } => {
                self.refuse("a table function", &table.relation)
            }
            TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => self.refuse("PIVOT", &table.relation),
            TableFactor::MatchRecognize { .. } => self.refuse("MATCH_RECOGNIZE", &table.relation),
            // As above.
            _ => Ok(()),
        }
    }

    /// Looks into a view.
    fn named(&mut self, name: &ObjectName) -> Result<()> {
        let parts = names::parts(name)?;
        let [only] = parts.as_slice() else {
            return Ok(());
        };
        if self.view.is_empty() && self.names.contains(&only.value) {
            return Ok(());
        }
        let Some(view) = self.views.get(&only.value) else {
            return Ok(());
        };
        if self.view.len() >= VIEWS_DEEP {
            return Err(Error::unsupported("a view of so many views").at(self.place(name)));
        }
        let (view, place) = (view.clone(), self.place(name));
        self.view.push((only.value.clone(), place));
        self.query(&view.query, false)?;
        self.view.pop();
        Ok(())
    }

    fn expressions(&self, node: &impl Visit) -> Result<()> {
        match node.visit(&mut Expressions(self)) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn expression(&self, expression: &Expr) -> Result<()> {
        match expression {
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                self.refuse("a subquery in an expression", expression)
            }
            Expr::Function(function) => self.function(function),
            _ => Ok(()),
        }
    }

    fn function(&self, function: &Function) -> Result<()> {
        let Some(name) = function.name.0.last().and_then(|part| part.as_ident()) else {
            return Ok(());
        };
        let name = name.value.to_ascii_lowercase();
        if function.over.is_some() || self.engine.window_functions().contains_key(&name) {
            return self.refuse(&format!("the window function {name}"), function);
        }
        if self.engine.aggregate_functions().contains_key(&name) {
            return self.refuse(&format!("the aggregate {name}"), function);
        }
        if name == "unnest" {
            return self.refuse("unnest", function);
        }
        Ok(())
    }
}

/// Looks at all expressions of a clause.
struct Expressions<'a, 'b>(&'a Walk<'b>);

impl Visitor for Expressions<'_, '_> {
    type Break = Error;

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Error> {
        match self.0.expression(expression) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::session_state::SessionStateBuilder;

    use super::*;
    use crate::text::Text;

    fn parsed(text: &str) -> Query {
        *Text::statement(text, 1 << 20).unwrap().query().unwrap()
    }

    fn checked(text: &str, views: &[(&str, &str)]) -> Result<Option<String>, String> {
        let view = |(name, text): &(&str, &str)| {
            let view = View {
                query: parsed(text),
                database: "d".to_owned(),
            };
            ((*name).to_owned(), Arc::new(view))
        };
        let engine = SessionStateBuilder::new_with_default_features().build();
        let mut query = parsed(text);
        let limit = take_limit(&mut query).and_then(|limit| {
            check(&query, &engine, &views.iter().map(view).collect())?;
            Ok(limit)
        });
        let limit = limit.map_err(|error| error.to_string())?;
        Ok(limit.map(|limit| limit.to_string()))
    }

    #[test]
    fn what_takes_one_row_at_a_time_is_taken() {
        for text in [
            "SELECT * FROM t EMIT CHANGES",
            "SELECT ALL a, upper(b), CASE WHEN a > 1 THEN 'x' ELSE b END FROM d.t AS t WHERE a BETWEEN 1 AND 3 EMIT CHANGES",
            "SELECT * FROM (SELECT a + 1 AS b FROM t WHERE a IN (1, 2)) AS s WHERE b > 2 EMIT CHANGES",
            "WITH s AS (SELECT a FROM t) SELECT a FROM s EMIT CHANGES",
            "(SELECT a FROM t) EMIT CHANGES",
            "SELECT _change_type, _offset FROM \"t$changelog\" EMIT CHANGES",
        ] {
            assert_eq!(checked(text, &[]), Ok(None), "{text}");
        }
        let limited = checked("SELECT a FROM t LIMIT 7 EMIT CHANGES", &[]);
        assert_eq!(limited, Ok(Some("7".to_owned())));
    }

    #[test]
    fn what_needs_an_end_is_refused_by_name_and_place() {
        for (text, what, place) in [
            ("SELECT a FROM t ORDER BY a", "ORDER BY", "line 1, column 26"),
            ("SELECT DISTINCT a FROM t", "DISTINCT", "line 1, column 1"),
            ("SELECT a FROM t GROUP BY a", "GROUP BY", "line 1, column 26"),
            ("SELECT a FROM t HAVING a > 1", "HAVING", "line 1, column 24"),
            (
                "SELECT a,\n count(*) FROM t",
                "the aggregate count",
                "line 2, column 2",
            ),
            (
                "SELECT 1 + Sum(a) FROM t",
                "the aggregate sum",
                "line 1, column 12",
            ),
            (
                "SELECT row_number() OVER (ORDER BY a) FROM t",
                "the window function row_number",
                "line 1, column 8",
            ),
            (
                "SELECT sum(a) OVER (ORDER BY a) FROM t",
                "the window function sum",
                "line 1, column 8",
            ),
            ("SELECT a FROM t, u", "a join", "line 1, column 18"),
            (
                "SELECT a FROM t JOIN u ON t.a = u.a",
                "a join",
                "line 1, column 22",
            ),
            ("SELECT a FROM (t CROSS JOIN u)", "a join", "line 1, column 29"),
            (
                "SELECT a FROM t UNION ALL SELECT a FROM u",
                "UNION",
                "line 1, column 1",
            ),
            (
                "SELECT a FROM t EXCEPT SELECT a FROM u",
                "EXCEPT",
                "line 1, column 1",
            ),
            (
                "SELECT a FROM (SELECT a FROM t LIMIT 3) AS s",
                "LIMIT within the query",
                "line 1, column 38",
            ),
            (
                "WITH s AS (SELECT a FROM t ORDER BY a) SELECT a FROM s",
                "ORDER BY",
                "line 1, column 37",
            ),
            (
                "SELECT a FROM t WHERE a IN (SELECT a FROM u)",
                "a subquery in an expression",
                "line 1, column 23",
            ),
            (
                "SELECT (SELECT max(a) FROM u WHERE u.b = t.b) FROM t",
                "a subquery in an expression",
                "line 1, column 9",
            ),
            (
                "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u)",
                "a subquery in an expression",
                "line 1, column 31",
            ),
            ("SELECT unnest(a) FROM t", "unnest", "line 1, column 8"),
            ("SELECT a FROM t LIMIT 1 OFFSET 3", "OFFSET", "line 1, column 23"),
            ("SELECT a FROM t AS OF TIMESTAMP 3", "AS OF", "line 1, column 15"),
        ] {
            let expected =
                format!("{what} is not supported with EMIT CHANGES: changes have no end ({place})");
            assert_eq!(
                checked(&format!("{text} EMIT CHANGES"), &[]),
                Err(expected),
                "{text}"
            );
        }
        for text in ["SELECT 1 EMIT CHANGES", "VALUES (1) EMIT CHANGES"] {
            let refused = checked(text, &[]).unwrap_err();
            assert!(
                refused.starts_with("EMIT CHANGES needs a table to follow"),
                "{refused}"
            );
        }
    }

    #[test]
    fn views_are_looked_into() {
        let views = [
            ("plain", "SELECT a FROM t WHERE a > 1"),
            ("counted", "SELECT count(*) AS n FROM t"),
            ("outer", "SELECT n FROM counted"),
        ];
        assert_eq!(checked("SELECT * FROM plain EMIT CHANGES", &views), Ok(None));
        assert_eq!(
            checked("SELECT n\nFROM outer EMIT CHANGES", &views),
            Err(
                "the aggregate count in the view 'counted' is not supported with EMIT CHANGES: changes have no end \
                 (line 2, column 6)"
                    .to_owned()
            )
        );
        // A name of the query's own comes first.
        let text = "WITH counted AS (SELECT a FROM t) SELECT a FROM counted EMIT CHANGES";
        assert_eq!(checked(text, &views), Ok(None));
    }

    #[test]
    fn views_in_a_circle_end() {
        let views = [("a", "SELECT * FROM b"), ("b", "SELECT * FROM a")];
        assert!(checked("SELECT * FROM a EMIT CHANGES", &views).is_err());
    }
}

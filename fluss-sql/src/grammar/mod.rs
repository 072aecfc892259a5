//! What is not carried here, refused by its name and with its place: whatever the planner would pass over in silence.
//!
//! Structures are taken apart field by field, so that a field that a later parser adds does not compile until it is judged.

mod expressions;
mod tables;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Distinct, ExcludeSelectItem, Expr, Fetch, GroupByExpr, GroupByWithModifier, LimitClause, OrderBy,
    OrderByExpr, OrderByKind, OrderByOptions, Query, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Spanned, TableFactor, VisitMut,
    VisitorMut, WildcardAdditionalOptions, With,
};

use crate::error::{Error, Position, Result};

/// Refuses what a query, and all within it, has that is not carried here; and writes `FETCH FIRST n ROWS ONLY` as `LIMIT n`.
pub(crate) fn check(query: &mut Query) -> Result<()> {
    visit(query)
}

/// The same for an expression, and the queries within it.
pub(crate) fn check_expression(expression: &mut Expr) -> Result<()> {
    visit(expression)
}

fn visit(node: &mut impl VisitMut) -> Result<()> {
    match node.visit(&mut Checker) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Checker;

impl VisitorMut for Checker {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        flow(fetch_as_limit(query).and_then(|()| query_is_known(query)))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        flow(select_is_known(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        flow(tables::factor(factor))
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        expressions::keep_nanoseconds(expression);
        expressions::exponent_is_double(expression);
        expressions::utc_is_meant(expression);
        flow(expressions::expression(expression))
    }
}

fn flow(outcome: Result<()>) -> ControlFlow<Box<Error>> {
    match outcome {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

/// What is refused of one node, at its place.
struct Refusals(Option<Position>);

impl Refusals {
    fn of(node: &impl Spanned) -> Self {
        Self(Position::of(node.span().start))
    }

    /// Refuses what is there.
    fn any(&self, is_there: bool, what: &str) -> Result<()> {
        if is_there {
            return Err(Error::unsupported(what).at(self.0));
        }
        Ok(())
    }
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`, by another name.
fn fetch_as_limit(query: &mut Query) -> Result<()> {
    let refuse = Refusals::of(query);
    let Some(fetch) = query.fetch.take() else {
        return Ok(());
    };
    let Fetch {
        with_ties,
        percent,
        quantity,
    } = fetch;
    refuse.any(with_ties, "FETCH … WITH TIES")?;
    refuse.any(percent, "FETCH … PERCENT")?;
    let count = quantity.unwrap_or_else(|| {
        let one = datafusion::sql::sqlparser::ast::Value::Number("1".to_owned(), false);
        Expr::Value(one.into())
    });
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(count),
                offset: None,
                limit_by: Vec::new(),
            });
        }
        Some(LimitClause::LimitOffset {
            limit: limit @ None, ..
        }) => *limit = Some(count),
        Some(_) => return Err(Error::unsupported("FETCH beside LIMIT").at(refuse.0)),
    }
    Ok(())
}

fn query_is_known(query: &Query) -> Result<()> {
    let refuse = Refusals::of(query);
    let Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    if let Some(with) = with {
        with_is_known(with)?;
    }
    set_is_known(body, &refuse)?;
    if let Some(OrderBy { kind, interpolate }) = order_by {
        refuse.any(interpolate.is_some(), "INTERPOLATE")?;
        match kind {
            OrderByKind::Expressions(expressions) => order_is_known(expressions)?,
            OrderByKind::All(_) => refuse.any(true, "ORDER BY ALL")?,
        }
    }
    match limit_clause {
        None => {}
        Some(LimitClause::LimitOffset { limit_by, .. }) => refuse.any(!limit_by.is_empty(), "LIMIT … BY")?,
        Some(LimitClause::OffsetCommaLimit { .. }) => refuse.any(true, "LIMIT offset, count")?,
    }
    refuse.any(fetch.is_some(), "FETCH")?;
    refuse.any(!locks.is_empty(), "FOR UPDATE")?;
    refuse.any(for_clause.is_some(), "FOR XML, FOR JSON or FOR BROWSE")?;
    refuse.any(settings.is_some(), "SETTINGS")?;
    refuse.any(format_clause.is_some(), "FORMAT")?;
    refuse.any(!pipe_operators.is_empty(), "the operator |>")
}

fn with_is_known(with: &With) -> Result<()> {
    let With {
        with_token: _,
        recursive: _,
        cte_tables,
    } = with;
    for table in cte_tables {
        let refuse = Refusals::of(table);
        let Cte {
            alias,
            query: _,
            from,
            materialized,
            closing_paren_token: _,
        } = table;
        tables::alias(alias)?;
        refuse.any(from.is_some(), "FROM in a WITH clause")?;
        refuse.any(materialized.is_some(), "MATERIALIZED")?;
    }
    Ok(())
}

fn set_is_known(set: &SetExpr, refuse: &Refusals) -> Result<()> {
    match set {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => Ok(()),
        SetExpr::SetOperation {
            left,
            op,
            set_quantifier,
            right,
        } => {
            let is_all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            match op {
                SetOperator::Union => {}
                SetOperator::Except | SetOperator::Minus => refuse.any(is_all, "EXCEPT ALL")?,
                SetOperator::Intersect => refuse.any(is_all, "INTERSECT ALL")?,
            }
            set_is_known(left, refuse)?;
            set_is_known(right, refuse)
        }
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            refuse.any(true, "a statement that writes within a query")
        }
        SetExpr::Table(_) => refuse.any(true, "TABLE as a query"),
    }
}

fn select_is_known(select: &Select) -> Result<()> {
    let refuse = Refusals::of(select);
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    refuse.any(!optimizer_hints.is_empty(), "a hint for the optimizer")?;
    match distinct {
        None | Some(Distinct::All | Distinct::Distinct | Distinct::On(_)) => {}
    }
    refuse.any(select_modifiers.is_some(), "a modifier of SELECT")?;
    refuse.any(top.is_some(), "TOP")?;
    for item in projection {
        item_is_known(item)?;
    }
    refuse.any(exclude.is_some(), "EXCLUDE behind a list of columns")?;
    refuse.any(into.is_some(), "SELECT … INTO")?;
    for tables in from {
        tables::joined(tables)?;
    }
    refuse.any(!lateral_views.is_empty(), "LATERAL VIEW")?;
    refuse.any(prewhere.is_some(), "PREWHERE")?;
    refuse.any(!connect_by.is_empty(), "CONNECT BY")?;
    let modifiers = match group_by {
        GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
    };
    for modifier in modifiers {
        let what = match modifier {
            GroupByWithModifier::Rollup => "WITH ROLLUP",
            GroupByWithModifier::Cube => "WITH CUBE",
            GroupByWithModifier::Totals => "WITH TOTALS",
            GroupByWithModifier::GroupingSets(_) => "GROUPING SETS behind a list of columns",
        };
        refuse.any(true, what)?;
    }
    refuse.any(!cluster_by.is_empty(), "CLUSTER BY")?;
    refuse.any(!distribute_by.is_empty(), "DISTRIBUTE BY")?;
    refuse.any(!sort_by.is_empty(), "SORT BY")?;
    refuse.any(value_table_mode.is_some(), "SELECT AS STRUCT or AS VALUE")?;
    match flavor {
        SelectFlavor::Standard => Ok(()),
        SelectFlavor::FromFirst | SelectFlavor::FromFirstNoSelect => refuse.any(true, "FROM before SELECT"),
    }
}

fn item_is_known(item: &SelectItem) -> Result<()> {
    let refuse = Refusals::of(item);
    match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { expr: _, alias: _ } => Ok(()),
        SelectItem::ExprWithAliases { .. } => refuse.any(true, "a column with several names"),
        SelectItem::Wildcard(options) => wildcard_is_known(options, &refuse),
        SelectItem::QualifiedWildcard(kind, options) => {
            if let SelectItemQualifiedWildcardKind::Expr(_) = kind {
                refuse.any(true, "* behind an expression")?;
            }
            wildcard_is_known(options, &refuse)
        }
    }
}

fn wildcard_is_known(options: &WildcardAdditionalOptions, refuse: &Refusals) -> Result<()> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except: _,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    refuse.any(opt_ilike.is_some(), "* ILIKE")?;
    match opt_exclude {
        None | Some(ExcludeSelectItem::Single(_) | ExcludeSelectItem::Multiple(_)) => {}
    }
    refuse.any(opt_replace.is_some(), "* REPLACE")?;
    refuse.any(opt_rename.is_some(), "* RENAME")?;
    refuse.any(opt_alias.is_some(), "* AS")
}

pub(super) fn order_is_known(expressions: &[OrderByExpr]) -> Result<()> {
    for expression in expressions {
        let refuse = Refusals::of(expression);
        let OrderByExpr {
            expr: _,
            options,
            with_fill,
        } = expression;
        let OrderByOptions { .. } = options;
        refuse.any(with_fill.is_some(), "WITH FILL")?;
    }
    Ok(())
}

//! `*` where hidden columns are named: it stands for the others.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Spanned, TableFactor, TableVersion, TableWithJoins, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};

use super::moments::moment;
use super::provider::{Sources, write_version};
use super::unknowns;
use crate::context::Context;
use crate::error::{Error, Position, Result};
use crate::names::TableName;

/// Finds out which moments are meant, and keeps hidden columns out of `*`.
pub(super) fn rewrite(
    query: &mut Query,
    context: &Context,
    sources: &Sources,
    described: bool,
) -> Result<()> {
    let mut rewriter = Rewriter {
        context,
        sources,
        database: context.database(),
        ctes: Vec::new(),
        described,
    };
    match query.visit(&mut rewriter) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter<'a> {
    context: &'a Context,
    sources: &'a Sources,
    database: String,
    /// The names of the WITH clauses of the queries around.
    ctes: Vec<Vec<String>>,
    /// Whether parameters have no values yet.
    described: bool,
}

impl VisitorMut for Rewriter<'_> {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes
            .push(tables.map(|table| table.alias.name.value.clone()).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Self::Break> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        name_twins(select);
        if let Err(error) = unknowns::rewrite(select) {
            return ControlFlow::Break(Box::new(error));
        }
        if !self.sources.hidden {
            return ControlFlow::Continue(());
        }
        match self.wildcards(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table {
            version: Some(version),
            ..
        } = factor
        {
            match self.moment(version) {
                Ok(known) => *version = known,
                Err(error) => return ControlFlow::Break(Box::new(error)),
            }
        }
        ControlFlow::Continue(())
    }
}

/// What stands in FROM.
struct Relation {
    /// What its columns are qualified with.
    name: Option<ObjectName>,
    /// The hidden columns that it has.
    hidden: Vec<&'static str>,
}

impl Rewriter<'_> {
    fn moment(&self, version: &TableVersion) -> Result<TableVersion> {
        let (TableVersion::ForSystemTimeAsOf(expression) | TableVersion::TimestampAsOf(expression)) = version
        else {
            return Err(Error::unsupported("this form of AS OF"));
        };
        let at = match moment(self.context, expression) {
            Err(_) if self.described => fluss_client::types::Timestamp::from_millis(0),
            at => at?,
        };
        Ok(write_version(at))
    }

    fn wildcards(&self, select: &mut Select) -> Result<()> {
        let has_natural = |tables: &TableWithJoins| tables.joins.iter().any(is_natural);
        if select.from.iter().any(has_natural) {
            let what = "NATURAL JOIN beside a hidden column (write USING), which";
            return Err(Error::unsupported(what).at(Position::of(select.span().start)));
        }
        let is_star =
            |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        if !select.projection.iter().any(is_star) {
            return Ok(());
        }
        let place = Position::of(select.span().start);
        let (mut relations, mut merges) = (Vec::new(), false);
        for tables in &select.from {
            self.relations(tables, &mut relations, &mut merges);
        }
        if relations.iter().all(|relation| relation.hidden.is_empty()) {
            return Ok(());
        }
        let mut items = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(mut options) => {
                    if let [only] = relations.as_slice() {
                        except(&mut options, &only.hidden);
                        items.push(SelectItem::Wildcard(options));
                        continue;
                    }
                    let plain = options.opt_except.is_none() && options.opt_exclude.is_none();
                    let names: Option<Vec<_>> =
                        relations.iter().map(|relation| relation.name.clone()).collect();
                    let Some(names) = names.filter(|_| plain && !merges) else {
                        let what = "* over these tables beside a hidden column (name the columns), which";
                        return Err(Error::unsupported(what).at(place));
                    };
                    for (name, relation) in names.into_iter().zip(&relations) {
                        let mut options = WildcardAdditionalOptions::default();
                        except(&mut options, &relation.hidden);
                        let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                        items.push(SelectItem::QualifiedWildcard(kind, options));
                    }
                }
                SelectItem::QualifiedWildcard(kind, mut options) => {
                    if let SelectItemQualifiedWildcardKind::ObjectName(wanted) = &kind {
                        let of_name = |relation: &&Relation| {
                            relation.name.as_ref().is_some_and(|name| is_same(name, wanted))
                        };
                        if let Some(relation) = relations.iter().find(of_name) {
                            except(&mut options, &relation.hidden);
                        }
                    }
                    items.push(SelectItem::QualifiedWildcard(kind, options));
                }
                other => items.push(other),
            }
        }
        select.projection = items;
        Ok(())
    }

    fn relations(&self, tables: &TableWithJoins, found: &mut Vec<Relation>, merges: &mut bool) {
        self.relation(&tables.relation, found, merges);
        for join in &tables.joins {
            self.relation(&join.relation, found, merges);
            *merges |= match &join.join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::Left(constraint)
                | JoinOperator::LeftOuter(constraint)
                | JoinOperator::Right(constraint)
                | JoinOperator::RightOuter(constraint)
                | JoinOperator::FullOuter(constraint) => {
                    matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
                }
                JoinOperator::CrossJoin(_) => false,
                // Only one side's columns are left.
                _ => true,
            };
        }
    }

    fn relation(&self, factor: &TableFactor, found: &mut Vec<Relation>, merges: &mut bool) {
        let named = |alias: &Option<datafusion::sql::sqlparser::ast::TableAlias>| {
            alias
                .as_ref()
                .map(|alias| ObjectName::from(vec![alias.name.clone()]))
        };
        match factor {
            TableFactor::Table {
                name, alias, args, ..
            } => {
                let hidden = match args {
                    None => self.hidden(name),
                    Some(_) => Vec::new(),
                };
                let name = named(alias).or_else(|| Some(name.clone()));
                found.push(Relation { name, hidden });
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.relations(table_with_joins, found, merges),
            TableFactor::Derived { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => found.push(Relation {
                name: named(alias),
                hidden: Vec::new(),
            }),
            _ => found.push(Relation {
                name: None,
                hidden: Vec::new(),
            }),
        }
    }

    /// The hidden columns of a table; none of a view, or of what a WITH clause names.
    fn hidden(&self, name: &ObjectName) -> Vec<&'static str> {
        if let [only] = name.0.as_slice()
            && let Some(only) = only.as_ident()
        {
            let is_cte = self.ctes.iter().flatten().any(|cte| *cte == only.value);
            if is_cte || self.sources.views.contains_key(&only.value) {
                return Vec::new();
            }
        }
        let found = TableName::of_object(name, &self.database).ok();
        let table = found.and_then(|name| self.sources.table(&name, None, &self.context.shared.client));
        table.map(|table| table.hidden().to_vec()).unwrap_or_default()
    }
}

/// Gives what is there twice, and has no name of its own, another name: the planner takes no two columns of one name.
fn name_twins(select: &mut Select) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let text = expr.to_string();
        let times = seen.entry(text.clone()).or_default();
        if *times > 0 {
            let shown = match expr {
                Expr::CompoundIdentifier(parts) => parts.last().map(|last| last.value.clone()),
                Expr::Identifier(name) => Some(name.value.clone()),
                _ => None,
            };
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::with_quote('"', format!("{}:{times}", shown.unwrap_or(text))),
            };
        }
        *times += 1;
    }
}

fn is_natural(join: &Join) -> bool {
    matches!(
        &join.join_operator,
        JoinOperator::Join(JoinConstraint::Natural)
            | JoinOperator::Inner(JoinConstraint::Natural)
            | JoinOperator::Left(JoinConstraint::Natural)
            | JoinOperator::LeftOuter(JoinConstraint::Natural)
            | JoinOperator::Right(JoinConstraint::Natural)
            | JoinOperator::RightOuter(JoinConstraint::Natural)
            | JoinOperator::FullOuter(JoinConstraint::Natural)
    )
}

fn is_same(own: &ObjectName, wanted: &ObjectName) -> bool {
    let values = |name: &ObjectName| {
        let parts = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|part| part.value.clone()));
        parts.collect::<Vec<_>>()
    };
    // `db.t` is called `t` as well.
    values(own).ends_with(&values(wanted))
}

fn except(options: &mut WildcardAdditionalOptions, hidden: &[&str]) {
    let mut hidden = hidden.iter().map(|name| Ident::new(*name));
    match &mut options.opt_except {
        Some(except) => except.additional_elements.extend(hidden),
        None => {
            options.opt_except = hidden.next().map(|first_element| ExceptSelectItem {
                first_element,
                additional_elements: hidden.collect(),
            });
        }
    }
}

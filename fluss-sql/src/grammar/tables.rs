//! What stands in FROM.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, TableAlias, TableAliasColumnDef, TableFactor,
    TableVersion, TableWithJoins, visit_expressions,
};

use super::Refusals;
use crate::error::Result;

/// Whether a condition has IN and EXISTS with queries only where the planner does them right: `v IN (query)`, in an inner join,
/// as a part of AND.
fn is_asked_alone(condition: &Expr, is_inner: bool) -> bool {
    match condition {
        Expr::Nested(inner) => is_asked_alone(inner, is_inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => is_asked_alone(left, is_inner) && is_asked_alone(right, is_inner),
        Expr::InSubquery { .. } => is_inner,
        other => {
            let is_query = |part: &Expr| match part {
                Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            };
            visit_expressions(other, is_query).is_continue()
        }
    }
}

/// Refuses joins that are not carried.
pub(super) fn joined(tables: &TableWithJoins) -> Result<()> {
    let TableWithJoins { relation: _, joins } = tables;
    for join in joins {
        let refuse = Refusals::of(join);
        let Join {
            relation: _,
            global,
            join_operator,
        } = join;
        refuse.any(*global, "GLOBAL JOIN")?;
        let constraint = match join_operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::LeftSemi(constraint)
            | JoinOperator::RightSemi(constraint)
            | JoinOperator::LeftAnti(constraint)
            | JoinOperator::RightAnti(constraint) => constraint,
            JoinOperator::CrossJoin(constraint) => {
                refuse.any(*constraint != JoinConstraint::None, "CROSS JOIN with a condition")?;
                continue;
            }
            JoinOperator::Semi(_) => return refuse.any(true, "SEMI JOIN (write LEFT SEMI JOIN), which"),
            JoinOperator::Anti(_) => return refuse.any(true, "ANTI JOIN (write LEFT ANTI JOIN), which"),
            JoinOperator::CrossApply | JoinOperator::OuterApply => return refuse.any(true, "APPLY"),
            JoinOperator::AsOf { .. } => return refuse.any(true, "ASOF JOIN"),
            JoinOperator::StraightJoin(_) => return refuse.any(true, "STRAIGHT_JOIN"),
            JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin => {
                return refuse.any(true, "ARRAY JOIN");
            }
        };
        match constraint {
            JoinConstraint::On(condition) => {
                let is_inner = matches!(join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_));
                refuse.any(
                    !is_asked_alone(condition, is_inner),
                    "IN or EXISTS with a query in this condition of a join (write it in WHERE), which",
                )?;
            }
            JoinConstraint::Using(_) | JoinConstraint::Natural => {}
            JoinConstraint::None => refuse.any(true, "JOIN without a condition (write CROSS JOIN), which")?,
        }
    }
    Ok(())
}

/// Refuses what a table, or what stands in its place, has that is not carried.
pub(super) fn factor(factor: &TableFactor) -> Result<()> {
    let refuse = Refusals::of(factor);
    match factor {
        TableFactor::Table {
            name: _,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            optional(alias.as_ref())?;
            if let Some(args) = args {
                refuse.any(args.settings.is_some(), "SETTINGS of a table function")?;
                refuse.any(version.is_some(), "AS OF of a table function")?;
            }
            refuse.any(!with_hints.is_empty(), "a hint for a table (WITH)")?;
            match version {
                None | Some(TableVersion::ForSystemTimeAsOf(_) | TableVersion::TimestampAsOf(_)) => {}
                Some(TableVersion::VersionAsOf(_)) => refuse.any(true, "VERSION AS OF")?,
                Some(TableVersion::Function(_)) => refuse.any(true, "AT or BEFORE behind a table")?,
                Some(TableVersion::Changes { .. }) => refuse.any(true, "CHANGES behind a table")?,
            }
            refuse.any(*with_ordinality, "WITH ORDINALITY")?;
            refuse.any(!partitions.is_empty(), "PARTITION behind a table")?;
            refuse.any(json_path.is_some(), "a path behind a table")?;
            refuse.any(sample.is_some(), "TABLESAMPLE")?;
            refuse.any(!index_hints.is_empty(), "a hint for an index")
        }
        TableFactor::Derived {
            lateral: _,
            subquery: _,
            alias,
            sample,
        } => {
            optional(alias.as_ref())?;
            refuse.any(sample.is_some(), "TABLESAMPLE")
        }
        TableFactor::UNNEST {
            alias,
            array_exprs: _,
            with_offset,
            with_offset_alias,
            with_ordinality,
        } => {
            optional(alias.as_ref())?;
            refuse.any(*with_offset || with_offset_alias.is_some(), "WITH OFFSET")?;
            refuse.any(*with_ordinality, "WITH ORDINALITY")
        }
        TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } => {
            optional(alias.as_ref())?;
            joined(table_with_joins)
        }
        TableFactor::Function { .. } => refuse.any(true, "LATERAL before a table function"),
        TableFactor::TableFunction { .. } => refuse.any(true, "TABLE(…)"),
        TableFactor::JsonTable { .. } => refuse.any(true, "JSON_TABLE"),
        TableFactor::OpenJsonTable { .. } => refuse.any(true, "OPENJSON"),
        TableFactor::Pivot { .. } => refuse.any(true, "PIVOT"),
        TableFactor::Unpivot { .. } => refuse.any(true, "UNPIVOT"),
        TableFactor::MatchRecognize { .. } => refuse.any(true, "MATCH_RECOGNIZE"),
        TableFactor::XmlTable { .. } => refuse.any(true, "XMLTABLE"),
        TableFactor::SemanticView { .. } => refuse.any(true, "SEMANTIC_VIEW"),
    }
}

fn optional(named: Option<&TableAlias>) -> Result<()> {
    named.map_or(Ok(()), alias)
}

/// Refuses what the name of a table has that is not carried.
pub(super) fn alias(named: &TableAlias) -> Result<()> {
    let refuse = Refusals::of(named);
    let TableAlias {
        explicit: _,
        name: _,
        columns,
        at,
    } = named;
    refuse.any(at.is_some(), "AT behind the name of a table")?;
    for TableAliasColumnDef { name: _, data_type } in columns {
        refuse.any(data_type.is_some(), "a type in a list of column names")?;
    }
    Ok(())
}

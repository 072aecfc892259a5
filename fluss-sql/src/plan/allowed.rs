//! Which plans may be run.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

use crate::error::{Error, Result};

/// Refuses a plan that does anything but read tables.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        refused = refusal(node);
        Ok(match refused {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    match refused {
        Some(what) => Err(Error::unsupported(what)),
        None => Ok(()),
    }
}

fn refusal(plan: &LogicalPlan) -> Option<&'static str> {
    match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::RecursiveQuery(_)
        | LogicalPlan::Unnest(_) => None,
        LogicalPlan::Dml(_) => Some("writing by a query"),
        LogicalPlan::Ddl(_) => Some("changing tables by a query"),
        LogicalPlan::Copy(_) => Some("COPY"),
        LogicalPlan::Statement(_) => Some("a statement within a query"),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => Some("EXPLAIN within a query"),
        LogicalPlan::DescribeTable(_) => Some("DESCRIBE within a query"),
        LogicalPlan::Extension(_) => Some("an extension of the planner"),
    }
}

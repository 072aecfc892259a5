//! Floats beside decimals: compared as floats.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

/// Has BETWEEN and IN compare floats with decimals as floats. By itself the planner makes decimals of the floats, of which NaN
/// and large ones are none.
#[derive(Debug)]
pub(super) struct Floats;

impl AnalyzerRule for Floats {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan, DataFusionError> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = expression.transform_up(|part| Ok(compared(part, &schema)))?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })
        })?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &'static str {
        "floats_beside_decimals"
    }
}

fn compared(expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is = |expression: &Expr, test: fn(&DataType) -> bool| {
        expression.get_type(schema).is_ok_and(|found| test(&found))
    };
    let is_float = |expression: &Expr| is(expression, DataType::is_floating);
    let as_float = |expression: Expr| {
        if is(&expression, DataType::is_decimal) {
            cast(expression, DataType::Float64)
        } else {
            expression
        }
    };
    match expression {
        Expr::Between(between)
            if is_float(&between.expr) || is_float(&between.low) || is_float(&between.high) =>
        {
            Transformed::yes(Expr::Between(Between {
                expr: Box::new(as_float(*between.expr)),
                negated: between.negated,
                low: Box::new(as_float(*between.low)),
                high: Box::new(as_float(*between.high)),
            }))
        }
        Expr::InList(list) if is_float(&list.expr) || list.list.iter().any(is_float) => {
            Transformed::yes(Expr::InList(InList {
                expr: Box::new(as_float(*list.expr)),
                list: list.list.into_iter().map(as_float).collect(),
                negated: list.negated,
            }))
        }
        other => Transformed::no(other),
    }
}

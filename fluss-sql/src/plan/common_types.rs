//! Floats beside decimals: taken for floats together.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Between, Case, InList, InSubquery, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::{NamePreserver, coerce_plan_expr_for_schema};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Union, cast};
use datafusion::optimizer::AnalyzerRule;

/// Has floats and decimals that are compared with each other, or come out in one place, be floats. By itself the planner makes
/// decimals of the floats, of which NaN and large ones are none.
///
/// Comparisons by `=`, `<` and the like are planned so already: see `types::Times`.
#[derive(Debug)]
pub(super) struct Floats;

/// The functions whose result, or whose test, is of one type for some of their arguments.
const OF_ONE_TYPE: [&str; 7] = [
    "coalesce",
    "greatest",
    "least",
    "make_array",
    "nullif",
    "nvl",
    "nvl2",
];

impl AnalyzerRule for Floats {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan, DataFusionError> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = expression.transform_up(|part| united(part, &schema))?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })?
            .map_data(|plan| match plan {
                LogicalPlan::Union(union) => set(&union),
                LogicalPlan::Join(mut join) => {
                    for (left, right) in &mut join.on {
                        let is_float =
                            is_float(left, join.left.schema()) || is_float(right, join.right.schema());
                        take(left, join.left.schema(), is_float);
                        take(right, join.right.schema(), is_float);
                    }
                    LogicalPlan::Join(join).recompute_schema()
                }
                plan => plan.recompute_schema(),
            })
        })?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &'static str {
        "floats_beside_decimals"
    }
}

/// An expression in which floats and decimals that meet are floats.
fn united(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>, DataFusionError> {
    let any_float = |parts: &[&Expr]| parts.iter().any(|part| is_float(part, schema));
    Ok(match expression {
        Expr::Between(mut between) => {
            let Between { expr, low, high, .. } = &mut between;
            let is_float = any_float(&[expr, low, high]);
            for part in [expr, low, high] {
                take(part, schema, is_float);
            }
            Transformed::new_transformed(Expr::Between(between), is_float)
        }
        Expr::BinaryExpr(mut compared) if is_distinct(compared.op) => {
            let BinaryExpr { left, right, .. } = &mut compared;
            let is_float = any_float(&[left, right]);
            take(left, schema, is_float);
            take(right, schema, is_float);
            Transformed::new_transformed(Expr::BinaryExpr(compared), is_float)
        }
        Expr::InList(mut list) => {
            let InList {
                expr, list: items, ..
            } = &mut list;
            let is_float = is_float(expr, schema) || items.iter().any(|item| is_float(item, schema));
            take(expr, schema, is_float);
            for item in items {
                take(item, schema, is_float);
            }
            Transformed::new_transformed(Expr::InList(list), is_float)
        }
        Expr::InSubquery(asked) => in_subquery(asked, schema)?,
        Expr::Case(mut case) => {
            let Case {
                expr,
                when_then_expr: cases,
                else_expr: otherwise,
            } = &mut case;
            let mut results: Vec<&mut Box<Expr>> = otherwise.iter_mut().collect();
            let mut compared: Vec<&mut Box<Expr>> = expr.iter_mut().collect();
            let is_compared = !compared.is_empty();
            for (when, then) in cases {
                results.push(then);
                if is_compared {
                    compared.push(when);
                }
            }
            let mut is_any_float = false;
            for met in [results, compared] {
                let is_float = met.iter().any(|part| is_float(part, schema));
                is_any_float |= is_float;
                for part in met {
                    take(part, schema, is_float);
                }
            }
            Transformed::new_transformed(Expr::Case(case), is_any_float)
        }
        Expr::ScalarFunction(mut call) if OF_ONE_TYPE.contains(&call.func.name()) => {
            let ScalarFunction { args, .. } = &mut call;
            let is_float = args.iter().any(|argument| is_float(argument, schema));
            for argument in args {
                take(argument, schema, is_float);
            }
            Transformed::new_transformed(Expr::ScalarFunction(call), is_float)
        }
        other => Transformed::no(other),
    })
}

const fn is_distinct(operator: Operator) -> bool {
    matches!(operator, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

fn in_subquery(mut asked: InSubquery, schema: &DFSchema) -> Result<Transformed<Expr>, DataFusionError> {
    let found = asked.subquery.subquery.clone();
    let Some(column) = found.schema().fields().first() else {
        return Ok(Transformed::no(Expr::InSubquery(asked)));
    };
    if column.data_type().is_floating() {
        take(&mut asked.expr, schema, true);
    } else if is_float(&asked.expr, schema) {
        let found = with_floats(Arc::unwrap_or_clone(found), |_| true)?;
        asked.subquery = asked.subquery.with_plan(Arc::new(found));
    }
    Ok(Transformed::yes(Expr::InSubquery(asked)))
}

/// The rows of all inputs. A column that is of floats in one is of floats in all.
fn set(union: &Union) -> Result<LogicalPlan, DataFusionError> {
    let is_float = |column: usize| {
        let mut fields = union
            .inputs
            .iter()
            .filter_map(|input| input.schema().fields().get(column));
        fields.any(|field| field.data_type().is_floating())
    };
    let inputs = union.inputs.iter();
    let inputs = inputs.map(|input| Ok(Arc::new(with_floats(input.as_ref().clone(), is_float)?)));
    let inputs = inputs.collect::<Result<_, DataFusionError>>()?;
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

/// A plan whose columns of decimals are floats where it is asked for.
fn with_floats(plan: LogicalPlan, is_float: impl Fn(usize) -> bool) -> Result<LogicalPlan, DataFusionError> {
    let fields = plan.schema().iter().enumerate();
    let fields = fields.map(|(column, (table, field))| {
        let field = if field.data_type().is_decimal() && is_float(column) {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Float64))
        } else {
            field.clone()
        };
        (table.cloned(), field)
    });
    let schema = DFSchema::new_with_metadata(fields.collect(), HashMap::new())?;
    coerce_plan_expr_for_schema(plan, &schema)
}

fn is_float(expression: &Expr, schema: &DFSchema) -> bool {
    expression.get_type(schema).is_ok_and(|found| found.is_floating())
}

/// Makes a float of a decimal, if it `is_float` that is asked for.
fn take(expression: &mut Expr, schema: &DFSchema, is_float: bool) {
    if is_float && expression.get_type(schema).is_ok_and(|found| found.is_decimal()) {
        *expression = cast(mem::take(expression), DataType::Float64);
    }
}

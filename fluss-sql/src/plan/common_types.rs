//! Values of unlike types that meet: they are compared with each other, or come out in one place.

use std::mem;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Between, Case, Cast, InList, InSubquery, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Projection, Union, cast,
};
use datafusion::optimizer::AnalyzerRule;
use jiff::tz::TimeZone;

use super::clocks;
use crate::time::UTC;

/// Has values of unlike types keep what they mean where they meet.
///
/// - Floats beside decimals: by itself the planner makes decimals of the floats, of which NaN and large ones are none.
/// - Dates and times without zone, or texts of them, beside instants: what has no zone is local time. The planner takes it for
///   UTC.
/// - Dates or texts beside times without zone: they are taken for times of that unit. The planner takes both for nanoseconds,
///   and the year 2263 is none.
#[derive(Debug)]
pub(super) struct CommonTypes {
    /// The zone of what has none.
    pub(super) zone: TimeZone,
}

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

impl AnalyzerRule for CommonTypes {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan, DataFusionError> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = expression.transform_up(|part| self.part(part, &schema))?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })?
            .map_data(|plan| match plan {
                LogicalPlan::Union(union) => self.union(&union),
                LogicalPlan::Join(mut join) => {
                    for (left, right) in &mut join.on {
                        let (one, other) = (join.left.schema(), join.right.schema());
                        let met = Met::of([type_of(left, one), type_of(right, other)]);
                        self.take(left, one, met.compared());
                        self.take(right, other, met.compared());
                    }
                    LogicalPlan::Join(join).recompute_schema()
                }
                plan => plan.recompute_schema(),
            })
        })?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &'static str {
        "common_types"
    }
}

/// What there is among values that meet.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    floats: bool,
    /// The finest unit of instants, if there are any.
    instants: Option<TimeUnit>,
    /// The same of times without zone.
    locals: Option<TimeUnit>,
    /// Whether they are compared: texts are times then.
    is_compared: bool,
}

/// What a value is taken for.
enum Taken {
    Float,
    Instant(TimeUnit),
    Local(TimeUnit),
}

impl Met {
    fn of(types: impl IntoIterator<Item = Option<DataType>>) -> Self {
        let mut met = Self::default();
        for found in types.into_iter().flatten() {
            match found {
                DataType::Timestamp(unit, zone) => {
                    let finest = if zone.is_some() {
                        &mut met.instants
                    } else {
                        &mut met.locals
                    };
                    *finest = Some(finest.map_or(unit, |known| known.max(unit)));
                }
                found => met.floats |= found.is_floating(),
            }
        }
        met
    }

    const fn compared(self) -> Self {
        Self {
            is_compared: true,
            ..self
        }
    }

    /// Whether there is anything that others are taken for.
    const fn is_any(self) -> bool {
        self.floats || self.instants.is_some() || self.locals.is_some()
    }

    /// What a value of a type is taken for, unless it is as it should be.
    fn taken(self, found: &DataType) -> Option<Taken> {
        let text = TimeUnit::Microsecond;
        match (found, self.instants, self.locals) {
            (found, ..) if found.is_decimal() => self.floats.then_some(Taken::Float),
            (DataType::Timestamp(unit, None), Some(instants), _) => Some(Taken::Instant(instants.max(*unit))),
            (DataType::Date32 | DataType::Date64, Some(unit), _) => Some(Taken::Instant(unit)),
            (DataType::Date32 | DataType::Date64, None, Some(unit)) => Some(Taken::Local(unit)),
            (DataType::Utf8, Some(unit), _) if self.is_compared => Some(Taken::Instant(unit.max(text))),
            (DataType::Utf8, None, Some(unit)) if self.is_compared => Some(Taken::Local(unit.max(text))),
            _ => None,
        }
    }
}

fn type_of(expression: &Expr, schema: &DFSchema) -> Option<DataType> {
    expression.get_type(schema).ok()
}

impl CommonTypes {
    /// An expression outside of a plan.
    pub(super) fn expression(&self, expression: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
        Ok(expression.transform_up(|part| self.part(part, schema))?.data)
    }

    /// One node of an expression.
    fn part(&self, part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>, DataFusionError> {
        Ok(match part {
            Expr::Between(mut between) => {
                let Between { expr, low, high, .. } = &mut between;
                let is_any = self.meet([expr.as_mut(), low.as_mut(), high.as_mut()], schema, true);
                Transformed::new_transformed(Expr::Between(between), is_any)
            }
            Expr::BinaryExpr(mut asked) if is_comparison(asked.op) || asked.op == Operator::Minus => {
                let is_compared = asked.op != Operator::Minus;
                let BinaryExpr { left, right, .. } = &mut asked;
                // What is no comparison has a type of its own for numbers.
                let is_any = (is_compared || are_times([left, right], schema))
                    && self.meet([left.as_mut(), right.as_mut()], schema, is_compared);
                Transformed::new_transformed(Expr::BinaryExpr(asked), is_any)
            }
            Expr::InList(mut list) => {
                let InList {
                    expr, list: items, ..
                } = &mut list;
                let is_any = self.meet(std::iter::once(expr.as_mut()).chain(items), schema, true);
                Transformed::new_transformed(Expr::InList(list), is_any)
            }
            Expr::InSubquery(asked) => self.in_subquery(asked, schema)?,
            Expr::Case(mut case) => {
                let Case {
                    expr,
                    when_then_expr: cases,
                    else_expr: otherwise,
                } = &mut case;
                let mut results: Vec<&mut Expr> = otherwise.iter_mut().map(AsMut::as_mut).collect();
                let mut compared: Vec<&mut Expr> = expr.iter_mut().map(AsMut::as_mut).collect();
                let is_compared = !compared.is_empty();
                for (when, then) in cases {
                    results.push(then);
                    if is_compared {
                        compared.push(when);
                    }
                }
                let is_any = self.meet(results, schema, false) | self.meet(compared, schema, true);
                Transformed::new_transformed(Expr::Case(case), is_any)
            }
            Expr::ScalarFunction(mut call) if OF_ONE_TYPE.contains(&call.func.name()) => {
                let ScalarFunction { args, .. } = &mut call;
                let is_any = self.meet(args, schema, false);
                Transformed::new_transformed(Expr::ScalarFunction(call), is_any)
            }
            Expr::Cast(mut asked) => {
                let Cast { expr, field } = &mut asked;
                let is_any = self.shown(expr, schema, field.data_type(), false);
                Transformed::new_transformed(Expr::Cast(asked), is_any)
            }
            Expr::TryCast(mut asked) => {
                let TryCast { expr, field } = &mut asked;
                let is_any = self.shown(expr, schema, field.data_type(), true);
                Transformed::new_transformed(Expr::TryCast(asked), is_any)
            }
            other => Transformed::no(other),
        })
    }

    /// Has expressions that meet be of one kind. Whether there may be something to it.
    fn meet<'e>(
        &self,
        parts: impl IntoIterator<Item = &'e mut Expr>,
        schema: &DFSchema,
        is_compared: bool,
    ) -> bool {
        let parts: Vec<&mut Expr> = parts.into_iter().collect();
        let met = Met::of(parts.iter().map(|part| type_of(part, schema)));
        let met = if is_compared { met.compared() } else { met };
        for part in parts {
            self.take(part, schema, met);
        }
        met.is_any()
    }

    fn take(&self, expression: &mut Expr, schema: &DFSchema, met: Met) {
        let Some(taken) = type_of(expression, schema).and_then(|found| met.taken(&found)) else {
            return;
        };
        let found = mem::take(expression);
        *expression = match taken {
            Taken::Float => cast(found, DataType::Float64),
            Taken::Instant(unit) => clocks::instant(found, unit, &self.zone, false),
            Taken::Local(unit) => clocks::local(found, unit, &self.zone, false),
        };
    }

    /// Has what is cast to an instant be local time, and an instant that is cast to a time be shown as one. Whether it is so.
    ///
    /// Only columns of tables are in [`UTC`], and what is cast to their type: who writes AT TIME ZONE means another.
    fn shown(&self, expression: &mut Expr, schema: &DFSchema, wanted: &DataType, or_null: bool) -> bool {
        let is_utc = |zone: &Option<Arc<str>>| zone.as_deref() == Some(UTC);
        let Some(found) = type_of(expression, schema) else {
            return false;
        };
        match (&found, wanted) {
            (DataType::Timestamp(own, None), DataType::Timestamp(unit, zone)) if is_utc(zone) => {
                let finest = *own.max(unit);
                *expression = clocks::instant(mem::take(expression), finest, &self.zone, or_null);
            }
            (DataType::Date32 | DataType::Date64, DataType::Timestamp(unit, zone)) if is_utc(zone) => {
                *expression = clocks::instant(mem::take(expression), *unit, &self.zone, or_null);
            }
            (DataType::Utf8, DataType::Timestamp(unit, zone)) if is_utc(zone) => {
                let finest = *unit.max(&TimeUnit::Microsecond);
                *expression = clocks::instant(mem::take(expression), finest, &self.zone, or_null);
            }
            (
                DataType::Timestamp(unit, zone),
                DataType::Timestamp(_, None)
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_),
            ) if is_utc(zone) => {
                *expression = clocks::local(mem::take(expression), *unit, &self.zone, or_null);
            }
            _ => return false,
        }
        true
    }

    fn in_subquery(
        &self,
        mut asked: InSubquery,
        schema: &DFSchema,
    ) -> Result<Transformed<Expr>, DataFusionError> {
        let found = asked.subquery.subquery.clone();
        let Some(column) = found.schema().fields().first() else {
            return Ok(Transformed::no(Expr::InSubquery(asked)));
        };
        let met = Met::of([type_of(&asked.expr, schema), Some(column.data_type().clone())]).compared();
        if met.is_any() {
            self.take(&mut asked.expr, schema, met);
            let found = self.columns(Arc::unwrap_or_clone(found), |_| met)?;
            asked.subquery = asked.subquery.with_plan(Arc::new(found));
        }
        Ok(Transformed::yes(Expr::InSubquery(asked)))
    }

    /// The rows of all inputs: what is in one column meets.
    fn union(&self, union: &Union) -> Result<LogicalPlan, DataFusionError> {
        let met = |column: usize| {
            let fields = union
                .inputs
                .iter()
                .map(|input| input.schema().fields().get(column));
            Met::of(fields.map(|field| Some(field?.data_type().clone())))
        };
        let inputs = union.inputs.iter();
        let inputs = inputs.map(|input| Ok(Arc::new(self.columns(input.as_ref().clone(), met)?)));
        let inputs = inputs.collect::<Result<_, DataFusionError>>()?;
        Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
    }

    /// A plan whose columns are taken for what they meet.
    fn columns(&self, plan: LogicalPlan, met: impl Fn(usize) -> Met) -> Result<LogicalPlan, DataFusionError> {
        let schema = plan.schema().clone();
        let mut is_any = false;
        let columns = schema.iter().enumerate().map(|(column, (table, field))| {
            let mut expression = Expr::from((table, field));
            if met(column).taken(field.data_type()).is_none() {
                return expression;
            }
            is_any = true;
            self.take(&mut expression, &schema, met(column));
            expression.alias_qualified(table.cloned(), field.name())
        });
        let columns = columns.collect();
        if !is_any {
            return Ok(plan);
        }
        Ok(LogicalPlan::Projection(Projection::try_new(
            columns,
            Arc::new(plan),
        )?))
    }
}

const fn is_comparison(operator: Operator) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq | O::IsDistinctFrom | O::IsNotDistinctFrom
    )
}

/// Whether all are times, with or without zone.
fn are_times(parts: [&Expr; 2], schema: &DFSchema) -> bool {
    let is_time = |part| matches!(type_of(part, schema), Some(DataType::Timestamp(..)));
    parts.into_iter().all(is_time)
}

#[cfg(test)]
mod tests {
    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// Midnight in New York, as an instant of a table.
    const MIDNIGHT: &str = "arrow_cast('2024-01-01T05:00:00Z', 'Timestamp(µs, \"UTC\")')";

    async fn holds(condition: &str) -> bool {
        let rules = CommonTypes {
            zone: TimeZone::get("America/New_York").unwrap(),
        };
        let state = SessionStateBuilder::new_with_default_features()
            .with_analyzer_rules(vec![Arc::new(rules), Arc::new(TypeCoercion::new())])
            .build();
        let text = format!("SELECT 1 FROM (SELECT {MIDNIGHT} AS at) AS t WHERE {condition}");
        let text = text.replace("MIDNIGHT", MIDNIGHT);
        let asked = SessionContext::new_with_state(state).sql(&text).await.unwrap();
        asked.count().await.unwrap() == 1
    }

    #[tokio::test]
    async fn what_has_no_zone_is_local_beside_instants() {
        for condition in [
            "at = TIMESTAMP '2024-01-01 00:00:00'",
            "TIMESTAMP '2024-01-01 00:00:00' = at",
            "at > TIMESTAMP '2023-12-31 23:59:59.999999999'",
            "at = '2024-01-01'",
            "at = '2024-01-01T06:00:00+01:00'",
            "at = DATE '2024-01-01'",
            "at BETWEEN '2024-01-01' AND TIMESTAMP '2024-01-01 00:00:00'",
            "at IN (TIMESTAMP '2020-01-01 00:00:00', TIMESTAMP '2024-01-01 00:00:00')",
            "at IN (SELECT TIMESTAMP '2024-01-01 00:00:00')",
            "at IS NOT DISTINCT FROM DATE '2024-01-01'",
            "CASE at WHEN DATE '2024-01-01' THEN true ELSE false END",
            "coalesce(NULL, at, TIMESTAMP '2000-01-01 00:00:00') = at",
            "CASE WHEN at IS NULL THEN at ELSE TIMESTAMP '2024-01-01 00:00:00' END = at",
            "nullif(at, TIMESTAMP '2024-01-01 00:00:00') IS NULL",
            "(SELECT count(*) FROM (SELECT MIDNIGHT AS a UNION SELECT TIMESTAMP '2024-01-01 00:00:00')) = 1",
            "(SELECT count(*) FROM (SELECT MIDNIGHT AS a) x JOIN (SELECT DATE '2024-01-01' AS b) y ON a = b) = 1",
            "at - TIMESTAMP '2023-12-31 23:00:00' = INTERVAL '1' HOUR",
            "at::TIMESTAMP = TIMESTAMP '2024-01-01 00:00:00'",
            "at::DATE = DATE '2024-01-01'",
            "at::TIME = TIME '00:00:00'",
            "arrow_cast('2024-01-01', 'Timestamp(µs)') = at",
        ] {
            assert!(holds(condition).await, "{condition}");
        }
    }

    #[tokio::test]
    async fn hours_that_clocks_leave_out_or_show_twice_are_moments() {
        for condition in [
            "arrow_cast('2024-03-10T07:30:00Z', 'Timestamp(µs, \"UTC\")') = TIMESTAMP '2024-03-10 02:30:00'",
            "arrow_cast('2024-11-03T05:30:00Z', 'Timestamp(µs, \"UTC\")') = TIMESTAMP '2024-11-03 01:30:00'",
        ] {
            assert!(holds(condition).await, "{condition}");
        }
    }

    #[tokio::test]
    async fn far_dates_and_texts_are_compared_with_times() {
        for condition in [
            "arrow_cast(at, 'Timestamp(µs)') < DATE '9999-12-31'",
            "arrow_cast(at, 'Timestamp(µs)') < '9999-12-31 00:00:00'",
            "at < '9999-12-30 00:00:00'",
        ] {
            assert!(holds(condition).await, "{condition}");
        }
    }

    #[tokio::test]
    async fn floats_beside_decimals_are_floats() {
        for condition in [
            "1e300 > 1.5::DECIMAL(3, 1)",
            "'NaN'::DOUBLE = coalesce(NULL, 'NaN'::DOUBLE, 1.5::DECIMAL(3, 1))",
            "1.5::DECIMAL(3, 1) IN (1e300, 1.5::DOUBLE)",
        ] {
            assert!(holds(condition).await, "{condition}");
        }
    }
}

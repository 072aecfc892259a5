//! Constant expressions, and the moments that they name.

use std::sync::Arc;

use arrow::datatypes::TimeUnit;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{Expr, Spanned};
use fluss_client::types::Timestamp;
use jiff::tz::TimeZone;

use super::bind::bind;
use super::engine::common_types;
use super::provider::{Provider, Sources, parser_options};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::grammar;
use crate::time::{self, Moments};

/// The value of a constant expression with the parameters of a statement.
pub(crate) fn constant(context: &Context, expression: &Expr) -> Result<ScalarValue> {
    let at = Position::of(expression.span().start);
    let mut expression = expression.clone();
    bind(&mut expression, &context.parameters)?;
    grammar::check_expression(&mut expression)?;
    evaluate(context, expression).map_err(|error| error.at(at))
}

fn evaluate(context: &Context, expression: Expr) -> Result<ScalarValue> {
    let mut engine = context.shared.engine.clone();
    engine.mark_start_execution();
    let sources = Sources::default();
    let provider = Provider::new(&engine, &sources, context);
    let planner = SqlToRel::new_with_options(&provider, parser_options(&engine));
    let schema = DFSchema::empty();
    let expression = planner.sql_to_expr(expression, &schema, &mut PlannerContext::new())?;
    if expression.any_column_refs() || expression.contains_outer() || contains_subquery(&expression)? {
        return Err(Error::new(ErrorKind::Type, "the expression is not constant"));
    }
    let physical = engine.create_physical_expr(simplified(&engine, expression, &schema)?, &schema)?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let one = RecordBatch::try_new_with_options(Arc::new(schema.as_arrow().clone()), Vec::new(), &options)?;
    Ok(match physical.evaluate(&one)? {
        ColumnarValue::Scalar(value) => value,
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0)?,
    })
}

/// An expression without the functions that are carried out by the planner alone, such as `now()` and `arrow_cast`.
pub(crate) fn simplified(
    engine: &SessionState,
    expression: datafusion::logical_expr::Expr,
    schema: &DFSchema,
) -> Result<datafusion::logical_expr::Expr> {
    let known = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(engine.config_options().clone())
        .with_query_execution_start_time(engine.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(known);
    let expression = common_types().expression(expression, schema)?;
    Ok(simplifier.simplify(simplifier.coerce(expression, schema)?)?)
}

fn contains_subquery(expression: &datafusion::logical_expr::Expr) -> Result<bool> {
    use datafusion::common::tree_node::TreeNode;
    use datafusion::logical_expr::Expr as Planned;
    Ok(expression.exists(|part| {
        Ok(matches!(
            part,
            Planned::ScalarSubquery(_) | Planned::InSubquery(_) | Planned::Exists(_)
        ))
    })?)
}

/// The moment that an expression behind `AS OF` names. What has no zone is local time.
pub(crate) fn moment(context: &Context, expression: &Expr) -> Result<Timestamp> {
    let at = Position::of(expression.span().start);
    let value = constant(context, expression)?;
    let millis = millis(&value).map_err(|error| error.at(at))?;
    Ok(Timestamp::from_millis(millis))
}

/// The milliseconds since the epoch of a value that names a moment.
fn millis(value: &ScalarValue) -> Result<i64> {
    let refuse = |what: &str| Error::new(ErrorKind::Type, format!("AS OF takes a moment, not {what}"));
    if value.is_null() {
        return Err(refuse("NULL"));
    }
    if let ScalarValue::Int64(Some(millis)) = value {
        return Ok(*millis);
    }
    let text = value.try_as_str().flatten();
    let array = match text {
        Some(text) => ScalarValue::from(text).to_array()?,
        None => value.to_array()?,
    };
    let moments = Moments::of(&array)?.ok_or_else(|| refuse(&value.data_type().to_string()))?;
    let instant = moments.get(0, true, &TimeZone::system());
    let millis = instant.and_then(|instant| time::joined(instant, TimeUnit::Millisecond));
    millis.ok_or_else(|| {
        let shown = text.map_or_else(|| value.to_string(), |text| format!("'{text}'"));
        Error::new(ErrorKind::Type, format!("{shown} is no moment"))
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;

    use super::*;

    fn of_text(text: &str) -> Result<i64> {
        millis(&ScalarValue::from(text))
    }

    #[test]
    fn a_moment_is_whatever_names_one() {
        assert_eq!(of_text("1970-01-01T00:00:01Z").unwrap(), 1_000);
        assert_eq!(of_text("1970-01-01 01:00:00+01:00").unwrap(), 0);
        assert_eq!(of_text("1970-01-01T01:00:00+01:00[Europe/Paris]").unwrap(), 0);
        assert_eq!(millis(&ScalarValue::Int64(Some(42))).unwrap(), 42);
        let utc = ScalarValue::TimestampMicrosecond(Some(-1), Some("UTC".into()));
        assert_eq!(millis(&utc).unwrap(), -1);
        for (value, told) in [
            (
                ScalarValue::Boolean(Some(true)),
                "AS OF takes a moment, not Boolean",
            ),
            (ScalarValue::Null, "AS OF takes a moment, not NULL"),
            (ScalarValue::from("soon"), "'soon' is no moment"),
        ] {
            let error = millis(&value).unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Type, told));
        }
    }

    #[test]
    fn what_has_no_zone_is_local_time() {
        let civil: DateTime = "2024-06-01T12:00:00".parse().unwrap();
        let expected = civil
            .to_zoned(TimeZone::system())
            .unwrap()
            .timestamp()
            .as_millisecond();
        assert_eq!(of_text("2024-06-01 12:00:00").unwrap(), expected);
        let naive = ScalarValue::TimestampSecond(Some(1_717_243_200), None);
        assert_eq!(millis(&naive).unwrap(), expected);
    }
}

//! Constant expressions, and the moments that they name.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{Expr, Spanned};
use fluss_client::types::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::bind::bind;
use super::provider::{Provider, Sources, parser_options};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::grammar;

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
    let refuse = |what: &str| {
        Err(Error::new(
            ErrorKind::Type,
            format!("AS OF takes a moment, not {what}"),
        ))
    };
    if value.is_null() {
        return refuse("NULL");
    }
    match value {
        ScalarValue::TimestampSecond(_, None)
        | ScalarValue::TimestampMillisecond(_, None)
        | ScalarValue::TimestampMicrosecond(_, None)
        | ScalarValue::TimestampNanosecond(_, None)
        | ScalarValue::Date32(_)
        | ScalarValue::Date64(_) => local(in_millis(value)?),
        ScalarValue::TimestampSecond(..)
        | ScalarValue::TimestampMillisecond(..)
        | ScalarValue::TimestampMicrosecond(..)
        | ScalarValue::TimestampNanosecond(..) => in_millis(value),
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => of_text(text),
        ScalarValue::Int64(Some(millis)) => Ok(*millis),
        other => refuse(&other.data_type().to_string()),
    }
}

/// The milliseconds of a timestamp or a date, rounded down.
fn in_millis(value: &ScalarValue) -> Result<i64> {
    let (count, per_second) = match value {
        ScalarValue::TimestampMicrosecond(Some(count), _) => (*count, 1_000_000),
        ScalarValue::TimestampNanosecond(Some(count), _) => (*count, 1_000_000_000),
        other => {
            let array: ArrayRef = other.to_array()?;
            let array = cast(&array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            let values = array.as_primitive::<TimestampMillisecondType>();
            return Ok(values.iter().flatten().next().unwrap_or_default());
        }
    };
    Ok(count.div_euclid(per_second / 1_000))
}

/// The moment of a time without zone, where this program runs.
fn local(millis: i64) -> Result<i64> {
    let fault = |error: jiff::Error| Error::new(ErrorKind::Type, format!("the moment cannot be: {error}"));
    let utc = jiff::Timestamp::from_millisecond(millis).map_err(fault)?;
    let civil = utc.to_zoned(TimeZone::UTC).datetime();
    instant(civil)
}

fn instant(civil: DateTime) -> Result<i64> {
    let fault = |error: jiff::Error| Error::new(ErrorKind::Type, format!("the moment cannot be: {error}"));
    let zoned = civil.to_zoned(TimeZone::system()).map_err(fault)?;
    Ok(floor_millis(zoned.timestamp()))
}

fn floor_millis(timestamp: jiff::Timestamp) -> i64 {
    let millis = timestamp.as_nanosecond().div_euclid(1_000_000);
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// The moment that a text names, with a zone or an offset, or without.
fn of_text(text: &str) -> Result<i64> {
    let text = text.trim();
    if let Ok(zoned) = text.parse::<jiff::Zoned>() {
        return Ok(floor_millis(zoned.timestamp()));
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(floor_millis(instant));
    }
    match text.parse::<DateTime>() {
        Ok(civil) => instant(civil),
        Err(_) => Err(Error::new(ErrorKind::Type, format!("'{text}' is no moment"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_whatever_names_one() {
        assert_eq!(of_text("1970-01-01T00:00:01Z").unwrap(), 1_000);
        assert_eq!(of_text("1970-01-01 01:00:00+01:00").unwrap(), 0);
        assert_eq!(millis(&ScalarValue::Int64(Some(42))).unwrap(), 42);
        let utc = ScalarValue::TimestampMicrosecond(Some(-1), Some("UTC".into()));
        assert_eq!(millis(&utc).unwrap(), -1);
        assert_eq!(
            millis(&ScalarValue::Boolean(Some(true))).unwrap_err().kind,
            ErrorKind::Type
        );
        assert_eq!(of_text("soon").unwrap_err().kind, ErrorKind::Type);
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

//! The types of SQL that tables have, where the planner by itself takes others for them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, TypePlanner};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, binary_expr, cast};
use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType as SqlType, TimezoneInfo};

use crate::error::{Error, ErrorKind};

/// Types as tables have them: `TIMESTAMP` is of microseconds, `TIMESTAMP_LTZ` a moment, `TIME(3)` of milliseconds.
#[derive(Debug)]
pub(super) struct Types {
    /// The zone in which moments are shown that are made of text.
    pub(super) zone: Arc<str>,
}

impl TypePlanner for Types {
    fn plan_type_field(&self, wanted: &SqlType) -> Result<Option<FieldRef>, DataFusionError> {
        let found = match wanted {
            SqlType::Timestamp(precision, zone) => {
                let zone = match zone {
                    TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => None,
                    TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => Some(self.zone.clone()),
                };
                Some(DataType::Timestamp(unit(precision.unwrap_or(6))?, zone))
            }
            SqlType::Time(Some(precision), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                let unit = unit(*precision)?;
                Some(match unit {
                    TimeUnit::Second | TimeUnit::Millisecond => DataType::Time32(unit),
                    TimeUnit::Microsecond | TimeUnit::Nanosecond => DataType::Time64(unit),
                })
            }
            SqlType::Bytes(_) => Some(DataType::Binary),
            SqlType::Custom(name, modifiers) if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") => {
                let precision = match modifiers.as_slice() {
                    [] => 6,
                    [precision] => precision.parse().map_err(|_| refused(precision))?,
                    _ => return Err(refused(&wanted.to_string())),
                };
                Some(DataType::Timestamp(unit(precision)?, Some("UTC".into())))
            }
            _ => None,
        };
        Ok(found.map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}

fn refused(what: &str) -> DataFusionError {
    Error::new(
        ErrorKind::Type,
        format!("a time has 0 to 9 digits behind the second, not {what}"),
    )
    .into()
}

/// The unit in which times of a precision are stored.
fn unit(precision: u64) -> Result<TimeUnit, DataFusionError> {
    Ok(match precision {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        7..=9 => TimeUnit::Nanosecond,
        _ => return Err(refused(&precision.to_string())),
    })
}

/// Compares times of day of different units, which the planner does not by itself.
#[derive(Debug)]
pub(super) struct Times;

impl ExprPlanner for Times {
    fn plan_binary_op(
        &self,
        asked: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>, DataFusionError> {
        let operator = match asked.op {
            BinaryOperator::Eq => Operator::Eq,
            BinaryOperator::NotEq => Operator::NotEq,
            BinaryOperator::Lt => Operator::Lt,
            BinaryOperator::LtEq => Operator::LtEq,
            BinaryOperator::Gt => Operator::Gt,
            BinaryOperator::GtEq => Operator::GtEq,
            _ => return Ok(PlannerResult::Original(asked)),
        };
        // What has no type yet, such as a parameter, is left alone.
        let (Ok(left), Ok(right)) = (asked.left.get_type(schema), asked.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(asked));
        };
        if left == right || !is_time(&left) || !is_time(&right) {
            return Ok(PlannerResult::Original(asked));
        }
        let exact = |expression: Expr| cast(expression, DataType::Time64(TimeUnit::Nanosecond));
        let compared = binary_expr(exact(asked.left), operator, exact(asked.right));
        Ok(PlannerResult::Planned(compared))
    }
}

const fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::text::FlussDialect;

    fn planned(text: &str) -> Option<DataType> {
        let mut parser = Parser::new(&FlussDialect).try_with_sql(text).unwrap();
        let types = Types {
            zone: "America/New_York".into(),
        };
        let wanted = parser.parse_data_type().unwrap();
        let found = types.plan_type_field(&wanted).unwrap();
        found.map(|field| field.data_type().clone())
    }

    #[test]
    fn types_are_those_of_tables() {
        let micros =
            |zone: Option<&str>| Some(DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into)));
        assert_eq!(planned("TIMESTAMP"), micros(None));
        assert_eq!(
            planned("TIMESTAMP(3)"),
            Some(DataType::Timestamp(TimeUnit::Millisecond, None))
        );
        assert_eq!(
            planned("TIMESTAMP WITH TIME ZONE"),
            micros(Some("America/New_York"))
        );
        assert_eq!(planned("TIMESTAMP_LTZ(6)"), micros(Some("UTC")));
        assert_eq!(planned("TIME(3)"), Some(DataType::Time32(TimeUnit::Millisecond)));
        assert_eq!(planned("BYTES"), Some(DataType::Binary));
        assert_eq!(planned("INT"), None);
    }
}

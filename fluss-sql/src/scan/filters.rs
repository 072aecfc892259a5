//! Conditions of plans as conditions of the client, where both mean the same.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use fluss_client::filter::{Comparison, Filter, Predicate, Test, TextPart, col};
use fluss_client::types::{DataType, Datum, Decimal, Kind, RowType, Timestamp};

/// A condition of a plan as one of the client; nothing if there is none that means exactly the same.
///
/// Floating-point numbers are left to the plan: NaN compares differently there.
pub(crate) fn predicate(expression: &Expr, row_type: &RowType) -> Option<Predicate> {
    let found = converted(expression, row_type)?;
    // What the client would refuse is left to the plan, such as a text that is too long for its column.
    Filter::new(&found, row_type).is_ok().then_some(found)
}

fn converted(expression: &Expr, row_type: &RowType) -> Option<Predicate> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => Some(converted(left, row_type)? & converted(right, row_type)?),
            Operator::Or => Some(converted(left, row_type)? | converted(right, row_type)?),
            _ => comparison(left, *op, right, row_type),
        },
        Expr::Not(inner) => Some(!converted(inner, row_type)?),
        Expr::IsNull(inner) => Some(col(column(inner, row_type)?.0).is_null()),
        Expr::IsNotNull(inner) => Some(col(column(inner, row_type)?.0).is_not_null()),
        Expr::Column(_) => {
            let (name, data_type) = column(expression, row_type)?;
            (*data_type.kind() == Kind::Boolean).then(|| col(name).eq(true))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let (name, data_type) = column(expr, row_type)?;
            let values: Option<Vec<_>> = list.iter().map(|value| datum(value, data_type)).collect();
            let found = col(name).test(Test::IsIn(values?));
            Some(if *negated { !found } else { found })
        }
        Expr::Between(between) => {
            let low = comparison(&between.expr, Operator::GtEq, &between.low, row_type)?;
            let high = comparison(&between.expr, Operator::LtEq, &between.high, row_type)?;
            let found = low & high;
            Some(if between.negated { !found } else { found })
        }
        Expr::Like(like) => text(like, row_type),
        _ => None,
    }
}

/// A column of the table that has values which compare as in plans.
fn column<'t>(expression: &Expr, row_type: &'t RowType) -> Option<(&'t str, &'t DataType)> {
    let Expr::Column(found) = expression else {
        return None;
    };
    let field = row_type.field(row_type.index_of(&found.name)?)?;
    Some((&field.name, &field.data_type))
}

fn comparison(left: &Expr, operator: Operator, right: &Expr, row_type: &RowType) -> Option<Predicate> {
    let (column_side, value_side, operator) = match (left, right) {
        (Expr::Column(_), _) => (left, right, operator),
        (_, Expr::Column(_)) => (right, left, operator.swap()?),
        _ => return None,
    };
    let comparison = match operator {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::LessOrEqual,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    };
    let (name, data_type) = column(column_side, row_type)?;
    let value = datum(value_side, data_type)?;
    Some(col(name).test(Test::Compare(comparison, value)))
}

/// `LIKE 'text%'` and its kind, without other wildcards.
fn text(like: &Like, row_type: &RowType) -> Option<Predicate> {
    if like.case_insensitive || like.escape_char.is_some() {
        return None;
    }
    let (name, data_type) = column(&like.expr, row_type)?;
    if *data_type.kind() != Kind::String {
        return None;
    }
    let Expr::Literal(ScalarValue::Utf8(Some(pattern)), _) = like.pattern.as_ref() else {
        return None;
    };
    let (starts, ends) = (pattern.starts_with('%'), pattern.ends_with('%'));
    let inner = pattern.strip_prefix('%').unwrap_or(pattern);
    let inner = inner.strip_suffix('%').unwrap_or(inner);
    if inner.is_empty() || inner.contains(['%', '_', '\\']) {
        return None;
    }
    let part = match (starts, ends) {
        (false, true) => TextPart::Prefix,
        (true, false) => TextPart::Suffix,
        (true, true) => TextPart::Infix,
        (false, false) => return None,
    };
    let found = col(name).test(Test::Text(part, inner.to_owned()));
    Some(if like.negated { !found } else { found })
}

/// A literal as a value of a column; nothing for a null, and for types that compare differently.
pub(super) fn datum(expression: &Expr, data_type: &DataType) -> Option<Datum<'static>> {
    let Expr::Literal(value, _) = expression else {
        return None;
    };
    scalar(value, data_type)
}

/// The same of a value.
pub(super) fn scalar(value: &ScalarValue, data_type: &DataType) -> Option<Datum<'static>> {
    Some(match (data_type.kind(), value) {
        (Kind::Boolean, ScalarValue::Boolean(Some(value))) => Datum::Boolean(*value),
        (Kind::TinyInt, ScalarValue::Int8(Some(value))) => Datum::TinyInt(*value),
        (Kind::SmallInt, ScalarValue::Int16(Some(value))) => Datum::SmallInt(*value),
        (Kind::Int, ScalarValue::Int32(Some(value))) => Datum::Int(*value),
        (Kind::BigInt, ScalarValue::Int64(Some(value))) => Datum::BigInt(*value),
        (
            Kind::String,
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
        ) => Datum::String(text.clone().into()),
        (
            Kind::Bytes,
            ScalarValue::Binary(Some(bytes))
            | ScalarValue::LargeBinary(Some(bytes))
            | ScalarValue::BinaryView(Some(bytes)),
        ) => Datum::Bytes(bytes.clone().into()),
        (Kind::Decimal { precision, scale }, ScalarValue::Decimal128(Some(digits), own, own_scale))
            if precision == own && i8::try_from(*scale).ok() == Some(*own_scale) =>
        {
            Datum::Decimal(Decimal::new(*digits, *scale))
        }
        (Kind::Date, ScalarValue::Date32(Some(days))) => Datum::Date(*days),
        (Kind::Timestamp(_), value) => Datum::Timestamp(timestamp(value, false)?),
        (Kind::TimestampLtz(_), value) => Datum::TimestampLtz(timestamp(value, true)?),
        _ => return None,
    })
}

fn timestamp(value: &ScalarValue, zoned: bool) -> Option<Timestamp> {
    let (found, zone) = match value {
        ScalarValue::TimestampSecond(Some(count), zone) => {
            (Timestamp::from_millis(count.checked_mul(1_000)?), zone)
        }
        ScalarValue::TimestampMillisecond(Some(count), zone) => (Timestamp::from_millis(*count), zone),
        ScalarValue::TimestampMicrosecond(Some(count), zone) => (Timestamp::from_micros(*count), zone),
        ScalarValue::TimestampNanosecond(Some(count), zone) => (Timestamp::from_nanos(*count), zone),
        _ => return None,
    };
    (zone.is_some() == zoned).then_some(found)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col as column, lit};
    use fluss_client::types::Field;

    use super::*;

    fn row_type() -> RowType {
        RowType::new([
            Field::new("id", DataType::big_int()),
            Field::new("name", DataType::string()),
            Field::new("price", DataType::double()),
            Field::new("ok", DataType::boolean()),
        ])
    }

    fn found(expression: &Expr) -> Option<Predicate> {
        predicate(expression, &row_type())
    }

    #[test]
    fn what_means_the_same_is_taken() {
        let own = col("id").ge(3_i64) & !col("name").eq("a");
        let asked = column("id").gt_eq(lit(3_i64)).and(!column("name").eq(lit("a")));
        assert_eq!(found(&asked), Some(own));
        assert_eq!(found(&lit(3_i64).lt(column("id"))), Some(col("id").gt(3_i64)));
        assert_eq!(found(&column("ok")), Some(col("ok").eq(true)));
        assert_eq!(
            found(&column("name").like(lit("a%"))),
            Some(col("name").starts_with("a"))
        );
        assert_eq!(found(&column("name").is_null()), Some(col("name").is_null()));
        let among = column("id").in_list(vec![lit(1_i64), lit(2_i64)], false);
        assert_eq!(found(&among), Some(col("id").is_in([1_i64, 2])));
    }

    #[test]
    fn what_may_not_mean_the_same_is_left_to_the_plan() {
        assert_eq!(found(&column("price").gt(lit(1.0))), None);
        assert_eq!(found(&column("id").gt(lit(1_i32))), None);
        assert_eq!(found(&column("name").like(lit("a_c%"))), None);
        assert_eq!(found(&column("id").eq(column("id"))), None);
        assert_eq!(found(&column("id").eq(lit(ScalarValue::Int64(None)))), None);
        assert_eq!(found(&column("other").eq(lit(1_i64))), None);
        assert_eq!(
            found(&column("id").eq(lit(1_i64)).or(column("price").gt(lit(1.0)))),
            None
        );
    }
}

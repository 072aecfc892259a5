//! Parameters, put into the syntax tree as the literals that they stand for.

use std::ops::ControlFlow;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr, UnaryOperator, Value as Literal, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::error::{Error, Position, Result};
use crate::text::{parser, tokenize};
use crate::value::{Parameters, Value};

/// Puts values in the place of placeholders, so that they are planned as literals are.
pub(crate) fn bind(node: &mut impl VisitMut, parameters: &Parameters) -> Result<()> {
    match node.visit(&mut Binder { parameters }) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Binder<'p> {
    parameters: &'p Parameters,
}

impl VisitorMut for Binder<'_> {
    type Break = Box<Error>;

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        let Expr::Value(ValueWithSpan {
            value: Literal::Placeholder(name),
            span,
        }) = expression
        else {
            return ControlFlow::Continue(());
        };
        let literal = self.parameters.get(name).and_then(|value| literal(value, *span));
        match literal {
            Ok(literal) => {
                *expression = literal;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(Box::new(error.at(Position::of(span.start)))),
        }
    }
}

/// A value as an expression of the syntax tree.
pub(crate) fn literal(value: &Value, span: Span) -> Result<Expr> {
    Ok(match value {
        Value::Null => plain(Literal::Null, span),
        Value::Bool(value) => plain(Literal::Boolean(*value), span),
        Value::Int(value) => number(*value, span),
        Value::Text(text) => plain(Literal::SingleQuotedString(text.clone()), span),
        Value::Bytes(bytes) => plain(Literal::HexStringLiteral(hex(bytes)), span),
        Value::Float(value) => cast(&format!("'{value:?}'"), &DataType::Float64)?,
        Value::Decimal(digits, precision, scale) => {
            let shown = ScalarValue::Decimal128(Some(*digits), *precision, *scale).to_string();
            let text = shown.split(',').next().unwrap_or_default();
            let text = decimal_text(*digits, *scale).unwrap_or_else(|| text.to_owned());
            cast(&format!("'{text}'"), &DataType::Decimal128(*precision, *scale))?
        }
        Value::Date(days) => cast(&format!("arrow_cast({days}, 'Int32')"), &DataType::Date32)?,
        Value::Time(nanos) => cast(&nanos.to_string(), &DataType::Time64(TimeUnit::Nanosecond))?,
        Value::Timestamp(micros) => cast(
            &micros.to_string(),
            &DataType::Timestamp(TimeUnit::Microsecond, None),
        )?,
        Value::Instant(micros) => {
            let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            cast(&micros.to_string(), &instant)?
        }
        Value::Arrow(array) => scalar(ScalarValue::try_from_array(array, 0)?, span)?,
    })
}

fn scalar(value: ScalarValue, span: Span) -> Result<Expr> {
    let data_type = value.data_type();
    if value.is_null() {
        return match data_type {
            nested if nested.is_null() || nested.is_nested() => Ok(plain(Literal::Null, span)),
            typed => cast("NULL", &typed),
        };
    }
    Ok(match value {
        ScalarValue::Boolean(Some(value)) => plain(Literal::Boolean(value), span),
        ScalarValue::Int64(Some(value)) => number(value, span),
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => plain(Literal::SingleQuotedString(text), span),
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes)) => plain(Literal::HexStringLiteral(hex(&bytes)), span),
        ScalarValue::FixedSizeBinary(_, Some(bytes)) => cast(&format!("X'{}'", hex(&bytes)), &data_type)?,
        ScalarValue::Int8(_)
        | ScalarValue::Int16(_)
        | ScalarValue::Int32(_)
        | ScalarValue::UInt8(_)
        | ScalarValue::UInt16(_)
        | ScalarValue::UInt32(_)
        | ScalarValue::UInt64(_) => cast(&value.to_string(), &data_type)?,
        ScalarValue::Float32(Some(number)) => cast(&format!("'{number:?}'"), &data_type)?,
        ScalarValue::Float64(Some(number)) => cast(&format!("'{number:?}'"), &data_type)?,
        ScalarValue::Decimal128(Some(digits), _, scale) => {
            let text = decimal_text(digits, scale)
                .ok_or_else(|| Error::unsupported(format!("a parameter of type {data_type}")))?;
            cast(&format!("'{text}'"), &data_type)?
        }
        ScalarValue::Date32(Some(days))
        | ScalarValue::Time32Second(Some(days))
        | ScalarValue::Time32Millisecond(Some(days)) => {
            cast(&format!("arrow_cast({days}, 'Int32')"), &data_type)?
        }
        ScalarValue::Date64(Some(count))
        | ScalarValue::Time64Microsecond(Some(count))
        | ScalarValue::Time64Nanosecond(Some(count))
        | ScalarValue::TimestampSecond(Some(count), _)
        | ScalarValue::TimestampMillisecond(Some(count), _)
        | ScalarValue::TimestampMicrosecond(Some(count), _)
        | ScalarValue::TimestampNanosecond(Some(count), _) => cast(&count.to_string(), &data_type)?,
        ScalarValue::List(_)
        | ScalarValue::LargeList(_)
        | ScalarValue::FixedSizeList(_)
        | ScalarValue::Map(_)
        | ScalarValue::Struct(_) => nested(&value)?,
        _ => return Err(Error::unsupported(format!("a parameter of type {data_type}"))),
    })
}

/// A list, a map or a row as a call of the function that makes it of its values, each of which has its type.
fn nested(value: &ScalarValue) -> Result<Expr> {
    let text = match value {
        ScalarValue::List(list) => array(&list.value(0))?,
        ScalarValue::LargeList(list) => array(&list.value(0))?,
        ScalarValue::FixedSizeList(list) => array(&list.value(0))?,
        ScalarValue::Map(map) => {
            let entries = map.value(0);
            format!(
                "map({}, {})",
                array(entries.column(0))?,
                array(entries.column(1))?
            )
        }
        ScalarValue::Struct(row) => {
            let mut fields = Vec::with_capacity(2 * row.num_columns());
            for (field, column) in row.fields().iter().zip(row.columns()) {
                fields.push(
                    plain(Literal::SingleQuotedString(field.name().clone()), Span::empty()).to_string(),
                );
                fields.push(element(column, 0)?);
            }
            format!("named_struct({})", fields.join(", "))
        }
        other => {
            return Err(Error::unsupported(format!(
                "a parameter of type {}",
                other.data_type()
            )));
        }
    };
    Ok(parser(tokenize(&text)?).parse_expr()?)
}

fn array(values: &ArrayRef) -> Result<String> {
    if values.is_empty() && !values.data_type().is_null() && !values.data_type().is_nested() {
        return Ok(cast(
            "make_array()",
            &DataType::new_list(values.data_type().clone(), true),
        )?
        .to_string());
    }
    let elements = (0..values.len()).map(|index| element(values, index));
    Ok(format!(
        "make_array({})",
        elements.collect::<Result<Vec<_>>>()?.join(", ")
    ))
}

fn element(values: &ArrayRef, index: usize) -> Result<String> {
    Ok(scalar(ScalarValue::try_from_array(values, index)?, Span::empty())?.to_string())
}

fn plain(value: Literal, span: Span) -> Expr {
    Expr::Value(value.with_span(span))
}

fn number(value: i64, span: Span) -> Expr {
    let digits = plain(Literal::Number(value.unsigned_abs().to_string(), false), span);
    if value >= 0 {
        return digits;
    }
    Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: Box::new(digits),
    }
}

/// An expression of ours, made of the type that is wanted.
fn cast(expression: &str, data_type: &DataType) -> Result<Expr> {
    let data_type = data_type.to_string().replace('\'', "''");
    let mut parser = parser(tokenize(&format!("arrow_cast({expression}, '{data_type}')"))?);
    Ok(parser.parse_expr()?)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// A decimal number with its point. Nothing for a scale below zero.
fn decimal_text(digits: i128, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let sign = if digits < 0 { "-" } else { "" };
    let shown = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = shown.split_at_checked(shown.len() - scale)?;
    Some(if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_literals() {
        let shown = |value: Value| literal(&value, Span::empty()).unwrap().to_string();
        assert_eq!(shown(7.into()), "7");
        assert_eq!(shown(i64::MIN.into()), "-9223372036854775808");
        assert_eq!(shown("it's".into()), "'it''s'");
        assert_eq!(shown(Value::Null), "NULL");
        assert_eq!(shown(Value::Bytes(vec![1, 255])), "X'01FF'");
        assert_eq!(shown(1.5.into()), "arrow_cast('1.5', 'Float64')");
        assert_eq!(
            shown(Value::Decimal(-1234, 10, 3)),
            "arrow_cast('-1.234', 'Decimal128(10, 3)')"
        );
        assert_eq!(decimal_text(5, 3).as_deref(), Some("0.005"));
    }

    #[test]
    fn nested_values_are_made_of_their_parts() {
        use std::sync::Arc;

        use arrow::array::{Int64Array, ListArray, StringArray, StructArray};
        use arrow::datatypes::{Field, Fields, Int64Type};

        let shown = |array: ArrayRef| literal(&Value::Arrow(array), Span::empty()).unwrap().to_string();
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]);
        assert_eq!(shown(Arc::new(list)), "make_array(1, arrow_cast(NULL, 'Int64'))");
        let fields = Fields::from(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("it's", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![7])),
            Arc::new(StringArray::from(vec!["x"])),
        ];
        let row = StructArray::new(fields, columns, None);
        assert_eq!(shown(Arc::new(row)), "named_struct('a', 7, 'it''s', 'x')");
    }
}

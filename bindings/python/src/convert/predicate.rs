//! Conditions on rows.

use fluss_client::filter::{Comparison, Predicate, Test, TextPart, col};
use fluss_client::types::{Datum, Field, RowType, did_you_mean};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::fault::object;
use super::from_python::field_value;
use crate::error::Fault;

/// A condition out of a `fluss.predicate.Predicate`; its values are taken as those of rows are.
pub(crate) fn predicate_from_python(predicate: &Bound<'_, PyAny>, row_type: &RowType) -> PyResult<Predicate> {
    let operator: String = predicate.getattr("operator")?.extract()?;
    let operands: Bound<'_, PyTuple> = predicate.getattr("operands")?.cast_into()?;
    let mut parts = operands.iter().map(|part| predicate_from_python(&part, row_type));
    Ok(match operator.as_str() {
        "AND" => Predicate::All(parts.collect::<PyResult<_>>()?),
        "OR" => Predicate::Any(parts.collect::<PyResult<_>>()?),
        "NOT" => !parts.next().unwrap_or(Ok(Predicate::All(Vec::new())))?,
        operator => {
            let name: String = operands.get_item(0)?.extract()?;
            let field = row_type.index_of(&name).and_then(|index| row_type.field(index));
            let field = field.ok_or_else(|| {
                let near = did_you_mean(&name, row_type.names());
                Fault::new(
                    "SchemaError",
                    format!("there is no column '{name}' to filter by{near}"),
                )
            })?;
            col(name).test(test_of_column(operator, &operands, field)?)
        }
    })
}

fn test_of_column(operator: &str, operands: &Bound<'_, PyTuple>, field: &Field) -> PyResult<Test> {
    let operand = || operands.get_item(1);
    let literal =
        |value: &Bound<'_, PyAny>| -> Result<Datum<'static>, Fault> { Ok(field_value(value, field)?) };
    let compare = |comparison| Ok(Test::Compare(comparison, literal(&operand()?)?));
    let text = |part| Ok(Test::Text(part, operand()?.extract()?));
    match operator {
        "=" => compare(Comparison::Equal),
        "<>" => compare(Comparison::NotEqual),
        "<" => compare(Comparison::Less),
        "<=" => compare(Comparison::LessOrEqual),
        ">" => compare(Comparison::Greater),
        ">=" => compare(Comparison::GreaterOrEqual),
        "IS NULL" => Ok(Test::IsNull),
        "IN" => {
            let values = operand()?.try_iter()?.map(|value| Ok(literal(&value?)?));
            Ok(Test::IsIn(values.collect::<PyResult<_>>()?))
        }
        "STARTS WITH" => text(TextPart::Prefix),
        "ENDS WITH" => text(TextPart::Suffix),
        "CONTAINS" => text(TextPart::Infix),
        unknown => Err(Fault::from(object(format!("there is no operator '{unknown}'"))).into()),
    }
}

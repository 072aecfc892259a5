//! A condition on the rows of one table, and how it is evaluated: column by column, in three values.

use std::collections::HashSet;
use std::slice::from_ref;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, RecordBatch, Scalar};
use arrow::compute::kernels::cmp;
use arrow::compute::{self, and_kleene, or_kleene, prep_null_mask_filter};
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use super::{Comparison, Predicate, Test, TextPart};
use crate::ValueError;
use crate::arrow::{ColumnsBuilder, arrow_schema, retag};
use crate::row::partition_datum;
use crate::types::{DataType, Datum, Decimal, Field, Kind, PartitionName, RowType, did_you_mean};

/// A [`Predicate`] on rows of a type.
#[derive(Debug)]
pub struct Filter {
    condition: Condition,
    /// The positions of the columns that are looked at, ascending.
    columns: Vec<usize>,
}

#[derive(Debug)]
enum Condition {
    Column {
        column: usize,
        wire_type: ArrowType,
        test: Check,
    },
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
}

#[derive(Debug)]
enum Check {
    Compare(Comparison, Scalar<ArrayRef>),
    IsIn(Members),
    IsNull,
    Text(TextPart, Scalar<ArrayRef>),
}

impl Filter {
    /// A condition on rows of this type.
    ///
    /// # Errors
    ///
    /// A column that there is not; a value that its column could not hold, a null among them; the text of a column that
    /// has none; anything but a test for null of an ARRAY, MAP or ROW.
    pub fn new(predicate: &Predicate, row_type: &RowType) -> Result<Self, ValueError> {
        let mut columns = Vec::new();
        let condition = Condition::new(predicate, row_type, &mut columns)?;
        columns.sort_unstable();
        columns.dedup();
        Ok(Self { condition, columns })
    }

    /// The positions of the columns that are looked at, ascending.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Which rows of a batch of this type hold the condition.
    ///
    /// # Errors
    ///
    /// A batch of another type.
    pub fn matches(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let held = self
            .condition
            .evaluate(batch.num_rows(), &|column| batch.columns().get(column).cloned())?;
        Ok(match held.null_count() {
            0 => held,
            _ => prep_null_mask_filter(&held),
        })
    }

    /// Whether rows of a partition may hold the condition. `keys` are the positions of the partition keys.
    ///
    /// A partition is only ruled out by values that can be told from its name: text, booleans, integers, bytes and dates.
    pub fn may_match(&self, row_type: &RowType, keys: &[usize], partition: &PartitionName) -> bool {
        let known: Vec<_> = keys
            .iter()
            .zip(partition.values())
            .filter_map(|(&key, text)| {
                let data_type = &row_type.field(key)?.data_type;
                let value = partition_datum(data_type, text)?;
                Some((key, single(data_type, value).ok()?))
            })
            .collect();
        let value = |column| {
            known
                .iter()
                .find(|(key, _)| *key == column)
                .map(|(_, value)| value.clone())
        };
        // What is not known is null, and so is what depends on it.
        let held = self.condition.evaluate(1, &value);
        held.map_or(true, |held| held.iter().next() != Some(Some(false)))
    }
}

impl Condition {
    fn new(predicate: &Predicate, row_type: &RowType, columns: &mut Vec<usize>) -> Result<Self, ValueError> {
        let mut all = |parts: &[Predicate]| {
            let parts = parts.iter().map(|part| Self::new(part, row_type, columns));
            parts.collect::<Result<Vec<_>, _>>()
        };
        Ok(match predicate {
            Predicate::All(parts) => Self::All(all(parts)?),
            Predicate::Any(parts) => Self::Any(all(parts)?),
            Predicate::Not(part) => Self::Not(Box::new(Self::new(part, row_type, columns)?)),
            Predicate::Column { column: name, test } => {
                let found = row_type
                    .index_of(name)
                    .and_then(|column| Some((column, row_type.field(column)?)));
                let (column, field) = found.ok_or_else(|| {
                    let near = did_you_mean(name, row_type.names());
                    ValueError::column(name, format!("there is no such column{near}"))
                })?;
                columns.push(column);
                let test = Check::new(test, &field.data_type).map_err(|error| error.within(name))?;
                let wire_type = wire_type(&field.data_type);
                Self::Column {
                    column,
                    wire_type,
                    test,
                }
            }
        })
    }

    /// Whether rows hold this: true, false, or null for those of which it cannot be told. A column that `columns` does
    /// not give is not known.
    fn evaluate(
        &self,
        rows: usize,
        columns: &dyn Fn(usize) -> Option<ArrayRef>,
    ) -> Result<BooleanArray, ArrowError> {
        match self {
            Self::Column {
                column,
                wire_type,
                test,
            } => match columns(*column) {
                Some(values) => test.evaluate(&plain(&values, wire_type)?),
                None => Ok(BooleanArray::new_null(rows)),
            },
            Self::All(parts) => parts
                .iter()
                .try_fold(BooleanArray::from(vec![true; rows]), |held, part| {
                    and_kleene(&held, &part.evaluate(rows, columns)?)
                }),
            Self::Any(parts) => parts
                .iter()
                .try_fold(BooleanArray::from(vec![false; rows]), |held, part| {
                    or_kleene(&held, &part.evaluate(rows, columns)?)
                }),
            Self::Not(part) => compute::not(&part.evaluate(rows, columns)?),
        }
    }
}

impl Check {
    fn new(test: &Test, data_type: &DataType) -> Result<Self, ValueError> {
        if data_type.is_nested() && *test != Test::IsNull {
            return Err(ValueError::row(format!(
                "a column of type {data_type} can only be tested for null"
            )));
        }
        let literal = |value: &Datum<'static>| single(data_type, widened(data_type, value.clone())?);
        Ok(match test {
            Test::IsNull => Self::IsNull,
            Test::Compare(comparison, value) => Self::Compare(*comparison, Scalar::new(literal(value)?)),
            Test::IsIn(values) => {
                let values = values.iter().map(literal).collect::<Result<Vec<_>, _>>()?;
                Self::IsIn(
                    Members::new(data_type, &values).map_err(|error| ValueError::row(error.to_string()))?,
                )
            }
            Test::Text(part, wanted) => match data_type.kind() {
                Kind::Char(_) | Kind::String => {
                    let wanted = single(&DataType::string(), wanted.clone().into())?;
                    Self::Text(*part, Scalar::new(wanted))
                }
                _ => {
                    return Err(ValueError::row(format!(
                        "a column of type {data_type} has no text"
                    )));
                }
            },
        })
    }

    fn evaluate(&self, values: &ArrayRef) -> Result<BooleanArray, ArrowError> {
        match self {
            Self::IsNull => compute::is_null(values),
            Self::IsIn(members) => members.hold(values),
            Self::Compare(comparison, value) => match comparison {
                Comparison::Equal => cmp::eq(values, value),
                Comparison::NotEqual => cmp::neq(values, value),
                Comparison::Less => cmp::lt(values, value),
                Comparison::LessOrEqual => cmp::lt_eq(values, value),
                Comparison::Greater => cmp::gt(values, value),
                Comparison::GreaterOrEqual => cmp::gt_eq(values, value),
            },
            Self::Text(part, text) => match part {
                TextPart::Prefix => compute::starts_with(values, text),
                TextPart::Suffix => compute::ends_with(values, text),
                TextPart::Infix => compute::contains(values, text),
            },
        }
    }
}

/// A set of values, in a form of bytes by which they can be found.
#[derive(Debug)]
struct Members {
    converter: RowConverter,
    values: HashSet<Box<[u8]>>,
}

impl Members {
    fn new(data_type: &DataType, values: &[ArrayRef]) -> Result<Self, ArrowError> {
        let converter = RowConverter::new(vec![SortField::new(wire_type(data_type))])?;
        let mut members = Self {
            converter,
            values: HashSet::new(),
        };
        for value in values {
            let rows = members.converter.convert_columns(from_ref(value))?;
            members.values.extend(rows.iter().map(|row| row.as_ref().into()));
        }
        Ok(members)
    }

    fn hold(&self, values: &ArrayRef) -> Result<BooleanArray, ArrowError> {
        let rows = self.converter.convert_columns(from_ref(values))?;
        let held = rows.iter().map(|row| self.values.contains(row.as_ref()));
        Ok(BooleanArray::new(held.collect(), values.nulls().cloned()))
    }
}

fn wire_type(data_type: &DataType) -> ArrowType {
    let schema = arrow_schema(&RowType::new([Field::new("value", data_type.clone())]));
    schema
        .fields()
        .first()
        .map_or(ArrowType::Null, |field| field.data_type().clone())
}

/// A value as a column of one row.
fn single(data_type: &DataType, value: Datum<'static>) -> Result<ArrayRef, ValueError> {
    if value.is_null() {
        return Err(ValueError::row(
            "nothing compares to a null: ask whether it is null",
        ));
    }
    let row_type = RowType::new([Field::new("value", data_type.clone())]);
    let mut columns = ColumnsBuilder::new(&row_type, 1);
    let bare = |error: ValueError| ValueError::row(error.reason);
    columns.append(&[value]).map_err(bare)?;
    let batch = columns.finish()?;
    plain(batch.column(0), &wire_type(data_type)).map_err(|error| ValueError::row(error.to_string()))
}

/// The same number as the column has numbers, where that loses nothing. What is left is found not to fit.
pub(super) fn widened(data_type: &DataType, value: Datum<'static>) -> Result<Datum<'static>, ValueError> {
    let number = match value {
        Datum::TinyInt(number) => i64::from(number),
        Datum::SmallInt(number) => i64::from(number),
        Datum::Int(number) => i64::from(number),
        Datum::BigInt(number) => number,
        Datum::Float(number) if *data_type.kind() == Kind::Double => return Ok(f64::from(number).into()),
        other => return Ok(other),
    };
    let beyond = |_| ValueError::row(format!("{number} is beyond the range of {data_type}"));
    Ok(match data_type.kind() {
        Kind::TinyInt => Datum::TinyInt(number.try_into().map_err(beyond)?),
        Kind::SmallInt => Datum::SmallInt(number.try_into().map_err(beyond)?),
        Kind::Int => Datum::Int(number.try_into().map_err(beyond)?),
        Kind::BigInt => Datum::BigInt(number),
        Kind::Decimal { .. } => Decimal::new(number.into(), 0).into(),
        Kind::Double if number.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS => Datum::Double(number as f64),
        Kind::Float if number.unsigned_abs() <= 1 << f32::MANTISSA_DIGITS => Datum::Float(number as f32),
        _ => value,
    })
}

/// Values in the form in which they compare: moments without a zone, one zero and one NaN.
fn plain(values: &ArrayRef, wire_type: &ArrowType) -> Result<ArrayRef, ArrowError> {
    Ok(match wire_type {
        ArrowType::Float32 => {
            one_zero::<Float32Type>(
                values,
                |value| if value.is_nan() { f32::NAN } else { value + 0.0 },
            )
        }
        ArrowType::Float64 => {
            one_zero::<Float64Type>(
                values,
                |value| if value.is_nan() { f64::NAN } else { value + 0.0 },
            )
        }
        same if same == values.data_type() => values.clone(),
        wanted => arrow::array::make_array(retag(values.to_data(), wanted)?),
    })
}

fn one_zero<T: ArrowPrimitiveType>(values: &ArrayRef, plain: impl Fn(T::Native) -> T::Native) -> ArrayRef {
    match values.as_primitive_opt::<T>() {
        Some(numbers) => Arc::new(numbers.unary::<_, T>(plain)) as ArrayRef,
        None => values.clone(),
    }
}

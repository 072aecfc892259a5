//! From columns to rows.

use std::borrow::Cow;
use std::fmt;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{max, min};
use arrow::datatypes::{
    ArrowNumericType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit,
};
use arrow::record_batch::RecordBatch;

use super::schema::{retag, unit};
use super::value::{Cell, ColumnValue};
use crate::error::ValueError;
use crate::types::{DataType, Datum, Decimal, Kind, Row, RowType, Timestamp};

const SECONDS_PER_DAY: i64 = 86_400;

/// The rows of an Arrow batch, of the wire's or the user's schema. The columns are looked at once, not for each value.
#[derive(Debug)]
pub struct ArrowRows {
    batch: RecordBatch,
    columns: Vec<Column>,
}

/// A row of [`ArrowRows`]. Text and bytes are borrowed from the columns.
#[derive(Clone, Copy)]
pub struct ArrowRow<'a> {
    rows: &'a ArrowRows,
    index: usize,
}

impl ArrowRows {
    /// The rows of a batch whose columns are those of `row_type`, in order.
    ///
    /// # Errors
    ///
    /// A column of another type; a time or moment that no row can hold, which no table takes: a time outside the day, seconds
    /// that are too many to be counted in milliseconds.
    pub fn new(batch: RecordBatch, row_type: &RowType) -> Result<Self, ValueError> {
        if batch.num_columns() != row_type.len() {
            let reason = format!(
                "the batch has {} columns, the table {}",
                batch.num_columns(),
                row_type.len()
            );
            return Err(ValueError::row(reason));
        }
        let columns = batch.columns().iter().zip(row_type.fields());
        let columns = columns.map(|(array, field)| {
            let mismatch = || {
                ValueError::column(
                    &field.name,
                    format!("{} is not {}", array.data_type(), field.data_type),
                )
            };
            let column = Column::new(array, &field.data_type).ok_or_else(mismatch)?;
            column.check().map_err(|error| error.within(&field.name))?;
            Ok::<_, ValueError>(column)
        });
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            batch,
        })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at a position; all null beyond the last.
    pub const fn row(&self, index: usize) -> ArrowRow<'_> {
        ArrowRow { rows: self, index }
    }

    /// The columns.
    pub const fn batch(&self) -> &RecordBatch {
        &self.batch
    }
}

impl Row for ArrowRow<'_> {
    fn len(&self) -> usize {
        self.rows.columns.len()
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        self.rows
            .columns
            .get(index)
            .map_or(Datum::Null, |column| column.datum(self.index))
    }
}

impl<'a> ArrowRow<'a> {
    /// As [`Row::datum`], for as long as the columns live.
    pub fn value(&self, index: usize) -> Datum<'a> {
        self.rows
            .columns
            .get(index)
            .map_or(Datum::Null, |column| column.datum(self.index))
    }
}

impl<'a> ArrowRow<'a> {
    /// The value at a position as the Rust type of its column, without the way over a [`Datum`]; nothing if it is
    /// null. DATE is an `i32` of days, TIME an `i32` of milliseconds.
    ///
    /// # Errors
    ///
    /// A column of another type, or none at this position.
    #[inline]
    pub fn get<T: ColumnValue<'a>>(&self, index: usize) -> Result<Option<T>, ValueError> {
        let column = self.rows.columns.get(index);
        match column {
            Some(column) if column.is_null(self.index) => Ok(None),
            Some(column) => match T::of(Cell {
                values: &column.values,
                index: self.index,
            }) {
                Some(value) => Ok(Some(value)),
                None => Err(self.mismatch::<T>(index)),
            },
            None => Err(self.mismatch::<T>(index)),
        }
    }

    #[cold]
    fn mismatch<T>(&self, index: usize) -> ValueError {
        let schema = self.rows.batch.schema_ref();
        let wanted = std::any::type_name::<T>();
        match schema.fields().get(index) {
            Some(field) => ValueError::column(field.name(), format!("{} is not {wanted}", field.data_type())),
            None => ValueError::row(format!("no column {index} in a row of {}", schema.fields().len())),
        }
    }
}

impl fmt::Debug for ArrowRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries((0..self.len()).map(|index| self.datum(index)))
            .finish()
    }
}

/// A column, looked at.
#[derive(Debug)]
pub(super) struct Column {
    nulls: Option<NullBuffer>,
    length: usize,
    values: Values,
}

#[derive(Debug)]
pub(super) enum Values {
    Boolean(BooleanArray),
    TinyInt(PrimitiveArray<Int8Type>),
    SmallInt(PrimitiveArray<Int16Type>),
    Int(PrimitiveArray<Int32Type>),
    BigInt(PrimitiveArray<Int64Type>),
    Float(PrimitiveArray<Float32Type>),
    Double(PrimitiveArray<Float64Type>),
    String(StringArray),
    Bytes(BinaryArray),
    Binary(FixedSizeBinaryArray),
    Decimal(PrimitiveArray<Decimal128Type>, u8),
    Date(PrimitiveArray<Date32Type>),
    Time32(PrimitiveArray<Int32Type>, TimeUnit),
    Time64(PrimitiveArray<Int64Type>, TimeUnit),
    Timestamp(PrimitiveArray<Int64Type>, TimeUnit),
    TimestampLtz(PrimitiveArray<Int64Type>, TimeUnit),
    List(OffsetBuffer<i32>, Box<Column>),
    Map(OffsetBuffer<i32>, Box<[Column; 2]>),
    Row(Vec<Column>),
}

impl Column {
    fn new(array: &ArrayRef, data_type: &DataType) -> Option<Self> {
        Some(Self {
            nulls: array.nulls().cloned(),
            length: array.len(),
            values: Values::new(array, data_type)?,
        })
    }

    /// Checks the numbers that do not all stand for a time.
    fn check(&self) -> Result<(), ValueError> {
        match &self.values {
            Values::Time32(array, unit) => {
                check_range(array, 0..=last_of_day(*unit) as i32, "is not a time of day")
            }
            Values::Time64(array, unit) => check_range(array, 0..=last_of_day(*unit), "is not a time of day"),
            Values::Timestamp(array, TimeUnit::Second) | Values::TimestampLtz(array, TimeUnit::Second) => {
                let limit = i64::MAX / 1_000;
                check_range(array, -limit..=limit, "is too far from 1970")
            }
            Values::List(_, elements) => elements.check().map_err(|error| error.within("[]")),
            Values::Map(_, parts) => parts.iter().try_for_each(Self::check),
            Values::Row(fields) => fields.iter().try_for_each(Self::check),
            _ => Ok(()),
        }
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        if self.is_null(index) {
            return Datum::Null;
        }
        self.values.datum(index)
    }

    /// Whether the value at a position is null, or beyond the last.
    #[inline]
    fn is_null(&self, index: usize) -> bool {
        index >= self.length || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(index))
    }
}

impl Values {
    fn new(array: &ArrayRef, data_type: &DataType) -> Option<Self> {
        Some(match data_type.kind() {
            Kind::Boolean => Self::Boolean(array.as_boolean_opt()?.clone()),
            Kind::TinyInt => Self::TinyInt(array.as_primitive_opt()?.clone()),
            Kind::SmallInt => Self::SmallInt(array.as_primitive_opt()?.clone()),
            Kind::Int => Self::Int(array.as_primitive_opt()?.clone()),
            Kind::BigInt => Self::BigInt(array.as_primitive_opt()?.clone()),
            Kind::Float => Self::Float(array.as_primitive_opt()?.clone()),
            Kind::Double => Self::Double(array.as_primitive_opt()?.clone()),
            Kind::Char(_) | Kind::String => Self::String(array.as_string_opt()?.clone()),
            Kind::Bytes => Self::Bytes(array.as_binary_opt()?.clone()),
            Kind::Binary(_) => Self::Binary(array.as_fixed_size_binary_opt()?.clone()),
            Kind::Decimal { scale, .. } => Self::Decimal(array.as_primitive_opt()?.clone(), *scale),
            Kind::Date => Self::Date(array.as_primitive_opt()?.clone()),
            Kind::Time(precision) => match unit(*precision) {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Self::Time32(counts(array)?, unit),
                unit => Self::Time64(counts(array)?, unit),
            },
            Kind::Timestamp(precision) => Self::Timestamp(counts(array)?, unit(*precision)),
            Kind::TimestampLtz(precision) => Self::TimestampLtz(counts(array)?, unit(*precision)),
            Kind::Array(element) => {
                let list = array.as_list_opt::<i32>()?;
                Self::List(
                    list.offsets().clone(),
                    Box::new(Column::new(list.values(), element)?),
                )
            }
            Kind::Map(key, value) => {
                let map = array.as_map_opt()?;
                let columns = [Column::new(map.keys(), key)?, Column::new(map.values(), value)?];
                Self::Map(map.offsets().clone(), Box::new(columns))
            }
            Kind::Row(row) => {
                let fields = array.as_struct_opt()?.columns().iter().zip(row.fields());
                Self::Row(
                    fields
                        .map(|(array, field)| Column::new(array, &field.data_type))
                        .collect::<Option<_>>()?,
                )
            }
        })
    }

    /// The value at a position that is not null.
    fn datum(&self, index: usize) -> Datum<'_> {
        match self {
            Self::Boolean(array) => Datum::Boolean(array.value(index)),
            Self::TinyInt(array) => Datum::TinyInt(array.value(index)),
            Self::SmallInt(array) => Datum::SmallInt(array.value(index)),
            Self::Int(array) => Datum::Int(array.value(index)),
            Self::BigInt(array) => Datum::BigInt(array.value(index)),
            Self::Float(array) => Datum::Float(array.value(index)),
            Self::Double(array) => Datum::Double(array.value(index)),
            Self::String(array) => Datum::String(Cow::Borrowed(array.value(index))),
            Self::Bytes(array) => Datum::Bytes(Cow::Borrowed(array.value(index))),
            Self::Binary(array) => Datum::Bytes(Cow::Borrowed(array.value(index))),
            Self::Decimal(array, scale) => Datum::Decimal(Decimal::new(array.value(index), *scale)),
            Self::Date(array) => Datum::Date(array.value(index)),
            Self::Time32(array, unit) => Datum::Time(millis(array.value(index).into(), *unit)),
            Self::Time64(array, unit) => Datum::Time(millis(array.value(index), *unit)),
            Self::Timestamp(array, unit) => Datum::Timestamp(moment(array.value(index), *unit)),
            Self::TimestampLtz(array, unit) => Datum::TimestampLtz(moment(array.value(index), *unit)),
            Self::List(offsets, elements) => Datum::Array(
                range(offsets, index)
                    .map(|element| elements.datum(element))
                    .collect(),
            ),
            Self::Map(offsets, columns) => {
                let [keys, values] = &**columns;
                Datum::Map(
                    range(offsets, index)
                        .map(|entry| (keys.datum(entry), values.datum(entry)))
                        .collect(),
                )
            }
            Self::Row(columns) => Datum::Row(columns.iter().map(|column| column.datum(index)).collect()),
        }
    }
}

/// The numbers that times are stored as.
fn counts<T: arrow::datatypes::ArrowPrimitiveType>(array: &ArrayRef) -> Option<PrimitiveArray<T>> {
    let data = array.to_data();
    if data.data_type().primitive_width() != T::DATA_TYPE.primitive_width() || !data.data_type().is_temporal()
    {
        return None;
    }
    retag(data, &T::DATA_TYPE).ok().map(PrimitiveArray::from)
}

fn range(offsets: &OffsetBuffer<i32>, index: usize) -> std::ops::Range<usize> {
    let at = |index: usize| {
        offsets
            .get(index)
            .map_or(0, |offset| usize::try_from(*offset).unwrap_or(0))
    };
    at(index)..at(index + 1)
}

/// The last time of a day, in units.
pub(super) const fn last_of_day(unit: TimeUnit) -> i64 {
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    SECONDS_PER_DAY * per_second - 1
}

/// The first row whose value is outside a range.
pub(super) fn outside<T>(
    values: &PrimitiveArray<T>,
    range: &std::ops::RangeInclusive<T::Native>,
) -> Option<usize>
where
    T: ArrowNumericType<Native: Ord>,
{
    let fits = |value: Option<T::Native>| value.is_none_or(|value| range.contains(&value));
    if fits(min(values)) && fits(max(values)) {
        return None;
    }
    values.iter().position(|value| !fits(value))
}

fn check_range<T>(
    values: &PrimitiveArray<T>,
    range: std::ops::RangeInclusive<T::Native>,
    reason: &str,
) -> Result<(), ValueError>
where
    T: ArrowNumericType<Native: Ord>,
{
    match outside(values, &range) {
        Some(row) => Err(ValueError::at(row, reason)),
        None => Ok(()),
    }
}

/// A time of day; digits beyond the millisecond, which only foreign writers store, are cut.
pub(super) fn millis(count: i64, unit: TimeUnit) -> i32 {
    let millis = match unit {
        TimeUnit::Second => count.saturating_mul(1_000),
        TimeUnit::Millisecond => count,
        TimeUnit::Microsecond => count.div_euclid(1_000),
        TimeUnit::Nanosecond => count.div_euclid(1_000_000),
    };
    i32::try_from(millis).unwrap_or(i32::MAX)
}

pub(super) fn moment(count: i64, unit: TimeUnit) -> Timestamp {
    match unit {
        TimeUnit::Second => Timestamp::from_millis(count.saturating_mul(1_000)),
        TimeUnit::Millisecond => Timestamp::from_millis(count),
        TimeUnit::Microsecond => Timestamp::from_micros(count),
        TimeUnit::Nanosecond => Timestamp::from_nanos(count),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ColumnsBuilder, user_schema, with_schema};
    use super::*;

    fn row_type(text: &str) -> RowType {
        let data_type: DataType = text.parse().unwrap();
        match data_type.kind() {
            Kind::Row(row) => row.clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn rows_come_out_of_columns_as_they_went_in() {
        let row_type = row_type(
            "ROW<a BOOLEAN,b TINYINT,c BIGINT NOT NULL,d STRING,e BINARY(2),f DECIMAL(5,2),g TIME(9),h TIMESTAMP(6),\
             i TIMESTAMP_LTZ(3),j ARRAY<INT>,k MAP<STRING NOT NULL,ROW<x DATE NOT NULL>>,l FLOAT>",
        );
        let full = vec![
            Datum::Boolean(true),
            Datum::TinyInt(-1),
            Datum::BigInt(i64::MIN),
            Datum::from("ä"),
            Datum::from(vec![1_u8, 2]),
            Datum::Decimal(Decimal::new(-12_345, 2)),
            Datum::Time(86_399_999),
            Datum::Timestamp(Timestamp::from_micros(-1)),
            Datum::TimestampLtz(Timestamp::from_millis(-1_500)),
            Datum::Array(vec![Datum::Int(1), Datum::Null]),
            Datum::Map(vec![
                (Datum::from("k"), Datum::Row(vec![Datum::Date(-3)])),
                (Datum::from("n"), Datum::Null),
            ]),
            Datum::Float(f32::INFINITY),
        ];
        let mut empty = vec![Datum::Null; 12];
        empty[2] = Datum::BigInt(0);
        let mut columns = ColumnsBuilder::new(&row_type, 2);
        columns.append(&full).unwrap();
        columns.append(&empty).unwrap();
        let batch = columns.finish().unwrap();
        let shown = with_schema(&batch, &user_schema(&row_type)).unwrap();
        for batch in [batch, shown] {
            let rows = ArrowRows::new(batch, &row_type).unwrap();
            assert_eq!(rows.row(0).to_owned_row(), full);
            assert_eq!(rows.row(1).to_owned_row(), empty);
        }
    }

    #[test]
    fn numbers_that_are_no_time_are_told_and_never_saturated() {
        use arrow::array::{Time32SecondArray, TimestampSecondArray};
        let rows = |text: &str, array: ArrayRef| {
            let batch = RecordBatch::try_from_iter_with_nullable([("c", array, true)]).unwrap();
            ArrowRows::new(batch, &row_type(text))
                .map(drop)
                .map_err(|error| error.to_string())
        };
        let days: ArrayRef =
            std::sync::Arc::new(Time32SecondArray::from(vec![None, Some(86_399), Some(86_400)]));
        assert_eq!(rows("ROW<c TIME(0)>", days.slice(0, 2)), Ok(()));
        assert_eq!(
            rows("ROW<c TIME(0)>", days),
            Err("column 'c': row 2 is not a time of day".to_owned())
        );
        let moments: ArrayRef = std::sync::Arc::new(TimestampSecondArray::from(vec![i64::MIN]));
        let refused = Err("column 'c': row 0 is too far from 1970".to_owned());
        assert_eq!(rows("ROW<c TIMESTAMP(0)>", moments), refused);
    }

    #[test]
    fn values_are_had_as_the_type_of_their_column_only() {
        let row_type = row_type("ROW<a BIGINT,b STRING,c TIME(3)>");
        let mut columns = ColumnsBuilder::new(&row_type, 1);
        columns
            .append(&[Datum::BigInt(7), Datum::from("x"), Datum::Null])
            .unwrap();
        let rows = ArrowRows::new(columns.finish().unwrap(), &row_type).unwrap();
        let row = rows.row(0);
        assert_eq!(row.get::<i64>(0), Ok(Some(7)));
        assert_eq!(row.get::<&str>(1), Ok(Some("x")));
        assert_eq!(row.get::<i32>(2), Ok(None));
        assert_eq!(
            row.get::<i32>(1).unwrap_err().to_string(),
            "column 'b': Utf8 is not i32"
        );
        assert!(row.get::<i32>(3).is_err());
    }

    #[test]
    fn a_row_that_does_not_fit_leaves_the_columns_alone() {
        let row_type = row_type("ROW<a INT NOT NULL,b STRING>");
        let mut columns = ColumnsBuilder::new(&row_type, 0);
        let error = columns.append(&[Datum::Null, Datum::from("x")]).unwrap_err();
        assert_eq!(error.column.as_deref(), Some("a"));
        columns.append(&[Datum::Int(1), Datum::Null]).unwrap();
        assert_eq!(columns.finish().unwrap().num_rows(), 1);
    }
}

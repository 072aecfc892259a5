//! Columns of a batch, looked at once.

use std::borrow::Cow;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{max, min};
use arrow::datatypes::{
    ArrowNumericType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit,
};

use super::schema::{retag, unit};
use crate::error::ValueError;
use crate::types::{DataType, Datum, Decimal, Kind, Timestamp};

const SECONDS_PER_DAY: i64 = 86_400;

/// A column, looked at.
#[derive(Debug)]
pub(super) struct Column {
    nulls: Option<NullBuffer>,
    length: usize,
    pub(super) values: Values,
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
    pub(super) fn new(array: &ArrayRef, data_type: &DataType) -> Option<Self> {
        Some(Self {
            nulls: array.nulls().cloned(),
            length: array.len(),
            values: Values::new(array, data_type)?,
        })
    }

    /// Checks the numbers that do not all stand for a time.
    pub(super) fn check(&self) -> Result<(), ValueError> {
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

    pub(super) fn datum(&self, index: usize) -> Datum<'_> {
        if self.is_null(index) {
            return Datum::Null;
        }
        self.values.datum(index)
    }

    /// Whether the value at a position is null, or beyond the last.
    #[inline]
    pub(super) fn is_null(&self, index: usize) -> bool {
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

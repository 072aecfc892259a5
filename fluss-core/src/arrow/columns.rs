//! From rows to columns.

use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, ListArray, MapArray, PrimitiveBuilder,
    RecordBatchOptions, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Decimal128Type, FieldRef, Fields, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, TimeUnit,
};
use arrow::record_batch::RecordBatch;

use super::schema::{arrow_schema, arrow_type, retag, unit};
use crate::error::ValueError;
use crate::types::{DataType, Datum, Decimal, Kind, Row, RowType, Timestamp};

/// Collects rows as columns, in the schema of the wire.
#[derive(Debug)]
pub struct ColumnsBuilder {
    row_type: RowType,
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl ColumnsBuilder {
    /// A builder without rows, with room for `capacity`.
    pub fn new(row_type: &RowType, capacity: usize) -> Self {
        Self {
            schema: arrow_schema(row_type),
            columns: row_type
                .fields()
                .iter()
                .map(|field| Column::new(&field.data_type, capacity))
                .collect(),
            row_type: row_type.clone(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds a row, or leaves the builder as it was if the row does not fit.
    pub fn append(&mut self, row: &(impl Row + ?Sized)) -> Result<(), ValueError> {
        crate::row::check(&self.row_type, row)?;
        self.append_checked(row);
        Ok(())
    }

    /// Adds a row that [`check`](crate::row::check) has found to fit; what does not is null.
    pub fn append_checked(&mut self, row: &(impl Row + ?Sized)) {
        for (index, column) in self.columns.iter_mut().enumerate() {
            self.bytes += column.append(row.datum(index));
        }
        self.rows += 1;
    }

    /// As [`append_checked`](Self::append_checked), with the values themselves. Columns that get none are null.
    pub fn append_values<'v>(&mut self, row: impl IntoIterator<Item = Datum<'v>>) {
        let mut values = row.into_iter();
        for column in &mut self.columns {
            self.bytes += column.append(values.next().unwrap_or(Datum::Null));
        }
        self.rows += 1;
    }

    /// Adds a value to a column. Each column gets one, and then [`end_row`](Self::end_row) is called.
    ///
    /// # Errors
    ///
    /// A value that does not fit. The builder is of no use then.
    pub fn append_value(&mut self, column: usize, datum: Datum<'_>) -> Result<(), ValueError> {
        let (Some(field), Some(values)) = (self.row_type.field(column), self.columns.get_mut(column)) else {
            return Err(ValueError::row(format!("there is no column {column}")));
        };
        crate::row::check_value(&field.data_type, &datum).map_err(|error| error.within(&field.name))?;
        self.bytes += values.append(datum);
        Ok(())
    }

    /// Ends a row of which each column has got its value.
    pub const fn end_row(&mut self) {
        self.rows += 1;
    }

    /// The number of rows.
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// About what the rows take, in bytes.
    pub const fn estimated_bytes(&self) -> usize {
        self.bytes
    }

    /// The rows as columns.
    ///
    /// # Errors
    ///
    /// More than 2 GiB in a column.
    pub fn finish(self) -> Result<RecordBatch, ValueError> {
        let fault = |error: arrow::error::ArrowError| ValueError::row(error.to_string());
        let columns = self
            .columns
            .into_iter()
            .map(Column::finish)
            .collect::<Result<_, _>>()
            .map_err(fault)?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(self.schema, columns, &options).map_err(fault)
    }
}

/// What a value of a variable size takes beside itself.
const OFFSET_BYTES: usize = size_of::<i32>();

/// The value in a datum of the wanted kind.
macro_rules! value {
    ($datum:expr, $kind:ident) => {
        if let Datum::$kind(value) = $datum {
            Some(value)
        } else {
            None
        }
    };
}

/// The values of one column.
#[derive(Debug)]
enum Column {
    Boolean(BooleanBuilder),
    TinyInt(PrimitiveBuilder<Int8Type>),
    SmallInt(PrimitiveBuilder<Int16Type>),
    Int(PrimitiveBuilder<Int32Type>),
    BigInt(PrimitiveBuilder<Int64Type>),
    Float(PrimitiveBuilder<Float32Type>),
    Double(PrimitiveBuilder<Float64Type>),
    String(StringBuilder),
    Bytes(BinaryBuilder),
    Binary(FixedSizeBinaryBuilder),
    Decimal(PrimitiveBuilder<Decimal128Type>, u8),
    Date(PrimitiveBuilder<Date32Type>),
    /// Seconds or milliseconds of the day, to be shown as the type.
    Time32(PrimitiveBuilder<Int32Type>, TimeUnit, ArrowType),
    /// Microseconds or nanoseconds of the day, to be shown as the type.
    Time64(PrimitiveBuilder<Int64Type>, TimeUnit, ArrowType),
    /// A count of units since the epoch, to be shown as the type.
    Timestamp(PrimitiveBuilder<Int64Type>, TimeUnit, ArrowType),
    List(Box<Column>, Offsets, FieldRef),
    Map(Box<[Column; 2]>, Offsets, FieldRef),
    Row(Vec<Column>, NullBufferBuilder, Fields),
}

/// Where the elements of each list end, and which lists are null.
#[derive(Debug)]
struct Offsets {
    ends: Vec<i32>,
    last: i32,
    nulls: NullBufferBuilder,
}

impl Offsets {
    fn new(capacity: usize) -> Self {
        Self {
            ends: vec![0],
            last: 0,
            nulls: NullBufferBuilder::new(capacity),
        }
    }

    fn append(&mut self, length: usize, valid: bool) {
        self.last = self
            .last
            .saturating_add(i32::try_from(length).unwrap_or(i32::MAX));
        self.ends.push(self.last);
        self.nulls.append(valid);
    }

    fn finish(mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        (
            OffsetBuffer::new(ScalarBuffer::from(self.ends)),
            self.nulls.finish(),
        )
    }
}

impl Column {
    fn new(data_type: &DataType, capacity: usize) -> Self {
        let arrow = arrow_type(data_type, false);
        match (data_type.kind(), arrow) {
            (Kind::Boolean, _) => Self::Boolean(BooleanBuilder::with_capacity(capacity)),
            (Kind::TinyInt, _) => Self::TinyInt(PrimitiveBuilder::with_capacity(capacity)),
            (Kind::SmallInt, _) => Self::SmallInt(PrimitiveBuilder::with_capacity(capacity)),
            (Kind::Int, _) => Self::Int(PrimitiveBuilder::with_capacity(capacity)),
            (Kind::BigInt, _) => Self::BigInt(PrimitiveBuilder::with_capacity(capacity)),
            (Kind::Float, _) => Self::Float(PrimitiveBuilder::with_capacity(capacity)),
            (Kind::Double, _) => Self::Double(PrimitiveBuilder::with_capacity(capacity)),
            (Kind::Char(_) | Kind::String, _) => Self::String(StringBuilder::with_capacity(capacity, 0)),
            (Kind::Bytes, _) => Self::Bytes(BinaryBuilder::with_capacity(capacity, 0)),
            (Kind::Binary(length), _) => Self::Binary(FixedSizeBinaryBuilder::new(
                i32::try_from(*length).unwrap_or(i32::MAX),
            )),
            (Kind::Decimal { scale, .. }, arrow) => Self::Decimal(
                PrimitiveBuilder::with_capacity(capacity).with_data_type(arrow),
                *scale,
            ),
            (Kind::Date, _) => Self::Date(PrimitiveBuilder::with_capacity(capacity)),
            (Kind::Time(precision), arrow @ ArrowType::Time32(_)) => {
                Self::Time32(PrimitiveBuilder::with_capacity(capacity), unit(*precision), arrow)
            }
            (Kind::Time(precision), arrow) => {
                Self::Time64(PrimitiveBuilder::with_capacity(capacity), unit(*precision), arrow)
            }
            (Kind::Timestamp(precision) | Kind::TimestampLtz(precision), arrow) => {
                Self::Timestamp(PrimitiveBuilder::with_capacity(capacity), unit(*precision), arrow)
            }
            (Kind::Array(element), arrow) => Self::List(
                Box::new(Self::new(element, 0)),
                Offsets::new(capacity),
                child_field(&arrow),
            ),
            (Kind::Map(key, value), arrow) => {
                let columns = Box::new([Self::new(key, 0), Self::new(value, 0)]);
                Self::Map(columns, Offsets::new(capacity), child_field(&arrow))
            }
            (Kind::Row(row), arrow) => {
                let columns = row
                    .fields()
                    .iter()
                    .map(|field| Self::new(&field.data_type, capacity))
                    .collect();
                let fields = if let ArrowType::Struct(fields) = arrow {
                    fields
                } else {
                    Fields::empty()
                };
                Self::Row(columns, NullBufferBuilder::new(capacity), fields)
            }
        }
    }

    /// Adds a value that has been checked, and returns about how many bytes it takes. What does not fit all the same
    /// becomes null, which the column then refuses if it must not be.
    fn append(&mut self, datum: Datum<'_>) -> usize {
        match self {
            Self::Boolean(builder) => {
                builder.append_option(value!(datum, Boolean));
                1
            }
            Self::TinyInt(builder) => number(builder, value!(datum, TinyInt)),
            Self::SmallInt(builder) => number(builder, value!(datum, SmallInt)),
            Self::Int(builder) => number(builder, value!(datum, Int)),
            Self::BigInt(builder) => number(builder, value!(datum, BigInt)),
            Self::Float(builder) => number(builder, value!(datum, Float)),
            Self::Double(builder) => number(builder, value!(datum, Double)),
            Self::Date(builder) => number(builder, value!(datum, Date)),
            Self::Decimal(builder, scale) => {
                let rescaled = value!(datum, Decimal).and_then(|decimal| decimal.rescale(*scale));
                number(builder, rescaled.map(Decimal::unscaled))
            }
            Self::Time32(builder, unit, _) => number(
                builder,
                time(&datum, *unit).and_then(|time| i32::try_from(time).ok()),
            ),
            Self::Time64(builder, unit, _) => number(builder, time(&datum, *unit)),
            Self::Timestamp(builder, unit, _) => number(builder, timestamp(&datum, *unit)),
            variable => OFFSET_BYTES + variable.append_variable(datum),
        }
    }

    /// As [`append`](Self::append), for types whose values differ in size.
    fn append_variable(&mut self, datum: Datum<'_>) -> usize {
        match (self, datum) {
            (Self::String(builder), datum) => {
                let text = value!(datum, String);
                builder.append_option(text.as_deref());
                text.map_or(0, |text| text.len())
            }
            (Self::Bytes(builder), datum) => {
                let bytes = value!(datum, Bytes);
                builder.append_option(bytes.as_deref());
                bytes.map_or(0, |bytes| bytes.len())
            }
            (Self::Binary(builder), datum) => {
                let bytes = value!(datum, Bytes).unwrap_or_default();
                if builder.append_value(&bytes).is_err() {
                    builder.append_null();
                }
                bytes.len()
            }
            (Self::List(child, offsets, _), Datum::Array(elements)) => {
                offsets.append(elements.len(), true);
                elements.into_iter().map(|element| child.append(element)).sum()
            }
            (Self::Map(children, offsets, _), Datum::Map(entries)) => {
                offsets.append(entries.len(), true);
                let [keys, values] = &mut **children;
                entries
                    .into_iter()
                    .map(|(key, value)| keys.append(key) + values.append(value))
                    .sum()
            }
            (Self::List(_, offsets, _) | Self::Map(_, offsets, _), _) => {
                offsets.append(0, false);
                0
            }
            (Self::Row(children, nulls, _), datum) => append_row(children, nulls, datum),
            _ => 0,
        }
    }

    fn finish(self) -> Result<ArrayRef, arrow::error::ArrowError> {
        let tagged = |array: &dyn arrow::array::Array, arrow: &ArrowType| {
            retag(array.to_data(), arrow).map(arrow::array::make_array)
        };
        Ok(match self {
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
            Self::TinyInt(mut builder) => Arc::new(builder.finish()),
            Self::SmallInt(mut builder) => Arc::new(builder.finish()),
            Self::Int(mut builder) => Arc::new(builder.finish()),
            Self::BigInt(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Double(mut builder) => Arc::new(builder.finish()),
            Self::String(mut builder) => Arc::new(builder.finish()),
            Self::Bytes(mut builder) => Arc::new(builder.finish()),
            Self::Binary(mut builder) => Arc::new(builder.finish()),
            Self::Decimal(mut builder, _) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Time32(mut builder, _, arrow) => tagged(&builder.finish(), &arrow)?,
            Self::Time64(mut builder, _, arrow) | Self::Timestamp(mut builder, _, arrow) => {
                tagged(&builder.finish(), &arrow)?
            }
            Self::List(child, offsets, field) => {
                let (offsets, nulls) = offsets.finish();
                Arc::new(ListArray::try_new(field, offsets, child.finish()?, nulls)?)
            }
            Self::Map(children, offsets, field) => {
                let (offsets, nulls) = offsets.finish();
                let [keys, values] = *children;
                let fields = if let ArrowType::Struct(fields) = field.data_type() {
                    fields.clone()
                } else {
                    Fields::empty()
                };
                let entries = StructArray::try_new(fields, vec![keys.finish()?, values.finish()?], None)?;
                Arc::new(MapArray::try_new(field, offsets, entries, nulls, false)?)
            }
            Self::Row(children, mut nulls, fields) => {
                let length = nulls.len();
                let children = children
                    .into_iter()
                    .map(Self::finish)
                    .collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(
                    fields,
                    children,
                    nulls.finish(),
                    length,
                )?)
            }
        })
    }
}

fn number<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>, value: Option<T::Native>) -> usize {
    builder.append_option(value);
    size_of::<T::Native>()
}

/// Under a null row its fields are null too, as far as they can be.
fn append_row(children: &mut [Column], nulls: &mut NullBufferBuilder, datum: Datum<'_>) -> usize {
    let fields = if let Datum::Row(fields) = datum {
        Some(fields)
    } else {
        None
    };
    nulls.append(fields.is_some());
    let mut fields = fields.unwrap_or_default().into_iter();
    children
        .iter_mut()
        .map(|child| child.append(fields.next().unwrap_or(Datum::Null)))
        .sum()
}

fn child_field(arrow: &ArrowType) -> FieldRef {
    match arrow {
        ArrowType::List(field) | ArrowType::Map(field, _) => field.clone(),
        _ => Arc::new(arrow::datatypes::Field::new("element", ArrowType::Null, true)),
    }
}

fn time(datum: &Datum<'_>, unit: TimeUnit) -> Option<i64> {
    let Datum::Time(millis) = datum else { return None };
    let millis = i64::from(*millis);
    Some(match unit {
        TimeUnit::Second => millis / 1_000,
        TimeUnit::Millisecond => millis,
        TimeUnit::Microsecond => millis * 1_000,
        TimeUnit::Nanosecond => millis * 1_000_000,
    })
}

fn timestamp(datum: &Datum<'_>, unit: TimeUnit) -> Option<i64> {
    let (Datum::Timestamp(moment) | Datum::TimestampLtz(moment)) = datum else {
        return None;
    };
    match unit {
        TimeUnit::Second => Some(moment.millis().div_euclid(1_000)),
        TimeUnit::Millisecond => Some(moment.millis()),
        TimeUnit::Microsecond => Timestamp::micros(*moment),
        TimeUnit::Nanosecond => Timestamp::nanos(*moment),
    }
}

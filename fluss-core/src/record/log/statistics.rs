//! What a batch tells of its columns, so that it can be left out where a condition cannot hold (`v1_0.md` §7).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray,
    downcast_primitive_array,
};
use arrow::compute;
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type};

use crate::arrow::ArrowRows;
use crate::error::{DecodeError, ValueError};
use crate::record::Take;
use crate::row::RowFormat;
use crate::types::{DataType, Datum, Kind, RowType, did_you_mean};

/// The only version of the section.
const VERSION: u8 = 1;
/// What stands for all columns that can have statistics.
const ALL: &str = "*";

/// What a batch tells of its columns.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Statistics {
    columns: Vec<(usize, ColumnStatistics)>,
}

/// What a batch tells of one column.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnStatistics {
    /// The number of nulls; absent where it was not counted.
    pub nulls: Option<usize>,
    /// The least and the greatest value; absent without values.
    pub range: Option<(Datum<'static>, Datum<'static>)>,
}

impl Statistics {
    /// Of columns at these positions.
    pub fn new(columns: impl IntoIterator<Item = (usize, ColumnStatistics)>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
        }
    }

    /// What [`LogBatch::statistics`](super::LogBatch::statistics) found, of the section as it is stored.
    pub(super) fn decode(section: &[u8], row_type: &RowType) -> Result<Option<Self>, DecodeError> {
        let mut take = Take::new("statistics", section);
        if take.rest.is_empty() {
            return Ok(None);
        }
        let [version] = take.array()?;
        let count = i16::from_le_bytes(take.array()?);
        let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
            return Ok(None);
        };
        if version != VERSION {
            return Ok(None);
        }
        let columns = (0..count).map(|_| {
            let position = i16::from_le_bytes(take.array()?);
            let column = usize::try_from(position).ok();
            column
                .filter(|column| *column < row_type.len())
                .ok_or_else(|| DecodeError::new("statistics", format!("there is no column {position}")))
        });
        let columns: Vec<usize> = columns.collect::<Result<_, _>>()?;
        let nulls = (0..count).map(|_| Ok(i32::from_le_bytes(take.array()?)));
        let nulls: Vec<i32> = nulls.collect::<Result<_, DecodeError>>()?;
        let row_type = nullable(row_type, &columns);
        let mut row = || {
            let length = take.count()?;
            let values = RowFormat::Aligned.decode(&row_type, take.bytes(length)?)?;
            Ok(values.into_iter().map(Datum::into_owned).collect())
        };
        let (least, greatest): (Vec<_>, Vec<_>) = (row()?, row()?);
        let ranges = least.into_iter().zip(greatest);
        let columns = columns.into_iter().zip(nulls).zip(ranges);
        let column =
            |((column, nulls), (least, greatest)): ((usize, i32), (Datum<'static>, Datum<'static>))| {
                let statistics = ColumnStatistics {
                    nulls: usize::try_from(nulls).ok(),
                    range: (!least.is_null() && !greatest.is_null()).then_some((least, greatest)),
                };
                (column, statistics)
            };
        Ok(Some(Self::new(columns.map(column))))
    }

    /// What is told of the column at a position.
    pub fn column(&self, position: usize) -> Option<&ColumnStatistics> {
        let found = self.columns.iter().find(|(column, _)| *column == position);
        found.map(|(_, statistics)| statistics)
    }
}

/// The columns of a table of which its batches tell: `table.statistics.columns` (`v1_0.md` §7.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatisticsColumns {
    positions: Vec<usize>,
    row_type: RowType,
}

impl StatisticsColumns {
    /// Reads the property: `*` for all columns that can have statistics, or names with commas between them.
    ///
    /// # Errors
    ///
    /// No name; a column that there is not, or of a type that has no statistics.
    pub fn parse(text: &str, row_type: &RowType) -> Result<Self, ValueError> {
        let mut positions = Vec::new();
        if text.trim() == ALL {
            let fields = row_type.fields().iter().enumerate();
            let supported = fields.filter(|(_, field)| has_statistics(&field.data_type));
            positions.extend(supported.map(|(position, _)| position));
        } else {
            for name in text.split(',').map(str::trim) {
                let position = row_type.index_of(name);
                let found = position.and_then(|position| Some((position, row_type.field(position)?)));
                let (position, field) = found.ok_or_else(|| {
                    let near = did_you_mean(name, row_type.names());
                    ValueError::column(name, format!("there is no such column{near}"))
                })?;
                if !has_statistics(&field.data_type) {
                    let reason = format!("a column of type {} has no statistics", field.data_type);
                    return Err(ValueError::column(name, reason));
                }
                if !positions.contains(&position) {
                    positions.push(position);
                }
            }
        }
        let row_type = nullable(row_type, &positions);
        Ok(Self { positions, row_type })
    }

    /// Whether there is no such column.
    pub const fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Appends what a batch tells of the columns.
    ///
    /// # Errors
    ///
    /// A batch of another type, or too many columns. `out` may then have some of it.
    pub(super) fn collect(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let fault = |error: arrow::error::ArrowError| ValueError::row(error.to_string());
        let batch = batch.project(&self.positions).map_err(fault)?;
        let too_many = |_| ValueError::row("too many columns with statistics");
        out.push(VERSION);
        out.extend_from_slice(
            &i16::try_from(self.positions.len())
                .map_err(too_many)?
                .to_le_bytes(),
        );
        for position in &self.positions {
            out.extend_from_slice(&i16::try_from(*position).map_err(too_many)?.to_le_bytes());
        }
        for column in batch.columns() {
            out.extend_from_slice(&(column.null_count() as i32).to_le_bytes());
        }
        let schema = crate::arrow::arrow_schema(&self.row_type);
        let ends = batch.columns().iter().map(range).collect();
        let ends = RecordBatch::try_new(schema, ends).map_err(fault)?;
        let ends =
            ArrowRows::new(ends, &self.row_type).map_err(|error| ValueError::row(error.to_string()))?;
        for row in 0..ends.len() {
            let start = out.len();
            out.extend_from_slice(&[0; size_of::<i32>()]);
            RowFormat::Aligned.encode(&self.row_type, &ends.row(row), out)?;
            let length = (out.len() - start - size_of::<i32>()) as i32;
            crate::record::unsealed::patch(out, start, &length.to_le_bytes());
        }
        Ok(())
    }
}

/// Checks that a section is of the known version, and as long as its parts say.
pub(super) fn check_whole(section: &[u8]) -> Result<(), DecodeError> {
    if section.is_empty() {
        return Ok(());
    }
    let mut take = Take::new("statistics", section);
    let [version] = take.array()?;
    let columns = usize::try_from(i16::from_le_bytes(take.array()?)).unwrap_or_default();
    // A position and a count of nulls for each.
    take.bytes((size_of::<i16>() + size_of::<i32>()) * columns)?;
    for _ in 0..2 {
        let length = take.count()?;
        take.bytes(length)?;
    }
    if version == VERSION && columns > 0 && take.rest.is_empty() {
        return Ok(());
    }
    Err(DecodeError::new("statistics", "its parts contradict each other"))
}

/// Whether columns of a type can have statistics.
const fn has_statistics(data_type: &DataType) -> bool {
    match data_type.kind() {
        Kind::Boolean
        | Kind::TinyInt
        | Kind::SmallInt
        | Kind::Int
        | Kind::BigInt
        | Kind::Float
        | Kind::Double
        | Kind::Char(_)
        | Kind::String
        | Kind::Decimal { .. }
        | Kind::Date
        | Kind::Time(_)
        | Kind::Timestamp(_)
        | Kind::TimestampLtz(_) => true,
        Kind::Binary(_) | Kind::Bytes | Kind::Array(_) | Kind::Map(..) | Kind::Row(_) => false,
    }
}

/// Some columns of a type, all of which take nulls.
fn nullable(row_type: &RowType, columns: &[usize]) -> RowType {
    row_type.project(columns).nullable()
}

/// The least and the greatest value of a column: nulls if there is none. One zero is below the other, and NaN above all.
fn range(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        ArrowType::Boolean => {
            let column = column.as_boolean();
            Arc::new(BooleanArray::from(vec![
                compute::min_boolean(column),
                compute::max_boolean(column),
            ]))
        }
        ArrowType::Utf8 => {
            let column = column.as_string::<i32>();
            Arc::new(StringArray::from(vec![
                compute::min_string(column),
                compute::max_string(column),
            ]))
        }
        ArrowType::Float32 => {
            let one_nan = |number: f32| if number.is_nan() { f32::NAN } else { number };
            ends::<Float32Type>(&column.as_primitive::<Float32Type>().unary(one_nan))
        }
        ArrowType::Float64 => {
            let one_nan = |number: f64| if number.is_nan() { f64::NAN } else { number };
            ends::<Float64Type>(&column.as_primitive::<Float64Type>().unary(one_nan))
        }
        _ => downcast_primitive_array!(
            column => ends(column),
            _ => arrow::array::new_null_array(column.data_type(), 2),
        ),
    }
}

fn ends<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>) -> ArrayRef {
    let ends = PrimitiveArray::<T>::from_iter([compute::min(column), compute::max(column)]);
    Arc::new(ends.with_data_type(column.data_type().clone()))
}

//! From columns to rows.

use std::fmt;

use arrow::record_batch::RecordBatch;

use super::column::Column;
use super::value::{Cell, ColumnValue};
use crate::error::ValueError;
use crate::types::{Datum, Row, RowType};

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

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;

    use super::super::{ColumnsBuilder, user_schema, with_schema};
    use super::*;
    use crate::types::{DataType, Decimal, Kind, Timestamp};

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

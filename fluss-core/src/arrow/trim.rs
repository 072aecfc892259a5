//! CHAR values that have been filled up.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatchOptions, StringArray, StructArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::types::{DataType, Kind, RowType};

/// The same columns, of which CHAR values have no zeros at their end. Only what has any is copied.
///
/// # Errors
///
/// Columns of other types.
pub fn trim_chars(batch: &RecordBatch, row_type: &RowType) -> Result<RecordBatch, ArrowError> {
    let columns = trimmed(batch.columns(), row_type)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

fn trimmed(columns: &[ArrayRef], row_type: &RowType) -> Result<Vec<ArrayRef>, ArrowError> {
    let fields = columns.iter().zip(row_type.fields());
    fields
        .map(|(column, field)| trim(column, &field.data_type))
        .collect()
}

fn trim(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match (
        data_type.kind(),
        column.as_string_opt::<i32>(),
        column.as_struct_opt(),
    ) {
        (Kind::Char(_), Some(texts), _) if texts.iter().flatten().any(|text| text.ends_with('\0')) => {
            let texts = texts
                .iter()
                .map(|text| text.map(|text| text.trim_end_matches('\0')));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        (Kind::Row(row_type), _, Some(rows)) => {
            let fields = trimmed(rows.columns(), row_type)?;
            let nulls = rows.nulls().cloned();
            let rows = StructArray::try_new_with_length(rows.fields().clone(), fields, nulls, rows.len());
            Ok(Arc::new(rows?))
        }
        _ => Ok(column.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_of_chars_are_taken_off_and_no_others() {
        let Kind::Row(row_type) = "ROW<c CHAR(3),s STRING,r ROW<c CHAR(2)>>"
            .parse::<DataType>()
            .unwrap()
            .kind()
            .clone()
        else {
            panic!("a row")
        };
        let padded: ArrayRef = Arc::new(StringArray::from(vec![Some("a\0\0"), None, Some("\0b\0")]));
        let fields = vec![arrow::datatypes::Field::new(
            "c",
            padded.data_type().clone(),
            true,
        )];
        let row: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![padded.clone()], None));
        let columns = [
            ("c", padded.clone(), true),
            ("s", padded.clone(), true),
            ("r", row, true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let trimmed = trim_chars(&batch, &row_type).unwrap();
        let wanted = StringArray::from(vec![Some("a"), None, Some("\0b")]);
        assert_eq!(trimmed.column(0).as_ref(), &wanted);
        assert_eq!(trimmed.column(1), &padded);
        assert_eq!(trimmed.column(2).as_struct().column(0).as_ref(), &wanted);
    }
}

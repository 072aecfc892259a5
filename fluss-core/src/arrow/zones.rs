//! Times without a zone that are meant in UTC.

use arrow::array::{RecordBatchOptions, make_array};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, FieldRef, Schema as ArrowSchema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::schema::{UTC, retag};
use crate::types::{DataType, Kind, RowType};

/// The same columns, with the timestamps that have no zone in UTC where the table has a `TIMESTAMP_LTZ`. No buffer is copied.
///
/// For programs that take every time without a zone for UTC: [`conform`](super::conform()) refuses them there.
///
/// # Errors
///
/// Columns that are not what their types say.
pub fn assume_utc(batch: &RecordBatch, row_type: &RowType) -> Result<RecordBatch, ArrowError> {
    let source = batch.schema();
    let fields = source.fields().iter().map(|field| named(field, row_type));
    let schema = ArrowSchema::new_with_metadata(fields.collect::<Vec<_>>(), source.metadata().clone());
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(column.clone());
        }
        retag(column.to_data(), field.data_type()).map(make_array)
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new_with_options(schema.into(), columns, &options)
}

/// The field as it is, or as that of the same name in a table.
fn named(field: &FieldRef, row_type: &RowType) -> FieldRef {
    let wanted = row_type
        .index_of(field.name())
        .and_then(|index| row_type.field(index));
    wanted.map_or_else(|| field.clone(), |wanted| with_zones(field, &wanted.data_type))
}

fn with_zones(field: &FieldRef, wanted: &DataType) -> FieldRef {
    let zoned = zoned(field.data_type(), wanted);
    ArrowField::clone(field).with_data_type(zoned).into()
}

fn zoned(given: &ArrowType, wanted: &DataType) -> ArrowType {
    match (given, wanted.kind()) {
        (ArrowType::Timestamp(unit, None), Kind::TimestampLtz(_)) => {
            ArrowType::Timestamp(*unit, Some(UTC.into()))
        }
        (ArrowType::List(child), Kind::Array(element)) => ArrowType::List(with_zones(child, element)),
        (ArrowType::LargeList(child), Kind::Array(element)) => {
            ArrowType::LargeList(with_zones(child, element))
        }
        (ArrowType::FixedSizeList(child, width), Kind::Array(element)) => {
            ArrowType::FixedSizeList(with_zones(child, element), *width)
        }
        (ArrowType::ListView(child), Kind::Array(element)) => ArrowType::ListView(with_zones(child, element)),
        (ArrowType::LargeListView(child), Kind::Array(element)) => {
            ArrowType::LargeListView(with_zones(child, element))
        }
        (ArrowType::Struct(fields), Kind::Row(row)) => {
            ArrowType::Struct(fields.iter().map(|field| named(field, row)).collect())
        }
        (ArrowType::Map(entries, sorted), Kind::Map(key, value)) => {
            let ArrowType::Struct(fields) = entries.data_type() else {
                return given.clone();
            };
            let parts = fields.iter().zip([key, value]);
            let fields = parts.map(|(field, wanted)| with_zones(field, wanted)).collect();
            let entries = ArrowField::clone(entries).with_data_type(ArrowType::Struct(fields));
            ArrowType::Map(entries.into(), *sorted)
        }
        (ArrowType::Dictionary(key, value), _) => {
            ArrowType::Dictionary(key.clone(), zoned(value, wanted).into())
        }
        _ => given.clone(),
    }
}

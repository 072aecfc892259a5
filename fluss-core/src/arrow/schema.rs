use std::sync::Arc;

use arrow::array::{ArrayData, RecordBatchOptions, make_array};
use arrow::datatypes::{
    DataType as ArrowType, Field as ArrowField, Fields, Schema as ArrowSchema, SchemaRef, TimeUnit,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::types::{DataType, Field, InvalidDefinition, Kind, RowType};

/// The zone in which instants are shown.
pub(super) const UTC: &str = "UTC";

/// The schema of batches on the wire (`records.md` §1.7).
pub fn arrow_schema(row_type: &RowType) -> SchemaRef {
    Arc::new(ArrowSchema::new(fields(row_type, false)))
}

/// The schema of batches as scanners show them: as on the wire, but `TIMESTAMP_LTZ` columns are in UTC.
pub fn user_schema(row_type: &RowType) -> SchemaRef {
    Arc::new(ArrowSchema::new(fields(row_type, true)))
}

fn fields(row_type: &RowType, zones: bool) -> Fields {
    let field = |field: &Field| arrow_field(&field.name, &field.data_type, zones);
    row_type.fields().iter().map(field).collect()
}

fn arrow_field(name: &str, data_type: &DataType, zones: bool) -> ArrowField {
    ArrowField::new(name, arrow_type(data_type, zones), data_type.is_nullable())
}

pub(super) fn arrow_type(data_type: &DataType, zones: bool) -> ArrowType {
    match data_type.kind() {
        Kind::Boolean => ArrowType::Boolean,
        Kind::TinyInt => ArrowType::Int8,
        Kind::SmallInt => ArrowType::Int16,
        Kind::Int => ArrowType::Int32,
        Kind::BigInt => ArrowType::Int64,
        Kind::Float => ArrowType::Float32,
        Kind::Double => ArrowType::Float64,
        Kind::Char(_) | Kind::String => ArrowType::Utf8,
        Kind::Binary(length) => ArrowType::FixedSizeBinary(i32::try_from(*length).unwrap_or(i32::MAX)),
        Kind::Bytes => ArrowType::Binary,
        Kind::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale as i8),
        Kind::Date => ArrowType::Date32,
        Kind::Time(precision) => match unit(*precision) {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => ArrowType::Time32(unit),
            unit => ArrowType::Time64(unit),
        },
        Kind::Timestamp(precision) => ArrowType::Timestamp(unit(*precision), None),
        Kind::TimestampLtz(precision) => ArrowType::Timestamp(unit(*precision), zones.then(|| UTC.into())),
        Kind::Array(element) => ArrowType::List(Arc::new(arrow_field("element", element, zones))),
        Kind::Map(key, value) => {
            let key = arrow_field("key", key, zones).with_nullable(false);
            let entries = ArrowType::Struct(Fields::from(vec![key, arrow_field("value", value, zones)]));
            ArrowType::Map(Arc::new(ArrowField::new("entries", entries, false)), false)
        }
        Kind::Row(row) => ArrowType::Struct(fields(row, zones)),
    }
}

/// The unit in which times of a precision are stored.
pub(super) const fn unit(precision: u8) -> TimeUnit {
    match precision {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// The row type of a table that holds batches of a schema.
///
/// # Errors
///
/// A type that tables do not have, such as an unsigned integer.
pub fn row_type(schema: &ArrowSchema) -> Result<RowType, InvalidDefinition> {
    schema
        .fields()
        .iter()
        .map(|field| table_field(field))
        .collect::<Result<Vec<_>, _>>()
        .map(RowType::new)
}

fn table_field(field: &ArrowField) -> Result<Field, InvalidDefinition> {
    let data_type = table_type(field.data_type())
        .map_err(|error| InvalidDefinition::new(format!("column '{}': {error}", field.name())))?;
    Ok(Field::new(
        field.name(),
        data_type.with_nullable(field.is_nullable()),
    ))
}

fn table_type(arrow: &ArrowType) -> Result<DataType, InvalidDefinition> {
    Ok(match arrow {
        ArrowType::Boolean => DataType::boolean(),
        ArrowType::Int8 => DataType::tiny_int(),
        ArrowType::Int16 => DataType::small_int(),
        ArrowType::Int32 => DataType::int(),
        ArrowType::Int64 => DataType::big_int(),
        ArrowType::Float32 => DataType::float(),
        ArrowType::Float64 => DataType::double(),
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::string(),
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => DataType::bytes(),
        ArrowType::FixedSizeBinary(length) => DataType::binary(u32::try_from(*length).unwrap_or(0))?,
        ArrowType::Decimal128(precision, scale) if *scale >= 0 => {
            DataType::decimal(*precision, *scale as u8)?
        }
        ArrowType::Date32 | ArrowType::Date64 => DataType::date(),
        ArrowType::Time32(unit) | ArrowType::Time64(unit) => DataType::time(precision(*unit))?,
        ArrowType::Timestamp(unit, None) => DataType::timestamp(precision(*unit))?,
        ArrowType::Timestamp(unit, Some(_)) => DataType::timestamp_ltz(precision(*unit))?,
        ArrowType::List(child) | ArrowType::LargeList(child) | ArrowType::FixedSizeList(child, _) => {
            DataType::array(table_field(child)?.data_type)
        }
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(fields) => match fields.iter().as_slice() {
                [key, value] => DataType::map(table_field(key)?.data_type, table_field(value)?.data_type),
                _ => return Err(unsupported(arrow)),
            },
            _ => return Err(unsupported(arrow)),
        },
        ArrowType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| table_field(field))
                .collect::<Result<Vec<_>, _>>()?;
            DataType::row(RowType::new(fields))
        }
        ArrowType::Dictionary(_, value) => table_type(value)?,
        other => return Err(unsupported(other)),
    })
}

fn unsupported(arrow: &ArrowType) -> InvalidDefinition {
    InvalidDefinition::new(format!("no table type holds Arrow's {arrow}"))
}

const fn precision(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// The same columns under a schema that differs from theirs only in names, zones and nullability. No buffer is copied.
///
/// # Errors
///
/// A schema that differs in more than that.
pub fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(column.clone());
            }
            retag(column.to_data(), field.data_type()).map(make_array)
        });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)
}

/// The same data under another type of the same layout.
pub(crate) fn retag(data: ArrayData, data_type: &ArrowType) -> Result<ArrayData, ArrowError> {
    let children: Vec<&ArrowType> = match data_type {
        ArrowType::List(child)
        | ArrowType::LargeList(child)
        | ArrowType::FixedSizeList(child, _)
        | ArrowType::ListView(child)
        | ArrowType::LargeListView(child)
        | ArrowType::Map(child, _) => vec![child.data_type()],
        ArrowType::Dictionary(_, value) => vec![value],
        ArrowType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        _ => Vec::new(),
    };
    let retagged = data
        .child_data()
        .iter()
        .zip(children)
        .map(|(child, wanted)| retag(child.clone(), wanted));
    let retagged = retagged.collect::<Result<Vec<_>, _>>()?;
    data.into_builder()
        .data_type(data_type.clone())
        .child_data(retagged)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_made_from_a_schema_has_that_schema() {
        let text = "ROW<a BIGINT NOT NULL,b CHAR(3),c BINARY(4),d DECIMAL(10,2),e TIME(9),f TIMESTAMP_LTZ(6),\
                    g ARRAY<ROW<x DATE>>,h MAP<STRING NOT NULL,DOUBLE>>";
        let row = text.parse::<DataType>().unwrap();
        let Kind::Row(row) = row.kind() else {
            panic!("{row}")
        };
        let schema = user_schema(row);
        assert_eq!(user_schema(&row_type(&schema).unwrap()), schema);
        assert_eq!(
            schema.field(5).data_type(),
            &ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        );
        assert_eq!(
            arrow_schema(row).field(5).data_type(),
            &ArrowType::Timestamp(TimeUnit::Microsecond, None)
        );
    }

    #[test]
    fn a_type_that_no_table_has_names_its_column() {
        let schema = ArrowSchema::new(vec![ArrowField::new("n", ArrowType::UInt32, true)]);
        assert_eq!(
            row_type(&schema).unwrap_err().to_string(),
            "column 'n': no table type holds Arrow's UInt32"
        );
    }
}

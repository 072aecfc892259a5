//! A user's batch, made to fit a table.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatchOptions, StructArray, make_array,
    new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Fields};
use arrow::record_batch::RecordBatch;

use super::schema::{arrow_schema, retag};
use crate::error::ValueError;
use crate::types::{DataType, Kind, RowType};

/// A batch with the columns of a table, in the table's order and the wire's types.
///
/// Columns are matched by name. Types that hold the same values are converted (`LargeUtf8`, dictionaries, narrower and
/// wider numbers, other units of time) as long as no value is lost; what has the wire's layout already is not copied.
///
/// # Errors
///
/// A missing, unknown or repeated column; a type that does not hold such values; a value that would be lost, with its
/// row; a null where the table takes none.
pub fn conform(batch: &RecordBatch, row_type: &RowType) -> Result<RecordBatch, ValueError> {
    let source = batch.schema();
    for (position, field) in source.fields().iter().enumerate() {
        if row_type.index_of(field.name()).is_none() {
            return Err(ValueError::column(field.name(), "the table has no such column"));
        }
        if source
            .fields()
            .iter()
            .take(position)
            .any(|earlier| earlier.name() == field.name())
        {
            return Err(ValueError::column(field.name(), "the batch has the column twice"));
        }
    }
    let schema = arrow_schema(row_type);
    let columns = row_type
        .fields()
        .iter()
        .zip(schema.fields())
        .map(|(field, wire)| {
            let column = batch
                .column_by_name(&field.name)
                .ok_or_else(|| ValueError::column(&field.name, "the batch has no such column"))?;
            fit(column, &field.data_type, wire.data_type()).map_err(|error| error.within(&field.name))
        });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|error| ValueError::row(error.to_string()))
}

fn fit(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Result<ArrayRef, ValueError> {
    if !data_type.is_nullable()
        && let Some(row) = (0..array.len()).find(|row| array.is_null(*row))
        && array.logical_null_count() > 0
    {
        return Err(ValueError::row(format!(
            "row {row} is null, the column is NOT NULL"
        )));
    }
    let fitted = match data_type.kind() {
        Kind::Array(element) => fit_list(array, element, wire)?,
        Kind::Map(key, value) => fit_map(array, key, value, wire)?,
        Kind::Row(row) => fit_row(array, row, wire)?,
        _ => fit_scalar(array, data_type, wire)?,
    };
    check_length(&fitted, data_type)?;
    Ok(fitted)
}

fn fit_scalar(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Result<ArrayRef, ValueError> {
    let given = array.data_type();
    if given == wire {
        return check_digits(array, data_type).map(|()| array.clone());
    }
    if *given == ArrowType::Null {
        return Ok(new_null_array(wire, array.len()));
    }
    if let ArrowType::Dictionary(_, value) = given {
        let plain = cast(array, value, data_type)?;
        return fit_scalar(&plain, data_type, wire);
    }
    if !same_family(given, wire) || zone_mismatch(given, data_type) {
        let hint = if zone_mismatch(given, data_type) {
            "; a time with a zone goes into TIMESTAMP_LTZ, one without into TIMESTAMP"
        } else {
            ""
        };
        return Err(ValueError::row(format!(
            "Arrow's {given} does not fit {data_type}{hint}"
        )));
    }
    // A zone does not change the instant that is stored.
    let array = without_zone(array)?;
    if array.data_type() == wire {
        return check_digits(&array, data_type).map(|()| array);
    }
    let fitted = cast(&array, wire, data_type)?;
    check_exact(&array, &fitted, data_type)?;
    check_digits(&fitted, data_type)?;
    Ok(fitted)
}

/// Whether values of one type can be values of the other.
fn same_family(given: &ArrowType, wire: &ArrowType) -> bool {
    let text = |t: &ArrowType| matches!(t, ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View);
    let bytes = |t: &ArrowType| {
        matches!(
            t,
            ArrowType::Binary
                | ArrowType::LargeBinary
                | ArrowType::BinaryView
                | ArrowType::FixedSizeBinary(_)
        )
    };
    let decimal = |t: &ArrowType| {
        matches!(
            t,
            ArrowType::Decimal32(..)
                | ArrowType::Decimal64(..)
                | ArrowType::Decimal128(..)
                | ArrowType::Decimal256(..)
        )
    };
    let date = |t: &ArrowType| matches!(t, ArrowType::Date32 | ArrowType::Date64);
    let time = |t: &ArrowType| matches!(t, ArrowType::Time32(_) | ArrowType::Time64(_));
    let moment = |t: &ArrowType| matches!(t, ArrowType::Timestamp(..));
    let families: [&dyn Fn(&ArrowType) -> bool; 8] = [
        &text,
        &bytes,
        &decimal,
        &date,
        &time,
        &moment,
        &ArrowType::is_integer,
        &ArrowType::is_floating,
    ];
    families.iter().any(|family| family(given) && family(wire))
}

fn zone_mismatch(given: &ArrowType, data_type: &DataType) -> bool {
    match (given, data_type.kind()) {
        (ArrowType::Timestamp(_, zone), Kind::Timestamp(_)) => zone.is_some(),
        (ArrowType::Timestamp(_, zone), Kind::TimestampLtz(_)) => zone.is_none(),
        _ => false,
    }
}

fn without_zone(array: &ArrayRef) -> Result<ArrayRef, ValueError> {
    match array.data_type() {
        ArrowType::Timestamp(unit, Some(_)) => retag(array.to_data(), &ArrowType::Timestamp(*unit, None))
            .map(make_array)
            .map_err(|error| ValueError::row(error.to_string())),
        _ => Ok(array.clone()),
    }
}

/// The values as another type. One that does not fit is an error that names its row.
fn cast(array: &ArrayRef, wire: &ArrowType, data_type: &DataType) -> Result<ArrayRef, ValueError> {
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let mismatch = |_| ValueError::row(format!("Arrow's {} does not fit {data_type}", array.data_type()));
    let converted = cast_with_options(array, wire, &options).map_err(mismatch)?;
    let lost = (0..array.len()).find(|row| converted.is_null(*row) && array.is_valid(*row));
    match lost.filter(|_| converted.null_count() > array.null_count()) {
        Some(row) => Err(ValueError::row(format!("row {row} does not fit {data_type}"))),
        None => Ok(converted),
    }
}

/// Compares what was converted with what it was converted from.
fn check_exact(given: &ArrayRef, fitted: &ArrayRef, data_type: &DataType) -> Result<(), ValueError> {
    let back = cast(fitted, given.data_type(), data_type)?;
    if back.to_data() == given.to_data() {
        return Ok(());
    }
    let differs = |row: &usize| back.slice(*row, 1).to_data() != given.slice(*row, 1).to_data();
    // A NaN differs from itself, and is none the less exact.
    let nan = |row: &usize| given.data_type().is_floating() && is_nan(given, *row);
    match (0..given.len()).find(|row| differs(row) && !nan(row)) {
        Some(row) => Err(ValueError::row(format!(
            "row {row} has more digits than {data_type}"
        ))),
        None => Ok(()),
    }
}

fn is_nan(array: &ArrayRef, row: usize) -> bool {
    array.is_valid(row)
        && arrow::compute::cast(&array.slice(row, 1), &ArrowType::Float64).is_ok_and(|value| {
            value
                .as_primitive::<arrow::datatypes::Float64Type>()
                .value(0)
                .is_nan()
        })
}

/// Digits of the second that the column does not have: its unit may have more than its precision.
fn check_digits(array: &ArrayRef, data_type: &DataType) -> Result<(), ValueError> {
    let (precision, held) = match (data_type.kind(), array.data_type()) {
        (Kind::Timestamp(precision) | Kind::TimestampLtz(precision), ArrowType::Timestamp(unit, _)) => {
            (*precision, digits(*unit))
        }
        (Kind::Time(precision), ArrowType::Time32(unit) | ArrowType::Time64(unit)) => {
            ((*precision).min(3), digits(*unit))
        }
        (Kind::Decimal { precision, .. }, ArrowType::Decimal128(..)) => {
            return check_decimal(array, *precision, data_type);
        }
        _ => return Ok(()),
    };
    if precision >= held {
        return Ok(());
    }
    let step = 10_i64.pow(u32::from(held - precision));
    let numbers =
        arrow::compute::cast(array, &ArrowType::Int64).map_err(|error| ValueError::row(error.to_string()))?;
    let numbers = numbers.as_primitive::<arrow::datatypes::Int64Type>();
    match (0..numbers.len()).find(|row| numbers.is_valid(*row) && numbers.value(*row) % step != 0) {
        Some(row) => Err(ValueError::row(format!(
            "row {row} has more digits than {data_type}"
        ))),
        None => Ok(()),
    }
}

const fn digits(unit: arrow::datatypes::TimeUnit) -> u8 {
    match unit {
        arrow::datatypes::TimeUnit::Second => 0,
        arrow::datatypes::TimeUnit::Millisecond => 3,
        arrow::datatypes::TimeUnit::Microsecond => 6,
        arrow::datatypes::TimeUnit::Nanosecond => 9,
    }
}

fn check_decimal(array: &ArrayRef, precision: u8, data_type: &DataType) -> Result<(), ValueError> {
    let values = array.as_primitive::<arrow::datatypes::Decimal128Type>();
    let fits = |row: usize| crate::types::Decimal::new(values.value(row), 0).fits(precision);
    match (0..values.len()).find(|row| values.is_valid(*row) && !fits(*row)) {
        Some(row) => Err(ValueError::row(format!("row {row} does not fit {data_type}"))),
        None => Ok(()),
    }
}

/// The length of CHAR, in characters.
fn check_length(array: &ArrayRef, data_type: &DataType) -> Result<(), ValueError> {
    let (Kind::Char(length), Some(texts)) = (data_type.kind(), array.as_string_opt::<i32>()) else {
        return Ok(());
    };
    let too_long = |row: &usize| texts.is_valid(*row) && texts.value(*row).chars().count() > *length as usize;
    match (0..texts.len()).find(too_long) {
        Some(row) => Err(ValueError::row(format!("row {row} is longer than {data_type}"))),
        None => Ok(()),
    }
}

fn fit_list(array: &ArrayRef, element: &DataType, wire: &ArrowType) -> Result<ArrayRef, ValueError> {
    let given = array.data_type();
    let list = match given {
        ArrowType::List(_) => array.clone(),
        ArrowType::LargeList(child) | ArrowType::FixedSizeList(child, _) => {
            arrow::compute::cast(array, &ArrowType::List(child.clone()))
                .map_err(|error| ValueError::row(error.to_string()))?
        }
        ArrowType::Null => return Ok(new_null_array(wire, array.len())),
        other => return Err(ValueError::row(format!("Arrow's {other} does not fit ARRAY"))),
    };
    let list = list.as_list::<i32>();
    let field = child(wire);
    let values = fit(list.values(), element, field.data_type()).map_err(|error| error.within("[]"))?;
    let fitted = ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned());
    fitted
        .map(|list| Arc::new(list) as ArrayRef)
        .map_err(|error| ValueError::row(error.to_string()))
}

fn fit_map(
    array: &ArrayRef,
    key: &DataType,
    value: &DataType,
    wire: &ArrowType,
) -> Result<ArrayRef, ValueError> {
    if *array.data_type() == ArrowType::Null {
        return Ok(new_null_array(wire, array.len()));
    }
    let map = array
        .as_map_opt()
        .ok_or_else(|| ValueError::row(format!("Arrow's {} does not fit MAP", array.data_type())))?;
    let field = child(wire);
    let fields = struct_fields(field.data_type());
    let wire_of = |index: usize| {
        fields
            .get(index)
            .map_or(ArrowType::Null, |field| field.data_type().clone())
    };
    let keys = fit(map.keys(), key, &wire_of(0)).map_err(|error| error.within("key"))?;
    let values = fit(map.values(), value, &wire_of(1)).map_err(|error| error.within("value"))?;
    let entries = StructArray::try_new(fields, vec![keys, values], None);
    entries
        .and_then(|entries| {
            MapArray::try_new(field, map.offsets().clone(), entries, map.nulls().cloned(), false)
        })
        .map(|map| Arc::new(map) as ArrayRef)
        .map_err(|error| ValueError::row(error.to_string()))
}

fn fit_row(array: &ArrayRef, row: &RowType, wire: &ArrowType) -> Result<ArrayRef, ValueError> {
    if *array.data_type() == ArrowType::Null {
        return Ok(new_null_array(wire, array.len()));
    }
    let given = array
        .as_struct_opt()
        .ok_or_else(|| ValueError::row(format!("Arrow's {} does not fit ROW", array.data_type())))?;
    if let Some(unknown) = given
        .fields()
        .iter()
        .find(|field| row.index_of(field.name()).is_none())
    {
        return Err(ValueError::column(unknown.name(), "the row has no such field"));
    }
    let fields = struct_fields(wire);
    let columns = row.fields().iter().zip(&fields).map(|(field, wire)| {
        let missing = || ValueError::column(&field.name, "the field is missing");
        let column = given.column_by_name(&field.name).ok_or_else(missing)?;
        // Under a null row its fields may be null, whatever their type says.
        let checked = if given.null_count() > 0 {
            field.data_type.clone().with_nullable(true)
        } else {
            field.data_type.clone()
        };
        fit(column, &checked, wire.data_type()).map_err(|error| error.within(&field.name))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let fitted = StructArray::try_new_with_length(fields, columns, given.nulls().cloned(), given.len());
    fitted
        .map(|row| Arc::new(row) as ArrayRef)
        .map_err(|error| ValueError::row(error.to_string()))
}

fn child(wire: &ArrowType) -> FieldRef {
    match wire {
        ArrowType::List(field) | ArrowType::Map(field, _) => field.clone(),
        _ => Arc::new(arrow::datatypes::Field::new("element", ArrowType::Null, true)),
    }
}

fn struct_fields(wire: &ArrowType) -> Fields {
    if let ArrowType::Struct(fields) = wire {
        fields.clone()
    } else {
        Fields::empty()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Int32Array, Int64Array, LargeStringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    };

    use super::*;

    fn row_type(text: &str) -> RowType {
        match text.parse::<DataType>().unwrap().kind() {
            Kind::Row(row) => row.clone(),
            other => panic!("{other}"),
        }
    }

    fn one(name: &str, column: impl Array + 'static) -> RecordBatch {
        let column: ArrayRef = Arc::new(column);
        RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()
    }

    fn refusal(batch: &RecordBatch, table: &str) -> String {
        conform(batch, &row_type(table)).unwrap_err().to_string()
    }

    #[test]
    fn columns_are_matched_by_name_and_converted_without_loss() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let names: ArrayRef = Arc::new(LargeStringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_from_iter([("name", names), ("id", ids)]).unwrap();
        let fitted = conform(&batch, &row_type("ROW<id INT NOT NULL,name STRING>")).unwrap();
        assert_eq!(fitted.column(0).as_ref(), &Int32Array::from(vec![1, 2]));
        assert_eq!(fitted.column(1).as_string::<i32>().value(1), "b");
    }

    #[test]
    fn what_would_be_lost_is_refused_with_its_row() {
        let wide = one("n", Int64Array::from(vec![1, i64::from(i32::MAX) + 1]));
        assert_eq!(refusal(&wide, "ROW<n INT>"), "column 'n': row 1 does not fit INT");
        let fine = one("t", TimestampNanosecondArray::from(vec![1_000, 1_001]));
        assert_eq!(
            refusal(&fine, "ROW<t TIMESTAMP(6)>"),
            "column 't': row 1 has more digits than TIMESTAMP(6)"
        );
        let micros = one("t", TimestampMicrosecondArray::from(vec![100, 110]));
        assert_eq!(
            refusal(&micros, "ROW<t TIMESTAMP(4)>"),
            "column 't': row 1 has more digits than TIMESTAMP(4)"
        );
        let nulls = one("n", Int64Array::from(vec![Some(1), None]));
        assert_eq!(
            refusal(&nulls, "ROW<n BIGINT NOT NULL>"),
            "column 'n': row 1 is null, the column is NOT NULL"
        );
    }

    #[test]
    fn missing_and_unknown_columns_are_named() {
        let batch = one("a", Int64Array::from(vec![1]));
        assert_eq!(
            refusal(&batch, "ROW<a BIGINT,b INT>"),
            "column 'b': the batch has no such column"
        );
        assert_eq!(
            refusal(&batch, "ROW<b BIGINT>"),
            "column 'a': the table has no such column"
        );
        assert!(
            refusal(&batch, "ROW<a STRING>").starts_with("column 'a': Arrow's Int64 does not fit STRING")
        );
    }

    #[test]
    fn zones_decide_which_time_is_meant() {
        let zoned = one(
            "t",
            TimestampMicrosecondArray::from(vec![7]).with_timezone("+02:00"),
        );
        let fitted = conform(&zoned, &row_type("ROW<t TIMESTAMP_LTZ(6)>")).unwrap();
        assert_eq!(
            fitted.column(0).as_ref(),
            &TimestampMicrosecondArray::from(vec![7])
        );
        assert!(refusal(&zoned, "ROW<t TIMESTAMP(6)>").contains("TIMESTAMP_LTZ"));
    }
}

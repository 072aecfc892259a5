//! Columns as whoever takes them asks for them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, LargeListArray, ListArray, MapArray, RecordBatchOptions,
    StructArray, make_array,
};
use arrow::compute::can_cast_types;
use arrow::datatypes::{
    DataType as ArrowType, Field as ArrowField, Fields, Schema as ArrowSchema, SchemaRef,
};
use arrow::record_batch::RecordBatch;

use super::conform::{Misfit, check_exact, converted, is_text};
use super::schema::retag;
use crate::error::ValueError;

/// Checks that a schema asks for columns that there are.
///
/// # Errors
///
/// The first column that there is not, or that is asked for twice.
pub fn check_recast(schema: &ArrowSchema, wanted: &ArrowSchema) -> Result<(), ValueError> {
    check_fields(schema.fields(), wanted.fields()).map_err(ValueError::from)
}

/// The columns that another schema asks for by their names, in its order and as its types.
///
/// # Errors
///
/// A column that there is not, or that is asked for twice; a type that does not hold such values; a value that would be
/// lost, or a null where none is wanted, with its row.
pub fn recast(batch: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch, ValueError> {
    let schema = batch.schema();
    let columns = by_name(schema.fields(), batch.columns(), wanted.fields())?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(wanted.clone(), columns, &options)
        .map_err(|error| ValueError::row(error.to_string()))
}

fn check_fields(given: &Fields, wanted: &Fields) -> Result<(), Misfit> {
    for (position, field) in wanted.iter().enumerate() {
        let name = field.name();
        let fault = |reason: String| Err(Misfit::column(reason).within(name));
        if wanted.iter().take(position).any(|earlier| earlier.name() == name) {
            return fault("it is asked for twice".to_owned());
        }
        if given.find(name).is_none() {
            let names: Vec<&str> = given.iter().map(|field| field.name().as_str()).collect();
            return fault(format!("there is no such column among {}", names.join(", ")));
        }
    }
    Ok(())
}

/// The columns of these fields that others ask for.
fn by_name(given: &Fields, columns: &[ArrayRef], wanted: &Fields) -> Result<Vec<ArrayRef>, Misfit> {
    check_fields(given, wanted)?;
    let column = |field: &Arc<ArrowField>| {
        let place = given.find(field.name()).map(|(place, _)| place);
        let column = place.and_then(|place| columns.get(place));
        let column = column.ok_or_else(|| Misfit::column("the column is missing").within(field.name()))?;
        as_field(column, field).map_err(|misfit| misfit.within(field.name()))
    };
    wanted.iter().map(column).collect()
}

fn as_field(array: &ArrayRef, field: &ArrowField) -> Result<ArrayRef, Misfit> {
    if !field.is_nullable()
        && array.logical_null_count() > 0
        && let Some(row) = array
            .logical_nulls()
            .and_then(|nulls| nulls.iter().position(|valid| !valid))
    {
        return Err(Misfit::at(row, "is null, where no null is asked for"));
    }
    as_type(array, field.data_type())
}

fn as_type(array: &ArrayRef, wanted: &ArrowType) -> Result<ArrayRef, Misfit> {
    let given = array.data_type();
    match (given, wanted) {
        _ if given == wanted => Ok(array.clone()),
        (ArrowType::Struct(fields), ArrowType::Struct(asked)) => {
            let row = array.as_struct();
            let columns = by_name(fields, row.columns(), asked)?;
            let nulls = row.nulls().cloned();
            let fitted = StructArray::try_new_with_length(asked.clone(), columns, nulls, row.len());
            fitted.map(|row| Arc::new(row) as ArrayRef).map_err(Misfit::arrow)
        }
        (
            ArrowType::List(_),
            ArrowType::List(child) | ArrowType::LargeList(child) | ArrowType::FixedSizeList(child, _),
        ) => {
            let list = array.as_list::<i32>();
            let values = as_field(list.values(), child)
                .map_err(|misfit| misfit.within("[]").in_list(list.offsets()))?;
            let fitted = ListArray::try_new(
                child.clone(),
                list.offsets().clone(),
                values,
                list.nulls().cloned(),
            );
            lists_as(fitted.map_err(Misfit::arrow)?, wanted)
        }
        (ArrowType::Map(..), ArrowType::Map(entries, sorted)) => {
            let map = array.as_map();
            let ArrowType::Struct(asked) = entries.data_type() else {
                return Err(mismatch(given, wanted));
            };
            let parts = [map.keys(), map.values()].into_iter().zip(asked);
            let parts = parts.map(|(part, field)| {
                as_field(part, field).map_err(|misfit| misfit.within(field.name()).in_list(map.offsets()))
            });
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let fields = StructArray::try_new(asked.clone(), parts, None).map_err(Misfit::arrow)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let fitted = MapArray::try_new(entries.clone(), offsets, fields, nulls, *sorted);
            fitted.map(|map| Arc::new(map) as ArrayRef).map_err(Misfit::arrow)
        }
        (ArrowType::Timestamp(_, zone), ArrowType::Timestamp(_, asked)) => {
            if zone.is_some() != asked.is_some() && !zone.iter().chain(asked).all(|zone| is_utc(zone)) {
                return Err(mismatch(given, wanted));
            }
            moments(array, wanted)
        }
        (_, ArrowType::Dictionary(_, value)) => converted(&as_type(array, value)?, wanted, wanted),
        _ => scalars(array, wanted),
    }
}

fn lists_as(lists: ListArray, wanted: &ArrowType) -> Result<ArrayRef, Misfit> {
    let (child, offsets, values, nulls) = lists.into_parts();
    match wanted {
        ArrowType::LargeList(_) => {
            let offsets =
                arrow::buffer::OffsetBuffer::new(offsets.iter().map(|place| i64::from(*place)).collect());
            let fitted = LargeListArray::try_new(child, offsets, values, nulls);
            fitted
                .map(|list| Arc::new(list) as ArrayRef)
                .map_err(Misfit::arrow)
        }
        ArrowType::FixedSizeList(_, width) => {
            let is_wrong = |length: usize| i32::try_from(length).ok() != Some(*width);
            if nulls.as_ref().is_none_or(|nulls| nulls.null_count() == 0) {
                if let Some(row) = offsets.lengths().position(is_wrong) {
                    return Err(Misfit::at(row, format!("does not have {width} elements")));
                }
                let fitted = FixedSizeListArray::try_new(child, *width, values, None);
                return fitted
                    .map(|list| Arc::new(list) as ArrayRef)
                    .map_err(Misfit::arrow);
            }
            let lists: ArrayRef =
                Arc::new(ListArray::try_new(child, offsets, values, nulls).map_err(Misfit::arrow)?);
            converted(&lists, wanted, wanted)
        }
        _ => {
            let lists = ListArray::try_new(child, offsets, values, nulls);
            lists
                .map(|list| Arc::new(list) as ArrayRef)
                .map_err(Misfit::arrow)
        }
    }
}

/// Moments in another unit, and shown in another zone, which does not change the moment.
fn moments(array: &ArrayRef, wanted: &ArrowType) -> Result<ArrayRef, Misfit> {
    let (ArrowType::Timestamp(held, _), ArrowType::Timestamp(unit, _)) = (array.data_type(), wanted) else {
        return Err(mismatch(array.data_type(), wanted));
    };
    let plain = retag(array.to_data(), &ArrowType::Timestamp(*held, None)).map_err(Misfit::arrow)?;
    let (plain, plain_type) = (make_array(plain), ArrowType::Timestamp(*unit, None));
    let fitted = converted(&plain, &plain_type, wanted)?;
    check_exact(&plain, &fitted, wanted)?;
    retag(fitted.to_data(), wanted)
        .map(make_array)
        .map_err(Misfit::arrow)
}

fn scalars(array: &ArrayRef, wanted: &ArrowType) -> Result<ArrayRef, Misfit> {
    let given = array.data_type();
    if !can_cast_types(given, wanted) {
        return Err(mismatch(given, wanted));
    }
    let fitted = converted(array, wanted, wanted)?;
    // A text says a number in more than one way.
    if !is_text(given) && !is_text(wanted) {
        check_exact(array, &fitted, wanted)?;
    }
    Ok(fitted)
}

fn mismatch(given: &ArrowType, wanted: &ArrowType) -> Misfit {
    Misfit::column(format!("Arrow's {given} cannot be given as {wanted}"))
}

fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "Z", "+00:00"].contains(&zone)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Int8Type, Int32Type, TimeUnit};

    use super::*;

    fn given() -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(300), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("7"), Some("x"), None]));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 1_500_000, 2_000_000]));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1)]),
            None,
            Some(vec![Some(2), Some(300)]),
        ]));
        let columns = [
            ("n", numbers, true),
            ("s", texts, true),
            ("t", times, true),
            ("l", lists, true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    fn asked(fields: &[(&str, ArrowType, bool)], rows: usize) -> Result<RecordBatch, String> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, kind, null)| ArrowField::new(*name, kind.clone(), *null))
            .collect();
        let wanted = Arc::new(ArrowSchema::new(fields));
        recast(&given().slice(0, rows), &wanted).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_are_found_by_name_and_nothing_is_lost() {
        let wanted = [
            ("t", ArrowType::Timestamp(TimeUnit::Second, None), true),
            ("n", ArrowType::Int8, false),
        ];
        let batch = asked(&wanted, 1).unwrap();
        assert_eq!(batch.column(1).as_primitive::<Int8Type>().value(0), 1);
        assert_eq!(
            asked(&[("s", ArrowType::Int32, true)], 1)
                .unwrap()
                .column(0)
                .as_primitive::<Int32Type>()
                .value(0),
            7
        );
        let wide = ArrowType::new_large_list(ArrowType::Int64, true);
        let lists = asked(&[("l", wide, true)], 3).unwrap();
        assert_eq!(
            lists.column(0).as_list::<i64>().value(2).as_ref(),
            &Int64Array::from(vec![2, 300])
        );
    }

    #[test]
    fn what_would_be_lost_is_an_error() {
        let second = ArrowType::Timestamp(TimeUnit::Second, None);
        let small = ArrowType::new_list(ArrowType::Int8, true);
        for (name, kind, nullable, reason) in [
            ("n", ArrowType::Int8, true, "column 'n': row 1 does not fit Int8"),
            (
                "s",
                ArrowType::Int32,
                true,
                "column 's': row 1 does not fit Int32",
            ),
            (
                "n",
                ArrowType::Int32,
                false,
                "column 'n': row 2 is null, where no null is asked for",
            ),
            ("l", small, true, "column 'l[]': row 2 does not fit Int8"),
            (
                "x",
                ArrowType::Int32,
                true,
                "column 'x': there is no such column among n, s, t, l",
            ),
        ] {
            assert_eq!(asked(&[(name, kind, nullable)], 3).unwrap_err(), reason);
        }
        assert!(
            asked(&[("t", second, true)], 3)
                .unwrap_err()
                .starts_with("column 't': row 1 has more digits")
        );
        let zoned = ArrowType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()));
        assert!(asked(&[("t", zoned, true)], 3).is_err());
        assert!(asked(&[("l", ArrowType::Int32, true)], 3).is_err());
    }
}

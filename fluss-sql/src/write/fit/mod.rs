//! Values made to fit the columns that they are written to: exactly, or refused with the column, the value and the row.
//!
//! Numbers go into columns of other widths if nothing is lost, text into any column as it is read there, and a time without a
//! zone is local time where an instant is wanted. A DOUBLE or FLOAT is the nearest one to a decimal number.

mod cast;
mod misfit;
mod moments;
mod scalar;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StringArray, StructArray, UInt32Array,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, interleave, nullif, take};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Fields};
use arrow::error::ArrowError;
use fluss_client::types::{DataType, Field, Kind, RowType};

use self::cast::plain;
use self::misfit::{Fitted, Misfit, unlike};
use crate::error::{Error, ErrorKind, Result};

/// The values of a column as its table has them, `wire` being the Arrow type that scans show. `first` is the number of the first
/// row among those of the statement.
///
/// # Errors
///
/// A value that does not fit exactly; a null where the column takes none.
pub(super) fn fit(array: &ArrayRef, field: &Field, wire: &ArrowType, first: usize) -> Result<ArrayRef> {
    let told = |misfit: Misfit| {
        let row = first + misfit.row + 1;
        let text = format!("column '{}': {} (row {row})", field.name, misfit.reason);
        Error::new(misfit.kind, text)
    };
    values(array, &field.data_type, wire).map_err(told)
}

/// The values as a type has them, nested ones too.
fn values(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    let array = plain(array)?;
    check_nulls(&array, data_type)?;
    if *array.data_type() == ArrowType::Null {
        return Ok(new_null_array(wire, array.len()));
    }
    match data_type.kind() {
        Kind::Array(_) | Kind::Map(..) | Kind::Row(_) => nested(&array, data_type, wire),
        _ => scalar::fit(&array, data_type, wire),
    }
}

fn check_nulls(array: &ArrayRef, data_type: &DataType) -> Fitted<()> {
    if data_type.is_nullable() || array.logical_null_count() == 0 {
        return Ok(());
    }
    let nulls = array.logical_nulls();
    let is_null = |row: &usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(*row));
    let row = (0..array.len()).find(is_null).unwrap_or_default();
    Err(Misfit {
        kind: ErrorKind::Constraint,
        ..Misfit::at(row, "NULL, and the column is NOT NULL")
    })
}

/// Lists, maps and rows.
fn nested(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    match (data_type.kind(), wire) {
        (Kind::Array(element), ArrowType::List(field)) => list(array, data_type, element, field),
        (Kind::Map(key, value), ArrowType::Map(field, _)) => match array.as_struct_opt() {
            Some(given) => map_of_struct(given, data_type, (key, value), field),
            None => map(array, data_type, (key, value), field),
        },
        (Kind::Row(row), ArrowType::Struct(fields)) if array.as_map_opt().is_some() => {
            row_of_map(array.as_map(), data_type, row, fields)
        }
        (Kind::Row(row), ArrowType::Struct(fields)) => row_of(array, data_type, row, fields),
        _ => Err(unlike(array, data_type)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what a result is mapped by")]
fn arrow(error: ArrowError) -> Misfit {
    Misfit::at(0, error.to_string())
}

/// A fault of an element, seen from the list that it is in.
fn in_list(misfit: Misfit, offsets: &OffsetBuffer<i32>) -> Misfit {
    let ends = offsets.get(1..).unwrap_or_default();
    let row = ends.partition_point(|end| *end as usize <= misfit.row);
    Misfit { row, ..misfit }
}

fn list(array: &ArrayRef, data_type: &DataType, element: &DataType, field: &FieldRef) -> Fitted {
    let given = match array.data_type() {
        ArrowType::List(_) => array.clone(),
        ArrowType::LargeList(child)
        | ArrowType::FixedSizeList(child, _)
        | ArrowType::ListView(child)
        | ArrowType::LargeListView(child) => {
            let to = ArrowType::List(child.clone());
            cast_with_options(array, &to, &CastOptions::default()).map_err(arrow)?
        }
        _ => return Err(unlike(array, data_type)),
    };
    let given = given.as_list::<i32>();
    let inner = values(given.values(), element, field.data_type());
    let inner = inner.map_err(|misfit| in_list(misfit, given.offsets()))?;
    let fitted = ListArray::try_new(
        field.clone(),
        given.offsets().clone(),
        inner,
        given.nulls().cloned(),
    );
    Ok(Arc::new(fitted.map_err(arrow)?))
}

fn map(
    array: &ArrayRef,
    data_type: &DataType,
    (key, value): (&DataType, &DataType),
    field: &FieldRef,
) -> Fitted {
    let (Some(given), ArrowType::Struct(fields)) = (array.as_map_opt(), field.data_type()) else {
        return Err(unlike(array, data_type));
    };
    let part = |given_part: &ArrayRef, data_type: &DataType, index: usize| {
        let wire = fields
            .get(index)
            .map_or(&ArrowType::Null, |field| field.data_type());
        values(given_part, data_type, wire).map_err(|misfit| in_list(misfit, given.offsets()))
    };
    let parts = vec![part(given.keys(), key, 0)?, part(given.values(), value, 1)?];
    let entries = StructArray::try_new(fields.clone(), parts, None).map_err(arrow)?;
    let fitted = MapArray::try_new(
        field.clone(),
        given.offsets().clone(),
        entries,
        given.nulls().cloned(),
        false,
    );
    Ok(Arc::new(fitted.map_err(arrow)?))
}

/// A map of the fields of a struct by their names: what a caller without types has for both.
fn map_of_struct(
    given: &StructArray,
    data_type: &DataType,
    (key, value): (&DataType, &DataType),
    field: &FieldRef,
) -> Fitted {
    let ArrowType::Struct(entries) = field.data_type() else {
        return Err(Misfit::at(0, format!("{data_type} has no entries")));
    };
    let (names, rows) = (given.column_names(), given.len());
    let wire = |index: usize| {
        entries
            .get(index)
            .map_or(&ArrowType::Null, |field| field.data_type())
    };
    let columns = given.columns().iter();
    let columns = columns.map(|column| values(&shown_of(column, given)?, value, wire(1)));
    let columns = columns.collect::<Fitted<Vec<_>>>()?;
    let is_there = |row: &usize| given.is_valid(*row);
    let places: Vec<_> = (0..rows)
        .filter(is_there)
        .flat_map(|row| (0..names.len()).map(move |field| (field, row)))
        .collect();
    let keys = places.iter().filter_map(|(field, _)| names.get(*field).copied());
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    let keys = values(&keys, key, wire(0)).map_err(|misfit| Misfit { row: 0, ..misfit })?;
    let items = if places.is_empty() {
        new_null_array(wire(1), 0)
    } else {
        let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
        interleave(&columns, &places).map_err(arrow)?
    };
    let lengths = (0..rows).map(|row| if given.is_valid(row) { names.len() } else { 0 });
    let offsets = OffsetBuffer::from_lengths(lengths);
    let entries = StructArray::try_new(entries.clone(), vec![keys, items], None).map_err(arrow)?;
    let fitted = MapArray::try_new(field.clone(), offsets, entries, given.nulls().cloned(), false);
    Ok(Arc::new(fitted.map_err(arrow)?))
}

/// A row of the values of a map whose keys are the names of its fields. What is not there is null.
fn row_of_map(given: &MapArray, data_type: &DataType, row: &RowType, fields: &Fields) -> Fitted {
    let keys = plain(given.keys())?;
    let Some(keys) = keys.as_string_opt::<i32>() else {
        return Err(Misfit::at(
            0,
            format!(
                "a map whose keys are no names, and the column is {}",
                data_type.kind()
            ),
        ));
    };
    let offsets = given.offsets();
    let entries = |row: usize| {
        let place = |at: usize| offsets.get(at).map_or(0, |offset| *offset as usize);
        if given.is_null(row) {
            0..0
        } else {
            place(row)..place(row + 1)
        }
    };
    for at in 0..given.len() {
        let is_unknown = |entry: &usize| row.index_of(keys.value(*entry)).is_none();
        if let Some(entry) = entries(at).find(is_unknown) {
            let reason = format!(
                "a map with the key '{}', and {} has no such field",
                keys.value(entry),
                data_type.kind()
            );
            return Err(Misfit::at(at, reason));
        }
    }
    let mut columns = Vec::with_capacity(row.len());
    for (field, wire) in row.fields().iter().zip(fields) {
        let place = |at: usize| {
            entries(at)
                .find(|entry| keys.value(*entry) == field.name)
                .map(|entry| entry as u32)
        };
        let places: UInt32Array = (0..given.len()).map(place).collect();
        let column = take(given.values(), &places, None).map_err(arrow)?;
        if column.logical_null_count() == column.len() && field.data_type.is_nullable() {
            // Nothing is given, of whichever type the other values are.
            columns.push(new_null_array(wire.data_type(), column.len()));
            continue;
        }
        let is_nullable = field.data_type.is_nullable() || given.null_count() > 0;
        let data_type = field.data_type.clone().with_nullable(is_nullable);
        columns.push(values(&column, &data_type, wire.data_type())?);
    }
    let fitted =
        StructArray::try_new_with_length(fields.clone(), columns, given.nulls().cloned(), given.len());
    Ok(Arc::new(fitted.map_err(arrow)?))
}

/// Fields go by their names; those of a struct that has none of them go by their places.
fn row_of(array: &ArrayRef, data_type: &DataType, row: &RowType, fields: &Fields) -> Fitted {
    let Some(given) = array.as_struct_opt() else {
        return Err(unlike(array, data_type));
    };
    let is_named = given
        .fields()
        .iter()
        .any(|field| row.index_of(field.name()).is_some());
    let (asked, has) = (row.len(), given.num_columns());
    if asked != has {
        return Err(Misfit::at(
            0,
            format!("a struct of {has} fields, and the column has {asked}"),
        ));
    }
    let mut columns = Vec::with_capacity(asked);
    for (index, (field, wire)) in row.fields().iter().zip(fields).enumerate() {
        let column = if is_named {
            given.column_by_name(&field.name)
        } else {
            given.columns().get(index)
        };
        let missing = || Misfit::at(0, format!("the struct has no field '{}'", field.name));
        // What is under a null is no value.
        let column = shown_of(column.ok_or_else(missing)?, given)?;
        let data_type = if given.null_count() > 0 {
            field.data_type.clone().with_nullable(true)
        } else {
            field.data_type.clone()
        };
        columns.push(values(&column, &data_type, wire.data_type())?);
    }
    let fitted =
        StructArray::try_new_with_length(fields.clone(), columns, given.nulls().cloned(), given.len());
    Ok(Arc::new(fitted.map_err(arrow)?))
}

/// The values of a field, null where its struct is.
fn shown_of(column: &ArrayRef, given: &StructArray) -> Fitted {
    let Some(nulls) = given.nulls() else {
        return Ok(column.clone());
    };
    let hidden = BooleanArray::new(!nulls.inner(), None);
    nullif(column, &hidden).map_err(arrow)
}

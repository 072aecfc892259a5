//! A user's batch, made to fit a table.
//!
//! ```text
//! conform ── by name ──▶ fit ──▶ plain (dictionaries, runs) ──▶ masked (what no row shows) ─┬─▶ scalar
//!                         ▲                                                                 ├─▶ lists, maps
//!                         └───────────────────────── elements, fields ──────────────────────┴─▶ rows
//! ```

mod layout;
mod scalar;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatchOptions, StructArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Fields};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use self::layout::Lists;
pub(super) use self::scalar::{check_exact, converted, is_text};
use super::schema::arrow_schema;
use crate::error::ValueError;
use crate::types::{DataType, Kind, RowType};

/// A batch with the columns of a table, in the table's order and the wire's types.
///
/// Columns are matched by name. Types that hold the same values are converted (text and bytes in any layout, dictionaries,
/// runs, numbers of other widths, other units of time) as long as no value is lost; only a FLOAT is the nearest one to a
/// wider number. What has the wire's layout already is not copied. Values that no row shows are neither checked nor kept:
/// those outside a slice, and those under a null.
///
/// A time with a zone goes into `TIMESTAMP_LTZ`, one without into TIMESTAMP; see [`assume_utc`](super::assume_utc). Columns
/// named `__index_level_0__` and so on, which pandas adds for an index without name, are left out unless the table has them.
///
/// # Errors
///
/// A missing, unknown or repeated column or field; a type that does not hold such values; a value that would be lost, or
/// that is none: text that is not UTF-8, a time outside the day, a moment that cannot be counted. All name their row. A null
/// where the table takes none.
pub fn conform(batch: &RecordBatch, row_type: &RowType) -> Result<RecordBatch, ValueError> {
    let source = batch.schema();
    let given = source.fields().iter().map(|field| field.name().as_str());
    let given: Vec<&str> = given
        .filter(|name| !is_unnamed_index(name) || row_type.index_of(name).is_some())
        .collect();
    check_names(
        &given,
        row_type,
        "the table has no such column",
        "the batch has the column twice",
    )?;
    let schema = arrow_schema(row_type);
    let fields = row_type.fields().iter().zip(schema.fields());
    let columns = fields.map(|(field, wire)| {
        let column = batch
            .column_by_name(&field.name)
            .ok_or_else(|| ValueError::column(&field.name, "the batch has no such column"))?;
        fit(column, &field.data_type, wire.data_type(), None)
            .map_err(|misfit| misfit.within(&field.name).into())
    });
    let columns = columns.collect::<Result<_, ValueError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|error| ValueError::row(error.to_string()))
}

/// Whether pandas has named this column, for an index that has no name of its own.
fn is_unnamed_index(name: &str) -> bool {
    name.strip_prefix("__index_level_")
        .and_then(|rest| rest.strip_suffix("__"))
        .is_some_and(|level| !level.is_empty() && level.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Checks that every name is one of the type's, and comes once.
fn check_names(given: &[&str], row_type: &RowType, unknown: &str, twice: &str) -> Result<(), ValueError> {
    for (position, name) in given.iter().enumerate() {
        if row_type.index_of(name).is_none() {
            return Err(ValueError::column(*name, unknown));
        }
        if given.iter().take(position).any(|earlier| earlier == name) {
            return Err(ValueError::column(*name, twice));
        }
    }
    Ok(())
}

/// A value, or a whole column, that does not fit.
#[derive(Debug)]
pub(super) struct Misfit {
    path: Option<String>,
    /// The row, or the element of a list, that is at fault.
    row: Option<usize>,
    /// What is wrong, as what is said of the row.
    reason: String,
}

impl Misfit {
    /// The type of a column does not fit, whatever its values.
    pub(super) fn column(reason: impl Into<String>) -> Self {
        Self {
            path: None,
            row: None,
            reason: reason.into(),
        }
    }

    /// A value does not fit.
    pub(super) fn at(row: usize, reason: impl Into<String>) -> Self {
        Self {
            row: Some(row),
            ..Self::column(reason)
        }
    }

    /// Arrow itself finds a fault.
    #[expect(clippy::needless_pass_by_value, reason = "it is what a result is mapped by")]
    pub(super) fn arrow(error: ArrowError) -> Self {
        Self::column(error.to_string())
    }

    /// The same seen from one level further out.
    pub(super) fn within(self, outer: &str) -> Self {
        let path = ValueError {
            column: self.path,
            ..ValueError::row("")
        };
        Self {
            path: path.within(outer).column,
            ..self
        }
    }

    /// The same seen from the lists with these offsets, of whose elements one is at fault.
    pub(super) fn in_list(self, offsets: &OffsetBuffer<i32>) -> Self {
        let row = self.row.map(|element| {
            let ends = offsets.get(1..).unwrap_or_default();
            ends.partition_point(|end| *end as usize <= element)
        });
        Self { row, ..self }
    }
}

impl From<Misfit> for ValueError {
    fn from(misfit: Misfit) -> Self {
        let error = match misfit.row {
            Some(row) => Self::at(row, misfit.reason),
            None => Self::row(misfit.reason),
        };
        Self {
            column: misfit.path,
            ..error
        }
    }
}

type Fitted = Result<ArrayRef, Misfit>;

/// The values as the wire has them. Of those that are not `shown` nothing is asked.
fn fit(array: &ArrayRef, data_type: &DataType, wire: &ArrowType, shown: Option<&NullBuffer>) -> Fitted {
    let array = layout::masked(&layout::plain(array)?, shown)?;
    check_nulls(&array, data_type, shown)?;
    if *array.data_type() == ArrowType::Null {
        return Ok(new_null_array(wire, array.len()));
    }
    match data_type.kind() {
        Kind::Array(element) => fit_list(&array, element, wire),
        Kind::Map(key, value) => fit_map(&array, key, value, wire),
        Kind::Row(row) => fit_row(&array, row, wire),
        _ => scalar::fit(&array, data_type, wire),
    }
}

fn check_nulls(array: &ArrayRef, data_type: &DataType, shown: Option<&NullBuffer>) -> Result<(), Misfit> {
    if data_type.is_nullable() || array.logical_null_count() == 0 {
        return Ok(());
    }
    let nulls = array.logical_nulls();
    let is_null = |row: &usize| {
        nulls.as_ref().is_some_and(|nulls| nulls.is_null(*row))
            && shown.is_none_or(|shown| shown.is_valid(*row))
    };
    match (0..array.len()).find(is_null) {
        Some(row) => Err(Misfit::at(row, "is null, the column is NOT NULL")),
        None => Ok(()),
    }
}

fn fit_list(array: &ArrayRef, element: &DataType, wire: &ArrowType) -> Fitted {
    let Lists {
        offsets,
        values,
        nulls,
    } = Lists::of(array)?
        .ok_or_else(|| Misfit::column(format!("Arrow's {} does not fit ARRAY", array.data_type())))?;
    let field = child(wire);
    let values = fit(&values, element, field.data_type(), None)
        .map_err(|misfit| misfit.within("[]").in_list(&offsets))?;
    let fitted = ListArray::try_new(field, offsets, values, nulls);
    fitted
        .map(|list| Arc::new(list) as ArrayRef)
        .map_err(Misfit::arrow)
}

fn fit_map(array: &ArrayRef, key: &DataType, value: &DataType, wire: &ArrowType) -> Fitted {
    let wrong = || Misfit::column(format!("Arrow's {} does not fit MAP", array.data_type()));
    if !matches!(array.data_type(), ArrowType::Map(..)) {
        return Err(wrong());
    }
    let Lists {
        offsets,
        values,
        nulls,
    } = Lists::of(array)?.ok_or_else(wrong)?;
    let entries = values.as_struct_opt().ok_or_else(wrong)?;
    let field = child(wire);
    let fields = struct_fields(field.data_type());
    let part = |index: usize, name: &str, data_type: &DataType| {
        let (Some(column), Some(wire)) = (entries.columns().get(index), fields.get(index)) else {
            return Err(wrong());
        };
        fit(column, data_type, wire.data_type(), None).map_err(|misfit| misfit.within(name).in_list(&offsets))
    };
    let parts = vec![part(0, "key", key)?, part(1, "value", value)?];
    let entries = StructArray::try_new(fields, parts, None).map_err(Misfit::arrow)?;
    let fitted = MapArray::try_new(field, offsets, entries, nulls, false);
    fitted.map(|map| Arc::new(map) as ArrayRef).map_err(Misfit::arrow)
}

fn fit_row(array: &ArrayRef, row: &RowType, wire: &ArrowType) -> Fitted {
    let given = array
        .as_struct_opt()
        .ok_or_else(|| Misfit::column(format!("Arrow's {} does not fit ROW", array.data_type())))?;
    let names: Vec<&str> = given.fields().iter().map(|field| field.name().as_str()).collect();
    check_names(
        &names,
        row,
        "the row has no such field",
        "the struct has the field twice",
    )
    .map_err(|error| Misfit {
        path: error.column,
        row: None,
        reason: error.reason,
    })?;
    let fields = struct_fields(wire);
    let columns = row.fields().iter().zip(&fields).map(|(field, wire)| {
        let column = given
            .column_by_name(&field.name)
            .ok_or_else(|| Misfit::column("the field is missing").within(&field.name))?;
        fit(column, &field.data_type, wire.data_type(), given.nulls())
            .map_err(|misfit| misfit.within(&field.name))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let fitted = StructArray::try_new_with_length(fields, columns, given.nulls().cloned(), given.len());
    fitted.map(|row| Arc::new(row) as ArrayRef).map_err(Misfit::arrow)
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

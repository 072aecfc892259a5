//! Columns that were looked up, beside those of the rows that they were looked up for.

use std::sync::Arc;

use arrow::array::RecordBatch as Columns;
use arrow::compute::{filter_record_batch, is_not_null};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use pyo3::prelude::*;

use crate::arrow::ArrowTable;
use crate::error::{self, Fault};

/// Some columns of rows, each under the name of a column of a key.
#[pyfunction]
pub(crate) fn key_columns(
    rows: &ArrowTable,
    columns: Vec<String>,
    key: Vec<String>,
) -> Result<ArrowTable, Fault> {
    let schema = rows.schema_ref();
    let mut places = Vec::with_capacity(columns.len());
    for name in columns {
        let is_named = |(_, field): &(usize, &FieldRef)| *field.name() == name;
        let mut found = schema.fields().iter().enumerate().filter(is_named);
        let (Some((place, _)), None) = (found.next(), found.next()) else {
            let message =
                format!("there is not one column '{name}' to look up: on=[…] names those of the key");
            return Err(Fault::new("SchemaError", message));
        };
        places.push(place);
    }
    let fields = places
        .iter()
        .zip(key)
        .map(|(place, name)| schema.field(*place).clone().with_name(name));
    let renamed: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batches = rows.batches().iter().map(|batch| {
        let columns = batch.project(&places)?.columns().to_vec();
        Columns::try_new(renamed.clone(), columns)
    });
    let batches = batches
        .collect::<Result<_, _>>()
        .map_err(|error| defect(&error))?;
    Ok(ArrowTable::new(renamed, batches))
}

/// Rows, and beside each some columns of the row that was found for it, batch by batch. Rows are left out where a column of
/// what was found is null, if one is named.
#[pyfunction]
pub(crate) fn joined(
    rows: &ArrowTable,
    found: &ArrowTable,
    added: Vec<String>,
    unless_null: Option<String>,
) -> Result<ArrowTable, Fault> {
    let place = |name: String| found.schema_ref().index_of(&name);
    let join = || {
        let added = added.into_iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let told_by = unless_null.map(place).transpose()?;
        let schema = beside(rows.schema_ref(), found.schema_ref(), &added);
        let batches = rows.batches().iter().zip(found.batches()).map(|(batch, found)| {
            let mut columns = batch.columns().to_vec();
            columns.extend(added.iter().map(|place| found.column(*place).clone()));
            let joined = Columns::try_new(schema.clone(), columns)?;
            match told_by {
                Some(place) => filter_record_batch(&joined, &is_not_null(found.column(place))?),
                None => Ok(joined),
            }
        });
        let batches = batches.collect::<Result<_, _>>()?;
        Ok(ArrowTable::new(schema.clone(), batches))
    };
    join().map_err(|error| defect(&error))
}

/// The columns of rows and those that are added, which may be null; one that is called as another has `_right` behind its
/// name.
fn beside(rows: &SchemaRef, found: &SchemaRef, added: &[usize]) -> SchemaRef {
    let mut fields: Vec<FieldRef> = rows.fields().to_vec();
    for place in added {
        let field: Field = found.field(*place).clone();
        let mut name = field.name().clone();
        while fields.iter().any(|other| *other.name() == name) {
            name.push_str("_right");
        }
        fields.push(Arc::new(field.with_name(name).with_nullable(true)));
    }
    Arc::new(Schema::new(fields))
}

fn defect(error: &ArrowError) -> Fault {
    Fault::raised(error::defect(&error.to_string()))
}

//! A table as its buckets see it: its rules, its schemas, and how rows under older schemas are read as the latest.

use std::collections::BTreeMap;
use std::sync::Arc;

use fluss_core::id::SchemaId;
use fluss_core::record::value::StoredValue;
use fluss_core::row::{KeyEncoder, RowFormat, pad};
use fluss_core::types::{DataType, Datum, Kind, Places, RowType, Schema, TableInfo};
use fluss_core::{DecodeError, ValueError};

use super::error::Error;
use super::fit;
use super::rules::Rules;

/// A primary-key table with all of its schemas. Its buckets share it, and get another when a column is added.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) info: Arc<TableInfo>,
    pub(super) rules: Rules,
    pub(super) format: RowFormat,
    shapes: BTreeMap<SchemaId, Shape>,
    /// Whether decoded rows may lack zero bytes that the format takes for padding.
    pads: bool,
    /// The columns whose values are checked before they are written to the changelog.
    restricted: Vec<usize>,
}

/// A schema in its relation to the latest.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) row_type: RowType,
    /// For each column of the latest schema, its position here; nothing where all are the same.
    places: Option<Places>,
    /// Encodes the keys of its rows.
    pub(super) key: KeyEncoder,
}

impl Table {
    /// A table, with its schemas from the first to the latest.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidProperty`] or [`Error::InvalidTable`] for what no table can be that was created.
    pub(crate) fn new(
        info: Arc<TableInfo>,
        schemas: impl IntoIterator<Item = (SchemaId, Schema)>,
    ) -> Result<Self, Error> {
        let rules = Rules::of(&info)?;
        let mut shapes = BTreeMap::new();
        for (id, schema) in schemas {
            shapes.insert(id, Shape::new(&info, &schema)?);
        }
        shapes.insert(info.schema_id, Shape::new(&info, info.schema())?);
        Ok(Self {
            rules,
            format: info.properties.kv_format.into(),
            pads: info
                .row_type()
                .fields()
                .iter()
                .any(|field| has_binary(&field.data_type)),
            restricted: fit::restricted(info.row_type()),
            shapes,
            info,
        })
    }

    /// A schema by its id.
    pub(super) fn shape(&self, id: SchemaId) -> Option<&Shape> {
        self.shapes.get(&id)
    }

    /// The latest schema's id.
    pub(crate) fn latest(&self) -> SchemaId {
        self.info.schema_id
    }

    /// Whether the number of rows is known: where the changelog does not say what an upsert replaces, it is not looked for.
    pub(crate) fn counts_rows(&self) -> bool {
        !self.rules.wal
    }

    /// The type of rows under the latest schema.
    pub(super) fn row_type(&self) -> &RowType {
        self.info.row_type()
    }

    /// Checks that the changelog can hold a new row as it is.
    ///
    /// # Errors
    ///
    /// Null in a NOT NULL column, or a value that columns cannot hold.
    pub(super) fn check(&self, row: &[Datum<'_>]) -> Result<(), ValueError> {
        fit::check(self.row_type(), &self.restricted, row)
    }

    /// Reads a row as one of the latest schema, into memory that is used again.
    pub(super) fn read_into<'v>(
        &self,
        value: StoredValue<'v>,
        row: &mut Vec<Datum<'v>>,
    ) -> Result<(), DecodeError> {
        let unknown = || DecodeError::new("stored value", format!("unknown schema {}", value.schema_id));
        let shape = self.shape(value.schema_id).ok_or_else(unknown)?;
        self.format.decode_into(&shape.row_type, value.row, row)?;
        if self.pads {
            pad(&shape.row_type, row);
        }
        if shape.places.is_some() {
            *row = shape.widen(std::mem::take(row));
        }
        Ok(())
    }
}

impl Shape {
    fn new(info: &TableInfo, schema: &Schema) -> Result<Self, Error> {
        let places = info.schema().places_in(schema);
        Ok(Self {
            row_type: schema.row_type().clone(),
            places: (!places.are_all(schema.columns().len())).then_some(places),
            key: KeyEncoder::primary_key(info, schema.row_type()).map_err(Error::InvalidTable)?,
        })
    }

    /// A row in the columns of the latest schema.
    pub(super) fn widen<'v>(&self, row: Vec<Datum<'v>>) -> Vec<Datum<'v>> {
        match &self.places {
            None => row,
            Some(places) => places.take(row),
        }
    }

    /// The position in the latest schema of a column of this one.
    pub(super) fn latest_place(&self, column: usize) -> Option<usize> {
        match &self.places {
            None => (column < self.row_type.len()).then_some(column),
            Some(places) => places.column_at(column),
        }
    }
}

fn has_binary(data_type: &DataType) -> bool {
    match data_type.kind() {
        Kind::Binary(_) => true,
        Kind::Array(element) => has_binary(element),
        Kind::Map(key, value) => has_binary(key) || has_binary(value),
        Kind::Row(row) => row.fields().iter().any(|field| has_binary(&field.data_type)),
        _ => false,
    }
}

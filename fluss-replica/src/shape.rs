//! Rows of a copy as bytes: what their keys and values are.
//!
//! A key is the whole primary key in the encoding of servers (`rows.md` §5.1), whatever their own tables have. A value is a
//! stored value as theirs (`records.md` §3): the schema that the row was written under, and the columns that are held of it,
//! compacted.

use std::collections::BTreeMap;

use fluss_client::id::SchemaId;
use fluss_client::types::{DataType, Datum, InvalidDefinition, Kind, Row, RowType, TablePath};
use fluss_client::{DecodeError, ValueError};
use fluss_core::arrow::ColumnsBuilder;
use fluss_core::record::value::StoredValue;
use fluss_core::row::{self, KeyEncoder, KeyFormat, RowFormat};

/// How the rows of a copy are laid out.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) table: TablePath,
    /// The schema that reads show.
    pub(crate) schema_id: SchemaId,
    /// The columns that are held of it.
    pub(crate) row_type: RowType,
    /// The columns of each schema that rows are held of.
    types: BTreeMap<SchemaId, RowType>,
    /// Where the columns of the primary key are, in its order.
    key_places: Vec<usize>,
    /// Of whole rows.
    row_key: KeyEncoder,
    /// Of keys.
    key: KeyEncoder,
}

impl Shape {
    /// `types` are the columns of each schema, `key` the names of the primary key.
    pub(crate) fn new(
        table: TablePath,
        types: BTreeMap<SchemaId, RowType>,
        key: &[String],
    ) -> Result<Self, InvalidDefinition> {
        let none = || InvalidDefinition::new("there is no schema");
        let (schema_id, row_type) = types.last_key_value().ok_or_else(none)?;
        let place = |name: &String| {
            let place = row_type.index_of(name);
            place.ok_or_else(|| InvalidDefinition::new(format!("key column '{name}' is missing")))
        };
        let places = key.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let key_type = row_type.project(&places);
        let all: Vec<usize> = (0..key_type.len()).collect();
        Ok(Self {
            table,
            schema_id: *schema_id,
            row_key: KeyEncoder::new(KeyFormat::Fluss, row_type, &places)?,
            key: KeyEncoder::new(KeyFormat::Fluss, &key_type, &all)?,
            key_places: places,
            row_type: row_type.clone(),
            types,
        })
    }

    pub(crate) const fn types(&self) -> &BTreeMap<SchemaId, RowType> {
        &self.types
    }

    /// The columns of the primary key, in its order.
    pub(crate) const fn key_type(&self) -> &RowType {
        self.key.key_type()
    }

    /// Whether rows of a schema can be read.
    pub(crate) fn knows(&self, schema: SchemaId) -> bool {
        self.types.contains_key(&schema)
    }

    /// Appends the bytes of a key, as programs give it.
    pub(crate) fn encode_key(&self, key: &(impl Row + ?Sized), out: &mut Vec<u8>) -> Result<(), ValueError> {
        row::check(self.key_type(), key)?;
        self.key.encode(key, out)
    }

    /// Appends the bytes that all keys begin with whose first columns are these.
    pub(crate) fn encode_prefix(&self, values: &[Datum<'_>], out: &mut Vec<u8>) -> crate::Result<()> {
        let columns: Vec<usize> = (0..values.len()).collect();
        if values.len() > self.key_type().len() {
            let reason = format!(
                "{} values are no prefix of a key of {}",
                values.len(),
                self.key_type().len()
            );
            return Err(crate::Error::InvalidArgument(reason));
        }
        let prefix = KeyEncoder::new(KeyFormat::Fluss, &self.key_type().project(&columns), &columns)?;
        row::check(prefix.key_type(), values)?;
        Ok(prefix.encode(values, out)?)
    }

    /// Appends the key of a row.
    pub(crate) fn encode_row_key(
        &self,
        row: &(impl Row + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        self.row_key.encode(row, out)
    }

    /// Appends the value of a row of the newest schema.
    pub(crate) fn encode_value(
        &self,
        row: &(impl Row + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        let head = StoredValue {
            schema_id: self.schema_id,
            row: &[],
        };
        head.encode(out);
        RowFormat::Compacted.encode(&self.row_type, row, out)
    }

    /// Appends the key of the row of a value. `key` is room for its columns, which the next value can use again.
    pub(crate) fn encode_key_of<'v>(
        &self,
        value: &'v [u8],
        key: &mut Vec<Datum<'v>>,
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let (row_type, bytes) = self.split(value)?;
        key.resize(self.key_places.len(), Datum::Null);
        let is_of_key = |column: usize| self.key_places.contains(&column);
        RowFormat::Compacted.visit(row_type, bytes, is_of_key, |column, datum| {
            let place = self.key_places.iter().position(|place| *place == column);
            if let Some(slot) = place.and_then(|place| key.get_mut(place)) {
                *slot = datum;
            }
            Ok(())
        })?;
        let encoded = self.key.encode(key.as_slice(), out);
        encoded.map_err(|error| DecodeError::value("value", error))
    }

    /// Which columns of this shape a value has, and its row.
    fn split<'v>(&self, value: &'v [u8]) -> Result<(&RowType, &'v [u8]), DecodeError> {
        let stored = StoredValue::decode(value)?;
        // Nearly all are of one schema.
        if stored.schema_id == self.schema_id {
            return Ok((&self.row_type, stored.row));
        }
        let row_type = self.types.get(&stored.schema_id);
        let unknown = || DecodeError::new("value", format!("schema {} is not known", stored.schema_id));
        Ok((row_type.ok_or_else(unknown)?, stored.row))
    }

    /// What is made of the values of a row, in the order of the columns.
    pub(crate) fn row<'v, T>(
        &self,
        value: &'v [u8],
        make: impl Fn(Datum<'v>) -> T,
    ) -> Result<Vec<T>, DecodeError> {
        let (row_type, bytes) = self.split(value)?;
        let mut row = Vec::with_capacity(self.row_type.len());
        let take = |_, datum| {
            row.push(make(datum));
            Ok(())
        };
        RowFormat::Compacted.visit(row_type, bytes, |_| true, take)?;
        // Columns are added at the end.
        row.resize_with(self.row_type.len(), || make(Datum::Null));
        Ok(row)
    }

    /// One value of a row.
    pub(crate) fn value<'v>(&self, value: &'v [u8], column: usize) -> Result<Datum<'v>, DecodeError> {
        let (row_type, bytes) = self.split(value)?;
        let mut found = Datum::Null;
        let take = |_, datum| {
            found = datum;
            Ok(())
        };
        RowFormat::Compacted.visit(row_type, bytes, |place| place == column, take)?;
        Ok(found)
    }

    /// Appends some columns of a row, by their places, ascending.
    pub(crate) fn append(
        &self,
        value: &[u8],
        columns: &[usize],
        out: &mut ColumnsBuilder,
    ) -> Result<(), DecodeError> {
        let (row_type, bytes) = self.split(value)?;
        let mut next = 0;
        let put = |out: &mut ColumnsBuilder, place: usize, datum: Datum<'_>| {
            let appended = out.append_value(place, datum);
            appended.map_err(|error| DecodeError::value("value", error))
        };
        let is_wanted = |place: usize| columns.binary_search(&place).is_ok();
        RowFormat::Compacted.visit(row_type, bytes, is_wanted, |_, datum| {
            next += 1;
            put(out, next - 1, datum)
        })?;
        for place in next..columns.len() {
            put(out, place, Datum::Null)?;
        }
        out.end_row();
        Ok(())
    }
}

/// The row type that prints as this text.
pub(crate) fn parse_row_type(text: &str) -> Result<RowType, InvalidDefinition> {
    let data_type: DataType = text.parse()?;
    match data_type.kind() {
        Kind::Row(row_type) => Ok(row_type.clone()),
        _ => Err(InvalidDefinition::new(format!("{text} is no type of rows"))),
    }
}

/// The text that a row type is read from.
pub(crate) fn print_row_type(row_type: &RowType) -> String {
    DataType::row(row_type.clone()).to_string()
}

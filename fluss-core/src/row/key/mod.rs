//! Keys as bytes (`rows.md` §5): what identifies a row to the server, and what its bucket is computed from.

mod hudi;
mod iceberg;

use super::bytes::Reader;
use super::{RowFormat, compacted};
use crate::types::{Datum, Field, InvalidDefinition, Kind, LakeFormat, Row, RowType, TableInfo};
use crate::{DecodeError, ValueError};

/// An encoding of keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyFormat {
    /// The values of a compacted row without its null bits (`rows.md` §5.1).
    Fluss,
    /// An aligned row (`rows.md` §5.2).
    Paimon,
    /// One value as Iceberg hashes it (`rows.md` §5.3).
    Iceberg,
    /// A hash of four bytes (`rows.md` §5.4).
    Hudi,
}

impl From<Option<LakeFormat>> for KeyFormat {
    /// The format of bucket keys in tables that share the encoding of this lake.
    fn from(lake: Option<LakeFormat>) -> Self {
        match lake {
            None | Some(LakeFormat::Lance) => Self::Fluss,
            Some(LakeFormat::Paimon) => Self::Paimon,
            Some(LakeFormat::Iceberg) => Self::Iceberg,
            Some(LakeFormat::Hudi) => Self::Hudi,
        }
    }
}

/// Encodes the key of rows of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyEncoder {
    format: KeyFormat,
    key_type: RowType,
    columns: Vec<usize>,
}

impl KeyEncoder {
    /// An encoder of these columns, in this order, of rows of `row_type`.
    ///
    /// # Errors
    /// A column does not exist, or the format cannot encode these columns.
    pub fn new(format: KeyFormat, row_type: &RowType, columns: &[usize]) -> Result<Self, InvalidDefinition> {
        if let Some(missing) = columns.iter().find(|&&column| column >= row_type.len()) {
            return Err(InvalidDefinition::new(format!("there is no column {missing}")));
        }
        let key_type = row_type.project(columns);
        check_columns(format, key_type.fields())?;
        Ok(Self {
            format,
            key_type,
            columns: columns.to_vec(),
        })
    }

    /// The encoder of a table's primary key without the partition keys: what the server stores a row under.
    ///
    /// `rows` is the type of the rows to encode: the table's, or any that has the key's columns by name.
    ///
    /// # Errors
    /// The table has no primary key, `rows` lacks a column of it, or the format cannot encode it.
    pub fn primary_key(info: &TableInfo, rows: &RowType) -> Result<Self, InvalidDefinition> {
        let key = info.physical_primary_key();
        if key.is_empty() {
            return Err(InvalidDefinition::new(format!(
                "table {} has no primary key",
                info.path
            )));
        }
        Self::new(primary_key_format(info), rows, &positions(rows, &key)?)
    }

    /// The encoder of what a table's buckets are computed from; nothing if the writer chooses the bucket.
    ///
    /// `rows` is the type of the rows to encode: the table's, or any that has the key's columns by name.
    ///
    /// # Errors
    /// `rows` lacks a column of the key, or the format cannot encode it.
    pub fn bucket_key(info: &TableInfo, rows: &RowType) -> Result<Option<Self>, InvalidDefinition> {
        let key = bucket_key(info);
        if key.is_empty() {
            return Ok(None);
        }
        Self::new(info.lake_format().into(), rows, &positions(rows, &key)?).map(Some)
    }

    /// The encoder of a prefix lookup: the bucket key in the encoding of the primary key, of which its bytes are the
    /// beginning.
    ///
    /// # Errors
    /// As of [`primary_key`](Self::primary_key); the bucket key is not a proper prefix of the primary key.
    pub fn prefix(info: &TableInfo, rows: &RowType) -> Result<Self, InvalidDefinition> {
        let (key, prefix) = (info.physical_primary_key(), bucket_key(info));
        if prefix.is_empty() || prefix.len() >= key.len() || !key.starts_with(&prefix) {
            return Err(InvalidDefinition::new(format!(
                "the bucket key ({}) of table {} is no proper prefix of its primary key ({})",
                prefix.join(", "),
                info.path,
                key.join(", ")
            )));
        }
        Self::new(primary_key_format(info), rows, &positions(rows, &prefix)?)
    }

    /// The format.
    pub const fn format(&self) -> KeyFormat {
        self.format
    }

    /// The type of the key's columns, in its order.
    pub const fn key_type(&self) -> &RowType {
        &self.key_type
    }

    /// Appends the key of a row.
    ///
    /// # Errors
    /// A value is of another type than its column, null where the format takes none, or one that the format cannot
    /// hold. `out` is then as it was.
    pub fn encode(&self, row: &(impl Row + ?Sized), out: &mut Vec<u8>) -> Result<(), ValueError> {
        let start = out.len();
        let key = Projected {
            row,
            columns: &self.columns,
        };
        let written = match self.format {
            KeyFormat::Fluss => write_fluss(&self.key_type, &key, out),
            KeyFormat::Paimon => RowFormat::Aligned.encode(&self.key_type, &key, out),
            KeyFormat::Iceberg => iceberg::write(&self.key_type, &key, out),
            KeyFormat::Hudi => hudi::write(&self.key_type, &key, out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// Reads the key's values, in its order.
    ///
    /// # Errors
    /// The bytes are no such key; keys of Iceberg and Hudi do not hold their values.
    pub fn decode<'a>(&self, key: &'a [u8]) -> Result<Vec<Datum<'a>>, DecodeError> {
        match self.format {
            KeyFormat::Fluss => read_fluss(&self.key_type, key),
            KeyFormat::Paimon => RowFormat::Aligned.decode(&self.key_type, key),
            format => Err(DecodeError::new("key", format!("{format:?} keys cannot be read"))),
        }
    }
}

/// The columns of a row that make up its key.
struct Projected<'r, R: ?Sized> {
    row: &'r R,
    columns: &'r [usize],
}

impl<R: Row + ?Sized> Row for Projected<'_, R> {
    fn len(&self) -> usize {
        self.columns.len()
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        self.columns
            .get(index)
            .map_or(Datum::Null, |&column| self.row.datum(column))
    }
}

fn positions(rows: &RowType, names: &[&str]) -> Result<Vec<usize>, InvalidDefinition> {
    let position = |name: &&str| {
        rows.index_of(name)
            .ok_or_else(|| InvalidDefinition::new(format!("key column '{name}' is missing")))
    };
    names.iter().map(position).collect()
}

/// The declared bucket key, or the one that a primary-key table has if none is declared.
fn bucket_key(info: &TableInfo) -> Vec<&str> {
    let declared = info.descriptor.bucket_keys();
    if declared.is_empty() {
        info.physical_primary_key()
    } else {
        declared.iter().map(String::as_str).collect()
    }
}

fn primary_key_format(info: &TableInfo) -> KeyFormat {
    let lake = KeyFormat::from(info.lake_format());
    let own_bucket_key = bucket_key(info) != info.physical_primary_key();
    let lake_does_not_apply = own_bucket_key && info.properties.kv_format_version >= 2;
    if lake == KeyFormat::Hudi || lake_does_not_apply {
        KeyFormat::Fluss
    } else {
        lake
    }
}

fn check_columns(format: KeyFormat, fields: &[Field]) -> Result<(), InvalidDefinition> {
    if format == KeyFormat::Iceberg && fields.len() != 1 {
        return Err(InvalidDefinition::new(format!(
            "an Iceberg key has one column, not {}",
            fields.len()
        )));
    }
    let encodes = |kind: &Kind| match format {
        KeyFormat::Fluss => true,
        KeyFormat::Paimon => !is_nested(kind),
        KeyFormat::Iceberg => iceberg::encodes(kind),
        KeyFormat::Hudi => !is_nested(kind) && !matches!(kind, Kind::Binary(_) | Kind::Bytes),
    };
    match fields.iter().find(|field| !encodes(field.data_type.kind())) {
        None => Ok(()),
        Some(field) => Err(InvalidDefinition::new(format!(
            "key column '{}': {format:?} keys cannot hold {}",
            field.name,
            field.data_type.kind()
        ))),
    }
}

const fn is_nested(kind: &Kind) -> bool {
    matches!(kind, Kind::Array(_) | Kind::Map(..) | Kind::Row(_))
}

fn write_fluss(key_type: &RowType, key: &(impl Row + ?Sized), out: &mut Vec<u8>) -> Result<(), ValueError> {
    for (index, field) in key_type.fields().iter().enumerate() {
        let written = match key.datum(index) {
            Datum::Null => Err(null_in_key()),
            datum => compacted::write_value(&field.data_type, &datum, out),
        };
        written.map_err(|error| error.within(&field.name))?;
    }
    Ok(())
}

fn read_fluss<'a>(key_type: &RowType, key: &'a [u8]) -> Result<Vec<Datum<'a>>, DecodeError> {
    let mut reader = Reader::new("key", key);
    let mut values = Vec::with_capacity(key_type.len());
    for field in key_type.fields() {
        values.push(compacted::read_value(&field.data_type, &mut reader)?);
    }
    reader.finish()?;
    Ok(values)
}

fn null_in_key() -> ValueError {
    ValueError::row("null in a key column")
}

#[cfg(test)]
mod tests;

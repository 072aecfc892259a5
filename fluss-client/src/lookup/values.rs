//! From stored values to rows and columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_rpc::sync::RwLock;
use tokio::time::{Instant, timeout_at};

use crate::cluster::Cluster;
use crate::error::{Context, Error, ErrorKind, Result};
use fluss_core::arrow::{ColumnsBuilder, user_schema, with_schema};
use fluss_core::id::SchemaId;
use fluss_core::record::value::StoredValue;
use fluss_core::row::{RowFormat, pad_value};
use fluss_core::types::{Datum, OwnedRow, Places, Row, RowType, TableInfo};
use fluss_core::{DecodeError, ValueError};

/// Reads stored values as rows of the table as it stood when it was asked for, under whatever schema they were written.
#[derive(Debug)]
pub(crate) struct Values {
    cluster: Cluster,
    info: Arc<TableInfo>,
    format: RowFormat,
    /// The table's type, with nulls for rows that are not there.
    nullable: RowType,
    /// How values under other schemas are read.
    others: RwLock<HashMap<SchemaId, Arc<Other>>>,
    /// Held while a schema is fetched, so that those who need the same one wait for it.
    fetching: tokio::sync::Mutex<()>,
    operation: &'static str,
}

/// A schema that is not the one that the table had when it was asked for.
#[derive(Debug)]
struct Other {
    row_type: RowType,
    /// For each column of the table, its position under this schema.
    places: Places,
}

impl Values {
    pub(crate) fn new(cluster: &Cluster, info: &Arc<TableInfo>, operation: &'static str) -> Self {
        Self {
            cluster: cluster.clone(),
            format: info.properties.kv_format.into(),
            nullable: info.row_type().nullable(),
            info: info.clone(),
            others: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
            operation,
        }
    }

    /// The schema of [`columns`](Self::columns).
    pub(crate) fn schema(&self) -> SchemaRef {
        user_schema(&self.nullable)
    }

    /// Gets the schemas that values need.
    pub(crate) async fn prepare<'v, V: AsRef<[u8]> + 'v>(
        &self,
        values: impl Iterator<Item = &'v V>,
        deadline: Instant,
    ) -> Result<()> {
        let mut unknown: Vec<SchemaId> = Vec::new();
        for value in values {
            // What cannot be read is told by whoever reads it.
            if let Ok(StoredValue { schema_id, .. }) = StoredValue::decode(value.as_ref())
                && !self.is_known(schema_id)
                && !unknown.contains(&schema_id)
            {
                unknown.push(schema_id);
            }
        }
        for id in unknown {
            timeout_at(deadline, self.fetch(id)).await.unwrap_or_else(|_| {
                Err(self.context().error(ErrorKind::Timeout {
                    after: self.cluster.request_timeout(),
                    outcome_unknown: false,
                }))
            })?;
        }
        Ok(())
    }

    fn is_known(&self, id: SchemaId) -> bool {
        id == self.info.schema_id || self.other(id).is_some()
    }

    async fn fetch(&self, id: SchemaId) -> Result<()> {
        let _turn = self.fetching.lock().await;
        if self.is_known(id) {
            return Ok(());
        }
        let schema = self.cluster.schema(&self.info, id).await?;
        let other = Arc::new(Other {
            row_type: schema.row_type().clone(),
            places: self.info.schema().places_in(&schema),
        });
        let mut others = self.others.write();
        others.insert(id, other);
        Ok(())
    }

    fn other(&self, id: SchemaId) -> Option<Arc<Other>> {
        let others = self.others.read();
        others.get(&id).cloned()
    }

    /// A value as a row. Its schema is prepared.
    pub(crate) fn row(&self, value: &[u8]) -> Result<OwnedRow> {
        let mut row = Vec::new();
        self.read(value, &mut row)?;
        Ok(row.into_iter().map(Datum::into_owned).collect())
    }

    /// Values as columns, null where there is no value. Their schemas are prepared.
    pub(crate) fn columns<'v>(&self, values: impl Iterator<Item = Option<&'v Bytes>>) -> Result<RecordBatch> {
        let nothing = vec![Datum::Null; self.nullable.len()];
        let mut columns = ColumnsBuilder::new(&self.nullable, values.size_hint().0);
        let mut row = Vec::new();
        for value in values {
            let Some(value) = value else {
                columns
                    .append(&nothing)
                    .map_err(|error| self.misfit(error, None))?;
                continue;
            };
            self.read(value, &mut row)?;
            columns
                .append(&row)
                .map_err(|error| self.misfit(error, Some(value)))?;
        }
        let fault = |error| self.context().error(DecodeError::value("stored rows", error));
        let batch = columns.finish().map_err(fault)?;
        with_schema(&batch, &self.schema()).map_err(|error| fault(ValueError::row(error.to_string())))
    }

    /// Some columns of values, as scans show them: only they are built. Their schemas are prepared.
    pub(crate) fn project<'v, V: AsRef<[u8]> + 'v>(
        &self,
        values: impl Iterator<Item = &'v V>,
        columns: &[usize],
    ) -> Result<RecordBatch> {
        let row_type = self.info.row_type().project(columns);
        let mut built = ColumnsBuilder::new(&row_type, values.size_hint().0);
        let places =
            (0..self.info.row_type().len()).map(|column| columns.iter().position(|wanted| *wanted == column));
        let places: Vec<Option<usize>> = places.collect();
        // A column that is wanted twice is rare.
        let has_each_once = places.iter().flatten().count() == columns.len();
        let mut row = Vec::new();
        for value in values {
            let value = value.as_ref();
            if has_each_once && self.append_directly(value, &places, &mut built)? {
                continue;
            }
            self.read(value, &mut row)?;
            let appended = built.append(&Picked { row: &row, columns });
            appended.map_err(|error| self.misfit(error, Some(value)))?;
        }
        let fault = |error| self.context().error(DecodeError::value("stored rows", error));
        let batch = built.finish().map_err(fault)?;
        let schema = user_schema(&row_type);
        with_schema(&batch, &schema).map_err(|error| fault(ValueError::row(error.to_string())))
    }

    /// Appends the columns of a value, each to its place, unless its row is of another schema.
    fn append_directly(
        &self,
        value: &[u8],
        places: &[Option<usize>],
        built: &mut ColumnsBuilder,
    ) -> Result<bool> {
        let stored = StoredValue::decode(value).map_err(|error| self.context().error(error))?;
        if stored.schema_id != self.info.schema_id {
            return Ok(false);
        }
        let row_type = self.info.row_type();
        let place = |column: usize| places.get(column).copied().flatten();
        let take = |column: usize, mut datum: Datum<'_>| {
            let (Some(place), Some(field)) = (place(column), row_type.field(column)) else {
                return Ok(());
            };
            if self.format == RowFormat::Indexed {
                pad_value(&field.data_type, &mut datum);
            }
            let appended = built.append_value(place, datum);
            appended.map_err(|error| DecodeError::value("stored row", error))
        };
        let is_wanted = |column| place(column).is_some();
        let visited = self.format.visit(row_type, stored.row, is_wanted, take);
        visited.map_err(|error| {
            // With all columns: the key says which row it is.
            let mut row = Vec::new();
            let _ = self.format.decode_into(row_type, stored.row, &mut row);
            self.context().error(error.and(&self.key_of(row_type, &row)))
        })?;
        built.end_row();
        Ok(true)
    }

    /// Reads the row of a value in the table's columns.
    fn read<'v>(&self, value: &'v [u8], row: &mut Vec<Datum<'v>>) -> Result<()> {
        let read = self.decode(value, row);
        read.map_err(|error| self.context().error(error))
    }

    fn decode<'v>(&self, value: &'v [u8], row: &mut Vec<Datum<'v>>) -> Result<(), DecodeError> {
        let StoredValue {
            schema_id,
            row: bytes,
        } = StoredValue::decode(value)?;
        if schema_id == self.info.schema_id {
            return self.decode_row(self.info.row_type(), bytes, row);
        }
        let other = self
            .other(schema_id)
            .ok_or_else(|| DecodeError::new("stored value", format!("unknown schema {schema_id}")))?;
        self.decode_row(&other.row_type, bytes, row)?;
        *row = other.places.take(std::mem::take(row));
        Ok(())
    }

    fn decode_row<'v>(
        &self,
        row_type: &RowType,
        bytes: &'v [u8],
        row: &mut Vec<Datum<'v>>,
    ) -> Result<(), DecodeError> {
        let decoded = self.format.decode_into(row_type, bytes, row);
        decoded.map_err(|error| error.and(&self.key_of(row_type, row)))?;
        fluss_core::row::pad(row_type, row);
        Ok(())
    }

    /// The complaint of a row that does not fit the table's columns.
    fn misfit(&self, error: ValueError, value: Option<&[u8]>) -> Error {
        let mut row = Vec::new();
        if let Some(value) = value {
            let _ = self.decode(value, &mut row);
        }
        let error = DecodeError::value("stored row", error);
        self.context()
            .error(error.and(&self.key_of(self.info.row_type(), &row)))
    }

    /// Says which key a row has that cannot be read, as far as it was: whoever upserts or deletes that mends the table.
    fn key_of(&self, row_type: &RowType, values: &[Datum<'_>]) -> String {
        let value = |name: &String| {
            let value = values.get(row_type.index_of(name)?)?;
            Some(format!("{name} = {}", shown(value)))
        };
        let key: Option<Vec<_>> = self.info.schema().primary_key().iter().map(value).collect();
        key.map(|key| format!(", in the row of the key {}", key.join(", ")))
            .unwrap_or_default()
    }

    fn context(&self) -> Context {
        Context::new(self.operation).table(&self.info.path)
    }
}

/// Some values of a row.
struct Picked<'r, 'v> {
    row: &'r [Datum<'v>],
    columns: &'r [usize],
}

impl Row for Picked<'_, '_> {
    fn len(&self) -> usize {
        self.columns.len()
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        let column = self.columns.get(index);
        column.map_or(Datum::Null, |column| self.row.datum(*column))
    }
}

/// A value of a key as it stands in a message.
fn shown(value: &Datum<'_>) -> String {
    match value {
        Datum::TinyInt(value) => value.to_string(),
        Datum::SmallInt(value) => value.to_string(),
        Datum::Int(value) | Datum::Date(value) | Datum::Time(value) => value.to_string(),
        Datum::BigInt(value) => value.to_string(),
        Datum::String(text) => format!("{text:?}"),
        other => format!("{other:?}"),
    }
}

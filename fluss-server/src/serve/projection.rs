//! The columns of a fetch (`behaviour.md` §4.3).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fluss_core::arrow::arrow_schema;
use fluss_core::id::SchemaId;
use fluss_core::record::log::{LogBatch, LogBatches, Projection};
use fluss_core::types::LogFormat;
use fluss_rpc::code::ErrorCode;

use crate::catalog::TableEntry;
use crate::error::Failure;

/// The columns that are wanted of a table.
#[derive(Clone)]
pub(super) enum Columns {
    /// All, as they are stored.
    All,
    /// Some, by their positions in the schema of each batch.
    Chosen(Chosen),
}

/// Some columns of a table.
#[derive(Clone)]
pub(super) struct Chosen {
    table: Arc<TableEntry>,
    positions: Vec<usize>,
    /// One for each schema that was met.
    projections: HashMap<SchemaId, Projection>,
}

impl Columns {
    /// # Errors
    ///
    /// Columns of a table whose log is not columnar, or columns that are not positions in ascending order. A position that
    /// only some schemas have is found out later.
    pub(super) fn new(
        table: &Arc<TableEntry>,
        is_projected: bool,
        positions: &[i32],
    ) -> Result<Self, Failure> {
        if !is_projected {
            return Ok(Self::All);
        }
        if table.info().properties.log_format != LogFormat::Arrow {
            return Err(refused("columns can be chosen in logs of format ARROW only"));
        }
        if positions.is_empty() {
            let message = "a projection names no column";
            return Err(Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, message));
        }
        let positions: Result<Vec<_>, _> = positions
            .iter()
            .map(|position| usize::try_from(*position))
            .collect();
        let mut chosen = Chosen {
            table: table.clone(),
            positions: positions.map_err(|_| refused("a projected column is negative"))?,
            projections: HashMap::new(),
        };
        chosen.projection(table.info().schema_id)?;
        Ok(Self::Chosen(chosen))
    }

    /// The batches with the wanted columns.
    pub(super) fn apply(&mut self, batches: Bytes) -> Result<Bytes, Failure> {
        match self {
            Self::All => Ok(batches),
            Self::Chosen(chosen) => chosen.apply(batches),
        }
    }
}

impl Chosen {
    fn apply(&mut self, batches: Bytes) -> Result<Bytes, Failure> {
        let mut projected = Vec::new();
        for batch in LogBatches::new(batches) {
            let batch = batch.map_err(|error| corrupt(&error))?;
            projected.push(self.apply_to(&batch)?);
        }
        if projected.len() == 1 {
            return Ok(projected.remove(0));
        }
        let mut all = BytesMut::with_capacity(projected.iter().map(Bytes::len).sum());
        for batch in &projected {
            all.extend_from_slice(batch);
        }
        Ok(all.freeze())
    }

    fn apply_to(&mut self, batch: &LogBatch) -> Result<Bytes, Failure> {
        let projection = self.projection(batch.header().schema_id)?;
        projection.apply(batch).map_err(|error| corrupt(&error))
    }

    fn projection(&mut self, schema: SchemaId) -> Result<&Projection, Failure> {
        match self.projections.entry(schema) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(entry) => {
                let unknown = || {
                    Failure::new(
                        ErrorCode::SCHEMA_NOT_EXIST,
                        format!("there is no schema {schema}"),
                    )
                };
                let columns = arrow_schema(self.table.schema(schema).ok_or_else(unknown)?.row_type());
                let projection = Projection::new(&columns, &self.positions);
                Ok(entry.insert(projection.map_err(|error| refused(error.to_string()))?))
            }
        }
    }
}

fn refused(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::INVALID_COLUMN_PROJECTION, message)
}

fn corrupt(error: &fluss_core::DecodeError) -> Failure {
    Failure::new(ErrorCode::CORRUPT_RECORD, error.to_string())
}

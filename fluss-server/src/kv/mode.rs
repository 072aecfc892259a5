//! How a batch is written: which of its columns, and whether by the table's merge engine (`behaviour.md` §3.1, §3.3).

use fluss_core::id::SchemaId;

use super::error::Error;
use super::rules::{Deletes, Engine, Rules};
use super::table::Table;

/// What a request says about the batches in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct WriteMode {
    /// The positions of the columns that are written, under the schema of the batch; nothing for all.
    pub(crate) columns: Option<Vec<usize>>,
    /// Whether the merge engine is passed over: rows are replaced, and deletes obeyed.
    pub(crate) overwrite: bool,
}

/// A mode in terms of the latest schema.
#[derive(Debug)]
pub(super) struct Mode<'t> {
    pub(super) rules: &'t Rules,
    /// For a partial update, whether each column is written.
    pub(super) written: Option<Vec<bool>>,
    pub(super) overwrite: bool,
}

impl<'t> Mode<'t> {
    /// Checks a mode against the table.
    ///
    /// # Errors
    ///
    /// [`Error::TargetColumns`]; [`Error::BadRecord`] for a merge engine that knows no partial updates.
    pub(super) fn new(table: &'t Table, schema: SchemaId, asked: &WriteMode) -> Result<Self, Error> {
        let rules = &table.rules;
        let mode = Self {
            rules,
            written: asked
                .columns
                .as_ref()
                .map(|columns| written(table, schema, columns))
                .transpose()?,
            overwrite: asked.overwrite,
        };
        let refused = match (&mode.written, rules.counter) {
            (None, Some(_)) => {
                Some("a table with an auto-increment column is written in part, without that column")
            }
            (Some(written), Some(counter)) if written.get(counter.column) == Some(&true) => {
                Some("the auto-increment column is not written")
            }
            _ => None,
        };
        if let Some(reason) = refused {
            return Err(Error::TargetColumns(reason.to_owned()));
        }
        let merges_whole_rows = matches!(rules.engine, Engine::FirstRow | Engine::Versioned(_));
        if mode.written.is_some() && merges_whole_rows && !asked.overwrite {
            let reason = "the table's merge engine takes whole rows only";
            return Err(Error::BadRecord(reason.to_owned()));
        }
        Ok(mode)
    }

    /// Whether what is written takes the place of what was there.
    pub(super) fn replaces(&self) -> bool {
        self.overwrite || self.rules.engine == Engine::LastRow
    }

    /// Whether upserts do as well without the row that they replace.
    pub(super) fn is_blind(&self) -> bool {
        self.rules.wal && self.replaces() && self.written.is_none()
    }

    /// Whether a column is given a new value.
    pub(super) fn writes(&self, column: usize) -> bool {
        self.written
            .as_ref()
            .is_none_or(|written| written.get(column).copied().unwrap_or(false))
    }

    /// Whether nothing but the key is written.
    pub(super) fn writes_only_key(&self) -> bool {
        let beside_key = |(column, written): (usize, &bool)| *written && !self.rules.key.contains(&column);
        let written = self.written.as_ref();
        written.is_some_and(|written| !written.iter().enumerate().any(beside_key))
    }

    /// What becomes of deletes.
    pub(super) fn deletes(&self) -> Deletes {
        if self.overwrite {
            Deletes::Allow
        } else {
            self.rules.deletes
        }
    }
}

/// Which columns of the latest schema these positions are.
fn written(table: &Table, schema: SchemaId, columns: &[usize]) -> Result<Vec<bool>, Error> {
    if let Some(required) = &table.rules.required {
        return Err(Error::TargetColumns(format!(
            "column '{required}' is NOT NULL, so rows are written whole"
        )));
    }
    let mut written = vec![false; table.row_type().len()];
    for &column in columns {
        let place = table.shape(schema).and_then(|shape| shape.latest_place(column));
        let place = place.and_then(|place| written.get_mut(place));
        *place.ok_or_else(|| Error::TargetColumns(format!("there is no column {column}")))? = true;
    }
    let lacks = |column: &&usize| written.get(**column) != Some(&true);
    match table.rules.key.iter().find(lacks) {
        None => Ok(written),
        Some(_) => Err(Error::TargetColumns(
            "a column of the primary key is missing".to_owned(),
        )),
    }
}

//! What of a table is held.

use std::fmt;

use fluss_client::types::{InvalidDefinition, RowType, Schema, TableInfo};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::options::ReplicaOptions;

/// What of which table a directory holds: two that are the same hold the same rows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Selection {
    pub(crate) table: String,
    pub(crate) table_id: i64,
    /// In the order of the table; nothing for all.
    pub(crate) columns: Option<Vec<String>>,
    /// As the condition prints.
    pub(crate) filter: Option<String>,
}

impl Selection {
    /// What these options select of a table.
    pub(crate) fn new(info: &TableInfo, options: &ReplicaOptions) -> Result<Self> {
        if !info.has_primary_key() {
            let reason = format!(
                "table {} has no primary key: there is nothing to look up in it",
                info.path
            );
            return Err(Error::InvalidArgument(reason));
        }
        let schema = info.schema();
        let columns = options.columns.as_ref().map(|wanted| {
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            schema.indexes_of(&wanted)?;
            let names = schema.row_type().names();
            let is_held =
                |name: &&str| wanted.contains(name) || schema.primary_key().iter().any(|key| key == name);
            Ok::<_, InvalidDefinition>(names.filter(is_held).map(str::to_owned).collect())
        });
        Ok(Self {
            table: info.path.to_string(),
            table_id: info.id.get(),
            columns: columns.transpose()?,
            filter: options.filter.as_ref().map(|filter| format!("{filter:?}")),
        })
    }

    /// The columns that are held of rows of a schema.
    pub(crate) fn held(&self, schema: &Schema) -> RowType {
        match &self.columns {
            None => schema.row_type().clone(),
            Some(columns) => {
                let fields = schema.row_type().fields().iter();
                RowType::new(fields.filter(|field| columns.contains(&field.name)).cloned())
            }
        }
    }

    /// Whether this is the same of a table that has meanwhile been created anew.
    pub(crate) fn is_of_another_life(&self, other: &Self) -> bool {
        self.table_id != other.table_id && self.table == other.table
    }

    /// Why the other is not held instead.
    pub(crate) fn differs_from(&self, wanted: &Self) -> Option<String> {
        if self.table != wanted.table {
            return Some(format!("holds table {}, not {}", self.table, wanted.table));
        }
        if self.columns != wanted.columns {
            return Some(format!(
                "holds {} of table {}, not {}",
                Columns(self.columns.as_deref()),
                self.table,
                Columns(wanted.columns.as_deref())
            ));
        }
        if self.filter != wanted.filter {
            return Some(format!(
                "holds other rows of table {}, by another filter",
                self.table
            ));
        }
        None
    }
}

struct Columns<'a>(Option<&'a [String]>);

impl fmt::Display for Columns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("all columns"),
            Some(columns) => write!(f, "columns {}", columns.join(", ")),
        }
    }
}

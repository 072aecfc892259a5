//! What `ALTER_TABLE` may change (`behaviour.md` §8.4).

use fluss_core::types::{Column, DataType, Schema, TableDescriptor};
use fluss_rpc::code::ErrorCode;

use super::{definition, invalid_definition, invalid_table, properties, unknown};
use crate::Failure;

/// A change of one property. Keys that begin with `table.` are the table's, all others the user's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PropertyChange {
    /// Gives the property a value.
    Set(String, String),
    /// Goes back to the property's default.
    Reset(String),
}

impl PropertyChange {
    fn key(&self) -> &str {
        match self {
            Self::Set(key, _) | Self::Reset(key) => key,
        }
    }
}

/// A column to be added at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewColumn {
    /// The name.
    pub name: String,
    /// The type.
    pub data_type: DataType,
    /// A comment.
    pub comment: Option<String>,
}

/// The descriptor after the changes.
pub(in crate::catalog) fn changed_properties(
    descriptor: &TableDescriptor,
    changes: &[PropertyChange],
) -> Result<TableDescriptor, Failure> {
    let mut builder = descriptor.clone().into_builder();
    for change in changes {
        let own = change.key().starts_with("table.");
        if own && !properties::is_alterable(change.key()) {
            return Err(Failure::new(
                ErrorCode::INVALID_ALTER_TABLE,
                format!("property '{}' cannot be altered", change.key()),
            ));
        }
        builder = match (own, change.clone()) {
            (true, PropertyChange::Set(key, value)) => builder.property(key, value),
            (true, PropertyChange::Reset(key)) => builder.without_property(&key),
            (false, PropertyChange::Set(key, value)) => builder.custom_property(key, value),
            (false, PropertyChange::Reset(key)) => builder.without_custom_property(&key),
        };
    }
    let altered = builder.build().map_err(invalid_definition)?;
    properties::check_all(altered.properties())?;
    definition::check_local_segments(altered.properties())?;
    if properties::is_true(altered.properties(), "table.datalake.enabled") {
        return Err(invalid_table("'table.datalake.enabled': this node has no lake"));
    }
    Ok(altered)
}

/// The next schema, with these columns at its end.
pub(in crate::catalog) fn added_columns(schema: &Schema, columns: &[NewColumn]) -> Result<Schema, Failure> {
    columns.iter().try_fold(schema.clone(), |schema, column| {
        if !column.data_type.is_nullable() {
            return Err(unknown(format!("added column '{}' must take nulls", column.name)));
        }
        if schema.column(&column.name).is_some() {
            return Err(Failure::new(
                ErrorCode::INVALID_ALTER_TABLE,
                format!("column '{}' is there already", column.name),
            ));
        }
        let column = Column {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            comment: column.comment.clone(),
            aggregate: None,
            id: -1,
        };
        let altered = schema.with_column(column).map_err(invalid_definition)?;
        altered.check_new().map_err(invalid_definition)?;
        Ok(altered)
    })
}

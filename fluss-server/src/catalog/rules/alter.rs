//! What `ALTER_TABLE` may change (`behaviour.md` §8.4, `v1_0.md` §5.4 and §14.3).

use fluss_core::types::{AggregateFunction, Column, DataType, Schema, TableDescriptor};
use fluss_rpc::code::ErrorCode;

use super::draft::Draft;
use super::{Limits, definition, engine, invalid_definition, properties, unknown};
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
    /// How the aggregation merge engine merges the column.
    pub aggregate: Option<AggregateFunction>,
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
            return Err(refused(format!("property '{}' cannot be altered", change.key())));
        }
        builder = match (own, change.clone()) {
            (true, PropertyChange::Set(key, value)) => builder.property(key, value),
            (true, PropertyChange::Reset(key)) => builder.without_property(&key),
            (false, PropertyChange::Set(key, value)) => builder.custom_property(key, value),
            (false, PropertyChange::Reset(key)) => builder.without_custom_property(&key),
        };
    }
    let altered = builder.build().map_err(invalid_definition)?;
    let names_standby = |change: &PropertyChange| change.key() == properties::STANDBY_REPLICA;
    if altered.schema().primary_key().is_empty() && changes.iter().any(names_standby) {
        let reason = format!(
            "property '{}' is of primary-key tables",
            properties::STANDBY_REPLICA
        );
        return Err(refused(reason));
    }
    definition::check_properties(&Draft::of(altered.clone()))?;
    Ok(altered)
}

/// The descriptor with another number of buckets.
pub(in crate::catalog) fn with_bucket_count(
    descriptor: &TableDescriptor,
    count: i32,
    limits: &Limits,
) -> Result<TableDescriptor, Failure> {
    if descriptor.partition_keys().is_empty() {
        return Err(refused(
            "the bucket count of a table without partitions cannot be altered",
        ));
    }
    if count < 1 {
        return Err(refused(format!("the bucket count is {count}")));
    }
    definition::check_buckets(count, limits)?;
    let keys = descriptor.bucket_keys().to_vec();
    let altered = descriptor.clone().into_builder().distributed_by(count, keys);
    altered.build().map_err(invalid_definition)
}

fn refused(reason: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::INVALID_ALTER_TABLE, reason)
}

/// The next schema, with these columns at its end.
pub(in crate::catalog) fn added_columns(
    descriptor: &TableDescriptor,
    columns: &[NewColumn],
) -> Result<Schema, Failure> {
    let draft = Draft::of(descriptor.clone());
    columns
        .iter()
        .try_fold(descriptor.schema().clone(), |schema, column| {
            if !column.data_type.is_nullable() {
                return Err(unknown(format!("added column '{}' must take nulls", column.name)));
            }
            if schema.column(&column.name).is_some() {
                return Err(refused(format!("column '{}' is there already", column.name)));
            }
            let column = Column {
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                comment: column.comment.clone(),
                aggregate: column.aggregate.clone().filter(engine::is_known),
                id: -1,
            };
            engine::check_column(&draft, &column)?;
            let altered = schema.with_column(column).map_err(invalid_definition)?;
            altered.check_new().map_err(invalid_definition)?;
            Ok(altered)
        })
}

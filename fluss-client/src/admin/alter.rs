//! Changes of tables (`behaviour.md` §8.4).

use fluss_rpc::proto;

use super::Admin;
use crate::error::{Context, Result};
use crate::wire;
use fluss_core::types::{AggregateFunction, DataType, InvalidDefinition, Schema, TablePath};

/// `op_type` of a configuration change (`messages.md` 1044).
const SET: i32 = 0;
const DELETE: i32 = 1;
/// `column_position_type`: at the end.
const LAST: i32 = 0;

/// A change of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TableChange {
    /// Gives a property a value.
    Set {
        /// A key that begins with `table.` is the table's, any other the user's own.
        key: String,
        /// The value.
        value: String,
    },
    /// Goes back to a property's default; the user's own are removed.
    Reset {
        /// The key.
        key: String,
    },
    /// Adds a column at the end. It is null in the rows that there are.
    AddColumn {
        /// The name.
        name: String,
        /// The type, which takes nulls.
        data_type: DataType,
        /// A comment.
        comment: Option<String>,
        /// How the aggregation merge engine merges the values. Only in tables of that engine.
        aggregate: Option<AggregateFunction>,
    },
    /// Gives partitions that are created from now on another number of buckets. Those that there are keep theirs. No other
    /// change goes with it.
    BucketCount {
        /// The number, at least 1.
        count: i32,
    },
}

impl TableChange {
    /// Gives a property a value.
    pub fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        Self::Set { key, value }
    }

    /// Goes back to a property's default.
    pub fn reset(key: impl Into<String>) -> Self {
        Self::Reset { key: key.into() }
    }

    /// Adds a column without comment at the end.
    pub fn add_column(name: impl Into<String>, data_type: DataType) -> Self {
        Self::AddColumn {
            name: name.into(),
            data_type,
            comment: None,
            aggregate: None,
        }
    }

    /// Gives partitions that are created from now on so many buckets.
    pub const fn bucket_count(count: i32) -> Self {
        Self::BucketCount { count }
    }

    fn check(&self) -> Result<(), InvalidDefinition> {
        let Self::AddColumn { name, data_type, .. } = self else {
            return Ok(());
        };
        Schema::builder().column(name, data_type.clone()).build()?;
        if data_type.is_nullable() {
            return Ok(());
        }
        Err(InvalidDefinition::new(format!(
            "column '{name}' has to take nulls: the rows that there are have no value for it"
        )))
    }

    fn add_to(&self, request: &mut proto::AlterTableRequest) {
        let change = |key: &String, value: Option<&String>| proto::PbAlterConfig {
            config_key: key.clone(),
            config_value: value.cloned(),
            op_type: if value.is_some() { SET } else { DELETE },
        };
        match self {
            Self::Set { key, value } => request.config_changes.push(change(key, Some(value))),
            Self::Reset { key } => request.config_changes.push(change(key, None)),
            Self::AddColumn {
                name,
                data_type,
                comment,
                aggregate,
            } => request.add_columns.push(proto::PbAddColumn {
                column_name: name.clone(),
                data_type_json: data_type.to_json().into(),
                comment: comment.clone(),
                column_position_type: LAST,
                agg_function_type: aggregate.as_ref().map(|function| function.name.clone()),
                agg_function_params: aggregate.iter().flat_map(parameters).collect(),
            }),
            Self::BucketCount { count } => {
                request.modify_bucket_count = Some(proto::PbModifyBucketCount {
                    new_bucket_count: *count,
                });
            }
        }
    }
}

fn parameters(function: &AggregateFunction) -> impl Iterator<Item = proto::PbKeyValue> {
    function.parameters.iter().map(|(key, value)| proto::PbKeyValue {
        key: key.clone(),
        value: value.clone(),
    })
}

impl Admin {
    /// Changes properties of a table, or adds columns to it: all of the changes, or none.
    ///
    /// Whoever has the table already goes on with the columns that it had. A [`Table`](crate::Table) that is
    /// asked for anew has the new ones.
    ///
    /// # Errors
    ///
    /// A column that takes no null, or whose name is not allowed.
    /// [`TABLE_NOT_EXIST`](crate::ErrorCode::TABLE_NOT_EXIST) if there is no such table, unless
    /// `ignore_if_not_exists`; [`INVALID_ALTER_TABLE`](crate::ErrorCode::INVALID_ALTER_TABLE) for properties and
    /// columns at once, a column that is there already, a property that cannot be altered, or the bucket count of a table
    /// without partitions; [`Unsupported`](crate::ErrorKind::Unsupported) for a bucket count or an aggregate function where the
    /// server is older than 1.0;
    /// [`INVALID_TABLE`](crate::ErrorCode::INVALID_TABLE) and [`INVALID_CONFIG`](crate::ErrorCode::INVALID_CONFIG) for a
    /// value that makes no sense.
    ///
    /// # Cancellation
    ///
    /// Once the request is sent the table may be altered, whoever waits for it.
    pub async fn alter_table(
        &self,
        path: &TablePath,
        changes: &[TableChange],
        ignore_if_not_exists: bool,
    ) -> Result<()> {
        let context = Context::new("alter table").table(path);
        let mut request = proto::AlterTableRequest {
            table_path: wire::table_path(path),
            ignore_if_not_exists,
            ..Default::default()
        };
        for change in changes {
            change.check().map_err(|error| context.clone().error(error))?;
            change.add_to(&mut request);
        }
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Gives the partitions of a table that are created from now on another number of buckets. Those that there are keep
    /// theirs: writers, readers and look-ups go on as they are.
    ///
    /// # Errors
    ///
    /// [`INVALID_ALTER_TABLE`](crate::ErrorCode::INVALID_ALTER_TABLE) for a table without partitions, or fewer than one bucket;
    /// [`BUCKET_MAX_NUM`](crate::ErrorCode::BUCKET_MAX_NUM) for more than the cluster allows;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the server is older than 1.0: nothing is sent then.
    ///
    /// # Cancellation
    ///
    /// As of [`alter_table`](Self::alter_table).
    pub async fn set_bucket_count(&self, path: &TablePath, count: i32) -> Result<()> {
        self.alter_table(path, &[TableChange::bucket_count(count)], false)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_checked_before_it_is_sent() {
        let check = |name: &str, data_type: &str| {
            let change = TableChange::add_column(name, data_type.parse().unwrap());
            change.check().map_err(|error| error.to_string())
        };
        assert_eq!(check("a", "ROW<x INT NOT NULL>"), Ok(()));
        assert!(
            check("a", "INT NOT NULL")
                .unwrap_err()
                .contains("'a' has to take nulls")
        );
        assert!(check("__offset", "INT").unwrap_err().contains("reserved"));
        assert!(check(" ", "INT").unwrap_err().contains("empty"));
    }
}

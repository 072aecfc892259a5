//! Tables and schemas.

use fluss_rpc::proto;

use super::{Admin, sorted};
use crate::error::{Context, Result};
use crate::wire;
use fluss_core::id::SchemaId;
use fluss_core::types::{Schema, TableDescriptor, TableInfo, TablePath};

impl Admin {
    /// Creates a table. Its buckets may have no leader for a moment after that; writers and scanners wait for them.
    ///
    /// # Errors
    ///
    /// A name that is not allowed; [`DATABASE_NOT_EXIST`](crate::ErrorCode::DATABASE_NOT_EXIST) if the database is
    /// missing, [`TABLE_ALREADY_EXIST`](crate::ErrorCode::TABLE_ALREADY_EXIST) if the table exists, unless
    /// `ignore_if_exists`; [`INVALID_TABLE`](crate::ErrorCode::INVALID_TABLE),
    /// [`INVALID_CONFIG`](crate::ErrorCode::INVALID_CONFIG),
    /// [`INVALID_REPLICATION_FACTOR`](crate::ErrorCode::INVALID_REPLICATION_FACTOR) or
    /// [`BUCKET_MAX_NUM`](crate::ErrorCode::BUCKET_MAX_NUM) for a descriptor that the server refuses.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn create_table(
        &self,
        path: &TablePath,
        descriptor: &TableDescriptor,
        ignore_if_exists: bool,
    ) -> Result<()> {
        let context = Context::new("create table").table(path);
        path.validate().map_err(|error| context.clone().error(error))?;
        let checked = descriptor.schema().check_new();
        checked.map_err(|error| context.clone().error(error))?;
        let request = proto::CreateTableRequest {
            table_path: wire::table_path(path),
            table_json: descriptor.to_json().into(),
            ignore_if_exists,
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Drops a table. [`TABLE_NOT_EXIST`](crate::ErrorCode::TABLE_NOT_EXIST) if there is none, unless
    /// `ignore_if_not_exists`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn drop_table(&self, path: &TablePath, ignore_if_not_exists: bool) -> Result<()> {
        let context = Context::new("drop table").table(path);
        let request = proto::DropTableRequest {
            table_path: wire::table_path(path),
            ignore_if_not_exists,
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// The names of a database's tables, sorted. [`DATABASE_NOT_EXIST`](crate::ErrorCode::DATABASE_NOT_EXIST) if
    /// there is no such database.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_tables(&self, database: &str) -> Result<Vec<String>> {
        let context = Context::new("list tables of").database(database);
        let request = proto::ListTablesRequest {
            database_name: database.to_owned(),
        };
        Ok(sorted(self.cluster.ask(&context, &request).await?.table_name))
    }

    /// Whether there is a table of this path.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn table_exists(&self, path: &TablePath) -> Result<bool> {
        let context = Context::new("look for table").table(path);
        let request = proto::TableExistsRequest {
            table_path: wire::table_path(path),
        };
        Ok(self.cluster.ask(&context, &request).await?.exists)
    }

    /// A table's identity, schema and properties. [`TABLE_NOT_EXIST`](crate::ErrorCode::TABLE_NOT_EXIST) if there is
    /// none.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn table_info(&self, path: &TablePath) -> Result<TableInfo> {
        self.cluster.table_info(path).await
    }

    /// A version of a table's schema, the latest if none is named.
    /// [`SCHEMA_NOT_EXIST`](crate::ErrorCode::SCHEMA_NOT_EXIST) if there is no such version.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn table_schema(&self, path: &TablePath, id: Option<SchemaId>) -> Result<(SchemaId, Schema)> {
        self.cluster.fetch_schema(path, id).await
    }
}

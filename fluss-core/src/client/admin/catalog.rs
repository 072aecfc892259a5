//! Databases, tables and schemas.

use fluss_rpc::proto;

use super::{Admin, DatabaseInfo};
use crate::client::error::{Context, Result};
use crate::client::wire;
use crate::id::SchemaId;
use crate::types::{DatabaseDescriptor, Schema, TableDescriptor, TableInfo, TablePath, check_name};

impl Admin {
    /// Creates a database.
    ///
    /// # Errors
    ///
    /// A name that is not allowed; code 6 if the database exists, unless `ignore_if_exists`.
    pub async fn create_database(
        &self,
        name: &str,
        descriptor: &DatabaseDescriptor,
        ignore_if_exists: bool,
    ) -> Result<()> {
        let context = Context::new("create database").database(name);
        check_name("database", name).map_err(|error| context.clone().error(error))?;
        let request = proto::CreateDatabaseRequest {
            database_name: name.to_owned(),
            ignore_if_exists,
            database_json: Some(descriptor.to_json().into()),
        };
        self.connection.ask(&context, &request).await.map(drop)
    }

    /// Drops a database; `cascade` drops its tables with it.
    ///
    /// # Errors
    ///
    /// Code 4 if there is none, unless `ignore_if_not_exists`; code 5 if it has tables, unless `cascade`.
    pub async fn drop_database(&self, name: &str, ignore_if_not_exists: bool, cascade: bool) -> Result<()> {
        let context = Context::new("drop database").database(name);
        let request = proto::DropDatabaseRequest {
            database_name: name.to_owned(),
            ignore_if_not_exists,
            cascade,
        };
        self.connection.ask(&context, &request).await.map(drop)
    }

    /// The names of all databases, sorted.
    pub async fn list_databases(&self) -> Result<Vec<String>> {
        let context = Context::new("list databases");
        let response = self
            .connection
            .ask(&context, &proto::ListDatabasesRequest::default())
            .await?;
        Ok(sorted(response.database_name))
    }

    /// Whether there is a database of this name.
    pub async fn database_exists(&self, name: &str) -> Result<bool> {
        let context = Context::new("look for database").database(name);
        let request = proto::DatabaseExistsRequest {
            database_name: name.to_owned(),
        };
        Ok(self.connection.ask(&context, &request).await?.exists)
    }

    /// A database's comment, properties and times. Code 4 if there is none.
    pub async fn database_info(&self, name: &str) -> Result<DatabaseInfo> {
        let context = Context::new("get database").database(name);
        let request = proto::GetDatabaseInfoRequest {
            database_name: name.to_owned(),
        };
        let response = self.connection.ask(&context, &request).await?;
        Ok(DatabaseInfo {
            name: name.to_owned(),
            descriptor: DatabaseDescriptor::from_json(&response.database_json)
                .map_err(|error| context.error(error))?,
            created_time: response.created_time,
            modified_time: response.modified_time,
        })
    }

    /// Creates a table. Its buckets may have no leader for a moment after that; writers and scanners wait for them.
    ///
    /// # Errors
    ///
    /// A name that is not allowed; code 4 if the database is missing, 8 if the table exists, unless
    /// `ignore_if_exists`; codes 15, 17, 39 and 49 for a descriptor that the server refuses.
    pub async fn create_table(
        &self,
        path: &TablePath,
        descriptor: &TableDescriptor,
        ignore_if_exists: bool,
    ) -> Result<()> {
        let context = Context::new("create table").table(path);
        path.validate().map_err(|error| context.clone().error(error))?;
        let request = proto::CreateTableRequest {
            table_path: wire::table_path(path),
            table_json: descriptor.to_json().into(),
            ignore_if_exists,
        };
        self.connection.ask(&context, &request).await.map(drop)
    }

    /// Drops a table. Code 7 if there is none, unless `ignore_if_not_exists`.
    pub async fn drop_table(&self, path: &TablePath, ignore_if_not_exists: bool) -> Result<()> {
        let context = Context::new("drop table").table(path);
        let request = proto::DropTableRequest {
            table_path: wire::table_path(path),
            ignore_if_not_exists,
        };
        self.connection.ask(&context, &request).await.map(drop)
    }

    /// The names of a database's tables, sorted. Code 4 if there is no such database.
    pub async fn list_tables(&self, database: &str) -> Result<Vec<String>> {
        let context = Context::new("list tables of").database(database);
        let request = proto::ListTablesRequest {
            database_name: database.to_owned(),
        };
        Ok(sorted(self.connection.ask(&context, &request).await?.table_name))
    }

    /// Whether there is a table of this path.
    pub async fn table_exists(&self, path: &TablePath) -> Result<bool> {
        let context = Context::new("look for table").table(path);
        let request = proto::TableExistsRequest {
            table_path: wire::table_path(path),
        };
        Ok(self.connection.ask(&context, &request).await?.exists)
    }

    /// A table's identity, schema and properties. Code 7 if there is none.
    pub async fn table_info(&self, path: &TablePath) -> Result<TableInfo> {
        self.connection.table_info(path).await
    }

    /// A version of a table's schema, the latest if none is named. Code 9 if there is no such version.
    pub async fn table_schema(&self, path: &TablePath, id: Option<SchemaId>) -> Result<(SchemaId, Schema)> {
        self.connection.fetch_schema(path, id).await
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

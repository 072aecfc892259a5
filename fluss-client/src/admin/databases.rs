//! Databases.

use fluss_rpc::proto;

use super::{Admin, ConfigChange, sorted};
use crate::error::{Context, Result};
use fluss_core::types::{DatabaseDescriptor, check_name};

/// A database as it stands on the server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DatabaseInfo {
    /// The name.
    pub name: String,
    /// Comment and properties.
    pub descriptor: DatabaseDescriptor,
    /// When the database was created, in milliseconds since the epoch.
    pub created_time: i64,
    /// When the database was last altered, in milliseconds since the epoch.
    pub modified_time: i64,
}

/// A database in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DatabaseSummary {
    /// The name.
    pub name: String,
    /// When the database was created, in milliseconds since the epoch. A 0.9.1 server gives a time somewhat after that of
    /// [`DatabaseInfo`].
    pub created_time: i64,
    /// How many tables it has.
    pub table_count: i32,
}

impl Admin {
    /// Creates a database.
    ///
    /// # Errors
    ///
    /// A name that is not allowed; [`DATABASE_ALREADY_EXIST`](crate::ErrorCode::DATABASE_ALREADY_EXIST) if the
    /// database exists, unless `ignore_if_exists`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
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
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Sets and deletes properties of a database, and replaces its comment if one is given. A server of Fluss 0.9
    /// cannot do it.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the server cannot;
    /// [`DATABASE_NOT_EXIST`](crate::ErrorCode::DATABASE_NOT_EXIST) if there is no such database, unless
    /// `ignore_if_not_exists`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn alter_database(
        &self,
        name: &str,
        changes: &[ConfigChange],
        comment: Option<&str>,
        ignore_if_not_exists: bool,
    ) -> Result<()> {
        let context = Context::new("alter database").database(name);
        let request = proto::AlterDatabaseRequest {
            database_name: name.to_owned(),
            ignore_if_not_exists,
            config_changes: changes.iter().map(ConfigChange::to_proto).collect(),
            comment: comment.map(str::to_owned),
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Drops a database; `cascade` drops its tables with it.
    ///
    /// # Errors
    ///
    /// [`DATABASE_NOT_EXIST`](crate::ErrorCode::DATABASE_NOT_EXIST) if there is none, unless `ignore_if_not_exists`;
    /// [`DATABASE_NOT_EMPTY`](crate::ErrorCode::DATABASE_NOT_EMPTY) if it has tables, unless `cascade`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn drop_database(&self, name: &str, ignore_if_not_exists: bool, cascade: bool) -> Result<()> {
        let context = Context::new("drop database").database(name);
        let request = proto::DropDatabaseRequest {
            database_name: name.to_owned(),
            ignore_if_not_exists,
            cascade,
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// The names of all databases, sorted.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_databases(&self) -> Result<Vec<String>> {
        let context = Context::new("list databases");
        let response = self
            .cluster
            .ask(&context, &proto::ListDatabasesRequest::default())
            .await?;
        Ok(sorted(response.database_name))
    }

    /// All databases with the number of their tables, sorted by name.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn database_summaries(&self) -> Result<Vec<DatabaseSummary>> {
        let context = Context::new("list databases");
        let request = proto::ListDatabasesRequest {
            include_summary: Some(true),
        };
        let response = self.cluster.ask(&context, &request).await?;
        let mut summaries: Vec<_> = response.database_summary.into_iter().map(summary).collect();
        summaries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(summaries)
    }

    /// Whether there is a database of this name.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn database_exists(&self, name: &str) -> Result<bool> {
        let context = Context::new("look for database").database(name);
        let request = proto::DatabaseExistsRequest {
            database_name: name.to_owned(),
        };
        Ok(self.cluster.ask(&context, &request).await?.exists)
    }

    /// A database's comment, properties and times. [`DATABASE_NOT_EXIST`](crate::ErrorCode::DATABASE_NOT_EXIST) if
    /// there is none.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn database_info(&self, name: &str) -> Result<DatabaseInfo> {
        let context = Context::new("get database").database(name);
        let request = proto::GetDatabaseInfoRequest {
            database_name: name.to_owned(),
        };
        let response = self.cluster.ask(&context, &request).await?;
        Ok(DatabaseInfo {
            name: name.to_owned(),
            descriptor: DatabaseDescriptor::from_json(&response.database_json)
                .map_err(|error| context.error(error))?,
            created_time: response.created_time,
            modified_time: response.modified_time,
        })
    }
}

fn summary(summary: proto::PbDatabaseSummary) -> DatabaseSummary {
    DatabaseSummary {
        name: summary.database_name,
        created_time: summary.created_time,
        table_count: summary.table_count,
    }
}

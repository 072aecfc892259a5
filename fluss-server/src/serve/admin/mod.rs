//! The handlers of everything that is not about rows: one function for each API, from the request to the response.
//!
//! Each checks the caller's rights first (`behaviour.md` §8.6). Those that change something block on the disk.

#![expect(
    clippy::needless_pass_by_value,
    reason = "handlers are alike: each takes its request whole"
)]

mod configs;
mod convert;
mod databases;
mod health;
mod metadata;
mod partitions;
mod producers;
mod rights;
mod snapshots;
mod tables;
#[cfg(test)]
mod tests;
mod users;
mod writers;

use std::collections::BTreeMap;
use std::sync::Arc;

use fluss_core::types::TablePath;
use fluss_rpc::code::ErrorCode;
use tokio::sync::watch;

pub use self::configs::{alter_cluster_configs, describe_cluster_configs};
pub use self::databases::{
    alter_database, create_database, database_exists, drop_database, get_database_info, list_databases,
};
pub use self::health::get_cluster_health;
pub use self::metadata::get_metadata;
pub use self::partitions::{create_partition, drop_partition, list_partition_infos};
pub use self::producers::{delete_producer_offsets, get_producer_offsets, register_producer_offsets};
pub use self::rights::{create_acls, drop_acls, list_acls};
pub use self::snapshots::{
    get_file_system_security_token, get_kv_snapshot_metadata, get_lake_snapshot, get_latest_kv_snapshots,
    list_kv_snapshots, list_remote_log_manifests,
};
pub use self::tables::{
    alter_table, create_table, drop_table, get_table_info, get_table_schema, list_tables, table_exists,
};
pub use self::users::{alter_user, create_user, drop_user, list_users};
pub use self::writers::init_writer;

use crate::Failure;
use crate::catalog::{Catalog, Remove, TableEntry, View};
use crate::clock::Clock;
use crate::security::{Access, Caller, Everybody, Operation, Resource, Users};

/// The number of the one node, as a server and as the leader of every bucket.
pub const NODE_ID: i32 = 0;

/// Where clients reach the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The host, as clients know it.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What all requests share.
#[derive(Debug)]
pub struct Node {
    /// What there is.
    pub catalog: Arc<Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether rights are asked for.
    pub access: Access,
    /// What removes the data of dropped tables and partitions.
    pub remove: Arc<dyn Remove>,
    /// The settings that the node was started with, as `DESCRIBE_CLUSTER_CONFIGS` shows them; no secrets.
    pub configs: BTreeMap<String, String>,
    /// The users of the users file.
    pub users: Arc<Users>,
    /// Whether everybody has to log in, be there users or not.
    pub login: bool,
    /// Tells when users of the catalog were created, altered or dropped.
    pub users_changed: watch::Sender<()>,
}

impl Node {
    /// Whether clients of other processes have to log in: if the node was told so, or has users.
    pub fn asks_for_login(&self) -> bool {
        self.login || !self.users.is_empty() || !self.catalog.view().users().is_empty()
    }

    /// Who may log in now.
    pub(crate) fn everybody(&self) -> Everybody {
        Everybody {
            of_file: self.users.clone(),
            of_catalog: self.catalog.view().users().clone(),
        }
    }
}

/// What one request brings: the node, who asks, and where they reached it.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The node.
    pub node: &'a Node,
    /// Who asks.
    pub caller: &'a Caller,
    /// The address of the listener that the request came by.
    pub address: &'a Address,
}

impl Context<'_> {
    fn now_ms(&self) -> i64 {
        self.node.clock.now_ms()
    }

    fn view(&self) -> Arc<View> {
        self.node.catalog.view()
    }

    /// Whether the caller may do something to a resource.
    pub fn allows(&self, operation: Operation, resource: &Resource) -> bool {
        self.check(operation, resource).is_ok()
    }

    /// Refuses what the caller may not do to a resource.
    ///
    /// # Errors
    /// `AUTHORIZATION_EXCEPTION`.
    pub fn check(&self, operation: Operation, resource: &Resource) -> Result<(), Failure> {
        if !self.node.access.is_controlled() {
            return Ok(());
        }
        let view = self.view();
        self.node
            .access
            .check(view.acls(), self.caller, operation, resource)
    }

    /// Refuses what the caller may not do to a table.
    ///
    /// # Errors
    /// `AUTHORIZATION_EXCEPTION`.
    pub fn check_table(&self, operation: Operation, path: &TablePath) -> Result<(), Failure> {
        self.check(operation, &Resource::table(path))
    }

    /// As [`Self::check_table`], of a table that the caller named by its number: the refusal does not tell the name.
    ///
    /// # Errors
    /// `AUTHORIZATION_EXCEPTION`.
    pub fn check_table_by_id(&self, operation: Operation, table: &TableEntry) -> Result<(), Failure> {
        if self.allows(operation, &Resource::table(&table.info().path)) {
            return Ok(());
        }
        let reason = format!(
            "{} may not {operation} table {}",
            self.caller.principal,
            table.id()
        );
        Err(Failure::new(ErrorCode::AUTHORIZATION_EXCEPTION, reason))
    }

    /// The table of a path, if the caller may see it.
    fn described(&self, path: &TablePath) -> Result<Arc<TableEntry>, Failure> {
        self.check_table(Operation::Describe, path)?;
        self.node.catalog.table_by_path(path)
    }
}

//! What administers databases, tables and partitions, and tells of servers and offsets.

mod alter;
mod catalog;
mod offsets;
mod partitions;

use std::collections::HashMap;

use fluss_rpc::api::ServerRole;
use fluss_rpc::net::ServerAddress;

pub use alter::TableChange;
pub use offsets::OffsetSpec;
pub use partitions::PartitionInfo;

use super::Connection;
use super::error::Result;
use crate::types::DatabaseDescriptor;

/// Administers a cluster. Had from [`Connection::admin`]; clones share the connection.
///
/// Names that are new are checked before anything is sent. What changes something is sent once: a
/// [timeout](super::ErrorKind::Timeout) leaves open whether it took effect.
#[derive(Clone, Debug)]
pub struct Admin {
    connection: Connection,
}

/// A database as it stands on the server.
#[derive(Clone, PartialEq, Eq, Debug)]
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

/// A server of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerNode {
    /// Its number among the servers of its role.
    pub id: i32,
    /// What it does.
    pub role: ServerRole,
    /// Where it is.
    pub address: ServerAddress,
}

/// Something known of each bucket, by its number.
pub type ByBucket<T> = HashMap<crate::id::BucketId, T>;

impl Admin {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// The coordinator, if there is one, and the tablet servers that are alive.
    pub async fn server_nodes(&self) -> Result<Vec<ServerNode>> {
        let generation = self.connection.cluster().generation();
        let cluster = self.connection.refresh(None, generation).await?;
        let coordinator = cluster.coordinator().map(|address| ServerNode {
            id: 0,
            role: ServerRole::Coordinator,
            address: address.clone(),
        });
        let tablets = cluster.tablets().iter().map(|(id, address)| ServerNode {
            id: id.get(),
            role: ServerRole::Tablet,
            address: address.clone(),
        });
        let mut nodes: Vec<_> = coordinator.into_iter().chain(tablets).collect();
        nodes.sort_by_key(|node| (node.role != ServerRole::Coordinator, node.id));
        Ok(nodes)
    }
}

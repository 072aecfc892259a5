//! The servers of a cluster: which there are, their tags, their health.

use fluss_rpc::api::ServerRole;
use fluss_rpc::net::ServerAddress;
use fluss_rpc::proto;

use super::Admin;
use crate::error::{Context, ErrorKind, Result};
use fluss_core::DecodeError;
use fluss_core::id::ServerId;
use fluss_core::numbered;

/// A server of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ServerNode {
    /// Its number among the servers of its role.
    pub id: i32,
    /// What it does.
    pub role: ServerRole,
    /// Where it is.
    pub address: ServerAddress,
}

numbered! {
    /// What an operator says of a tablet server. A server with a tag is given no replicas by a rebalance, which moves
    /// those that it has elsewhere.
    ServerTag {
        /// It will not come back.
        PermanentOffline = 0 "permanently offline",
        /// It is down for a while, for an upgrade perhaps.
        TemporaryOffline = 1 "temporarily offline",
    }
}

numbered! {
    /// How a cluster is.
    HealthStatus {
        /// Every bucket has a leader, and every replica is in sync.
        Green = 0 "green",
        /// Some replicas are not in sync.
        Yellow = 1 "yellow",
        /// Some buckets have no leader.
        Red = 2 "red",
        /// The server does not know.
        Unknown = 3 "unknown",
    }
}

/// How many of a cluster's replicas are as they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ClusterHealth {
    /// The replicas that there should be, over all buckets.
    pub replicas: i32,
    /// Those of them that are in sync.
    pub in_sync_replicas: i32,
    /// The buckets.
    pub buckets: i32,
    /// Those of them that have a leader at work.
    pub led_buckets: i32,
    /// What that comes to.
    pub status: HealthStatus,
}

/// Says why these cannot be the racks of a request.
fn check_racks(racks: &[String]) -> Result<(), String> {
    if racks.is_empty() {
        return Err("there is no rack".to_owned());
    }
    match racks.iter().find(|rack| rack.trim().is_empty()) {
        Some(rack) => Err(format!("'{rack}' is no name of a rack")),
        None => Ok(()),
    }
}

impl Admin {
    /// The coordinator, if there is one, and the tablet servers that are alive. What a server has told within the last
    /// 100 ms is not asked again.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn server_nodes(&self) -> Result<Vec<ServerNode>> {
        let known = self.cluster.topology();
        let topology = if known.is_fresh() {
            known
        } else {
            self.cluster.refresh(None, known.generation()).await?
        };
        let coordinator = topology.coordinator().map(|address| ServerNode {
            id: 0,
            role: ServerRole::Coordinator,
            address: address.clone(),
        });
        let tablets = topology.tablets().iter().map(|(id, address)| ServerNode {
            id: id.get(),
            role: ServerRole::Tablet,
            address: address.clone(),
        });
        let mut nodes: Vec<_> = coordinator.into_iter().chain(tablets).collect();
        nodes.sort_by_key(|node| (node.role != ServerRole::Coordinator, node.id));
        Ok(nodes)
    }

    /// Tags tablet servers. A tag that they have already is fine.
    ///
    /// # Errors
    ///
    /// [`SERVER_NOT_EXIST`](crate::ErrorCode::SERVER_NOT_EXIST) if there is no such server,
    /// [`SERVER_TAG_ALREADY_EXIST`](crate::ErrorCode::SERVER_TAG_ALREADY_EXIST) if one has another tag;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on an embedded node.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn add_server_tag(&self, servers: &[ServerId], tag: ServerTag) -> Result<()> {
        let context = Context::new("add server tag");
        let request = proto::AddServerTagRequest {
            server_ids: servers.iter().map(|server| server.get()).collect(),
            server_tag: tag.number(),
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Takes a tag off tablet servers. A server without any is fine.
    ///
    /// # Errors
    ///
    /// [`SERVER_NOT_EXIST`](crate::ErrorCode::SERVER_NOT_EXIST) if there is no such server,
    /// [`SERVER_TAG_NOT_EXIST`](crate::ErrorCode::SERVER_TAG_NOT_EXIST) if one has another tag;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on an embedded node.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn remove_server_tag(&self, servers: &[ServerId], tag: ServerTag) -> Result<()> {
        let context = Context::new("remove server tag");
        let request = proto::RemoveServerTagRequest {
            server_ids: servers.iter().map(|server| server.get()).collect(),
            server_tag: tag.number(),
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Tags all tablet servers of racks that are alive. A rack without any is passed over.
    ///
    /// # Errors
    ///
    /// No rack, or one without a name; [`SERVER_TAG_ALREADY_EXIST`](crate::ErrorCode::SERVER_TAG_ALREADY_EXIST) if a server has
    /// another tag; [`Unsupported`](crate::ErrorKind::Unsupported) on an embedded node, and where the server is older than 1.0.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn add_server_tag_by_rack(&self, racks: &[String], tag: ServerTag) -> Result<()> {
        let context = Context::new("add server tag");
        check_racks(racks).map_err(|reason| context.clone().error(ErrorKind::InvalidArgument(reason)))?;
        let request = proto::AddServerTagByRackRequest {
            racks: racks.to_vec(),
            server_tag: tag.number(),
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Takes a tag off all tablet servers of racks that are alive. A rack without any is passed over.
    ///
    /// # Errors
    ///
    /// No rack, or one without a name; [`SERVER_TAG_NOT_EXIST`](crate::ErrorCode::SERVER_TAG_NOT_EXIST) if a server has another
    /// tag; [`Unsupported`](crate::ErrorKind::Unsupported) on an embedded node, and where the server is older than 1.0.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn remove_server_tag_by_rack(&self, racks: &[String], tag: ServerTag) -> Result<()> {
        let context = Context::new("remove server tag");
        check_racks(racks).map_err(|reason| context.clone().error(ErrorKind::InvalidArgument(reason)))?;
        let request = proto::RemoveServerTagByRackRequest {
            racks: racks.to_vec(),
            server_tag: tag.number(),
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Whether every bucket has a leader and every replica is in sync. A server of Fluss 0.9 cannot tell.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the server cannot tell.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn cluster_health(&self) -> Result<ClusterHealth> {
        let context = Context::new("get cluster health");
        let request = proto::GetClusterHealthRequest {};
        let response = self.cluster.ask(&context, &request).await?;
        let status = HealthStatus::from_number(response.status).ok_or_else(|| {
            context.error(DecodeError::new(
                "cluster health",
                format!("status {}", response.status),
            ))
        })?;
        Ok(ClusterHealth {
            replicas: response.num_replicas,
            in_sync_replicas: response.in_sync_replicas,
            buckets: response.num_leader_replicas,
            led_buckets: response.active_leader_replicas,
            status,
        })
    }
}

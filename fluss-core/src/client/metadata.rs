//! Where things are: servers, tables, and the leaders of buckets. A cache that servers correct.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use fluss_rpc::net::ServerAddress;
use fluss_rpc::proto;

use super::error::{Context, ErrorKind, Result};
use super::servers::Servers;
use crate::id::{BucketId, ServerId, TableBucket, TableId};
use crate::types::TablePath;

/// What is known of the cluster. A snapshot, never changed: the next one replaces it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    /// Counts the refreshes.
    generation: u64,
    coordinator: Option<ServerAddress>,
    tablets: HashMap<ServerId, ServerAddress>,
    tables: HashMap<TablePath, TableId>,
    leaders: HashMap<TableBucket, ServerId>,
}

impl Cluster {
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) const fn coordinator(&self) -> Option<&ServerAddress> {
        self.coordinator.as_ref()
    }

    pub(crate) const fn tablets(&self) -> &HashMap<ServerId, ServerAddress> {
        &self.tablets
    }

    /// Where the leader of a bucket is, if it has one that is alive.
    pub(crate) fn leader(&self, bucket: &TableBucket) -> Option<&ServerAddress> {
        self.tablets.get(self.leaders.get(bucket)?)
    }

    /// What is known after an answer: the servers are replaced, of tables only those that it names.
    fn merged(&self, response: &proto::MetadataResponse) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        next.coordinator = response.coordinator_server.as_ref().and_then(address);
        let tablet = |node: &proto::PbServerNode| Some((ServerId(node.node_id), address(node)?));
        next.tablets = response.tablet_servers.iter().filter_map(tablet).collect();
        for table in &response.table_metadata {
            next.put_table(table);
        }
        for partition in &response.partition_metadata {
            let (table, id) = (TableId(partition.table_id), partition.partition_id.into());
            next.put_buckets(&partition.bucket_metadata, |bucket| {
                TableBucket::in_partition(table, id, bucket)
            });
        }
        next
    }

    fn put_table(&mut self, table: &proto::PbTableMetadata) {
        let id = TableId(table.table_id);
        let path = TablePath::new(&table.table_path.database_name, &table.table_path.table_name);
        if let Some(former) = self.tables.insert(path, id).filter(|former| *former != id) {
            self.leaders.retain(|bucket, _| bucket.table != former);
        }
        self.put_buckets(&table.bucket_metadata, |bucket| TableBucket::new(id, bucket));
    }

    fn put_buckets(&mut self, buckets: &[proto::PbBucketMetadata], key: impl Fn(BucketId) -> TableBucket) {
        for bucket in buckets {
            let key = key(BucketId(bucket.bucket_id));
            match bucket.leader_id {
                Some(leader) => self.leaders.insert(key, ServerId(leader)),
                None => self.leaders.remove(&key),
            };
        }
    }
}

fn address(node: &proto::PbServerNode) -> Option<ServerAddress> {
    let port = u16::try_from(node.port).ok()?;
    Some(ServerAddress {
        host: node.host.clone(),
        port,
    })
}

/// The cache, and how it is refreshed.
#[derive(Debug)]
pub(crate) struct Metadata {
    servers: Arc<Servers>,
    bootstrap: Vec<ServerAddress>,
    cluster: RwLock<Arc<Cluster>>,
    refreshing: tokio::sync::Mutex<()>,
}

impl Metadata {
    pub(crate) fn new(servers: Arc<Servers>, bootstrap: Vec<ServerAddress>) -> Self {
        Self {
            servers,
            bootstrap,
            cluster: RwLock::default(),
            refreshing: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        self.cluster
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks again, because what was found in the snapshot of `generation` is missing or wrong. Does nothing if
    /// somebody has looked since: a table's failures, however many, cause one refresh.
    pub(crate) async fn refresh(&self, table: Option<&TablePath>, generation: u64) -> Result<Arc<Cluster>> {
        let _turn = self.refreshing.lock().await;
        let known = self.cluster();
        if known.generation > generation {
            return Ok(known);
        }
        let response = self.ask(table, &known).await?;
        let next = Arc::new(known.merged(&response));
        *self.cluster.write().unwrap_or_else(PoisonError::into_inner) = next.clone();
        Ok(next)
    }

    /// Asks the tablet servers in random order and then the bootstrap servers, until one answers.
    async fn ask(&self, table: Option<&TablePath>, known: &Cluster) -> Result<proto::MetadataResponse> {
        let mut candidates: Vec<_> = known.tablets.values().cloned().collect();
        fastrand::shuffle(&mut candidates);
        candidates.extend(
            self.bootstrap
                .iter()
                .filter(|server| !known.tablets.values().any(|t| t == *server))
                .cloned(),
        );
        let mut last = Context::new("find servers").error(ErrorKind::NoServer);
        for server in &candidates {
            match self.ask_one(table, server).await {
                Ok(response) => return Ok(response),
                Err(error) if error.is_retriable() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn ask_one(
        &self,
        table: Option<&TablePath>,
        server: &ServerAddress,
    ) -> Result<proto::MetadataResponse> {
        let mut context = Context::new("get metadata").server(server);
        context.table = table.map(|table| table.clone().into());
        let connection = self.servers.get(server).await?;
        let request = proto::MetadataRequest {
            table_path: table.map(super::wire::table_path).into_iter().collect(),
            ..Default::default()
        };
        match connection.request(&request).await {
            // A cluster that is starting names no tablet server yet.
            Ok(response) if response.tablet_servers.is_empty() => Err(context.error(ErrorKind::NoServer)),
            Ok(response) => Ok(response),
            Err(error) => Err(context.error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: i32, port: i32) -> proto::PbServerNode {
        proto::PbServerNode {
            node_id: id,
            host: "h".to_owned(),
            port,
            ..Default::default()
        }
    }

    fn response(table_id: i64, leader: Option<i32>) -> proto::MetadataResponse {
        proto::MetadataResponse {
            coordinator_server: Some(node(0, 1)),
            tablet_servers: vec![node(0, 10), node(1, 11), node(2, 70_000)],
            table_metadata: vec![proto::PbTableMetadata {
                table_path: proto::PbTablePath {
                    database_name: "d".to_owned(),
                    table_name: "t".to_owned(),
                },
                table_id,
                bucket_metadata: vec![proto::PbBucketMetadata {
                    leader_id: leader,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            partition_metadata: Vec::new(),
        }
    }

    #[test]
    fn a_leader_is_known_while_it_is_alive() {
        let bucket = TableBucket::new(TableId(7), BucketId(0));
        let cluster = Cluster::default().merged(&response(7, Some(1)));
        assert_eq!(cluster.leader(&bucket).unwrap().port, 11);
        assert_eq!(cluster.generation(), 1);
        assert_eq!(cluster.merged(&response(7, None)).leader(&bucket), None);
        assert_eq!(cluster.merged(&response(7, Some(9))).leader(&bucket), None);
    }

    #[test]
    fn a_table_created_again_forgets_the_buckets_of_the_former() {
        let cluster = Cluster::default()
            .merged(&response(7, Some(1)))
            .merged(&response(8, Some(0)));
        assert_eq!(cluster.tables.get(&TablePath::new("d", "t")), Some(&TableId(8)));
        assert_eq!(cluster.leader(&TableBucket::new(TableId(7), BucketId(0))), None);
    }

    #[test]
    fn an_impossible_port_is_no_server() {
        let cluster = Cluster::default().merged(&response(7, Some(2)));
        assert_eq!(cluster.tablets().len(), 2);
    }
}

//! Where things are: servers, tables, and the leaders of buckets. A cache that servers correct.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::ServerAddress;
use fluss_rpc::proto;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::RwLock;
use tokio::time::{Instant, sleep};
use tracing::{Level, debug};

use super::servers::Servers;
use crate::error::{Context, Error, ErrorKind, Result, tell};
use crate::log_target;
use crate::meters::MetadataMeters;
use fluss_core::id::{BucketId, PartitionId, ServerId, TableBucket, TableId};
use fluss_core::types::{PartitionName, PhysicalTablePath, TablePath};

/// How long a server may take before another is asked too: far longer than one that lives needs, far shorter than the
/// deadlines of those who wait.
const SILENCE: Duration = Duration::from_secs(1);

/// What servers have told for no longer than this is not asked again: they themselves take longer to notice a change.
const FRESH: Duration = Duration::from_millis(100);

/// What is known of where things are. A snapshot, never changed: the next one replaces it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    /// Counts the refreshes.
    generation: u64,
    /// When a server told last.
    told: Option<Instant>,
    coordinator: Option<ServerAddress>,
    /// In order, so that a choice by a seed is the same again.
    tablets: BTreeMap<ServerId, ServerAddress>,
    tables: HashMap<TablePath, TableId>,
    leaders: HashMap<TableBucket, ServerId>,
    /// Where the leader of each bucket was when it was last known.
    last_leaders: HashMap<TableBucket, ServerAddress>,
    /// Of each partitioned table the partitions that were asked for.
    partitions: HashMap<TableId, HashMap<PartitionName, PartitionId>>,
    names: HashMap<PartitionId, PartitionName>,
    /// Partitions that were dropped. Their ids are never used again.
    gone: HashSet<PartitionId>,
    /// Tables that were dropped, with those that have taken their names. Their ids are never used again.
    dropped: HashMap<TableId, Option<TableId>>,
}

impl Topology {
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a server has just told.
    pub(crate) fn is_fresh(&self) -> bool {
        self.told.is_some_and(|told| told.elapsed() < FRESH)
    }

    pub(crate) const fn coordinator(&self) -> Option<&ServerAddress> {
        self.coordinator.as_ref()
    }

    pub(crate) const fn tablets(&self) -> &BTreeMap<ServerId, ServerAddress> {
        &self.tablets
    }

    /// Where the leader of a bucket is, if it has one that is alive.
    pub(crate) fn leader(&self, bucket: &TableBucket) -> Option<&ServerAddress> {
        self.tablets.get(self.leaders.get(bucket)?)
    }

    /// Where the leader of a bucket is, or was when it was last known: for telling whom somebody waited for.
    pub(crate) fn last_leader(&self, bucket: &TableBucket) -> Option<&ServerAddress> {
        self.leader(bucket).or_else(|| self.last_leaders.get(bucket))
    }

    /// The partition of this name, if it was asked for before.
    pub(crate) fn partition(&self, table: TableId, name: &PartitionName) -> Option<PartitionId> {
        self.partitions.get(&table)?.get(name).copied()
    }

    /// The name of a partition, if it was asked for before.
    pub(crate) fn partition_name(&self, partition: PartitionId) -> Option<&PartitionName> {
        self.names.get(&partition)
    }

    /// The table that has this path, if it was asked for before.
    pub(crate) fn table(&self, path: &TablePath) -> Option<TableId> {
        self.tables.get(path).copied()
    }

    /// Whether a bucket is of a partition that was dropped.
    pub(crate) fn is_gone(&self, bucket: &TableBucket) -> bool {
        bucket
            .partition
            .is_some_and(|partition| self.is_gone_partition(partition))
    }

    /// Whether a partition was dropped.
    pub(crate) fn is_gone_partition(&self, partition: PartitionId) -> bool {
        self.gone.contains(&partition)
    }

    /// Whether a table was dropped.
    pub(crate) fn is_dropped(&self, table: TableId) -> bool {
        self.dropped.contains_key(&table)
    }

    /// What there is to say of a table that was dropped.
    pub(crate) fn dropped(&self, table: TableId) -> Option<ErrorKind> {
        let message = match self.dropped.get(&table)? {
            None => format!("the table was dropped; it was number {table}"),
            Some(other) => format!(
                "the table was dropped, and another created under its name: it was number {table}, the other is \
                 {other}; ask for the table again"
            ),
        };
        Some(ErrorKind::server(ErrorCode::TABLE_NOT_EXIST, Some(message)))
    }

    /// The table or partition that a bucket is of, with the partition's name if it is known.
    pub(crate) fn physical(&self, table: &TablePath, bucket: &TableBucket) -> PhysicalTablePath {
        let name = |partition| self.partition_name(partition).cloned();
        PhysicalTablePath {
            table: table.clone(),
            partition: bucket.partition.and_then(name),
        }
    }

    /// An operation on a bucket.
    pub(crate) fn bucket_context(
        &self,
        operation: &'static str,
        table: &TablePath,
        bucket: &TableBucket,
    ) -> Context {
        Context::new(operation)
            .physical(&self.physical(table, bucket))
            .bucket(bucket.bucket)
    }

    /// Whether something was found out about each of these partitions.
    fn covers(&self, partitions: &[PartitionId]) -> bool {
        let covers = |partition| self.names.contains_key(partition) || self.gone.contains(partition);
        partitions.iter().all(covers)
    }

    /// What is known after partitions turned out to be dropped.
    fn without(&self, gone: &[PartitionId]) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        next.gone.extend(gone);
        let is_left = |id: &PartitionId| !gone.contains(id);
        next.names.retain(|id, _| is_left(id));
        let is_of_those = |bucket: &TableBucket| bucket.partition.as_ref().is_none_or(is_left);
        next.leaders.retain(|bucket, _| is_of_those(bucket));
        next.last_leaders.retain(|bucket, _| is_of_those(bucket));
        for partitions in next.partitions.values_mut() {
            partitions.retain(|_, id| is_left(id));
        }
        next
    }

    /// What is known after a table turned out to be dropped.
    fn without_table(&self, table: TableId, other: Option<TableId>) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        next.dropped.insert(table, other);
        next.tables.retain(|_, id| *id != table);
        next.forget(table);
        next
    }

    /// Forgets where a table is.
    fn forget(&mut self, table: TableId) {
        self.leaders.retain(|bucket, _| bucket.table != table);
        self.last_leaders.retain(|bucket, _| bucket.table != table);
        self.partitions.remove(&table);
    }

    /// What is known after an answer: the servers are replaced, of tables only those that it names.
    fn merged(&self, response: &proto::MetadataResponse) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        next.told = Some(Instant::now());
        next.coordinator = response.coordinator_server.as_ref().and_then(address);
        let tablet = |node: &proto::PbServerNode| Some((ServerId(node.node_id), address(node)?));
        next.tablets = response.tablet_servers.iter().filter_map(tablet).collect();
        for table in &response.table_metadata {
            next.put_table(table);
        }
        for partition in &response.partition_metadata {
            next.put_partition(partition);
        }
        let leaders = next.leaders.iter();
        let known = leaders.filter_map(|(bucket, id)| Some((*bucket, next.tablets.get(id)?.clone())));
        next.last_leaders.extend(known);
        next
    }

    /// Tells what is new since `former`.
    fn tell(&self, former: &Self) {
        if !tracing::enabled!(Level::DEBUG) {
            return;
        }
        let (generation, servers) = (self.generation, self.tablets.len());
        debug!(target: log_target::CLIENT, generation, servers, "metadata");
        for (bucket, now) in &self.last_leaders {
            if let Some(before) = former.last_leader(bucket).filter(|before| *before != now) {
                let table = self.tables.iter().find(|(_, id)| **id == bucket.table);
                let table = table.map(|(path, _)| tracing::field::display(self.physical(path, bucket)));
                let bucket = bucket.bucket.get();
                debug!(target: log_target::CLIENT, table, bucket, server = %now, %before, "leader changed");
            }
        }
    }

    fn put_partition(&mut self, partition: &proto::PbPartitionMetadata) {
        let table = TableId(partition.table_id);
        let id = PartitionId(partition.partition_id);
        if self.gone.contains(&id) {
            // The server that answers does not know yet.
            return;
        }
        let name = PartitionName::from(partition.partition_name.clone());
        self.names.insert(id, name.clone());
        self.partitions.entry(table).or_default().insert(name, id);
        self.put_buckets(&partition.bucket_metadata, |bucket| {
            TableBucket::in_partition(table, id, bucket)
        });
    }

    fn put_table(&mut self, table: &proto::PbTableMetadata) {
        let id = TableId(table.table_id);
        if self.is_dropped(id) {
            // The server that answers does not know yet.
            return;
        }
        let path = TablePath::new(&table.table_path.database_name, &table.table_path.table_name);
        if let Some(former) = self.tables.insert(path, id).filter(|former| *former != id) {
            self.forget(former);
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
    topology: RwLock<Arc<Topology>>,
    refreshing: tokio::sync::Mutex<()>,
    meters: MetadataMeters,
}

impl Metadata {
    pub(crate) fn new(servers: Arc<Servers>, bootstrap: Vec<ServerAddress>) -> Self {
        Self {
            servers,
            bootstrap,
            topology: RwLock::default(),
            refreshing: tokio::sync::Mutex::default(),
            meters: MetadataMeters::new(),
        }
    }

    pub(crate) fn topology(&self) -> Arc<Topology> {
        self.topology.read().clone()
    }

    /// Looks again, because what was found in the snapshot of `generation` is missing or wrong. Does nothing if
    /// somebody has looked since: a table's failures, however many, cause one refresh.
    ///
    /// Of a partitioned table only the servers of the partitions that are named are looked for.
    pub(crate) async fn refresh(
        &self,
        table: Option<&TablePath>,
        partitions: &[PartitionId],
        generation: u64,
    ) -> Result<Arc<Topology>> {
        let _turn = self.refreshing.lock().await;
        let known = self.topology();
        let has_table = table.is_none_or(|table| known.tables.contains_key(table));
        if known.generation > generation && has_table && known.covers(partitions) {
            return Ok(known);
        }
        let mut gone = Vec::new();
        // One that is dropped makes the whole request fail (`behaviour.md` §1.3): it is found by halving.
        let mut open = vec![partitions];
        while let Some(part) = open.pop() {
            match self.ask(&request(table, part), table).await {
                Ok(response) => self.update(|topology| topology.merged(&response)),
                Err(error) if is_gone(&error) && !part.is_empty() => match part {
                    [partition] => gone.push(*partition),
                    _ => open.extend(<[_; 2]>::from(part.split_at(part.len() / 2))),
                },
                Err(error) => return Err(error),
            }
        }
        if let Some(table) = table.filter(|_| !gone.is_empty()) {
            let left = self.list(table).await?;
            gone.retain(|partition| !left.contains(partition));
            self.update(|topology| topology.without(&gone));
        }
        Ok(self.topology())
    }

    /// The partitions that a table has. A tablet server may not know of the newest, the coordinator does.
    async fn list(&self, table: &TablePath) -> Result<Vec<PartitionId>> {
        let known = self.topology();
        let context = Context::new("list partitions of").table(table);
        let request = proto::ListPartitionInfosRequest {
            table_path: crate::wire::table_path(table),
            partial_partition_spec: None,
        };
        let no_server = || context.clone().error(ErrorKind::NoServer);
        let server = known.coordinator().ok_or_else(no_server)?;
        let connection = self.servers.get(server).await?;
        let response = connection.request(&request).await;
        let response = response.map_err(|error| context.clone().server(server).error(error))?;
        let partitions = response.partitions_info.iter();
        Ok(partitions.map(|info| PartitionId(info.partition_id)).collect())
    }

    /// Asks for the partition of this name; nothing if there is none.
    pub(crate) async fn partition(
        &self,
        table: &TablePath,
        name: &PartitionName,
    ) -> Result<Option<PartitionId>> {
        let mut request = request(Some(table), &[]);
        request.partitions_path.push(proto::PbPhysicalTablePath {
            database_name: table.database().to_owned(),
            table_name: table.table().to_owned(),
            partition_name: Some(name.as_str().to_owned()),
        });
        let response = match self.ask(&request, Some(table)).await {
            Ok(response) => response,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.update(|topology| topology.merged(&response));
        let ids = response.partition_metadata.iter().map(|partition| {
            let id = PartitionId(partition.partition_id);
            (partition.partition_name.as_str(), id)
        });
        let known = self.topology();
        let is_it = |(other, id): &(&str, PartitionId)| *other == name.as_str() && !known.gone.contains(id);
        Ok(ids.into_iter().find(is_it).map(|(_, id)| id))
    }

    /// Takes note that a table was dropped, and which one has taken its name.
    pub(crate) fn drop_table(&self, table: TableId, other: Option<TableId>) {
        self.update(|topology| topology.without_table(table, other));
    }

    fn update(&self, next: impl FnOnce(&Topology) -> Topology) {
        let mut topology = self.topology.write();
        let next = Arc::new(next(&topology));
        let known = std::mem::replace(&mut *topology, next.clone());
        drop(topology);
        next.tell(&known);
    }

    /// As [`ask_any`](Self::ask_any), and takes note of what came of it.
    async fn ask(
        &self,
        request: &proto::MetadataRequest,
        table: Option<&TablePath>,
    ) -> Result<proto::MetadataResponse> {
        let answer = self.ask_any(request, table).await;
        self.meters.asked(answer.is_ok());
        if let Err(error) = &answer {
            tell!(log_target::CLIENT, debug, error, "no metadata");
        }
        answer
    }

    /// Asks the tablet servers and then the bootstrap servers, both in random order, but first those to which there is a
    /// connection, until one answers: the next when one fails, or is silent for [`SILENCE`].
    async fn ask_any(
        &self,
        request: &proto::MetadataRequest,
        table: Option<&TablePath>,
    ) -> Result<proto::MetadataResponse> {
        let candidates = self.candidates();
        let mut next = candidates.iter();
        let mut asked = FuturesUnordered::new();
        let mut last = Context::new("find servers").error(ErrorKind::NoServer);
        loop {
            asked.extend(next.next().map(|server| self.ask_one(request, table, server)));
            tokio::select! {
                answer = asked.next() => match answer {
                    Some(Err(error)) if error.is_retriable() => last = error,
                    Some(answer) => return answer,
                    None => return Err(last),
                },
                () = sleep(SILENCE), if next.len() > 0 => {}
            }
        }
    }

    fn candidates(&self) -> Vec<ServerAddress> {
        let known = self.topology();
        let mut candidates: Vec<_> = known.tablets.values().cloned().collect();
        let mut rng = self.servers.random().fork();
        rng.shuffle(&mut candidates);
        let is_new = |server: &&ServerAddress| !known.tablets.values().any(|tablet| tablet == *server);
        let mut others: Vec<_> = self.bootstrap.iter().filter(is_new).cloned().collect();
        rng.shuffle(&mut others);
        candidates.extend(others);
        // Opening a connection takes longer than a question.
        candidates.sort_by_cached_key(|server| self.servers.open(server).is_none());
        candidates
    }

    async fn ask_one(
        &self,
        request: &proto::MetadataRequest,
        table: Option<&TablePath>,
        server: &ServerAddress,
    ) -> Result<proto::MetadataResponse> {
        let mut context = Context::new("get metadata").server(server);
        context.table = table.map(|table| table.clone().into());
        match self.servers.ask(server, request).await? {
            // A cluster that is starting names no tablet server yet.
            Ok(response) if response.tablet_servers.is_empty() => Err(context.error(ErrorKind::NoServer)),
            Ok(response) => Ok(response),
            Err(error) => Err(context.error(error)),
        }
    }
}

fn request(table: Option<&TablePath>, partitions: &[PartitionId]) -> proto::MetadataRequest {
    proto::MetadataRequest {
        table_path: table.map(crate::wire::table_path).into_iter().collect(),
        partitions_path: Vec::new(),
        partitions_id: partitions.iter().map(|partition| partition.get()).collect(),
    }
}

fn is_gone(error: &Error) -> bool {
    error.code() == Some(ErrorCode::PARTITION_NOT_EXISTS)
}

#[cfg(test)]
mod tests;

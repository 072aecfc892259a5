//! Where things are: servers, tables, and the leaders of buckets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::ServerAddress;
use fluss_rpc::proto;
use tokio::time::Instant;
use tracing::{Level, debug};

use crate::error::{Context, ErrorKind};
use crate::log_target;
use fluss_core::id::{BucketId, PartitionId, ServerId, TableBucket, TableId};
use fluss_core::types::{PartitionName, PhysicalTablePath, TablePath};

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
    /// How many buckets each table without partitions has, and each partition.
    counts: HashMap<(TableId, Option<PartitionId>), i32>,
    /// Partitions that were dropped. Their ids are never used again.
    gone: HashSet<PartitionId>,
    /// Tables that were dropped, with those that have taken their names. Their ids are never used again.
    dropped: HashMap<TableId, Option<TableId>>,
    /// Servers to which a connection was lost, with the generation of then. Another may be there by now, which has the numbers of
    /// tables for others: what was known of them before is not gone by any more.
    doubted: HashMap<ServerAddress, u64>,
    /// The generation in which a server last told of a table without partitions, or of a partition.
    told_of: HashMap<(TableId, Option<PartitionId>), u64>,
}

/// What a server is to its cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Member {
    Coordinator,
    Tablet(ServerId),
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

    /// Where the leader of a bucket is, if it has one that is alive, and no connection to it was lost since a server has told.
    pub(crate) fn leader(&self, bucket: &TableBucket) -> Option<&ServerAddress> {
        let server = self.tablets.get(self.leaders.get(bucket)?)?;
        (!self.doubts(server, bucket)).then_some(server)
    }

    /// Whether a server may not be the leader of a bucket that it was when somebody told.
    fn doubts(&self, server: &ServerAddress, bucket: &TableBucket) -> bool {
        if self.doubted.is_empty() {
            return false;
        }
        let told = self.told_of.get(&(bucket.table, bucket.partition));
        self.doubted
            .get(server)
            .is_some_and(|lost| told.is_none_or(|told| told <= lost))
    }

    /// Whether a server that leads buckets of a table, or of these partitions of it, may be another by now.
    pub(super) fn doubts_any(&self, table: &TablePath, partitions: &[PartitionId]) -> bool {
        let Some(id) = self.table(table).filter(|_| !self.doubted.is_empty()) else {
            return false;
        };
        let is_meant = |bucket: &TableBucket| {
            bucket.table == id
                && bucket
                    .partition
                    .is_none_or(|partition| partitions.contains(&partition))
        };
        let mut leaders = self.leaders.iter().filter(|(bucket, _)| is_meant(bucket));
        leaders.any(|(bucket, leader)| {
            let server = self.tablets.get(leader);
            server.is_some_and(|server| self.doubts(server, bucket))
        })
    }

    /// Whether a server is one of the cluster, as far as it is known.
    pub(super) fn names(&self, server: &ServerAddress) -> bool {
        self.tablets.values().any(|tablet| tablet == server)
    }

    /// What is known after a connection to a server was lost.
    pub(super) fn doubting(&self, server: &ServerAddress) -> Self {
        let mut next = self.clone();
        next.doubted.insert(server.clone(), self.generation);
        next
    }

    /// Who is at each address. A node is all of its cluster at one.
    pub(super) fn members(&self) -> BTreeMap<&ServerAddress, BTreeSet<Member>> {
        let tablets = self
            .tablets
            .iter()
            .map(|(id, server)| (server, Member::Tablet(*id)));
        let coordinator = self
            .coordinator
            .iter()
            .map(|server| (server, Member::Coordinator));
        let mut members: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (server, member) in tablets.chain(coordinator) {
            members.entry(server).or_default().insert(member);
        }
        members
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

    /// How many buckets a partition has, or a table without partitions, if it was asked for before (`v1_0.md` §5.1). A request
    /// says it with a bucket that was chosen by it.
    pub(crate) fn bucket_count(&self, table: TableId, partition: Option<PartitionId>) -> Option<i32> {
        self.counts.get(&(table, partition)).copied()
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
    pub(super) fn covers(&self, partitions: &[PartitionId]) -> bool {
        let covers = |partition| self.names.contains_key(partition) || self.gone.contains(partition);
        partitions.iter().all(covers)
    }

    /// What is known after partitions turned out to be dropped.
    pub(super) fn without(&self, gone: &[PartitionId]) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        next.gone.extend(gone);
        let is_left = |id: &PartitionId| !gone.contains(id);
        next.names.retain(|id, _| is_left(id));
        next.counts
            .retain(|(_, partition), _| partition.as_ref().is_none_or(is_left));
        next.told_of
            .retain(|(_, partition), _| partition.as_ref().is_none_or(is_left));
        let is_of_those = |bucket: &TableBucket| bucket.partition.as_ref().is_none_or(is_left);
        next.leaders.retain(|bucket, _| is_of_those(bucket));
        next.last_leaders.retain(|bucket, _| is_of_those(bucket));
        for partitions in next.partitions.values_mut() {
            partitions.retain(|_, id| is_left(id));
        }
        next
    }

    /// What is known after a table turned out to be dropped.
    pub(super) fn without_table(&self, table: TableId, other: Option<TableId>) -> Self {
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
        self.counts.retain(|(of, _), _| *of != table);
        self.told_of.retain(|(of, _), _| *of != table);
    }

    /// What is known after an answer: the servers are replaced, of tables only those that it names.
    pub(super) fn merged(&self, response: &proto::MetadataResponse) -> Self {
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
    pub(super) fn tell(&self, former: &Self) {
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
        let told = partition.bucket_count.filter(|count| *count > 0);
        self.told_of.insert((table, Some(id)), self.generation);
        self.put_count((table, Some(id)), told, &partition.bucket_metadata);
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
        self.told_of.insert((id, None), self.generation);
        self.put_count((id, None), None, &table.bucket_metadata);
        self.put_buckets(&table.bucket_metadata, |bucket| TableBucket::new(id, bucket));
    }

    /// Servers of 0.9.1 tell no count, but list all buckets.
    fn put_count(
        &mut self,
        of: (TableId, Option<PartitionId>),
        told: Option<i32>,
        buckets: &[proto::PbBucketMetadata],
    ) {
        let listed = i32::try_from(buckets.len()).ok().filter(|count| *count > 0);
        if let Some(count) = told.or(listed) {
            self.counts.insert(of, count);
        }
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
    Some(ServerAddress::new(node.host.clone(), port))
}

#[cfg(test)]
pub(super) mod tests;

//! The cluster as the rest of the client stands on it: who is asked what, where things are, and until when.

mod answers;
mod ask;
mod buckets;
mod known;
mod known_schemas;
mod leader_search;
mod metadata;
mod schemas;
mod servers;
mod topology;
mod unsent;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::meter::Owner;
use fluss_rpc::net::{Random, RequestError};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub(crate) use answers::Answers;
pub(crate) use buckets::{
    buckets_of, buckets_of_all, check_bucket, check_in_partition, each_bucket, told_or_the_tables,
};
use known::Known;
use known_schemas::Schemas;
pub(crate) use leader_search::LeaderSearch;
use metadata::Metadata;
pub(crate) use servers::Servers;
use topology::Topology;
pub(crate) use unsent::{OpenWriters, Unsent};

use crate::config::{ClientOptions, DiscoveryOptions};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::{deadline, meters, retry, wire};
use fluss_core::id::{BucketId, PartitionId, TableBucket, TableId};
use fluss_core::types::{InvalidDefinition, PartitionName, TableInfo, TablePath};

/// A cluster that is connected to. Clones share the connections and what is known.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: ClientOptions,
    servers: Arc<Servers>,
    metadata: Metadata,
    schemas: Schemas,
    writers: OpenWriters,
    closed: CancellationToken,
}

/// A [`Cluster`] that is not kept open by it.
#[derive(Clone, Debug)]
pub(crate) struct WeakCluster(Weak<Shared>);

impl WeakCluster {
    pub(crate) fn upgrade(&self) -> Option<Cluster> {
        self.0.upgrade().map(|shared| Cluster { shared })
    }
}

impl Cluster {
    /// Reaches the first bootstrap server that works, and learns the others from it.
    pub(crate) async fn connect(mut options: ClientOptions) -> Result<Self> {
        let refuse = |error: InvalidDefinition| Context::new("connect").error(error);
        options.validate().map_err(refuse)?;
        if options.bootstrap_servers.is_empty() {
            return Err(refuse(InvalidDefinition::new("bootstrap.servers is empty")));
        }
        meters::describe();
        let known = Arc::new(Known::default());
        let servers = Arc::new(Servers::new(&mut options, &known));
        let metadata = Metadata::new(servers.clone(), known, &options);
        let shared = Shared {
            options,
            servers,
            metadata,
            schemas: Schemas::default(),
            writers: OpenWriters::default(),
            closed: CancellationToken::new(),
        };
        let cluster = Self {
            shared: Arc::new(shared),
        };
        let timeout = cluster.options().connect_timeout;
        // A cluster that is starting has no tablet server yet, which passes; an unreachable one is told at once, unless its
        // name may lead elsewhere soon.
        let DiscoveryOptions {
            attempts, interval, ..
        } = cluster.options().discovery;
        let mut pauses =
            retry::pauses_from(interval, cluster.random()).take(attempts.saturating_sub(1) as usize);
        let deadline = Instant::now() + timeout;
        let discover = cluster.options().discover;
        loop {
            let Err(error) = cluster.shared.metadata.refresh(None, &[], 0).await else {
                return Ok(cluster);
            };
            let may_pass = is_starting(&error) || discover && error.is_retriable();
            let next = pauses.next().map(|pause| Instant::now() + pause);
            match next.filter(|next| may_pass && *next <= deadline) {
                Some(next) => sleep_until(next).await,
                None => return Err(error),
            }
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Closes the connection to every server. Who waits for an answer is told so.
    pub(crate) fn close(&self) {
        self.shared.closed.cancel();
        self.shared.servers.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.is_cancelled()
    }

    /// Waits until it is closed.
    pub(crate) async fn closed(&self) {
        self.shared.closed.cancelled().await;
    }

    pub(crate) fn downgrade(&self) -> WeakCluster {
        WeakCluster(Arc::downgrade(&self.shared))
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    /// The longest wait for the answer to a request, or for what takes several: of the call that asks, if it has a deadline of
    /// its own.
    pub(crate) fn request_timeout(&self) -> Duration {
        deadline::patience(self.options().request_timeout)
    }

    pub(crate) fn servers(&self) -> &Servers {
        &self.shared.servers
    }

    /// Whose metrics those of this connection are.
    pub(crate) fn owner(&self) -> &Owner {
        self.servers().owner()
    }

    /// Where chance comes from: the jitter of pauses, and choices among equals.
    pub(crate) fn random(&self) -> &Random {
        self.servers().random()
    }

    pub(crate) fn writers(&self) -> &OpenWriters {
        &self.shared.writers
    }

    /// Where things are, as far as it is known now.
    pub(crate) fn topology(&self) -> Arc<Topology> {
        self.shared.metadata.topology()
    }

    pub(crate) async fn refresh(&self, table: Option<&TablePath>, generation: u64) -> Result<Arc<Topology>> {
        self.until_closed(
            "get metadata",
            Box::pin(self.shared.metadata.refresh(table, &[], generation)),
        )
        .await
    }

    /// As [`refresh`](Self::refresh), for those who miss these buckets of a table, partitioned or not.
    pub(crate) async fn refresh_buckets(
        &self,
        table: &TablePath,
        buckets: impl IntoIterator<Item = &TableBucket>,
        generation: u64,
    ) -> Result<Arc<Topology>> {
        let (mut partitions, mut id) = (BTreeSet::new(), None);
        for bucket in buckets {
            partitions.extend(bucket.partition);
            id = Some(bucket.table);
        }
        if let Some(kind) = id.and_then(|id| self.topology().dropped(id)) {
            return Err(Context::new("get metadata").table(table).error(kind));
        }
        let partitions: Vec<_> = partitions.into_iter().collect();
        let metadata = &self.shared.metadata;
        let refreshing = metadata.refresh(Some(table), &partitions, generation);
        let refreshed = self.until_closed("get metadata", Box::pin(refreshing)).await;
        match id {
            Some(id) => self.unless_dropped(table, id, &partitions, refreshed).await,
            None => refreshed,
        }
    }

    /// What came of a refresh, unless the table turns out to be dropped. The metadata of a tablet server may be of before or
    /// after what is true: where they do not name the table, or another in its place, the coordinator is asked.
    async fn unless_dropped(
        &self,
        path: &TablePath,
        id: TableId,
        partitions: &[PartitionId],
        refreshed: Result<Arc<Topology>>,
    ) -> Result<Arc<Topology>> {
        let is_doubtful = match &refreshed {
            Ok(topology) => {
                let is_gone = |partition: &PartitionId| topology.is_gone_partition(*partition);
                topology.table(path) != Some(id) || partitions.iter().any(is_gone)
            }
            Err(error) => !error.is_retriable(),
        };
        if !is_doubtful {
            return refreshed;
        }
        let other = match self.table_info(path).await {
            Ok(info) if info.id == id => return refreshed,
            Ok(info) => Some(info.id),
            Err(error) if is_missing(&error) => None,
            Err(_) => return refreshed,
        };
        self.shared.metadata.drop_table(id, other);
        match self.topology().dropped(id) {
            Some(kind) => Err(Context::new("get metadata").table(path).error(kind)),
            None => refreshed,
        }
    }

    /// Asks for the partition of this name; nothing if there is none.
    pub(crate) async fn partition(
        &self,
        table: &TablePath,
        name: &PartitionName,
    ) -> Result<Option<PartitionId>> {
        let asked = Box::pin(self.shared.metadata.partition(table, name));
        self.until_closed("get metadata", asked).await
    }

    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.is_closed() {
            return Err(Context::new(operation).error(ErrorKind::Closed));
        }
        Ok(())
    }

    /// Does something that is of no use any more once the connection is closed.
    pub(crate) async fn until_closed<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.check_open(operation)?;
        tokio::select! {
            biased;
            done = work => done,
            () = self.closed() => Err(Context::new(operation).error(ErrorKind::Closed)),
        }
    }

    pub(crate) async fn table_info(&self, path: &TablePath) -> Result<TableInfo> {
        let context = Context::new("get table").table(path);
        let request = fluss_rpc::proto::GetTableInfoRequest {
            table_path: wire::table_path(path),
        };
        let response = self.ask(&context, &request).await?;
        wire::table_info(path, &response).map_err(|error| context.error(error))
    }

    /// How many buckets a table has, or a partition of it.
    ///
    /// # Errors
    ///
    /// There is no such partition; no server tells.
    pub(crate) async fn bucket_count(&self, info: &TableInfo, partition: Option<PartitionId>) -> Result<i32> {
        let Some(id) = partition else {
            return Ok(info.bucket_count);
        };
        let known = self.topology();
        if let Some(count) = known.bucket_count(info.id, partition) {
            return Ok(count);
        }
        let any = TableBucket::in_partition(info.id, id, BucketId(0));
        let topology = self
            .refresh_buckets(&info.path, [&any], known.generation())
            .await?;
        let context = || Context::new("find buckets of").table(&info.path);
        if topology.partition_name(id).is_none() {
            let message = format!("there is no partition {id}");
            let missing = ErrorKind::server(ErrorCode::PARTITION_NOT_EXISTS, Some(message));
            return Err(context().error(missing));
        }
        let told = topology.bucket_count(info.id, partition);
        told_or_the_tables(info, told).map_err(|kind| context().error(kind))
    }

    /// Refuses a bucket that a table does not have, nor a partition of it.
    pub(crate) async fn check_bucket(
        &self,
        operation: &'static str,
        info: &TableInfo,
        bucket: TableBucket,
    ) -> Result<()> {
        let refuse = |reason| {
            let context = self.topology().bucket_context(operation, &info.path, &bucket);
            context.error(ErrorKind::InvalidArgument(reason))
        };
        check_bucket(info, bucket).map_err(refuse)?;
        if bucket.partition.is_some() {
            let count = self.bucket_count(info, bucket.partition).await?;
            check_in_partition(count, bucket).map_err(refuse)?;
        }
        Ok(())
    }
}

/// Whether a cluster has no server yet that could tell where things are, and may soon have one.
fn is_starting(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NoServer | ErrorKind::Request(RequestError::Timeout { .. })
    ) || error.code() == Some(ErrorCode::NOT_COORDINATOR_LEADER)
}

/// Whether there is no table of the path that was asked for.
fn is_missing(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::TABLE_NOT_EXIST | ErrorCode::DATABASE_NOT_EXIST)
    )
}

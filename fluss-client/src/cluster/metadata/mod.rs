//! The cache of where things are, which servers fill and correct.

use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{RequestError, ServerAddress};
use fluss_rpc::proto;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::time::{sleep, timeout};

use super::known::Known;
use super::servers::Servers;
use super::topology::Topology;
use crate::config::ClientOptions;
use crate::error::{Context, Error, ErrorKind, Result, tell};
use crate::log_target;
use crate::meters::MetadataMeters;
use fluss_core::id::{PartitionId, TableId};
use fluss_core::types::{PartitionName, TablePath};

/// What a coordinator of 0.9.1 says that is not ready yet. It has no code for that, as those of 1.0 have, and tells of a table that is
/// gone with the same `UNKNOWN_SERVER_ERROR`.
const NOT_READY: &str = "not initialized";

/// How long a server may take before another is asked too: far longer than one that lives needs, far shorter than the
/// deadlines of those who wait.
const SILENCE: Duration = Duration::from_secs(1);

/// The same of a server to which there is no connection yet (RFC 8305 §5): its address may lead nowhere.
const NO_CONNECTION: Duration = Duration::from_millis(250);

/// The cache, and how it is refreshed.
#[derive(Debug)]
pub(crate) struct Metadata {
    servers: Arc<Servers>,
    bootstrap: Vec<ServerAddress>,
    /// Whether each address of a bootstrap server is one.
    discover: bool,
    known: Arc<Known>,
    refreshing: tokio::sync::Mutex<()>,
    /// The longest wait for the answer of one server.
    patience: Duration,
    meters: MetadataMeters,
}

impl Metadata {
    pub(crate) fn new(servers: Arc<Servers>, known: Arc<Known>, options: &ClientOptions) -> Self {
        let meters = MetadataMeters::of(servers.owner());
        Self {
            servers,
            bootstrap: options.bootstrap_servers.clone(),
            discover: options.discover,
            patience: options.discovery.timeout,
            known,
            refreshing: tokio::sync::Mutex::default(),
            meters,
        }
    }

    pub(crate) fn topology(&self) -> Arc<Topology> {
        self.known.topology()
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
        let has_table =
            table.is_none_or(|table| known.table(table).is_some() && !known.doubts_any(table, partitions));
        if known.generation() > generation && has_table && known.covers(partitions) {
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
            include_system_partitions: None,
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
        let is_it =
            |(other, id): &(&str, PartitionId)| *other == name.as_str() && !known.is_gone_partition(*id);
        Ok(ids.into_iter().find(is_it).map(|(_, id)| id))
    }

    /// Takes note that a table was dropped, and which one has taken its name.
    pub(crate) fn drop_table(&self, table: TableId, other: Option<TableId>) {
        self.update(|topology| topology.without_table(table, other));
    }

    fn update(&self, next: impl FnOnce(&Topology) -> Topology) {
        self.servers.assign(&self.known.update(next));
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
    /// connection, until one answers: the next when one fails, or is silent for [`SILENCE`] or [`NO_CONNECTION`].
    async fn ask_any(
        &self,
        request: &proto::MetadataRequest,
        table: Option<&TablePath>,
    ) -> Result<proto::MetadataResponse> {
        let candidates = self.candidates().await;
        let mut next = candidates.iter();
        let mut asked = FuturesUnordered::new();
        let mut last = Context::new("find servers").error(ErrorKind::NoServer);
        loop {
            let mut patience = SILENCE;
            if let Some(server) = next.next() {
                if self.servers.open(server).is_none() {
                    patience = NO_CONNECTION;
                }
                asked.push(self.ask_one(request, table, server));
            }
            tokio::select! {
                answer = asked.next() => match answer {
                    Some(Err(error)) if error.is_retriable() => last = error,
                    Some(answer) => return answer,
                    None => return Err(last),
                },
                () = sleep(patience), if next.len() > 0 => {}
            }
        }
    }

    /// The servers to begin with, as names are found now.
    async fn bootstrap(&self) -> Vec<ServerAddress> {
        if !self.discover {
            return self.bootstrap.clone();
        }
        let found = self.bootstrap.iter().map(|name| async {
            // A name that leads nowhere is told by whoever connects to it.
            match timeout(self.patience, self.servers.each_address(name)).await {
                Ok(Ok(servers)) if !servers.is_empty() => servers,
                _ => vec![name.clone()],
            }
        });
        join_all(found).await.concat()
    }

    async fn candidates(&self) -> Vec<ServerAddress> {
        let bootstrap = self.bootstrap().await;
        let known = self.topology();
        let mut candidates: Vec<_> = known.tablets().values().cloned().collect();
        let mut rng = self.servers.random().fork();
        rng.shuffle(&mut candidates);
        let is_new = |server: &&ServerAddress| !known.tablets().values().any(|tablet| tablet == *server);
        let mut others: Vec<_> = bootstrap.iter().filter(is_new).cloned().collect();
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
        match self.servers.ask(server, request, self.patience).await? {
            // A cluster that is starting names no tablet server yet.
            Ok(response) if response.tablet_servers.is_empty() => Err(context.error(ErrorKind::NoServer)),
            Ok(response) => Ok(response),
            Err(RequestError::Server {
                code: ErrorCode::UNKNOWN_SERVER_ERROR,
                message,
            }) if message.contains(NOT_READY) => {
                let not_ready = ErrorKind::server(ErrorCode::NOT_COORDINATOR_LEADER, Some(message));
                Err(context.error(not_ready))
            }
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

//! The task that carries out what the session decides.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fluss_rpc::guarded::{Guard, Guarded, Poisoned};
use fluss_rpc::net::ServerAddress;
use fluss_rpc::proto;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, debug, debug_span, field, trace};

use super::arrivals::Fetched;
use super::decode::Decoder;
use super::session::{Download, Fetch, Session, Wanted};
use crate::cluster::{Answers, Cluster, LeaderSearch};
use crate::error::StorageError;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::log_target;
use crate::meters::{ScannerMeters, only};
use crate::remote::RemoteFiles;
use crate::warnings::{Warnings, tell_once};
use fluss_core::id::{PartitionId, SchemaId, TableBucket};
use fluss_core::types::{Schema, TableInfo};

/// What a scanner and its fetcher share.
pub(super) struct Shared {
    pub(super) info: Arc<TableInfo>,
    pub(super) decoder: Decoder,
    /// Poisoned, it notifies `wake` and `news`.
    pub(super) session: Guarded<Session>,
    pub(super) meters: ScannerMeters,
    /// Rings when the fetcher has something to do.
    pub(super) wake: Arc<Notify>,
    /// Rings when the consumer has something to see.
    pub(super) news: Arc<Notify>,
}

impl Shared {
    pub(super) fn lock(&self) -> Result<Guard<'_, Session>> {
        self.session.lock().map_err(|poisoned| self.breakdown(poisoned))
    }

    /// What is told once a change of what a scanner has has ended half-way.
    pub(super) fn breakdown(&self, Poisoned: Poisoned) -> Error {
        let reason = "the scanner has failed half-way through a change and is not used any more; another one can go on \
                      from the last positions";
        let context = Context::new("poll").table(&self.info.path);
        context.error(ErrorKind::Defect(reason.to_owned()))
    }

    /// The next batch for the consumer. What it leaves room for is fetched while the consumer is busy with it.
    pub(super) fn next_fetched(&self) -> Result<Option<Fetched>> {
        let fetched = self.lock()?.next_fetched();
        if fetched.is_some() {
            self.wake.notify_one();
        }
        Ok(fetched)
    }
}

/// How many fetches that wait for news one server may have. With one, a bucket that comes to its end while others wait
/// there already would not be asked for until they are answered.
const WAITING: usize = 4;

/// How often in a row a server may answer at once that there is nothing, though it is to wait for news.
const HASTY: u32 = 3;

enum Event {
    /// With the time that it took.
    Answered(Fetch, Duration, Result<proto::FetchLogResponse>),
    Downloaded(Download, Result<Bytes, StorageError>),
    Refreshed(Result<()>),
    Schema(SchemaId, Result<Arc<Schema>>),
}

/// Fetches for one scanner, until it is aborted.
pub(super) struct Fetcher {
    shared: Arc<Shared>,
    cluster: Cluster,
    files: Arc<RemoteFiles>,
    tasks: JoinSet<Event>,
    /// How many fetches are under way to a server, of those that wait for news and of those that do not.
    busy: HashMap<(ServerAddress, bool), usize>,
    leaders: LeaderSearch,
    /// The schemas that are asked for.
    learning: BTreeSet<SchemaId>,
    /// How often in a row a server has answered at once that there is nothing, though it was to wait for news.
    hasty: HashMap<ServerAddress, u32>,
    warnings: Warnings,
}

impl Fetcher {
    pub(super) fn new(shared: Arc<Shared>, cluster: Cluster) -> Self {
        Self {
            shared,
            files: Arc::new(RemoteFiles::new(cluster.clone())),
            cluster,
            tasks: JoinSet::new(),
            busy: HashMap::new(),
            leaders: LeaderSearch::default(),
            learning: BTreeSet::new(),
            hasty: HashMap::new(),
            warnings: Warnings::default(),
        }
    }

    /// Fetches until the scanner has broken down, which its polls tell.
    pub(super) async fn run(mut self) {
        while self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Result<()> {
        let now = Instant::now();
        self.advance(now)?;
        let wake = self.shared.lock()?.next_wake(now);
        tokio::select! {
            () = self.shared.wake.notified() => {}
            () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
            Some(event) = self.tasks.join_next() => {
                // A task that panicked leaves its buckets unanswered, which poll tells.
                if let Ok(event) = event {
                    self.on_event(event)?;
                }
            }
        }
        Ok(())
    }

    fn advance(&mut self, now: Instant) -> Result<()> {
        let topology = self.cluster.topology();
        let leader = |bucket: &_| topology.leader(bucket).cloned();
        let busy = |server: &ServerAddress, waits: bool| {
            let most = if waits { WAITING } else { 1 };
            self.busy
                .get(&(server.clone(), waits))
                .is_some_and(|count| *count >= most)
        };
        let (downloads, (fetches, lost)) = {
            let mut session = self.shared.lock()?;
            // First what ends reading in remote storage: after that there is more to fetch.
            (session.downloads(now), session.fetches(now, leader, busy))
        };
        for download in downloads {
            self.download(download);
        }
        for fetch in fetches {
            self.fetch(fetch);
        }
        if !lost.is_empty() {
            self.leaders.add(lost);
            self.refresh();
        }
        let unknown = self.shared.lock()?.unknown_schemas(now);
        for schema in unknown {
            self.learn(schema);
        }
        Ok(())
    }

    fn learn(&mut self, id: SchemaId) {
        if self.learning.insert(id) {
            let (cluster, info) = (self.cluster.clone(), self.shared.info.clone());
            self.tasks
                .spawn(async move { Event::Schema(id, cluster.schema(&info, id).await) });
        }
    }

    fn fetch(&mut self, fetch: Fetch) {
        *self.busy.entry((fetch.server.clone(), fetch.waits)).or_default() += 1;
        let request = self.request(&fetch);
        let (cluster, shared) = (self.cluster.clone(), self.shared.clone());
        let context = Context::new("poll")
            .table(&self.shared.info.path)
            .server(&fetch.server);
        let span = self.span(&fetch);
        let answered = async move {
            let begun = Instant::now();
            let answer = ask(&cluster, &fetch.server, &request, &context).await;
            shared.meters.answered(begun, fetch.waits, answer.is_ok());
            Event::Answered(fetch, begun.elapsed(), answer)
        };
        self.tasks.spawn(answered.instrument(span));
    }

    /// The time in which a fetch is on its way.
    fn span(&self, fetch: &Fetch) -> tracing::Span {
        debug_span!(
            target: log_target::SCANNER,
            "fetch",
            table = %self.shared.info.path,
            bucket = only(fetch.buckets.iter().map(|wanted| &wanted.bucket)),
            buckets = fetch.buckets.len(),
            server = %fetch.server,
            waits = fetch.waits,
        )
    }

    fn download(&mut self, download: Download) {
        let files = self.files.clone();
        self.tasks.spawn(async move {
            let stretch = &download.stretch;
            let outcome = files.read(&stretch.segment.file, stretch.range.clone()).await;
            Event::Downloaded(download, outcome)
        });
    }

    fn request(&self, fetch: &Fetch) -> proto::FetchLogRequest {
        let options = &self.cluster.options().scanner;
        let bytes = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
        let columns = self.shared.decoder.projection().filter(|_| fetch.projected);
        let pushed = self.shared.decoder.pushed();
        let topology = self.cluster.topology();
        let bucket = |wanted: &Wanted| proto::PbFetchLogReqForBucket {
            partition_id: wanted.bucket.partition.map(PartitionId::get),
            bucket_id: wanted.bucket.bucket.get(),
            fetch_offset: wanted.offset,
            max_fetch_bytes: bytes(options.fetch_max_bytes_per_bucket),
            routing_bucket_count: topology.bucket_count(wanted.bucket.table, wanted.bucket.partition),
        };
        let table = proto::PbFetchLogReqForTable {
            table_id: self.shared.info.id.get(),
            projection_pushdown_enabled: columns.is_some(),
            projected_fields: columns
                .unwrap_or_default()
                .iter()
                .map(|column| *column as i32)
                .collect(),
            buckets_req: fetch.buckets.iter().map(bucket).collect(),
            filter_predicate: pushed.map(|(predicate, _)| predicate.clone()),
            filter_schema_id: pushed.map(|(_, schema)| schema.get().into()),
        };
        let wait = if fetch.waits {
            options.fetch_wait
        } else {
            Duration::ZERO
        };
        proto::FetchLogRequest {
            follower_server_id: -1,
            max_bytes: bytes(options.fetch_max_bytes),
            tables_req: vec![table],
            max_wait_ms: Some(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)),
            min_bytes: Some(bytes(options.fetch_min_bytes)),
            read_preference: options.read_preference.number(),
        }
    }

    fn refresh(&mut self) {
        if let Some(refreshed) = self.leaders.begin(&self.cluster, &self.shared.info.path) {
            self.tasks.spawn(async move { Event::Refreshed(refreshed.await) });
        }
    }

    fn on_event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Refreshed(refreshed) => {
                self.leaders.end();
                if let Err(error) = refreshed {
                    let table = field::display(&self.shared.info.path);
                    debug!(target: log_target::SCANNER, table, %error, "no metadata");
                }
                let topology = self.cluster.topology();
                let is_led = |bucket: &_| topology.leader(bucket).is_some();
                let mut session = self.shared.lock()?;
                session.end(|bucket| topology.is_gone(bucket));
                if let Some(dropped) = topology.dropped(self.shared.info.id) {
                    session.drop_table(&self.shared.info.path, &dropped);
                }
                let timeout = self.cluster.options().request_timeout;
                session.rest_lost(Instant::now(), is_led, timeout);
                drop(session);
                // Nothing more comes of what is gone, for which somebody may wait.
                self.shared.news.notify_waiters();
            }
            Event::Schema(id, schema) => self.on_schema(id, schema)?,
            Event::Downloaded(download, outcome) => {
                let (bucket, has_failed) = (download.bucket, outcome.is_err());
                self.shared.lock()?.on_download(download, outcome, Instant::now());
                if has_failed {
                    self.tell(&bucket, "a download failed")?;
                }
                self.shared.news.notify_waiters();
            }
            Event::Answered(fetch, took, answer) => {
                if let Some(count) = self.busy.get_mut(&(fetch.server.clone(), fetch.waits)) {
                    *count -= 1;
                }
                match answer {
                    Ok(response) => self.on_response(&fetch, took, response)?,
                    Err(error) => self.on_failure(&fetch.buckets, &error)?,
                }
                self.shared.news.notify_waiters();
            }
        }
        Ok(())
    }

    fn on_schema(&mut self, id: SchemaId, schema: Result<Arc<Schema>>) -> Result<()> {
        self.learning.remove(&id);
        let mut session = self.shared.lock()?;
        match schema {
            Ok(schema) => session.learn(id, self.shared.decoder.forms(&schema)),
            Err(error) => session.unlearned(id, &error, Instant::now()),
        }
        self.shared.news.notify_waiters();
        Ok(())
    }

    fn on_response(
        &mut self,
        fetch: &Fetch,
        took: Duration,
        response: proto::FetchLogResponse,
    ) -> Result<()> {
        let (server, now) = (&fetch.server, Instant::now());
        let answers = response.tables_resp.into_iter();
        let answers = answers.flat_map(|table| table.buckets_resp);
        let mut answers: Answers<_> = answers
            .map(|answer| (answer.partition_id, answer.bucket_id, answer))
            .collect();
        let is_hasty = self.is_hasty(fetch, took, &answers);
        let mut refresh = false;
        for wanted in &fetch.buckets {
            let answer = answers.take(&wanted.bucket);
            let records = answer.as_ref().and_then(|answer| answer.records.as_ref());
            self.note(wanted, server, records.map_or(0, bytes::Bytes::len));
            if self.shared.lock()?.on_answer(wanted, answer, server, now) {
                self.leaders.add([wanted.bucket]);
                refresh = true;
            }
            self.tell(&wanted.bucket, "a fetch was refused")?;
        }
        if is_hasty {
            self.shared.lock()?.rest_idle(&fetch.buckets, now);
        }
        if refresh {
            self.refresh();
        }
        Ok(())
    }

    /// Whether a fetch was to wait for news, and its server answers at once that there are none, again and again.
    fn is_hasty(
        &mut self,
        fetch: &Fetch,
        took: Duration,
        answers: &Answers<proto::PbFetchLogRespForBucket>,
    ) -> bool {
        let says_nothing = |answer: &proto::PbFetchLogRespForBucket| {
            let is_empty = answer.records.as_ref().is_none_or(bytes::Bytes::is_empty);
            is_empty && answer.error_code.is_none() && answer.remote_log_fetch_info.is_none()
        };
        let wait = self.cluster.options().scanner.fetch_wait;
        if !fetch.waits || took >= wait / 2 || !answers.iter().all(says_nothing) {
            self.hasty.remove(&fetch.server);
            return false;
        }
        let times = self.hasty.entry(fetch.server.clone()).or_default();
        *times += 1;
        *times > HASTY
    }

    /// Tells what was said of a bucket instead of what was asked for.
    fn tell(&mut self, bucket: &TableBucket, what: &'static str) -> Result<()> {
        let complaint = self.shared.lock()?.complaint(bucket);
        if let Some((error, attempts)) = complaint {
            tell_once!(log_target::SCANNER, self.warnings, &error, attempts, "{what}");
        }
        Ok(())
    }

    /// Takes note of how many bytes of records were fetched.
    fn note(&self, wanted: &Wanted, server: &ServerAddress, bytes: usize) {
        let (table, bucket) = (field::display(&self.shared.info.path), wanted.bucket.bucket.get());
        trace!(target: log_target::SCANNER, table, bucket, %server, offset = wanted.offset, bytes, "fetched");
        self.shared.meters.fetched(bytes);
    }

    fn on_failure(&mut self, wanted: &[Wanted], error: &Error) -> Result<()> {
        tell_once!(
            log_target::SCANNER,
            self.warnings,
            error,
            1,
            buckets = wanted.len(),
            "a fetch failed"
        );
        self.shared.lock()?.on_failure(wanted, error, Instant::now());
        self.leaders.add(wanted.iter().map(|wanted| wanted.bucket));
        self.refresh();
        Ok(())
    }
}

async fn ask(
    cluster: &Cluster,
    server: &ServerAddress,
    request: &proto::FetchLogRequest,
    context: &Context,
) -> Result<proto::FetchLogResponse> {
    cluster.check_open("poll")?;
    let open = cluster
        .servers()
        .get(server)
        .await
        .map_err(|error| error.within(context.clone()))?;
    open.request(request)
        .await
        .map_err(|error| context.clone().error(error))
}

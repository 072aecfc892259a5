//! Buckets of primary-key tables as they are, from servers that give them out (`behaviour.md` §5.6).

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_rpc::api::ApiKey;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{Random, ServerAddress};
use fluss_rpc::proto;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::columns::Columns;
use super::end::End;
use super::stored::StoredRows;
use crate::cluster::Cluster;
use crate::error::{Context, Error, ErrorKind, Result, retry_at_leader};
use crate::retry::{self, Stall};
use fluss_core::DecodeError;
use fluss_core::id::{PartitionId, TableBucket};
use fluss_core::record::value::encoded_values;

/// How many bytes one answer is to have.
const ANSWER_BYTES: i32 = 1 << 20;

/// What reads buckets of a table.
pub(super) struct KvScans {
    cluster: Cluster,
    columns: Arc<Columns>,
    rows: StoredRows,
}

/// Whether a server gives no buckets out.
pub(super) const fn is_unsupported(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported(_))
}

impl KvScans {
    pub(super) fn new(cluster: &Cluster, columns: Arc<Columns>) -> Arc<Self> {
        Arc::new(Self {
            cluster: cluster.clone(),
            rows: StoredRows::new(cluster, &columns),
            columns,
        })
    }

    /// Whether the server that leads a bucket gives it out. It is asked again, or the next that leads it, where that can help.
    pub(super) async fn are_offered(&self, bucket: TableBucket) -> Result<bool> {
        let context = self.context(bucket);
        let timeout = self.cluster.request_timeout();
        let ask = |_| self.ask_what_is_offered(context.clone(), bucket);
        retry::until_by(may_begin_anew, &context, timeout, self.cluster.random(), ask).await
    }

    async fn ask_what_is_offered(&self, context: Context, bucket: TableBucket) -> Result<bool> {
        let (cluster, path) = (&self.cluster, &self.columns.info.path);
        let generation = cluster.topology().generation();
        let server = cluster.leader(&context, path, &bucket).await?;
        let open = cluster.servers().get(&server).await;
        if open.is_err() {
            cluster.refresh_buckets(path, [&bucket], generation).await?;
        }
        let open = open.map_err(|error| error.within(context.server(&server)))?;
        Ok(open.negotiated().usable(ApiKey::ScanKv).is_ok())
    }

    /// The rows of a bucket at one moment, whose offset is told by `end` once it is known.
    pub(super) fn scan(self: &Arc<Self>, bucket: TableBucket, end: End) -> KvScan {
        KvScan {
            scans: self.clone(),
            bucket,
            end,
            state: State::New,
            has_begun: false,
        }
    }

    /// All rows of a bucket at one moment. A scan that is cut short begins anew, within the request timeout after the first
    /// that was.
    pub(super) async fn collect(
        self: &Arc<Self>,
        bucket: TableBucket,
        end: &End,
    ) -> Result<Vec<RecordBatch>> {
        let timeout = self.cluster.request_timeout();
        let mut stall = None;
        let mut attempts = 0;
        loop {
            let mut scan = self.scan(bucket, end.clone());
            let mut rows = Vec::new();
            let error = loop {
                match scan.next().await {
                    Ok(Some(batch)) => rows.push(batch),
                    Ok(None) => return Ok(rows),
                    Err(error) => break error,
                }
            };
            attempts += 1;
            if !scan.has_begun || !may_begin_anew(&error, attempts) {
                return Err(error);
            }
            let stall = stall.get_or_insert_with(|| Stall::new(timeout, self.cluster.random()));
            if !stall.pause().await {
                return Err(error);
            }
        }
    }

    fn context(&self, bucket: TableBucket) -> Context {
        let topology = self.cluster.topology();
        topology.bucket_context("read", &self.columns.info.path, &bucket)
    }
}

/// A bucket that is read.
pub(super) struct KvScan {
    scans: Arc<KvScans>,
    bucket: TableBucket,
    end: End,
    state: State,
    has_begun: bool,
}

enum State {
    New,
    Open(Next),
    Ended,
}

/// The next answer of an open scan, which is asked for while the rows of the last one are read. A scan of which it is
/// dropped is closed.
struct Next(JoinSet<Result<(Box<Open>, proto::ScanKvResponse)>>);

impl Next {
    fn ask(mut open: Box<Open>) -> Self {
        let mut asked = JoinSet::new();
        let runtime = open.runtime.clone();
        let ask = async move {
            let answer = open.ask_on().await?;
            Ok((open, answer))
        };
        asked.spawn_on(ask.in_current_span(), &runtime);
        Self(asked)
    }

    async fn answer(mut self) -> Result<(Box<Open>, proto::ScanKvResponse)> {
        match self.0.join_next().await {
            Some(Ok(answered)) => answered,
            Some(Err(error)) if error.is_panic() => {
                let kind = ErrorKind::Defect(error.to_string());
                Err(Context::new("read").error(kind))
            }
            // The runtime is shut down.
            _ => Err(Context::new("read").error(ErrorKind::Closed)),
        }
    }
}

impl KvScan {
    /// The next rows, in the columns that are shown. A scan that is cut short before its first rows are out begins anew.
    ///
    /// A scan is not to be gone on with when the future was dropped.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some((records, context)) = self.next_answer().await? else {
            return Ok(None);
        };
        let values = encoded_values(&records).map_err(|error| context.clone().error(error))?;
        let rows = self.scans.rows.columns(&values, &context).await?;
        self.scans.columns.show(&rows).map(Some)
    }

    /// As [`next`](Self::next), as the server has them: a batch of stored values (`records.md` §3.2).
    pub(super) async fn next_stored(&mut self) -> Result<Option<Bytes>> {
        let answer = self.next_answer().await?;
        Ok(answer.map(|(records, _)| records))
    }

    async fn next_answer(&mut self) -> Result<Option<(Bytes, Context)>> {
        loop {
            let (open, answer) = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(None),
                State::New => {
                    let begun = self.begin().await?;
                    self.has_begun = true;
                    begun
                }
                State::Open(next) => next.answer().await?,
            };
            if let Some(values) = self.take(open, answer).await? {
                return Ok(Some(values));
            }
        }
    }

    /// Opens a scan, trying again what can be helped.
    async fn begin(&self) -> Result<(Box<Open>, proto::ScanKvResponse)> {
        let cluster = &self.scans.cluster;
        let timeout = cluster.request_timeout();
        let context = self.scans.context(self.bucket);
        let open = |limit| self.open(context.clone(), limit);
        retry::until_by(may_begin_anew, &context, timeout, cluster.random(), open).await
    }

    /// Opens a scan. A server of which nothing comes by `limit` is given up.
    async fn open(&self, context: Context, limit: Instant) -> Result<(Box<Open>, proto::ScanKvResponse)> {
        let (cluster, path) = (&self.scans.cluster, &self.scans.columns.info.path);
        let generation = cluster.topology().generation();
        let server = cluster.leader(&context, path, &self.bucket).await?;
        let mut open = Box::new(Open {
            cluster: cluster.clone(),
            context: context.server(&server),
            server,
            scanner: None,
            call: 0,
            progress: Progress::new(cluster.request_timeout(), cluster.random()),
            runtime: Handle::current(),
        });
        let count = cluster
            .topology()
            .bucket_count(self.bucket.table, self.bucket.partition);
        let answer = open.ask(opening(self.bucket, count), limit).await;
        if matches!(&answer, Err(error) if error.is_worth_another(retry_at_leader, 0)) {
            cluster.refresh_buckets(path, [&self.bucket], generation).await?;
        }
        let answer = answer?;
        let malformed = || {
            let reason = "the first answer tells no offset of the log";
            open.context.clone().error(DecodeError::new("scan", reason))
        };
        let offset = answer.log_offset.ok_or_else(malformed)?;
        self.end.set(offset);
        Ok((open, answer))
    }

    /// The values of an answer, if there are any. What comes after it is asked for next.
    async fn take(
        &mut self,
        mut open: Box<Open>,
        mut answer: proto::ScanKvResponse,
    ) -> Result<Option<(Bytes, Context)>> {
        let records = answer.records.take().unwrap_or_default();
        let mut values = Vec::new();
        if !records.is_empty() {
            values = encoded_values(&records).map_err(|error| open.context.clone().error(error))?;
        }
        let malformed = |reason: String| open.context.clone().error(DecodeError::new("scan", reason));
        if answer.has_more_results() || !values.is_empty() {
            open.progress.on_answer(&values).await.map_err(malformed)?;
        }
        let context = open.context.clone();
        if answer.has_more_results() {
            if open.scanner.is_none() {
                return Err(malformed("there is more, and no scan to ask for it".to_owned()));
            }
            self.state = State::Open(Next::ask(open));
        } else {
            // The server has closed it.
            open.scanner = None;
        }
        let is_empty = values.is_empty();
        Ok((!is_empty).then_some((records, context)))
    }
}

/// A scan at a server, which is closed there when it is dropped.
struct Open {
    cluster: Cluster,
    context: Context,
    server: ServerAddress,
    /// By which the server knows it.
    scanner: Option<Bytes>,
    /// How often it was asked for more.
    call: i32,
    progress: Progress,
    runtime: Handle,
}

impl Open {
    async fn ask_on(&mut self) -> Result<proto::ScanKvResponse> {
        self.call += 1;
        let request = proto::ScanKvRequest {
            scanner_id: self.scanner.clone(),
            call_seq_id: Some(self.call),
            batch_size_bytes: Some(ANSWER_BYTES),
            ..Default::default()
        };
        let limit = Instant::now() + self.cluster.request_timeout();
        self.ask(request, limit).await
    }

    async fn ask(&mut self, request: proto::ScanKvRequest, limit: Instant) -> Result<proto::ScanKvResponse> {
        self.cluster.check_open("read")?;
        let asked = self
            .cluster
            .ask_server(&self.server, &self.context, &request, limit);
        let mut answer = asked.await?;
        if let Some(kind) = ErrorKind::refusal(answer.error_code, answer.error_message.take()) {
            return Err(self.context.clone().error(kind));
        }
        self.scanner = answer.scanner_id.take();
        Ok(answer)
    }
}

impl Drop for Open {
    /// A server keeps a scan for minutes, and has room for a few.
    fn drop(&mut self) {
        if let Some(scanner) = self.scanner.take()
            && let Some(open) = self.cluster.servers().open(&self.server)
        {
            let request = proto::ScanKvRequest {
                scanner_id: Some(scanner),
                close_scanner: Some(true),
                ..Default::default()
            };
            // If it is lost, the scan expires.
            self.runtime.spawn(async move { open.request(&request).await });
        }
    }
}

/// Whether a scan gets on: no row comes twice, for all of them are of one moment, and rows come before long.
struct Progress {
    /// The first row of every answer: one that comes again shows that they begin again. What tells them apart is secret
    /// to the server.
    firsts: HashSet<u64>,
    hasher: RandomState,
    stall: Stall,
    timeout: Duration,
}

impl Progress {
    fn new(timeout: Duration, random: &Random) -> Self {
        Self {
            firsts: HashSet::new(),
            hasher: RandomState::new(),
            stall: Stall::new(timeout, random),
            timeout,
        }
    }

    /// Takes note of an answer. After one without rows it lets a pause pass.
    async fn on_answer(&mut self, values: &[&[u8]]) -> Result<(), String> {
        let Some(first) = values.first() else {
            if self.stall.pause().await {
                return Ok(());
            }
            return Err(format!("there is more, but no rows came for {:?}", self.timeout));
        };
        self.stall.end();
        if self.firsts.insert(self.hasher.hash_one(first)) {
            return Ok(());
        }
        Err("the same rows came again".to_owned())
    }
}

fn may_begin_anew(error: &Error, attempts: u32) -> bool {
    const PASSING: [ErrorCode; 3] = [
        ErrorCode::SCANNER_EXPIRED,
        ErrorCode::UNKNOWN_SCANNER_ID,
        ErrorCode::TOO_MANY_SCANNERS,
    ];
    error.is_worth_another(retry_at_leader, attempts)
        || error.code().is_some_and(|code| PASSING.contains(&code))
}

fn opening(bucket: TableBucket, routing_bucket_count: Option<i32>) -> proto::ScanKvRequest {
    proto::ScanKvRequest {
        bucket_scan_req: Some(proto::PbScanReqForBucket {
            table_id: bucket.table.get(),
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            limit: None,
            routing_bucket_count,
        }),
        call_seq_id: Some(0),
        batch_size_bytes: Some(ANSWER_BYTES),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn values(rows: &[&'static str]) -> Vec<&'static [u8]> {
        rows.iter().map(|row| row.as_bytes()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_come_again_are_told() {
        let mut progress = Progress::new(TIMEOUT, &Random::with_seed(1));
        for rows in [["a", "b"], ["c", "d"]] {
            progress.on_answer(&values(&rows)).await.unwrap();
        }
        let error = progress.on_answer(&values(&["a", "b"])).await.unwrap_err();
        assert_eq!(error, "the same rows came again");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_without_rows_end_in_time() {
        let mut progress = Progress::new(TIMEOUT, &Random::with_seed(1));
        let begun = Instant::now();
        let error = loop {
            if let Err(error) = progress.on_answer(&[]).await {
                break error;
            }
        };
        assert_eq!(error, "there is more, but no rows came for 30s");
        assert!((TIMEOUT / 2..=TIMEOUT).contains(&begun.elapsed()));
    }
}

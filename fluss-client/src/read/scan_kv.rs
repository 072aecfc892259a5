//! Buckets of primary-key tables as they are, from servers that give them out (`behaviour.md` §5.6).

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::ServerAddress;
use fluss_rpc::proto;
use tokio::time::{Instant, sleep_until};

use super::stored::StoredRows;
use crate::cluster::Cluster;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::retry::{self, Stall};
use fluss_core::DecodeError;
use fluss_core::id::{Offset, PartitionId, TableBucket};
use fluss_core::record::value::split_values;
use fluss_core::types::TableInfo;

/// How many bytes one answer is to have.
const ANSWER_BYTES: i32 = 4 << 20;

/// What reads buckets of a table.
pub(super) struct KvScan<'a> {
    cluster: &'a Cluster,
    info: &'a TableInfo,
    rows: &'a StoredRows<'a>,
}

/// The rows of a bucket, and the end of its log at the moment that they are of.
pub(super) type Scanned = (Offset, Vec<RecordBatch>);

/// Whether a server gives no buckets out.
pub(super) const fn is_unsupported(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported(_))
}

impl<'a> KvScan<'a> {
    pub(super) const fn new(cluster: &'a Cluster, info: &'a TableInfo, rows: &'a StoredRows<'a>) -> Self {
        Self { cluster, info, rows }
    }

    /// The rows of a bucket at one moment. A scan that is cut short begins anew.
    pub(super) async fn read(&self, bucket: TableBucket) -> Result<Scanned> {
        let timeout = self.cluster.options().request_timeout;
        let mut pauses = retry::pauses();
        let (mut deadline, mut attempts) = (None, 0);
        loop {
            let error = match self.attempt(bucket).await {
                Ok(scanned) => return Ok(scanned),
                Err(error) => error,
            };
            let now = Instant::now();
            let next = now + pauses.next().unwrap_or(timeout);
            attempts += 1;
            if !may_begin_anew(&error, attempts) || next >= *deadline.get_or_insert(now + timeout) {
                return Err(error);
            }
            sleep_until(next).await;
        }
    }

    async fn attempt(&self, bucket: TableBucket) -> Result<Scanned> {
        let context = self
            .cluster
            .topology()
            .bucket_context("read", &self.info.path, &bucket);
        let generation = self.cluster.topology().generation();
        let server = self.cluster.leader(&context, &self.info.path, &bucket).await?;
        let scanned = self.scan(bucket, &server, context.server(&server)).await;
        if matches!(&scanned, Err(error) if error.is_worth_another(0)) {
            let path = &self.info.path;
            self.cluster.refresh_buckets(path, [&bucket], generation).await?;
        }
        scanned
    }

    async fn scan(&self, bucket: TableBucket, server: &ServerAddress, context: Context) -> Result<Scanned> {
        let mut answer = self.ask(server, &context, opening(bucket)).await?;
        let malformed = |reason: String| context.clone().error(DecodeError::new("scan", reason));
        let offset = answer
            .log_offset
            .ok_or_else(|| malformed("the first answer tells no offset of the log".to_owned()))?;
        let mut batches = Vec::new();
        let mut progress = Progress::new(self.cluster.options().request_timeout);
        let mut call = 0;
        loop {
            let records = answer.records.take().unwrap_or_default();
            let mut values = Vec::new();
            if !records.is_empty() {
                values = split_values(&records).map_err(|error| context.clone().error(error))?;
            }
            if answer.has_more_results() || !values.is_empty() {
                progress.on_answer(&values).await.map_err(malformed)?;
            }
            if !values.is_empty() {
                batches.push(self.rows.columns(&values, &context).await?);
            }
            if !answer.has_more_results() {
                return Ok((offset, batches));
            }
            let scanner = answer.scanner_id.take();
            let scanner =
                scanner.ok_or_else(|| malformed("there is more, and no scan to ask for it".to_owned()))?;
            call += 1;
            answer = self.ask(server, &context, going_on(scanner, call)).await?;
        }
    }

    async fn ask(
        &self,
        server: &ServerAddress,
        context: &Context,
        request: proto::ScanKvRequest,
    ) -> Result<proto::ScanKvResponse> {
        self.cluster.check_open("read")?;
        let open = self.cluster.servers().get(server).await;
        let open = open.map_err(|error| error.within(context.clone()))?;
        let answer = open
            .request(&request)
            .await
            .map_err(|error| context.clone().error(error))?;
        match ErrorCode::of(answer.error_code) {
            None => Ok(answer),
            Some(code) => Err(context
                .clone()
                .error(ErrorKind::server(code, answer.error_message))),
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
    fn new(timeout: Duration) -> Self {
        Self {
            firsts: HashSet::new(),
            hasher: RandomState::new(),
            stall: Stall::new(timeout),
            timeout,
        }
    }

    /// Takes note of an answer. After one without rows it lets a pause pass.
    async fn on_answer(&mut self, values: &[Bytes]) -> Result<(), String> {
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
    error.is_worth_another(attempts) || error.code().is_some_and(|code| PASSING.contains(&code))
}

fn opening(bucket: TableBucket) -> proto::ScanKvRequest {
    proto::ScanKvRequest {
        bucket_scan_req: Some(proto::PbScanReqForBucket {
            table_id: bucket.table.get(),
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            limit: None,
        }),
        call_seq_id: Some(0),
        batch_size_bytes: Some(ANSWER_BYTES),
        ..Default::default()
    }
}

fn going_on(scanner: Bytes, call: i32) -> proto::ScanKvRequest {
    proto::ScanKvRequest {
        scanner_id: Some(scanner),
        call_seq_id: Some(call),
        batch_size_bytes: Some(ANSWER_BYTES),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn values(rows: &[&'static str]) -> Vec<Bytes> {
        rows.iter()
            .map(|row| Bytes::from_static(row.as_bytes()))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_come_again_are_told() {
        let mut progress = Progress::new(TIMEOUT);
        for rows in [["a", "b"], ["c", "d"]] {
            progress.on_answer(&values(&rows)).await.unwrap();
        }
        let error = progress.on_answer(&values(&["a", "b"])).await.unwrap_err();
        assert_eq!(error, "the same rows came again");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_without_rows_end_in_time() {
        let mut progress = Progress::new(TIMEOUT);
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

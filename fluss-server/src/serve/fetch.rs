//! `FETCH_LOG` (`behaviour.md` §4).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fluss_core::id::Offset;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::memory::Room;
use super::projection::Columns;
use super::pruning::{Found, Pruning};
use super::resolve::{self, last_of_each, named};
use super::session::Session;
use crate::bucket::Bucket;
use crate::error::Failure;
use crate::security::Operation;

/// How long a fetch waits that names no time.
const DEFAULT_WAIT: Duration = Duration::from_millis(100);

/// Answers when there is enough to read or something to say, or the time is up.
pub(super) async fn fetch_log(
    session: Arc<Session>,
    request: proto::FetchLogRequest,
    mut room: Room,
) -> Result<(proto::FetchLogResponse, Room), Failure> {
    let fetch = Arc::new(Fetch::new(&session, request, &room)?);
    let deadline = Instant::now() + fetch.wait;
    loop {
        let news = Arc::new(Notify::new());
        // Before looking, so that nothing that comes meanwhile is missed.
        fetch.watch(&news);
        let is_late = Instant::now() >= deadline;
        if is_late || fetch.has_something() {
            let answer;
            (answer, room) = read(&session, &fetch, is_late, room).await?;
            if let Some(answer) = answer {
                return Ok((answer, room));
            }
        }
        // In time or not: it looks once more.
        let _ = timeout_at(deadline, news.notified()).await;
    }
}

/// What is there to read, as an answer; nothing if it is not enough, and `is_late` does not say that it is. It is read again
/// if there was no memory for it.
async fn read(
    session: &Session,
    fetch: &Arc<Fetch>,
    is_late: bool,
    mut room: Room,
) -> Result<(Option<proto::FetchLogResponse>, Room), Failure> {
    loop {
        let (fetch, mut taken) = (fetch.clone(), room);
        let read = move || (fetch.read(is_late, &mut taken), taken);
        let answer;
        (answer, room) = if session.node.reads_wait {
            let reading = tokio::task::spawn_blocking(read).await;
            reading.map_err(|error| Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()))?
        } else {
            read()
        };
        match room.short() {
            _ if room.is_too_large(0) => return Err(room.refusal()),
            None => return Ok((answer, room)),
            Some(bytes) => {
                drop(room);
                room = session.node.memory.room(bytes).await;
            }
        }
    }
}

/// What is asked for.
struct Fetch {
    tables: Vec<TableFetch>,
    max_bytes: usize,
    min_bytes: usize,
    wait: Duration,
    /// What is set aside for the answer as long as there is nothing to read.
    room: usize,
}

struct TableFetch {
    id: i64,
    columns: Result<Columns, Failure>,
    pruning: Option<Pruning>,
    buckets: Vec<BucketFetch>,
}

struct BucketFetch {
    partition_id: Option<i64>,
    bucket_id: i32,
    offset: Offset,
    max_bytes: usize,
    bucket: Result<Arc<Bucket>, Failure>,
}

impl Fetch {
    fn new(session: &Session, request: proto::FetchLogRequest, room: &Room) -> Result<Self, Failure> {
        session.caller()?;
        let millis = |ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
        let min_bytes = request.min_bytes();
        let tables = last_of_each(request.tables_req, |table| table.table_id).into_iter();
        let tables = tables.map(|table| TableFetch::new(session, table));
        Ok(Self {
            tables: tables.collect::<Result<_, _>>()?,
            room: room.size(),
            max_bytes: usize::try_from(request.max_bytes).unwrap_or_default(),
            min_bytes: usize::try_from(min_bytes).unwrap_or_default(),
            // Only who says how much is enough waits for it.
            wait: match request.min_bytes {
                Some(_) => request.max_wait_ms.map_or(DEFAULT_WAIT, millis),
                None => Duration::ZERO,
            },
        })
    }

    fn buckets(&self) -> impl Iterator<Item = &BucketFetch> {
        self.tables.iter().flat_map(|table| &table.buckets)
    }

    fn watch(&self, news: &Arc<Notify>) {
        for bucket in self.buckets().filter_map(|fetch| fetch.bucket.as_ref().ok()) {
            bucket.watch(news);
        }
    }

    /// Whether it is worth while to read: without a look at any file.
    fn has_something(&self) -> bool {
        self.tables.iter().any(|table| table.columns.is_err())
            || self.buckets().any(BucketFetch::has_something)
            || self.buckets().all(|fetch| fetch.bucket.is_err())
    }

    /// What is there to read, as an answer; nothing if it is not enough.
    fn read(&self, is_late: bool, room: &mut Room) -> Option<proto::FetchLogResponse> {
        let found = self.load(room);
        if room.short().is_none() && (is_late || self.is_enough(&found)) {
            return Some(self.answer(found, room));
        }
        if room.short().is_none() {
            room.reset(self.room);
        }
        None
    }

    /// Reads each bucket, within the limits. The first batch is read whatever its size.
    fn load(&self, room: &mut Room) -> Vec<Result<Found, Failure>> {
        let mut left = self.max_bytes.min(room.most() / 2);
        let mut is_first = true;
        let load = |(pruning, fetch): (Option<&Pruning>, &BucketFetch)| {
            let found = fetch.load(pruning, left.min(fetch.max_bytes), is_first, room)?;
            left = left.saturating_sub(found.records.len());
            is_first &= found.records.is_empty();
            Ok(found)
        };
        self.tables.iter().flat_map(TableFetch::reads).map(load).collect()
    }

    /// Whether to answer now: there are enough bytes, or something is wrong.
    fn is_enough(&self, found: &[Result<Found, Failure>]) -> bool {
        let bytes: usize = found.iter().flatten().map(|found| found.records.len()).sum();
        let mut failures = found.iter().filter_map(|found| found.as_ref().err());
        bytes >= self.min_bytes
            || found.iter().flatten().any(|found| found.filtered_end.is_some())
            || self.tables.iter().any(|table| table.columns.is_err())
            || failures.any(|failure| !may_pass(failure))
            || found.iter().all(Result::is_err)
    }

    fn answer(&self, found: Vec<Result<Found, Failure>>, room: &mut Room) -> proto::FetchLogResponse {
        let mut found = found.into_iter();
        let mut answer = |table: &TableFetch| {
            let mut columns = table.columns.clone();
            let buckets = table.buckets.iter().zip(found.by_ref());
            proto::PbFetchLogRespForTable {
                table_id: table.id,
                buckets_resp: buckets
                    .map(|(fetch, found)| answer_bucket(fetch, found, &mut columns, room))
                    .collect(),
            }
        };
        proto::FetchLogResponse {
            tables_resp: self.tables.iter().map(&mut answer).collect(),
        }
    }
}

/// Whether a failure does not keep a fetch from waiting for the other buckets (`behaviour.md` §4.2).
fn may_pass(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::UNKNOWN_TABLE_OR_BUCKET
    )
}

impl TableFetch {
    fn new(session: &Session, request: proto::PbFetchLogReqForTable) -> Result<Self, Failure> {
        let id = request.table_id;
        let table = resolve::table(session, id, Operation::Read);
        let columns = match &table {
            Ok(table) => Columns::new(
                table,
                request.projection_pushdown_enabled,
                &request.projected_fields,
            ),
            // It is reported for each bucket.
            Err(_) => Ok(Columns::All),
        };
        let pruning = match &table {
            Ok(table) => Pruning::new(table, &request)?,
            Err(_) => None,
        };
        let key = |bucket: &proto::PbFetchLogReqForBucket| (bucket.partition_id, bucket.bucket_id);
        let buckets = last_of_each(request.buckets_req, key).into_iter();
        let buckets = buckets.map(|bucket| BucketFetch {
            partition_id: bucket.partition_id,
            bucket_id: bucket.bucket_id,
            offset: bucket.fetch_offset,
            max_bytes: usize::try_from(bucket.max_fetch_bytes).unwrap_or_default(),
            bucket: table
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|table| resolve::bucket(session, table, named!(bucket))),
        });
        Ok(Self {
            id,
            buckets: buckets.collect(),
            columns,
            pruning,
        })
    }
}

impl TableFetch {
    /// The buckets, each with what rules batches out.
    fn reads(&self) -> impl Iterator<Item = (Option<&Pruning>, &BucketFetch)> {
        let pruning = self.pruning.as_ref();
        self.buckets.iter().map(move |fetch| (pruning, fetch))
    }
}

impl BucketFetch {
    /// Whether there is something to read, or something to say that cannot wait.
    fn has_something(&self) -> bool {
        match &self.bucket {
            Ok(bucket) => self.offset != bucket.high_watermark(),
            Err(failure) => !may_pass(failure),
        }
    }

    fn load(
        &self,
        pruning: Option<&Pruning>,
        max_bytes: usize,
        at_least_one: bool,
        room: &mut Room,
    ) -> Result<Found, Failure> {
        let bucket = self.bucket.as_ref().map_err(Clone::clone)?;
        if let Some(pruning) = pruning.filter(|_| max_bytes > 0 || at_least_one) {
            let limits = (max_bytes, at_least_one);
            return pruning.read(bucket, self.offset, limits, |bytes| Ok(room.take(bytes)?));
        }
        let (start, high_watermark, slice) = bucket.find(self.offset, max_bytes, at_least_one)?;
        let records = if max_bytes > 0 || at_least_one {
            room.take(slice.bytes())?;
            slice.load()?
        } else {
            Bytes::new()
        };
        Ok(Found {
            high_watermark,
            start,
            records,
            filtered_end: None,
        })
    }
}

fn answer_bucket(
    fetch: &BucketFetch,
    found: Result<Found, Failure>,
    columns: &mut Result<Columns, Failure>,
    room: &mut Room,
) -> proto::PbFetchLogRespForBucket {
    let read = found.and_then(|found| {
        let columns = columns.as_mut().map_err(|failure| failure.clone())?;
        if let Columns::Chosen(_) = columns {
            // They are copied.
            room.take(found.records.len())?;
        }
        Ok(Found {
            records: columns.apply(found.records)?,
            ..found
        })
    });
    let answer = proto::PbFetchLogRespForBucket {
        partition_id: fetch.partition_id,
        bucket_id: fetch.bucket_id,
        ..Default::default()
    };
    answer.with(read, |answer, found| {
        answer.high_watermark = Some(found.high_watermark);
        answer.log_start_offset = Some(found.start);
        answer.records = Some(found.records);
        answer.filtered_end_offset = found.filtered_end;
    })
}

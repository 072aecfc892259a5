//! `SCAN_KV`: all rows of a bucket as they are at one moment (`behaviour.md` §5.6).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fluss_core::id::TableBucket;
use fluss_core::record::value::{StoredValue, encode_values};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::answer::Answer;
use super::place;
use super::session::Session;
use crate::error::Failure;
use crate::security::Operation;

/// After so many milliseconds without a request a scan is given up.
const TTL_MS: i64 = 10 * 60 * 1_000;
/// The most scans of one bucket, and of the node.
const MOST: (usize, usize) = (8, 200);
/// The most bytes of values in one answer, unless a single value is larger.
const MOST_BYTES: usize = 10 << 20;

/// The scans that are under way.
///
/// Each has the values that are left to be told, copied: LMDB uses no page again as long as anybody reads from it, so that
/// the file would grow with every write while a scan waits for its client.
#[derive(Default)]
pub(crate) struct Scans {
    open: Mutex<HashMap<u64, Scan>>,
}

struct Scan {
    bucket: TableBucket,
    left: VecDeque<Bytes>,
    next_call: i32,
    used_ms: i64,
}

/// What one request gives.
struct Part {
    /// The scan, if there is more of it.
    scan: Option<u64>,
    values: Vec<Bytes>,
}

/// What a request asks for.
enum Call<'r> {
    Open {
        bucket: &'r proto::PbScanReqForBucket,
        most_bytes: usize,
    },
    GoOn {
        scan: u64,
        number: i32,
        most_bytes: usize,
    },
    Close(u64),
}

pub(super) fn scan_kv(
    session: &Session,
    request: proto::ScanKvRequest,
) -> Result<proto::ScanKvResponse, Failure> {
    let (scans, now_ms) = (&session.node.scans, session.node.admin.clock.now_ms());
    let answer = proto::ScanKvResponse::default();
    let call = match Call::new(&request) {
        Ok(call) => call,
        Err(failure) => return Ok(answer.with(Err::<(), _>(failure), |_, ()| {})),
    };
    match call {
        Call::Open { bucket, most_bytes } => {
            let table = place::table(session, bucket.table_id, Operation::Read)?;
            let opened =
                place::bucket(session, &table, bucket.partition_id, bucket.bucket_id).and_then(|home| {
                    let limit = bucket
                        .limit
                        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or_default());
                    let (offset, values) = home.all_values(limit)?;
                    let part = scans.open(home.id(), values, most_bytes, now_ms)?;
                    Ok((offset, part))
                });
            Ok(answer.with(opened, |answer, (offset, part)| {
                answer.log_offset = Some(offset);
                fill_in(answer, part);
            }))
        }
        Call::GoOn {
            scan,
            number,
            most_bytes,
        } => {
            if let Some(bucket) = scans.bucket(scan) {
                place::table(session, bucket.table.get(), Operation::Read)?;
            }
            let part = scans.go_on(scan, number, most_bytes, now_ms);
            Ok(answer.with(part, fill_in))
        }
        Call::Close(scan) => {
            scans.close(scan);
            Ok(answer)
        }
    }
}

fn fill_in(answer: &mut proto::ScanKvResponse, part: Part) {
    answer.has_more_results = Some(part.scan.is_some());
    answer.scanner_id = part.scan.map(|scan| Bytes::copy_from_slice(&scan.to_be_bytes()));
    let values: Vec<_> = part
        .values
        .iter()
        .filter_map(|value| StoredValue::decode(value).ok())
        .collect();
    answer.records = (!values.is_empty()).then(|| encode_values(&values).into());
}

impl<'r> Call<'r> {
    fn new(request: &'r proto::ScanKvRequest) -> Result<Self, Failure> {
        let scan = request.scanner_id.as_ref().map(|id| number_of(id)).transpose()?;
        let data = || {
            let most_bytes = request
                .batch_size_bytes
                .and_then(|bytes| usize::try_from(bytes).ok());
            match (request.call_seq_id, most_bytes) {
                (Some(number), Some(most_bytes @ 1..)) => Ok((number, most_bytes.min(MOST_BYTES))),
                _ => Err(invalid(
                    "it names no number of the call, or no size of the answer",
                )),
            }
        };
        match (scan, &request.bucket_scan_req) {
            (Some(scan), None) if request.close_scanner() => Ok(Self::Close(scan)),
            (Some(scan), None) => data().map(|(number, most_bytes)| Self::GoOn {
                scan,
                number,
                most_bytes,
            }),
            (None, Some(bucket)) => match data()? {
                (0, most_bytes) => Ok(Self::Open { bucket, most_bytes }),
                (number, _) => Err(invalid(format!("the first call has number 0, not {number}"))),
            },
            _ => Err(invalid("it names either a scan or a bucket")),
        }
    }
}

fn number_of(id: &[u8]) -> Result<u64, Failure> {
    let unknown = |_| Failure::new(ErrorCode::UNKNOWN_SCANNER_ID, "no scan has such an id");
    id.try_into().map(u64::from_be_bytes).map_err(unknown)
}

fn invalid(reason: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::INVALID_SCAN_REQUEST, reason.into())
}

impl Scans {
    fn open(
        &self,
        bucket: TableBucket,
        values: Vec<Bytes>,
        most_bytes: usize,
        now_ms: i64,
    ) -> Result<Part, Failure> {
        self.expire(now_ms);
        let mut scan = Scan {
            bucket,
            left: values.into(),
            next_call: 1,
            used_ms: now_ms,
        };
        let values = scan.take(most_bytes);
        if scan.left.is_empty() {
            return Ok(Part { scan: None, values });
        }
        let mut open = self.lock();
        let of_bucket = open.values().filter(|other| other.bucket == bucket).count();
        if of_bucket >= MOST.0 || open.len() >= MOST.1 {
            let message = format!(
                "{of_bucket} scans of {bucket} are under way, {} in all",
                open.len()
            );
            return Err(Failure::new(ErrorCode::TOO_MANY_SCANNERS, message));
        }
        let number = loop {
            // Nobody guesses the scan of somebody else.
            let number = RandomState::new().hash_one(now_ms);
            if !open.contains_key(&number) {
                break number;
            }
        };
        open.insert(number, scan);
        Ok(Part {
            scan: Some(number),
            values,
        })
    }

    fn go_on(&self, number: u64, call: i32, most_bytes: usize, now_ms: i64) -> Result<Part, Failure> {
        let mut open = self.lock();
        let Some(scan) = open.get_mut(&number) else {
            let message = "there is no such scan, or no more";
            return Err(Failure::new(ErrorCode::UNKNOWN_SCANNER_ID, message));
        };
        if scan.is_expired(now_ms) {
            open.remove(&number);
            let message = "nothing was asked of the scan for 10 minutes";
            return Err(Failure::new(ErrorCode::SCANNER_EXPIRED, message));
        }
        if call != scan.next_call {
            return Err(invalid(format!(
                "the next call has number {}, not {call}",
                scan.next_call
            )));
        }
        scan.next_call = call.wrapping_add(1);
        scan.used_ms = now_ms;
        let values = scan.take(most_bytes);
        let is_done = scan.left.is_empty();
        if is_done {
            open.remove(&number);
        }
        Ok(Part {
            scan: (!is_done).then_some(number),
            values,
        })
    }

    /// The bucket that is scanned.
    fn bucket(&self, number: u64) -> Option<TableBucket> {
        self.lock().get(&number).map(|scan| scan.bucket)
    }

    fn close(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// Gives up what nobody has asked for in a while.
    pub(crate) fn expire(&self, now_ms: i64) {
        self.lock().retain(|_, scan| !scan.is_expired(now_ms));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Scan>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scan {
    fn is_expired(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.used_ms) > TTL_MS
    }

    /// The next values, of at most so many bytes, but one at least.
    fn take(&mut self, most_bytes: usize) -> Vec<Bytes> {
        let mut taken = Vec::new();
        let mut bytes = 0_usize;
        while let Some(value) = self.left.pop_front() {
            bytes = bytes.saturating_add(size_of::<i32>() + value.len());
            if bytes > most_bytes && !taken.is_empty() {
                self.left.push_front(value);
                break;
            }
            taken.push(value);
        }
        taken
    }
}

impl fmt::Debug for Scans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scans").field("open", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use fluss_core::id::{BucketId, TableId};

    use super::*;

    fn bucket(number: i32) -> TableBucket {
        TableBucket::new(TableId(1), BucketId(number))
    }

    fn values(count: u8) -> Vec<Bytes> {
        (0..count).map(|number| Bytes::from(vec![1, 0, number])).collect()
    }

    fn code<T>(result: Result<T, Failure>) -> ErrorCode {
        result.err().expect("a refusal").code
    }

    #[test]
    fn values_come_in_parts_and_each_once() {
        let scans = Scans::default();
        let first = scans.open(bucket(0), values(5), 14, 0).unwrap();
        assert_eq!(first.values, values(5)[..2]);
        let scan = first.scan.unwrap();
        assert_eq!(code(scans.go_on(scan, 2, 14, 0)), ErrorCode::INVALID_SCAN_REQUEST);
        let second = scans.go_on(scan, 1, 1, 0).unwrap();
        assert_eq!((second.scan, &second.values[..]), (Some(scan), &values(5)[2..3]));
        assert_eq!(code(scans.go_on(scan, 1, 1, 0)), ErrorCode::INVALID_SCAN_REQUEST);
        let last = scans.go_on(scan, 2, MOST_BYTES, 0).unwrap();
        assert_eq!((last.scan, &last.values[..]), (None, &values(5)[3..]));
        assert_eq!(code(scans.go_on(scan, 3, 1, 0)), ErrorCode::UNKNOWN_SCANNER_ID);
        let nothing = scans.open(bucket(0), Vec::new(), 14, 0).unwrap();
        assert!(nothing.scan.is_none() && nothing.values.is_empty());
    }

    #[test]
    fn a_scan_that_nobody_asks_for_expires() {
        let scans = Scans::default();
        let open = || scans.open(bucket(0), values(5), 1, 0).unwrap().scan.unwrap();
        let (first, second) = (open(), open());
        assert!(scans.go_on(first, 1, 1, TTL_MS).is_ok());
        assert_eq!(
            code(scans.go_on(second, 1, 1, TTL_MS + 1)),
            ErrorCode::SCANNER_EXPIRED
        );
        scans.expire(TTL_MS + 1);
        assert!(scans.bucket(first).is_some());
        scans.close(first);
        assert!(scans.lock().is_empty());
    }

    #[test]
    fn there_are_only_so_many_scans() {
        let scans = Scans::default();
        let open = |number| scans.open(bucket(number), values(2), 1, 0);
        for number in 0..200 {
            open(number / 8).unwrap();
        }
        assert_eq!(code(open(99)), ErrorCode::TOO_MANY_SCANNERS);
        let scans = Scans::default();
        let open = |number| scans.open(bucket(number), values(2), 1, 0);
        for _ in 0..8 {
            open(0).unwrap();
        }
        assert_eq!(code(open(0)), ErrorCode::TOO_MANY_SCANNERS);
        assert!(open(1).is_ok());
    }

    #[test]
    fn a_request_names_one_thing() {
        let opens = proto::PbScanReqForBucket::default();
        let refused = [
            proto::ScanKvRequest::default(),
            proto::ScanKvRequest {
                bucket_scan_req: Some(opens),
                call_seq_id: Some(1),
                batch_size_bytes: Some(1),
                ..Default::default()
            },
            proto::ScanKvRequest {
                bucket_scan_req: Some(opens),
                call_seq_id: Some(0),
                batch_size_bytes: Some(0),
                ..Default::default()
            },
            proto::ScanKvRequest {
                bucket_scan_req: Some(opens),
                scanner_id: Some(vec![0; 8].into()),
                call_seq_id: Some(0),
                batch_size_bytes: Some(1),
                ..Default::default()
            },
        ];
        for request in refused {
            assert_eq!(
                code(Call::new(&request)),
                ErrorCode::INVALID_SCAN_REQUEST,
                "{request:?}"
            );
        }
        let stranger = proto::ScanKvRequest {
            scanner_id: Some(vec![0; 3].into()),
            ..Default::default()
        };
        assert_eq!(code(Call::new(&stranger)), ErrorCode::UNKNOWN_SCANNER_ID);
    }
}

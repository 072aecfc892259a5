//! The scans of buckets that are under way.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fluss_core::id::{Offset, TableBucket};
use fluss_core::record::value::ValuesBuilder;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::sync::{Mutex, MutexGuard};
use fluss_store::disk::Disk;

use super::owner::Owner;
use super::spool::{Spool, Spooled, Spools};
use crate::bucket::Bucket;
use crate::error::Failure;
use crate::kv;

/// The most scans of one bucket, and of the node.
const MOST: (usize, usize) = (8, 200);
/// The scans that are under way. Each ends with the connection that has opened it.
///
/// Each has the values that are left to be sent, copied: LMDB uses no page again as long as anybody reads from it, so that
/// the file would grow with every write while a scan waits for its client.
pub(super) struct Scans {
    spools: Spools,
    /// After so many milliseconds without a request a scan is given up.
    ttl_ms: i64,
    open: Mutex<HashMap<u64, Arc<Scan>>>,
}

struct Scan {
    bucket: TableBucket,
    /// The connection.
    owner: u64,
    used_ms: AtomicI64,
    rest: Mutex<Rest>,
}

/// What is left of a scan.
#[derive(Default)]
struct Rest {
    values: Spooled,
    next_call: i32,
}

/// What one request gives.
pub(super) struct Part {
    /// The scan, if there is more of it.
    pub(super) scan: Option<u64>,
    pub(super) values: ValuesBuilder,
}

/// A request that contradicts itself, or came out of order.
pub(super) fn invalid(reason: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::INVALID_SCAN_REQUEST, reason.into())
}

impl Scans {
    pub(super) fn new(disk: Arc<dyn Disk>, ttl: Duration) -> Self {
        Self {
            spools: Spools::new(disk),
            ttl_ms: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            open: Mutex::default(),
        }
    }

    /// Reads the first values of a bucket, and keeps the others for the requests to come.
    pub(super) fn open(
        &self,
        bucket: &Bucket,
        limit: usize,
        most_bytes: usize,
        caller: (&Owner, i64),
    ) -> Result<(Offset, Part), Failure> {
        self.begin(bucket.id(), most_bytes, caller, |visit| {
            bucket.visit_values(limit, visit)
        })
    }

    fn begin(
        &self,
        bucket: TableBucket,
        most_bytes: usize,
        (owner, now_ms): (&Owner, i64),
        visit_values: impl FnOnce(
            &mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>, Failure>,
        ) -> Result<Offset, Failure>,
    ) -> Result<(Offset, Part), Failure> {
        let mut values = ValuesBuilder::default();
        let mut more: Option<(u64, Arc<Scan>, Spool<'_>)> = None;
        let visited = visit_values(&mut |value| {
            if more.is_none() && !fits(&values, value, most_bytes) {
                // A place first: nothing is read for a scan that cannot be.
                let (number, scan) = self.add(bucket, owner, now_ms)?;
                more = Some((number, scan, self.spools.begin()));
            }
            match &mut more {
                None => values.push(value),
                Some((.., spool)) => spool.push(value).map_err(kv::Error::State)?,
            }
            Ok(ControlFlow::Continue(()))
        });
        let Some((number, scan, spool)) = more else {
            return Ok((visited?, Part { scan: None, values }));
        };
        let kept = visited.and_then(|offset| Ok((offset, spool.finish().map_err(kv::Error::State)?)));
        match kept {
            Ok((offset, rest)) => {
                *scan.rest() = Rest {
                    values: rest,
                    next_call: 1,
                };
                let scan = Some(number);
                Ok((offset, Part { scan, values }))
            }
            Err(failure) => {
                self.close(number, owner.id());
                Err(failure)
            }
        }
    }

    /// Adds a scan that has no values yet.
    fn add(&self, bucket: TableBucket, owner: &Owner, now_ms: i64) -> Result<(u64, Arc<Scan>), Failure> {
        self.expire(now_ms);
        let mut open = self.lock();
        let of_bucket = open.values().filter(|other| other.bucket == bucket).count();
        if of_bucket >= MOST.0 || open.len() >= MOST.1 {
            let message = format!(
                "{of_bucket} scans of {bucket} are under way, {} in all",
                open.len()
            );
            return Err(Failure::new(ErrorCode::TOO_MANY_SCANNERS, message));
        }
        if owner.has_ended() {
            let message = "the connection has ended";
            return Err(Failure::new(ErrorCode::NETWORK_EXCEPTION, message));
        }
        let number = loop {
            // From the system, never from a seed: nobody guesses the scan of somebody else.
            let number = RandomState::new().hash_one(now_ms);
            if !open.contains_key(&number) {
                break number;
            }
        };
        let scan = Arc::new(Scan {
            bucket,
            owner: owner.id(),
            used_ms: now_ms.into(),
            rest: Mutex::default(),
        });
        open.insert(number, scan.clone());
        Ok((number, scan))
    }

    pub(super) fn go_on(
        &self,
        (number, owner): (u64, u64),
        call: i32,
        most_bytes: usize,
        now_ms: i64,
    ) -> Result<Part, Failure> {
        let scan = self.find(number, owner).ok_or_else(|| {
            let message = "there is no such scan of this connection, or no more";
            Failure::new(ErrorCode::UNKNOWN_SCANNER_ID, message)
        })?;
        if scan.is_expired(now_ms, self.ttl_ms) {
            self.close(number, owner);
            let message = format!("nothing was asked of the scan for {} ms", self.ttl_ms);
            return Err(Failure::new(ErrorCode::SCANNER_EXPIRED, message));
        }
        let mut rest = scan.rest();
        if call != rest.next_call {
            return Err(invalid(format!(
                "the next call has number {}, not {call}",
                rest.next_call
            )));
        }
        rest.next_call = call.wrapping_add(1);
        scan.used_ms.store(now_ms, Ordering::Relaxed);
        let mut values = ValuesBuilder::default();
        let mut is_done = false;
        while let Some(value) = rest.values.peek().map_err(kv::Error::State)? {
            if !fits(&values, &value, most_bytes) {
                break;
            }
            values.push(&value);
            rest.values.pop();
            is_done = rest.values.is_empty();
        }
        drop(rest);
        if is_done {
            self.close(number, owner);
        }
        Ok(Part {
            scan: (!is_done).then_some(number),
            values,
        })
    }

    /// The scan of a number, if it is the connection's.
    fn find(&self, number: u64, owner: u64) -> Option<Arc<Scan>> {
        let scan = self.lock().get(&number).cloned();
        scan.filter(|scan| scan.owner == owner)
    }

    /// The bucket that is scanned.
    pub(super) fn bucket(&self, number: u64, owner: u64) -> Option<TableBucket> {
        self.find(number, owner).map(|scan| scan.bucket)
    }

    pub(super) fn close(&self, number: u64, owner: u64) {
        let mut open = self.lock();
        if open.get(&number).is_some_and(|scan| scan.owner == owner) {
            open.remove(&number);
        }
    }

    /// Gives up the scans of a connection that has ended.
    pub(super) fn end_of(&self, owner: u64) {
        self.lock().retain(|_, scan| scan.owner != owner);
    }

    /// Gives up what nobody has asked for in a while.
    pub(super) fn expire(&self, now_ms: i64) {
        self.lock()
            .retain(|_, scan| !scan.is_expired(now_ms, self.ttl_ms));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Scan>>> {
        self.open.lock()
    }
}

impl Scan {
    fn is_expired(&self, now_ms: i64, ttl_ms: i64) -> bool {
        now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed)) > ttl_ms
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock()
    }
}

/// Whether a value has its place in an answer: one has in any case.
fn fits(values: &ValuesBuilder, value: &[u8], most_bytes: usize) -> bool {
    values.is_empty() || values.bytes() + size_of::<i32>() + value.len() <= most_bytes
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

    pub(super) fn bucket(number: i32) -> TableBucket {
        TableBucket::new(TableId(1), BucketId(number))
    }

    const TTL_MS: i64 = 600_000;

    fn scans() -> Scans {
        let ttl = Duration::from_millis(TTL_MS as u64);
        Scans::new(Arc::new(fluss_store::disk::MemoryDisk::new()), ttl)
    }

    /// Opens a scan of so many values of 3 bytes.
    pub(super) fn open(
        scans: &Scans,
        bucket: TableBucket,
        count: u8,
        most_bytes: usize,
        owner: &Owner,
    ) -> Result<Part, Failure> {
        let opened = scans.begin(bucket, most_bytes, (owner, 0), |visit| {
            for number in 0..count {
                let _ = visit(&[1, 0, number])?;
            }
            Ok(7)
        });
        opened.map(|(offset, part)| {
            assert_eq!(offset, 7);
            part
        })
    }

    /// The last byte of each value.
    fn numbers(part: Part) -> Vec<u8> {
        let values = fluss_core::record::value::split_values(&part.values.finish().into()).unwrap();
        values.iter().map(|value| value[2]).collect()
    }

    fn code<T>(result: Result<T, Failure>) -> ErrorCode {
        result.err().expect("a refusal").code
    }

    #[test]
    fn values_come_in_parts_and_each_once() {
        let (scans, owner) = (scans(), Owner::new(1));
        let first = open(&scans, bucket(0), 5, 14, &owner).unwrap();
        let scan = (first.scan.unwrap(), 1);
        assert_eq!(numbers(first), [0, 1]);
        assert_eq!(code(scans.go_on(scan, 2, 14, 0)), ErrorCode::INVALID_SCAN_REQUEST);
        let second = scans.go_on(scan, 1, 1, 0).unwrap();
        assert_eq!(second.scan, Some(scan.0));
        assert_eq!(numbers(second), [2]);
        assert_eq!(code(scans.go_on(scan, 1, 1, 0)), ErrorCode::INVALID_SCAN_REQUEST);
        let last = scans.go_on(scan, 2, 10 << 20, 0).unwrap();
        assert_eq!(last.scan, None);
        assert_eq!(numbers(last), [3, 4]);
        assert_eq!(code(scans.go_on(scan, 3, 1, 0)), ErrorCode::UNKNOWN_SCANNER_ID);
        let nothing = open(&scans, bucket(0), 0, 14, &owner).unwrap();
        assert!(nothing.scan.is_none() && nothing.values.is_empty());
    }

    #[test]
    fn a_scan_that_nobody_asks_for_expires() {
        let (scans, owner) = (scans(), Owner::new(1));
        let open = || open(&scans, bucket(0), 5, 1, &owner).unwrap().scan.unwrap();
        let (first, second) = (open(), open());
        assert!(scans.go_on((first, 1), 1, 1, TTL_MS).is_ok());
        assert_eq!(
            code(scans.go_on((second, 1), 1, 1, TTL_MS + 1)),
            ErrorCode::SCANNER_EXPIRED
        );
        scans.expire(TTL_MS + 1);
        assert!(scans.bucket(first, 1).is_some());
        scans.close(first, 1);
        assert!(scans.lock().is_empty());
    }

    #[test]
    fn a_scan_ends_with_the_connection_that_has_opened_it() {
        let scans = scans();
        let (one, other) = (Owner::new(1), Owner::new(2));
        let open = |owner| open(&scans, bucket(0), 5, 1, owner);
        let scan = open(&one).unwrap().scan.unwrap();
        let kept = open(&other).unwrap().scan.unwrap();
        // Nobody else goes on with it, or ends it.
        assert_eq!(
            code(scans.go_on((scan, 2), 1, 1, 0)),
            ErrorCode::UNKNOWN_SCANNER_ID
        );
        scans.close(scan, 2);
        assert!(scans.go_on((scan, 1), 1, 1, 0).is_ok());
        one.end();
        scans.end_of(one.id());
        assert_eq!(
            code(scans.go_on((scan, 1), 2, 1, 0)),
            ErrorCode::UNKNOWN_SCANNER_ID
        );
        assert!(scans.go_on((kept, 2), 1, 1, 0).is_ok());
        // One that was being opened meanwhile is not left behind.
        assert_eq!(code(open(&one)), ErrorCode::NETWORK_EXCEPTION);
        assert_eq!(scans.lock().len(), 1);
    }

    #[test]
    fn there_are_only_so_many_scans() {
        let owner = Owner::new(1);
        let all = scans();
        let open_in = |scans: &Scans, number| open(scans, bucket(number), 2, 1, &owner);
        for number in 0..200 {
            open_in(&all, number / 8).unwrap();
        }
        assert_eq!(code(open_in(&all, 99)), ErrorCode::TOO_MANY_SCANNERS);
        let of_one = scans();
        for _ in 0..8 {
            open_in(&of_one, 0).unwrap();
        }
        assert_eq!(code(open_in(&of_one, 0)), ErrorCode::TOO_MANY_SCANNERS);
        assert!(open_in(&of_one, 1).is_ok());
        // What fits into one answer needs no place.
        assert!(open(&of_one, bucket(0), 2, 100, &owner).unwrap().scan.is_none());
    }
}

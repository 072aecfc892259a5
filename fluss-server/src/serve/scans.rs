//! `SCAN_KV`: all rows of a bucket as they are at one moment (`behaviour.md` §5.6).

use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::answer::Answer;
use super::open_scans::{Part, invalid};
use super::resolve::{self, named};
use super::session::Session;
use crate::error::Failure;
use crate::security::Operation;

/// The most bytes of values in one answer, unless a single value is larger.
const MOST_BYTES: usize = 10 << 20;

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

/// How much room there has to be for the answer to a request: the batch is copied once at most.
pub(super) fn room(request: &proto::ScanKvRequest) -> usize {
    let asked = usize::try_from(request.batch_size_bytes()).unwrap_or_default();
    2 * asked.min(MOST_BYTES)
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
            let table = resolve::table(session, bucket.table_id, Operation::Read)?;
            let opened = resolve::bucket(session, &table, named!(bucket)).and_then(|found| {
                let limit = bucket.limit.filter(|limit| *limit > 0);
                let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
                scans.open(&found, limit, most_bytes, (&session.owner, now_ms))
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
            let owner = session.owner.id();
            if let Some(bucket) = scans.bucket(scan, owner) {
                resolve::table(session, bucket.table.get(), Operation::Read)?;
            }
            let part = scans.go_on((scan, owner), number, most_bytes, now_ms);
            Ok(answer.with(part, fill_in))
        }
        Call::Close(scan) => {
            scans.close(scan, session.owner.id());
            Ok(answer)
        }
    }
}

fn fill_in(answer: &mut proto::ScanKvResponse, part: Part) {
    answer.has_more_results = Some(part.scan.is_some());
    answer.scanner_id = part.scan.map(|scan| Bytes::copy_from_slice(&scan.to_be_bytes()));
    answer.records = (!part.values.is_empty()).then(|| part.values.finish().into());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(outcome: Result<T, Failure>) -> ErrorCode {
        outcome.err().expect("it is refused").code
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

//! What hostile frames and messages cost whoever reads them: `rpc.md` §1.

use bytes::{Bytes, BytesMut};
use fluss_rpc::frame::{FrameDecoder, FrameError};
use fluss_rpc::proto::{
    ApiVersionsResponse, FetchLogRequest, FetchLogResponse, ListOffsetsResponse, LookupRequest,
    LookupResponse, MetadataResponse, PbBucketMetadata, PbFetchLogReqForBucket, PbFetchLogRespForBucket,
    PbFetchLogRespForTable, PbPartitionMetadata, PbPredicate, PbRemoteLogSegment, PbTableMetadata, PbValue,
    ProduceLogRequest, PutKvRequest,
};
use proptest::prelude::*;
use prost::Message;

use crate::allocations::{Allocated, measure};
use crate::cases::cases;

/// What a stream of frames reserves at once for a frame of which only the length has come.
const TRUSTED_BYTES: usize = 16 << 20;
/// What errors and the beginnings of lists may need, whatever the size of a message.
const SMALL: usize = 4096;

/// Reads a message, and may fail.
type Read = fn(Bytes);

fn read<M: Message + Default>(bytes: Bytes) {
    drop(M::decode(bytes));
}

/// Messages of every shape: lists in lists, texts, maps of bytes, packed numbers.
const MESSAGES: [(&str, Read); 10] = [
    ("ApiVersionsResponse", read::<ApiVersionsResponse>),
    ("FetchLogRequest", read::<FetchLogRequest>),
    ("FetchLogResponse", read::<FetchLogResponse>),
    ("ListOffsetsResponse", read::<ListOffsetsResponse>),
    ("LookupRequest", read::<LookupRequest>),
    ("LookupResponse", read::<LookupResponse>),
    ("MetadataResponse", read::<MetadataResponse>),
    ("PbPredicate", read::<PbPredicate>),
    ("ProduceLogRequest", read::<ProduceLogRequest>),
    ("PutKvRequest", read::<PutKvRequest>),
];

/// The most that a message of so many bytes may ask for at once. An element of a list takes two bytes at least, and a
/// list that grows has room for twice its elements: so a byte stands for no more than the largest element.
fn limit(bytes: usize) -> usize {
    let largest = [
        size_of::<PbTableMetadata>(),
        size_of::<PbPartitionMetadata>(),
        size_of::<PbBucketMetadata>(),
        size_of::<PbFetchLogRespForTable>(),
        size_of::<PbFetchLogRespForBucket>(),
        size_of::<PbRemoteLogSegment>(),
        size_of::<PbPredicate>(),
    ];
    SMALL + bytes * largest.into_iter().max().unwrap()
}

fn cost(read: Read, bytes: &[u8]) -> Allocated {
    let bytes = Bytes::copy_from_slice(bytes);
    measure(|| read(bytes))
}

#[test]
fn a_length_beyond_the_limit_costs_nothing() {
    const LIMIT: usize = 1 << 20;
    // The largest length that is allowed, and those around it.
    let length = prop_oneof![any::<u32>(), 0..2 * LIMIT as u32, LIMIT as u32 - 6..=LIMIT as u32];
    cases("lengths of frames", &length, |length| {
        let mut buf = BytesMut::from(&length.to_be_bytes()[..]);
        let mut decoder = FrameDecoder::new(LIMIT);
        let bytes = u64::from(length) + 4;
        let refusal = (bytes > LIMIT as u64).then_some(FrameError::TooLarge { bytes, limit: LIMIT });
        let mut outcomes = (Ok(None), Ok(()));
        let allocated = measure(|| outcomes = (decoder.decode(&mut buf), decoder.reserve(&mut buf)));
        prop_assert_eq!(outcomes.0.err(), refusal.clone());
        prop_assert_eq!(outcomes.1.err(), refusal.clone());
        let limit = if refusal.is_some() { 0 } else { LIMIT + SMALL };
        prop_assert!(
            allocated.largest <= limit,
            "{allocated:?}, at most {limit} are expected"
        );
        Ok(())
    });
}

#[test]
fn a_length_within_the_limit_costs_no_more_than_is_trusted() {
    let arrived = prop::collection::vec(any::<u8>(), 0..100);
    cases(
        "frames that do not come",
        &(0..=i32::MAX, arrived),
        |(length, arrived)| {
            let mut buf = BytesMut::from(&[&length.to_be_bytes()[..], &arrived].concat()[..]);
            let decoder = FrameDecoder::new(usize::MAX);
            let allocated = measure(|| decoder.reserve(&mut buf).unwrap());
            prop_assert!(allocated.largest <= TRUSTED_BYTES + SMALL, "{allocated:?}");
            Ok(())
        },
    );
}

#[test]
fn any_bytes_cost_a_few_times_their_size() {
    // Tags of the first fields and lengths of what is nested are among what is likely.
    let byte = prop_oneof![any::<u8>(), 0..64_u8, Just(0xFF)];
    let bytes = prop::collection::vec(byte, 0..400);
    cases("messages of any bytes", &bytes, |bytes| {
        for (name, read) in MESSAGES {
            let allocated = cost(read, &bytes);
            prop_assert!(allocated.largest <= limit(bytes.len()), "{name}: {allocated:?}");
        }
        Ok(())
    });
}

/// Every field of every message, with a length that nothing follows.
#[test]
fn a_count_that_lies_costs_nothing() {
    let mut lies = 0;
    for (name, read) in MESSAGES {
        for field in 1..16_u8 {
            for length in [127, 1 << 20, i32::MAX as u64, u64::from(u32::MAX), u64::MAX] {
                let mut bytes = vec![field << 3 | 2];
                prost::encoding::encode_varint(length, &mut bytes);
                let allocated = cost(read, &bytes);
                assert!(
                    allocated.largest <= SMALL,
                    "{name} {field} {length}: {allocated:?}"
                );
                lies += 1;
            }
        }
    }
    println!("{lies} counts that lie");
    assert_eq!(lies, 10 * 15 * 5);
}

/// The most elements that fit some bytes: each is empty.
#[test]
fn empty_elements_cost_a_few_times_their_size() {
    let mut lists = 0;
    for (name, read) in MESSAGES {
        for field in 1..16_u8 {
            let bytes = [field << 3 | 2, 0].repeat(10_000);
            let allocated = cost(read, &bytes);
            assert!(
                allocated.largest <= limit(bytes.len()),
                "{name} {field}: {allocated:?}"
            );
            lists += usize::from(allocated.largest > bytes.len());
        }
    }
    println!("{lists} lists of empty elements");
    assert!(lists > 8, "{lists}");
}

#[test]
fn a_message_that_nests_without_end_is_refused() {
    let mut bytes = Vec::new();
    for _ in 0..5_000 {
        // A predicate with a compound that has it as its child.
        for tag in [0x12, 0x1A] {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            bytes.splice(0..0, outer);
        }
    }
    assert!(PbPredicate::decode(Bytes::from(bytes)).is_err());
}

fn request() -> impl Strategy<Value = FetchLogRequest> {
    let bucket = (any::<i32>(), any::<i64>()).prop_map(|(bucket_id, fetch_offset)| PbFetchLogReqForBucket {
        bucket_id,
        fetch_offset,
        ..Default::default()
    });
    prop::collection::vec(bucket, 0..20).prop_map(|buckets_req| FetchLogRequest {
        tables_req: vec![fluss_rpc::proto::PbFetchLogReqForTable {
            projected_fields: vec![1, 2, 300],
            buckets_req,
            ..Default::default()
        }],
        ..Default::default()
    })
}

fn response() -> impl Strategy<Value = LookupResponse> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..50)).prop_map(|value| PbValue {
        values: value.map(Bytes::from),
    });
    prop::collection::vec(value, 0..20).prop_map(|values| LookupResponse {
        buckets_resp: vec![fluss_rpc::proto::PbLookupRespForBucket {
            error_message: Some("none".to_owned()),
            values,
            ..Default::default()
        }],
    })
}

/// Checks that a message with one wrong byte, and every beginning of it, is read or refused at a bounded cost.
fn check_spoilt<M: Message + Default>(
    message: &M,
    place: prop::sample::Index,
    byte: u8,
) -> Result<(), TestCaseError> {
    let mut bytes = message.encode_to_vec();
    if !bytes.is_empty() {
        let place = place.index(bytes.len());
        bytes[place] = byte;
    }
    for length in 0..=bytes.len() {
        let allocated = cost(read::<M>, &bytes[..length]);
        prop_assert!(allocated.largest <= limit(length), "{length}: {allocated:?}");
    }
    Ok(())
}

#[test]
fn a_spoilt_message_costs_a_few_times_its_size() {
    let place = (any::<prop::sample::Index>(), any::<u8>());
    cases(
        "spoilt messages",
        &(request(), response(), place),
        |(request, response, place)| {
            check_spoilt(&request, place.0, place.1)?;
            check_spoilt(&response, place.0, place.1)
        },
    );
}

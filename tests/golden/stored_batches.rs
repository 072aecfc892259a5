//! What a leader does with the batches of `log_batches.json` and `captured.json`: it gives them their place in its log,
//! and finds them again as far as they are whole.

use bytes::Bytes;
use fluss_core::id::LeaderEpoch;
use fluss_core::record::log::{Append, LogBatch, LogBatches, LogError, WholeBatches, empty_batch};
use serde_json::Value;

use crate::vectors::{each_log_batch, hex, load};

const APPEND: Append = Append {
    next_offset: 1_000,
    commit_timestamp: 1_795_217_736_374,
    leader_epoch: Some(LeaderEpoch(5)),
};

fn whole(bytes: &Bytes) -> Vec<LogBatch> {
    let batches = WholeBatches::new(bytes.clone());
    batches.collect::<Result<_, _>>().unwrap()
}

/// Some batches end to end, and where each one ends.
fn stretch() -> (Bytes, Vec<usize>) {
    let mut bytes = Vec::new();
    let vectors = load("log_batches.json");
    let small = vectors
        .iter()
        .filter(|vector| vector["magic"] == 0 && vector["size"].as_u64() < Some(200));
    let ends = small.take(4).map(|vector| {
        bytes.extend(hex(&vector["batch"]));
        bytes.len()
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 4);
    (bytes.into(), ends)
}

/// Where the checksum of a batch stands: behind the leader's epoch, if the layout has one.
fn crc_at(magic: u8) -> (usize, Option<LeaderEpoch>) {
    match magic {
        2 => (25, APPEND.leader_epoch),
        _ => (21, None),
    }
}

fn check_placed(vector: &Value) {
    let bytes = Bytes::from(hex(&vector["batch"]));
    let appended = APPEND.place(bytes.clone()).unwrap();
    let batches = whole(&appended.bytes);
    assert_eq!(batches.len(), 1);
    let header = batches[0].header();
    let (crc_at, leader_epoch) = crc_at(header.magic);
    assert_eq!(appended.bytes[crc_at..], bytes[crc_at..]);
    assert_eq!(appended.bytes[8..13], bytes[8..13]);
    assert_eq!(header.base_offset, APPEND.next_offset);
    assert_eq!(header.commit_timestamp, APPEND.commit_timestamp);
    assert_eq!(header.leader_epoch, leader_epoch);
    let records = i64::try_from(header.record_count).unwrap();
    assert_eq!(appended.next_offset, APPEND.next_offset + records.max(1));
}

#[test]
fn batches_get_their_place_and_keep_their_checksum() {
    each_log_batch(check_placed);
}

#[test]
fn each_batch_of_an_append_begins_where_the_one_before_it_ends() {
    let (bytes, _) = stretch();
    let appended = APPEND.place(bytes).unwrap();
    let mut next_offset = APPEND.next_offset;
    for batch in whole(&appended.bytes) {
        assert_eq!(batch.base_offset(), next_offset);
        next_offset = batch.next_offset();
    }
    assert_eq!(appended.next_offset, next_offset);
}

#[test]
fn a_place_is_written_in_place_unless_the_bytes_are_shared() {
    let (bytes, _) = stretch();
    let (unique, address) = (Bytes::from(bytes.to_vec()), bytes.as_ptr());
    let unique_address = unique.as_ptr();
    assert_eq!(APPEND.place(unique).unwrap().bytes.as_ptr(), unique_address);
    let before = bytes.to_vec();
    let copied = APPEND.place(bytes.clone()).unwrap();
    assert_ne!(copied.bytes.as_ptr(), address);
    assert_eq!(bytes, before);
}

#[test]
fn a_batch_that_would_take_other_offsets_than_its_records_is_refused() {
    let (bytes, ends) = stretch();
    for delta in [i32::MAX, 77, -1] {
        let mut bytes = bytes.to_vec();
        let second = &mut bytes[ends[0]..ends[1]];
        second[28..32].copy_from_slice(&delta.to_le_bytes());
        let crc = crc32c::crc32c(&second[25..]);
        second[21..25].copy_from_slice(&crc.to_le_bytes());
        let error = APPEND.place(bytes.into()).unwrap_err();
        assert!(matches!(error, LogError::Malformed { .. }), "{error}");
        assert_eq!(error.good_bytes(), ends[0]);
    }
}

#[test]
fn what_precedes_a_torn_tail_is_found() {
    let (bytes, ends) = stretch();
    for length in 0..=bytes.len() {
        let mut batches = WholeBatches::new(bytes.slice(..length));
        let good: Vec<_> = batches.by_ref().map_while(Result::ok).collect();
        let good_ends = ends.iter().filter(|end| **end <= length);
        let (found, at) = good_ends.fold((0, 0), |(found, _), end| (found + 1, *end));
        assert_eq!(good.len(), found, "{length}");
        assert!(batches.next().is_none());
        let last = WholeBatches::new(bytes.slice(..length)).last();
        let torn = (at < length).then(|| LogError::Torn {
            at,
            bytes: length - at,
        });
        assert_eq!(last.and_then(Result::err), torn, "{length}");
    }
    println!("{} cuts", bytes.len() + 1);
}

#[test]
fn a_flipped_bit_in_a_stored_batch_is_found_where_it_is() {
    let (bytes, ends) = stretch();
    let mut flips = 0;
    for bit in (ends[0] + 21) * 8..ends[1] * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut batches = WholeBatches::new(flipped.into());
        assert!(batches.next().unwrap().is_ok());
        let error = batches.next().unwrap().unwrap_err();
        assert_eq!(error.good_bytes(), ends[0], "bit {bit}: {error}");
        assert!(batches.next().is_none());
        flips += 1;
    }
    println!("{flips} flips");
}

#[test]
fn an_empty_batch_is_that_of_a_server() {
    let mut checked = 0;
    for vector in load("captured.json") {
        if vector["kind"] != "fetch_log" {
            continue;
        }
        for batch in LogBatches::new(hex(&vector["batches"]).into()) {
            let batch = batch.unwrap();
            let header = batch.header();
            if header.record_count > 0 {
                continue;
            }
            let sealed = empty_batch(header.schema_id).seal(header.writer_id.zip(header.batch_sequence));
            let append = Append {
                next_offset: header.base_offset,
                commit_timestamp: header.commit_timestamp,
                leader_epoch: None,
            };
            let appended = append.place(sealed).unwrap();
            assert_eq!(appended.bytes, batch.bytes());
            assert_eq!(appended.next_offset, header.base_offset + 1);
            checked += 1;
        }
    }
    println!("captured.json: {checked} empty batches");
    assert!(checked > 0);
}

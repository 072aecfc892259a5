use fluss_rpc::proto::PbRemoteLogSegment;

use super::*;
use fluss_core::id::SchemaId;
use fluss_core::record::log::{ChangeType, RowsBuilder};
use fluss_core::row::RowFormat;
use fluss_core::types::{DataType, Datum, Field, RowType};

/// A segment from this offset on: a batch of one row for each number, which is the length of its text.
pub(crate) fn segment(start: Offset, texts: &[usize]) -> Bytes {
    let row_type = RowType::new([Field::new("a", DataType::string())]);
    let mut file = Vec::new();
    for (offset, length) in (start..).zip(texts) {
        let mut rows = RowsBuilder::new(RowFormat::Compacted, SchemaId(1), true);
        let text = "x".repeat(*length);
        rows.append(&row_type, ChangeType::AppendOnly, &[Datum::from(text.as_str())])
            .unwrap();
        let mut batch = rows.finish().unwrap().seal(None).to_vec();
        batch[..8].copy_from_slice(&offset.to_le_bytes());
        file.extend_from_slice(&batch);
    }
    file.into()
}

/// What a server says of segments, each with its first offset and its batches of one row.
pub(crate) fn info(directory: &str, segments: &[(Offset, &[usize])]) -> PbRemoteLogFetchInfo {
    let named = |(start, texts): &(Offset, &[usize])| PbRemoteLogSegment {
        remote_log_segment_id: "0a".to_owned(),
        remote_log_start_offset: *start,
        remote_log_end_offset: start + texts.len() as Offset,
        segment_size_in_bytes: segment(*start, texts).len() as i32,
        max_timestamp: None,
    };
    PbRemoteLogFetchInfo {
        remote_log_tablet_dir: directory.to_owned(),
        partition_name: None,
        remote_log_segments: segments.iter().map(named).collect(),
        first_start_pos: None,
    }
}

const SEGMENTS: &[(Offset, &[usize])] = &[(0, &[5, 50]), (2, &[7]), (3, &[1, 2, 3])];

fn tiered(stretch_bytes: usize) -> (Tiered, Held) {
    let held = Held::default();
    let tiered = Tiered::new(&info("/r", SEGMENTS), Some(0), stretch_bytes, held.clone()).unwrap();
    (tiered, held)
}

/// Asks for everything, and returns the stretches under their numbers.
fn ask_all(tiered: &mut Tiered) -> Vec<(u64, Stretch)> {
    let mut asked = Vec::new();
    while let Some(stretch) = tiered.wanted() {
        let number = asked.len() as u64;
        tiered.ask(number);
        asked.push((number, stretch));
    }
    asked
}

fn piece(stretch: &Stretch) -> Bytes {
    let is_it = |(start, _): &&(Offset, &[usize])| *start == stretch.segment.offsets.start;
    let (start, texts) = SEGMENTS.iter().find(is_it).unwrap();
    let range = stretch.range.start as usize..stretch.range.end as usize;
    segment(*start, texts).slice(range)
}

fn offsets(tiered: &mut Tiered) -> Vec<Offset> {
    std::iter::from_fn(|| tiered.next_batch().unwrap())
        .map(|(held, _)| held.batch.base_offset())
        .collect()
}

#[test]
fn pieces_come_in_any_order_and_batches_in_that_of_the_log() {
    let (mut tiered, held) = tiered(40);
    let asked = ask_all(&mut tiered);
    assert!(asked.len() > 6);
    for (number, stretch) in asked.iter().rev() {
        assert!(offsets(&mut tiered).is_empty());
        assert!(!tiered.is_read());
        tiered.arrive(*number, piece(stretch), held.hold(stretch.len()));
    }
    assert_eq!(offsets(&mut tiered), [0, 1, 2, 3, 4, 5]);
    assert!(tiered.is_read());
    assert_eq!(tiered.end(), Some(6));
    assert_eq!(held.bytes(), 0);
}

#[test]
fn what_failed_is_wanted_before_anything_else() {
    let (mut tiered, held) = tiered(1000);
    let first = tiered.wanted().unwrap();
    tiered.ask(1);
    tiered.fail(1);
    assert!(!tiered.awaits(1));
    assert_eq!(tiered.wanted(), Some(first.clone()));
    tiered.ask(2);
    assert!(tiered.awaits(2) && tiered.awaits_any());
    tiered.arrive(1, Bytes::new(), held.hold(0));
    assert!(offsets(&mut tiered).is_empty(), "that was another download");
    tiered.arrive(2, piece(&first), held.hold(0));
    assert_eq!(offsets(&mut tiered), [0, 1]);
}

#[test]
fn what_precedes_a_file_that_is_not_there_is_read() {
    let (mut tiered, held) = tiered(1000);
    let asked = ask_all(&mut tiered);
    tiered.end_before(1);
    assert!(!tiered.is_read());
    tiered.arrive(0, piece(&asked[0].1), held.hold(0));
    tiered.arrive(2, piece(&asked[2].1), held.hold(0));
    assert_eq!(offsets(&mut tiered), [0, 1]);
    assert!(tiered.is_read());
    assert_eq!(tiered.end(), None, "the log goes on where the last batch ended");
}

#[test]
fn a_file_of_something_else_is_told_by_name() {
    let batch = segment(0, &[5]);
    let other = |bytes: Bytes| {
        let size = bytes.len() as i32;
        let mut info = info("/r", &[(0, &[5])]);
        info.remote_log_segments[0].segment_size_in_bytes = size;
        let held = Held::default();
        let mut tiered = Tiered::new(&info, Some(0), 1000, held.clone()).unwrap();
        tiered.ask(0);
        tiered.arrive(0, bytes, held.hold(0));
        tiered
            .next_batch()
            .map(|_| ())
            .and_then(|()| tiered.next_batch().map(|_| ()))
    };
    assert_eq!(other(batch.clone()), Ok(()));
    for (bytes, reason) in [
        (segment(7, &[5]), "a batch from 7 to 8 in a segment from 0 to 1"),
        (batch.slice(..batch.len() - 1), "ends within a batch"),
        (Bytes::from_static(&[0; 60]), "no room for a header"),
    ] {
        let error = other(bytes).unwrap_err();
        assert_eq!(error.file(), "/r/0a/00000000000000000000.log");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

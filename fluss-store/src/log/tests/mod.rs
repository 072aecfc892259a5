mod basics;
mod crash;
mod damage;
mod model;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use fluss_core::id::{BatchSequence, Offset, SchemaId, WriterId};
use fluss_core::record::log::{ChangeType, LogBatch, RowsBuilder, WholeBatches, empty_batch};
use fluss_core::row::RowFormat;
use fluss_core::types::{DataType, Datum, Field, RowType};

use super::*;
use crate::disk::MemoryDisk;
use crate::disk::faulty::FaultyDisk;

type Stamped = Option<(WriterId, BatchSequence)>;

/// A batch of a writer: so many rows with so many bytes in each.
fn batch(rows: usize, row_bytes: usize, stamp: Stamped) -> Bytes {
    if rows == 0 {
        return empty_batch(SchemaId(1)).seal(stamp);
    }
    let row_type = RowType::new([Field::new("bytes", DataType::bytes())]);
    let mut builder = RowsBuilder::new(RowFormat::Compacted, SchemaId(1), true);
    for row in 0..rows {
        let bytes = vec![row as u8; row_bytes];
        let row = [Datum::Bytes(bytes.as_slice().into())];
        builder
            .append(&row_type, ChangeType::AppendOnly, row.as_slice())
            .unwrap();
    }
    builder.finish().unwrap().seal(stamp)
}

#[expect(clippy::unnecessary_wraps, reason = "what `batch` takes")]
fn stamp(writer: i64, sequence: i32) -> Stamped {
    Some((WriterId(writer), BatchSequence(sequence)))
}

fn directory() -> PathBuf {
    PathBuf::from("buckets/1/0/log")
}

fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 2000,
        ..LogOptions::default()
    }
}

fn open(disk: &FaultyDisk) -> BucketLog {
    BucketLog::open(Arc::new(disk.clone()), directory(), options()).unwrap()
}

fn open_memory() -> BucketLog {
    BucketLog::open(Arc::new(MemoryDisk::new()), directory(), options()).unwrap()
}

fn stored(base_offset: Offset, next_offset: Offset) -> Appended {
    Appended::Stored(Span {
        base_offset,
        next_offset,
    })
}

fn limits(log: &BucketLog, max_bytes: usize) -> ReadLimits {
    ReadLimits {
        up_to: log.end_offset(),
        max_bytes,
        at_least_one: true,
    }
}

fn whole(bytes: Bytes) -> Vec<LogBatch> {
    WholeBatches::new(bytes).collect::<Result<_, _>>().unwrap()
}

/// Everything from an offset on, read bit by bit.
fn read_all(log: &BucketLog, mut from: Offset) -> Result<Vec<LogBatch>, Error> {
    let mut batches = Vec::new();
    while from < log.end_offset() {
        let read = whole(log.read(from, limits(log, 3000))?.load()?);
        from = read.last().unwrap().next_offset();
        batches.extend(read);
    }
    Ok(batches)
}

fn sync(log: &mut BucketLog) -> Result<(), Error> {
    log.begin_sync().map_or(Ok(()), Sync::run)
}

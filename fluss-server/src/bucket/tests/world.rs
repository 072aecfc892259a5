//! A node's buckets on a faulty disk, and what is known to have been written to them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use fluss_core::arrow::{ArrowRows, arrow_schema};
use fluss_core::id::{BatchSequence, BucketId, Offset, SchemaId, TableBucket, WriterId};
use fluss_core::record::kv::{KvBatch, KvBatchBuilder};
use fluss_core::record::log::{ChangeType, LogBatch, RowsBuilder, decode_arrow};
use fluss_core::record::value::{StoredValue, encode_values};
use fluss_core::row::{KeyEncoder, RowFormat};
use fluss_core::types::{DataType, Datum, Field, Row, RowType, Schema, TableDescriptor, TablePath};
use fluss_store::OpenError;
use fluss_store::disk::Disk;
use fluss_store::disk::faulty::FaultyDisk;

use super::super::{Bucket, Buckets};
use crate::Failure;
use crate::catalog::{Catalog, Limits, TableEntry};
use crate::clock::ManualClock;
use crate::kv::{WriteMode, free};

pub(super) const HOUR_MS: i64 = 60 * 60 * 1000;
const SEGMENT_BYTES: u64 = 600;
const SCHEMA: SchemaId = SchemaId(1);

/// Encoded rows by their encoded keys.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// A writer's batch.
type Stamp = (WriterId, BatchSequence);

/// A node that is open.
pub(super) struct Opened {
    pub(super) catalog: Arc<Catalog>,
    pub(super) buckets: Buckets,
}

impl Opened {
    pub(super) fn new(disk: &FaultyDisk, clock: &Arc<ManualClock>, waits: bool) -> Result<Self, OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let catalog = Arc::new(Catalog::open(disk.clone(), Limits::default(), 0)?);
        let buckets = Buckets::open(disk, catalog.clone(), clock.clone(), (SEGMENT_BYTES, waits))?;
        Ok(Self { catalog, buckets })
    }

    pub(super) fn table(&self, name: &str) -> Arc<TableEntry> {
        self.catalog
            .table_by_path(&TablePath::new("fluss", name))
            .unwrap()
    }

    pub(super) fn bucket(&self, name: &str) -> Result<Arc<Bucket>, Failure> {
        let table = self.table(name);
        let id = TableBucket {
            table: table.id(),
            partition: None,
            bucket: BucketId(0),
        };
        Ok(self.buckets.get(id, &table)?)
    }
}

/// The tables `rows` and `events`, with the row type of `rows`.
pub(super) fn create_tables(disk: &FaultyDisk) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let catalog = Catalog::open(disk, Limits::default(), 0).unwrap();
    let columns = |builder: fluss_core::types::SchemaBuilder| {
        builder
            .column("id", DataType::int())
            .column("value", DataType::big_int())
    };
    let rows = columns(Schema::builder()).primary_key(["id"]).build().unwrap();
    let events = columns(Schema::builder()).build().unwrap();
    for (name, schema) in [("rows", rows), ("events", events)] {
        let descriptor = TableDescriptor::builder(schema)
            .distributed_by(1, Vec::<String>::new())
            .property("table.log.ttl", "1 h");
        let json = descriptor.build().unwrap().to_json();
        let path = TablePath::new("fluss", name);
        catalog.create_table(&path, &json, false, 0).unwrap();
    }
}

fn row_type() -> RowType {
    RowType::new([
        Field::new("id", DataType::int().not_null()),
        Field::new("value", DataType::big_int()),
    ])
}

/// What is written to keys: a value, or nothing any more.
type Writes = Vec<(i32, Option<i64>)>;

/// What is known of a bucket with keys: its rows at each offset at which its changelog may end.
pub(super) struct Rows {
    states: BTreeMap<Offset, State>,
    stamp: Stamp,
    /// Everything before is durable, and has to be there.
    durable: Offset,
    /// The batch whose fate is not known, which is sent again.
    pending: Option<(Bytes, Writes)>,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self {
            states: BTreeMap::from([(0, State::new())]),
            stamp: (WriterId(1), BatchSequence::FIRST),
            durable: 0,
            pending: None,
        }
    }

    /// Writes some rows; what failed last, if anything did.
    pub(super) fn write(&mut self, bucket: &Bucket, dice: &mut fastrand::Rng) -> Result<(), Failure> {
        if self.pending.is_none() {
            let writes = random(dice);
            self.pending = Some((seal(bucket, &writes, self.stamp), writes));
        }
        let (batch, writes) = self.pending.clone().unwrap();
        let base = bucket.log().unwrap().end_offset();
        let (end, state) = self.after(bucket, base, &writes);
        let is_there = bucket
            .log()
            .unwrap()
            .check_writer(Some(self.stamp.0), Some(self.stamp.1), 0)?;
        if is_there.is_none() {
            self.states.split_off(&(base + 1));
            self.states.insert(end, state);
        }
        let acknowledged = bucket.put(&KvBatch::new(batch).unwrap(), &WriteMode::default(), &mut free)?;
        assert_eq!(acknowledged, is_there.map_or(end, |span| span.next_offset));
        self.pending = None;
        self.stamp.1 = self.stamp.1.next();
        if bucket.waits {
            self.durable = acknowledged;
        }
        Ok(())
    }

    /// What writes make of the rows at an offset, and where the changelog ends then.
    fn after(&self, bucket: &Bucket, base: Offset, writes: &[(i32, Option<i64>)]) -> (Offset, State) {
        let (mut end, mut state) = (base, self.states[&base].clone());
        for (id, value) in writes {
            let key = key(bucket, *id);
            let before = match value {
                Some(value) => state.insert(key, row(*id, *value)),
                None => state.remove(&key),
            };
            // What it was, and what it is.
            end += i64::from(before.is_some()) + i64::from(value.is_some());
        }
        (end, state)
    }

    pub(super) fn note_durable(&mut self, bucket: &Bucket) {
        self.durable = self.durable.max(bucket.log().unwrap().synced_offset());
    }

    /// The rows are those that the changelog comes to, at a place where it may end. What was not durable may be gone; the
    /// writer begins anew then.
    pub(super) fn check(&mut self, bucket: &Bucket) -> Result<(), Failure> {
        let end = bucket.high_watermark();
        assert!(end >= self.durable, "{end} is before {}", self.durable);
        self.check_read(bucket)?;
        let lost = self.states.split_off(&(end + 1));
        let acknowledged = bucket
            .log()
            .unwrap()
            .check_writer(Some(self.stamp.0), Some(self.stamp.1), 0);
        if !lost.is_empty() && acknowledged.is_err() {
            self.stamp = (WriterId(self.stamp.0.0 + 1), BatchSequence::FIRST);
            self.pending = None;
        }
        Ok(())
    }

    /// What can be read is right.
    pub(super) fn check_read(&self, bucket: &Bucket) -> Result<(), Failure> {
        let (start, end) = (bucket.start_offset().unwrap(), bucket.high_watermark());
        let state = self.states.get(&end);
        let state = state.unwrap_or_else(|| panic!("{end} is none of {:?}", self.states.keys()));
        let values: Vec<_> = state
            .values()
            .map(|row| StoredValue {
                schema_id: SCHEMA,
                row,
            })
            .collect();
        assert_eq!(bucket.scan(usize::MAX, &mut free)?, encode_values(&values));
        let counted = bucket.rows()?.tablet.count()?;
        assert_eq!(counted, state.len() as u64);
        for (key, row) in state {
            let found = bucket.look_up(&[Bytes::from(key.clone())], &mut free)?;
            assert_eq!(StoredValue::decode(found[0].as_ref().unwrap()).unwrap().row, row);
        }
        let mut told = (start == 0).then(State::new);
        for batch in bucket.log().unwrap().batches(start) {
            apply(bucket, &batch?, told.get_or_insert_default());
        }
        if start == 0 {
            assert_eq!(&told.unwrap_or_default(), state);
        }
        Ok(())
    }
}

/// A row for one key at least, and changes of some others.
fn random(dice: &mut fastrand::Rng) -> Writes {
    let mut writes = vec![(0, Some(dice.i64(..)))];
    for id in 1..10 {
        match dice.u8(..6) {
            0 => writes.push((id, None)),
            1 | 2 => writes.push((id, Some(dice.i64(..)))),
            _ => {}
        }
    }
    writes
}

fn seal(bucket: &Bucket, writes: &[(i32, Option<i64>)], stamp: Stamp) -> Bytes {
    let mut builder = KvBatchBuilder::new(SCHEMA);
    for (id, value) in writes {
        let row = value.map(|value| row(*id, value));
        builder.append(&key(bucket, *id), row.as_deref()).unwrap();
    }
    builder.finish().unwrap().seal(Some(stamp))
}

fn row(id: i32, value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let row = [Datum::Int(id), Datum::BigInt(value)];
    RowFormat::Compacted
        .encode(&row_type(), row.as_slice(), &mut bytes)
        .unwrap();
    bytes
}

fn key(bucket: &Bucket, id: i32) -> Vec<u8> {
    let catalog = &bucket.rows().unwrap().catalog;
    let table = catalog.table(bucket.id.table).unwrap();
    let encoder = KeyEncoder::primary_key(table.info(), &row_type()).unwrap();
    let mut key = Vec::new();
    encoder
        .encode([Datum::Int(id), Datum::Null].as_slice(), &mut key)
        .unwrap();
    key
}

/// Applies what a batch of the changelog tells.
fn apply(bucket: &Bucket, batch: &LogBatch, state: &mut State) {
    let columns = decode_arrow(batch, &arrow_schema(&row_type())).unwrap();
    let row_type = row_type();
    let rows = ArrowRows::new(columns, &row_type).unwrap();
    for (index, change) in batch.change_types().unwrap().unwrap().iter().enumerate() {
        let [Datum::Int(id), Datum::BigInt(value)] = rows.row(index).to_owned_row()[..] else {
            panic!("a row of another table");
        };
        match change {
            ChangeType::Insert | ChangeType::UpdateAfter => {
                state.insert(key(bucket, id), row(id, value));
            }
            _ => {
                state.remove(&key(bucket, id));
            }
        }
    }
}

/// What is known of a bucket without keys: the batch that ends at each offset.
pub(super) struct Events {
    batches: BTreeMap<Offset, Stamp>,
    stamp: Stamp,
    durable: Offset,
    pending: bool,
}

impl Events {
    pub(super) fn new() -> Self {
        Self {
            batches: BTreeMap::new(),
            stamp: (WriterId(1), BatchSequence::FIRST),
            durable: 0,
            pending: false,
        }
    }

    /// Appends a batch; the one that failed last, if one did.
    pub(super) fn write(&mut self, bucket: &Bucket) -> Result<(), Failure> {
        let count = 1 + i64::from(self.stamp.1.get()) % 4;
        let base = bucket.log().unwrap().end_offset();
        let is_there = bucket
            .log()
            .unwrap()
            .check_writer(Some(self.stamp.0), Some(self.stamp.1), 0)?;
        if is_there.is_none() {
            self.batches.split_off(&(base + 1));
            self.batches.insert(base + count, self.stamp);
        }
        self.pending = true;
        let acknowledged = bucket.append(events(count, self.stamp))?;
        assert_eq!(acknowledged, is_there.map_or(base, |span| span.base_offset));
        self.pending = false;
        self.stamp.1 = self.stamp.1.next();
        if bucket.waits {
            self.durable = bucket.log().unwrap().end_offset();
        }
        Ok(())
    }

    pub(super) fn note_durable(&mut self, bucket: &Bucket) {
        self.durable = self.durable.max(bucket.log().unwrap().synced_offset());
    }

    pub(super) fn check(&mut self, bucket: &Bucket) -> Result<(), Failure> {
        let end = bucket.high_watermark();
        assert!(end >= self.durable, "{end} is before {}", self.durable);
        self.check_read(bucket)?;
        self.batches.split_off(&(end + 1));
        if bucket
            .log()
            .unwrap()
            .check_writer(Some(self.stamp.0), Some(self.stamp.1), 0)
            .is_err()
        {
            self.stamp = (WriterId(self.stamp.0.0 + 1), BatchSequence::FIRST);
        }
        Ok(())
    }

    pub(super) fn check_read(&self, bucket: &Bucket) -> Result<(), Failure> {
        let mut next = bucket.start_offset().unwrap();
        for batch in bucket.log().unwrap().batches(next) {
            let batch = batch?;
            assert_eq!(batch.base_offset(), next);
            next = batch.next_offset();
            let header = batch.header();
            let stamp = header.writer_id.zip(header.batch_sequence);
            assert_eq!(
                self.batches.get(&next),
                stamp.as_ref(),
                "the batch that ends at {next}"
            );
        }
        assert_eq!(next, bucket.high_watermark());
        Ok(())
    }
}

fn events(count: i64, stamp: Stamp) -> Bytes {
    let mut builder = RowsBuilder::new(RowFormat::Compacted, SCHEMA, true);
    for number in 0..count {
        let row = [Datum::Int(stamp.1.get()), Datum::BigInt(number)];
        builder
            .append(&row_type(), ChangeType::AppendOnly, row.as_slice())
            .unwrap();
    }
    builder.finish().unwrap().seal(Some(stamp))
}

/// A batch of one row of so many bytes, of no writer.
pub(super) fn large_batch(bytes: usize) -> Bytes {
    let row_type = RowType::new([Field::new("bytes", DataType::bytes())]);
    let mut builder = RowsBuilder::new(RowFormat::Compacted, SCHEMA, true);
    let row = [Datum::Bytes(vec![0; bytes].into())];
    builder
        .append(&row_type, ChangeType::AppendOnly, row.as_slice())
        .unwrap();
    builder.finish().unwrap().seal(None)
}

/// Who opens it needs to know what is wrong with which file.
pub(super) fn described(error: &OpenError) -> String {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        write!(text, ": {source}").unwrap();
    }
    text
}

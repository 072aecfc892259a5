//! Random batches: they come back as they went, and what is done to their bytes does no harm.

use bytes::Bytes;
use fluss_core::DecodeError;
use fluss_core::arrow::{ArrowRows, ColumnsBuilder, arrow_schema};
use fluss_core::id::{BatchSequence, SchemaId, WriterId};
use fluss_core::record::kv::{KvBatch, KvBatchBuilder};
use fluss_core::record::log::{
    BatchShape, ChangeType, LogBatch, LogBatches, RowsBuilder, decode_arrow, decode_rows, encode_arrow,
};
use fluss_core::record::value::{StoredValue, decode_values, encode_values};
use fluss_core::row::RowFormat;
use fluss_core::types::{Compression, OwnedRow, Row, RowType, ZstdLevel};
use fluss_tests::arbitrary::{Options, rows};
use proptest::prelude::*;

use crate::allocations::{allocation_limit, measure};

pub(crate) const SCHEMA: SchemaId = SchemaId(7);
pub(crate) const STAMP: Option<(WriterId, BatchSequence)> = Some((WriterId(3), BatchSequence(9)));
/// What begins the bytes under the checksum, and where the checksum is (`records.md` §1.1).
pub(crate) const CRC_AT: usize = 21;
pub(crate) const CRC_FROM: usize = 25;

/// How the rows of a batch are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    Columns(Compression),
    Rows(RowFormat),
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![
        Just(Layout::Columns(Compression::None)),
        Just(Layout::Columns(Compression::Lz4Frame)),
        (1..=22).prop_map(|level| Layout::Columns(Compression::Zstd(ZstdLevel::new(level).unwrap()))),
        Just(Layout::Rows(RowFormat::Indexed)),
        Just(Layout::Rows(RowFormat::Compacted)),
    ]
}

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) row_type: RowType,
    rows: Vec<OwnedRow>,
    /// Nothing for a batch of appended rows.
    changes: Option<Vec<ChangeType>>,
    pub(crate) layout: Layout,
}

impl Sample {
    fn shape(&self) -> BatchShape {
        match self.layout {
            Layout::Columns(_) => BatchShape::Columns(arrow_schema(&self.row_type)),
            Layout::Rows(format) => BatchShape::Rows(format, self.row_type.clone()),
        }
    }
}

pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    let options = Options {
        depth: 3,
        ..Options::default()
    };
    let rows = rows(options, 1..30);
    (rows, any::<bool>(), layout()).prop_map(|((row_type, rows), append_only, layout)| Sample {
        changes: (!append_only).then(|| {
            (0..rows.len())
                .map(|index| ChangeType::from_code((index % 4 + 1) as u8).unwrap())
                .collect()
        }),
        row_type,
        rows,
        layout,
    })
}

pub(crate) fn encode(sample: &Sample) -> Bytes {
    let mut batch = match sample.layout {
        Layout::Columns(compression) => {
            let mut columns = ColumnsBuilder::new(&sample.row_type, 0);
            for row in &sample.rows {
                columns.append(row).unwrap();
            }
            let columns = columns.finish().unwrap();
            encode_arrow(&columns, sample.changes.as_deref(), compression, SCHEMA).unwrap()
        }
        Layout::Rows(format) => {
            let mut builder = RowsBuilder::new(format, SCHEMA, sample.changes.is_none());
            for (index, row) in sample.rows.iter().enumerate() {
                let change = sample
                    .changes
                    .as_ref()
                    .map_or(ChangeType::AppendOnly, |changes| changes[index]);
                builder.append(&sample.row_type, change, row).unwrap();
            }
            builder.finish().unwrap()
        }
    };
    batch.seal(STAMP)
}

/// The rows of a batch with their change types, or what is wrong with it.
fn decode(batch: &LogBatch, sample: &Sample) -> Result<Vec<(ChangeType, OwnedRow)>, DecodeError> {
    match sample.layout {
        Layout::Columns(_) => {
            let columns = decode_arrow(batch, &arrow_schema(&sample.row_type))?;
            let changes = batch.change_types()?;
            let rows = ArrowRows::new(columns, &sample.row_type)
                .map_err(|error| DecodeError::value("batch", error))?;
            let change = |index| {
                changes
                    .as_ref()
                    .map_or(ChangeType::AppendOnly, |changes| changes[index])
            };
            Ok((0..rows.len())
                .map(|index| (change(index), rows.row(index).to_owned_row()))
                .collect())
        }
        Layout::Rows(format) => decode_rows(batch, format, &sample.row_type)
            .map(|record| record.map(|(change, row)| (change, row.to_owned_row())))
            .collect(),
    }
}

pub(crate) fn only_batch(bytes: Bytes) -> LogBatch {
    let mut batches = LogBatches::new(bytes);
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    batch
}

/// Places under the checksum, and what is put there.
pub(crate) fn wrong() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
}

/// The batch with wrong bytes, and a checksum that is right for them.
pub(crate) fn spoilt(batch: &[u8], wrong: &[(prop::sample::Index, u8)]) -> Bytes {
    let mut bytes = batch.to_vec();
    for (place, byte) in wrong {
        bytes[CRC_FROM + place.index(batch.len() - CRC_FROM)] = *byte;
    }
    let crc = crc32c::crc32c(&bytes[CRC_FROM..]);
    bytes[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_le_bytes());
    bytes.into()
}

proptest! {
    #[test]
    fn log_batches_come_back_as_they_went(sample in sample()) {
        let batch = only_batch(encode(&sample));
        batch.verify_checksum().unwrap();
        let header = batch.header();
        prop_assert_eq!(header.record_count, sample.rows.len());
        prop_assert_eq!(header.writer_id.zip(header.batch_sequence), STAMP);
        prop_assert_eq!((header.schema_id, header.append_only), (SCHEMA, sample.changes.is_none()));
        let changes = sample.changes.clone().unwrap_or_else(|| vec![ChangeType::AppendOnly; sample.rows.len()]);
        let expected: Vec<_> = changes.into_iter().zip(sample.rows.clone()).collect();
        prop_assert_eq!(decode(&batch, &sample).unwrap(), expected);
    }

    #[test]
    fn a_cut_log_batch_is_incomplete_and_a_flipped_bit_an_error(sample in sample(), place in any::<prop::sample::Index>()) {
        let bytes = encode(&sample);
        let cut = LogBatches::new(bytes.slice(..place.index(bytes.len())));
        prop_assert_eq!(cut.count(), 0);
        let mut flipped = bytes.to_vec();
        let bit = CRC_FROM * 8 + place.index((bytes.len() - CRC_FROM) * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        for batch in LogBatches::new(flipped.into()) {
            prop_assert!(batch.and_then(|batch| batch.verify_checksum()).is_err());
        }
    }

    /// Bytes that a broken or hostile server has given the right checksum.
    #[test]
    fn wrong_bytes_with_a_right_checksum_do_no_harm(
        sample in sample(),
        wrong in wrong(),
    ) {
        let bytes = spoilt(&encode(&sample), &wrong);
        let limit = allocation_limit(bytes.len());
        let allocated = measure(|| {
            for batch in LogBatches::new(bytes).flatten() {
                drop(decode(&batch, &sample));
            }
        });
        prop_assert!(allocated.largest <= limit, "{allocated:?}, at most {limit} are expected");
    }

    #[test]
    fn batches_have_the_shape_that_a_server_looks_for(sample in sample(), wrong in wrong()) {
        let shape = sample.shape();
        let bytes = encode(&sample);
        prop_assert_eq!(shape.check(&only_batch(bytes.clone())), Ok(()));
        let bytes = spoilt(&bytes, &wrong);
        let limit = allocation_limit(bytes.len());
        let mut outcomes = Vec::new();
        let allocated = measure(|| {
            for batch in LogBatches::new(bytes).flatten() {
                outcomes.push((shape.check(&batch), decode(&batch, &sample)));
            }
        });
        prop_assert!(allocated.largest <= limit, "{allocated:?}, at most {limit} are expected");
        for (checked, decoded) in outcomes {
            // Rows are read, and of columns only what is in their buffers is not.
            let is_row = matches!(sample.layout, Layout::Rows(_));
            prop_assert!(!is_row || checked.is_err() || decoded.is_ok(), "{decoded:?}");
        }
    }

    #[test]
    fn kv_batches_come_back_as_they_went(
        records in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), prop::option::of(prop::collection::vec(any::<u8>(), 1..50))), 0..30),
        place in any::<prop::sample::Index>(),
    ) {
        let mut builder = KvBatchBuilder::new(SCHEMA);
        for (key, row) in &records {
            builder.append(key, row.as_deref()).unwrap();
        }
        let bytes = builder.finish().unwrap().seal(STAMP);
        let batch = KvBatch::new(bytes.clone()).unwrap();
        batch.verify_checksum().unwrap();
        prop_assert_eq!((batch.schema_id, batch.stamp, batch.record_count), (SCHEMA, STAMP, records.len()));
        let found: Vec<_> = batch
            .records()
            .map(|record| record.map(|record| (record.key.to_vec(), record.row.map(<[u8]>::to_vec))))
            .collect::<Result<_, _>>()
            .unwrap();
        prop_assert_eq!(found, records);
        prop_assert!(KvBatch::new(bytes.slice(..place.index(bytes.len()))).is_err());
        harmless(&bytes, place.index(bytes.len() * 8), |bytes| {
            if let Ok(batch) = KvBatch::new(bytes) {
                drop(batch.records().collect::<Result<Vec<_>, _>>());
            }
        })?;
    }

    #[test]
    fn value_batches_come_back_as_they_went(
        rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..30),
        place in any::<prop::sample::Index>(),
    ) {
        let values: Vec<_> = rows.iter().map(|row| StoredValue { schema_id: SCHEMA, row }).collect();
        let bytes = Bytes::from(encode_values(&values));
        prop_assert_eq!(decode_values(&bytes).unwrap(), values);
        prop_assert!(decode_values(&bytes[..place.index(bytes.len())]).is_err());
        harmless(&bytes, place.index(bytes.len() * 8), |bytes| drop(decode_values(&bytes)))?;
    }
}

/// Reads bytes with one bit flipped; nothing but a few times their own size may be allocated for it.
fn harmless(bytes: &Bytes, bit: usize, read: impl FnOnce(Bytes)) -> Result<(), TestCaseError> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    let allocated = measure(|| read(flipped.into()));
    prop_assert!(
        allocated.largest <= 16 * bytes.len() + 4096,
        "{allocated:?} for {} bytes",
        bytes.len()
    );
    Ok(())
}

//! `log_batches.json`, `log_batches_1_0_snapshot.json`, `log_batches_1_0.json`, `projections.json`, and the log data of `captured.json`.

use bytes::Bytes;
use fluss_core::arrow::{ArrowRows, arrow_schema};
use fluss_core::id::{BatchSequence, SchemaId, WriterId};
use fluss_core::record::log::{
    BatchShape, ChangeType, LogBatch, LogBatches, RowsBuilder, StatisticsColumns, decode_arrow, decode_rows,
    encode_arrow, encode_arrow_with_statistics,
};
use fluss_core::row::RowFormat;
use fluss_core::types::{Compression, Datum, Kind, OwnedRow, Row, RowType, Timestamp, ZstdLevel};
use serde_json::Value;

use crate::allocations::{allocation_limit, measure};
use crate::vectors::{assert_same, each, each_log_batch, hex, load, row, row_type};

pub(crate) fn only_batch(bytes: Vec<u8>) -> LogBatch {
    let mut batches = LogBatches::new(bytes.into());
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    assert!(batches.rest().is_empty());
    batch
}

fn row_format(vector: &Value) -> Option<RowFormat> {
    match vector["log_format"].as_str().unwrap() {
        "ARROW" => None,
        "INDEXED" => Some(RowFormat::Indexed),
        "COMPACTED" => Some(RowFormat::Compacted),
        other => panic!("{other}"),
    }
}

fn compression(vector: &Value) -> Compression {
    match vector["compression"].as_str() {
        None | Some("NONE") => Compression::None,
        Some("LZ4_FRAME") => Compression::Lz4Frame,
        Some("ZSTD") => {
            let level = vector["zstd_level"]
                .as_i64()
                .and_then(|level| ZstdLevel::new(i32::try_from(level).unwrap()));
            Compression::Zstd(level.unwrap_or_default())
        }
        Some(other) => panic!("{other}"),
    }
}

fn change_types(vector: &Value) -> Option<Vec<ChangeType>> {
    let short = |value: &Value| {
        let codes = (0..5).map(|code| ChangeType::from_code(code).unwrap());
        codes
            .into_iter()
            .find(|change| Some(change.short()) == value.as_str())
            .unwrap()
    };
    vector["change_types"]
        .as_array()
        .map(|types| types.iter().map(short).collect())
}

fn stamp(vector: &Value) -> Option<(WriterId, BatchSequence)> {
    let number = |field: &str| vector[field].as_i64().unwrap();
    let sequence = BatchSequence(i32::try_from(number("batch_sequence")).unwrap());
    (number("writer_id") >= 0).then_some((WriterId(number("writer_id")), sequence))
}

fn schema_id(vector: &Value) -> SchemaId {
    SchemaId(i16::try_from(vector["schema_id"].as_i64().unwrap()).unwrap())
}

fn rows(vector: &Value, row_type: &RowType) -> Vec<OwnedRow> {
    vector["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|values| row(row_type, values))
        .collect()
}

#[test]
fn what_others_write_has_the_shape_that_a_server_looks_for() {
    each_log_batch(|vector| {
        let row_type = row_type(vector);
        let shape = match row_format(vector) {
            None => BatchShape::Columns(arrow_schema(&row_type)),
            Some(format) => BatchShape::Rows(format, row_type),
        };
        let batch = only_batch(hex(&vector["batch"]));
        assert_eq!(shape.check(&batch), Ok(()), "{vector}");
    });
}

fn check_header(batch: &LogBatch, vector: &Value) {
    let header = batch.header();
    assert_eq!(i64::from(header.magic), vector["magic"].as_i64().unwrap());
    assert_eq!(Some(header.append_only), vector["append_only"].as_bool());
    assert_eq!(Some(header.base_offset), vector["base_offset"].as_i64());
    assert_eq!(header.schema_id, schema_id(vector));
    assert_eq!(header.writer_id.zip(header.batch_sequence), stamp(vector));
    assert_eq!(header.record_count, vector["rows"].as_array().unwrap().len());
    assert_eq!((header.commit_timestamp, header.leader_epoch), (0, None));
    assert_eq!(Some(batch.len() as u64), vector["size"].as_u64());
}

/// What an ARROW batch holds of a value: digits of its unit.
fn held(kind: &Kind, datum: Datum<'static>) -> Datum<'static> {
    let cut = |moment: Timestamp, precision: u8| match precision {
        0 => Timestamp::from_millis(moment.millis() / 1_000 * 1_000),
        1..=3 => Timestamp::from_millis(moment.millis()),
        4..=6 => Timestamp::from_micros(moment.micros().unwrap()),
        _ => moment,
    };
    match (kind, datum) {
        (Kind::Time(0), Datum::Time(millis)) => Datum::Time(millis / 1_000 * 1_000),
        (Kind::Timestamp(precision), Datum::Timestamp(moment)) => Datum::Timestamp(cut(moment, *precision)),
        (Kind::TimestampLtz(precision), Datum::TimestampLtz(moment)) => {
            Datum::TimestampLtz(cut(moment, *precision))
        }
        (Kind::Array(element), Datum::Array(elements)) => Datum::Array(
            elements
                .into_iter()
                .map(|datum| held(element.kind(), datum))
                .collect(),
        ),
        (Kind::Map(key, value), Datum::Map(entries)) => {
            let entry = |(k, v)| (held(key.kind(), k), held(value.kind(), v));
            Datum::Map(entries.into_iter().map(entry).collect())
        }
        (Kind::Row(row_type), Datum::Row(fields)) => Datum::Row(held_row(row_type, fields)),
        (_, datum) => datum,
    }
}

fn held_row(row_type: &RowType, row: OwnedRow) -> OwnedRow {
    row_type
        .fields()
        .iter()
        .zip(row)
        .map(|(field, datum)| held(field.data_type.kind(), datum))
        .collect()
}

fn check_arrow(batch: &LogBatch, row_type: &RowType, expected: &[OwnedRow]) {
    let columns = decode_arrow(batch, &arrow_schema(row_type)).unwrap();
    let found = ArrowRows::new(columns, row_type).unwrap();
    assert_eq!(found.len(), expected.len());
    for (index, expected) in expected.iter().enumerate() {
        assert_same(
            &found.row(index).to_owned_row(),
            &held_row(row_type, expected.clone()),
        );
    }
}

/// Writes the batch again, and reads what was written.
fn check_arrow_again(batch: &LogBatch, vector: &Value, row_type: &RowType) {
    let columns = decode_arrow(batch, &arrow_schema(row_type)).unwrap();
    let types = change_types(vector);
    let mut again = encode_arrow(&columns, types.as_deref(), compression(vector), schema_id(vector)).unwrap();
    let again = only_batch(again.seal(stamp(vector)).to_vec());
    again.verify_checksum().unwrap();
    assert_eq!(decode_arrow(&again, &arrow_schema(row_type)).unwrap(), columns);
    assert_eq!(again.change_types().unwrap().as_deref(), types.as_deref());
    let (ours, theirs) = (again.header(), batch.header());
    assert_eq!(ours.record_count, theirs.record_count);
    assert_eq!(ours.last_offset_delta, theirs.last_offset_delta);
    assert_eq!(ours.append_only, theirs.append_only);
    assert_eq!(
        (ours.schema_id, ours.writer_id),
        (theirs.schema_id, theirs.writer_id)
    );
    assert_eq!(ours.batch_sequence, theirs.batch_sequence);
}

/// Reads the rows, writes them again, and compares the bytes: all but what the server fills in.
fn check_rows(batch: &LogBatch, vector: &Value, row_type: &RowType, format: RowFormat) {
    let append_only = batch.header().append_only;
    let mut builder = RowsBuilder::new(format, schema_id(vector), append_only);
    let expected = rows(vector, row_type);
    let types = change_types(vector).unwrap_or_else(|| vec![ChangeType::AppendOnly; expected.len()]);
    for (row, change_type) in expected.iter().zip(&types) {
        builder.append(row_type, *change_type, row).unwrap();
    }
    let again = only_batch(builder.finish().unwrap().seal(stamp(vector)).to_vec());
    assert_eq!(again.payload(), batch.payload());
    if batch.header().magic == 0 {
        assert_eq!(again.bytes()[8..], batch.bytes()[8..]);
    }
    let found: Vec<_> = decode_rows(&again, format, row_type)
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        found
            .iter()
            .map(|(change_type, _)| *change_type)
            .collect::<Vec<_>>(),
        types
    );
}

fn check_batch(vector: &Value) {
    let row_type = row_type(vector);
    let batch = only_batch(hex(&vector["batch"]));
    batch.verify_checksum().unwrap();
    check_header(&batch, vector);
    if let Some(format) = row_format(vector) {
        check_rows(&batch, vector, &row_type, format);
    } else {
        assert_eq!(
            batch.change_types().unwrap().map(|types| types.to_vec()),
            change_types(vector)
        );
        check_arrow(&batch, &row_type, &rows(vector, &row_type));
        check_arrow_again(&batch, vector, &row_type);
    }
}

#[test]
fn log_batches_are_read_and_written() {
    each_log_batch(check_batch);
}

/// The columns with statistics, as the property would name them.
fn statistics_columns(vector: &Value, row_type: &RowType) -> Option<StatisticsColumns> {
    let columns = vector["statistics_columns"].as_array()?.iter();
    let names = columns.map(|column| row_type.names().nth(column.as_u64().unwrap() as usize).unwrap());
    Some(StatisticsColumns::parse(&names.collect::<Vec<_>>().join(","), row_type).unwrap())
}

/// All but the Arrow message is written to the byte: header, statistics and all.
#[test]
fn batches_with_statistics_are_written() {
    let mut written = 0;
    each("log_batches_1_0.json", 11, |vector| {
        let row_type = row_type(vector);
        let Some(columns) = statistics_columns(vector, &row_type).filter(|_| vector["magic"] == 1) else {
            return;
        };
        let theirs = only_batch(hex(&vector["batch"]));
        let rows = decode_arrow(&theirs, &arrow_schema(&row_type)).unwrap();
        let types = change_types(vector);
        let (compression, schema_id) = (compression(vector), schema_id(vector));
        let ours = encode_arrow_with_statistics(&rows, types.as_deref(), compression, schema_id, &columns);
        let ours = only_batch(ours.unwrap().seal(stamp(vector)).to_vec());
        ours.verify_checksum().unwrap();
        let payload_from = theirs.len() - theirs.payload().len();
        assert_eq!(ours.bytes()[12..21], theirs.bytes()[12..21]);
        assert_eq!(ours.bytes()[25..payload_from], theirs.bytes()[25..payload_from]);
        assert_eq!(decode_arrow(&ours, &arrow_schema(&row_type)).unwrap(), rows);
        written += 1;
    });
    assert_eq!(written, 9);
}

#[test]
fn statistics_tell_of_the_rows_of_their_batch() {
    let mut told = 0;
    for file in ["log_batches_1_0.json", "log_batches_1_0_snapshot.json"] {
        for vector in load(file) {
            let row_type = row_type(&vector);
            let batch = only_batch(hex(&vector["batch"]));
            let statistics = batch.statistics(&row_type).unwrap();
            let columns = vector["statistics_columns"]
                .as_array()
                .filter(|_| batch.record_count() > 0);
            assert_eq!(statistics.is_some(), columns.is_some(), "{vector}");
            for column in columns.into_iter().flatten() {
                let column = usize::try_from(column.as_u64().unwrap()).unwrap();
                let found = statistics.as_ref().unwrap().column(column).unwrap();
                let values: Vec<_> = rows(&vector, &row_type)
                    .into_iter()
                    .map(|row| row[column].clone())
                    .collect();
                let nulls = values.iter().filter(|value| value.is_null()).count();
                assert_eq!(found.nulls, Some(nulls));
                if let Some((least, greatest)) = &found.range {
                    for end in [least, greatest] {
                        let held = |value: &Datum<'static>| {
                            format!(
                                "{:?}",
                                held(row_type.field(column).unwrap().data_type.kind(), value.clone())
                            )
                        };
                        assert!(
                            values.iter().any(|value| held(value) == held(end)),
                            "{end:?} in {vector}"
                        );
                    }
                }
                told += 1;
            }
        }
    }
    println!("{told} columns");
    assert!(told > 40, "{told}");
}

#[test]
fn wrong_statistics_do_no_harm() {
    let vectors = load("log_batches_1_0.json");
    let vector = vectors.iter().find(|vector| vector["id"] == "b8").unwrap();
    let row_type = row_type(vector);
    let bytes = hex(&vector["batch"]);
    let end = bytes.len() - only_batch(bytes.clone()).payload().len();
    for bit in 48 * 8..end * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let allocated = measure(|| {
            for batch in LogBatches::new(flipped.into()).flatten() {
                let _ = batch.statistics(&row_type);
            }
        });
        assert!(
            allocated.largest <= allocation_limit(bytes.len()),
            "bit {bit}: {allocated:?}"
        );
    }
}

/// Nobody ever wrote one, and the number means another layout now (`v1_0.md` §7.2).
#[test]
fn what_0_9_calls_magic_1_is_refused() {
    let mut refused = 0;
    for vector in load("log_batches.json") {
        if vector["magic"] == 1 {
            let read = LogBatches::new(hex(&vector["batch"]).into()).next().unwrap();
            assert!(
                read.and_then(|batch| batch.verify_checksum()).is_err(),
                "{vector}"
            );
            refused += 1;
        }
    }
    println!("log_batches.json: {refused} refused");
    assert_eq!(refused, 13);
}

#[test]
fn projected_batches_are_read() {
    each("projections.json", 6, |vector| {
        let row_type = row_type(vector);
        let selected: Vec<usize> = vector["selected"]
            .as_array()
            .unwrap()
            .iter()
            .map(|index| index.as_u64().unwrap() as usize)
            .collect();
        let all = rows(vector, &row_type);
        check_arrow(&only_batch(hex(&vector["original"])), &row_type, &all);
        let pick = |row: &OwnedRow| selected.iter().map(|index| row[*index].clone()).collect();
        let some: Vec<OwnedRow> = all.iter().map(pick).collect();
        let projected = only_batch(hex(&vector["projected"]));
        check_arrow(&projected, &row_type.project(&selected), &some);
    });
}

#[test]
fn captured_log_data_are_read() {
    let mut checked = 0;
    each("captured.json", 29, |vector| {
        let field = if vector["kind"] == "limit_scan_log" {
            "records"
        } else {
            "batches"
        };
        if !vector["names"].is_array() || !vector[field].is_string() {
            return;
        }
        let mut row_type = row_type(vector);
        if let Some(columns) = vector["projected_fields"].as_array() {
            let columns: Vec<usize> = columns
                .iter()
                .map(|column| column.as_u64().unwrap() as usize)
                .collect();
            row_type = row_type.project(&columns);
        }
        let mut records = 0;
        for batch in LogBatches::new(hex(&vector[field]).into()) {
            let batch = batch.unwrap();
            records += decode_arrow(&batch, &arrow_schema(&row_type)).unwrap().num_rows();
        }
        assert!(records > 0 || hex(&vector[field]).len() <= 48);
        checked += 1;
    });
    println!("captured.json: {checked} stretches of log data");
    assert_eq!(checked, 12);
}

/// The log batches of all vector files that somebody writes.
fn written() -> Vec<Value> {
    let mut written = Vec::new();
    each_log_batch(|vector| written.push(vector.clone()));
    written
}

#[test]
fn a_cut_batch_is_incomplete() {
    let mut cuts = 0;
    for vector in written() {
        let bytes = Bytes::from(hex(&vector["batch"]));
        for length in 0..bytes.len() {
            let mut batches = LogBatches::new(bytes.slice(..length));
            assert!(batches.next().is_none());
            assert_eq!(batches.rest().len(), length);
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
}

#[test]
fn a_flipped_bit_is_an_error_under_the_checksum_and_harmless_without() {
    let mut flips = 0;
    for vector in written() {
        let row_type = row_type(&vector);
        let bytes = hex(&vector["batch"]);
        let crc_from = if vector["magic"] == 2 { 29 } else { 25 };
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = || {
                for batch in LogBatches::new(flipped.into()).flatten() {
                    assert!(
                        bit / 8 < crc_from || batch.verify_checksum().is_err(),
                        "bit {bit}"
                    );
                    match row_format(&vector) {
                        None => drop(decode_arrow(&batch, &arrow_schema(&row_type))),
                        Some(format) => {
                            drop(decode_rows(&batch, format, &row_type).collect::<Result<Vec<_>, _>>());
                        }
                    }
                }
            };
            let allocated = measure(read);
            assert!(
                allocated.largest <= allocation_limit(bytes.len()),
                "bit {bit}: {allocated:?}"
            );
            flips += 1;
        }
    }
    println!("{flips} flips");
}

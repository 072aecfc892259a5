//! `projections.json`, and random batches: what a server answers to a fetch of some columns.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_core::arrow::{ColumnsBuilder, arrow_schema};
use fluss_core::record::log::{
    LogBatch, LogBatches, Projection, decode_arrow, decode_arrow_columns, encode_arrow,
};
use fluss_core::types::{Compression, DataType, Datum, Field, RowType};
use proptest::prelude::*;

use crate::allocations::measure;
use crate::batches::{Layout, SCHEMA, STAMP, Sample, encode, sample, spoilt, wrong};
use crate::cases::cases;
use crate::log_batches::only_batch;
use crate::vectors::{each, each_log_batch, hex, row_type};

fn project(batch: &LogBatch, row_type: &RowType, columns: &[usize]) -> Bytes {
    let projection = Projection::new(&arrow_schema(row_type), columns).unwrap();
    projection.apply(batch).unwrap()
}

fn decode(batch: &LogBatch, row_type: &RowType) -> RecordBatch {
    decode_arrow(batch, &arrow_schema(row_type)).unwrap()
}

/// The batch up to the Arrow message without its length, and the body of the message.
fn parts(batch: &LogBatch) -> (Vec<u8>, Bytes) {
    let types = batch.change_types().unwrap().map_or(0, |types| types.len());
    let payload = batch.payload().slice(types..);
    let metadata_bytes = i32::from_le_bytes(payload[4..8].try_into().unwrap());
    let head = &batch.bytes()[..batch.len() - payload.len()];
    let body = payload.slice(8 + usize::try_from(metadata_bytes).unwrap()..);
    ([&head[..8], &head[12..]].concat(), body)
}

/// Checks a batch of some columns against the whole batch, and what is decoded of the whole batch if only they are wanted.
fn check(original: &LogBatch, row_type: &RowType, columns: &[usize]) {
    let projected = only_batch(project(original, row_type, columns).to_vec());
    let expected = decode(original, row_type).project(columns).unwrap();
    assert_eq!(decode(&projected, &row_type.project(columns)), expected);
    let decoded = decode_arrow_columns(original, &arrow_schema(row_type), columns).unwrap();
    assert_eq!(decoded, expected);
    assert_eq!(projected.change_types(), original.change_types());
    let (found, expected) = (projected.header(), original.header());
    assert_eq!(found.record_count, expected.record_count);
    assert_eq!(found.crc, expected.crc);
}

#[test]
fn batches_are_projected_as_a_server_does() {
    each("projections.json", 6, |vector| {
        let row_type = row_type(vector);
        let columns: Vec<usize> = serde_json::from_value(vector["selected"].clone()).unwrap();
        let original = only_batch(hex(&vector["original"]));
        let theirs = only_batch(hex(&vector["projected"]));
        let ours = only_batch(project(&original, &row_type, &columns).to_vec());
        assert_eq!(parts(&ours), parts(&theirs));
        let projected = row_type.project(&columns);
        assert_eq!(decode(&ours, &projected), decode(&theirs, &projected));
    });
}

#[test]
fn every_column_of_every_arrow_batch_is_projected() {
    let mut projected = 0;
    each_log_batch(|vector| {
        let row_type = row_type(vector);
        if vector["log_format"] == "ARROW" {
            let batch = only_batch(hex(&vector["batch"]));
            for column in 0..row_type.len() {
                check(&batch, &row_type, &[column]);
                projected += 1;
            }
        }
    });
    println!("{projected} projections");
    assert!(projected > 100, "{projected}");
}

#[test]
fn a_batch_without_records_is_left_as_it_is() {
    let mut empty = 0;
    each_log_batch(|vector| {
        let batch = only_batch(hex(&vector["batch"]));
        if batch.record_count() == 0 && vector["log_format"] == "ARROW" {
            assert_eq!(project(&batch, &row_type(vector), &[0]), batch.bytes());
            empty += 1;
        }
    });
    assert!(empty > 0);
}

#[test]
fn columns_that_cannot_be_asked_for_are_refused() {
    let row_type = RowType::new(["a", "b"].map(|name| Field::new(name, DataType::int())));
    let refusal = |columns: &[usize]| {
        let refused = Projection::new(&arrow_schema(&row_type), columns).unwrap_err();
        refused.to_string()
    };
    assert_eq!(refusal(&[1, 0]), "projected columns do not ascend");
    assert_eq!(refusal(&[0, 0]), "projected columns do not ascend");
    assert_eq!(refusal(&[0, 2]), "there is no column 2");
}

#[test]
fn a_column_that_is_not_wanted_is_not_looked_at() {
    let row_type = RowType::new([
        Field::new("a", DataType::int()),
        Field::new("b", DataType::string()),
    ]);
    let mut columns = ColumnsBuilder::new(&row_type, 1);
    let text = "\u{e9}".repeat(4);
    columns
        .append(&[Datum::Int(7), Datum::from(text.as_str())])
        .unwrap();
    let sealed = encode_arrow(&columns.finish().unwrap(), None, Compression::None, SCHEMA)
        .unwrap()
        .seal(STAMP);
    let mut bytes = sealed.to_vec();
    let at = bytes
        .windows(text.len())
        .position(|part| part == text.as_bytes())
        .unwrap();
    bytes[at] = b'x';
    let batch = only_batch(bytes);
    let schema = arrow_schema(&row_type);
    assert!(decode_arrow(&batch, &schema).is_err(), "it is no text any more");
    let wanted = decode_arrow_columns(&batch, &schema, &[0]).unwrap();
    assert_eq!((wanted.num_columns(), wanted.num_rows()), (1, 1));
}

/// A random batch of columns, with some of them in order.
fn columns() -> impl Strategy<Value = (Sample, Vec<usize>)> {
    let arrow = sample().prop_map(|mut sample| {
        if matches!(sample.layout, Layout::Rows(_)) {
            sample.layout = Layout::Columns(Compression::None);
        }
        sample
    });
    arrow.prop_flat_map(|sample| {
        let all: Vec<_> = (0..sample.row_type.len()).collect();
        let some = prop::sample::subsequence(all.clone(), 0..=all.len());
        (Just(sample), some)
    })
}

#[test]
fn a_projected_batch_has_the_columns_that_were_asked_for() {
    cases("projections", &columns(), |(sample, columns)| {
        let batch = only_batch(encode(&sample).to_vec());
        check(&batch, &sample.row_type, &columns);
        Ok(())
    });
}

/// A hostile writer cannot have a server send more than it stored.
#[test]
fn projecting_wrong_bytes_does_no_harm() {
    cases(
        "projections of wrong bytes",
        &(columns(), wrong()),
        |((sample, columns), wrong)| {
            let bytes = spoilt(&encode(&sample), &wrong);
            let projection = Projection::new(&arrow_schema(&sample.row_type), &columns).unwrap();
            let limit = 8 * bytes.len() + 8192;
            let allocated = measure(|| {
                for batch in LogBatches::new(bytes).flatten() {
                    if let Ok(projected) = projection.apply(&batch) {
                        assert!(
                            projected.len() <= batch.len() + 1024,
                            "{} of {}",
                            projected.len(),
                            batch.len()
                        );
                    }
                }
            });
            prop_assert!(
                allocated.largest <= limit,
                "{allocated:?}, at most {limit} are expected"
            );
            Ok(())
        },
    );
}

//! `kv_batches.json`, and what `captured.json` has of primary-key tables.

use fluss_core::id::{BatchSequence, SchemaId, WriterId};
use fluss_core::record::kv::{KvBatch, KvBatchBuilder};
use fluss_core::record::value::{StoredValue, decode_values};
use fluss_core::row::{KeyEncoder, KeyFormat, RowFormat};
use fluss_core::types::OwnedRow;
use serde_json::Value;

use crate::vectors::{assert_same, each, hex, load, row, row_type};

fn format(vector: &Value) -> RowFormat {
    match vector["kv_format"].as_str().unwrap_or("COMPACTED") {
        "COMPACTED" => RowFormat::Compacted,
        "INDEXED" => RowFormat::Indexed,
        other => panic!("{other}"),
    }
}

fn columns(vector: &Value, field: &str) -> Vec<usize> {
    vector[field]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column.as_u64().unwrap() as usize)
        .collect()
}

fn stamp(vector: &Value) -> Option<(WriterId, BatchSequence)> {
    let writer = vector["writer_id"].as_i64().unwrap();
    let sequence = i32::try_from(vector["batch_sequence"].as_i64().unwrap()).unwrap();
    (writer >= 0).then_some((WriterId(writer), BatchSequence(sequence)))
}

#[test]
fn kv_batches_are_written_and_read() {
    each("kv_batches.json", 25, |vector| {
        let (row_type, format) = (row_type(vector), format(vector));
        let records: Vec<(Vec<u8>, Option<OwnedRow>)> = vector["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| {
                (
                    hex(&record["key"]),
                    (!record["row"].is_null()).then(|| row(&row_type, &record["row"])),
                )
            })
            .collect();
        let schema_id = SchemaId(i16::try_from(vector["schema_id"].as_i64().unwrap()).unwrap());
        let mut builder = KvBatchBuilder::new(schema_id);
        let keys = KeyEncoder::new(KeyFormat::Fluss, &row_type, &columns(vector, "primary_key")).unwrap();
        for (key, row) in &records {
            let encoded = row.as_ref().map(|row| {
                let (mut bytes, mut own_key) = (Vec::new(), Vec::new());
                format.encode(&row_type, row, &mut bytes).unwrap();
                keys.encode(row, &mut own_key).unwrap();
                assert_eq!(own_key, *key);
                bytes
            });
            builder.append(key, encoded.as_deref()).unwrap();
        }
        let bytes = hex(&vector["batch"]);
        assert_eq!(builder.finish().unwrap().seal(stamp(vector)), bytes);

        let batch = KvBatch::new(bytes.into()).unwrap();
        batch.verify_checksum().unwrap();
        assert_eq!(
            (batch.schema_id, batch.stamp, batch.record_count),
            (schema_id, stamp(vector), records.len())
        );
        for (found, (key, row)) in batch.records().zip(&records) {
            let found = found.unwrap();
            assert_eq!(found.key, key);
            assert_eq!(found.row.is_some(), row.is_some());
            if let Some((bytes, row)) = found.row.zip(row.as_ref()) {
                assert_same(&format.decode(&row_type, bytes).unwrap(), row);
            }
        }
    });
}

#[test]
fn captured_writes_and_look_ups_are_read() {
    let (mut rows, mut batches) = (0, 0);
    for vector in load("captured.json") {
        let value = |bytes: &[u8]| {
            let stored = StoredValue::decode(bytes).unwrap();
            RowFormat::Compacted
                .decode(&row_type(&vector), stored.row)
                .unwrap()
                .len()
        };
        let list = |field: &str| vector[field].as_array().cloned().unwrap_or_default();
        match vector["kind"].as_str().unwrap() {
            "put_kv" => {
                let batch = KvBatch::new(hex(&vector["batch"]).into()).unwrap();
                batch.verify_checksum().unwrap();
                for record in batch.records() {
                    let row = record.unwrap().row;
                    rows += usize::from(row.is_some());
                    if let Some(row) = row {
                        format(&vector).decode(&row_type(&vector), row).unwrap();
                    }
                }
                batches += 1;
            }
            "lookup" => {
                rows += list("values")
                    .iter()
                    .filter(|found| !found.is_null())
                    .map(|v| value(&hex(v)).min(1))
                    .sum::<usize>();
            }
            "prefix_lookup" => {
                let found = list("values");
                rows += found
                    .iter()
                    .flat_map(|values| values.as_array().unwrap())
                    .map(|v| value(&hex(v)).min(1))
                    .sum::<usize>();
            }
            "limit_scan_kv" => rows += decode_values(&hex(&vector["records"])).unwrap().len(),
            _ => {}
        }
    }
    println!("captured.json: {batches} KV batches, {rows} rows of primary-key tables");
    assert_eq!(batches, 5);
    assert!(rows > 5, "{rows}");
}

#[test]
fn a_cut_batch_and_a_flipped_bit_are_errors() {
    let (mut cuts, mut flips) = (0, 0);
    for vector in load("kv_batches.json") {
        let bytes = hex(&vector["batch"]);
        for length in 0..bytes.len() {
            assert!(KvBatch::new(bytes[..length].to_vec().into()).is_err());
            cuts += 1;
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(batch) = KvBatch::new(flipped.into()) {
                assert!(batch.verify_checksum().is_err(), "bit {bit}");
                let row_type = row_type(&vector);
                for record in batch.records().flatten() {
                    if let Some(row) = record.row {
                        drop(format(&vector).decode(&row_type, row));
                    }
                }
            }
            flips += 1;
        }
    }
    println!("{cuts} cuts, {flips} flips");
}

//! Batches that no reader could take apart are refused, with a right checksum too, and nothing of them is stored.

use bytes::Bytes;
use fluss_core::arrow::{ColumnsBuilder, arrow_schema};
use fluss_core::record::kv::KvBatchBuilder;
use fluss_core::record::log::{WholeBatches, decode_arrow, encode_arrow};
use fluss_core::row::KeyEncoder;
use fluss_core::types::{Compression, Field, OwnedRow, RowType, ZstdLevel};

use super::*;
use crate::BatchCheck;

/// Where the parts of a log batch are: its length, its schema, the last offset's delta, the number of records, and the
/// payload.
const LENGTH_AT: usize = 8;
const SCHEMA_AT: usize = 25;
const DELTA_AT: usize = 28;
const COUNT_AT: usize = 44;
const PAYLOAD_AT: usize = 48;

/// A change of a batch.
type Spoil = fn(&mut Vec<u8>);

/// A table of the node, by its number.
struct Table<'c> {
    connection: &'c Connection,
    id: i64,
}

impl<'c> Table<'c> {
    async fn create(
        connection: &'c Connection,
        name: &str,
        key: &[&str],
        properties: &[(&str, &str)],
    ) -> Self {
        let columns = row_type();
        let mut schema = Schema::builder();
        for field in columns.fields() {
            schema = schema.column(&field.name, field.data_type.clone());
        }
        let schema = schema.primary_key(key.iter().copied()).build().unwrap();
        let id = create_table(connection, name, schema, properties).await.unwrap();
        Self { connection, id }
    }

    /// Appends batches; the code and the message of a refusal.
    async fn produce(&self, records: Vec<u8>) -> Result<i64, (ErrorCode, String)> {
        let mut request = produce(self.id, 0);
        request.buckets_req[0].records = records.into();
        let answer = self
            .connection
            .request(&request)
            .await
            .unwrap()
            .buckets_resp
            .remove(0);
        refused(answer.error_code, answer.error_message.clone())?;
        Ok(answer.base_offset())
    }

    async fn put(&self, records: Vec<u8>) -> Result<i64, (ErrorCode, String)> {
        let request = proto::PutKvRequest {
            acks: -1,
            table_id: self.id,
            timeout_ms: 1_000,
            buckets_req: vec![proto::PbPutKvReqForBucket {
                records: records.into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self
            .connection
            .request(&request)
            .await
            .unwrap()
            .buckets_resp
            .remove(0);
        refused(answer.error_code, answer.error_message.clone())?;
        Ok(answer.log_end_offset())
    }

    /// The end of the log.
    async fn end(&self) -> i64 {
        let fetched = self.connection.request(&fetch(self.id, -2, 1)).await.unwrap();
        fetched.tables_resp[0].buckets_resp[0].high_watermark()
    }
}

fn refused(code: Option<i32>, message: Option<String>) -> Result<(), (ErrorCode, String)> {
    match ErrorCode::of(code) {
        None => Ok(()),
        Some(code) => Err((code, message.unwrap_or_default())),
    }
}

fn row_type() -> RowType {
    RowType::new([
        Field::new("id", DataType::int().not_null()),
        Field::new("name", DataType::string()),
        Field::new("tags", DataType::array(DataType::string())),
    ])
}

fn rows() -> [OwnedRow; 3] {
    let row = |id: i32, name: Option<&'static str>| {
        let name = name.map_or(Datum::Null, Datum::from);
        OwnedRow::from_iter([Datum::Int(id), name, Datum::Array(vec![Datum::from("x")])])
    };
    [row(1, Some("one")), row(2, None), row(3, Some("three"))]
}

fn columns(row_type: &RowType, rows: &[OwnedRow], compression: Compression) -> Vec<u8> {
    let mut columns = ColumnsBuilder::new(row_type, 0);
    for row in rows {
        columns.append(row).unwrap();
    }
    let columns = columns.finish().unwrap();
    let batch = encode_arrow(&columns, None, compression, SchemaId(1)).unwrap();
    batch.clone().seal(None).to_vec()
}

fn rows_batch(format: RowFormat) -> Vec<u8> {
    let mut builder = RowsBuilder::new(format, SchemaId(1), true);
    for row in rows() {
        builder.append(&row_type(), ChangeType::AppendOnly, &row).unwrap();
    }
    builder.finish().unwrap().seal(None).to_vec()
}

/// A batch as it is sent after a change: with the length and the checksum that it has now.
fn spoilt(batch: &[u8], spoil: Spoil) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    spoil(&mut bytes);
    let length = i32::try_from(bytes.len() - LENGTH_AT - 4).unwrap();
    bytes[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[SCHEMA_AT..]);
    bytes[SCHEMA_AT - 4..SCHEMA_AT].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn set(bytes: &mut [u8], at: usize, number: i32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// Says that a batch has so many records.
fn count(bytes: &mut [u8], records: i32) {
    set(bytes, DELTA_AT, (records - 1).max(0));
    set(bytes, COUNT_AT, records);
}

async fn open(check: BatchCheck) -> (Node, Connection) {
    let mut options = options();
    options.check = check;
    let (node, address) = listening(options).await;
    let connection = Connection::connect(&address, &ConnectOptions::default()).await;
    (node, connection.unwrap())
}

/// What can be wrong with any batch of three records, in any format.
const ANY: &[(&str, Spoil)] = &[
    ("more records than there are", |bytes| count(bytes, 4)),
    ("fewer records than there are", |bytes| count(bytes, 2)),
    ("cut", |bytes| bytes.truncate(bytes.len() - 8)),
    ("without a payload", |bytes| bytes.truncate(PAYLOAD_AT)),
];

#[tokio::test]
async fn log_batches_that_cannot_be_read_are_refused() {
    let (_node, connection) = open(BatchCheck::Shape).await;
    let zstd = Compression::Zstd(ZstdLevel::default());
    let formats = [
        ("ARROW", columns(&row_type(), &rows(), Compression::None)),
        ("ARROW", columns(&row_type(), &rows(), Compression::Lz4Frame)),
        ("ARROW", columns(&row_type(), &rows(), zstd)),
        ("INDEXED", rows_batch(RowFormat::Indexed)),
        ("COMPACTED", rows_batch(RowFormat::Compacted)),
    ];
    for (index, (format, good)) in formats.into_iter().enumerate() {
        let name = format!("log_{index}");
        let table = Table::create(&connection, &name, &[], &[("table.log.format", format)]).await;
        for (what, spoil) in ANY {
            let refusal = table.produce(spoilt(&good, *spoil)).await.unwrap_err();
            assert_eq!(
                refusal.0,
                ErrorCode::CORRUPT_RECORD,
                "{format} {what}: {refusal:?}"
            );
            let place = format!("batch 0 for fluss.{name}: malformed ");
            assert!(refusal.1.starts_with(&place), "{what}: {refusal:?}");
        }
        let unknown = spoilt(&good, |bytes| bytes[SCHEMA_AT] = 7);
        let refusal = table.produce(unknown).await.unwrap_err();
        assert_eq!(refusal.0, ErrorCode::SCHEMA_NOT_EXIST);
        assert!(refusal.1.contains("no schema 7"), "{refusal:?}");
        // Of several none is stored.
        let second_is_bad = [good.clone(), spoilt(&good, |bytes| count(bytes, 9))].concat();
        let refusal = table.produce(second_is_bad).await.unwrap_err();
        assert!(refusal.1.starts_with("batch 1 for "), "{refusal:?}");
        assert_eq!(table.end().await, 0, "{format}");
        assert_eq!(table.produce(good).await, Ok(0), "{format}");
        assert_eq!(table.end().await, 3);
    }
}

/// Metadata of an Arrow message that do not fit its body, or the schema.
#[tokio::test]
async fn arrow_messages_that_do_not_fit_are_refused() {
    let (_node, connection) = open(BatchCheck::Shape).await;
    let table = Table::create(&connection, "columns", &[], &[]).await;
    let good = columns(&row_type(), &rows(), Compression::None);
    let schema = arrow_schema(&row_type());
    let (mut refused, mut unreadable) = (0, 0);
    let metadata = i32::from_le_bytes(good[PAYLOAD_AT + 4..PAYLOAD_AT + 8].try_into().unwrap());
    let body_at = PAYLOAD_AT + 8 + usize::try_from(metadata).unwrap();
    for at in PAYLOAD_AT..body_at {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        let bad = spoilt(&bad, |_| {});
        let mut batches = WholeBatches::new(bad.clone().into());
        let is_unreadable = decode_arrow(&batches.next().unwrap().unwrap(), &schema).is_err();
        let is_refused = table.produce(bad).await.is_err();
        refused += usize::from(is_refused);
        unreadable += usize::from(is_unreadable && !is_refused);
    }
    assert!(refused > 100, "{refused} of {}", body_at - PAYLOAD_AT);
    assert_eq!(
        unreadable, 0,
        "all buffers are where they were, or the batch is refused"
    );
    let fewer = row_type().project(&[0, 1]);
    let others = rows().map(|row| row.into_iter().take(2).collect());
    let end = table.end().await;
    for (what, bad) in [
        ("fewer columns", columns(&fewer, &others, Compression::None)),
        ("no message", spoilt(&good, |bytes| bytes[PAYLOAD_AT..].fill(0))),
        ("a null where none is taken", with_null()),
    ] {
        let refusal = table.produce(bad).await.unwrap_err();
        assert_eq!(refusal.0, ErrorCode::CORRUPT_RECORD, "{what}: {refusal:?}");
    }
    assert_eq!(table.end().await, end);
}

/// A batch with a null in the column `id`.
fn with_null() -> Vec<u8> {
    let mut fields = row_type().fields().to_vec();
    fields[0].data_type = DataType::int();
    let row = OwnedRow::from_iter([Datum::Null, Datum::Null, Datum::Null]);
    columns(&RowType::new(fields), &[row], Compression::None)
}

fn kv_batch(records: &[(&[u8], Option<&OwnedRow>)]) -> Vec<u8> {
    let mut builder = KvBatchBuilder::new(SchemaId(1));
    for (key, row) in records {
        let mut bytes = Vec::new();
        if let Some(row) = row {
            RowFormat::Compacted
                .encode(&row_type(), *row, &mut bytes)
                .unwrap();
        }
        builder.append(key, row.map(|_| &*bytes)).unwrap();
    }
    builder.finish().unwrap().seal(None).to_vec()
}

/// A KV batch after a change, with its length and checksum.
fn kv_spoilt(batch: &[u8], spoil: Spoil) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    spoil(&mut bytes);
    let length = i32::try_from(bytes.len() - 4).unwrap();
    set(&mut bytes, 0, length);
    let crc = crc32c::crc32c(&bytes[9..]);
    bytes[5..9].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn key(row: &OwnedRow) -> Vec<u8> {
    let encoder = KeyEncoder::new(fluss_core::row::KeyFormat::Fluss, &row_type(), &[0]).unwrap();
    let mut key = Vec::new();
    encoder.encode(row, &mut key).unwrap();
    key
}

#[tokio::test]
async fn kv_batches_that_cannot_be_read_are_refused() {
    let (_node, connection) = open(BatchCheck::Shape).await;
    let table = Table::create(&connection, "keys", &["id"], &[]).await;
    let [one, two, _] = rows();
    let good = kv_batch(&[(&key(&one), Some(&one)), (&key(&two), Some(&two))]);
    let cases: &[(&str, Spoil)] = &[
        ("fewer records than there are", |bytes| set(bytes, 24, 1)),
        ("more records than there are", |bytes| set(bytes, 24, 3)),
        ("cut", |bytes| bytes.truncate(bytes.len() - 1)),
        ("a length that is none", |bytes| set(bytes, 28, -1)),
    ];
    for (what, spoil) in cases {
        let refusal = table.put(kv_spoilt(&good, *spoil)).await.unwrap_err();
        assert_eq!(refusal.0, ErrorCode::UNKNOWN_SERVER_ERROR, "{what}: {refusal:?}");
    }
    let unknown = kv_spoilt(&good, |bytes| bytes[9] = 7);
    assert_eq!(
        table.put(unknown).await.unwrap_err().0,
        ErrorCode::SCHEMA_NOT_EXIST
    );
    let no_key = table.put(kv_batch(&[(b"", Some(&one))])).await.unwrap_err();
    assert!(no_key.1.contains("empty key"), "{no_key:?}");
    assert_eq!(table.end().await, 0);
    assert_eq!(table.put(good).await, Ok(2));
}

#[tokio::test]
async fn all_values_are_looked_at_if_that_is_asked_for() {
    let (_node, connection) = open(BatchCheck::All).await;
    let table = Table::create(&connection, "columns", &[], &[]).await;
    let mut no_text = columns(&row_type(), &rows(), Compression::None);
    let at = no_text.windows(5).position(|bytes| bytes == b"three").unwrap();
    no_text[at] = 0xff;
    let refusal = table.produce(spoilt(&no_text, |_| {})).await.unwrap_err();
    assert_eq!(refusal.0, ErrorCode::CORRUPT_RECORD, "{refusal:?}");
    assert_eq!(table.end().await, 0);
    let good = columns(&row_type(), &rows(), Compression::None);
    assert_eq!(table.produce(good).await, Ok(0));
    let table = Table::create(&connection, "keys", &["id"], &[]).await;
    let [one, two, _] = rows();
    let refusal = table
        .put(kv_batch(&[(&key(&one), Some(&two))]))
        .await
        .unwrap_err();
    assert_eq!(refusal.0, ErrorCode::CORRUPT_RECORD);
    assert!(
        refusal.1.contains("record 0: its key is that of another row"),
        "{refusal:?}"
    );
    assert_eq!(
        table
            .put(kv_batch(&[(&key(&one), Some(&one)), (&key(&two), None)]))
            .await,
        Ok(1)
    );
}

/// A table with older schemas takes batches of each of them.
#[tokio::test]
async fn batches_of_an_older_schema_are_taken() {
    let (_node, connection) = open(BatchCheck::All).await;
    let table = Table::create(&connection, "older", &[], &[]).await;
    let old = columns(&row_type(), &rows(), Compression::None);
    assert_eq!(table.produce(old.clone()).await, Ok(0));
    let add = proto::AlterTableRequest {
        table_path: proto::PbTablePath {
            database_name: "fluss".to_owned(),
            table_name: "older".to_owned(),
        },
        add_columns: vec![proto::PbAddColumn {
            column_name: "more".to_owned(),
            data_type_json: Bytes::from_static(br#"{"type":"INTEGER"}"#),
            ..Default::default()
        }],
        ..Default::default()
    };
    connection.request(&add).await.unwrap();
    assert_eq!(table.produce(old.clone()).await, Ok(3));
    let as_new = spoilt(&old, |bytes| bytes[SCHEMA_AT] = 2);
    let refusal = table.produce(as_new).await.unwrap_err();
    assert!(
        refusal.1.contains("fewer columns than the schema has"),
        "{refusal:?}"
    );
}

//! What a node has, asked for frame by frame: a client would try again for long what is damaged, and tell less of it.

use fluss_core::arrow::{ArrowRows, arrow_schema};
use fluss_core::id::Offset;
use fluss_core::record::log::{ChangeType, LogBatch, WholeBatches, decode_arrow};
use fluss_core::record::value::decode_values;
use fluss_core::row::RowFormat;
use fluss_core::types::{DataType, Datum, Field, OwnedRow, Row, RowType};
use fluss_rpc::net::{ConnectOptions, Connection, ServerAddress, Transport};
use fluss_rpc::proto;
use fluss_server::Node;

use crate::contents::Log;
use crate::known::{Change, Rows};

/// The offset that stands for the start of a log.
const EARLIEST: Offset = -2;

/// What was read, and why no more than that.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) found: T,
    pub(crate) refused: Option<String>,
}

/// What was read of all that a node has.
#[derive(Debug)]
pub(crate) struct Reads {
    pub(crate) events: Read<Log<i64>>,
    pub(crate) changes: Read<Log<Change>>,
    pub(crate) rows: Read<Option<Rows>>,
}

impl Reads {
    /// All reasons why something could not be read.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = &String> {
        let refused = [&self.events.refused, &self.changes.refused, &self.rows.refused];
        refused.into_iter().flatten()
    }
}

pub(crate) async fn read(node: &Node) -> Reads {
    let address = ServerAddress::new("node", 0);
    let options = ConnectOptions {
        transport: Transport::in_process(node.clone()),
        ..ConnectOptions::default()
    };
    let connection = Connection::connect(&address, &options).await.unwrap();
    let (events, rows) = (
        table_id(&connection, "events").await,
        table_id(&connection, "rows").await,
    );
    let number = |_: ChangeType, row: OwnedRow| match row[..] {
        [Datum::BigInt(number)] => number,
        _ => panic!("{row:?}"),
    };
    let change = |change, row: OwnedRow| {
        let (id, value) = columns(&row);
        (change, id, value)
    };
    Reads {
        events: read_log(&connection, events, &numbers(), number).await,
        changes: read_log(&connection, rows, &pairs(), change).await,
        rows: read_rows(&connection, rows).await,
    }
}

fn numbers() -> RowType {
    RowType::new([Field::new("number", DataType::big_int())])
}

fn pairs() -> RowType {
    RowType::new([
        Field::new("id", DataType::int().not_null()),
        Field::new("value", DataType::big_int()),
    ])
}

fn columns(row: &OwnedRow) -> (i32, i64) {
    match row[..] {
        [Datum::Int(id), Datum::BigInt(value)] => (id, value),
        ref row => panic!("{row:?}"),
    }
}

async fn table_id(connection: &Connection, name: &str) -> i64 {
    let table_path = proto::PbTablePath {
        database_name: "fluss".to_owned(),
        table_name: name.to_owned(),
    };
    let info = connection
        .request(&proto::GetTableInfoRequest { table_path })
        .await;
    info.unwrap().table_id
}

async fn read_log<T>(
    connection: &Connection,
    table: i64,
    row_type: &RowType,
    record: impl Fn(ChangeType, OwnedRow) -> T,
) -> Read<Log<T>> {
    let mut log: Option<Log<T>> = None;
    let refused = loop {
        let from = log.as_ref().map_or(EARLIEST, Log::end);
        let answer = fetch(connection, table, from).await;
        if answer.error_code() != 0 {
            break Some(answer.error_message().to_owned());
        }
        let log = log.get_or_insert(Log {
            start: answer.log_start_offset(),
            records: Vec::new(),
        });
        for batch in WholeBatches::new(answer.records.clone().unwrap_or_default()) {
            add(log, &batch.unwrap(), row_type, &record);
        }
        if log.end() >= answer.high_watermark() {
            break None;
        }
    };
    let nothing = Log {
        start: 0,
        records: Vec::new(),
    };
    Read {
        found: log.unwrap_or(nothing),
        refused,
    }
}

async fn fetch(
    connection: &Connection,
    table_id: i64,
    fetch_offset: Offset,
) -> proto::PbFetchLogRespForBucket {
    let bucket = proto::PbFetchLogReqForBucket {
        fetch_offset,
        max_fetch_bytes: 1_000,
        ..Default::default()
    };
    let request = proto::FetchLogRequest {
        follower_server_id: -1,
        max_bytes: 1 << 20,
        tables_req: vec![proto::PbFetchLogReqForTable {
            table_id,
            buckets_req: vec![bucket],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut answer = connection.request(&request).await.unwrap();
    answer.tables_resp.remove(0).buckets_resp.remove(0)
}

/// Adds the records of a batch that are not there yet: a batch is given whole.
fn add<T>(
    log: &mut Log<T>,
    batch: &LogBatch,
    row_type: &RowType,
    record: &impl Fn(ChangeType, OwnedRow) -> T,
) {
    batch.verify_checksum().unwrap();
    let columns = decode_arrow(batch, &arrow_schema(row_type)).unwrap();
    let rows = ArrowRows::new(columns, row_type).unwrap();
    let changes = batch.change_types().unwrap();
    for index in 0..batch.record_count() {
        let change = changes
            .as_ref()
            .map_or(ChangeType::AppendOnly, |changes| changes[index]);
        let offset = batch.base_offset() + index as Offset;
        if offset >= log.end() {
            log.push(offset, record(change, rows.row(index).to_owned_row()));
        }
    }
}

async fn read_rows(connection: &Connection, table_id: i64) -> Read<Option<Rows>> {
    let scan = proto::LimitScanRequest {
        table_id,
        partition_id: None,
        bucket_id: 0,
        limit: i32::MAX,
        routing_bucket_count: None,
    };
    let answer = connection.request(&scan).await.unwrap();
    if answer.error_code() != 0 {
        return Read {
            found: None,
            refused: Some(answer.error_message().to_owned()),
        };
    }
    let bytes = answer.records.unwrap_or_default();
    let values = decode_values(&bytes).unwrap();
    let rows = values.iter().map(|value| {
        let row = RowFormat::Compacted.decode(&pairs(), value.row).unwrap();
        columns(&row.into_iter().map(Datum::into_owned).collect())
    });
    let rows: Rows = rows.collect();
    assert_eq!(rows.len(), values.len());
    assert_eq!(count(connection, table_id).await, rows.len() as i64);
    Read {
        found: Some(rows),
        refused: None,
    }
}

async fn count(connection: &Connection, table_id: i64) -> i64 {
    let request = proto::GetTableStatsRequest {
        table_id,
        buckets_req: vec![proto::PbTableStatsReqForBucket::default()],
        ..Default::default()
    };
    let answer = connection.request(&request).await.unwrap();
    answer.buckets_resp[0].row_count()
}

//! Two tables as a client has them: events without keys, and rows with.

use std::time::Duration;

use fluss_client::{
    AppendWriter, ClientOptions, Connection, OffsetSpec, ScanRecord, StartOffset, Table, UpsertWriter,
    WriteHandle,
};
use fluss_core::id::{BucketId, Offset};
use fluss_core::types::{DataType, Datum, OwnedRow, Row, Schema, TableDescriptor, TablePath};
use fluss_rpc::net::{ServerAddress, Transport};
use fluss_server::Node;

use crate::PATIENCE;
use crate::contents::{Contents, Log};
use crate::known::{Change, Ends, KEYS, Known, Rows, Write};

const BUCKET: BucketId = BucketId(0);

pub(crate) struct Tables {
    connection: Connection,
    events: Table,
    rows: Table,
    appender: AppendWriter,
    upserter: UpsertWriter,
}

async fn connect(node: &Node) -> Connection {
    let mut options = ClientOptions::new([ServerAddress::new("node", 0)]);
    options.transport = Transport::in_process(node.clone());
    options.writer.linger = Duration::ZERO;
    Connection::open(options).await.unwrap()
}

fn path(name: &str) -> TablePath {
    TablePath::new("fluss", name)
}

async fn create(connection: &Connection, name: &str, schema: Schema) {
    let descriptor = TableDescriptor::builder(schema)
        .distributed_by(1, Vec::<String>::new())
        .property("table.log.ttl", "1 h");
    let admin = connection.admin();
    admin
        .create_table(&path(name), &descriptor.build().unwrap(), true)
        .await
        .unwrap();
}

impl Tables {
    /// Connects to a node, and creates the tables if they are not there.
    pub(crate) async fn open(node: &Node) -> Self {
        let connection = connect(node).await;
        let events = Schema::builder().column("number", DataType::big_int());
        let rows = Schema::builder()
            .column("id", DataType::int())
            .column("value", DataType::big_int())
            .primary_key(["id"]);
        create(&connection, "events", events.build().unwrap()).await;
        create(&connection, "rows", rows.build().unwrap()).await;
        let events = connection.table(&path("events")).await.unwrap();
        let rows = connection.table(&path("rows")).await.unwrap();
        Self {
            appender: events.append_writer().unwrap(),
            upserter: rows.upsert().writer().unwrap(),
            connection,
            events,
            rows,
        }
    }

    /// Sends so many writes to each table, and notes what is acknowledged as safe.
    pub(crate) async fn write(&self, known: &mut Known, dice: &mut fastrand::Rng, count: usize) {
        let mut handles: Vec<[(WriteHandle, Offset); 2]> = Vec::new();
        for _ in 0..count {
            let event = self.appender.append(&[Datum::BigInt(known.event())]).await;
            let change = match known.write(dice) {
                Write::Upsert(id, value) => {
                    let row = [Datum::Int(id), Datum::BigInt(value)];
                    self.upserter.upsert(&row).await
                }
                Write::Delete(id) => self.upserter.delete(&[Datum::Int(id)]).await,
            };
            let ends = known.ends();
            handles.push([(event.unwrap(), ends.events), (change.unwrap(), ends.changes)]);
        }
        for [(event, events), (change, changes)] in handles {
            event.wait().await.unwrap();
            known.safe.events = events;
            change.wait().await.unwrap();
            known.safe.changes = changes;
        }
    }

    /// Where the logs begin.
    pub(crate) async fn starts(&self) -> Ends {
        Ends {
            events: self.offset(&self.events, OffsetSpec::Earliest).await,
            changes: self.offset(&self.rows, OffsetSpec::Earliest).await,
        }
    }

    async fn offset(&self, table: &Table, spec: OffsetSpec) -> Offset {
        let admin = self.connection.admin();
        let offsets = admin.list_offsets(&table.info().path, &[BUCKET], spec).await;
        offsets.unwrap()[&BUCKET]
    }

    /// Reads everything.
    pub(crate) async fn read(&self) -> Contents {
        Contents {
            events: self.read_log(&self.events, event).await,
            changes: self.read_log(&self.rows, change).await,
            rows: self.read_rows().await,
        }
    }

    async fn read_log<T>(&self, table: &Table, record: impl Fn(&ScanRecord<'_>) -> T) -> Log<T> {
        let start = self.offset(table, OffsetSpec::Earliest).await;
        let end = self.offset(table, OffsetSpec::Latest).await;
        let mut log = Log {
            start,
            records: Vec::new(),
        };
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        while log.end() < end {
            let records = scanner.poll(PATIENCE).await.unwrap();
            assert!(
                !records.is_empty(),
                "{end} records are to come, {} came",
                log.end()
            );
            for (_, read) in records.iter() {
                log.push(read.offset, record(&read));
            }
        }
        log
    }

    async fn read_rows(&self) -> Rows {
        let keys: Vec<_> = (0..KEYS).map(|id| [Datum::Int(id)]).collect();
        let lookuper = self.rows.lookup().lookuper().unwrap();
        let found = lookuper.lookup_many(&keys).await.unwrap();
        let rows: Rows = found.into_iter().flatten().map(|row| columns(&row)).collect();
        let counted = self.connection.admin().row_count(&path("rows")).await.unwrap();
        assert_eq!(counted, rows.len() as i64);
        rows
    }
}

fn event(record: &ScanRecord<'_>) -> i64 {
    match record.row.to_owned_row()[..] {
        [Datum::BigInt(number)] => number,
        ref row => panic!("{row:?}"),
    }
}

fn change(record: &ScanRecord<'_>) -> Change {
    let (id, value) = columns(&record.row.to_owned_row());
    (record.change_type, id, value)
}

fn columns(row: &OwnedRow) -> (i32, i64) {
    match row[..] {
        [Datum::Int(id), Datum::BigInt(value)] => (id, value),
        ref row => panic!("{row:?}"),
    }
}

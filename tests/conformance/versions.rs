//! A cluster in the middle of an upgrade: some connections lead to servers of 0.9.1, the others to those of 1.0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::BytesMut;
use fluss_client::filter::col;
use fluss_client::types::{DataType, Datum, Row, Schema, TableDescriptor, TablePath};
use fluss_client::{
    AsOf, ClientOptions, Connection, ErrorKind, LogScanner, ServerAddress, Snapshot, StartOffset, Table,
};
use fluss_cluster::Spec;
use fluss_core::arrow::ArrowRows;
use fluss_rpc::frame::{DEFAULT_MAX_REQUEST_BYTES, FrameDecoder, encode};
use fluss_rpc::header::ResponseHeader;
use fluss_rpc::net::{ByteStream, Connecting, Connector, Transport};
use fluss_rpc::proto::ApiVersionsResponse;
use fluss_rpc::sync::Mutex;
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, duplex};
use tokio::task::JoinSet;

use crate::{Backend, PATIENCE, SERVE, create_table, options, run, start, tests};

tests! {
    SERVE => [servers_of_both_versions_are_served_right],
}

/// The streams of another connector. As long as they are old, they tell of the versions of 0.9.1 (`v1_0.md` §2).
#[derive(Debug)]
struct Upgrade {
    streams: Arc<dyn Connector>,
    is_old: AtomicBool,
    opened: AtomicUsize,
    running: Mutex<JoinSet<()>>,
}

impl Upgrade {
    fn lead(options: &mut ClientOptions) -> Arc<Self> {
        let Transport::Stream(streams) = std::mem::take(&mut options.transport) else {
            panic!("there is no stream");
        };
        let upgrade = Arc::new(Self {
            streams,
            is_old: AtomicBool::new(true),
            opened: AtomicUsize::new(0),
            running: Mutex::default(),
        });
        options.transport = Transport::stream(Upgrading(Arc::clone(&upgrade)));
        upgrade
    }

    /// Ends all streams: whoever connects again meets the other version. Whether that is the old one.
    async fn go_on(&self) -> bool {
        let was_old = self.is_old.fetch_not(Ordering::Relaxed);
        let mut running = std::mem::take(&mut *self.running.lock());
        running.shutdown().await;
        !was_old
    }
}

#[derive(Debug)]
struct Upgrading(Arc<Upgrade>);

impl Connector for Upgrading {
    fn connect<'a>(&'a self, server: &'a ServerAddress) -> Connecting<'a> {
        Box::pin(async {
            let stream = self.0.streams.connect(server).await?;
            self.0.opened.fetch_add(1, Ordering::Relaxed);
            let is_old = self.0.is_old.load(Ordering::Relaxed);
            let (near, far) = duplex(1 << 16);
            let (from_client, to_client) = tokio::io::split(far);
            self.0.running.lock().spawn(async move {
                tokio::select! {
                    () = answers(stream.reader, to_client, is_old) => (),
                    () = requests(from_client, stream.writer) => (),
                }
            });
            Ok(ByteStream::split(near))
        })
    }
}

async fn requests(mut client: impl AsyncRead + Unpin, mut server: impl AsyncWrite + Unpin) {
    let _ = copy(&mut client, &mut server).await;
}

/// The first answer of a server tells what it can do.
async fn answers(mut server: impl AsyncRead + Unpin, mut client: impl AsyncWrite + Unpin, is_old: bool) {
    let (mut decoder, mut came) = (FrameDecoder::new(DEFAULT_MAX_REQUEST_BYTES), BytesMut::new());
    let mut frame = loop {
        if let Some(frame) = decoder.decode(&mut came).unwrap() {
            break frame;
        }
        if server.read_buf(&mut came).await.unwrap_or_default() == 0 {
            return;
        }
    };
    let header = ResponseHeader::decode(&mut frame).unwrap();
    let mut versions = ApiVersionsResponse::decode(frame).unwrap();
    if is_old {
        versions.api_versions.retain(|api| api.api_key < 1060);
        for api in &mut versions.api_versions {
            let newest = match api.api_key {
                1014 | 1024 | 1044 => 0,
                1016 => 1,
                _ => api.max_version,
            };
            api.max_version = newest;
        }
    }
    let mut frame = encode(&header, &versions, DEFAULT_MAX_REQUEST_BYTES).unwrap();
    if client.write_all_buf(&mut frame).await.is_err() {
        return;
    }
    if client.write_all(&came).await.is_ok() {
        let _ = copy(&mut server, &mut client).await;
    }
}

async fn table(connection: &Connection, name: &str, is_keyed: bool) -> Table {
    let path = TablePath::new("fluss", name);
    let schema = Schema::builder()
        .column("id", DataType::int().not_null())
        .column("p", DataType::string().not_null())
        .column("n", DataType::int());
    let keyed = if is_keyed { &["id", "p"][..] } else { &[] };
    let descriptor = TableDescriptor::builder(schema.primary_key(keyed.iter().copied()).build().unwrap())
        .partitioned_by(["p"])
        .distributed_by(1, ["id"]);
    let descriptor = if is_keyed {
        descriptor
    } else {
        descriptor.property("table.statistics.columns", "*")
    };
    create_table(connection, &path, &descriptor.build().unwrap()).await;
    connection.table(&path).await.unwrap()
}

fn numbers(rows: &Snapshot, table: &Table) -> BTreeSet<i32> {
    let of_batch = |batch: &RecordBatch| {
        let rows = ArrowRows::new(batch.clone(), table.info().row_type()).unwrap();
        (0..rows.len())
            .map(|row| number(&rows.row(row)))
            .collect::<Vec<_>>()
    };
    rows.batches().flat_map(|(_, batch)| of_batch(batch)).collect()
}

fn number(row: &impl Row) -> i32 {
    let Datum::Int(number) = row.datum(2) else {
        panic!("{:?}", row.to_owned_row())
    };
    number
}

/// The numbers of so many rows, and nothing behind them.
async fn read(scanner: &LogScanner, count: usize) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while found.len() < count {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {count} came",
            found.len()
        );
        for (_, record) in scanner.poll(Duration::from_millis(200)).await.unwrap().iter() {
            assert!(found.insert(number(&record.row)));
        }
    }
    found
}

fn servers_of_both_versions_are_served_right(backend: Backend) {
    const ROUNDS: i32 = 8;
    const KEYS: i32 = 40;
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.scanner.partition_discovery = Duration::from_millis(50);
        let upgrade = Upgrade::lead(&mut options);
        let connection = Connection::open(options).await.unwrap();
        let (log, keyed) = (
            table(&connection, "upgraded_log", false).await,
            table(&connection, "upgraded_keys", true).await,
        );
        let (appends, upserts) = (log.append_writer().unwrap(), keyed.upsert().writer().unwrap());
        let lookuper = keyed.lookup().lookuper().unwrap();
        let scanner = log.scan().log_scanner().unwrap();
        let late = log
            .scan()
            .filter(col("n").ge(ROUNDS / 2 * KEYS))
            .log_scanner()
            .unwrap();
        for scanner in [&scanner, &late] {
            scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        }
        let admin = connection.admin();
        let mut counts = BTreeMap::new();
        let (mut of_log, mut of_keys) = (1, 1);
        for round in 0..ROUNDS {
            let is_old = upgrade.go_on().await;
            // What a server can do is known of the connection to it: this makes a new one.
            admin.list_databases().await.unwrap();
            for (table, count) in [(&log, &mut of_log), (&keyed, &mut of_keys)] {
                let changed = admin.set_bucket_count(&table.info().path, 2 + round % 3).await;
                if is_old {
                    let error = changed.unwrap_err();
                    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
                } else {
                    changed.unwrap();
                    *count = 2 + round % 3;
                }
            }
            let partition = format!("p{round}");
            counts.insert(partition.clone(), (of_log, of_keys));
            for key in 0..KEYS {
                let row = [
                    Datum::Int(key),
                    Datum::from(partition.as_str()),
                    Datum::Int(round * KEYS + key),
                ];
                appends.append(&row).await.unwrap();
                upserts.upsert(&row).await.unwrap();
                if key == KEYS / 2 {
                    upgrade.go_on().await;
                }
            }
            appends.flush().await.unwrap();
            upserts.flush().await.unwrap();
            upgrade.go_on().await;
            for earlier in 0..=round {
                for key in [0, KEYS / 3, KEYS - 1] {
                    let found = lookuper
                        .lookup(&[Datum::Int(key), Datum::from(format!("p{earlier}"))])
                        .await;
                    assert_eq!(found.unwrap().unwrap()[2], Datum::Int(earlier * KEYS + key));
                }
            }
            for table in [&log, &keyed] {
                let whole = table.scan().snapshot(AsOf::Latest).await.unwrap();
                assert_eq!(whole.num_rows(), ((round + 1) * KEYS) as usize);
                assert_eq!(numbers(&whole, table), (0..(round + 1) * KEYS).collect());
            }
        }
        assert_eq!(
            read(&scanner, (ROUNDS * KEYS) as usize).await,
            (0..ROUNDS * KEYS).collect()
        );
        let expected: BTreeSet<_> = (ROUNDS / 2 * KEYS..ROUNDS * KEYS).collect();
        assert_eq!(read(&late, expected.len()).await, expected);
        for (which, table) in [&log, &keyed].into_iter().enumerate() {
            for partition in admin.list_partitions(&table.info().path, None).await.unwrap() {
                let (log, keyed) = counts[&partition.name().to_string()];
                assert_eq!(partition.bucket_count, if which == 0 { log } else { keyed });
            }
        }
        assert!(upgrade.opened.load(Ordering::Relaxed) > ROUNDS as usize);
    });
}

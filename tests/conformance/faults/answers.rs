//! Writers while the answers to their requests are lost, late, doubled and out of order.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fastrand::Rng;
use fluss_client::ChangeType;
use fluss_client::embedded::{self, Node, NodeOptions, Storage};
use fluss_client::types::{DataType, Datum, Row, Schema};
use fluss_client::{ClientOptions, Connection, ServerAddress, StartOffset, Table, WriteHandle};
use fluss_cluster::Spec;
use fluss_rpc::net::{ByteStream, Connector, InProcess, Receive, Transport};
use fluss_rpc::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use crate::{Backend, ONCE, PATIENCE, SERVERS, create, note, options, run, start, tests};

tests! {
    ONCE => [
        whatever_becomes_of_answers_every_row_is_appended_once_and_in_order,
        whatever_becomes_of_answers_the_last_acknowledged_upsert_wins,
    ],
    SERVERS => [
        rows_are_appended_once_although_a_hundred_answers_go_astray,
        the_last_upsert_wins_although_a_hundred_answers_go_astray,
    ],
}

/// How many times each property is tried, each with a course of its own.
const SEEDS: u64 = 1_000;
/// How many answers go astray in each course.
const ASTRAY: usize = 100;
const BUCKETS: i32 = 2;
const REQUEST_TIMEOUT: Duration = Duration::from_millis(300);

/// The answers to writes (`messages.md` 1014 and 1016).
const WRITES: [i16; 2] = [1014, 1016];

/// Leads astray a part of the answers to writes, as a generator of random numbers says.
#[derive(Clone)]
struct Astray {
    way: Transport,
    rng: Arc<Mutex<Rng>>,
    count: Arc<AtomicUsize>,
}

impl fmt::Debug for Astray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Astray").finish_non_exhaustive()
    }
}

impl Astray {
    fn lead(options: &mut ClientOptions, seed: u64) -> Self {
        let astray = Self {
            way: std::mem::take(&mut options.transport),
            rng: Arc::new(Mutex::new(Rng::with_seed(seed))),
            count: Arc::default(),
        };
        options.transport = Transport::in_process(astray.clone());
        astray
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// What becomes of an answer: when it comes, each time that it does.
    fn fate(&self) -> Vec<Duration> {
        let mut rng = self.rng.lock();
        if rng.u32(..3) > 0 || self.count() >= ASTRAY {
            return vec![Duration::ZERO];
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let short = Duration::from_millis(rng.u64(1..300));
        match rng.u32(..4) {
            0 => Vec::new(),
            1 => vec![REQUEST_TIMEOUT + short],
            2 => vec![Duration::ZERO, short],
            // Behind the answers to later requests.
            _ => vec![short],
        }
    }
}

impl InProcess for Astray {
    fn dial(&self, server: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive> {
        let asked: Arc<Mutex<HashMap<i32, i16>>> = Arc::default();
        let answers = Arc::new(Answers {
            client,
            asked: asked.clone(),
            astray: self.clone(),
        });
        let server = dial(&self.way, server, answers);
        Arc::new(Requests { server, asked })
    }
}

/// Opens a connection to a server, frame by frame, whichever way leads there.
pub(super) fn dial(way: &Transport, server: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive> {
    match way {
        Transport::InProcess(process) => process.dial(server, client),
        Transport::Stream(connector) => Streamed::dial(connector.clone(), server.clone(), client),
    }
}

/// Takes note of which request is what.
struct Requests {
    server: Arc<dyn Receive>,
    asked: Arc<Mutex<HashMap<i32, i16>>>,
}

impl Receive for Requests {
    fn receive(&self, frame: Bytes) {
        let mut header = frame.clone();
        let (api, _version, id) = (header.get_i16(), header.get_i16(), header.get_i32());
        self.asked.lock().insert(id, api);
        self.server.receive(frame);
    }

    fn end(&self) {
        self.server.end();
    }
}

struct Answers {
    client: Arc<dyn Receive>,
    asked: Arc<Mutex<HashMap<i32, i16>>>,
    astray: Astray,
}

impl Receive for Answers {
    fn receive(&self, frame: Bytes) {
        let mut header = frame.clone();
        let (_type, id) = (header.get_u8(), header.get_i32());
        let mut asked = self.asked.lock();
        let is_write = asked.remove(&id).is_some_and(|api| WRITES.contains(&api));
        drop(asked);
        let fate = if is_write {
            self.astray.fate()
        } else {
            vec![Duration::ZERO]
        };
        for after in fate {
            let (client, frame) = (self.client.clone(), frame.clone());
            if after.is_zero() {
                client.receive(frame);
                continue;
            }
            tokio::spawn(async move {
                sleep(after).await;
                client.receive(frame);
            });
        }
    }

    fn end(&self) {
        self.client.end();
    }
}

/// A connection to a server that is reached by a stream.
struct Streamed(UnboundedSender<Bytes>);

impl Streamed {
    fn dial(
        connector: Arc<dyn Connector>,
        server: ServerAddress,
        client: Arc<dyn Receive>,
    ) -> Arc<dyn Receive> {
        let (sender, requests) = unbounded_channel();
        tokio::spawn(async move {
            // A connection that breaks is one whose answers do not come.
            if let Ok(stream) = connector.connect(&server).await {
                let _ = carry(stream, requests, &*client).await;
            }
            client.end();
        });
        Arc::new(Self(sender))
    }
}

async fn carry(
    stream: ByteStream,
    mut requests: UnboundedReceiver<Bytes>,
    client: &dyn Receive,
) -> std::io::Result<()> {
    let ByteStream {
        mut reader,
        mut writer,
    } = stream;
    let write = async {
        while let Some(frame) = requests.recv().await {
            let mut framed = BytesMut::with_capacity(frame.len() + 4);
            framed.put_u32(frame.len() as u32);
            framed.put(frame);
            writer.write_all(&framed).await?;
        }
        Ok(())
    };
    let read = async {
        loop {
            let length = reader.read_u32().await?;
            let mut frame = vec![0; length as usize];
            reader.read_exact(&mut frame).await?;
            client.receive(frame.into());
        }
    };
    tokio::select! {
        written = write => written,
        read = read => read,
    }
}

impl Receive for Streamed {
    fn receive(&self, frame: Bytes) {
        let _ = self.0.send(frame);
    }

    fn end(&self) {}
}

/// A table that is created in peace, and a connection to it through which answers go astray.
async fn open(mut options: ClientOptions, seed: u64, schema: Schema) -> (Connection, Table, Astray) {
    let connection = Connection::open(options.clone()).await.unwrap();
    let path = create(&connection, schema, BUCKETS, &[])
        .await
        .info()
        .path
        .clone();
    connection.shut_down().await.unwrap();
    options.request_timeout = REQUEST_TIMEOUT;
    options.writer.linger = Duration::from_millis(1);
    options.writer.delivery_timeout = Duration::from_mins(10);
    let astray = Astray::lead(&mut options, seed);
    let connection = Connection::open(options).await.unwrap();
    let table = connection.table(&path).await.unwrap();
    (connection, table, astray)
}

/// Writes rows, one after the other, until enough answers went astray; then waits for all of them.
async fn write_until_enough<F>(astray: &Astray, rng: &mut Rng, mut write: impl FnMut(i64) -> F) -> i64
where
    F: Future<Output = WriteHandle>,
{
    let deadline = Instant::now() + Duration::from_secs(10_000);
    let (mut handles, mut number) = (Vec::new(), 0);
    while astray.count() < ASTRAY {
        assert!(
            Instant::now() < deadline,
            "{} answers went astray",
            astray.count()
        );
        for _ in 0..rng.u32(1..4) {
            handles.push(write(number).await);
            number += 1;
        }
        // Some wait for what they write, some do not.
        if rng.u32(..50) == 0 {
            handles[rng.usize(..handles.len())].wait().await.unwrap();
        } else {
            sleep(Duration::from_millis(rng.u64(..20))).await;
        }
    }
    for handle in handles {
        handle.wait().await.unwrap();
    }
    number
}

/// Appends numbers while answers go astray, and insists that every one is there once, in each bucket in order.
async fn append_once(options: ClientOptions, seed: u64) {
    let schema = Schema::builder().column("id", DataType::big_int());
    let (connection, table, astray) = open(options, seed, schema.build().unwrap()).await;
    let writer = table.append_writer().unwrap();
    let mut rng = Rng::with_seed(seed);
    let write = async |id| writer.append(&[Datum::BigInt(id)]).await.unwrap();
    let count = write_until_enough(&astray, &mut rng, write).await;
    let mut found: Vec<i64> = Vec::new();
    for (_, records) in records(&table, count).await {
        let ids: Vec<i64> = records.iter().map(|(_, row)| big_int(&row[0])).collect();
        assert!(ids.is_sorted(), "seed {seed}: {ids:?}");
        found.extend(ids);
    }
    found.sort_unstable();
    assert!(found.into_iter().eq(0..count), "seed {seed}");
    connection.shut_down().await.unwrap();
}

/// Upserts numbers under a few keys while answers go astray, and insists that the changelog has every one once and in order,
/// and a look-up the last.
async fn upsert_once(options: ClientOptions, seed: u64) {
    const KEYS: i64 = 5;
    let schema = Schema::builder()
        .column("id", DataType::big_int())
        .column("version", DataType::big_int())
        .primary_key(["id"]);
    let (connection, table, astray) = open(options, seed, schema.build().unwrap()).await;
    let writer = table.upsert().writer().unwrap();
    let mut rng = Rng::with_seed(seed);
    let write = async |version| {
        let row = [Datum::BigInt(version % KEYS), Datum::BigInt(version)];
        writer.upsert(&row).await.unwrap()
    };
    let count = write_until_enough(&astray, &mut rng, write).await;
    let lookuper = table.lookup().lookuper().unwrap();
    for version in count - KEYS..count {
        let row = lookuper
            .lookup(&[Datum::BigInt(version % KEYS)])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(big_int(&row[1]), version, "seed {seed}");
    }
    // Every upsert of a key that is there is a pair of records.
    let changes = 2 * count - KEYS;
    let mut versions: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (_, records) in records(&table, changes).await {
        for (change, row) in records {
            if change != ChangeType::UpdateBefore {
                versions
                    .entry(big_int(&row[0]))
                    .or_default()
                    .push(big_int(&row[1]));
            }
        }
    }
    for (key, versions) in versions {
        let written = (0..count).filter(|version| version % KEYS == key);
        assert!(
            versions.iter().copied().eq(written),
            "seed {seed}, key {key}: {versions:?}"
        );
    }
    connection.shut_down().await.unwrap();
}

pub(super) fn big_int(value: &Datum<'_>) -> i64 {
    match value {
        Datum::BigInt(value) => *value,
        other => panic!("{other:?}"),
    }
}

type Records = Vec<(ChangeType, Vec<Datum<'static>>)>;

/// The whole log of each bucket, which has so many records.
pub(super) async fn records(table: &Table, count: i64) -> BTreeMap<i32, Records> {
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    let (mut found, mut left) = (BTreeMap::<i32, Records>::new(), count);
    let deadline = Instant::now() + PATIENCE;
    while left > 0 {
        assert!(Instant::now() < deadline, "{left} of {count} records are missing");
        for (bucket, record) in scanner.poll(Duration::from_secs(1)).await.unwrap().iter() {
            let bucket = found.entry(bucket.bucket.get()).or_default();
            bucket.push((record.change_type, record.row.to_owned_row()));
            left -= 1;
        }
    }
    assert_eq!(left, 0, "too many records");
    found
}

/// Tries a property with many courses of events, on a clock that stands still while anybody works.
fn try_all<F: Future<Output = ()>>(property: impl Fn(ClientOptions, u64) -> F + Sync) {
    std::thread::scope(|scope| {
        for part in 0..2 {
            let property = &property;
            scope.spawn(move || {
                for seed in (0..SEEDS).filter(|seed| seed % 2 == part) {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .start_paused(true)
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        let mut options = ClientOptions::new([]);
                        options.seed = Some(seed);
                        let node = Node::open(NodeOptions::new(Storage::Memory)).unwrap();
                        embedded::lead(&mut options, node);
                        property(options, seed).await;
                    });
                }
            });
        }
    });
}

fn whatever_becomes_of_answers_every_row_is_appended_once_and_in_order(_: Backend) {
    try_all(append_once);
}

fn whatever_becomes_of_answers_the_last_acknowledged_upsert_wins(_: Backend) {
    try_all(upsert_once);
}

fn rows_are_appended_once_although_a_hundred_answers_go_astray(backend: Backend) {
    let place = start(backend, Spec::new());
    let begun = Instant::now();
    run(append_once(options(&place), 1));
    note(&format!("took {:?}", begun.elapsed()));
}

fn the_last_upsert_wins_although_a_hundred_answers_go_astray(backend: Backend) {
    let place = start(backend, Spec::new());
    let begun = Instant::now();
    run(upsert_once(options(&place), 1));
    note(&format!("took {:?}", begun.elapsed()));
}

//! Clients behind a network whose bytes trickle, are held back, and end anywhere.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fluss_client::embedded::{Node, NodeOptions, Storage};
use fluss_client::types::{DataType, Datum, Schema, SchemaBuilder, TableDescriptor, TablePath};
use fluss_client::{
    AppendWriter, ClientOptions, Connection, LogScanner, Lookuper, Outcome, ServerAddress, StartOffset,
    Table, UpsertWriter,
};
use fluss_cluster::Spec;
use fluss_rpc::net::{ByteStream, Connecting, Connector, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, duplex};
use tokio::time::{Instant, Sleep, sleep};

use crate::{Backend, ONCE, PATIENCE, SERVE, create, options, run, start, tests};

tests! {
    ONCE => [
        all_comes_out_right_wherever_a_stream_ends,
        all_comes_out_right_from_bytes_that_trickle_and_are_held_back,
        what_is_held_back_for_good_is_told_within_the_deadline,
        the_same_seed_makes_the_same_choices,
    ],
    SERVE => [
        all_comes_out_right_from_a_process_behind_a_bad_network,
    ],
}

const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    In,
    Out,
}

/// What happens to bytes on all streams of a network.
#[derive(Debug)]
struct Course {
    /// How many pass at a time.
    piece: usize,
    /// How long those that come are held back, each time.
    hold: Duration,
    /// One stream ends once so many more have passed this way.
    end: Option<(Way, usize)>,
    /// How many have passed, in and out.
    passed: (usize, usize),
}

/// Streams of another connector, with what happens to them.
#[derive(Clone, Debug)]
struct Network {
    streams: Arc<dyn Connector>,
    course: Arc<Mutex<Course>>,
}

impl Network {
    fn new(streams: Arc<dyn Connector>) -> Self {
        let course = Course {
            piece: usize::MAX,
            hold: Duration::ZERO,
            end: None,
            passed: (0, 0),
        };
        Self {
            streams,
            course: Arc::new(Mutex::new(course)),
        }
    }

    /// Has options lead through the network, to a server or to a node in memory.
    fn lead(options: &mut ClientOptions) -> Self {
        let network = match std::mem::take(&mut options.transport) {
            Transport::Stream(streams) => Self::new(streams),
            Transport::InProcess(_) => panic!("there is no stream"),
        };
        options.transport = Transport::stream(network.clone());
        options.request_timeout = TIMEOUT;
        options.writer.delivery_timeout = 2 * TIMEOUT;
        options.writer.linger = Duration::ZERO;
        options.seed = Some(1);
        network
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes may pass this way at once; none at the end of the stream.
    fn room(&self, way: Way) -> usize {
        let mut course = self.course();
        match course.end {
            Some((end, 0)) if end == way => {
                course.end = None;
                0
            }
            Some((end, left)) if end == way => left.min(course.piece),
            _ => course.piece,
        }
    }

    fn pass(&self, way: Way, bytes: usize) {
        let mut course = self.course();
        match way {
            Way::In => course.passed.0 += bytes,
            Way::Out => course.passed.1 += bytes,
        }
        match &mut course.end {
            Some((end, left)) if *end == way => *left = left.saturating_sub(bytes),
            _ => {}
        }
    }
}

impl Connector for Network {
    fn connect<'a>(&'a self, server: &'a ServerAddress) -> Connecting<'a> {
        Box::pin(async {
            let stream = self.streams.connect(server).await?;
            let reader = Reader {
                stream: stream.reader,
                network: self.clone(),
                held: None,
            };
            let writer = Writer {
                stream: stream.writer,
                network: self.clone(),
            };
            Ok(ByteStream::new(reader, writer))
        })
    }
}

struct Reader {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    network: Network,
    held: Option<Held>,
}

/// What has come and is not passed on yet; nothing for the end.
struct Held {
    bytes: Vec<u8>,
    until: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if this.held.is_none() {
            let mut bytes = [0; 4_096];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            let pause = this.network.course().hold;
            this.held = Some(Held {
                bytes: read.filled().to_vec(),
                until: (!pause.is_zero()).then(|| Box::pin(sleep(pause))),
            });
        }
        let Some(held) = this.held.as_mut().filter(|held| !held.bytes.is_empty()) else {
            return Poll::Ready(Ok(()));
        };
        if let Some(until) = &mut held.until {
            ready!(until.as_mut().poll(cx));
        }
        let room = this.network.room(Way::In).min(buf.remaining());
        if room == 0 {
            held.bytes.clear();
            return Poll::Ready(Ok(()));
        }
        let rest = held.bytes.split_off(held.bytes.len().min(room));
        let piece = std::mem::replace(&mut held.bytes, rest);
        buf.put_slice(&piece);
        this.network.pass(Way::In, piece.len());
        this.held.take_if(|held| held.bytes.is_empty());
        Poll::Ready(Ok(()))
    }
}

struct Writer {
    stream: Box<dyn AsyncWrite + Send + Unpin>,
    network: Network,
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = &mut *self;
        let room = buf.len().min(this.network.room(Way::Out));
        if room == 0 {
            // The server hears of it too, and ends its direction.
            let _ = Pin::new(&mut this.stream).poll_shutdown(cx);
            return Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into()));
        }
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &buf[..room]))?;
        this.network.pass(Way::Out, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Streams to a node in this process.
#[derive(Debug)]
struct ToNode(Node);

impl Connector for ToNode {
    fn connect<'a>(&'a self, _: &'a ServerAddress) -> Connecting<'a> {
        Box::pin(async {
            let (near, far) = duplex(1 << 16);
            self.0.serve(far);
            Ok(ByteStream::split(near))
        })
    }
}

/// Options that lead to a new node by streams.
fn to_node() -> ClientOptions {
    let mut options = ClientOptions::new([ServerAddress::new("embedded", 0)]);
    let node = Node::open(NodeOptions::new(Storage::Memory)).unwrap();
    options.transport = Transport::stream(ToNode(node));
    options
}

/// Runs a test on a clock that stands still while anybody works.
fn run_paused<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

/// Creates a table of one bucket.
async fn table(connection: &Connection, name: &str, schema: SchemaBuilder) -> Table {
    let path = TablePath::new("fluss", name);
    let descriptor = TableDescriptor::builder(schema.build().unwrap());
    let descriptor = descriptor
        .distributed_by(1, Vec::<String>::new())
        .build()
        .unwrap();
    let admin = connection.admin();
    admin.create_table(&path, &descriptor, true).await.unwrap();
    connection.table(&path).await.unwrap()
}

/// A log and a table of keys, with what reads and writes them.
struct Tables {
    connection: Connection,
    appends: AppendWriter,
    scanner: LogScanner,
    upserts: UpsertWriter,
    lookuper: Lookuper,
    /// How many rows there are.
    rows: i64,
}

impl Tables {
    async fn create(options: ClientOptions) -> Self {
        let connection = Connection::open(options).await.unwrap();
        let schema = Schema::builder().column("id", DataType::big_int());
        let log = table(&connection, "log", schema).await;
        let schema = Schema::builder()
            .column("id", DataType::big_int())
            .column("version", DataType::big_int())
            .primary_key(["id"]);
        let keyed = table(&connection, "keyed", schema).await;
        let scanner = log.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        Self {
            connection,
            appends: log.append_writer().unwrap(),
            scanner,
            upserts: keyed.upsert().writer().unwrap(),
            lookuper: keyed.lookup().lookuper().unwrap(),
            rows: 0,
        }
    }

    /// Appends a row and reads it, upserts one and looks it up.
    async fn exchange(&mut self) {
        let row = Datum::BigInt(self.rows);
        self.appends.append(std::slice::from_ref(&row)).await.unwrap();
        self.appends.flush().await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut found = Vec::new();
        while found.is_empty() {
            assert!(Instant::now() < deadline, "row {} did not come", self.rows);
            let records = self.scanner.poll(Duration::from_secs(1)).await.unwrap();
            found.extend(
                records
                    .iter()
                    .map(|(_, record)| record.row.get::<i64>(0).unwrap()),
            );
        }
        assert_eq!(found, [Some(self.rows)]);
        let key = Datum::BigInt(1);
        self.upserts.upsert(&[key.clone(), row.clone()]).await.unwrap();
        self.upserts.flush().await.unwrap();
        let found = self.lookuper.lookup(&[key]).await.unwrap().unwrap();
        assert_eq!(found[1], row);
        self.rows += 1;
    }

    /// Works while a stream ends at one position after the other, and returns how many there were.
    async fn exchange_cut(&mut self, network: &Network, way: Way, stride: usize) -> usize {
        let mut position = 0;
        loop {
            network.course().end = Some((way, position));
            self.exchange().await;
            if network.course().end.take().is_some() {
                return position;
            }
            position += stride;
        }
    }
}

fn all_comes_out_right_wherever_a_stream_ends(_: Backend) {
    run_paused(async {
        let mut options = to_node();
        let network = Network::lead(&mut options);
        let mut tables = Tables::create(options).await;
        for way in [Way::In, Way::Out] {
            let positions = tables.exchange_cut(&network, way, 1).await;
            assert!(positions > 100, "{way:?}: {positions}");
        }
    });
}

fn all_comes_out_right_from_bytes_that_trickle_and_are_held_back(_: Backend) {
    for (piece, hold) in [(1, 0), (7, 20), (usize::MAX, 400)] {
        run_paused(async {
            let mut options = to_node();
            let network = Network::lead(&mut options);
            {
                let mut course = network.course();
                (course.piece, course.hold) = (piece, Duration::from_millis(hold));
            }
            let mut tables = Tables::create(options).await;
            for _ in 0..3 {
                tables.exchange().await;
            }
            tables.connection.shut_down().await.unwrap();
        });
    }
}

fn what_is_held_back_for_good_is_told_within_the_deadline(_: Backend) {
    run_paused(async {
        let mut options = to_node();
        let network = Network::lead(&mut options);
        let mut tables = Tables::create(options).await;
        tables.exchange().await;
        network.course().hold = Duration::from_secs(1_000_000);
        let begun = Instant::now();
        let row = [Datum::BigInt(0), Datum::BigInt(0)];
        let append = async { tables.appends.append(&row[..1]).await.unwrap().wait().await };
        let upsert = async { tables.upserts.upsert(&row).await.unwrap().wait().await };
        let lookup = tables.lookuper.lookup(&row[..1]);
        let poll = async {
            loop {
                if let Err(error) = tables.scanner.poll(TIMEOUT).await {
                    return error;
                }
            }
        };
        let (append, upsert, lookup, poll) = tokio::join!(append, upsert, lookup, poll);
        for error in [
            append.unwrap_err(),
            upsert.unwrap_err(),
            lookup.unwrap_err(),
            poll,
        ] {
            let is_late = error.outcome() == Outcome::Timeout;
            assert!(is_late && error.is_retriable(), "{error:?}");
        }
        assert!(begun.elapsed() < 4 * TIMEOUT, "{:?}", begun.elapsed());
    });
}

fn the_same_seed_makes_the_same_choices(_: Backend) {
    let buckets = |seed| {
        run_paused(async move {
            let mut options = to_node();
            options.seed = Some(seed);
            let connection = Connection::open(options).await.unwrap();
            let schema = Schema::builder().column("id", DataType::big_int());
            let log = create(&connection, schema.build().unwrap(), 8, &[]).await;
            let writer = log.append_writer().unwrap();
            let mut buckets = Vec::new();
            for id in 0..500 {
                let handle = writer.append(&[Datum::BigInt(id)]).await.unwrap();
                handle.wait().await.unwrap();
                buckets.extend(handle.ends().into_keys());
            }
            buckets
        })
    };
    // Where rows go is chosen anew after a hundred.
    assert_eq!(buckets(1), buckets(1));
    assert_ne!(buckets(1), buckets(2));
}

fn all_comes_out_right_from_a_process_behind_a_bad_network(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        let network = Network::lead(&mut options);
        network.course().piece = 1;
        let mut tables = Tables::create(options).await;
        tables.exchange().await;
        {
            let mut course = network.course();
            (course.piece, course.hold) = (usize::MAX, Duration::from_millis(50));
        }
        tables.exchange().await;
        network.course().hold = Duration::ZERO;
        for way in [Way::In, Way::Out] {
            tables.exchange_cut(&network, way, 31).await;
        }
    });
}

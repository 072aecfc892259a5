//! What a client tells of itself: metrics and events.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::Duration;

use fluss_client::metrics::{Distribution, Recorder, Sample, Value};
use fluss_client::types::{DataType, Datum, Schema};
use fluss_client::{Connection, StartOffset, Table};
use fluss_cluster::Spec;
use fluss_rpc::sync::Mutex;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use tracing_subscriber::filter::LevelFilter;

use crate::place::Place;
use crate::{
    Backend, EVERYWHERE, PATIENCE, SERVERS, connect, create, options, read, run, start, start_alone, tests,
};

tests! {
    EVERYWHERE => [
        rows_that_are_written_and_read_are_counted,
        keys_that_are_looked_up_are_counted,
        a_connection_with_a_name_is_told_by_it,
    ],
    SERVERS => [a_server_that_was_killed_is_told_by_its_name],
}

const ROWS: u32 = 2_000;
const KEYS: i64 = 50;

/// The metrics of all tests of this process: those of a test have its tables.
static RECORDER: LazyLock<Recorder> = LazyLock::new(|| Recorder::install().unwrap());

/// The warnings of all tests of this process, as text.
static WARNINGS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Begins to listen to what clients tell.
pub(crate) fn listen() {
    LazyLock::force(&RECORDER);
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_ansi(false)
        .with_writer(|| Warnings)
        .init();
}

struct Warnings;

impl Write for Warnings {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        WARNINGS.lock().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for a warning with these words.
async fn warned(words: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if !warnings(words).is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "no warning of {words:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The warnings until now that have these words.
pub(crate) fn warnings(words: &[&str]) -> Vec<String> {
    let told = String::from_utf8(WARNINGS.lock().clone()).unwrap();
    told.lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .map(str::to_owned)
        .collect()
}

/// What a metric has come to under a label.
fn value(name: &str, label: &str) -> Option<Value> {
    let samples = RECORDER.snapshot().into_iter();
    let is_its = |sample: &Sample| sample.metric.name == name && sample.labels.iter().any(|its| its == label);
    let mut its = samples.filter(|sample| sample.connection.is_none() && is_its(sample));
    let value = its.next().map(|sample| sample.value);
    assert!(its.next().is_none(), "{name} of {label} is there twice");
    value
}

/// What a counter has come to under a label.
pub(crate) fn sum(name: &str, label: &str) -> u64 {
    match value(name, label) {
        Some(Value::Counter(sum)) => sum,
        other => panic!("{name} of {label} is {other:?}"),
    }
}

/// How often something was measured under a label.
pub(crate) fn count(name: &str, label: &str) -> u64 {
    match value(name, label) {
        Some(Value::Histogram(values)) => values.count,
        None => 0,
        other => panic!("{name} of {label} is {other:?}"),
    }
}

fn distribution(name: &str, label: &str) -> Distribution {
    match value(name, label) {
        Some(Value::Histogram(values)) => values,
        other => panic!("{name} of {label} is {other:?}"),
    }
}

fn numbers() -> Schema {
    Schema::builder()
        .column("id", DataType::big_int())
        .build()
        .unwrap()
}

fn path(table: &Table) -> String {
    table.info().path.to_string()
}

/// The requests of an API that were answered, and those that failed, by all tests.
fn requests(api: &str) -> u64 {
    let samples = RECORDER.snapshot().into_iter();
    let its = samples.filter(|sample| sample.labels.iter().any(|label| label == api));
    let counts = its.map(|sample| match sample.value {
        Value::Counter(_) => 0,
        Value::Histogram(values) => values.count,
    });
    counts.sum()
}

async fn append(table: &Table, rows: u32) {
    let writer = table.append_writer().unwrap();
    for id in 0..rows {
        writer.append(&[Datum::BigInt(id.into())]).await.unwrap();
    }
    writer.close().await.unwrap();
}

fn rows_that_are_written_and_read_are_counted(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, numbers(), 3, &[]).await;
        let path = path(&table);
        append(&table, ROWS).await;
        let batches = sum("fluss_client_writer_batches_total", &path);
        assert_eq!(sum("fluss_client_writer_rows_total", &path), u64::from(ROWS));
        assert_eq!(sum("fluss_client_writer_failed_rows_total", &path), 0);
        assert_eq!(
            distribution("fluss_client_writer_batch_seconds", &path).count,
            batches
        );
        let rows = distribution("fluss_client_writer_batch_rows", &path);
        assert_eq!((rows.count, rows.sum), (batches, f64::from(ROWS)));
        assert!(distribution("fluss_client_writer_batch_bytes", &path).sum > 0.0);
        assert!(requests("PRODUCE_LOG") >= 1);

        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        read(&scanner, ROWS as usize, |_, _, _| ()).await;
        assert_eq!(sum("fluss_client_scanner_rows_total", &path), u64::from(ROWS));
        assert!(sum("fluss_client_scanner_bytes_total", &path) > 0);
        assert!(sum("fluss_client_scanner_fetches_total", &path) >= 1);
        let seconds = distribution("fluss_client_scanner_fetch_seconds", &path);
        assert!(
            seconds
                .quantile(0.99)
                .is_some_and(|most| most < PATIENCE.as_secs_f64())
        );
    });
}

async fn keyed(connection: &Connection) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::big_int().not_null())
        .primary_key(["id"])
        .build()
        .unwrap();
    create(connection, schema, 3, &[]).await
}

fn keys_that_are_looked_up_are_counted(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = keyed(&connection).await;
        let path = path(&table);
        let keys: Vec<_> = (0..KEYS).map(|id| vec![Datum::BigInt(id)]).collect();
        let writer = table.upsert_writer().unwrap();
        for key in &keys {
            writer.upsert(key).await.unwrap();
        }
        writer.close().await.unwrap();
        assert_eq!(sum("fluss_client_writer_rows_total", &path), KEYS as u64);

        let lookuper = table.lookup().lookuper().unwrap();
        for key in &keys {
            assert!(lookuper.lookup(key).await.unwrap().is_some());
        }
        lookuper.lookup_many(&keys).await.unwrap();
        let asked = sum("fluss_client_lookup_keys_total", &path);
        // A table that was just created may have no leader yet where it is looked for.
        let again = sum("fluss_client_lookup_retries_total", &path);
        assert!(
            asked == 2 * KEYS as u64 || again > 0 && asked > 2 * KEYS as u64,
            "{asked}, {again}"
        );
        let requests = distribution("fluss_client_lookup_request_keys", &path);
        assert_eq!((requests.sum as u64, requests.min), (asked, Some(1.0)));
        assert_eq!(sum("fluss_client_lookup_failures_total", &path), 0);
    });
}

fn a_connection_with_a_name_is_told_by_it(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        let name = format!("loader of {backend}");
        options.name = Some(name.clone());
        let named = Connection::open(options).await.unwrap();
        let nameless = connect(&place).await;
        let table = create(&named, numbers(), 1, &[]).await;
        append(&table, 10).await;
        append(&nameless.table(&table.info().path).await.unwrap(), 4).await;

        let samples = RECORDER.snapshot();
        let path = path(&table);
        let rows = samples.iter().filter(|sample| {
            sample.metric.name == "fluss_client_writer_rows_total" && sample.labels == [path.clone()]
        });
        let rows: Vec<_> = rows
            .map(|sample| (sample.connection.as_deref(), &sample.value))
            .collect();
        assert_eq!(
            rows,
            [
                (None, &Value::Counter(4)),
                (Some(name.as_str()), &Value::Counter(10))
            ]
        );
        // Whatever it counts: its connections, requests, metadata.
        for metric in [
            "fluss_client_connections_opened_total",
            "fluss_client_requests_total",
            "fluss_client_sent_bytes_total",
            "fluss_client_metadata_refreshes_total",
        ] {
            let its = |sample: &&Sample| sample.metric.name == metric;
            let has_name = |sample: &Sample| sample.connection.as_deref() == Some(name.as_str());
            assert!(samples.iter().filter(its).any(has_name), "{metric}");
        }
    });
}

/// Ends the one server that has tables, and tells its address and how it is started again.
fn kill(place: &Place, backend: Backend) -> (String, Box<dyn FnOnce() + '_>) {
    if backend == Backend::Serve {
        let served = place.served();
        served.kill().unwrap();
        let restart = || served.restart(PATIENCE).unwrap();
        return (served.address().to_string(), Box::new(restart));
    }
    let cluster = place.cluster();
    let server = &cluster.tablet_servers()[0];
    server.kill().unwrap();
    let restart = || {
        server.restart().unwrap();
        cluster.wait_ready(PATIENCE).unwrap();
    };
    (server.address().to_string(), Box::new(restart))
}

fn a_server_that_was_killed_is_told_by_its_name(backend: Backend) {
    let place = start_alone(backend, Spec::new().tablet_servers(1));
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, numbers(), 1, &[]).await;
        let writer = table.append_writer().unwrap();
        writer.append(&[Datum::BigInt(0)]).await.unwrap();
        writer.flush().await.unwrap();
        let (server, restart) = block_in_place(|| kill(&place, backend));
        warned(&["WARN", "connection lost", &format!("server={server}")]).await;
        // A busy machine may have lost one before.
        assert!(sum("fluss_client_connections_lost_total", &server) >= 1);

        writer.append(&[Datum::BigInt(1)]).await.unwrap();
        warned(&["WARN", "cannot connect", &format!("server={server}")]).await;
        block_in_place(restart);
        writer.flush().await.unwrap();
        assert_eq!(sum("fluss_client_writer_rows_total", &path(&table)), 2);
        assert!(sum("fluss_client_connections_failed_total", &server) >= 1);
        assert!(sum("fluss_client_connections_opened_total", &server) >= 2);
    });
}

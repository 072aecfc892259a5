//! Where statements are carried out.

use std::future::Future;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use fluss_client::metrics::{Recorder, Value};
use fluss_client::{Connection, connect};
use fluss_cluster::{Cluster, Spec};
use fluss_rpc::sync::Mutex;
use fluss_sql::{Error, Options, Outcome, Parameters, Session};

/// What serves tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backend {
    /// A node in this process, in memory, for each test its own.
    Memory,
    /// Servers of Apache Fluss, one cluster for all tests.
    Cluster,
}

/// The metrics of all tests of this process.
static RECORDER: LazyLock<Recorder> = LazyLock::new(|| Recorder::install().unwrap());

/// Begins to count requests.
pub(crate) fn listen() {
    LazyLock::force(&RECORDER);
}

/// How many requests of an API the connection of this name has sent.
pub(crate) fn requests(connection: &str, api: &str) -> u64 {
    let samples = RECORDER.snapshot().into_iter();
    let own = samples.filter(|sample| {
        sample.metric.name == "fluss_client_requests_total"
            && sample.connection.as_deref() == Some(connection)
            && sample.labels.iter().any(|label| label == api)
    });
    own.map(|sample| match sample.value {
        Value::Counter(count) => count,
        Value::Histogram(_) => 0,
    })
    .sum()
}

/// Runs a test on a runtime of its own.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

/// The servers of all tests on a cluster.
pub(crate) fn cluster() -> String {
    let mut cluster = CLUSTER.lock();
    cluster
        .get_or_insert_with(|| Cluster::start(Spec::default()).unwrap())
        .bootstrap()
}

static CLUSTER: Mutex<Option<Cluster>> = Mutex::new(None);

/// Stops the servers.
pub(crate) fn stop() {
    *CLUSTER.lock() = None;
}

impl Backend {
    pub(crate) async fn connect(self) -> Connection {
        let target = match self {
            Self::Memory => "embedded::memory:".to_owned(),
            Self::Cluster => format!("fluss://{}", cluster()),
        };
        connect(&target).await.unwrap()
    }
}

/// A session on a node of its own.
pub(crate) struct World {
    pub(crate) connection: Connection,
    pub(crate) session: Session,
    /// What metrics call the connection.
    pub(crate) name: &'static str,
}

impl World {
    /// A session, whose connection has a name of its own in metrics.
    pub(crate) async fn new(name: &'static str, options: Options) -> Self {
        let builder = Connection::builder("embedded::memory:").option("connection-name", name);
        let connection = builder.connect().await.unwrap();
        let session = Session::new(&connection, options).unwrap();
        Self {
            connection,
            session,
            name,
        }
    }

    pub(crate) async fn execute(&self, text: &str) -> Result<Outcome, Error> {
        self.session.execute(text, Parameters::default()).await
    }

    /// Carries out a statement that has to succeed.
    pub(crate) async fn did(&self, text: &str) -> Outcome {
        self.execute(text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The rows of a query.
    pub(crate) async fn batches(&self, text: &str) -> Vec<RecordBatch> {
        let rows = self.did(text).await.into_rows().unwrap();
        rows.fetch_all()
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The rows of a query as text: columns apart by spaces.
    pub(crate) async fn rows(&self, text: &str) -> Vec<String> {
        lines(&self.batches(text).await)
    }

    /// The error of a statement that has to fail.
    pub(crate) async fn refusal(&self, text: &str) -> Error {
        match self.execute(text).await {
            Ok(Outcome::Rows(rows)) => match rows.fetch_all().await {
                Ok(_) => panic!("{text} succeeded"),
                Err(error) => error,
            },
            Ok(_) => panic!("{text} succeeded"),
            Err(error) => error,
        }
    }

    /// How many requests of an API were sent.
    pub(crate) fn requests(&self, api: &str) -> u64 {
        requests(self.name, api)
    }

    pub(crate) async fn shut_down(self) {
        self.connection.shut_down().await.unwrap();
    }
}

/// Rows as lines, in the order of their texts.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let shown = pretty_format_batches(batches).unwrap().to_string();
    let rows = shown.lines().filter(|line| line.starts_with('|')).skip(1);
    let mut rows: Vec<String> = rows
        .map(|row| {
            let cells = row.trim_matches('|').split('|').map(str::trim);
            cells.collect::<Vec<_>>().join(" ")
        })
        .collect();
    rows.sort();
    rows
}

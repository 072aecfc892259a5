//! What is counted and measured, and under which names; here what concerns connections.
//!
//! Values go to the recorder that the process has installed with the crate `metrics`. Whatever counts holds the handles
//! that it counts with, and gets them from the recorder that there is when it begins: a connection when it is opened. Without
//! a recorder a handle does nothing, and no clock is read for it.

use std::fmt;
use std::sync::OnceLock;

use metrics::{Counter, Histogram, IntoF64, Key, Label, Level, Metadata, SharedString};
use tokio::time::Instant;

use super::{RequestError, ServerAddress};
use crate::api::ApiKey;

/// Something that is counted or measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Under which name.
    pub name: &'static str,
    /// How its values add up.
    pub kind: Kind,
    /// What its values are numbers of.
    pub unit: Unit,
    /// By what its values are told apart.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub text: &'static str,
}

/// How the values of a metric add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// They are summed.
    Counter,
    /// Their distribution is kept.
    Histogram,
}

/// What the values of a metric are numbers of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Attempts at something, or its occurrences.
    Times,
    /// Requests to a server.
    Requests,
    /// Batches of rows.
    Batches,
    /// Rows.
    Rows,
    /// Keys that are looked up.
    Keys,
    /// Bytes.
    Bytes,
    /// Seconds, in parts.
    Seconds,
}

impl Unit {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Times => "times",
            Self::Requests => "requests",
            Self::Batches => "batches",
            Self::Rows => "rows",
            Self::Keys => "keys",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
        }
    }

    const fn of_recorders(self) -> metrics::Unit {
        match self {
            Self::Bytes => metrics::Unit::Bytes,
            Self::Seconds => metrics::Unit::Seconds,
            _ => metrics::Unit::Count,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        })
    }
}

/// Said of every metric; recorders may pass over what is less.
static METADATA: Metadata<'static> = Metadata::new("fluss", Level::INFO, Some(module_path!()));

impl Metric {
    /// Something that is counted.
    pub const fn counter(
        name: &'static str,
        unit: Unit,
        labels: &'static [&'static str],
        text: &'static str,
    ) -> Self {
        Self {
            name,
            kind: Kind::Counter,
            unit,
            labels,
            text,
        }
    }

    /// Something that is measured.
    pub const fn histogram(
        name: &'static str,
        unit: Unit,
        labels: &'static [&'static str],
        text: &'static str,
    ) -> Self {
        Self {
            kind: Kind::Histogram,
            ..Self::counter(name, unit, labels, text)
        }
    }

    /// Tells the recorder what the metric is.
    pub fn describe(&self) {
        let (name, unit, text) = (self.name.into(), Some(self.unit.of_recorders()), self.text.into());
        metrics::with_recorder(|recorder| match self.kind {
            Kind::Counter => recorder.describe_counter(name, unit, text),
            Kind::Histogram => recorder.describe_histogram(name, unit, text),
        });
    }

    /// What counts for an owner under these values of the labels, in their order.
    pub fn count<const N: usize>(&self, owner: &Owner, labels: [&SharedString; N]) -> Counter {
        let key = self.key(owner, labels);
        metrics::with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
    }

    /// What measures for an owner under these values of the labels, in their order.
    pub fn measure<const N: usize>(&self, owner: &Owner, labels: [&SharedString; N]) -> Histogram {
        let key = self.key(owner, labels);
        metrics::with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }

    fn key<const N: usize>(&self, owner: &Owner, values: [&SharedString; N]) -> Key {
        let labels = self.labels.iter().copied().zip(values);
        let labels = labels.chain(owner.0.iter().map(|name| (OWNER, name)));
        let labels = labels.map(|(name, value)| Label::new(name, value.clone()));
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }
}

/// The label of the metrics of an [`Owner`] with a name, besides those that a [`Metric`] has.
pub const OWNER: &str = "connection";

/// Whose metrics they are. Those of an owner with a name have it as one more label, [`OWNER`].
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Owner(Option<SharedString>);

impl Owner {
    /// An owner with a name.
    pub fn named(name: &str) -> Self {
        Self(Some(name.to_owned().into()))
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Owner").field(&self.0).finish()
    }
}

/// The seconds since an instant. The clock is read only if somebody records them.
#[derive(Clone, Copy, Debug)]
pub struct Since(pub Instant);

impl IntoF64 for Since {
    fn into_f64(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

const SERVER: &[&str] = &["server"];
const SERVER_AND_API: &[&str] = &["server", "api"];

const OPENED: Metric = Metric::counter(
    "fluss_client_connections_opened_total",
    Unit::Times,
    SERVER,
    "connections that became ready for requests",
);
const REFUSED: Metric = Metric::counter(
    "fluss_client_connections_failed_total",
    Unit::Times,
    SERVER,
    "attempts to connect that failed",
);
const LOST: Metric = Metric::counter(
    "fluss_client_connections_lost_total",
    Unit::Times,
    SERVER,
    "connections that ended otherwise than by the client's wish",
);
const CONNECT_SECONDS: Metric = Metric::histogram(
    "fluss_client_connect_seconds",
    Unit::Seconds,
    SERVER,
    "how long it took to connect, login included",
);
const SENT_BYTES: Metric = Metric::counter(
    "fluss_client_sent_bytes_total",
    Unit::Bytes,
    SERVER,
    "bytes of requests",
);
const RECEIVED_BYTES: Metric = Metric::counter(
    "fluss_client_received_bytes_total",
    Unit::Bytes,
    SERVER,
    "bytes of responses",
);
const REQUESTS: Metric = Metric::counter(
    "fluss_client_requests_total",
    Unit::Requests,
    SERVER_AND_API,
    "requests that were begun",
);
const REQUEST_FAILURES: Metric = Metric::counter(
    "fluss_client_request_failures_total",
    Unit::Requests,
    SERVER_AND_API,
    "requests that were refused, or got no answer in time",
);
const REQUEST_SECONDS: Metric = Metric::histogram(
    "fluss_client_request_seconds",
    Unit::Seconds,
    SERVER_AND_API,
    "from a request to its answer or failure; a fetch may wait at the server for news",
);

/// What is counted and measured of connections.
pub const CONNECTIONS: &[Metric] = &[
    OPENED,
    REFUSED,
    LOST,
    CONNECT_SECONDS,
    SENT_BYTES,
    RECEIVED_BYTES,
    REQUESTS,
    REQUEST_FAILURES,
    REQUEST_SECONDS,
];

/// Takes note of an attempt to connect.
pub(super) fn attempted(owner: &Owner, server: &ServerAddress, begun: Instant, succeeded: bool) {
    let server = &SharedString::from(server.to_string());
    if succeeded {
        OPENED.count(owner, [server]).increment(1);
        CONNECT_SECONDS.measure(owner, [server]).record(Since(begun));
    } else {
        REFUSED.count(owner, [server]).increment(1);
    }
}

/// Counts what goes over one connection.
pub(super) struct Traffic {
    owner: Owner,
    server: SharedString,
    pub(super) sent: Counter,
    pub(super) received: Counter,
    pub(super) lost: Counter,
    /// In the order of [`ApiKey::ALL`].
    apis: Box<[OnceLock<Requests>]>,
}

/// Counts the requests of one API.
struct Requests {
    sent: Counter,
    failed: Counter,
    seconds: Histogram,
}

impl Traffic {
    pub(super) fn of(owner: &Owner, server: &ServerAddress) -> Self {
        let server = SharedString::from(server.to_string());
        Self {
            sent: SENT_BYTES.count(owner, [&server]),
            received: RECEIVED_BYTES.count(owner, [&server]),
            lost: LOST.count(owner, [&server]),
            apis: ApiKey::ALL.iter().map(|_| OnceLock::new()).collect(),
            owner: owner.clone(),
            server,
        }
    }

    /// Takes note of a request.
    pub(super) fn asked(&self, api: ApiKey) {
        if let Some(requests) = self.requests(api) {
            requests.sent.increment(1);
        }
    }

    /// Takes note of what became of a request.
    pub(super) fn answered<T>(&self, api: ApiKey, begun: Instant, answer: &Result<T, RequestError>) {
        if let Some(requests) = self.requests(api) {
            requests.failed.increment(u64::from(answer.is_err()));
            requests.seconds.record(Since(begun));
        }
    }

    fn requests(&self, api: ApiKey) -> Option<&Requests> {
        let requests = self.apis.get(api.place())?;
        Some(requests.get_or_init(|| {
            let (owner, server, api) = (&self.owner, &self.server, &SharedString::from(api.name()));
            Requests {
                sent: REQUESTS.count(owner, [server, api]),
                failed: REQUEST_FAILURES.count(owner, [server, api]),
                seconds: REQUEST_SECONDS.measure(owner, [server, api]),
            }
        }))
    }
}

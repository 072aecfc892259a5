//! Every key of a configuration: its name in all ways to write it, its values, and what it sets.

use super::settings::Settings;
use super::values::{
    acks, assigner, boolean, database, duration, mechanism, millis, nonempty, number, parts, preference,
    preferred_node, protocol, seconds, size,
};
use fluss_core::types::suggestion;

/// A key of configurations. They may have `client.` in front, as those of other clients do, and `-ms` behind: then the value
/// is a number of milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    meaning: &'static str,
    pub(super) set: Set,
}

/// What the values of a key look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// Where to connect: a connection string, or `host:port,host:port`.
    Target,
    /// A number with a unit, such as `10 s` or `500 ms`.
    Duration,
    /// The same; a number without a unit is one of milliseconds.
    Millis,
    /// The same; a number without a unit is one of seconds.
    Seconds,
    /// Bytes: a number, or one with a unit, such as `64 mb`.
    Size,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Any text that is not empty.
    Text,
    /// A text that nobody should see.
    Secret,
    /// One of these.
    OneOf(&'static [&'static str]),
}

impl Key {
    /// Its name, without `client.` in front.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What its values look like.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The value that it has if nothing is said, if there is one.
    pub const fn default(&self) -> Option<&'static str> {
        self.default
    }

    /// What it is for.
    pub const fn meaning(&self) -> &'static str {
        self.meaning
    }
}

type Set = fn(&mut Settings, &str) -> Result<(), String>;

macro_rules! keys {
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    ($($name:literal: $kind:ident $(($($of:tt)+))? $(= $default:literal)?, $meaning:literal => |$settings:ident, $value:ident: $parse:ident| $set:expr;)+) => {
        &[$(Key {
            name: $name,
            kind: Kind::$kind $(($($of)+))?,
            default: keys!(@default $($default)?),
            meaning: $meaning,
            set: |$settings, text| {
                let $value = $parse(text)?;
                $set;
                Ok(())
            },
        },)+]
    };
}

/// Every key, with its kind and default.
pub const KEYS: &[Key] = keys! {
    "bootstrap.servers": Target, "where to connect: a connection string, or `host:port,host:port`"
        => |s, value: parts| s.target = Some(value.target);
    "connect-timeout": Duration = "10 s", "the longest wait for a connection, with its login"
        => |s, value: duration| s.options.connect_timeout = value;
    "request-timeout": Duration = "30 s", "the longest wait for the answer to a request"
        => |s, value: duration| s.options.request_timeout = value;
    "tls": Boolean = "false", "whether servers are reached by TLS, and never without it"
        => |s, value: boolean| s.has_tls = value;
    "tls-ca-file": Text, "the authorities whose certificates are trusted, a PEM file; without, those of the system"
        => |s, value: nonempty| s.tls.ca_file = Some(value.into());
    "user-cert-file": Text, "the certificate that the client shows, a PEM file"
        => |s, value: nonempty| s.tls.cert_file = Some(value.into());
    "user-key-file": Text, "its key, a PEM file"
        => |s, value: nonempty| s.tls.key_file = Some(value.into());
    "allow-insecure-password": Boolean = "false", "whether a password may go to another machine without TLS"
        => |s, value: boolean| s.options.allow_insecure_password = value;
    "database": Text, "the database of tables that are named without one; a connection string has it behind its `/`"
        => |s, value: database| s.options.database = Some(value);
    "connection-name": Text, "what servers are told, and metrics and logs say, of who is connected"
        => |s, value: nonempty| s.options.name = Some(value);
    "default-deadline": Seconds, "the longest that a request or a write waits, whatever other options say"
        => |s, value: seconds| s.default_deadline = Some(value);
    "max-discover-attempts": Number = "10", "how often a cluster is looked for that has no servers yet, or whose name leads nowhere"
        => |s, value: number| s.options.discovery.attempts = value;
    "discovery-interval": Millis = "100 ms", "the first pause between these attempts; later ones are longer, up to ten times"
        => |s, value: millis| s.options.discovery.interval = value;
    "gossip-timeout": Seconds = "5 s", "the longest wait for one server to say where things are, before another is asked"
        => |s, value: seconds| s.options.discovery.timeout = value;
    "keep-alive-interval": Millis, "after such a silence a connection is probed (TCP keep-alive; never without), and asked before its next use (60 s without)"
        => |s, value: millis| s.options.keep_alive.interval = Some(value);
    "keep-alive-timeout": Millis, "how long the answer to that may take before the connection is given up (that to the question: 1 s without)"
        => |s, value: millis| s.options.keep_alive.timeout = Some(value);
    "node-preference": OneOf(&["leader"]) = "leader", "which server of a bucket reads it: none but its leader can"
        => |s, value: preferred_node| s.options.node_preference = value;
    "writer.acks": OneOf(&["all", "1", "0"]) = "all", "who must have stored a write before it is acknowledged: all replicas in sync, the leader (1), nobody (0)"
        => |s, value: acks| s.options.writer.acks = value;
    "writer.batch-size": Size = "2 mb", "a batch of this size, before compression, is sent at once"
        => |s, value: size| s.options.writer.batch_bytes = value;
    "writer.batch-timeout": Duration = "100 ms", "how long a batch waits for more rows"
        => |s, value: duration| s.options.writer.linger = value;
    "writer.request-max-size": Size = "10 mb", "the most bytes of a write request"
        => |s, value: size| s.options.writer.request_max_bytes = value;
    "writer.buffer.memory-size": Size = "64 mb", "the most bytes that rows hold until they are acknowledged; an append waits for room"
        => |s, value: size| s.options.writer.buffer_bytes = value;
    "writer.delivery-timeout": Duration = "120 s", "the longest wait for room, and for an acknowledgement, retries included"
        => |s, value: duration| s.options.writer.delivery_timeout = value;
    "writer.enable-idempotence": Boolean = "true", "whether retries store nothing twice"
        => |s, value: boolean| s.options.writer.idempotence = value;
    "writer.max-inflight-requests-per-bucket": Number = "5", "the most batches of a bucket on their way"
        => |s, value: number| s.options.writer.max_in_flight = value;
    "writer.retries": Number = "4294967295", "how often a batch is sent again before its deadline"
        => |s, value: number| s.options.writer.retries = value;
    "writer.kv-backpressure.max-throttle": Duration = "3 s", "the longest pause that a server's word brings which falls behind; 0 for none"
        => |s, value: duration| s.options.writer.max_throttle = value;
    "writer.bucket.no-key-assigner": OneOf(&["sticky", "round_robin"]) = "sticky", "how the bucket is chosen in a table without bucket key"
        => |s, value: assigner| s.options.writer.bucket_assigner = value;
    "writer.dynamic-create-partition.enabled": Boolean = "true", "whether partitions that rows belong to are created"
        => |s, value: boolean| s.options.writer.create_partitions = value;
    "scanner.log.fetch.max-bytes": Size = "16 mb", "the most bytes of a fetch"
        => |s, value: size| s.options.scanner.fetch_max_bytes = value;
    "scanner.log.fetch.max-bytes-for-bucket": Size = "1 mb", "the most bytes of a bucket in a fetch"
        => |s, value: size| s.options.scanner.fetch_max_bytes_per_bucket = value;
    "scanner.log.fetch.min-bytes": Size = "1", "a server with less waits for more"
        => |s, value: size| s.options.scanner.fetch_min_bytes = value;
    "scanner.log.fetch.wait-max-time": Duration = "500 ms", "how long it waits"
        => |s, value: duration| s.options.scanner.fetch_wait = value;
    "scanner.log.max-poll-records": Number = "500", "the most records of a poll"
        => |s, value: number| s.options.scanner.max_poll_records = value;
    "scanner.log.max-poll-bytes": Size = "64 mb", "after so many decoded bytes a poll ends"
        => |s, value: size| s.options.scanner.max_poll_bytes = value;
    "scanner.log.max-batch-bytes": Size = "256 mb", "the most decoded bytes of a batch"
        => |s, value: size| s.options.scanner.max_batch_bytes = value;
    "scanner.log.check-crc": Boolean = "true", "whether the checksums of batches are verified"
        => |s, value: boolean| s.options.scanner.check_crc = value;
    "scanner.log.read-preference": OneOf(&["local-first", "remote-first"]) = "local-first", "where records are read that a server has both itself and in remote storage"
        => |s, value: preference| s.options.scanner.read_preference = value;
    "scanner.partition-discovery-interval": Duration = "10 s", "how often a scanner of a whole table looks for new partitions"
        => |s, value: duration| s.options.scanner.partition_discovery = value;
    "scanner.remote-log.prefetch-bytes": Size = "32 mb", "the most bytes of tiered segments that are held ahead"
        => |s, value: size| s.options.remote.prefetch_bytes = value;
    "scanner.remote-log.read-concurrency": Number = "4", "how many reads of tiered segments are under way at a time"
        => |s, value: number| s.options.remote.read_concurrency = value;
    "remote.s3.endpoint": Text, "where S3 is, if not where the cluster says"
        => |s, value: nonempty| s.options.remote.s3.endpoint = Some(value);
    "remote.s3.region": Text, "its region, if not the cluster's"
        => |s, value: nonempty| s.options.remote.s3.region = Some(value);
    "remote.s3.path-style-access": Boolean, "whether S3's buckets are parts of paths"
        => |s, value: boolean| s.options.remote.s3.path_style = Some(value);
    "remote.s3.access-key": Text, "who reads from S3; without, the cluster gives credentials"
        => |s, value: nonempty| s.s3_access_key = Some(value);
    "remote.s3.secret-key": Secret, "the secret that goes with it"
        => |s, value: nonempty| s.s3_secret_key = Some(value);
    "security.protocol": OneOf(&["PLAINTEXT", "SASL"]) = "PLAINTEXT", "whether servers ask for a login"
        => |s, value: protocol| s.sasl = value;
    "security.sasl.mechanism": OneOf(&["PLAIN"]) = "PLAIN", "how it is done"
        => |s, value: mechanism| s.mechanism = value;
    "security.sasl.username": Text, "the user; a connection string has it before its `@`"
        => |s, value: nonempty| s.username = Some(value);
    "security.sasl.password": Secret, "the password; a connection string has it before its `@`"
        => |s, value: nonempty| s.password = Some(value);
};

/// Keys of other clients that steer what this one does not have: taken, and without effect.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
    "filesystem.security.token.renewal.backoff",
    "filesystem.security.token.renewal.time-ratio",
    "id",
    "lookup.batch-timeout",
    "lookup.max-batch-size",
    "lookup.max-inflight-requests",
    "lookup.max-retries",
    "lookup.queue-size",
    "metrics.enabled",
    "remote-file.download-thread-num",
    "scanner.io.tmpdir",
    "scanner.kv.batch-strategy",
    "scanner.kv.fetch.max-bytes",
    "scanner.remote-log.prefetch-num",
    "writer.buffer.page-size",
    "writer.buffer.per-request-memory-size",
    "writer.buffer.wait-timeout",
    "writer.dynamic-batch-size-min",
    "writer.dynamic-batch-size.enabled",
];

/// The key that says where to connect.
pub(super) const TARGET: &str = "bootstrap.servers";

/// A key as all ways to write it have it in common: `client.request-timeout`, `requestTimeout`, `REQUEST_TIMEOUT`.
pub(super) fn fold(key: &str) -> String {
    let key = key.to_ascii_lowercase();
    let key = key.strip_prefix("client.").unwrap_or(&key);
    key.chars().filter(|c| !"-_.".contains(*c)).collect()
}

/// A key of the table, or one without effect, in whatever way it was written.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// Nothing where it has no effect.
    pub(super) row: Option<&'static Key>,
    /// Whether the way in which it was written says that its value is a number of milliseconds.
    in_millis: bool,
}

impl Known {
    pub(super) fn find(key: &str) -> Option<Self> {
        let named = |folded: &str, in_millis| {
            let row = KEYS.iter().find(|row| fold(row.name) == folded);
            let name = row.map(|row| row.name).or_else(|| {
                let mut idle = WITHOUT_EFFECT.iter().copied();
                idle.find(|name| fold(name) == folded)
            })?;
            Some(Self { name, row, in_millis })
        };
        let folded = fold(key);
        let is_time = |row: &Key| matches!(row.kind, Kind::Duration | Kind::Millis | Kind::Seconds);
        named(&folded, false)
            .or_else(|| named(folded.strip_suffix("ms")?, true).filter(|known| known.row.is_none_or(is_time)))
    }

    /// The value with its unit.
    pub(super) fn value(&self, value: &str) -> String {
        if self.in_millis {
            return format!("{value} ms");
        }
        value.to_owned()
    }
}

/// The name that a key has in the table.
pub(super) fn canonical(key: &str) -> Option<&'static str> {
    Known::find(key).map(|known| known.name)
}

/// The key that an unknown one is meant to be: one that is spelt much the same, or that shares most of its words.
pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.strip_prefix("client.").unwrap_or(unknown);
    let keys = || KEYS.iter().map(|key| key.name);
    if let Some(key) = suggestion(unknown, keys()) {
        return Some(key);
    }
    let words = |key: &str| -> Vec<String> { key.split(['.', '-', '_']).map(str::to_lowercase).collect() };
    let wanted = words(unknown);
    let shared = |key: &str| words(key).iter().filter(|word| wanted.contains(word)).count();
    let best = keys().max_by_key(|key| (shared(key), usize::MAX - key.len()))?;
    (shared(best) > 0).then_some(best)
}

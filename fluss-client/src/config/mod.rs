//! Configuration: options by their keys (`descriptors.md` §9), and where targets lead.

mod options;
mod target;
mod text;
mod values;

use std::time::Duration;

use fluss_rpc::net::tls::TlsOptions;
use fluss_rpc::sasl::{Credentials, Mechanism};

pub use options::{
    Acks, BucketAssigner, ClientOptions, DiscoveryOptions, NodePreference, ReadPreference, RemoteOptions,
    S3AccessKey, S3Options, ScannerOptions, WriterOptions,
};
pub use target::{InvalidTarget, Target};

use fluss_core::types::suggestion;
use fluss_rpc::net::without_login;
use text::Parts;
use values::{
    acks, assigner, boolean, database, duration, mechanism, millis, nonempty, number, parts, preference,
    preferred_node, protocol, seconds, size,
};

/// A configuration that cannot be: a key that there is not, a value that it does not take, or options that do not go
/// together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(String);

/// A key of configurations. They may have `client.` in front, as those of other clients do, and `-ms` behind: then the value
/// is a number of milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    meaning: &'static str,
    set: Set,
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

/// Options under construction: what needs more than one key waits here.
struct Settings {
    target: Option<Target>,
    default_deadline: Option<Duration>,
    options: ClientOptions,
    sasl: bool,
    mechanism: Mechanism,
    username: Option<String>,
    password: Option<String>,
    has_tls: bool,
    tls: TlsOptions,
    s3_access_key: Option<String>,
    s3_secret_key: Option<String>,
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
    "keep-alive-interval": Millis, "after such a silence a connection is probed (TCP keep-alive)"
        => |s, value: millis| s.options.keep_alive.interval = Some(value);
    "keep-alive-timeout": Millis, "how long the answer to a probe may take before the connection is given up"
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
const WITHOUT_EFFECT: &[&str] = &[
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

/// Checks a key and its value, and returns the key under which this client knows it, with the value.
///
/// # Errors
///
/// A key that there is not, or a value that it does not take.
pub fn check(key: &str, value: &str) -> Result<(String, String), InvalidConfig> {
    let mut settings = Settings::new();
    if canonical(key) == Some(TARGET) {
        settings.connect(value)?;
        return Ok((TARGET.to_owned(), value.to_owned()));
    }
    apply(&mut settings, key, value)?;
    let (name, value) = match Known::find(key) {
        Some(known) => (known.name, known.value(value)),
        None => (key.strip_prefix("client.").unwrap_or(key), value.to_owned()),
    };
    Ok((format!("client.{name}"), value))
}

/// What a connection string says, as options by their keys: where it leads is `bootstrap.servers`, whose text then has nothing
/// else in it.
///
/// # Errors
///
/// As of [`read`], but for options that do not go together.
pub fn options_of(text: &str) -> Result<Vec<(String, String)>, InvalidConfig> {
    Settings::new().connect(text)
}

/// Where environment variables lead, and with which options: `FLUSS_TARGET` is a connection string, and
/// `FLUSS_REQUEST_TIMEOUT` the option `request-timeout`, and so on. Pairs for [`read`]. Variables that begin with `FLUSS_` and
/// are no option are other programs'.
///
/// # Errors
///
/// There is no `FLUSS_TARGET`, or it is empty.
pub fn environment<K: AsRef<str>, V: AsRef<str>>(
    variables: impl IntoIterator<Item = (K, V)>,
) -> Result<Vec<(String, String)>, InvalidConfig> {
    const PREFIX: &str = "FLUSS_";
    let mut pairs = Vec::new();
    for (name, value) in variables {
        let Some(key) = name.as_ref().strip_prefix(PREFIX) else {
            continue;
        };
        let known = if key == "TARGET" {
            Some(TARGET)
        } else {
            canonical(key)
        };
        if let Some(known) = known.filter(|_| !value.as_ref().is_empty()) {
            pairs.push((known.to_owned(), value.as_ref().to_owned()));
        }
    }
    if pairs.iter().any(|(key, _)| key == TARGET) {
        return Ok(pairs);
    }
    Err(fault(
        "nothing says where to connect: give a connection string such as 'fluss://host:9123', or set FLUSS_TARGET",
    ))
}

/// A connection string as it may be shown: without a user, a password or another secret.
pub fn without_secrets(text: &str) -> String {
    let shown = without_login(text);
    let part = |part: &str| {
        let (option, separator) = match part.strip_suffix(['?', '&']) {
            Some(option) => part.split_at(option.len()),
            None => (part, ""),
        };
        match option.split_once('=') {
            // What is behind a second '=' may be an option whose '&' was forgotten.
            Some((key, value))
                if value.contains('=')
                    || Known::find(key)
                        .and_then(|known| known.row)
                        .is_none_or(|row| row.kind == Kind::Secret) =>
            {
                format!("{key}=***{separator}")
            }
            _ => part.to_owned(),
        }
    };
    shown.split_inclusive(['?', '&']).map(part).collect()
}

/// Where a configuration leads, and the options that it means.
///
/// ```
/// use fluss_client::config;
///
/// let pairs = [("bootstrap.servers", "localhost:9123"), ("writer.batch-timeout", "20 ms")];
/// let (target, options) = config::read(pairs)?;
/// assert_eq!(target, "fluss://localhost:9123".parse()?);
/// assert_eq!(options.writer.linger.as_millis(), 20);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A key that there is not, a value that it does not take, options that do not go together, or no `bootstrap.servers`.
pub fn read<K: AsRef<str>, V: AsRef<str>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Result<(Target, ClientOptions), InvalidConfig> {
    let mut settings = Settings::new();
    let pairs: Vec<(K, V)> = pairs.into_iter().collect();
    // What is said beside a connection string wins over what it says.
    let is_target = |pair: &&(K, V)| canonical(pair.0.as_ref()) == Some(TARGET);
    for (_, text) in pairs.iter().filter(is_target) {
        settings.connect(text.as_ref())?;
    }
    for (key, value) in pairs.iter().filter(|pair| !is_target(pair)) {
        apply(&mut settings, key.as_ref(), value.as_ref())?;
    }
    settings.finish()
}

impl Settings {
    fn new() -> Self {
        Self {
            target: None,
            default_deadline: None,
            options: ClientOptions::new([]),
            sasl: false,
            mechanism: Mechanism::Plain,
            username: None,
            password: None,
            has_tls: false,
            tls: TlsOptions::default(),
            s3_access_key: None,
            s3_secret_key: None,
        }
    }

    /// Takes what a connection string says, and returns it as options by their keys.
    fn connect(&mut self, text: &str) -> Result<Vec<(String, String)>, InvalidConfig> {
        let wrong = |reason: String| fault(format!("connection string: {reason}"));
        let parts = Parts::read(text).map_err(|error| fault(error.to_string()))?;
        let mut pairs = vec![(TARGET.to_owned(), parts.target.to_string())];
        let mut said = |key: &str, value: String| pairs.push((key.to_owned(), value));
        if let Some(database) = parts.database {
            said("database", database);
        }
        if let Some((username, password)) = parts.login {
            said("security.protocol", "SASL".to_owned());
            said("security.sasl.username", username);
            said("security.sasl.password", password);
        }
        for (key, value) in pairs.iter().skip(1) {
            apply(self, key, value).map_err(|error| wrong(error.to_string()))?;
        }
        for (key, value) in parts.options {
            let known = Known::find(&key);
            let name = known.as_ref().map_or(key.as_str(), |known| known.name);
            if name == TARGET {
                return Err(wrong(format!(
                    "it says itself where to connect; '{key}' has no place in it"
                )));
            }
            // Who logs in by it may say so as well.
            let is_given = |pair: &(String, String)| pair.0 == name && name != "security.protocol";
            if pairs.iter().any(is_given) {
                return Err(wrong(format!("'{name}' is given twice")));
            }
            apply(self, &key, &value).map_err(|error| {
                // It may be the rest of the string, whose '&' was forgotten.
                if value.contains('=') {
                    return wrong(format!(
                        "option '{key}': there is an '=' in its value, and an '&' before the next option"
                    ));
                }
                wrong(error.to_string())
            })?;
            let in_its_unit = known.as_ref().map(|known| known.value(&value));
            pairs.push((name.to_owned(), in_its_unit.unwrap_or(value)));
        }
        self.check_place(&parts.target).map_err(wrong)?;
        self.target = Some(parts.target);
        Ok(pairs)
    }

    /// Refuses what is for servers elsewhere if the node is in this process: whoever asks for it may rely on it.
    fn check_place(&self, target: &Target) -> Result<(), String> {
        if matches!(target, Target::Servers(_) | Target::Discover(_)) {
            return Ok(());
        }
        if self.has_tls || self.tls != TlsOptions::default() {
            return Err(
                "an embedded node is in this process, where nothing goes by TLS: 'tls' and its files are for 'fluss://'"
                    .to_owned(),
            );
        }
        if self.sasl || self.username.is_some() || self.password.is_some() {
            return Err(
                "an embedded node asks nobody who they are: a user and a password are for 'fluss://'"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Target, ClientOptions), InvalidConfig> {
        let target = self
            .target
            .take()
            .ok_or_else(|| fault("option 'bootstrap.servers' is missing"))?;
        self.check_place(&target).map_err(fault)?;
        if !self.sasl && (self.username.is_some() || self.password.is_some()) {
            return Err(fault(
                "a user name or a password has no effect without 'client.security.protocol': 'SASL'",
            ));
        }
        if self.sasl {
            let (Some(username), Some(password)) = (self.username, self.password) else {
                return Err(fault(
                    "security protocol SASL needs 'client.security.sasl.username' and '...password'",
                ));
            };
            self.options.credentials = Some(Credentials {
                mechanism: self.mechanism,
                username,
                password,
            });
        }
        self.options.tls = match self.has_tls {
            true => Some(self.tls),
            false if self.tls == TlsOptions::default() => None,
            false => {
                let files = "'client.tls-ca-file', 'client.user-cert-file' or 'client.user-key-file'";
                return Err(fault(format!(
                    "{files} has no effect without 'client.tls': 'true'"
                )));
            }
        };
        self.options.remote.s3.access_key = match (self.s3_access_key, self.s3_secret_key) {
            (None, None) => None,
            (Some(id), Some(secret)) => Some(S3AccessKey { id, secret }),
            _ => {
                let reason = "'client.remote.s3.access-key' and '...secret-key' go together";
                return Err(fault(reason));
            }
        };
        if let Some(most) = self.default_deadline {
            let ClientOptions {
                connect_timeout,
                request_timeout,
                writer,
                ..
            } = &mut self.options;
            for wait in [connect_timeout, request_timeout, &mut writer.delivery_timeout] {
                *wait = (*wait).min(most);
            }
        }
        self.options
            .validate()
            .map_err(|error| fault(error.to_string()))?;
        Ok((target, self.options))
    }
}

fn apply(settings: &mut Settings, key: &str, value: &str) -> Result<(), InvalidConfig> {
    if let Some(known) = Known::find(key) {
        let set = |row: &Key| (row.set)(settings, &known.value(value));
        let set = known.row.map_or(Ok(()), set);
        return set.map_err(|reason| fault(format!("option '{key}': {reason}")));
    }
    let folded = fold(key);
    if folded.starts_with("netty") {
        return Ok(());
    }
    let is_secret = |row: &&Key| row.kind == Kind::Secret && folded.starts_with(&fold(row.name));
    if let Some(secret) = KEYS.iter().find(is_secret) {
        return Err(fault(format!(
            "behind '{}' stands an '=', and then the secret",
            secret.name
        )));
    }
    Err(fault(match nearest(key) {
        Some(near) => format!("there is no option '{key}'; did you mean '{near}'?"),
        None => format!("there is no option '{key}'"),
    }))
}

/// A key as all ways to write it have it in common: `client.request-timeout`, `requestTimeout`, `REQUEST_TIMEOUT`.
fn fold(key: &str) -> String {
    let key = key.to_ascii_lowercase();
    let key = key.strip_prefix("client.").unwrap_or(&key);
    key.chars().filter(|c| !"-_.".contains(*c)).collect()
}

/// A key of the table, or one without effect, in whatever way it was written.
struct Known {
    name: &'static str,
    /// Nothing where it has no effect.
    row: Option<&'static Key>,
    /// Whether the way in which it was written says that its value is a number of milliseconds.
    in_millis: bool,
}

impl Known {
    fn find(key: &str) -> Option<Self> {
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
    fn value(&self, value: &str) -> String {
        if self.in_millis {
            return format!("{value} ms");
        }
        value.to_owned()
    }
}

/// The name that a key has in the table.
fn canonical(key: &str) -> Option<&'static str> {
    Known::find(key).map(|known| known.name)
}

/// The key that says where to connect.
const TARGET: &str = "bootstrap.servers";

/// The key that an unknown one is meant to be: one that is spelt much the same, or that shares most of its words.
fn nearest(unknown: &str) -> Option<&'static str> {
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

fn fault(message: impl Into<String>) -> InvalidConfig {
    InvalidConfig(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_keys_are_those_of_options() {
        let mut settings = Settings::new();
        for key in KEYS {
            if let Some(default) = key.default() {
                apply(&mut settings, key.name(), default).unwrap();
            }
        }
        let options = ClientOptions::new([]);
        assert_eq!(format!("{:?}", settings.options), format!("{options:?}"));
        assert!(!settings.sasl);
    }

    #[test]
    fn a_key_may_be_written_as_other_clients_do() {
        for (key, value) in [
            ("request-timeout", "3 s"),
            ("client.request-timeout", "3 s"),
            ("client.request-timeout-ms", "3000"),
            ("requestTimeout", "3s"),
            ("REQUEST_TIMEOUT", "3 s"),
            ("client.requestTimeoutMs", "3000"),
        ] {
            let (_, options) = read([("bootstrap.servers", "h:1"), (key, value)]).unwrap();
            assert_eq!(options.request_timeout, Duration::from_secs(3));
            assert_eq!(check(key, value).unwrap().0, "client.request-timeout");
        }
        let (key, _) = check("netty.client.num-network-threads", "4").unwrap();
        assert_eq!(key, "client.netty.client.num-network-threads");
    }

    #[test]
    fn keys_of_other_clients_are_taken_as_they_write_them() {
        for key in [
            "client.writer.buffer.wait-timeout",
            "writer.buffer.wait-timeout-ms",
            "writerBufferWaitTimeoutMs",
        ] {
            let (known, _) = check(key, "77").unwrap();
            assert_eq!(known, "client.writer.buffer.wait-timeout");
        }
        assert!(check("writer.buffer.wait-timeouts", "77").is_err());
    }

    /// Strings with what they say as options, or why they are refused. Python's tests read them, too.
    const STRINGS: &str = include_str!("strings.json");

    #[derive(serde::Deserialize)]
    struct Case {
        string: String,
        is: Option<std::collections::BTreeMap<String, String>>,
        refused: Option<String>,
    }

    #[test]
    fn connection_strings_say_what_their_table_says() {
        let cases: Vec<Case> = serde_json::from_str(STRINGS).unwrap();
        assert!(cases.len() >= 145);
        for Case { string, is, refused } in cases {
            let found = options_of(&string);
            let Some(is) = is else {
                assert_eq!(found.unwrap_err().to_string(), refused.unwrap(), "{string}");
                continue;
            };
            let found: std::collections::BTreeMap<_, _> = found.unwrap().into_iter().collect();
            assert_eq!(found, is, "{string}");
            let (target, options) = read([(TARGET, &string)]).unwrap();
            let (same_target, same_options) = read(&is).unwrap();
            assert_eq!(target, same_target, "{string}");
            assert_eq!(format!("{options:?}"), format!("{same_options:?}"), "{string}");
            assert_eq!(target.to_string().parse(), Ok(target), "{string}");
        }
    }

    #[test]
    fn what_is_said_beside_a_connection_string_wins() {
        let text = "fluss://h:1?requestTimeout=5s&writerAcks=all";
        for pairs in [
            [(TARGET, text), ("request-timeout", "7 s")],
            [("request-timeout", "7 s"), (TARGET, text)],
        ] {
            let (_, options) = read(pairs).unwrap();
            assert_eq!(options.request_timeout, Duration::from_secs(7));
        }
    }

    /// The row of a key on the page that tells users of connection strings.
    fn row_of_page(key: &Key) -> String {
        let values = match key.kind {
            Kind::Target => "a connection string".to_owned(),
            Kind::Duration => "a duration".to_owned(),
            Kind::Millis => "a duration, in ms".to_owned(),
            Kind::Seconds => "a duration, in s".to_owned(),
            Kind::Size => "a size".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::Boolean => "`true`, `false`".to_owned(),
            Kind::Text => "a text".to_owned(),
            Kind::Secret => "a secret".to_owned(),
            Kind::OneOf(all) => all
                .iter()
                .map(|one| format!("`{one}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        let default = key
            .default
            .map_or_else(String::new, |default| format!("`{default}`"));
        format!("| `{}` | {values} | {default} | {} |\n", key.name, key.meaning)
    }

    #[test]
    fn the_page_lists_every_option() {
        const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/connection-strings.md");
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = page.split_once("writes them. -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        let rows: String = KEYS.iter().skip(1).map(row_of_page).collect();
        let head = "| option | values | default | what it is for |\n|---|---|---|---|\n";
        let made = format!("{before}writes them. -->\n{head}{rows}<!-- end -->{after}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(PAGE, &made).unwrap();
        }
        assert_eq!(page, made);
    }

    #[test]
    fn no_two_keys_are_written_alike() {
        let mut names: Vec<_> = KEYS.iter().map(|key| fold(key.name)).collect();
        names.extend(WITHOUT_EFFECT.iter().map(|key| fold(key)));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_environment_says_where_to_connect() {
        let variables = [
            ("PATH", "/bin"),
            ("FLUSS_TARGET", "fluss://h:1/shop"),
            ("FLUSS_REQUEST_TIMEOUT", "5 s"),
            ("FLUSS_HOME", "/opt/fluss"),
            ("FLUSS_DEFAULT_DEADLINE", ""),
        ];
        let (target, options) = read(environment(variables).unwrap()).unwrap();
        assert_eq!(target.to_string(), "fluss://h:1");
        assert_eq!(options.database.as_deref(), Some("shop"));
        assert_eq!(options.request_timeout, Duration::from_secs(5));
        let error = environment(variables.into_iter().skip(2))
            .unwrap_err()
            .to_string();
        assert!(error.contains("FLUSS_TARGET"), "{error}");
    }

    proptest::proptest! {
        /// Whatever is broken in a string, nobody sees its password, and nothing panics.
        #[test]
        fn no_message_shows_a_password(
            edits in proptest::collection::vec((0..120_usize, "[@:/?&=%,#+\\[\\] a1]{0,2}", 0..3_usize), 0..4),
            form in 0..4_usize,
        ) {
            const SECRET: &str = "S3CRETS3CRET";
            let mut text: Vec<char> = [
                "fluss://alice:S3CRETS3CRET@h1:9123,[::1]:9123/shop?requestTimeout=5s&writerAcks=all",
                "fluss+discover://alice:S3CRETS3CRET@h1/shop",
                "fluss://h1:9123?securityProtocol=SASL&securitySaslUsername=a&securitySaslPassword=S3CRETS3CRET",
                "h1:9123?remote.s3.secret-key=S3CRETS3CRET&remote.s3.access-key=a&x=y",
            ][form].chars().collect();
            for (place, put, cut) in edits {
                let place = place.min(text.len());
                let end = (place + cut).min(text.len());
                // The secret stays whole, or nobody could look for it.
                let (before, after): (String, String) = (text[..place].iter().collect(), text[end..].iter().collect());
                if format!("{before}{put}{after}").contains(SECRET) {
                    text = format!("{before}{put}{after}").chars().collect();
                }
            }
            let text: String = text.into_iter().collect();
            // Without what marks it, it may be anything.
            let is_of_login = text.contains(":S3CRETS3CRET");
            let is_of_option = text.contains("=S3CRETS3CRET");
            if let Err(error) = read([(TARGET, &text)]) {
                assert!(!(is_of_login || is_of_option) || !error.to_string().contains(SECRET), "{text}: {error}");
            }
            if text.contains(":S3CRETS3CRET@") || is_of_option {
                assert!(!without_secrets(&text).contains(SECRET), "{text}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let refusal = |pairs: &[(&str, &str)]| read(pairs.iter().copied()).unwrap_err().to_string();
        assert_eq!(refusal(&[]), "option 'bootstrap.servers' is missing");
        assert_eq!(
            refusal(&[("request-timeuot", "3 s")]),
            "there is no option 'request-timeuot'; did you mean 'request-timeout'?"
        );
        assert_eq!(
            refusal(&[("request-timeout", "3")]),
            "option 'request-timeout': '3' has no unit; say '10 s' or '500 ms'"
        );
        assert_eq!(
            refusal(&[("bootstrap.servers", "h:1"), ("security.sasl.username", "u")]),
            "a user name or a password has no effect without 'client.security.protocol': 'SASL'"
        );
        for file in ["tls-ca-file", "user-cert-file", "user-key-file"] {
            let told = refusal(&[("bootstrap.servers", "h:1"), (file, "f")]);
            assert!(
                told.ends_with("has no effect without 'client.tls': 'true'"),
                "{told}"
            );
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn tls_is_asked_for_with_its_files() {
        let with = |pairs: &[(&str, &str)]| {
            let tls = [("bootstrap.servers", "h:1"), ("tls", "true")];
            read(tls.iter().chain(pairs).copied()).map(|(_, options)| options.tls)
        };
        assert_eq!(with(&[]), Ok(Some(TlsOptions::default())));
        let files = [
            ("client.tls-ca-file", "ca"),
            ("user-cert-file", "cert"),
            ("user-key-file", "key"),
        ];
        let mut expected = TlsOptions::default();
        expected.ca_file = Some("ca".into());
        expected.cert_file = Some("cert".into());
        expected.key_file = Some("key".into());
        assert_eq!(with(&files), Ok(Some(expected)));
        let told = with(&[("user-cert-file", "cert")]).unwrap_err().to_string();
        assert_eq!(
            told,
            "user-cert-file needs user-key-file, the key of the certificate"
        );
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn a_client_without_tls_says_so() {
        let told = read([("bootstrap.servers", "h:1"), ("tls", "true")]).unwrap_err();
        assert_eq!(
            told.to_string(),
            "tls: this client was built without it, the feature 'tls' of fluss-client"
        );
    }
}

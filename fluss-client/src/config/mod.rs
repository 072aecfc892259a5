//! Configuration: options by their keys (`descriptors.md` §9), and where targets lead.

mod options;
mod target;

use std::str::FromStr;
use std::time::Duration;

use fluss_rpc::sasl::{Credentials, Mechanism};

pub use options::{
    Acks, BucketAssigner, ClientOptions, ReadPreference, RemoteOptions, S3AccessKey, S3Options,
    ScannerOptions, WriterOptions,
};
pub use target::{InvalidTarget, Target};

use fluss_core::types::suggestion;

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
    set: Set,
}

/// What the values of a key look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// Where to connect: see [`Target::of_bootstrap`].
    Target,
    /// A number with a unit, such as `10 s` or `500 ms`.
    Duration,
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
}

/// Options under construction: what needs more than one key waits here.
struct Settings {
    target: Option<Target>,
    options: ClientOptions,
    sasl: bool,
    mechanism: Mechanism,
    username: Option<String>,
    password: Option<String>,
    s3_access_key: Option<String>,
    s3_secret_key: Option<String>,
}

type Set = fn(&mut Settings, &str) -> Result<(), String>;

macro_rules! keys {
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    ($($name:literal: $kind:ident $(($($of:tt)+))? $(= $default:literal)? => |$settings:ident, $value:ident: $parse:ident| $set:expr;)+) => {
        &[$(Key {
            name: $name,
            kind: Kind::$kind $(($($of)+))?,
            default: keys!(@default $($default)?),
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
    "bootstrap.servers": Target => |s, value: target| s.target = Some(value);
    "connect-timeout": Duration = "10 s" => |s, value: duration| s.options.connect_timeout = value;
    "request-timeout": Duration = "30 s" => |s, value: duration| s.options.request_timeout = value;
    "writer.acks": OneOf(&["all", "1", "0"]) = "all" => |s, value: acks| s.options.writer.acks = value;
    "writer.batch-size": Size = "2 mb" => |s, value: size| s.options.writer.batch_bytes = value;
    "writer.batch-timeout": Duration = "100 ms" => |s, value: duration| s.options.writer.linger = value;
    "writer.request-max-size": Size = "10 mb" => |s, value: size| s.options.writer.request_max_bytes = value;
    "writer.buffer.memory-size": Size = "64 mb" => |s, value: size| s.options.writer.buffer_bytes = value;
    "writer.delivery-timeout": Duration = "120 s" => |s, value: duration| s.options.writer.delivery_timeout = value;
    "writer.enable-idempotence": Boolean = "true" => |s, value: boolean| s.options.writer.idempotence = value;
    "writer.max-inflight-requests-per-bucket": Number = "5" => |s, value: number| s.options.writer.max_in_flight = value;
    "writer.retries": Number = "4294967295" => |s, value: number| s.options.writer.retries = value;
    "writer.kv-backpressure.max-throttle": Duration = "3 s" => |s, value: duration| s.options.writer.max_throttle = value;
    "writer.bucket.no-key-assigner": OneOf(&["sticky", "round_robin"]) = "sticky" => |s, value: assigner| s.options.writer.bucket_assigner = value;
    "writer.dynamic-create-partition.enabled": Boolean = "true" => |s, value: boolean| s.options.writer.create_partitions = value;
    "scanner.log.fetch.max-bytes": Size = "16 mb" => |s, value: size| s.options.scanner.fetch_max_bytes = value;
    "scanner.log.fetch.max-bytes-for-bucket": Size = "1 mb" => |s, value: size| s.options.scanner.fetch_max_bytes_per_bucket = value;
    "scanner.log.fetch.min-bytes": Size = "1" => |s, value: size| s.options.scanner.fetch_min_bytes = value;
    "scanner.log.fetch.wait-max-time": Duration = "500 ms" => |s, value: duration| s.options.scanner.fetch_wait = value;
    "scanner.log.max-poll-records": Number = "500" => |s, value: number| s.options.scanner.max_poll_records = value;
    "scanner.log.max-poll-bytes": Size = "64 mb" => |s, value: size| s.options.scanner.max_poll_bytes = value;
    "scanner.log.max-batch-bytes": Size = "256 mb" => |s, value: size| s.options.scanner.max_batch_bytes = value;
    "scanner.log.check-crc": Boolean = "true" => |s, value: boolean| s.options.scanner.check_crc = value;
    "scanner.log.read-preference": OneOf(&["local-first", "remote-first"]) = "local-first" => |s, value: preference| s.options.scanner.read_preference = value;
    "scanner.partition-discovery-interval": Duration = "10 s" => |s, value: duration| s.options.scanner.partition_discovery = value;
    "scanner.remote-log.prefetch-bytes": Size = "32 mb" => |s, value: size| s.options.remote.prefetch_bytes = value;
    "scanner.remote-log.read-concurrency": Number = "4" => |s, value: number| s.options.remote.read_concurrency = value;
    "remote.s3.endpoint": Text => |s, value: nonempty| s.options.remote.s3.endpoint = Some(value);
    "remote.s3.region": Text => |s, value: nonempty| s.options.remote.s3.region = Some(value);
    "remote.s3.path-style-access": Boolean => |s, value: boolean| s.options.remote.s3.path_style = Some(value);
    "remote.s3.access-key": Text => |s, value: nonempty| s.s3_access_key = Some(value);
    "remote.s3.secret-key": Secret => |s, value: nonempty| s.s3_secret_key = Some(value);
    "security.protocol": OneOf(&["PLAINTEXT", "SASL"]) = "PLAINTEXT" => |s, value: protocol| s.sasl = value;
    "security.sasl.mechanism": OneOf(&["PLAIN"]) = "PLAIN" => |s, value: mechanism| s.mechanism = value;
    "security.sasl.username": Text => |s, value: nonempty| s.username = Some(value);
    "security.sasl.password": Secret => |s, value: nonempty| s.password = Some(value);
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

/// Checks a key and its value, and returns the key under which this client knows it.
///
/// # Errors
///
/// A key that there is not, or a value that it does not take.
pub fn check(key: &str, value: &str) -> Result<String, InvalidConfig> {
    let known = canonical(key);
    apply(&mut Settings::new(), key, value)?;
    Ok(match known.as_str() {
        "bootstrap.servers" => known,
        _ => format!("client.{known}"),
    })
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
    for (key, value) in pairs {
        apply(&mut settings, key.as_ref(), value.as_ref())?;
    }
    settings.finish()
}

impl Settings {
    fn new() -> Self {
        Self {
            target: None,
            options: ClientOptions::new([]),
            sasl: false,
            mechanism: Mechanism::Plain,
            username: None,
            password: None,
            s3_access_key: None,
            s3_secret_key: None,
        }
    }

    fn finish(mut self) -> Result<(Target, ClientOptions), InvalidConfig> {
        let target = self
            .target
            .ok_or_else(|| fault("option 'bootstrap.servers' is missing"))?;
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
        self.options.remote.s3.access_key = match (self.s3_access_key, self.s3_secret_key) {
            (None, None) => None,
            (Some(id), Some(secret)) => Some(S3AccessKey { id, secret }),
            _ => {
                let reason = "'client.remote.s3.access-key' and '...secret-key' go together";
                return Err(fault(reason));
            }
        };
        self.options
            .validate()
            .map_err(|error| fault(error.to_string()))?;
        Ok((target, self.options))
    }
}

fn apply(settings: &mut Settings, key: &str, value: &str) -> Result<(), InvalidConfig> {
    let known = canonical(key);
    if let Some(row) = KEYS.iter().find(|row| row.name == known) {
        let value = if key.ends_with("-ms") {
            format!("{value} ms")
        } else {
            value.to_owned()
        };
        return (row.set)(settings, &value).map_err(|reason| fault(format!("option '{key}': {reason}")));
    }
    if WITHOUT_EFFECT.contains(&known.as_str()) || known.starts_with("netty.") {
        return Ok(());
    }
    Err(fault(match nearest(&known) {
        Some(near) => format!("there is no option '{key}'; did you mean '{near}'?"),
        None => format!("there is no option '{key}'"),
    }))
}

/// The key without `client.` in front, and without `-ms` behind.
fn canonical(key: &str) -> String {
    let key = key.strip_prefix("client.").unwrap_or(key);
    key.strip_suffix("-ms").unwrap_or(key).to_owned()
}

/// The key that an unknown one is meant to be: one that is spelt much the same, or that shares most of its words.
fn nearest(unknown: &str) -> Option<&'static str> {
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

fn target(text: &str) -> Result<Target, String> {
    Target::of_bootstrap(text).map_err(|error| error.to_string())
}

fn nonempty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("it is empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("'{text}' is no number in range"))
}

fn boolean(text: &str) -> Result<bool, String> {
    text.to_ascii_lowercase()
        .parse()
        .map_err(|_| format!("'{text}' is neither true nor false"))
}

fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "all" | "-1" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        _ => Err(format!("'{text}' is none of all, 1, 0")),
    }
}

fn assigner(text: &str) -> Result<BucketAssigner, String> {
    match text.to_ascii_lowercase().as_str() {
        "sticky" => Ok(BucketAssigner::Sticky),
        "round_robin" => Ok(BucketAssigner::RoundRobin),
        _ => Err(format!("'{text}' is neither sticky nor round_robin")),
    }
}

fn preference(text: &str) -> Result<ReadPreference, String> {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "local-first" => Ok(ReadPreference::LocalFirst),
        "remote-first" => Ok(ReadPreference::RemoteFirst),
        _ => Err(format!("'{text}' is neither local-first nor remote-first")),
    }
}

/// Whether the protocol asks for a login.
fn protocol(text: &str) -> Result<bool, String> {
    match text.to_ascii_uppercase().as_str() {
        "PLAINTEXT" => Ok(false),
        "SASL" => Ok(true),
        _ => Err(format!("'{text}' is neither PLAINTEXT nor SASL")),
    }
}

fn mechanism(text: &str) -> Result<Mechanism, String> {
    if text.eq_ignore_ascii_case("PLAIN") {
        Ok(Mechanism::Plain)
    } else {
        Err(format!("'{text}' is not PLAIN"))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    fluss_core::parse_duration(text).map_err(|error| error.to_string())
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = fluss_core::parse_size(text).map_err(|error| error.to_string())?;
    usize::try_from(bytes).map_err(|_| format!("'{text}' is too large"))
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
        ] {
            let (_, options) = read([("bootstrap.servers", "h:1"), (key, value)]).unwrap();
            assert_eq!(options.request_timeout, Duration::from_secs(3));
            assert_eq!(check(key, value).unwrap(), "client.request-timeout");
        }
        assert_eq!(
            check("netty.client.num-network-threads", "4").unwrap(),
            "client.netty.client.num-network-threads"
        );
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
    }
}

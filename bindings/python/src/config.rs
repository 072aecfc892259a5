//! The keys of configurations (`descriptors.md` §9), one row each.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use fluss_client::types::suggestion;
use fluss_client::{Acks, BucketAssigner, ClientOptions, S3AccessKey};
use fluss_client::{Credentials, Mechanism, Target};
use pyo3::prelude::*;

use crate::error::Fault;

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

/// A key without its prefix `client.`, and what it sets.
struct Row {
    key: &'static str,
    set: Set,
}

macro_rules! rows {
    ($($key:literal => |$settings:ident, $value:ident: $parse:ident| $set:expr;)+) => {
        &[$(Row {
            key: $key,
            set: |$settings, text| {
                let $value = $parse(text)?;
                $set;
                Ok(())
            },
        },)+]
    };
}

const ROWS: &[Row] = rows! {
    "bootstrap.servers" => |s, value: target| s.target = Some(value);
    "connect-timeout" => |s, value: duration| s.options.connect_timeout = value;
    "request-timeout" => |s, value: duration| s.options.request_timeout = value;
    "writer.acks" => |s, value: acks| s.options.writer.acks = value;
    "writer.batch-size" => |s, value: size| s.options.writer.batch_bytes = value;
    "writer.batch-timeout" => |s, value: duration| s.options.writer.linger = value;
    "writer.request-max-size" => |s, value: size| s.options.writer.request_max_bytes = value;
    "writer.buffer.memory-size" => |s, value: size| s.options.writer.buffer_bytes = value;
    "writer.delivery-timeout" => |s, value: duration| s.options.writer.delivery_timeout = value;
    "writer.enable-idempotence" => |s, value: boolean| s.options.writer.idempotence = value;
    "writer.max-inflight-requests-per-bucket" => |s, value: number| s.options.writer.max_in_flight = value;
    "writer.retries" => |s, value: number| s.options.writer.retries = value;
    "writer.bucket.no-key-assigner" => |s, value: assigner| s.options.writer.bucket_assigner = value;
    "writer.dynamic-create-partition.enabled" => |s, value: boolean| s.options.writer.create_partitions = value;
    "scanner.log.fetch.max-bytes" => |s, value: size| s.options.scanner.fetch_max_bytes = value;
    "scanner.log.fetch.max-bytes-for-bucket" => |s, value: size| s.options.scanner.fetch_max_bytes_per_bucket = value;
    "scanner.log.fetch.min-bytes" => |s, value: size| s.options.scanner.fetch_min_bytes = value;
    "scanner.log.fetch.wait-max-time" => |s, value: duration| s.options.scanner.fetch_wait = value;
    "scanner.log.max-poll-records" => |s, value: number| s.options.scanner.max_poll_records = value;
    "scanner.log.max-poll-bytes" => |s, value: size| s.options.scanner.max_poll_bytes = value;
    "scanner.log.max-batch-bytes" => |s, value: size| s.options.scanner.max_batch_bytes = value;
    "scanner.log.check-crc" => |s, value: boolean| s.options.scanner.check_crc = value;
    "scanner.partition-discovery-interval" => |s, value: duration| s.options.scanner.partition_discovery = value;
    "scanner.remote-log.prefetch-bytes" => |s, value: size| s.options.remote.prefetch_bytes = value;
    "scanner.remote-log.read-concurrency" => |s, value: number| s.options.remote.read_concurrency = value;
    "remote.s3.endpoint" => |s, value: nonempty| s.options.remote.s3.endpoint = Some(value);
    "remote.s3.region" => |s, value: nonempty| s.options.remote.s3.region = Some(value);
    "remote.s3.path-style-access" => |s, value: boolean| s.options.remote.s3.path_style = Some(value);
    "remote.s3.access-key" => |s, value: nonempty| s.s3_access_key = Some(value);
    "remote.s3.secret-key" => |s, value: nonempty| s.s3_secret_key = Some(value);
    "security.protocol" => |s, value: protocol| s.sasl = value;
    "security.sasl.mechanism" => |s, value: mechanism| s.mechanism = value;
    "security.sasl.username" => |s, value: nonempty| s.username = Some(value);
    "security.sasl.password" => |s, value: nonempty| s.password = Some(value);
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
    "scanner.log.read-preference",
    "scanner.remote-log.prefetch-num",
    "writer.buffer.page-size",
    "writer.buffer.per-request-memory-size",
    "writer.buffer.wait-timeout",
    "writer.dynamic-batch-size-min",
    "writer.dynamic-batch-size.enabled",
    "writer.kv-backpressure.max-throttle",
];

/// Checks a key and its value, and returns the key under which this client knows it.
#[pyfunction]
pub(crate) fn check_option(key: &str, value: &str) -> Result<String, Fault> {
    let known = canonical(key);
    apply(&mut Settings::new(), key, value)?;
    Ok(match known.as_str() {
        "bootstrap.servers" => known,
        _ => format!("client.{known}"),
    })
}

/// The milliseconds of a duration's text.
#[pyfunction]
pub(crate) fn parse_millis(text: &str) -> Result<u64, Fault> {
    let millis = duration(text).map_err(fault)?.as_millis();
    u64::try_from(millis).map_err(|_| fault(format!("'{text}' is too long")))
}

/// The bytes of a size's text.
#[pyfunction]
pub(crate) fn parse_bytes(text: &str) -> Result<usize, Fault> {
    size(text).map_err(fault)
}

/// What a configuration leads to, and the options that it means.
pub(crate) fn client_options(pairs: BTreeMap<String, String>) -> Result<(Target, ClientOptions), Fault> {
    let mut settings = Settings::new();
    for (key, value) in pairs {
        apply(&mut settings, &key, &value)?;
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

    fn finish(mut self) -> Result<(Target, ClientOptions), Fault> {
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

fn apply(settings: &mut Settings, key: &str, value: &str) -> Result<(), Fault> {
    let known = canonical(key);
    if let Some(row) = ROWS.iter().find(|row| row.key == known) {
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
    let keys = || ROWS.iter().map(|row| row.key);
    if let Some(key) = suggestion(unknown, keys()) {
        return Some(key);
    }
    let words = |key: &str| -> Vec<String> { key.split(['.', '-', '_']).map(str::to_lowercase).collect() };
    let wanted = words(unknown);
    let shared = |key: &str| words(key).iter().filter(|word| wanted.contains(word)).count();
    let best = ROWS
        .iter()
        .max_by_key(|row| (shared(row.key), usize::MAX - row.key.len()))?;
    (shared(best.key) > 0).then_some(best.key)
}

fn fault(message: impl Into<String>) -> Fault {
    Fault::new("ConfigError", message)
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

fn split_unit(text: &str) -> (&str, String) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits, unit.trim().to_ascii_lowercase())
}

/// A duration such as `10 s`, `500ms` or `1 min`; a unit is required.
fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = split_unit(text);
    let nanos: u64 = match unit.as_str() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        "" => return Err(format!("'{text}' has no unit; say '10 s' or '500 ms'")),
        _ => return Err(format!("'{text}' is no duration; say '10 s' or '500 ms'")),
    };
    let count: u64 = number(digits)?;
    count
        .checked_mul(nanos)
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("'{text}' is too long"))
}

/// A number of bytes such as `64 mb` or `1024`.
fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = split_unit(text);
    let shift = match unit.as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kib" | "kibibytes" => 10,
        "m" | "mb" | "mib" | "mebibytes" => 20,
        "g" | "gb" | "gib" | "gibibytes" => 30,
        _ => return Err(format!("'{text}' is no size; say '64 mb' or a number of bytes")),
    };
    let count: usize = number(digits)?;
    count
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("'{text}' is too large"))
}

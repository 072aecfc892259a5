//! Options by their keys, as configuration files have them. Where a server of Apache Fluss has the option, the key is its.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fluss_core::types::did_you_mean;
use fluss_core::{parse_duration, parse_size};
use fluss_rpc::net::tls::TlsServerOptions;

use super::{BatchCheck, NodeOptions, Sync};
use crate::security::{Access, Principal};

/// Reads the value of an option.
type Apply = fn(&mut NodeOptions, &str) -> Result<(), String>;

const ROWS: &[(&str, Apply)] = &[
    ("sync", |options, value| set(&mut options.sync, sync(value))),
    ("check.batches", |options, value| {
        set(&mut options.check, check(value))
    }),
    ("default.bucket.number", |options, value| {
        set(&mut options.tables.default_buckets, number(value))
    }),
    ("max.bucket.num", |options, value| {
        set(&mut options.tables.max_buckets, number(value))
    }),
    ("max.partition.num", |options, value| {
        set(&mut options.tables.max_partitions, number(value))
    }),
    ("log.segment.file-size", |options, value| {
        set(&mut options.segment_bytes, size(value))
    }),
    ("max.open-files", |options, value| {
        set(&mut options.open_files, number(value).map(Some))
    }),
    ("netty.server.max-request-size", |options, value| {
        set(&mut options.limits.request_bytes, size(value))
    }),
    ("max.connections", |options, value| {
        set(&mut options.limits.connections, number(value))
    }),
    ("max.connections-per-host", |options, value| {
        set(&mut options.limits.connections_of_host, number(value))
    }),
    ("netty.connection.max-idle-time", |options, value| {
        set(&mut options.limits.idle, time(value))
    }),
    ("frame.timeout", |options, value| {
        set(&mut options.limits.frame, time(value))
    }),
    ("max.memory-in-flight", |options, value| {
        set(&mut options.limits.memory_bytes, size(value))
    }),
    ("max.answer-size", |options, value| {
        set(&mut options.limits.answer_bytes, size(value))
    }),
    ("max.request-entries", |options, value| {
        set(&mut options.limits.entries, number(value))
    }),
    ("kv.scanner.ttl", |options, value| {
        set(&mut options.limits.scan, time(value))
    }),
    ("listener.tls.certificate", |options, value| {
        set(&mut tls(options).cert_file, file(value))
    }),
    ("listener.tls.key", |options, value| {
        set(&mut tls(options).key_file, file(value))
    }),
    ("listener.tls.client-ca", |options, value| {
        set(&mut tls(options).client_ca_file, file(value).map(Some))
    }),
    ("login.required", |options, value| {
        set(&mut options.login, boolean(value))
    }),
    ("authorizer.enabled", |options, value| {
        set_authorizer(&mut options.access, boolean(value)?)
    }),
    ("super.users", |options, value| {
        // They are named only where others may not do everything.
        let super_users = principals(value)?;
        options.access = Access::Controlled { super_users };
        Ok(())
    }),
    ("advertised.listener", |options, value| {
        set(
            &mut options.advertised,
            value.parse().map(Some).map_err(|error| format!("{error}")),
        )
    }),
];

impl NodeOptions {
    /// Sets an option by its key: `sync` (`always`, `never`, or an interval such as `500 ms`), `check.batches` (`shape`
    /// or `all`), `default.bucket.number`, `max.bucket.num`, `max.partition.num`, `log.segment.file-size`,
    /// `max.open-files`, `netty.server.max-request-size`, `max.connections`, `max.memory-in-flight`, `max.answer-size` (sizes, such as `64 mb`),
    /// `max.request-entries`, `listener.tls.certificate`, `listener.tls.key`, `listener.tls.client-ca` (files),
    /// `login.required`, `authorizer.enabled`, `super.users` (`User:a;User:b`), `advertised.listener`
    /// (`host:port`).
    ///
    /// # Errors
    ///
    /// A key that there is not, or a value that it does not take.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), InvalidOption> {
        let invalid = |reason| InvalidOption {
            key: key.to_owned(),
            reason,
        };
        let row = ROWS.iter().find(|(known, _)| *known == key);
        let (_, apply) = row.ok_or_else(|| {
            let near = did_you_mean(key, ROWS.iter().map(|(known, _)| *known));
            invalid(format!("there is no such option{near}"))
        })?;
        apply(self, value.trim()).map_err(invalid)?;
        self.configs.insert(key.to_owned(), value.trim().to_owned());
        Ok(())
    }
}

/// An option that cannot be set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("option '{key}': {reason}")]
pub struct InvalidOption {
    key: String,
    reason: String,
}

fn set<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn tls(options: &mut NodeOptions) -> &mut TlsServerOptions {
    options.tls.get_or_insert_default()
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text.into())
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("'{text}' is no number in range"))
}

fn boolean(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| format!("'{text}' is neither true nor false"))
}

fn sync(text: &str) -> Result<Sync, String> {
    match text {
        "always" => Ok(Sync::Always),
        "never" => Ok(Sync::Never),
        interval => time(interval)
            .map(Sync::Interval)
            .map_err(|_| format!("'{text}' is none of always, never, and an interval such as '500 ms'")),
    }
}

fn check(text: &str) -> Result<BatchCheck, String> {
    match text {
        "shape" => Ok(BatchCheck::Shape),
        "all" => Ok(BatchCheck::All),
        _ => Err(format!("'{text}' is neither shape nor all")),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        return Err(format!("'{text}' is no time at all"));
    }
    Ok(time)
}

/// Bytes, such as `64 mb` or `1024`.
fn size<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    T::try_from(bytes).map_err(|_| format!("'{text}' is too large"))
}

fn principals(text: &str) -> Result<BTreeSet<Principal>, String> {
    let principals = Principal::parse_list(text);
    let principals = principals.ok_or_else(|| format!("'{text}' is no list such as 'User:a;User:b'"))?;
    Ok(principals.into_iter().collect())
}

fn set_authorizer(access: &mut Access, enabled: bool) -> Result<(), String> {
    match (enabled, &access) {
        (true, Access::Open) => {
            *access = Access::Controlled {
                super_users: BTreeSet::new(),
            }
        }
        (false, Access::Controlled { super_users }) if !super_users.is_empty() => {
            return Err("there are super users, who mean nothing without it".to_owned());
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Storage;

    fn with(key: &str, value: &str) -> Result<NodeOptions, InvalidOption> {
        let mut options = NodeOptions::new(Storage::Memory);
        options.set(key, value).map(|()| options)
    }

    #[test]
    fn options_are_set_by_key() {
        assert_eq!(with("sync", "always").unwrap().sync, Sync::Always);
        let interval = Sync::Interval(Duration::from_millis(500));
        assert_eq!(with("sync", "500 ms").unwrap().sync, interval);
        assert_eq!(with("max.partition.num", " 2 ").unwrap().tables.max_partitions, 2);
        assert_eq!(
            with("max.answer-size", "64 mb").unwrap().limits.answer_bytes,
            64 << 20
        );
        assert_eq!(with("log.segment.file-size", "4096").unwrap().segment_bytes, 4096);
        let certificate = with("listener.tls.certificate", "node.pem").unwrap().tls;
        assert_eq!(certificate, Some(TlsServerOptions::new("node.pem", "")));
        assert!(with("authorizer.enabled", "true").unwrap().access.is_controlled());
        assert!(with("login.required", "true").unwrap().login);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let refusal = |key, value| with(key, value).unwrap_err().to_string();
        assert_eq!(
            refusal("snyc", "always"),
            "option 'snyc': there is no such option; did you mean 'sync'?"
        );
        assert_eq!(
            refusal("sync", "0 s"),
            "option 'sync': '0 s' is none of always, never, and an interval such as '500 ms'"
        );
        assert_eq!(
            refusal("listener.tls.key", " "),
            "option 'listener.tls.key': it is empty"
        );
        assert_eq!(
            refusal("max.connections", "many"),
            "option 'max.connections': 'many' is no number in range"
        );
    }
}

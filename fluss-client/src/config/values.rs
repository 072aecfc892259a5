//! What the values of options mean, each read from its text. What is wrong is told without the name of the option.

use std::str::FromStr;
use std::time::Duration;

use fluss_core::types::check_name;
use fluss_rpc::sasl::Mechanism;

use super::options::{Acks, BucketAssigner, NodePreference, ReadPreference};
use super::text::Parts;

pub(super) fn parts(text: &str) -> Result<Parts, String> {
    Parts::read(text).map_err(|error| error.to_string())
}

pub(super) fn database(text: &str) -> Result<String, String> {
    check_name("database", text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

pub(super) fn millis(text: &str) -> Result<Duration, String> {
    in_unit(text, "ms")
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    in_unit(text, "s")
}

/// A duration, whose unit is this one if it has none.
fn in_unit(text: &str, unit: &str) -> Result<Duration, String> {
    let is_bare = !text.is_empty() && text.trim().bytes().all(|byte| byte.is_ascii_digit());
    let found = if is_bare {
        duration(&format!("{text} {unit}"))
    } else {
        duration(text)
    };
    found.and_then(|found| {
        if found.is_zero() {
            return Err(format!("'{text}' is no time to wait"));
        }
        Ok(found)
    })
}

/// Other clients of other servers read elsewhere, too.
pub(super) fn preferred_node(text: &str) -> Result<NodePreference, String> {
    match text.to_ascii_lowercase().as_str() {
        "leader" => Ok(NodePreference::Leader),
        "follower" | "readonlyreplica" | "random" => Err(format!(
            "'{text}' is not to be had: servers of Fluss let only the leader of a bucket read it"
        )),
        _ => Err(format!("'{text}' is not leader")),
    }
}

pub(super) fn nonempty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("it is empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("'{text}' is no number in range"))
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    text.to_ascii_lowercase()
        .parse()
        .map_err(|_| format!("'{text}' is neither true nor false"))
}

pub(super) fn acks(text: &str) -> Result<Acks, String> {
    match text.to_ascii_lowercase().as_str() {
        "all" | "-1" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        _ => Err(format!("'{text}' is none of all, 1, 0")),
    }
}

pub(super) fn assigner(text: &str) -> Result<BucketAssigner, String> {
    match text.to_ascii_lowercase().as_str() {
        "sticky" => Ok(BucketAssigner::Sticky),
        "round_robin" => Ok(BucketAssigner::RoundRobin),
        _ => Err(format!("'{text}' is neither sticky nor round_robin")),
    }
}

pub(super) fn preference(text: &str) -> Result<ReadPreference, String> {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "local-first" => Ok(ReadPreference::LocalFirst),
        "remote-first" => Ok(ReadPreference::RemoteFirst),
        _ => Err(format!("'{text}' is neither local-first nor remote-first")),
    }
}

/// Whether the protocol asks for a login.
pub(super) fn protocol(text: &str) -> Result<bool, String> {
    match text.to_ascii_uppercase().as_str() {
        "PLAINTEXT" => Ok(false),
        "SASL" => Ok(true),
        _ => Err(format!("'{text}' is neither PLAINTEXT nor SASL")),
    }
}

pub(super) fn mechanism(text: &str) -> Result<Mechanism, String> {
    if text.eq_ignore_ascii_case("PLAIN") {
        Ok(Mechanism::Plain)
    } else {
        Err(format!("'{text}' is not PLAIN"))
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    fluss_core::parse_duration(text).map_err(|error| error.to_string())
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    let bytes = fluss_core::parse_size(text).map_err(|error| error.to_string())?;
    usize::try_from(bytes).map_err(|_| format!("'{text}' is too large"))
}

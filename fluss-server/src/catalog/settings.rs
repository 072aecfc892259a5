//! The properties of a table that the node obeys beside those of its rows (`descriptors.md` §8).

use std::collections::BTreeMap;
use std::time::Duration;

use fluss_core::parse_duration;
use fluss_core::row::{AutoPartitionUnit, TimeFormat};
use fluss_core::types::Timestamp;

use super::rules::is_true;
use super::time_zone::TimeZone;

/// Partitions that come and go with the clock (`descriptors.md` §6.1).
#[derive(Clone, Debug)]
pub struct AutoPartition {
    /// The position of the time key among the partition keys.
    pub key: usize,
    /// How its time becomes the name of a partition, and how long one lasts.
    pub format: TimeFormat,
    /// On whose clock.
    pub zone: TimeZone,
    /// Partitions to have from the current one on, it included.
    pub ahead: i32,
    /// Past partitions to keep; nothing for all of them.
    pub keep: Option<i32>,
}

/// The properties of a table that the node obeys beside those of its rows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `table.log.ttl`; nothing for a log that is kept for ever.
    pub log_ttl: Option<Duration>,
    /// `table.auto-increment.cache-size`: the values that a bucket reserves at a time, at least 1.
    pub auto_increment_cache: i64,
    /// `table.auto-partition.*`, if enabled.
    pub auto_partition: Option<AutoPartition>,
}

impl AutoPartition {
    /// A time, in milliseconds since the epoch, on the table's clock.
    pub fn local(&self, now_ms: i64) -> Timestamp {
        Timestamp::from_millis(self.zone.local_ms(now_ms))
    }

    /// The time of the oldest partition that is kept at a time; nothing if all are.
    pub fn oldest(&self, now_ms: i64) -> Option<String> {
        let keep = self.keep?;
        Some(self.format.text(self.local(now_ms), keep.saturating_neg()))
    }
}

/// How long the records of a log are kept that says nothing: a week.
pub(super) const LOG_TTL: Duration = Duration::from_hours(168);

impl Settings {
    /// Reads the settings. Values were checked when the table was created; one that is not understood reads as the
    /// default.
    pub fn read(properties: &BTreeMap<String, String>, partition_keys: &[String]) -> Self {
        let properties = Properties(properties);
        Self {
            log_ttl: Some(properties.duration("table.log.ttl").unwrap_or(LOG_TTL))
                .filter(|ttl| !ttl.is_zero()),
            auto_increment_cache: properties
                .number("table.auto-increment.cache-size", 100_000)
                .max(1),
            auto_partition: auto_partition(&properties, partition_keys),
        }
    }
}

struct Properties<'a>(&'a BTreeMap<String, String>);

impl Properties<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, key: &str, default: T) -> T {
        self.text(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }

    fn duration(&self, key: &str) -> Option<Duration> {
        self.text(key).and_then(|text| parse_duration(text).ok())
    }
}

fn auto_partition(properties: &Properties<'_>, keys: &[String]) -> Option<AutoPartition> {
    if keys.is_empty() || !is_true(properties.0, "table.auto-partition.enabled") {
        return None;
    }
    let named = properties.text("table.auto-partition.key");
    let keep = properties.number("table.auto-partition.num-retention", 7);
    let unit = properties.number("table.auto-partition.time-unit", AutoPartitionUnit::Day);
    let pattern = properties.text("table.auto-partition.time-format");
    let format = pattern.and_then(|pattern| TimeFormat::parse(unit, pattern).ok());
    Some(AutoPartition {
        key: keys
            .iter()
            .position(|key| Some(key.as_str()) == named)
            .unwrap_or(0),
        format: format.unwrap_or_else(|| TimeFormat::of(unit)),
        zone: properties
            .text("table.auto-partition.time-zone")
            .map_or_else(TimeZone::of_the_machine, TimeZone::named),
        ahead: properties.number("table.auto-partition.num-precreate", 2),
        keep: (keep >= 0).then_some(keep),
    })
}

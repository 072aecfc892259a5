//! Partitions made and dropped by the clock (`descriptors.md` §6.1): what there should be, as a function of the time.

use std::collections::BTreeMap;

use fluss_core::types::{PartitionName, Timestamp};
use jiff::tz::{Offset, TimeZone as Zone};

use super::entry::Partition;
use super::settings::AutoPartition;

/// The most partitions that are made ahead at a time, whatever a table asks for.
const MOST_AHEAD: i32 = 10_000;

/// A time zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeZone(Zone);

impl TimeZone {
    /// The zone of this machine.
    pub fn of_the_machine() -> Self {
        Self(Zone::system())
    }

    /// A zone by its name (`Europe/Paris`), or by its distance from Greenwich (`GMT+8`, `+05:30`). A name that nobody
    /// knows means Greenwich.
    pub fn named(name: &str) -> Self {
        let zone = Zone::get(name).ok().or_else(|| fixed(name));
        Self(zone.unwrap_or(Zone::UTC))
    }

    /// What the clocks of the zone show at a time, as if it were UTC; both in milliseconds since the epoch.
    fn local_ms(&self, now_ms: i64) -> i64 {
        let offset = jiff::Timestamp::from_millisecond(now_ms).map(|now| self.0.to_offset(now));
        now_ms.saturating_add(offset.map_or(0, |offset| i64::from(offset.seconds()) * 1_000))
    }
}

/// Reads `GMT+8`, `UTC-03:30` or `+05:30`.
fn fixed(name: &str) -> Option<Zone> {
    let upper = name.to_ascii_uppercase();
    let text = ["GMT", "UTC"]
        .iter()
        .find_map(|prefix| upper.strip_prefix(prefix))
        .unwrap_or(&upper);
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = text.split_once(':').unwrap_or((text, "0"));
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=18).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    let offset = Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()?;
    Some(Zone::fixed(offset))
}

/// What is to be done about the partitions of a table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Partitions to create, in the order of their time. Several partition keys have none.
    pub create: Vec<PartitionName>,
    /// Partitions to drop.
    pub drop: Vec<PartitionName>,
}

/// What is to be done at a time, in milliseconds since the epoch, about a table with `keys` partition keys that has
/// these partitions.
///
/// A partition is dropped when its time text sorts before that of the oldest one to be kept, whoever created it.
pub fn plan(
    rule: &AutoPartition,
    keys: usize,
    now_ms: i64,
    existing: &BTreeMap<PartitionName, Partition>,
) -> Plan {
    let local = Timestamp::from_millis(rule.zone.local_ms(now_ms));
    let ahead = if keys == 1 { rule.ahead.min(MOST_AHEAD) } else { 0 };
    let wanted = (0..ahead).map(|offset| PartitionName::from(rule.unit.text(local, offset)));
    let oldest = rule.keep.map(|keep| rule.unit.text(local, keep.saturating_neg()));
    let is_old = |name: &PartitionName| {
        let time = name.values().nth(rule.key);
        oldest
            .as_deref()
            .zip(time)
            .is_some_and(|(oldest, time)| time < oldest)
    };
    Plan {
        create: wanted.filter(|name| !existing.contains_key(name)).collect(),
        drop: existing.keys().filter(|name| is_old(name)).cloned().collect(),
    }
}

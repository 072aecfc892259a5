//! The `table.*` properties: which there are, what their values look like, which can be altered (`descriptors.md` §8).

use std::collections::BTreeMap;

use fluss_core::parse_duration;

use super::invalid_config;
use crate::Failure;

/// What a property's value looks like.
enum Value {
    Boolean,
    Int,
    Long,
    Duration,
    Text,
    OneOf(&'static [&'static str]),
}

struct Property {
    key: &'static str,
    value: Value,
    alterable: bool,
}

const fn fixed(key: &'static str, value: Value) -> Property {
    Property {
        key,
        value,
        alterable: false,
    }
}

const fn alterable(key: &'static str, value: Value) -> Property {
    Property {
        key,
        value,
        alterable: true,
    }
}

/// Whether stand-by replicas of rows are kept. A single node has none, and stores what it is told.
pub(super) const STANDBY_REPLICA: &str = "table.kv.standby-replica.enabled";

/// The properties of 1.0 (`v1_0.md` §14.1).
const PROPERTIES: &[Property] = &[
    fixed("table.replication.factor", Value::Int),
    fixed(
        "table.log.format",
        Value::OneOf(&["ARROW", "INDEXED", "COMPACTED"]),
    ),
    fixed(
        "table.log.arrow.compression.type",
        Value::OneOf(&["NONE", "LZ4_FRAME", "ZSTD"]),
    ),
    fixed("table.log.arrow.compression.zstd.level", Value::Int),
    fixed("table.kv.format", Value::OneOf(&["COMPACTED", "INDEXED"])),
    fixed("table.kv.format-version", Value::Int),
    alterable("table.auto-partition.enabled", Value::Boolean),
    fixed("table.auto-partition.key", Value::Text),
    fixed(
        "table.auto-partition.time-unit",
        Value::OneOf(&["HOUR", "DAY", "MONTH", "QUARTER", "YEAR"]),
    ),
    fixed("table.auto-partition.time-zone", Value::Text),
    fixed("table.auto-partition.time-format", Value::Text),
    alterable("table.auto-partition.num-precreate", Value::Int),
    alterable("table.auto-partition.num-retention", Value::Int),
    alterable("table.log.ttl", Value::Duration),
    alterable("table.log.local-ttl", Value::Duration),
    alterable("table.log.tiered.local-segments", Value::Int),
    alterable("table.statistics.columns", Value::Text),
    alterable(STANDBY_REPLICA, Value::Boolean),
    fixed("table.kv.ttl", Value::Duration),
    fixed("table.kv.ttl.time-column", Value::Text),
    fixed("table.kv.value-layout-version", Value::Int),
    alterable("table.datalake.enabled", Value::Boolean),
    fixed(
        "table.datalake.format",
        Value::OneOf(&["PAIMON", "ICEBERG", "LANCE", "HUDI"]),
    ),
    alterable("table.datalake.database-name", Value::Text),
    alterable("table.datalake.table-name", Value::Text),
    alterable("table.datalake.historical-partition.enabled", Value::Boolean),
    alterable("table.datalake.freshness", Value::Duration),
    alterable("table.datalake.auto-compaction", Value::Boolean),
    fixed("table.datalake.auto-expire-snapshot", Value::Boolean),
    fixed(
        "table.merge-engine",
        Value::OneOf(&["FIRST_ROW", "VERSIONED", "AGGREGATION"]),
    ),
    fixed("table.merge-engine.versioned.ver-column", Value::Text),
    fixed(
        "table.delete.behavior",
        Value::OneOf(&["ALLOW", "IGNORE", "DISABLE"]),
    ),
    fixed("table.auto-increment.cache-size", Value::Long),
    fixed("table.changelog.image", Value::OneOf(&["FULL", "WAL"])),
];

fn property(key: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|property| property.key == key)
}

/// Whether `ALTER_TABLE` may change the property.
pub(super) fn is_alterable(key: &str) -> bool {
    property(key).is_some_and(|property| property.alterable)
}

/// Checks that every property is known and its value can be read.
pub(super) fn check_all(properties: &BTreeMap<String, String>) -> Result<(), Failure> {
    properties.iter().try_for_each(|(key, value)| check(key, value))
}

fn check(key: &str, value: &str) -> Result<(), Failure> {
    let property = property(key).ok_or_else(|| {
        invalid_config(format!(
            "'{key}' is no property of a table: one of your own is a custom property (custom_properties)"
        ))
    })?;
    let expected = match property.value {
        Value::Boolean => boolean(value).is_none().then(|| "true or false".to_owned()),
        Value::Int => value.parse::<i32>().is_err().then(|| "an integer".to_owned()),
        Value::Long => value.parse::<i64>().is_err().then(|| "an integer".to_owned()),
        Value::Duration => parse_duration(value)
            .is_err()
            .then(|| "a duration such as '7 d'".to_owned()),
        Value::OneOf(words) => {
            let known = words.iter().any(|word| word.eq_ignore_ascii_case(value));
            (!known).then(|| format!("one of {}", words.join(", ")))
        }
        Value::Text => None,
    };
    match expected {
        Some(expected) => Err(invalid_config(format!(
            "property '{key}': '{value}' is not {expected}"
        ))),
        None => Ok(()),
    }
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Whether the property is there and true.
pub(in crate::catalog) fn is_true(properties: &BTreeMap<String, String>, key: &str) -> bool {
    properties.get(key).and_then(|text| boolean(text)) == Some(true)
}

//! The definition of a table: checked in the order of `behaviour.md` §8.2, and filled in (`descriptors.md` §2.1).

use std::collections::{BTreeMap, HashSet};

use fluss_core::types::{DataType, Kind, Schema, TableDescriptor};
use fluss_rpc::code::ErrorCode;
use tracing::warn;

use super::draft::Draft;
use super::{
    engine, invalid_config, invalid_definition, invalid_table, partitioning, properties, retention,
    statistics, unknown,
};
use crate::Failure;

const REPLICATION_FACTOR: &str = "table.replication.factor";
const KV_FORMAT_VERSION: &str = "table.kv.format-version";
/// The newest `table.kv.format-version`.
const NEWEST_KV_FORMAT: i32 = 2;

/// What a node allows, and what it takes where a table says nothing (`behaviour.md` §8.2, `descriptors.md` §7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Buckets of a table, or of each partition, that does not say how many.
    pub default_buckets: i32,
    /// The most buckets of a table, or of each of its partitions.
    pub max_buckets: i32,
    /// The most partitions of a table.
    pub max_partitions: usize,
    /// Whether log tables may be created.
    pub allow_log_tables: bool,
    /// Whether primary-key tables may be created.
    pub allow_kv_tables: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default_buckets: 1,
            max_buckets: 4_096,
            max_partitions: 1_000,
            allow_log_tables: true,
            allow_kv_tables: true,
        }
    }
}

/// The largest definition of a table, in bytes of JSON: about what a real cluster can store.
const LARGEST_DEFINITION: usize = 1 << 20;

/// Refuses a definition that is too large.
pub(in crate::catalog) fn check_size(json: &[u8]) -> Result<(), Failure> {
    if json.len() <= LARGEST_DEFINITION {
        return Ok(());
    }
    Err(invalid_table(format!(
        "the definition has {} bytes; {LARGEST_DEFINITION} are allowed",
        json.len()
    )))
}

/// Reads a table descriptor, checks it, and fills in what it leaves open. What is not about the descriptor itself
/// (names, rights, whether the table is there) is for others.
pub(in crate::catalog) fn define(json: &[u8], limits: &Limits) -> Result<TableDescriptor, Failure> {
    check_size(json)?;
    let descriptor = TableDescriptor::from_json(json).map_err(invalid_definition)?;
    check_structure(&descriptor)?;
    check_allowed(&descriptor, limits)?;
    let draft = fill(descriptor, limits)?;
    check_counts(&draft)?;
    properties::check_all(&draft.properties)?;
    check_layout(&draft, limits)?;
    check_properties(&draft)?;
    stored_once(draft).build()
}

/// What must hold of the properties of a table, whether it is created or altered.
pub(super) fn check_properties(draft: &Draft) -> Result<(), Failure> {
    properties::check_all(&draft.properties)?;
    check_no_lake(&draft.properties)?;
    check_local_segments(&draft.properties)?;
    retention::check(draft)?;
    statistics::check(draft)?;
    engine::check(draft)?;
    partitioning::check(draft)
}

/// A node has no lake, and so nothing that lives in one.
fn check_no_lake(properties: &BTreeMap<String, String>) -> Result<(), Failure> {
    const IN_A_LAKE: [&str; 2] = [
        "table.datalake.enabled",
        "table.datalake.historical-partition.enabled",
    ];
    match IN_A_LAKE.iter().find(|key| properties::is_true(properties, key)) {
        Some(key) => Err(invalid_table(format!("'{key}': this node has no lake"))),
        None => Ok(()),
    }
}

fn check_structure(descriptor: &TableDescriptor) -> Result<(), Failure> {
    let schema = descriptor.schema();
    schema.check_new().map_err(invalid_definition)?;
    check_ids(schema)?;
    for column in schema.columns() {
        if column.aggregate.is_some() && schema.primary_key().contains(&column.name) {
            return Err(invalid_table(format!(
                "primary key column '{}' cannot have an aggregate function",
                column.name
            )));
        }
    }
    check_key_columns("partition", descriptor.partition_keys(), schema)?;
    check_key_columns("bucket", descriptor.bucket_keys(), schema)?;
    partitioning::check_keys(descriptor)
}

/// Columns of a key exist and are named once.
fn check_key_columns(what: &str, keys: &[String], schema: &Schema) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    for key in keys {
        if schema.column(key).is_none() {
            return Err(invalid_table(format!("{what} key column '{key}' does not exist")));
        }
        if !seen.insert(key) {
            return Err(invalid_table(format!("{what} key column '{key}' is there twice")));
        }
    }
    Ok(())
}

/// No two columns or nested fields have the same identity (`descriptors.md` §3.1).
fn check_ids(schema: &Schema) -> Result<(), Failure> {
    let mut ids = Vec::new();
    for column in schema.columns() {
        ids.push(column.id);
        nested_ids(&column.data_type, &mut ids);
    }
    let mut seen = HashSet::new();
    match ids.into_iter().find(|id| !seen.insert(*id)) {
        Some(id) => Err(invalid_table(format!("two columns or fields have the id {id}"))),
        None => Ok(()),
    }
}

fn nested_ids(data_type: &DataType, ids: &mut Vec<i32>) {
    match data_type.kind() {
        Kind::Array(element) => nested_ids(element, ids),
        Kind::Map(key, value) => {
            nested_ids(key, ids);
            nested_ids(value, ids);
        }
        Kind::Row(row) => {
            for field in row.fields() {
                ids.push(field.id.unwrap_or(-1));
                nested_ids(&field.data_type, ids);
            }
        }
        _ => {}
    }
}

fn check_allowed(descriptor: &TableDescriptor, limits: &Limits) -> Result<(), Failure> {
    let keyed = !descriptor.schema().primary_key().is_empty();
    match (keyed, limits.allow_kv_tables, limits.allow_log_tables) {
        (true, false, _) => Err(invalid_table("this node does not allow primary-key tables")),
        (false, _, false) => Err(invalid_table("this node does not allow log tables")),
        _ => Ok(()),
    }
}

fn fill(descriptor: TableDescriptor, limits: &Limits) -> Result<Draft, Failure> {
    let mut draft = Draft {
        bucket_count: descriptor.bucket_count().unwrap_or(limits.default_buckets),
        bucket_keys: bucket_keys(&descriptor),
        properties: descriptor.properties().clone(),
        descriptor,
    };
    let mut default = |key: &str, value: &str| {
        draft
            .properties
            .entry(key.to_owned())
            .or_insert_with(|| value.to_owned());
    };
    default(REPLICATION_FACTOR, "1");
    if !draft.descriptor.schema().primary_key().is_empty() {
        default(KV_FORMAT_VERSION, &NEWEST_KV_FORMAT.to_string());
        default(properties::STANDBY_REPLICA, "true");
    }
    engine::fill(&mut draft);
    partitioning::fill(&mut draft);
    check_no_lake(&draft.properties)?;
    if draft.number(KV_FORMAT_VERSION, NEWEST_KV_FORMAT) > NEWEST_KV_FORMAT {
        return Err(invalid_config(format!(
            "property '{KV_FORMAT_VERSION}': the newest version is {NEWEST_KV_FORMAT}"
        )));
    }
    Ok(draft)
}

/// The bucket key: that of a primary-key table is by default its primary key without the partition key.
fn bucket_keys(descriptor: &TableDescriptor) -> Vec<String> {
    if !descriptor.bucket_keys().is_empty() {
        return descriptor.bucket_keys().to_vec();
    }
    let partition_keys = descriptor.partition_keys();
    let keys = descriptor.schema().primary_key().iter();
    keys.filter(|key| !partition_keys.contains(key))
        .cloned()
        .collect()
}

fn check_counts(draft: &Draft) -> Result<(), Failure> {
    if draft.bucket_count <= 0 {
        return Err(unknown(format!("the bucket count is {}", draft.bucket_count)));
    }
    if draft.number(REPLICATION_FACTOR, 1) <= 0 {
        return Err(Failure::new(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            format!("property '{REPLICATION_FACTOR}' must be at least 1"),
        ));
    }
    Ok(())
}

fn check_layout(draft: &Draft, limits: &Limits) -> Result<(), Failure> {
    check_buckets(draft.bucket_count, limits)?;
    for key in &draft.bucket_keys {
        if draft
            .schema()
            .column(key)
            .is_some_and(|column| column.data_type.is_nested())
        {
            return Err(invalid_table(format!(
                "bucket key column '{key}' cannot be an ARRAY, MAP or ROW"
            )));
        }
    }
    let log_format = draft.keyword("table.log.format", "ARROW");
    let compacted = draft.keyword("table.kv.format", "COMPACTED") == "COMPACTED";
    if draft.is_keyed() && compacted && log_format == "INDEXED" {
        return Err(invalid_config(
            "rows in the COMPACTED format need a log in ARROW or COMPACTED",
        ));
    }
    if !(1..=22).contains(&draft.number("table.log.arrow.compression.zstd.level", 3)) {
        return Err(invalid_config(
            "'table.log.arrow.compression.zstd.level' must be 1 to 22",
        ));
    }
    Ok(())
}

/// Whether a table, or each of its partitions, may have so many buckets.
pub(super) fn check_buckets(count: i32, limits: &Limits) -> Result<(), Failure> {
    if count <= limits.max_buckets {
        return Ok(());
    }
    let reason = format!("{count} buckets; {} are allowed", limits.max_buckets);
    Err(Failure::new(ErrorCode::BUCKET_MAX_NUM, reason))
}

fn check_local_segments(properties: &BTreeMap<String, String>) -> Result<(), Failure> {
    const KEY: &str = "table.log.tiered.local-segments";
    let segments = properties.get(KEY).and_then(|text| text.parse::<i32>().ok());
    if segments.is_some_and(|segments| segments <= 0) {
        return Err(invalid_config(format!("'{KEY}' must be at least 1")));
    }
    Ok(())
}

/// One node holds one replica of everything, whatever was asked for.
fn stored_once(mut draft: Draft) -> Draft {
    let asked = draft.number(REPLICATION_FACTOR, 1);
    if asked > 1 {
        warn!(
            target: crate::TARGET,
            asked,
            "a single node keeps one replica: the replication factor is stored as 1"
        );
        draft
            .properties
            .insert(REPLICATION_FACTOR.to_owned(), "1".to_owned());
    }
    let schema = draft
        .descriptor
        .schema()
        .clone()
        .retain_aggregates(engine::is_known);
    draft.descriptor = draft.descriptor.with_schema(schema);
    draft
}

//! What the catalog holds, entry by entry.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fluss_core::arrow::arrow_schema;
use fluss_core::id::{PartitionId, SchemaId, TableId};
use fluss_core::record::log::BatchShape;
use fluss_core::row::RowFormat;
use fluss_core::types::{
    DatabaseDescriptor, InvalidDefinition, LogFormat, PartitionName, PartitionSpec, Schema, TableDescriptor,
    TableInfo, TablePath, TableProperties,
};

use super::settings::Settings;

/// A database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// What its owner says about it.
    pub descriptor: DatabaseDescriptor,
    /// When it was created, in milliseconds since the epoch.
    pub created_ms: i64,
    /// When it was last altered, in milliseconds since the epoch.
    pub modified_ms: i64,
}

/// A table, with all its schemas and partitions.
#[derive(Clone, Debug)]
pub struct TableEntry {
    info: Arc<TableInfo>,
    settings: Settings,
    json: Bytes,
    schemas: BTreeMap<SchemaId, Arc<Schema>>,
    /// What batches of the log look like, known from the first that is written on.
    shapes: OnceLock<BTreeMap<SchemaId, BatchShape>>,
    partitions: BTreeMap<PartitionName, Partition>,
    /// Of each partition its name and its number of buckets.
    numbered: HashMap<PartitionId, (PartitionName, i32)>,
}

/// A partition of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition {
    /// The identity, never used again.
    pub id: PartitionId,
    /// When it was created, in milliseconds since the epoch.
    pub created_ms: i64,
    /// How many buckets it has, whatever becomes of the table's count.
    pub buckets: i32,
}

/// The parts that a table is made of; all else follows from them.
pub(super) struct TableParts {
    pub(super) id: TableId,
    pub(super) path: TablePath,
    /// With the latest schema.
    pub(super) descriptor: TableDescriptor,
    /// By identity, without the latest.
    pub(super) older: BTreeMap<SchemaId, Arc<Schema>>,
    pub(super) schema_id: SchemaId,
    /// How often the bucket count was changed.
    pub(super) bucket_count_epoch: i64,
    pub(super) created_ms: i64,
    pub(super) modified_ms: i64,
    pub(super) partitions: BTreeMap<PartitionName, Partition>,
}

impl TableEntry {
    pub(super) fn new(parts: TableParts) -> Result<Self, InvalidDefinition> {
        let TableParts {
            descriptor,
            older: mut schemas,
            schema_id,
            partitions,
            ..
        } = parts;
        let properties = TableProperties::parse(descriptor.properties())?;
        schemas.insert(schema_id, Arc::new(descriptor.schema().clone()));
        Ok(Self {
            settings: Settings::read(descriptor.properties(), descriptor.partition_keys()),
            json: descriptor.to_json().into(),
            info: Arc::new(TableInfo {
                path: parts.path,
                id: parts.id,
                schema_id,
                bucket_count: descriptor.bucket_count().unwrap_or(1),
                bucket_count_epoch: parts.bucket_count_epoch,
                descriptor,
                properties,
                created_time: parts.created_ms,
                modified_time: parts.modified_ms,
            }),
            schemas,
            shapes: OnceLock::new(),
            numbered: partitions
                .iter()
                .map(|(name, partition)| (partition.id, (name.clone(), partition.buckets)))
                .collect(),
            partitions,
        })
    }

    /// The parts again, to make another version of the table.
    pub(super) fn to_parts(&self) -> TableParts {
        let mut older = self.schemas.clone();
        older.remove(&self.info.schema_id);
        TableParts {
            id: self.info.id,
            path: self.info.path.clone(),
            descriptor: self.info.descriptor.clone(),
            older,
            schema_id: self.info.schema_id,
            bucket_count_epoch: self.info.bucket_count_epoch,
            created_ms: self.info.created_time,
            modified_ms: self.info.modified_time,
            partitions: self.partitions.clone(),
        }
    }

    /// The table as its users see it.
    pub const fn info(&self) -> &Arc<TableInfo> {
        &self.info
    }

    /// The identity.
    pub fn id(&self) -> TableId {
        self.info.id
    }

    /// The properties that the node obeys.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The descriptor with the latest schema and all that was filled in, as JSON (`descriptors.md` §2).
    pub const fn json(&self) -> &Bytes {
        &self.json
    }

    /// The schema of this identity.
    pub fn schema(&self, id: SchemaId) -> Option<&Arc<Schema>> {
        self.schemas.get(&id)
    }

    /// All schemas by identity, the latest last.
    pub const fn schemas(&self) -> &BTreeMap<SchemaId, Arc<Schema>> {
        &self.schemas
    }

    /// What batches of the log look like under the schema of this identity.
    pub fn batch_shape(&self, id: SchemaId) -> Option<&BatchShape> {
        let shape = |schema: &Schema| match self.info.properties.log_format {
            LogFormat::Arrow => BatchShape::Columns(arrow_schema(schema.row_type())),
            LogFormat::Indexed => BatchShape::Rows(RowFormat::Indexed, schema.row_type().clone()),
            LogFormat::Compacted => BatchShape::Rows(RowFormat::Compacted, schema.row_type().clone()),
        };
        let shapes = || {
            let schemas = self.schemas.iter();
            schemas.map(|(id, schema)| (*id, shape(schema))).collect()
        };
        self.shapes.get_or_init(shapes).get(&id)
    }

    /// The partition of this name.
    pub fn partition(&self, name: &PartitionName) -> Option<Partition> {
        self.partitions.get(name).copied()
    }

    /// The name of the partition of this identity.
    pub fn partition_name(&self, id: PartitionId) -> Option<&PartitionName> {
        self.numbered.get(&id).map(|(name, _)| name)
    }

    /// All partitions by name.
    pub const fn partitions(&self) -> &BTreeMap<PartitionName, Partition> {
        &self.partitions
    }

    /// The partition keys with their values in a partition of this name.
    pub fn partition_spec(&self, name: &PartitionName) -> PartitionSpec {
        PartitionSpec::new(
            self.info
                .descriptor
                .partition_keys()
                .iter()
                .zip(name.values())
                .map(|(key, value)| (key.as_str(), value)),
        )
    }

    /// How many buckets the table has, over all its partitions.
    pub fn bucket_total(&self) -> usize {
        let count = |count: i32| usize::try_from(count).unwrap_or(0);
        if self.info.is_partitioned() {
            self.partitions
                .values()
                .map(|partition| count(partition.buckets))
                .sum()
        } else {
            count(self.info.bucket_count)
        }
    }

    /// How many buckets the table or one of its partitions has. The partition is given exactly if the table is partitioned;
    /// nothing if it does not fit, or is not there. A table look-up apart, this is all that a data request asks of the
    /// catalog.
    pub fn bucket_count(&self, partition: Option<PartitionId>) -> Option<i32> {
        match partition {
            Some(id) => self.numbered.get(&id).map(|(_, buckets)| *buckets),
            None => (!self.info.is_partitioned()).then_some(self.info.bucket_count),
        }
    }

    /// Whether the identities of a request mean a bucket.
    pub fn has_bucket(&self, partition: Option<PartitionId>, bucket: i32) -> bool {
        self.bucket_count(partition)
            .is_some_and(|count| (0..count).contains(&bucket))
    }
}

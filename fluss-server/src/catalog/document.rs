//! The catalog as a JSON document.

use std::collections::BTreeMap;
use std::sync::Arc;

use fluss_core::DecodeError;
use fluss_core::id::{BucketId, Offset, PartitionId, SchemaId, TableBucket, TableId};
use fluss_core::types::{
    DatabaseDescriptor, InvalidDefinition, PartitionName, Schema, TableDescriptor, TablePath,
};
use fluss_store::OpenError;
use serde::{Deserialize, Serialize};

use super::entry::{Database, Partition, TableEntry, TableParts};
use super::producers::ProducerOffsets;
use super::store::{WITH_USERS, WITHOUT_USERS, damaged};
use super::view::{Counters, View};
use crate::security::{Acl, Hashed, Users};

#[derive(Serialize, Deserialize)]
struct Document {
    next_table: i64,
    next_partition: i64,
    next_writer: i64,
    databases: BTreeMap<String, DatabaseDocument>,
    tables: Vec<TableDocument>,
    acls: Vec<Acl>,
    producers: BTreeMap<String, ProducerDocument>,
    configs: BTreeMap<String, String>,
    /// By name, the hashes of their passwords.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    users: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct DatabaseDocument {
    descriptor: String,
    created: i64,
    modified: i64,
}

#[derive(Serialize, Deserialize)]
struct TableDocument {
    id: i64,
    database: String,
    name: String,
    descriptor: String,
    schema_id: i16,
    older_schemas: BTreeMap<i16, String>,
    created: i64,
    modified: i64,
    partitions: Vec<PartitionDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_auto_increment: Option<i64>,
    /// Absent: the count was never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket_count_epoch: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct PartitionDocument {
    id: i64,
    name: String,
    created: i64,
    /// Absent: as many as the table's descriptor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    buckets: Option<i32>,
}

#[derive(Serialize, Deserialize)]
struct ProducerDocument {
    expires: i64,
    offsets: Vec<OffsetDocument>,
}

#[derive(Serialize, Deserialize)]
struct OffsetDocument {
    table: i64,
    partition: Option<i64>,
    bucket: i32,
    offset: Option<Offset>,
}

/// Plain data with text for keys: nothing in it can fail to be written.
pub(super) fn encode(view: &View) -> Vec<u8> {
    serde_json::to_vec(&Document::from(view)).unwrap_or_default()
}

/// The format of what is encoded.
pub(super) fn format(view: &View) -> u32 {
    if view.users.is_empty() {
        WITHOUT_USERS
    } else {
        WITH_USERS
    }
}

pub(super) fn decode(json: &[u8]) -> Result<View, OpenError> {
    let document: Document = serde_json::from_slice(json).map_err(|error| damaged(0, error.to_string()))?;
    View::try_from(document).map_err(|error| damaged(0, error.to_string()))
}

impl From<&View> for Document {
    fn from(view: &View) -> Self {
        let mut tables: Vec<_> = view
            .tables()
            .map(|table| TableDocument::new(table, view))
            .collect();
        tables.sort_unstable_by_key(|table| table.id);
        Self {
            next_table: view.counters.table,
            next_partition: view.counters.partition,
            next_writer: view.counters.writer,
            databases: by_name(&view.databases),
            tables,
            acls: view.acls.iter().cloned().collect(),
            producers: by_name(&view.producers),
            configs: view.configs.clone(),
            users: view
                .users
                .iter()
                .map(|(name, hash)| (name.to_owned(), hash.text().to_owned()))
                .collect(),
        }
    }
}

fn by_name<'a, T, D: From<&'a T>>(entries: &'a BTreeMap<String, Arc<T>>) -> BTreeMap<String, D> {
    let document = |(name, entry): (&String, &'a Arc<T>)| (name.clone(), D::from(entry));
    entries.iter().map(document).collect()
}

impl From<&Database> for DatabaseDocument {
    fn from(database: &Database) -> Self {
        Self {
            descriptor: text(database.descriptor.to_json()),
            created: database.created_ms,
            modified: database.modified_ms,
        }
    }
}

impl TableDocument {
    fn new(table: &TableEntry, view: &View) -> Self {
        let info = table.info();
        let older = table.schemas().iter().filter(|(id, _)| **id != info.schema_id);
        Self {
            id: info.id.get(),
            database: info.path.database().to_owned(),
            name: info.path.table().to_owned(),
            descriptor: text(table.json().to_vec()),
            schema_id: info.schema_id.get(),
            older_schemas: older
                .map(|(id, schema)| (id.get(), text(schema.to_json())))
                .collect(),
            created: info.created_time,
            modified: info.modified_time,
            partitions: table.partitions().iter().map(PartitionDocument::from).collect(),
            next_auto_increment: view.counters.auto_increment.get(&info.id).copied(),
            bucket_count_epoch: Some(info.bucket_count_epoch).filter(|epoch| *epoch > 0),
        }
    }
}

impl From<(&PartitionName, &Partition)> for PartitionDocument {
    fn from((name, partition): (&PartitionName, &Partition)) -> Self {
        Self {
            id: partition.id.get(),
            name: name.as_str().to_owned(),
            created: partition.created_ms,
            buckets: Some(partition.buckets),
        }
    }
}

impl From<&ProducerOffsets> for ProducerDocument {
    fn from(producer: &ProducerOffsets) -> Self {
        let document = |(bucket, offset): &(TableBucket, Option<Offset>)| OffsetDocument {
            table: bucket.table.get(),
            partition: bucket.partition.map(PartitionId::get),
            bucket: bucket.bucket.get(),
            offset: *offset,
        };
        Self {
            expires: producer.expires_ms,
            offsets: producer.offsets.iter().map(document).collect(),
        }
    }
}

/// JSON is text.
fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_default()
}

impl TryFrom<Document> for View {
    type Error = DecodeError;

    fn try_from(document: Document) -> Result<Self, Self::Error> {
        let mut view = Self {
            counters: Counters {
                table: document.next_table,
                partition: document.next_partition,
                writer: document.next_writer,
                auto_increment: BTreeMap::new(),
            },
            acls: Arc::new(document.acls.into_iter().collect()),
            configs: document.configs,
            users: Arc::new(users(document.users)?),
            ..Self::default()
        };
        for (name, database) in document.databases {
            view.databases.insert(name, Arc::new(database.try_into()?));
        }
        for (name, producer) in document.producers {
            view.producers.insert(name, Arc::new(producer.into()));
        }
        for table in document.tables {
            if let Some(next) = table.next_auto_increment {
                view.counters.auto_increment.insert(TableId(table.id), next);
            }
            view.put_table(table.try_into()?);
        }
        Ok(view)
    }
}

/// The users, whose hashes are all used at each login.
fn users(documents: BTreeMap<String, String>) -> Result<Users, DecodeError> {
    let mut users = Users::default();
    for (name, hash) in documents {
        let hash = Hashed::parse(&hash);
        let hash = hash.map_err(|reason| DecodeError::new("user", format!("a hash {reason}")))?;
        users.put(&name, hash);
    }
    Ok(users)
}

impl TryFrom<DatabaseDocument> for Database {
    type Error = DecodeError;

    fn try_from(document: DatabaseDocument) -> Result<Self, Self::Error> {
        Ok(Self {
            descriptor: DatabaseDescriptor::from_json(document.descriptor.as_bytes())
                .map_err(not_a("database"))?,
            created_ms: document.created,
            modified_ms: document.modified,
        })
    }
}

impl TryFrom<TableDocument> for TableEntry {
    type Error = DecodeError;

    fn try_from(document: TableDocument) -> Result<Self, Self::Error> {
        let schema = |(id, json): (i16, String)| {
            let schema = Schema::from_json(json.as_bytes()).map_err(not_a("schema"))?;
            Ok((SchemaId(id), Arc::new(schema)))
        };
        let descriptor =
            TableDescriptor::from_json(document.descriptor.as_bytes()).map_err(not_a("table"))?;
        let buckets = descriptor.bucket_count().unwrap_or(1);
        let partitions = document.partitions.into_iter();
        Self::new(TableParts {
            id: TableId(document.id),
            path: TablePath::new(document.database, document.name),
            descriptor,
            older: document
                .older_schemas
                .into_iter()
                .map(schema)
                .collect::<Result<_, DecodeError>>()?,
            schema_id: SchemaId(document.schema_id),
            created_ms: document.created,
            modified_ms: document.modified,
            bucket_count_epoch: document.bucket_count_epoch.unwrap_or_default(),
            partitions: partitions.map(|partition| partition.read(buckets)).collect(),
        })
        .map_err(not_a("table"))
    }
}

impl PartitionDocument {
    /// The partition, of a table with so many buckets.
    fn read(self, buckets: i32) -> (PartitionName, Partition) {
        let partition = Partition {
            id: PartitionId(self.id),
            created_ms: self.created,
            buckets: self.buckets.unwrap_or(buckets),
        };
        (PartitionName::from(self.name), partition)
    }
}

impl From<ProducerDocument> for ProducerOffsets {
    fn from(document: ProducerDocument) -> Self {
        let offset = |offset: OffsetDocument| {
            let bucket = TableBucket {
                table: TableId(offset.table),
                partition: offset.partition.map(PartitionId),
                bucket: BucketId(offset.bucket),
            };
            (bucket, offset.offset)
        };
        Self {
            expires_ms: document.expires,
            offsets: document.offsets.into_iter().map(offset).collect(),
        }
    }
}

fn not_a(what: &'static str) -> impl Fn(InvalidDefinition) -> DecodeError {
    move |error| DecodeError::new(what, error.to_string())
}

use std::collections::BTreeMap;

use super::{InvalidDefinition, LakeFormat, RowType, Schema, TablePath, TableProperties};
use crate::id::{SchemaId, TableId};

/// What a table is to be when it is created, and what the server says that it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableDescriptor {
    pub(super) schema: Schema,
    pub(super) comment: Option<String>,
    pub(super) partition_keys: Vec<String>,
    pub(super) bucket_keys: Vec<String>,
    pub(super) bucket_count: Option<i32>,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) custom_properties: BTreeMap<String, String>,
}

impl TableDescriptor {
    /// Begins a descriptor of a table with this schema.
    pub fn builder(schema: Schema) -> TableDescriptorBuilder {
        TableDescriptorBuilder {
            descriptor: Self {
                schema,
                comment: None,
                partition_keys: Vec::new(),
                bucket_keys: Vec::new(),
                bucket_count: None,
                properties: BTreeMap::new(),
                custom_properties: BTreeMap::new(),
            },
        }
    }

    /// The columns and the primary key.
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The comment.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The columns whose values choose the partition; empty if the table is not partitioned.
    pub fn partition_keys(&self) -> &[String] {
        &self.partition_keys
    }

    /// The columns whose values choose the bucket; empty if the writer chooses.
    pub fn bucket_keys(&self) -> &[String] {
        &self.bucket_keys
    }

    /// Buckets of the table, or of each of its partitions; absent for the server's default.
    pub const fn bucket_count(&self) -> Option<i32> {
        self.bucket_count
    }

    /// The `table.*` properties.
    pub const fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// The user's own properties.
    pub const fn custom_properties(&self) -> &BTreeMap<String, String> {
        &self.custom_properties
    }

    /// Another schema for the same table.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// Goes on from this descriptor.
    pub const fn into_builder(self) -> TableDescriptorBuilder {
        TableDescriptorBuilder { descriptor: self }
    }

    fn validate(&self) -> Result<(), InvalidDefinition> {
        self.schema.indexes_of(&self.partition_keys)?;
        let primary_key = self.schema.primary_key();
        for key in &self.bucket_keys {
            let fault = |reason| {
                Err(InvalidDefinition::new(format!(
                    "bucket key column '{key}' {reason}"
                )))
            };
            let Some(column) = self.schema.column(key) else {
                return fault("does not exist");
            };
            if column.data_type.is_nested() {
                return fault("cannot be an ARRAY, MAP or ROW");
            }
            if self.partition_keys.contains(key) {
                return fault("is a partition key");
            }
            if !primary_key.is_empty() && !primary_key.contains(key) {
                return fault("is not part of the primary key");
            }
        }
        if self.bucket_count.is_some_and(|count| count < 1) {
            return Err(InvalidDefinition::new("the bucket count must be at least 1"));
        }
        TableProperties::parse(&self.properties).map(drop)
    }
}

/// Puts a table descriptor together; [`build`](Self::build) checks it.
#[derive(Clone, Debug)]
pub struct TableDescriptorBuilder {
    descriptor: TableDescriptor,
}

impl TableDescriptorBuilder {
    /// Sets the comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.descriptor.comment = Some(comment.into());
        self
    }

    /// Names the columns whose values choose the partition.
    #[must_use]
    pub fn partitioned_by<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.descriptor.partition_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the number of buckets and names the columns whose values choose the bucket: none of them leaves the
    /// choice to the writer (log tables) or to the primary key.
    #[must_use]
    pub fn distributed_by<S: Into<String>>(
        mut self,
        buckets: i32,
        keys: impl IntoIterator<Item = S>,
    ) -> Self {
        self.descriptor.bucket_count = Some(buckets);
        self.descriptor.bucket_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Names the columns whose values choose the bucket, and leaves the number of buckets to the server.
    #[must_use]
    pub fn bucket_keys<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.descriptor.bucket_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Sets a `table.*` property.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.descriptor.properties.insert(key.into(), value.into());
        self
    }

    /// Goes back to the default of a `table.*` property.
    #[must_use]
    pub fn without_property(mut self, key: &str) -> Self {
        self.descriptor.properties.remove(key);
        self
    }

    /// Removes a property of the user's own.
    #[must_use]
    pub fn without_custom_property(mut self, key: &str) -> Self {
        self.descriptor.custom_properties.remove(key);
        self
    }

    /// Sets a property of the user's own.
    #[must_use]
    pub fn custom_property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.descriptor.custom_properties.insert(key.into(), value.into());
        self
    }

    /// Checks the descriptor as far as that is possible without a server.
    pub fn build(self) -> Result<TableDescriptor, InvalidDefinition> {
        self.descriptor.validate()?;
        Ok(self.descriptor)
    }
}

/// A table as it stands on the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableInfo {
    /// The path.
    pub path: TablePath,
    /// The identity, which a table created again under the same path does not share.
    pub id: TableId,
    /// The latest schema's identity.
    pub schema_id: SchemaId,
    /// The descriptor with the latest schema and the defaults that the server filled in.
    pub descriptor: TableDescriptor,
    /// The properties that writers and readers obey.
    pub properties: TableProperties,
    /// Buckets of the table, or of each partition that is created from now on: older ones may have another count
    /// (`v1_0.md` §5).
    pub bucket_count: i32,
    /// How often the bucket count was changed.
    pub bucket_count_epoch: i64,
    /// When the table was created, in milliseconds since the epoch.
    pub created_time: i64,
    /// When the table was last altered, in milliseconds since the epoch.
    pub modified_time: i64,
}

impl TableInfo {
    /// The latest schema.
    pub const fn schema(&self) -> &Schema {
        self.descriptor.schema()
    }

    /// The type of the table's rows.
    pub const fn row_type(&self) -> &RowType {
        self.descriptor.schema().row_type()
    }

    /// Whether the table has a primary key.
    pub fn has_primary_key(&self) -> bool {
        !self.schema().primary_key().is_empty()
    }

    /// Whether the table is partitioned.
    pub fn is_partitioned(&self) -> bool {
        !self.descriptor.partition_keys().is_empty()
    }

    /// The primary key without the partition keys: what identifies a row in its partition.
    pub fn physical_primary_key(&self) -> Vec<&str> {
        let partition_keys = self.descriptor.partition_keys();
        let key = self.schema().primary_key().iter();
        key.filter(|column| !partition_keys.contains(column))
            .map(String::as_str)
            .collect()
    }

    /// Whether the bucket key is the one that a primary-key table has if none is given.
    pub fn has_default_bucket_key(&self) -> bool {
        self.physical_primary_key() == self.descriptor.bucket_keys()
    }

    /// The lake whose encoding the table shares.
    pub const fn lake_format(&self) -> Option<LakeFormat> {
        self.properties.lake_format
    }
}

/// What a database is to be when it is created, and what the server says that it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DatabaseDescriptor {
    /// The comment.
    pub comment: Option<String>,
    /// The user's own properties.
    pub custom_properties: BTreeMap<String, String>,
}

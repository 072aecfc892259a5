use std::collections::BTreeMap;

use fluss_core::types::{Schema, TableDescriptor};

use super::invalid_definition;
use crate::Failure;

/// A definition that is being filled in.
pub(super) struct Draft {
    pub(super) descriptor: TableDescriptor,
    pub(super) bucket_count: i32,
    pub(super) bucket_keys: Vec<String>,
    pub(super) properties: BTreeMap<String, String>,
}

impl Draft {
    /// Of a table that is there already.
    pub(super) fn of(descriptor: TableDescriptor) -> Self {
        Self {
            bucket_count: descriptor.bucket_count().unwrap_or(1),
            bucket_keys: descriptor.bucket_keys().to_vec(),
            properties: descriptor.properties().clone(),
            descriptor,
        }
    }

    pub(super) const fn schema(&self) -> &Schema {
        self.descriptor.schema()
    }

    pub(super) fn is_keyed(&self) -> bool {
        !self.schema().primary_key().is_empty()
    }

    pub(super) fn property(&self, key: &str) -> Option<&str> {
        self.properties.get(key).map(String::as_str)
    }

    /// A property that was checked to be a number, or its default.
    pub(super) fn number(&self, key: &str, default: i32) -> i32 {
        self.property(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }

    /// A property in upper case, or its default.
    pub(super) fn keyword(&self, key: &str, default: &str) -> String {
        self.property(key).unwrap_or(default).to_ascii_uppercase()
    }

    pub(super) fn build(self) -> Result<TableDescriptor, Failure> {
        let mut builder = self
            .descriptor
            .into_builder()
            .distributed_by(self.bucket_count, self.bucket_keys);
        for (key, value) in self.properties {
            builder = builder.property(key, value);
        }
        builder.build().map_err(invalid_definition)
    }
}

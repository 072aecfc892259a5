//! Databases and partitions, to and from the classes of `fluss.metadata`.

use std::collections::BTreeMap;

use fluss_client as client;
use fluss_client::types::DatabaseDescriptor;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::classes::{list, metadata};

/// What is taken from a `fluss.metadata.DatabaseDescriptor`.
#[derive(FromPyObject)]
pub(super) struct DatabaseArgument {
    comment: Option<String>,
    custom_properties: BTreeMap<String, String>,
}

impl From<DatabaseArgument> for DatabaseDescriptor {
    fn from(given: DatabaseArgument) -> Self {
        Self {
            comment: given.comment,
            custom_properties: given.custom_properties,
        }
    }
}

pub(super) fn database_summaries(
    py: Python<'_>,
    summaries: Vec<client::DatabaseSummary>,
) -> PyResult<Bound<'_, PyAny>> {
    let class = metadata(py, "DatabaseSummary")?;
    let summary =
        |found: client::DatabaseSummary| class.call1((found.name, found.created_time, found.table_count));
    list(py, summaries.into_iter().map(summary))
}

pub(super) fn database_info(py: Python<'_>, info: client::DatabaseInfo) -> PyResult<Bound<'_, PyAny>> {
    let descriptor = info.descriptor;
    let descriptor =
        metadata(py, "DatabaseDescriptor")?.call1((descriptor.comment, descriptor.custom_properties))?;
    metadata(py, "DatabaseInfo")?.call1((info.name, descriptor, info.created_time, info.modified_time))
}

pub(super) fn partitions(
    py: Python<'_>,
    partitions: Vec<client::PartitionInfo>,
) -> PyResult<Bound<'_, PyAny>> {
    let class = metadata(py, "PartitionInfo")?;
    let info = |partition: client::PartitionInfo| {
        let spec = PyDict::new(py);
        for (key, value) in &partition.spec.values {
            spec.set_item(key, value)?;
        }
        class.call1((
            partition.id.get(),
            partition.name().as_str(),
            spec,
            partition.bucket_count,
        ))
    };
    list(py, partitions.into_iter().map(info))
}

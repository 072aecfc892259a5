//! Administration of databases, tables and partitions.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use fluss_client as client;
use fluss_client::ServerRole;
use fluss_client::id::{BucketId, Offset, SchemaId};
use fluss_client::types::{DatabaseDescriptor, PartitionName, PartitionSpec};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::change::TableChange;
use crate::descriptor::{TableDescriptor, TableInfo};
use crate::path::PathArgument;
use crate::pending::Pending;
use crate::schema::Schema;

/// Administers a cluster.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Admin(pub(crate) Arc<client::Admin>);

/// What is taken from a `fluss.metadata.DatabaseDescriptor`.
#[derive(FromPyObject)]
struct DatabaseArgument {
    comment: Option<String>,
    custom_properties: BTreeMap<String, String>,
}

/// Which offset of a bucket is wanted.
#[pyclass(frozen, eq, hash, from_py_object, module = "fluss.client.admin")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OffsetSpec(pub(crate) client::OffsetSpec);

#[pymethods]
impl OffsetSpec {
    #[staticmethod]
    fn earliest() -> Self {
        Self(client::OffsetSpec::Earliest)
    }

    #[staticmethod]
    fn latest() -> Self {
        Self(client::OffsetSpec::Latest)
    }

    #[staticmethod]
    fn timestamp(ts: i64) -> Self {
        Self(client::OffsetSpec::Timestamp(ts))
    }

    fn __repr__(&self) -> String {
        match self.0 {
            client::OffsetSpec::Earliest => "OffsetSpec.earliest()".to_owned(),
            client::OffsetSpec::Latest => "OffsetSpec.latest()".to_owned(),
            client::OffsetSpec::Timestamp(millis) => format!("OffsetSpec.timestamp({millis})"),
        }
    }
}

impl Admin {
    /// An operation without a result.
    fn act<F>(&self, operation: impl FnOnce(Arc<client::Admin>) -> F) -> Pending
    where
        F: Future<Output = client::Result<()>> + Send + 'static,
    {
        Pending::nothing(operation(self.0.clone()))
    }

    /// An operation whose result Python has a type for.
    fn ask<F, T>(&self, operation: impl FnOnce(Arc<client::Admin>) -> F) -> Pending
    where
        F: Future<Output = client::Result<T>> + Send + 'static,
        T: for<'py> IntoPyObjectExt<'py> + Send + 'static,
    {
        Pending::new(operation(self.0.clone()), |py, value| value.into_bound_py_any(py))
    }
}

#[pymethods]
impl Admin {
    #[pyo3(signature = (name, descriptor, ignore_if_exists))]
    fn create_database(
        &self,
        name: String,
        descriptor: Option<DatabaseArgument>,
        ignore_if_exists: bool,
    ) -> Pending {
        let descriptor = descriptor.map_or_else(DatabaseDescriptor::default, |given| DatabaseDescriptor {
            comment: given.comment,
            custom_properties: given.custom_properties,
        });
        self.act(|admin| async move { admin.create_database(&name, &descriptor, ignore_if_exists).await })
    }

    fn drop_database(&self, name: String, ignore_if_not_exists: bool, cascade: bool) -> Pending {
        self.act(|admin| async move { admin.drop_database(&name, ignore_if_not_exists, cascade).await })
    }

    fn list_databases(&self) -> Pending {
        self.ask(|admin| async move { admin.list_databases().await })
    }

    fn database_exists(&self, name: String) -> Pending {
        self.ask(|admin| async move { admin.database_exists(&name).await })
    }

    fn get_database_info(&self, name: String) -> Pending {
        let admin = self.0.clone();
        Pending::new(async move { admin.database_info(&name).await }, database_info)
    }

    fn create_table(
        &self,
        path: PathArgument,
        descriptor: &TableDescriptor,
        ignore_if_exists: bool,
    ) -> Pending {
        let descriptor = descriptor.0.clone();
        self.act(|admin| async move { admin.create_table(&path.0, &descriptor, ignore_if_exists).await })
    }

    fn alter_table(
        &self,
        path: PathArgument,
        changes: Vec<TableChange>,
        ignore_if_not_exists: bool,
    ) -> Pending {
        let changes: Vec<_> = changes.into_iter().map(|change| change.0).collect();
        self.act(|admin| async move { admin.alter_table(&path.0, &changes, ignore_if_not_exists).await })
    }

    fn drop_table(&self, path: PathArgument, ignore_if_not_exists: bool) -> Pending {
        self.act(|admin| async move { admin.drop_table(&path.0, ignore_if_not_exists).await })
    }

    fn list_tables(&self, database: String) -> Pending {
        self.ask(|admin| async move { admin.list_tables(&database).await })
    }

    fn table_exists(&self, path: PathArgument) -> Pending {
        self.ask(|admin| async move { admin.table_exists(&path.0).await })
    }

    fn get_table_info(&self, path: PathArgument) -> Pending {
        self.ask(|admin| async move { admin.table_info(&path.0).await.map(TableInfo) })
    }

    #[pyo3(signature = (path, schema_id))]
    fn get_table_schema(&self, path: PathArgument, schema_id: Option<i16>) -> Pending {
        self.ask(|admin| async move {
            let (id, schema) = admin.table_schema(&path.0, schema_id.map(SchemaId)).await?;
            Ok((id.get(), Schema(schema)))
        })
    }

    fn create_partition(
        &self,
        path: PathArgument,
        spec: BTreeMap<String, String>,
        ignore_if_exists: bool,
    ) -> Pending {
        let spec = PartitionSpec::new(spec);
        self.act(|admin| async move { admin.create_partition(&path.0, &spec, ignore_if_exists).await })
    }

    fn drop_partition(
        &self,
        path: PathArgument,
        spec: BTreeMap<String, String>,
        ignore_if_not_exists: bool,
    ) -> Pending {
        let spec = PartitionSpec::new(spec);
        self.act(|admin| async move { admin.drop_partition(&path.0, &spec, ignore_if_not_exists).await })
    }

    #[pyo3(signature = (path, spec))]
    fn list_partition_infos(&self, path: PathArgument, spec: Option<BTreeMap<String, String>>) -> Pending {
        let admin = self.0.clone();
        let spec = spec.map(PartitionSpec::new);
        Pending::new(
            async move { admin.list_partitions(&path.0, spec.as_ref()).await },
            |py, partitions| {
                let class = metadata(py, "PartitionInfo")?;
                let infos = partitions
                    .iter()
                    .map(|partition| partition_info(&class, partition));
                Ok(PyList::new(py, infos.collect::<PyResult<Vec<_>>>()?)?.into_any())
            },
        )
    }

    fn list_offsets(&self, path: PathArgument, buckets: Vec<i32>, spec: OffsetSpec) -> Pending {
        let buckets: Vec<_> = buckets.into_iter().map(BucketId).collect();
        self.ask(|admin| async move {
            let offsets = admin.list_offsets(&path.0, &buckets, spec.0).await?;
            Ok(by_number(offsets))
        })
    }

    fn list_partition_offsets(
        &self,
        path: PathArgument,
        partition: String,
        buckets: Vec<i32>,
        spec: OffsetSpec,
    ) -> Pending {
        let buckets: Vec<_> = buckets.into_iter().map(BucketId).collect();
        let partition = PartitionName::from(partition);
        self.ask(|admin| async move {
            let offsets = admin
                .list_partition_offsets(&path.0, &partition, &buckets, spec.0)
                .await?;
            Ok(by_number(offsets))
        })
    }

    fn get_row_count(&self, path: PathArgument) -> Pending {
        self.ask(|admin| async move { admin.row_count(&path.0).await })
    }

    fn get_server_nodes(&self) -> Pending {
        let admin = self.0.clone();
        Pending::new(async move { admin.server_nodes().await }, |py, nodes| {
            let class = metadata(py, "ServerNode")?;
            let nodes = nodes.into_iter().map(|node| {
                class.call1((
                    node.id,
                    node.address.host,
                    node.address.port,
                    role_name(node.role),
                ))
            });
            Ok(PyList::new(py, nodes.collect::<PyResult<Vec<_>>>()?)?.into_any())
        })
    }
}

fn by_number(offsets: client::ByBucket<Offset>) -> BTreeMap<i32, Offset> {
    offsets
        .into_iter()
        .map(|(bucket, offset)| (bucket.get(), offset))
        .collect()
}

const fn role_name(role: ServerRole) -> &'static str {
    match role {
        ServerRole::Coordinator => "CoordinatorServer",
        ServerRole::Tablet => "TabletServer",
    }
}

/// A class of `fluss.metadata`.
fn metadata<'py>(py: Python<'py>, class: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("fluss.metadata")?.getattr(class)
}

fn database_info(py: Python<'_>, info: client::DatabaseInfo) -> PyResult<Bound<'_, PyAny>> {
    let descriptor = info.descriptor;
    let descriptor =
        metadata(py, "DatabaseDescriptor")?.call1((descriptor.comment, descriptor.custom_properties))?;
    metadata(py, "DatabaseInfo")?.call1((info.name, descriptor, info.created_time, info.modified_time))
}

fn partition_info<'py>(
    class: &Bound<'py, PyAny>,
    partition: &client::PartitionInfo,
) -> PyResult<Bound<'py, PyAny>> {
    let spec = PyDict::new(class.py());
    for (key, value) in &partition.spec.values {
        spec.set_item(key, value)?;
    }
    class.call1((partition.id.get(), partition.name().as_str(), spec))
}

//! Administration of a cluster.

mod catalog;
mod classes;
mod cluster;
mod offsets;
mod rights;
mod snapshots;
mod users;

use std::collections::{BTreeMap, HashMap};
use std::convert::identity;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fluss_client as client;
use fluss_client::LakeSnapshotSpec;
use fluss_client::id::{BucketId, Offset, PartitionId, SchemaId, SnapshotId, TableId};
use fluss_client::types::{DatabaseDescriptor, PartitionName, PartitionSpec};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use self::catalog::DatabaseArgument;
use self::classes::list;
use self::cluster::ConfigArgument;
pub(crate) use self::offsets::OffsetSpec;
use self::offsets::by_number;
use self::rights::{AclArgument, FilterArgument};
pub(crate) use self::snapshots::KvSnapshotLease;
use crate::bucket::TableBucket;
use crate::change::TableChange;
use crate::descriptor::{TableDescriptor, TableInfo};
use crate::own::Own;
use crate::path::PathArgument;
use crate::pending::Pending;
use crate::schema::Schema;

/// Administers a cluster.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Admin(Own<Arc<client::Admin>>);

impl Admin {
    pub(crate) fn new(admin: client::Admin) -> Self {
        Self(Own::new(Arc::new(admin)))
    }

    /// An operation without a result.
    fn act<F>(&self, operation: impl FnOnce(Arc<client::Admin>) -> F) -> PyResult<Pending>
    where
        F: Future<Output = client::Result<()>> + Send + 'static,
    {
        Ok(Pending::nothing(operation(self.0.get()?.clone())))
    }

    /// An operation whose result Python has a type for.
    fn ask<F, T>(&self, operation: impl FnOnce(Arc<client::Admin>) -> F) -> PyResult<Pending>
    where
        F: Future<Output = client::Result<T>> + Send + 'static,
        T: for<'py> IntoPyObjectExt<'py> + Send + 'static,
    {
        Ok(Pending::object(operation(self.0.get()?.clone()), identity))
    }

    /// An operation whose result is made into one of Python's own classes.
    fn tell<F, T, C>(&self, operation: impl FnOnce(Arc<client::Admin>) -> F, convert: C) -> PyResult<Pending>
    where
        F: Future<Output = client::Result<T>> + Send + 'static,
        T: Send + 'static,
        C: for<'py> FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    {
        Ok(Pending::new(operation(self.0.get()?.clone()), convert))
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
    ) -> PyResult<Pending> {
        let descriptor = descriptor.map_or_else(DatabaseDescriptor::default, Into::into);
        self.act(|admin| async move { admin.create_database(&name, &descriptor, ignore_if_exists).await })
    }

    fn drop_database(&self, name: String, ignore_if_not_exists: bool, cascade: bool) -> PyResult<Pending> {
        self.act(|admin| async move { admin.drop_database(&name, ignore_if_not_exists, cascade).await })
    }

    fn list_databases(&self) -> PyResult<Pending> {
        self.ask(|admin| async move { admin.list_databases().await })
    }

    fn database_exists(&self, name: String) -> PyResult<Pending> {
        self.ask(|admin| async move { admin.database_exists(&name).await })
    }

    fn get_database_info(&self, name: String) -> PyResult<Pending> {
        self.tell(
            |admin| async move { admin.database_info(&name).await },
            catalog::database_info,
        )
    }

    fn create_table(
        &self,
        path: PathArgument,
        descriptor: &TableDescriptor,
        ignore_if_exists: bool,
    ) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let descriptor = descriptor.0.clone();
        self.act(|admin| async move { admin.create_table(&path, &descriptor, ignore_if_exists).await })
    }

    fn alter_table(
        &self,
        path: PathArgument,
        changes: Vec<TableChange>,
        ignore_if_not_exists: bool,
    ) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let changes: Vec<_> = changes.into_iter().map(|change| change.0).collect();
        self.act(|admin| async move { admin.alter_table(&path, &changes, ignore_if_not_exists).await })
    }

    fn drop_table(&self, path: PathArgument, ignore_if_not_exists: bool) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        self.act(|admin| async move { admin.drop_table(&path, ignore_if_not_exists).await })
    }

    fn list_tables(&self, database: String) -> PyResult<Pending> {
        self.ask(|admin| async move { admin.list_tables(&database).await })
    }

    fn table_exists(&self, path: PathArgument) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        self.ask(|admin| async move { admin.table_exists(&path).await })
    }

    fn get_table_info(&self, path: PathArgument) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        self.ask(|admin| async move { admin.table_info(&path).await.map(TableInfo) })
    }

    #[pyo3(signature = (path, schema_id))]
    fn get_table_schema(&self, path: PathArgument, schema_id: Option<i16>) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        self.ask(|admin| async move {
            let (id, schema) = admin.table_schema(&path, schema_id.map(SchemaId)).await?;
            Ok((id.get(), Schema(schema)))
        })
    }

    fn create_partition(
        &self,
        path: PathArgument,
        spec: BTreeMap<String, String>,
        ignore_if_exists: bool,
    ) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let spec = PartitionSpec::new(spec);
        self.act(|admin| async move { admin.create_partition(&path, &spec, ignore_if_exists).await })
    }

    fn drop_partition(
        &self,
        path: PathArgument,
        spec: BTreeMap<String, String>,
        ignore_if_not_exists: bool,
    ) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let spec = PartitionSpec::new(spec);
        self.act(|admin| async move { admin.drop_partition(&path, &spec, ignore_if_not_exists).await })
    }

    #[pyo3(signature = (path, spec, with_system))]
    fn list_partition_infos(
        &self,
        path: PathArgument,
        spec: Option<BTreeMap<String, String>>,
        with_system: bool,
    ) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let spec = spec.map(PartitionSpec::new);
        self.tell(
            move |admin| async move {
                if with_system {
                    admin.list_partitions_and_system(&path, spec.as_ref()).await
                } else {
                    admin.list_partitions(&path, spec.as_ref()).await
                }
            },
            catalog::partitions,
        )
    }

    fn list_offsets(&self, path: PathArgument, buckets: Vec<i32>, spec: OffsetSpec) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let buckets: Vec<_> = buckets.into_iter().map(BucketId).collect();
        self.ask(|admin| async move {
            let offsets = admin.list_offsets(&path, &buckets, spec.0).await?;
            Ok(by_number(offsets))
        })
    }

    fn list_partition_offsets(
        &self,
        path: PathArgument,
        partition: String,
        buckets: Vec<i32>,
        spec: OffsetSpec,
    ) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let buckets: Vec<_> = buckets.into_iter().map(BucketId).collect();
        let partition = PartitionName::from(partition);
        self.ask(|admin| async move {
            let offsets = admin
                .list_partition_offsets(&path, &partition, &buckets, spec.0)
                .await?;
            Ok(by_number(offsets))
        })
    }

    fn list_table_offsets(&self, path: PathArgument, spec: OffsetSpec) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        self.ask(|admin| async move {
            let offsets = admin.list_table_offsets(&path, spec.0).await?.into_iter();
            Ok(offsets
                .map(|(bucket, offset)| (TableBucket(bucket), offset))
                .collect::<HashMap<_, _>>())
        })
    }

    fn get_row_count(&self, path: PathArgument) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        self.ask(|admin| async move { admin.row_count(&path).await })
    }

    fn get_server_nodes(&self) -> PyResult<Pending> {
        self.tell(
            |admin| async move { admin.server_nodes().await },
            cluster::server_nodes,
        )
    }

    fn list_database_summaries(&self) -> PyResult<Pending> {
        self.tell(
            |admin| async move { admin.database_summaries().await },
            catalog::database_summaries,
        )
    }

    fn alter_database(
        &self,
        name: String,
        changes: Vec<ConfigArgument>,
        comment: Option<String>,
        ignore_if_not_exists: bool,
    ) -> PyResult<Pending> {
        let changes = cluster::changes(changes)?;
        self.act(|admin| async move {
            let comment = comment.as_deref();
            admin
                .alter_database(&name, &changes, comment, ignore_if_not_exists)
                .await
        })
    }

    fn create_acls(&self, acls: Vec<AclArgument>) -> PyResult<Pending> {
        let acls = rights::acls(acls)?;
        self.act(|admin| async move { admin.create_acls(&acls).await })
    }

    fn list_acls(&self, wanted: FilterArgument) -> PyResult<Pending> {
        let filter = rights::filter(wanted)?;
        let list = |admin: Arc<client::Admin>| async move { admin.list_acls(&filter).await };
        self.tell(list, |py, acls| rights::bindings(py, &acls))
    }

    fn drop_acls(&self, filters: Vec<FilterArgument>) -> PyResult<Pending> {
        let filters = filters.into_iter().map(rights::filter);
        let filters = filters.collect::<PyResult<Vec<_>>>()?;
        let drop = |admin: Arc<client::Admin>| async move { admin.drop_acls(&filters).await };
        self.tell(drop, |py, dropped| {
            let lists = dropped.iter().map(|acls| rights::bindings(py, acls));
            list(py, lists)
        })
    }

    fn create_user(&self, name: String, password: String, ignore_if_exists: bool) -> PyResult<Pending> {
        self.act(|admin| async move { admin.create_user(&name, &password, ignore_if_exists).await })
    }

    fn alter_user(&self, name: String, password: String, ignore_if_not_exists: bool) -> PyResult<Pending> {
        self.act(|admin| async move { admin.alter_user(&name, &password, ignore_if_not_exists).await })
    }

    fn drop_user(&self, name: String, ignore_if_not_exists: bool) -> PyResult<Pending> {
        self.act(|admin| async move { admin.drop_user(&name, ignore_if_not_exists).await })
    }

    fn list_users(&self) -> PyResult<Pending> {
        self.tell(|admin| async move { admin.list_users().await }, users::infos)
    }

    fn describe_cluster_configs(&self) -> PyResult<Pending> {
        self.tell(
            |admin| async move { admin.cluster_configs().await },
            cluster::config_entries,
        )
    }

    fn alter_cluster_configs(&self, changes: Vec<ConfigArgument>) -> PyResult<Pending> {
        let changes = cluster::changes(changes)?;
        self.act(|admin| async move { admin.alter_cluster_configs(&changes).await })
    }

    fn get_cluster_health(&self) -> PyResult<Pending> {
        self.tell(
            |admin| async move { admin.cluster_health().await },
            cluster::health,
        )
    }

    fn add_server_tag(&self, servers: Vec<i32>, tag: i32) -> PyResult<Pending> {
        let (servers, tag) = (cluster::server_ids(servers), cluster::tag(tag)?);
        self.act(|admin| async move { admin.add_server_tag(&servers, tag).await })
    }

    fn remove_server_tag(&self, servers: Vec<i32>, tag: i32) -> PyResult<Pending> {
        let (servers, tag) = (cluster::server_ids(servers), cluster::tag(tag)?);
        self.act(|admin| async move { admin.remove_server_tag(&servers, tag).await })
    }

    fn add_server_tag_by_rack(&self, racks: Vec<String>, tag: i32) -> PyResult<Pending> {
        let tag = cluster::tag(tag)?;
        self.act(|admin| async move { admin.add_server_tag_by_rack(&racks, tag).await })
    }

    fn remove_server_tag_by_rack(&self, racks: Vec<String>, tag: i32) -> PyResult<Pending> {
        let tag = cluster::tag(tag)?;
        self.act(|admin| async move { admin.remove_server_tag_by_rack(&racks, tag).await })
    }

    fn rebalance(&self, goals: Vec<i32>) -> PyResult<Pending> {
        let goals = cluster::goals(goals)?;
        self.ask(|admin| async move { Ok(admin.rebalance(&goals).await?.0) })
    }

    #[pyo3(signature = (rebalance))]
    fn list_rebalance_progress(&self, rebalance: Option<String>) -> PyResult<Pending> {
        let id = rebalance.map(client::RebalanceId);
        self.tell(
            |admin| async move { admin.rebalance_progress(id.as_ref()).await },
            cluster::rebalance_progress,
        )
    }

    #[pyo3(signature = (rebalance))]
    fn cancel_rebalance(&self, rebalance: Option<String>) -> PyResult<Pending> {
        let id = rebalance.map(client::RebalanceId);
        self.act(|admin| async move { admin.cancel_rebalance(id.as_ref()).await })
    }

    #[pyo3(signature = (producer, offsets, ttl_ms))]
    fn register_producer_offsets(
        &self,
        producer: String,
        offsets: HashMap<TableBucket, Offset>,
        ttl_ms: Option<u64>,
    ) -> PyResult<Pending> {
        let offsets = offsets.into_iter().map(|(bucket, offset)| (bucket.0, offset));
        let offsets: BTreeMap<_, _> = offsets.collect();
        let ttl = ttl_ms.map(Duration::from_millis);
        let register = |admin: Arc<client::Admin>| async move {
            admin.register_producer_offsets(&producer, &offsets, ttl).await
        };
        self.tell(register, snapshots::registration)
    }

    fn get_producer_offsets(&self, producer: String) -> PyResult<Pending> {
        let name = producer.clone();
        self.tell(
            |admin| async move { admin.producer_offsets(&producer).await },
            move |py, offsets| snapshots::producer_offsets(py, &name, offsets),
        )
    }

    fn delete_producer_offsets(&self, producer: String) -> PyResult<Pending> {
        self.act(|admin| async move { admin.delete_producer_offsets(&producer).await })
    }

    #[pyo3(signature = (path, partition))]
    fn get_latest_kv_snapshots(&self, path: PathArgument, partition: Option<String>) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let partition = partition.map(PartitionName::from);
        self.tell(
            |admin| async move { admin.latest_kv_snapshots(&path, partition.as_ref()).await },
            snapshots::latest,
        )
    }

    fn get_kv_snapshot_metadata(&self, bucket: TableBucket, snapshot: i64) -> PyResult<Pending> {
        self.tell(
            |admin| async move { admin.kv_snapshot_metadata(bucket.0, SnapshotId(snapshot)).await },
            snapshots::metadata_of,
        )
    }

    #[pyo3(signature = (table, partition))]
    fn list_kv_snapshots(&self, table: i64, partition: Option<i64>) -> PyResult<Pending> {
        let partition = partition.map(PartitionId);
        self.tell(
            |admin| async move { admin.list_kv_snapshots(TableId(table), partition).await },
            snapshots::all,
        )
    }

    #[pyo3(signature = (table, partition))]
    fn list_remote_log_manifests(&self, table: i64, partition: Option<i64>) -> PyResult<Pending> {
        let partition = partition.map(PartitionId);
        self.tell(
            |admin| async move { admin.list_remote_log_manifests(TableId(table), partition).await },
            snapshots::manifests,
        )
    }

    #[pyo3(signature = (path, snapshot, readable))]
    fn get_lake_snapshot(
        &self,
        path: PathArgument,
        snapshot: Option<i64>,
        readable: bool,
    ) -> PyResult<Pending> {
        let path = path.of(self.0.get()?)?;
        let which = match snapshot {
            Some(id) => LakeSnapshotSpec::Id(SnapshotId(id)),
            None if readable => LakeSnapshotSpec::Readable,
            None => LakeSnapshotSpec::Latest,
        };
        self.tell(
            |admin| async move { admin.lake_snapshot(&path, which).await },
            snapshots::of_lake,
        )
    }

    fn create_kv_snapshot_lease(&self, lease_id: String, duration_ms: u64) -> PyResult<KvSnapshotLease> {
        let duration = Duration::from_millis(duration_ms);
        let lease = self.0.get()?.kv_snapshot_lease(lease_id, duration);
        Ok(KvSnapshotLease(Own::new(lease)))
    }
}

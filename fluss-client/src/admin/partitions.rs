use fluss_rpc::proto;

use super::Admin;
use crate::cluster::told_or_the_tables;
use crate::error::{Context, ErrorKind, Result};
use crate::wire;
use fluss_core::id::PartitionId;
use fluss_core::row::check_partition;
use fluss_core::types::{PartitionName, PartitionSpec, TableInfo, TablePath};

/// The partition that stands for those that only the lake has any more.
const HISTORICAL: &str = "__historical__";

/// A partition of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// The identity, which a partition created again does not share.
    pub id: PartitionId,
    /// The partition keys and their values, in the order of the table's partition keys.
    pub spec: PartitionSpec,
    /// How many buckets it has. Those of one table may differ (`v1_0.md` §5).
    pub bucket_count: i32,
}

fn context(path: &TablePath) -> Context {
    Context::new("list partitions of").table(path)
}

fn partition_infos(
    path: &TablePath,
    listed: Vec<proto::PbPartitionInfo>,
    count: impl Fn(Option<i32>) -> Result<i32, ErrorKind>,
) -> Result<Vec<PartitionInfo>> {
    let info = |partition: proto::PbPartitionInfo| {
        Ok(PartitionInfo {
            id: partition.partition_id.into(),
            spec: wire::spec_of(&partition.partition_spec),
            bucket_count: count(partition.bucket_count.filter(|count| *count > 0))?,
        })
    };
    let infos = listed.into_iter().map(info).collect::<Result<_, ErrorKind>>();
    infos.map_err(|kind| context(path).error(kind))
}

impl PartitionInfo {
    /// The name.
    pub fn name(&self) -> PartitionName {
        let values: Vec<_> = self.spec.values.iter().map(|(_, value)| value).collect();
        PartitionName::from_values(&values)
    }
}

impl Admin {
    /// Creates a partition. The table is asked for first: servers of Fluss take any text for a value.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a value that is none of its key's type;
    /// [`TABLE_NOT_PARTITIONED`](crate::ErrorCode::TABLE_NOT_PARTITIONED) if the table is not partitioned,
    /// [`PARTITION_SPEC_INVALID`](crate::ErrorCode::PARTITION_SPEC_INVALID) if keys or values do not fit otherwise,
    /// [`PARTITION_ALREADY_EXISTS`](crate::ErrorCode::PARTITION_ALREADY_EXISTS) if the partition exists, unless
    /// `ignore_if_exists`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn create_partition(
        &self,
        path: &TablePath,
        spec: &PartitionSpec,
        ignore_if_exists: bool,
    ) -> Result<()> {
        let context = Context::new("create partition of").table(path);
        let info = self.cluster.table_info(path).await;
        let info = info.map_err(|error| error.within(context.clone()))?;
        if info.is_partitioned() {
            check_partition(info.row_type(), spec)
                .map_err(|error| context.error(ErrorKind::InvalidArgument(error.to_string())))?;
        }
        self.create_checked_partition(path, spec, ignore_if_exists).await
    }

    /// As [`Self::create_partition`], with values out of rows.
    pub(crate) async fn create_checked_partition(
        &self,
        path: &TablePath,
        spec: &PartitionSpec,
        ignore_if_exists: bool,
    ) -> Result<()> {
        let context = Context::new("create partition of").table(path);
        let request = proto::CreatePartitionRequest {
            table_path: wire::table_path(path),
            partition_spec: wire::partition_spec(spec),
            ignore_if_not_exists: ignore_if_exists,
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Drops a partition. [`PARTITION_NOT_EXISTS`](crate::ErrorCode::PARTITION_NOT_EXISTS) if there is none, unless
    /// `ignore_if_not_exists`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn drop_partition(
        &self,
        path: &TablePath,
        spec: &PartitionSpec,
        ignore_if_not_exists: bool,
    ) -> Result<()> {
        let context = Context::new("drop partition of").table(path);
        let request = proto::DropPartitionRequest {
            table_path: wire::table_path(path),
            partition_spec: wire::partition_spec(spec),
            ignore_if_not_exists,
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// A table's partitions, or those whose values are the ones given.
    /// [`TABLE_NOT_PARTITIONED`](crate::ErrorCode::TABLE_NOT_PARTITIONED) if the table is not partitioned.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_partitions(
        &self,
        path: &TablePath,
        having: Option<&PartitionSpec>,
    ) -> Result<Vec<PartitionInfo>> {
        let (listed, _) = self.listed(path, having, false).await?;
        self.infos(path, listed).await
    }

    /// As [`list_partitions`](Self::list_partitions), and with the one that the cluster keeps for itself, if there is one:
    /// `__historical__`, by which partitions are read that only its lake has any more (`v1_0.md` §12).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_partitions_and_system(
        &self,
        path: &TablePath,
        having: Option<&PartitionSpec>,
    ) -> Result<Vec<PartitionInfo>> {
        let (listed, are_included) = self.listed(path, having, true).await?;
        let mut infos = self.infos(path, listed).await?;
        if are_included || having.is_some() {
            return Ok(infos);
        }
        // The server did not understand what it was asked.
        let info = self.table_info(path).await?;
        let (name, keys) = (
            PartitionName::from_values(&[HISTORICAL]),
            info.descriptor.partition_keys(),
        );
        if let ([key], Some(id)) = (keys, self.cluster.partition(path, &name).await?) {
            let value = [(key.clone(), HISTORICAL.to_owned())];
            infos.push(PartitionInfo {
                id,
                spec: PartitionSpec::new(value),
                bucket_count: self.cluster.bucket_count(&info, Some(id)).await?,
            });
        }
        Ok(infos)
    }

    async fn infos(
        &self,
        path: &TablePath,
        listed: Vec<proto::PbPartitionInfo>,
    ) -> Result<Vec<PartitionInfo>> {
        let is_told = |partition: &proto::PbPartitionInfo| partition.bucket_count.is_some();
        let info = if listed.iter().all(is_told) {
            None
        } else {
            Some(self.table_info(path).await?)
        };
        partition_infos(path, listed, |told| match (&info, told) {
            (Some(info), _) => told_or_the_tables(info, told),
            (None, told) => Ok(told.unwrap_or_default()),
        })
    }

    /// All partitions of a table.
    pub(crate) async fn partitions_of(&self, info: &TableInfo) -> Result<Vec<PartitionInfo>> {
        let (listed, _) = self.listed(&info.path, None, false).await?;
        partition_infos(&info.path, listed, |told| told_or_the_tables(info, told))
    }

    async fn listed(
        &self,
        path: &TablePath,
        having: Option<&PartitionSpec>,
        with_system: bool,
    ) -> Result<(Vec<proto::PbPartitionInfo>, bool)> {
        let request = proto::ListPartitionInfosRequest {
            table_path: wire::table_path(path),
            partial_partition_spec: having.map(wire::partition_spec),
            include_system_partitions: with_system.then_some(true),
        };
        let response = self.cluster.ask(&context(path), &request).await?;
        let are_included = response.system_partitions_included == Some(true);
        Ok((response.partitions_info, are_included))
    }
}

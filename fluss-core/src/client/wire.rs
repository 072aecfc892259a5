//! Names and descriptors as messages carry them.

use fluss_rpc::proto;

use crate::id::{BucketId, PartitionId, TableBucket, TableId};
use crate::types::{
    InvalidDefinition, PartitionSpec, TableDescriptor, TableInfo, TablePath, TableProperties,
};

pub(crate) fn table_path(path: &TablePath) -> proto::PbTablePath {
    proto::PbTablePath {
        database_name: path.database().to_owned(),
        table_name: path.table().to_owned(),
    }
}

pub(crate) fn pb_table_bucket(bucket: &TableBucket) -> proto::PbTableBucket {
    proto::PbTableBucket {
        table_id: bucket.table.get(),
        partition_id: bucket.partition.map(PartitionId::get),
        bucket_id: bucket.bucket.get(),
    }
}

pub(crate) fn table_bucket(bucket: &proto::PbTableBucket) -> TableBucket {
    TableBucket {
        table: TableId(bucket.table_id),
        partition: bucket.partition_id.map(PartitionId),
        bucket: BucketId(bucket.bucket_id),
    }
}

pub(crate) fn partition_spec(spec: &PartitionSpec) -> proto::PbPartitionSpec {
    let pair = |(key, value): &(String, String)| proto::PbKeyValue {
        key: key.clone(),
        value: value.clone(),
    };
    proto::PbPartitionSpec {
        partition_key_values: spec.values.iter().map(pair).collect(),
    }
}

pub(crate) fn spec_of(spec: &proto::PbPartitionSpec) -> PartitionSpec {
    PartitionSpec::new(
        spec.partition_key_values
            .iter()
            .map(|pair| (pair.key.clone(), pair.value.clone())),
    )
}

pub(crate) fn table_info(
    path: &TablePath,
    response: &proto::GetTableInfoResponse,
) -> Result<TableInfo, InvalidDefinition> {
    let descriptor = TableDescriptor::from_json(&response.table_json)?;
    let bucket_count = descriptor
        .bucket_count()
        .filter(|count| *count > 0)
        .ok_or_else(|| InvalidDefinition::new(format!("table {path}: the server names no bucket count")))?;
    let schema_id = i16::try_from(response.schema_id).map_err(|_| {
        InvalidDefinition::new(format!(
            "table {path}: schema id {} is too large",
            response.schema_id
        ))
    })?;
    Ok(TableInfo {
        path: path.clone(),
        id: response.table_id.into(),
        schema_id: schema_id.into(),
        properties: TableProperties::parse(descriptor.properties())?,
        bucket_count,
        created_time: response.created_time,
        modified_time: response.modified_time,
        descriptor,
    })
}

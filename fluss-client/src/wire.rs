//! Names and descriptors as messages carry them.

use std::time::Duration;

use fluss_rpc::proto;

use fluss_core::id::{BucketId, PartitionId, TableBucket, TableId};
use fluss_core::types::{
    InvalidDefinition, PartitionSpec, TableDescriptor, TableInfo, TablePath, TableProperties,
};

/// The most buckets that a table or a partition may be said to have; servers allow fewer, unless configured otherwise.
const MAX_BUCKETS: i32 = 1 << 17;

/// The time in ms that a server may take for a write whose answer is waited for as long as `timeout`: half of it, so that it
/// still can say that it was late, and be asked again.
pub(crate) fn server_limit(timeout: Duration) -> i32 {
    i32::try_from((timeout / 2).as_millis())
        .unwrap_or(i32::MAX)
        .max(1)
}

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
    if bucket_count > MAX_BUCKETS {
        return Err(InvalidDefinition::new(format!(
            "table {path}: the server says that it has {bucket_count} buckets; at most {MAX_BUCKETS} are possible here"
        )));
    }
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
        bucket_count_epoch: response.bucket_count_epoch.unwrap_or_default(),
        created_time: response.created_time,
        modified_time: response.modified_time,
        descriptor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluss_core::types::{DataType, Schema};

    fn info_of(buckets: i32) -> Result<TableInfo, InvalidDefinition> {
        let schema = Schema::builder().column("a", DataType::int()).build()?;
        let descriptor = TableDescriptor::builder(schema).distributed_by(1, Vec::<String>::new());
        let json = String::from_utf8(descriptor.build()?.to_json()).unwrap_or_default();
        let claimed = json.replace("\"bucket_count\":1", &format!("\"bucket_count\":{buckets}"));
        let response = proto::GetTableInfoResponse {
            table_json: claimed.into_bytes().into(),
            schema_id: 1,
            ..Default::default()
        };
        table_info(&TablePath::new("d", "t"), &response)
    }

    #[test]
    fn a_table_has_no_more_buckets_than_can_be() {
        assert_eq!(info_of(128_000).unwrap().bucket_count, 128_000);
        let error = info_of(i32::MAX).unwrap_err().to_string();
        assert!(
            error.contains("2147483647 buckets; at most 131072 are possible here"),
            "{error}"
        );
        for none in [0, -1] {
            assert!(info_of(none).unwrap_err().to_string().contains("no bucket count"));
        }
    }
}

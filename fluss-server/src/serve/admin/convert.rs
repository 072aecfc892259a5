//! Parts of messages ↔ what the catalog calls them.

use fluss_core::types::{PartitionSpec, TablePath};
use fluss_rpc::proto;

/// The path in a request; one that is absent names nothing that exists.
pub(super) fn path(path: &proto::PbTablePath) -> TablePath {
    TablePath::new(&*path.database_name, &*path.table_name)
}

pub(super) fn pb_path(path: &TablePath) -> proto::PbTablePath {
    proto::PbTablePath {
        database_name: path.database().to_owned(),
        table_name: path.table().to_owned(),
    }
}

pub(super) fn spec(spec: proto::PbPartitionSpec) -> PartitionSpec {
    PartitionSpec::new(
        spec.partition_key_values
            .into_iter()
            .map(|pair| (pair.key, pair.value)),
    )
}

pub(super) fn pb_spec(spec: PartitionSpec) -> proto::PbPartitionSpec {
    let pair = |(key, value)| proto::PbKeyValue { key, value };
    proto::PbPartitionSpec {
        partition_key_values: spec.values.into_iter().map(pair).collect(),
    }
}

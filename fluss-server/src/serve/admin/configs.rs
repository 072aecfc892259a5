//! The settings of the node (`behaviour.md` §8.5).

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use super::tables::property_change;
use crate::Failure;
use crate::catalog::PropertyChange;
use crate::security::{Operation, Resource};

/// A setting of the real server's engine, which can change while it runs. Here it limits nothing, and is kept so that
/// programs that set it find it again.
const RATE_LIMIT: &str = "kv.rocksdb.shared-rate-limiter.bytes-per-sec";
const LAKE: &str = "datalake.";

/// `DESCRIBE_CLUSTER_CONFIGS`.
pub fn describe_cluster_configs(
    context: &Context<'_>,
    _request: proto::DescribeClusterConfigsRequest,
) -> Result<proto::DescribeClusterConfigsResponse, Failure> {
    context.check(Operation::Describe, &Resource::cluster())?;
    let view = context.view();
    let changed = view.configs();
    let initial = context
        .node
        .configs
        .iter()
        .filter(|(key, _)| !changed.contains_key(*key));
    let initial = initial.map(|pair| (pair, "INITIAL_SERVER_CONFIG"));
    let changed = changed.iter().map(|pair| (pair, "DYNAMIC_SERVER_CONFIG"));
    let config = |((key, value), source): ((&String, &String), &str)| proto::PbDescribeConfig {
        config_key: key.clone(),
        config_value: Some(value.clone()),
        config_source: source.to_owned(),
    };
    Ok(proto::DescribeClusterConfigsResponse {
        configs: initial.chain(changed).map(config).collect(),
    })
}

/// `ALTER_CLUSTER_CONFIGS`: all of the changes, or none.
pub fn alter_cluster_configs(
    context: &Context<'_>,
    request: proto::AlterClusterConfigsRequest,
) -> Result<proto::AlterClusterConfigsResponse, Failure> {
    context.check(Operation::Alter, &Resource::cluster())?;
    let changes = request
        .alter_configs
        .into_iter()
        .map(change)
        .collect::<Result<Vec<_>, _>>()?;
    context.node.catalog.change_configs(changes)?;
    Ok(proto::AlterClusterConfigsResponse {})
}

fn change(change: proto::PbAlterConfig) -> Result<(String, Option<String>), Failure> {
    let (key, value) = match property_change(change)? {
        PropertyChange::Set(key, value) => (key, Some(value)),
        PropertyChange::Reset(key) => (key, None),
    };
    if key.starts_with(LAKE) {
        let reason = format!("'{key}': this node has no lake");
        return Err(Failure::new(ErrorCode::LAKE_STORAGE_NOT_CONFIGURED, reason));
    }
    if key != RATE_LIMIT {
        let reason = format!("'{key}' cannot change while the node runs");
        return Err(Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, reason));
    }
    Ok((key, value))
}

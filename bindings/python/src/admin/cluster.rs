//! Servers, settings, rebalances and health, to and from the classes of `fluss.cluster`.

use fluss_client as client;
use fluss_client::id::{ServerId, TableBucket as Bucket};
use fluss_client::{ConfigChange, Goal, ServerRole, ServerTag};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::classes::{list, metadata};
use crate::bucket::TableBucket;
use crate::error;

/// A `fluss.cluster.AlterConfig`.
#[derive(FromPyObject)]
pub(super) struct ConfigArgument {
    key: String,
    value: Option<String>,
    op_type: i32,
}

pub(super) fn changes(changes: Vec<ConfigArgument>) -> PyResult<Vec<ConfigChange>> {
    changes.into_iter().map(change).collect()
}

fn change(given: ConfigArgument) -> PyResult<ConfigChange> {
    match (given.op_type, given.key, given.value) {
        (0, key, Some(value)) => Ok(ConfigChange::Set(key, value)),
        (1, key, _) => Ok(ConfigChange::Delete(key)),
        (2, key, Some(value)) => Ok(ConfigChange::Append(key, value)),
        (3, key, Some(value)) => Ok(ConfigChange::Subtract(key, value)),
        (0 | 2 | 3, key, None) => Err(error::argument(format!("there is no value for '{key}'"))),
        (number, key, _) => Err(error::argument(format!(
            "'{key}': there is no operation {number}"
        ))),
    }
}

pub(super) fn server_ids(servers: Vec<i32>) -> Vec<ServerId> {
    servers.into_iter().map(ServerId).collect()
}

pub(super) fn tag(number: i32) -> PyResult<ServerTag> {
    ServerTag::from_number(number).ok_or_else(|| error::argument(format!("there is no server tag {number}")))
}

pub(super) fn goals(numbers: Vec<i32>) -> PyResult<Vec<Goal>> {
    let goal = |number| {
        Goal::from_number(number).ok_or_else(|| error::argument(format!("there is no goal {number}")))
    };
    numbers.into_iter().map(goal).collect()
}

/// A class of `fluss.cluster`.
fn cluster<'py>(py: Python<'py>, class: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("fluss.cluster")?.getattr(class)
}

const fn role_name(role: ServerRole) -> &'static str {
    match role {
        ServerRole::Coordinator => "CoordinatorServer",
        ServerRole::Tablet => "TabletServer",
    }
}

pub(super) fn server_nodes(py: Python<'_>, nodes: Vec<client::ServerNode>) -> PyResult<Bound<'_, PyAny>> {
    let class = metadata(py, "ServerNode")?;
    let node = |node: client::ServerNode| {
        let (host, port) = (node.address.host, node.address.port);
        class.call1((node.id, host, port, role_name(node.role)))
    };
    list(py, nodes.into_iter().map(node))
}

pub(super) fn config_entries(
    py: Python<'_>,
    configs: Vec<client::ClusterConfig>,
) -> PyResult<Bound<'_, PyAny>> {
    let class = cluster(py, "ConfigEntry")?;
    let entry =
        |config: client::ClusterConfig| class.call1((config.key, config.value, config.source.to_string()));
    list(py, configs.into_iter().map(entry))
}

pub(super) fn health(py: Python<'_>, health: client::ClusterHealth) -> PyResult<Bound<'_, PyAny>> {
    let status = cluster(py, "ClusterHealthStatus")?.call1((health.status.number(),))?;
    cluster(py, "ClusterHealth")?.call1((
        health.replicas,
        health.in_sync_replicas,
        health.buckets,
        health.led_buckets,
        status,
    ))
}

pub(super) fn rebalance_progress(
    py: Python<'_>,
    progress: Option<client::RebalanceProgress>,
) -> PyResult<Bound<'_, PyAny>> {
    let Some(progress) = progress else {
        return Ok(py.None().into_bound(py));
    };
    let status = cluster(py, "RebalanceStatus")?;
    let result = cluster(py, "RebalanceResultForBucket")?;
    let buckets = PyDict::new(py);
    for (bucket, moved) in &progress.buckets {
        let made = result.call1((plan(py, *bucket, moved)?, status.call1((moved.status.number(),))?))?;
        buckets.set_item(TableBucket(*bucket), made)?;
    }
    let whole = status.call1((progress.status.number(),))?;
    let share = progress.share();
    cluster(py, "RebalanceProgress")?.call1((progress.id.0, whole, share, buckets))
}

fn plan<'py>(py: Python<'py>, bucket: Bucket, moved: &client::BucketMove) -> PyResult<Bound<'py, PyAny>> {
    let numbers = |servers: &[ServerId]| servers.iter().map(|server| server.get()).collect::<Vec<_>>();
    cluster(py, "RebalancePlanForBucket")?.call1((
        TableBucket(bucket),
        moved.original_leader.map(ServerId::get),
        moved.new_leader.map(ServerId::get),
        numbers(&moved.original_replicas),
        numbers(&moved.new_replicas),
    ))
}

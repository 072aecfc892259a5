//! The settings of a cluster (`behaviour.md` §8.5).

use std::fmt;

use fluss_rpc::proto;

use super::Admin;
use crate::error::{Context, Result};

const INITIAL: &str = "INITIAL_SERVER_CONFIG";
const DYNAMIC: &str = "DYNAMIC_SERVER_CONFIG";

/// A setting of the servers.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// The key.
    pub key: String,
    /// The value. A 0.9.1 server shows passwords too.
    pub value: Option<String>,
    /// Where it was set.
    pub source: ConfigSource,
}

/// Where a setting of the servers comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigSource {
    /// The file that the server was started with.
    Initial,
    /// A change while the cluster ran.
    Dynamic,
    /// What the server calls by a name of its own.
    Other(String),
}

impl fmt::Display for ConfigSource {
    /// The name that servers give it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Initial => INITIAL,
            Self::Dynamic => DYNAMIC,
            Self::Other(name) => name,
        })
    }
}

/// A change of one setting of a cluster, or of one property of a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigChange {
    /// Sets a value.
    Set(String, String),
    /// Goes back to the default, or deletes the property.
    Delete(String),
    /// Adds to a list. No server of Fluss 0.9 does it.
    Append(String, String),
    /// Takes from a list. No server of Fluss 0.9 does it.
    Subtract(String, String),
}

impl ConfigChange {
    pub(super) fn to_proto(&self) -> proto::PbAlterConfig {
        let (op_type, key, value) = match self {
            Self::Set(key, value) => (0, key, Some(value)),
            Self::Delete(key) => (1, key, None),
            Self::Append(key, value) => (2, key, Some(value)),
            Self::Subtract(key, value) => (3, key, Some(value)),
        };
        proto::PbAlterConfig {
            config_key: key.clone(),
            config_value: value.cloned(),
            op_type,
        }
    }
}

impl Admin {
    /// The settings of the cluster that somebody has set, sorted by key.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn cluster_configs(&self) -> Result<Vec<ClusterConfig>> {
        let context = Context::new("describe cluster configs");
        let request = proto::DescribeClusterConfigsRequest {};
        let response = self.cluster.ask(&context, &request).await?;
        let mut configs: Vec<_> = response.configs.into_iter().map(config).collect();
        configs.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(configs)
    }

    /// Changes settings of the cluster while it runs: all of the changes, or none.
    ///
    /// # Errors
    ///
    /// Code -1 (64 from Fluss 1.0 on) for a setting that cannot change while the servers run. Of a 0.9.1 cluster that
    /// is everything but `datalake.*` and `kv.rocksdb.shared-rate-limiter.bytes-per-sec`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn alter_cluster_configs(&self, changes: &[ConfigChange]) -> Result<()> {
        let context = Context::new("alter cluster configs");
        let request = proto::AlterClusterConfigsRequest {
            alter_configs: changes.iter().map(ConfigChange::to_proto).collect(),
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }
}

fn config(config: proto::PbDescribeConfig) -> ClusterConfig {
    ClusterConfig {
        key: config.config_key,
        value: config.config_value,
        source: match config.config_source.as_str() {
            INITIAL => ConfigSource::Initial,
            DYNAMIC => ConfigSource::Dynamic,
            _ => ConfigSource::Other(config.config_source),
        },
    }
}

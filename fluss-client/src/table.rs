use std::sync::Arc;

use crate::cluster::Cluster;
use fluss_core::types::TableInfo;

/// A table, as it stood when it was asked for. Clones share it.
#[derive(Clone, Debug)]
pub struct Table {
    cluster: Cluster,
    info: Arc<TableInfo>,
}

impl Table {
    pub(crate) const fn new(cluster: Cluster, info: Arc<TableInfo>) -> Self {
        Self { cluster, info }
    }

    /// Path, identity, schema and properties.
    pub fn info(&self) -> &TableInfo {
        &self.info
    }

    pub(crate) fn shared_info(&self) -> Arc<TableInfo> {
        self.info.clone()
    }

    pub(crate) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

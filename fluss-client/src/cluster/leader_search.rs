//! Leaders that a task looks for beside its other work.

use std::collections::BTreeSet;

use super::Cluster;
use crate::error::Result;
use fluss_core::id::TableBucket;
use fluss_core::types::TablePath;

/// The buckets of a table whose leaders are looked for, by one refresh of the metadata at a time.
#[derive(Debug, Default)]
pub(crate) struct LeaderSearch {
    /// What the next refresh looks for.
    missing: BTreeSet<TableBucket>,
    is_refreshing: bool,
}

impl LeaderSearch {
    /// Adds buckets for the next refresh.
    pub(crate) fn add(&mut self, buckets: impl IntoIterator<Item = TableBucket>) {
        self.missing.extend(buckets);
    }

    /// Begins a refresh, unless one is under way. Once the future has ended, [`end`](Self::end) lets the next one begin.
    pub(crate) fn begin(
        &mut self,
        cluster: &Cluster,
        path: &TablePath,
    ) -> Option<impl Future<Output = Result<()>> + Send + use<>> {
        if std::mem::replace(&mut self.is_refreshing, true) {
            return None;
        }
        let (cluster, path) = (cluster.clone(), path.clone());
        let generation = cluster.topology().generation();
        let missing = std::mem::take(&mut self.missing);
        Some(async move {
            let refreshed = cluster.refresh_buckets(&path, &missing, generation).await;
            refreshed.map(drop)
        })
    }

    /// Takes note that the refresh has ended.
    pub(crate) const fn end(&mut self) {
        self.is_refreshing = false;
    }
}

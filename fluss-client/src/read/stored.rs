//! Stored values as columns.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use tokio::time::Instant;

use super::columns::Columns;
use crate::cluster::Cluster;
use crate::error::{Context, Result};
use crate::lookup::Values;

/// Reads stored values of a table, written under whatever schema, as some of its columns.
pub(super) struct StoredRows {
    cluster: Cluster,
    columns: Arc<Columns>,
    values: Values,
}

impl StoredRows {
    pub(super) fn new(cluster: &Cluster, columns: &Arc<Columns>) -> Self {
        Self {
            cluster: cluster.clone(),
            columns: columns.clone(),
            values: Values::new(cluster, &columns.info, "read"),
        }
    }

    /// The columns of some values.
    pub(super) async fn columns(
        &self,
        values: &[impl AsRef<[u8]>],
        context: &Context,
    ) -> Result<RecordBatch> {
        let deadline = Instant::now() + self.cluster.request_timeout();
        self.values.prepare(values.iter(), deadline).await?;
        let rows = self.values.project(values.iter(), &self.columns.read);
        rows.map_err(|error| error.within(context.clone()))
    }
}

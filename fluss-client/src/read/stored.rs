//! Stored values as columns.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::error::{Context, Result};
use crate::lookup::Values;
use fluss_core::DecodeError;
use fluss_core::arrow::{user_schema, with_schema};
use fluss_core::types::TableInfo;

/// Reads stored values of a table, written under whatever schema, as some of its columns.
pub(super) struct StoredRows<'a> {
    cluster: &'a Cluster,
    info: &'a TableInfo,
    /// The positions of the columns that are wanted.
    columns: &'a [usize],
    values: Values,
}

impl<'a> StoredRows<'a> {
    pub(super) fn new(cluster: &'a Cluster, info: &'a Arc<TableInfo>, columns: &'a [usize]) -> Self {
        Self {
            cluster,
            info,
            columns,
            values: Values::new(cluster, info, "read"),
        }
    }

    /// The columns of some values.
    pub(super) async fn columns(&self, values: &[Bytes], context: &Context) -> Result<RecordBatch> {
        let fault = |error: arrow::error::ArrowError| {
            let error = DecodeError::new("rows", error.to_string());
            context.clone().error(error)
        };
        let deadline = Instant::now() + self.cluster.options().request_timeout;
        self.values.prepare(values.iter(), deadline).await?;
        let rows = self.values.columns(values.iter().map(Some));
        let rows = rows.map_err(|error| error.within(context.clone()))?;
        let schema = user_schema(&self.info.row_type().project(self.columns));
        let shown = rows.project(self.columns).map_err(fault)?;
        with_schema(&shown, &schema).map_err(fault)
    }
}

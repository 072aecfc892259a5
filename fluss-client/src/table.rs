use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::cluster::Cluster;
use fluss_core::arrow::user_schema;
use fluss_core::types::TableInfo;

/// A table, as it stood when it was asked for. Clones share it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// # let path = TablePath::new("fluss", "people");
/// # let schema = Schema::builder().column("id", DataType::int()).column("name", DataType::string());
/// # let schema = schema.build()?;
/// # connection.admin().create_table(&path, &TableDescriptor::builder(schema).build()?, false).await?;
/// let table = connection.table(&path).await?;
/// assert_eq!(table.info().row_type().len(), 2);
/// assert_eq!(table.arrow_schema().field(1).name(), "name");
/// table.append_writer()?.append(&[1.into(), "Ada".into()]).await?.wait().await?;
/// assert_eq!(table.scan().take_rows(10).await?.num_rows(), 1);
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
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

    /// The Arrow schema of its rows, as scanners show them.
    pub fn arrow_schema(&self) -> SchemaRef {
        user_schema(self.info.row_type())
    }

    pub(crate) fn shared_info(&self) -> Arc<TableInfo> {
        self.info.clone()
    }

    pub(crate) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

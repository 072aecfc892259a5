//! What tests of several rooms share.

use std::time::Duration;

use fluss_core::types::{DataType, Schema, TableDescriptor, TablePath};

use crate::config::ClientOptions;
use crate::{Connection, Table};

/// Longer than anything takes that does not hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A log table of one column, `fluss.events`, in a node in memory.
pub(crate) async fn events(options: impl FnOnce(&mut ClientOptions)) -> (Connection, Table) {
    let mut chosen = crate::options("embedded::memory:").await.unwrap();
    options(&mut chosen);
    let connection = Connection::open(chosen).await.unwrap();
    let path = TablePath::new("fluss", "events");
    let schema = Schema::builder().column("id", DataType::int()).build().unwrap();
    let descriptor = TableDescriptor::builder(schema).build().unwrap();
    connection
        .admin()
        .create_table(&path, &descriptor, false)
        .await
        .unwrap();
    let table = connection.table(&path).await.unwrap();
    (connection, table)
}

use std::sync::Arc;

use super::Connection;
use crate::types::TableInfo;

/// A table, as it stood when it was asked for. Clones share it.
#[derive(Clone, Debug)]
pub struct Table {
    connection: Connection,
    info: Arc<TableInfo>,
}

impl Table {
    pub(crate) const fn new(connection: Connection, info: Arc<TableInfo>) -> Self {
        Self { connection, info }
    }

    /// Path, identity, schema and properties.
    pub fn info(&self) -> &TableInfo {
        &self.info
    }

    /// The connection that the table was had from.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }
}

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::error::Result;
use crate::lookup::LookupBuilder;
use crate::scan::ScanBuilder;
use crate::write::{AppendWriter, UpsertBuilder, UpsertWriter};
use crate::{Admin, Connection};
use fluss_core::types::TableInfo;

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

    pub(crate) fn shared_info(&self) -> Arc<TableInfo> {
        self.info.clone()
    }

    /// A writer that appends to the table.
    ///
    /// # Errors
    ///
    /// A table with a primary key takes no appends.
    pub fn append_writer(&self) -> Result<AppendWriter> {
        AppendWriter::new(self.cluster(), &self.info)
    }

    /// Begins to upsert and delete rows by key.
    pub fn upsert(&self) -> UpsertBuilder {
        UpsertBuilder::new(self.clone())
    }

    /// A writer that upserts and deletes whole rows: short for `upsert().writer()`.
    ///
    /// # Errors
    ///
    /// As [`UpsertBuilder::writer`].
    pub fn upsert_writer(&self) -> Result<UpsertWriter> {
        self.upsert().writer()
    }

    /// Begins to look rows up by key.
    pub fn lookup(&self) -> LookupBuilder {
        LookupBuilder::new(self.clone())
    }

    /// Begins a scan.
    pub fn scan(&self) -> ScanBuilder {
        ScanBuilder::new(self.clone())
    }

    /// The connection that the table was had from.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) const fn cluster(&self) -> &Cluster {
        self.connection.cluster()
    }

    pub(crate) fn admin(&self) -> Admin {
        self.connection.admin()
    }
}

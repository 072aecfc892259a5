use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fluss_core::id::{PartitionId, TableId};
use fluss_core::types::{PartitionName, TablePath};
use fluss_rpc::code::ErrorCode;

use super::entry::{Database, TableEntry};
use super::producers::ProducerOffsets;
use crate::Failure;
use crate::security::{Acls, Users};

/// The catalog as it was at one moment. It does not change any more.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub(super) databases: BTreeMap<String, Arc<Database>>,
    pub(super) tables: HashMap<TableId, Arc<TableEntry>>,
    pub(super) paths: BTreeMap<TablePath, TableId>,
    pub(super) partitions: HashMap<PartitionId, TableId>,
    pub(super) acls: Arc<Acls>,
    pub(super) producers: BTreeMap<String, Arc<ProducerOffsets>>,
    pub(super) configs: BTreeMap<String, String>,
    pub(super) users: Arc<Users>,
    pub(super) counters: Counters,
}

/// What is to be given out next. Writers and auto-increment columns have been promised more than was given out, so
/// that not every number costs a write.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Counters {
    pub(super) table: i64,
    pub(super) partition: i64,
    /// Where the next process begins.
    pub(super) writer: i64,
    /// Where the next process begins, for tables that have given out any.
    pub(super) auto_increment: BTreeMap<TableId, i64>,
}

impl View {
    /// The databases by name.
    pub const fn databases(&self) -> &BTreeMap<String, Arc<Database>> {
        &self.databases
    }

    /// The database of this name.
    ///
    /// # Errors
    /// `DATABASE_NOT_EXIST`.
    pub fn database(&self, name: &str) -> Result<&Arc<Database>, Failure> {
        self.databases.get(name).ok_or_else(|| {
            Failure::new(
                ErrorCode::DATABASE_NOT_EXIST,
                format!("database '{name}' does not exist"),
            )
        })
    }

    /// All tables, in no order.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableEntry>> {
        self.tables.values()
    }

    /// The tables of a database by name.
    pub fn tables_of<'a>(&'a self, database: &'a str) -> impl Iterator<Item = (&'a TablePath, TableId)> {
        let from = TablePath::new(database, "");
        let paths = self.paths.range(from..);
        paths
            .take_while(move |(path, _)| path.database() == database)
            .map(|(path, id)| (path, *id))
    }

    /// The table of this identity.
    pub fn table(&self, id: TableId) -> Option<&Arc<TableEntry>> {
        self.tables.get(&id)
    }

    /// The table of this path.
    ///
    /// # Errors
    /// `TABLE_NOT_EXIST`.
    pub fn table_by_path(&self, path: &TablePath) -> Result<&Arc<TableEntry>, Failure> {
        let table = self.paths.get(path).and_then(|id| self.tables.get(id));
        table.ok_or_else(|| {
            Failure::new(
                ErrorCode::TABLE_NOT_EXIST,
                format!("table '{path}' does not exist"),
            )
        })
    }

    /// The partition of this identity: its table and its name.
    pub fn partition(&self, id: PartitionId) -> Option<(&Arc<TableEntry>, &PartitionName)> {
        let table = self.tables.get(self.partitions.get(&id)?)?;
        Some((table, table.partition_name(id)?))
    }

    /// The rights that were given.
    pub fn acls(&self) -> &Acls {
        &self.acls
    }

    /// The settings of the node that were changed while it ran.
    pub const fn configs(&self) -> &BTreeMap<String, String> {
        &self.configs
    }

    /// Puts a table in, in place of its former version.
    pub(super) fn put_table(&mut self, table: TableEntry) {
        let id = table.id();
        self.forget_partitions(id);
        self.partitions
            .extend(table.partitions().values().map(|partition| (partition.id, id)));
        self.paths.insert(table.info().path.clone(), id);
        self.tables.insert(id, Arc::new(table));
    }

    pub(super) fn remove_table(&mut self, id: TableId) {
        self.forget_partitions(id);
        if let Some(table) = self.tables.remove(&id) {
            self.paths.remove(&table.info().path);
        }
        self.counters.auto_increment.remove(&id);
    }

    fn forget_partitions(&mut self, id: TableId) {
        if let Some(table) = self.tables.get(&id) {
            for partition in table.partitions().values() {
                self.partitions.remove(&partition.id);
            }
        }
    }
}

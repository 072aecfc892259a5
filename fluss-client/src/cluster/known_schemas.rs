//! Schemas that are known. One never changes, so that it is asked for once.

use std::collections::HashMap;
use std::sync::Arc;

use fluss_rpc::sync::RwLock;

use fluss_core::id::{SchemaId, TableId};
use fluss_core::types::Schema;

/// What is known of schemas, for all tables of a connection.
#[derive(Debug, Default)]
pub(crate) struct Schemas(RwLock<HashMap<(TableId, SchemaId), Arc<Schema>>>);

impl Schemas {
    pub(super) fn get(&self, table: TableId, id: SchemaId) -> Option<Arc<Schema>> {
        let known = self.0.read();
        known.get(&(table, id)).cloned()
    }

    pub(super) fn put(&self, table: TableId, id: SchemaId, schema: Arc<Schema>) {
        let mut known = self.0.write();
        known.insert((table, id), schema);
    }
}

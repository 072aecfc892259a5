//! Reading a state.

use std::io;
use std::sync::Arc;

use fluss_rpc::sync::RwLockReadGuard;
use heed::{RoTxn, WithoutTls};

use super::super::engine::{About, Snapshot};
use super::ledger::Ledger;
use super::open::Environment;
use crate::tree::{self, ABOUT, Tree, Visit, fault};

/// The tree at one moment.
pub(super) struct View<'m> {
    txn: RoTxn<'static, WithoutTls>,
    tree: Tree,
    /// Let go after the transaction: the map stays where it is until then,
    _map: RwLockReadGuard<'m, ()>,
    /// and the environment is open.
    _environment: Arc<Environment>,
}

impl<'m> View<'m> {
    pub(super) fn new(environment: Arc<Environment>, map: RwLockReadGuard<'m, ()>) -> io::Result<Self> {
        Ok(Self {
            txn: environment.env.clone().static_read_txn().map_err(fault)?,
            tree: environment.tree,
            _map: map,
            _environment: environment,
        })
    }

    fn ledger(&self) -> io::Result<Ledger> {
        let stored = self.tree.get(&self.txn, &ABOUT).map_err(fault)?;
        Ok(stored.map(Ledger::decode).unwrap_or_default())
    }
}

impl Snapshot for View<'_> {
    fn about(&self) -> io::Result<About> {
        self.ledger().map(|ledger| ledger.about)
    }

    fn count(&self) -> io::Result<u64> {
        let entries = self.tree.len(&self.txn).map_err(fault)?;
        Ok(self.ledger()?.links.rows_of(entries))
    }

    fn get(&self, key: &[u8]) -> io::Result<Option<&[u8]>> {
        tree::get(self.tree, &self.txn, key).map_err(fault)
    }

    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()> {
        tree::scan(self.tree, &self.txn, prefix, visit)
    }
}

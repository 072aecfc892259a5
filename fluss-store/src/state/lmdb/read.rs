//! Reading the tree.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use fluss_rpc::sync::RwLockReadGuard;
use heed::{RoTxn, WithoutTls};

use super::super::engine::{About, Snapshot, Visit};
use super::keys::{ABOUT, Branch, TreeKey, branch_of, is_link};
use super::map::fault;
use super::open::{Environment, Tree};
use super::write::Ledger;

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

    fn ledger(&self) -> io::Result<Option<Ledger>> {
        Ok(self.find(&ABOUT)?.map(Ledger::decode))
    }

    /// The value of a key of the tree.
    fn find(&self, tree_key: &[u8]) -> io::Result<Option<&[u8]>> {
        self.tree.get(&self.txn, tree_key).map_err(fault)
    }

    /// Visits what begins with `prefix` in a branch, all of whose keys begin with `key`.
    fn scan_branch(
        &self,
        branch: Option<Branch>,
        key: &mut Vec<u8>,
        prefix: &[u8],
        visit: Visit<'_>,
    ) -> io::Result<ControlFlow<()>> {
        let begin = TreeKey::of(branch).as_slice().len();
        let mut from = TreeKey::of(branch);
        if let Some(rest) = from.fill(prefix) {
            return match self.find(from.as_slice())? {
                Some(link) => {
                    let taken = prefix.len() - rest.len();
                    key.extend_from_slice(prefix.get(..taken).unwrap_or_default());
                    self.scan_branch(Some(branch_of(link)), key, rest, visit)
                }
                None => Ok(ControlFlow::Continue(())),
            };
        }
        let outside = key.len();
        for entry in self.tree.prefix_iter(&self.txn, from.as_slice()).map_err(fault)? {
            let (tree_key, value) = entry.map_err(fault)?;
            key.truncate(outside);
            key.extend_from_slice(tree_key.get(begin..).unwrap_or_default());
            let next = if is_link(tree_key) {
                self.scan_branch(Some(branch_of(value)), key, &[], visit)?
            } else {
                visit(key, value)?
            };
            if next.is_break() {
                return Ok(next);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Snapshot for View<'_> {
    fn about(&self) -> io::Result<About> {
        Ok(self.ledger()?.map_or_else(About::default, |ledger| ledger.about))
    }

    fn count(&self) -> io::Result<u64> {
        let entries = self.tree.len(&self.txn).map_err(fault)?;
        let others = self.ledger()?.map_or(0, |ledger| ledger.links + 1);
        Ok(entries.saturating_sub(others))
    }

    fn get(&self, key: &[u8]) -> io::Result<Option<&[u8]>> {
        let (mut branch, mut key) = (None, key);
        loop {
            let mut tree_key = TreeKey::of(branch);
            let rest = tree_key.fill(key);
            let found = self.find(tree_key.as_slice())?;
            match (rest, found) {
                (Some(rest), Some(link)) => (branch, key) = (Some(branch_of(link)), rest),
                _ => return Ok(found),
            }
        }
    }

    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()> {
        self.scan_branch(None, &mut Vec::new(), prefix, visit).map(drop)
    }
}

//! Writing the tree.

use heed::RwTxn;

use super::super::engine::{About, Change};
use super::keys::{ABOUT, Branch, MOST, TreeKey, branch_of};
use super::open::Tree;

/// What the tree has beside rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) about: About,
    /// Keys of the tree that are links.
    pub(super) links: u64,
    next_branch: Branch,
}

impl Ledger {
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let mut words = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| i64::from_le_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        Self {
            about: About {
                applied: next(),
                numbers: next()..next(),
            },
            links: next() as u64,
            next_branch: next() as u64,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let About { applied, numbers } = &self.about;
        let words = [
            *applied,
            numbers.start,
            numbers.end,
            self.links as i64,
            self.next_branch as i64,
        ];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// The pages that a change adds at most: one by a split, and those of a value, or of the pieces of a key, that fill
/// pages of their own.
pub(super) fn pages(change: &Change) -> u64 {
    const SMALLEST_PAGE: usize = 4 << 10;
    let value = change.value.as_ref().map_or(0, bytes::Bytes::len);
    let own = if value < SMALLEST_PAGE / 4 {
        0
    } else {
        value / SMALLEST_PAGE + 2
    };
    (1 + own + 2 * (change.key.len() / (MOST - 9))) as u64
}

/// A write transaction under way.
pub(super) struct Writes<'t, 'e> {
    txn: &'t mut RwTxn<'e>,
    tree: Tree,
    ledger: Ledger,
}

impl<'t, 'e> Writes<'t, 'e> {
    pub(super) fn new(txn: &'t mut RwTxn<'e>, tree: Tree) -> heed::Result<Self> {
        let ledger = tree.get(txn, &ABOUT)?.map(Ledger::decode).unwrap_or_default();
        Ok(Self { txn, tree, ledger })
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> heed::Result<()> {
        let (mut branch, mut key) = (None, key);
        loop {
            let mut tree_key = TreeKey::of(branch);
            match tree_key.fill(key) {
                Some(rest) => (branch, key) = (Some(self.link(&tree_key)?), rest),
                None => return self.tree.put(self.txn, tree_key.as_slice(), value),
            }
        }
    }

    /// The branch behind a link, which is made if it is not there.
    fn link(&mut self, tree_key: &TreeKey) -> heed::Result<Branch> {
        if let Some(link) = self.tree.get(self.txn, tree_key.as_slice())? {
            return Ok(branch_of(link));
        }
        let branch = self.ledger.next_branch;
        self.ledger.next_branch += 1;
        self.ledger.links += 1;
        self.tree
            .put(self.txn, tree_key.as_slice(), &branch.to_be_bytes())?;
        Ok(branch)
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> heed::Result<()> {
        self.remove_in(None, key)
    }

    fn remove_in(&mut self, branch: Option<Branch>, key: &[u8]) -> heed::Result<()> {
        let mut tree_key = TreeKey::of(branch);
        let Some(rest) = tree_key.fill(key) else {
            return self.tree.delete(self.txn, tree_key.as_slice()).map(drop);
        };
        let Some(link) = self.tree.get(self.txn, tree_key.as_slice())? else {
            return Ok(());
        };
        let inner = Some(branch_of(link));
        self.remove_in(inner, rest)?;
        let left = self
            .tree
            .prefix_iter(self.txn, TreeKey::of(inner).as_slice())?
            .next();
        if left.is_none() {
            self.ledger.links -= 1;
            self.tree.delete(self.txn, tree_key.as_slice())?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, about: &About) -> heed::Result<()> {
        self.ledger.about.clone_from(about);
        self.tree.put(self.txn, &ABOUT, &self.ledger.encode())
    }

    pub(super) fn clear(&mut self) -> heed::Result<()> {
        self.ledger = Ledger::default();
        self.tree.clear(self.txn)
    }
}

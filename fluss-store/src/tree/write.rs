//! Writing the tree.

use heed::types::Bytes;
use heed::{PutFlags, RwIter, RwTxn};

use super::keys::{Branch, MOST, SHORT, TreeKey, branch_of, short_key};
use super::read::{has_any, last_key};
use super::{Links, Tree};

/// The pages that a key and its value add at most: one by a split, and those of a value, or of the pieces of a key, that
/// fill pages of their own.
pub(crate) const fn pages(key_bytes: usize, value_bytes: usize) -> u64 {
    const SMALLEST_PAGE: usize = 4 << 10;
    let own = if value_bytes < SMALLEST_PAGE / 4 {
        0
    } else {
        value_bytes / SMALLEST_PAGE + 2
    };
    (1 + own + 2 * (key_bytes / (MOST - 9))) as u64
}

/// A write transaction under way.
pub(crate) struct Writes<'t, 'e> {
    txn: &'t mut RwTxn<'e>,
    tree: Tree,
    /// As they are now: for whoever stores them when all is written.
    pub(crate) links: Links,
}

impl<'t, 'e> Writes<'t, 'e> {
    pub(crate) const fn new(txn: &'t mut RwTxn<'e>, tree: Tree, links: Links) -> Self {
        Self { txn, tree, links }
    }

    /// No key of a row comes behind this one, as far as keys go that are no longer than the tree takes.
    pub(crate) fn last_key(&self) -> heed::Result<Vec<u8>> {
        last_key(self.tree, self.txn)
    }

    /// Where rows are put one by one.
    pub(crate) fn place(&mut self) -> heed::Result<Place<'_>> {
        Ok(Place(self.tree.iter_mut(self.txn)?))
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> heed::Result<()> {
        self.put_with(PutFlags::empty(), key, value)
    }

    /// As [`put`](Self::put) a row whose key comes behind all that there are: it is not looked for, and pages become full.
    pub(crate) fn append(&mut self, key: &[u8], value: &[u8]) -> heed::Result<()> {
        self.put_with(PutFlags::APPEND, key, value)
    }

    fn put_with(&mut self, flags: PutFlags, key: &[u8], value: &[u8]) -> heed::Result<()> {
        let (mut branch, mut key) = (None, key);
        loop {
            let mut tree_key = TreeKey::of(branch);
            match tree_key.fill(key) {
                Some(rest) => (branch, key) = (Some(self.link(&tree_key)?), rest),
                // Branches come behind all rows.
                None if branch.is_none() && self.links.count == 0 => {
                    return self
                        .tree
                        .put_with_flags(self.txn, flags, tree_key.as_slice(), value);
                }
                None => return self.tree.put(self.txn, tree_key.as_slice(), value),
            }
        }
    }

    /// The branch behind a link, which is made if it is not there.
    fn link(&mut self, tree_key: &TreeKey) -> heed::Result<Branch> {
        if let Some(link) = self.tree.get(self.txn, tree_key.as_slice())? {
            return Ok(branch_of(link));
        }
        let branch = self.links.next_branch;
        self.links.next_branch += 1;
        self.links.count += 1;
        self.tree
            .put(self.txn, tree_key.as_slice(), &branch.to_be_bytes())?;
        Ok(branch)
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> heed::Result<()> {
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
        if !has_any(self.tree, self.txn, TreeKey::of(inner).as_slice())? {
            self.links.count -= 1;
            self.tree.delete(self.txn, tree_key.as_slice())?;
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self) -> heed::Result<()> {
        self.links = Links::default();
        self.tree.clear(self.txn)
    }

    /// Stores what stands beside the rows.
    pub(crate) fn put_about(&mut self, about: &[u8]) -> heed::Result<()> {
        self.tree.put(self.txn, &super::ABOUT, about)
    }
}

/// A place in the tree. Nothing else is done to the tree as long as there is one.
pub(crate) struct Place<'t>(RwIter<'t, Bytes, Bytes>);

impl Place<'_> {
    /// Puts a row: fastest, and so that pages become full, behind the one before if that was the last. Returns whether it did:
    /// not where the key is so long that there may be more to put.
    #[expect(
        unsafe_code,
        reason = "As long as there is a place, nobody has a reference to what this transaction reads."
    )]
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> heed::Result<bool> {
        let mut short = [0; SHORT];
        let long;
        let tree_key = if let Some(tree_key) = short_key(key, &mut short) {
            tree_key
        } else {
            let mut tree_key = TreeKey::of(None);
            if tree_key.fill(key).is_some() {
                return Ok(false);
            }
            long = tree_key;
            long.as_slice()
        };
        let put = unsafe {
            self.0
                .put_current_with_options::<Bytes>(PutFlags::empty(), tree_key, value)
        };
        put.map(|()| true)
    }
}

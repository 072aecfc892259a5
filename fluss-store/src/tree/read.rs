//! Reading the tree.

use std::io;
use std::ops::{Bound, ControlFlow};

use heed::RoTxn;

use super::keys::{BEHIND_ROWS, Branch, SHORT, TreeKey, branch_of, is_link, short_key};
use super::{Tree, Visit, fault};

/// The value of a key.
pub(crate) fn get<'t>(tree: Tree, txn: &'t RoTxn, key: &[u8]) -> heed::Result<Option<&'t [u8]>> {
    let mut short = [0; SHORT];
    if let Some(tree_key) = short_key(key, &mut short) {
        return tree.get(txn, tree_key);
    }
    let (mut branch, mut key) = (None, key);
    loop {
        let mut tree_key = TreeKey::of(branch);
        let rest = tree_key.fill(key);
        let found = tree.get(txn, tree_key.as_slice())?;
        match (rest, found) {
            (Some(rest), Some(link)) => (branch, key) = (Some(branch_of(link)), rest),
            _ => return Ok(found),
        }
    }
}

/// No key of a row comes behind this one, as far as keys go that are no longer than the tree takes.
pub(super) fn last_key(tree: Tree, txn: &RoTxn) -> heed::Result<Vec<u8>> {
    let rows = TreeKey::of(None);
    let last = tree.get_lower_than(txn, &BEHIND_ROWS)?;
    let key = last.and_then(|(key, _)| key.strip_prefix(rows.as_slice()));
    Ok(key.unwrap_or_default().to_vec())
}

/// Whether keys of the tree begin so.
pub(super) fn has_any(tree: Tree, txn: &RoTxn, prefix: &[u8]) -> heed::Result<bool> {
    let first = tree.get_greater_than_or_equal_to(txn, prefix)?;
    Ok(first.is_some_and(|(key, _)| key.starts_with(prefix)))
}

/// Visits the keys that begin with `prefix`, in the order of their bytes.
pub(crate) fn scan(tree: Tree, txn: &RoTxn, prefix: &[u8], visit: Visit<'_>) -> io::Result<()> {
    scan_branch(tree, txn, None, &mut Vec::new(), prefix, visit).map(drop)
}

/// Visits what begins with `prefix` in a branch, all of whose keys begin with `key`.
fn scan_branch(
    tree: Tree,
    txn: &RoTxn,
    branch: Option<Branch>,
    key: &mut Vec<u8>,
    prefix: &[u8],
    visit: Visit<'_>,
) -> io::Result<ControlFlow<()>> {
    let begin = TreeKey::of(branch).as_slice().len();
    let mut from = TreeKey::of(branch);
    if let Some(rest) = from.fill(prefix) {
        return match tree.get(txn, from.as_slice()).map_err(fault)? {
            Some(link) => {
                let taken = prefix.len() - rest.len();
                key.extend_from_slice(prefix.get(..taken).unwrap_or_default());
                scan_branch(tree, txn, Some(branch_of(link)), key, rest, visit)
            }
            None => Ok(ControlFlow::Continue(())),
        };
    }
    let outside = key.len();
    let range = (Bound::Included(from.as_slice()), Bound::Unbounded);
    for entry in tree.range(txn, &range).map_err(fault)? {
        let (tree_key, value) = entry.map_err(fault)?;
        if !tree_key.starts_with(from.as_slice()) {
            break;
        }
        key.truncate(outside);
        key.extend_from_slice(tree_key.get(begin..).unwrap_or_default());
        let next = if is_link(tree_key) {
            scan_branch(tree, txn, Some(branch_of(value)), key, &[], visit)?
        } else {
            visit(key, value)?
        };
        if next.is_break() {
            return Ok(next);
        }
    }
    Ok(ControlFlow::Continue(()))
}

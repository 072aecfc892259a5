//! Keys of any length in a tree whose keys have 1 to 511 bytes.
//!
//! ```text
//! 00                        what stands beside the rows
//! 01 key                    the value of a key of less than 510 bytes
//! 01 first 510 bytes        a link: the number N of the branch that holds the rest of all keys that begin so
//! 02 N rest                 the value of a longer key, of whose rest there are less than 502 bytes
//! 02 N next 502 bytes       a link
//! ```
//!
//! So a tree key of 511 bytes is a link, and no other is. Byte order and prefixes are those of the keys.

/// The most bytes that the tree takes for a key.
pub(crate) const MOST: usize = 511;
/// The key of what stands beside the rows.
pub(crate) const ABOUT: [u8; 1] = [0];
const ROWS: u8 = 1;
const BRANCHES: u8 = 2;
/// Behind the keys of all rows that are in no branch.
pub(super) const BEHIND_ROWS: [u8; 1] = [BRANCHES];

/// The number of a branch.
pub(crate) type Branch = u64;

/// A key of the tree, in the making.
#[derive(Debug)]
pub(super) struct TreeKey {
    bytes: [u8; MOST],
    len: usize,
}

impl TreeKey {
    /// The beginning of the keys of a branch, or of those that are in none.
    pub(super) fn of(branch: Option<Branch>) -> Self {
        let mut key = Self {
            bytes: [0; MOST],
            len: 0,
        };
        match branch {
            None => key.push(&[ROWS]),
            Some(number) => {
                key.push(&[BRANCHES]);
                key.push(&number.to_be_bytes());
            }
        }
        key
    }

    /// Adds as much of a row's key as there is room for, and returns the rest; nothing if all of it is in, and the key
    /// is not a link.
    pub(super) fn fill<'k>(&mut self, key: &'k [u8]) -> Option<&'k [u8]> {
        let room = MOST - self.len;
        let (front, rest) = key.split_at(room.min(key.len()));
        self.push(front);
        is_link(self.as_slice()).then_some(rest)
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }
}

/// The keys of the tree that fit into so many bytes are made faster.
pub(super) const SHORT: usize = 64;

/// The key of the tree of a short key of a row.
pub(super) fn short_key<'b>(key: &[u8], bytes: &'b mut [u8; SHORT]) -> Option<&'b [u8]> {
    let (first, rest) = bytes.split_first_mut()?;
    *first = ROWS;
    rest.get_mut(..key.len())?.copy_from_slice(key);
    bytes.get(..=key.len())
}

/// Whether a key of the tree leads to a branch.
pub(super) const fn is_link(tree_key: &[u8]) -> bool {
    tree_key.len() == MOST
}

/// The branch that a link leads to.
pub(super) fn branch_of(link: &[u8]) -> Branch {
    link.first_chunk()
        .map_or(0, |bytes| Branch::from_be_bytes(*bytes))
}

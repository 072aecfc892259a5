//! What the first two pages say of a file, looked at before it is mapped: LMDB takes them at their word, and what they
//! promise and the file does not have is zeros, or the end of the process.
//!
//! ```text
//! page    number, pad u16, flags u16, u32                        in the byte order and the word size of the machine
//! meta    magic u32, version u32, address, map size, tree of free pages, tree of rows, last page, transaction
//! tree    pad u32 (of the first: the size of a page), flags u16, depth u16, 3 counts of pages, entries, root
//! ```
//!
//! A commit writes one of the two, in turn. Nothing vouches for the pages behind them.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;

use fluss_core::DecodeError;

use crate::error::Unusable;

const WORD: usize = size_of::<usize>();
const META_AT: usize = WORD + 8;
const TREES_AT: usize = META_AT + 8 + 2 * WORD;
const TREE_BYTES: usize = 8 + 5 * WORD;
const LAST_PAGE_AT: usize = TREES_AT + 2 * TREE_BYTES;
const HEAD_BYTES: usize = LAST_PAGE_AT + 2 * WORD;

const IS_META: u16 = 8;
const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// What LMDB takes for the size of a page, in bytes.
const PAGE_BYTES: RangeInclusive<u32> = 512..=64 << 10;
/// The flags of the trees, which say how keys are compared: numbers, and bytes.
const TREE_FLAGS: [u16; 2] = [8, 0];
/// The first page that a tree can have.
const FIRST_PAGE: usize = 2;
/// The root of a tree without pages.
const NO_PAGE: usize = usize::MAX;
/// How deep a tree may be that LMDB finds its way in.
const DEEPEST: u16 = 32;

/// What one of the two pages says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Head {
    page_bytes: u32,
    last_page: usize,
    transaction: usize,
    /// Whether its trees begin with pages that there are.
    has_trees: bool,
}

/// Whether a file can be what LMDB left: an empty one can.
pub(crate) fn check(file: &File) -> Result<(), Unusable> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(());
    }
    let first = head(file, 0, 0)?;
    let page_bytes = u64::from(first.page_bytes);
    let second = head(file, 1, page_bytes)?;
    if first.page_bytes != second.page_bytes || !take_turns(first.transaction, second.transaction) {
        return Err(damaged(0, "the first two pages contradict each other"));
    }
    // The other one may have been left half-way when the process was killed.
    let (number, last) = if first.transaction < second.transaction {
        (1, second)
    } else {
        (0, first)
    };
    if !last.has_trees {
        let reason = format!("page {number} tells of pages that cannot be there");
        return Err(damaged(number * page_bytes, reason));
    }
    if length / page_bytes <= last.last_page as u64 {
        return Err(damaged(length, format!("page {} is missing", last.last_page)));
    }
    Ok(())
}

/// Whether one page has the last transaction and the other the one before, each that of its parity; or both none.
const fn take_turns(first: usize, second: usize) -> bool {
    first.abs_diff(second) == 1 && first.is_multiple_of(2) || first == 0 && second == 0
}

fn head(file: &File, number: usize, at: u64) -> Result<Head, Unusable> {
    let mut bytes = [0; HEAD_BYTES];
    match file.read_exact_at(&mut bytes, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(damaged(at, "the file ends within its first pages"));
        }
        read => read?,
    }
    read_head(&bytes, number).ok_or_else(|| damaged(at, format!("page {number} is none of LMDB's")))
}

/// What a page says, if LMDB can have written it.
fn read_head(bytes: &[u8], number: usize) -> Option<Head> {
    let is_meta = word(bytes, 0)? == number && short(bytes, WORD + 2)? == IS_META;
    let is_known = half(bytes, META_AT)? == MAGIC && half(bytes, META_AT + 4)? == VERSION;
    let last_page = word(bytes, LAST_PAGE_AT)?;
    let [free, rows] = [TREES_AT, TREES_AT + TREE_BYTES];
    let head = Head {
        page_bytes: half(bytes, TREES_AT)?,
        last_page,
        transaction: word(bytes, LAST_PAGE_AT + WORD)?,
        has_trees: is_tree(bytes, free, last_page)? && is_tree(bytes, rows, last_page)?,
    };
    let is_possible = PAGE_BYTES.contains(&head.page_bytes) && head.page_bytes.is_power_of_two();
    let is_ours = [short(bytes, free + 4)?, short(bytes, rows + 4)?] == TREE_FLAGS;
    (is_meta && is_known && is_possible && is_ours).then_some(head)
}

/// Whether the tree that is told of at a place begins with a page that there is, if it has any.
fn is_tree(bytes: &[u8], at: usize, last_page: usize) -> Option<bool> {
    let (depth, root) = (short(bytes, at + 6)?, word(bytes, at + TREE_BYTES - WORD)?);
    Some(match root {
        NO_PAGE => depth == 0,
        _ => (FIRST_PAGE..=last_page).contains(&root) && (1..=DEEPEST).contains(&depth),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn damaged(at: u64, reason: impl Into<String>) -> Unusable {
    Unusable::Damaged {
        at,
        source: DecodeError::new("LMDB file", reason),
    }
}

use fluss_core::id::{Offset, TableBucket};

/// The wire's word for the first record that is still there (`messages.md` 1015).
pub(super) const EARLIEST: Offset = -2;

/// One bucket of a fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::scan) struct Wanted {
    pub(in crate::scan) bucket: TableBucket,
    pub(in crate::scan) subscription: u64,
    pub(in crate::scan) offset: Offset,
    pub(in crate::scan) projected: bool,
}

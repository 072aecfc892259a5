use fluss_core::id::Offset;
use fluss_core::types::Timestamp;

/// Where reading a bucket begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StartOffset {
    /// At the first record that is still there.
    Earliest,
    /// After the last record that can be read now.
    Latest,
    /// At this record.
    At(Offset),
    /// At the first batch stored at or after this time.
    Timestamp(Timestamp),
}

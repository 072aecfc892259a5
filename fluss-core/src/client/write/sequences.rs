//! Idempotence: who a bucket's batches come from, how they are numbered, and what a refusal means for them
//! (`behaviour.md` §2.2 and §2.3).

use fluss_rpc::code::{ErrorCode, Retry};

use crate::id::{BatchSequence, WriterId};

/// The writer and number under which a batch is stored at most once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) writer: WriterId,
    pub(crate) sequence: BatchSequence,
}

/// Numbers the batches of one bucket.
///
/// Once a number is used up without its batch being stored, the server refuses all later ones. The bucket then goes on
/// as another writer, from the first number.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    writer: Option<WriterId>,
    next: Option<BatchSequence>,
    /// The writer that the bucket may not be any more.
    former: Option<WriterId>,
}

impl Sequences {
    /// The next stamp; nothing while the bucket is no writer.
    pub(crate) fn next(&mut self) -> Option<Stamp> {
        let writer = self.writer?;
        let sequence = self.next.unwrap_or(BatchSequence::FIRST);
        self.next = Some(sequence.next());
        Some(Stamp { writer, sequence })
    }

    /// Whether the bucket is a writer.
    pub(crate) const fn is_ready(&self) -> bool {
        self.writer.is_some()
    }

    /// Becomes a writer, unless it is the one that the bucket gave up.
    pub(crate) fn adopt(&mut self, writer: WriterId) {
        if self.writer.is_none() && self.former != Some(writer) {
            self.writer = Some(writer);
            self.next = None;
        }
    }

    /// Gives the writer up: a number is lost.
    pub(crate) fn abandon(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.former = Some(writer);
        }
    }
}

/// What an error code means for a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The batch is stored.
    Stored,
    /// The batch is to be sent again as it is.
    Retry {
        /// And the leader is to be looked for.
        refresh: bool,
    },
    /// The batch is not stored and its number cannot be used: it is to be sent under another.
    Renumber,
    /// The batch cannot be stored.
    Fail,
}

/// Judges an answer to a batch. `first` says that no earlier batch of the bucket is on its way, or waits to be sent
/// again.
pub(crate) fn judge(code: ErrorCode, first: bool) -> Verdict {
    match code {
        ErrorCode::DUPLICATE_SEQUENCE => Verdict::Stored,
        // An earlier batch is missing, which may still arrive; if none is on its way, none will.
        ErrorCode::OUT_OF_ORDER_SEQUENCE | ErrorCode::UNKNOWN_WRITER_ID if first => Verdict::Renumber,
        ErrorCode::OUT_OF_ORDER_SEQUENCE | ErrorCode::UNKNOWN_WRITER_ID => Verdict::Retry { refresh: false },
        _ => match code.retry() {
            Retry::No => Verdict::Fail,
            Retry::RefreshMetadata => Verdict::Retry { refresh: true },
            Retry::Briefly | Retry::Yes | Retry::Authenticate => Verdict::Retry { refresh: false },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_numbered_from_zero_under_each_writer() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.next(), None);
        sequences.adopt(WriterId(7));
        let numbers: Vec<_> = (0..3).map(|_| sequences.next().unwrap().sequence.get()).collect();
        assert_eq!(numbers, [0, 1, 2]);
        sequences.abandon();
        sequences.adopt(WriterId(7));
        assert!(!sequences.is_ready(), "the writer given up is not taken again");
        sequences.adopt(WriterId(8));
        assert_eq!(
            sequences.next(),
            Some(Stamp {
                writer: WriterId(8),
                sequence: BatchSequence::FIRST
            })
        );
    }

    #[test]
    fn a_gap_is_final_only_for_the_first_batch() {
        let gap = ErrorCode::OUT_OF_ORDER_SEQUENCE;
        assert_eq!(judge(gap, true), Verdict::Renumber);
        assert_eq!(judge(gap, false), Verdict::Retry { refresh: false });
        assert_eq!(judge(ErrorCode::DUPLICATE_SEQUENCE, true), Verdict::Stored);
        assert_eq!(
            judge(ErrorCode::NOT_LEADER_OR_FOLLOWER, true),
            Verdict::Retry { refresh: true }
        );
        assert_eq!(judge(ErrorCode::AUTHORIZATION_EXCEPTION, true), Verdict::Fail);
    }
}

//! Idempotence: who a bucket's batches come from, how they are numbered, and what a refusal means for them
//! (`behaviour.md` §2.2 and §2.3).

use fluss_rpc::code::{ErrorCode, Retry};

use crate::error::retry_at_leader;
use fluss_core::id::{BatchSequence, WriterId};

/// The writer and number under which a batch is stored at most once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) writer: WriterId,
    /// Counts the writer's batches in the bucket, from 0, without ever starting again.
    number: u64,
}

impl Stamp {
    /// The number on the wire, which goes on with 0 after the largest.
    pub(crate) const fn sequence(self) -> BatchSequence {
        BatchSequence((self.number & i32::MAX as u64) as i32)
    }
}

/// Numbers the batches of one bucket.
///
/// A server takes the numbers of a writer without gaps, and recognises the last five. Once a number is used up without
/// its batch being stored, it refuses all later ones. The bucket then goes on as another writer, from the first number.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    writer: Option<WriterId>,
    next: u64,
    /// Every number below this one is stored: there are no gaps below one that was acknowledged.
    stored: u64,
    /// The writer that the bucket may not be any more.
    former: Option<WriterId>,
}

impl Sequences {
    /// The next stamp; nothing while the bucket is no writer.
    pub(crate) fn next(&mut self) -> Option<Stamp> {
        let writer = self.writer?;
        let number = self.next;
        self.next += 1;
        Some(Stamp { writer, number })
    }

    /// Whether the bucket is a writer.
    pub(crate) const fn is_ready(&self) -> bool {
        self.writer.is_some()
    }

    /// Whether the bucket is still the writer of a stamp.
    pub(crate) fn is_current(&self, stamp: Stamp) -> bool {
        self.writer == Some(stamp.writer)
    }

    /// How many numbers were given out from this stamp on, its own included.
    pub(crate) const fn since(&self, stamp: Stamp) -> u64 {
        self.next.saturating_sub(stamp.number)
    }

    /// Takes note that a batch is stored, and with it all that have lower numbers.
    pub(crate) fn acknowledge(&mut self, stamp: Stamp) {
        if self.is_current(stamp) {
            self.stored = self.stored.max(stamp.number + 1);
        }
    }

    /// Whether a batch is known to be stored, by its own or by a later acknowledgement.
    pub(crate) fn is_stored(&self, stamp: Stamp) -> bool {
        self.is_current(stamp) && stamp.number < self.stored
    }

    /// Becomes a writer, unless it is the one that the bucket gave up.
    pub(crate) fn adopt(&mut self, writer: WriterId) {
        if self.writer.is_none() && self.former != Some(writer) {
            (self.writer, self.next, self.stored) = (Some(writer), 0, 0);
        }
    }

    /// Gives up the writer of a stamp: its number is lost.
    pub(crate) fn abandon(&mut self, stamp: Stamp) {
        if self.is_current(stamp) {
            self.former = self.writer.take();
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
    /// The bucket was chosen by another number of buckets than there is: its number is free, and how many there are is to be
    /// found out.
    Misrouted,
    /// The batch cannot be stored.
    Fail,
}

/// What is known of the batches around one that was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// A later batch of the writer is acknowledged.
    Overtaken,
    /// No earlier batch of the bucket is on its way or waits to be sent again.
    First,
    /// An earlier batch may still arrive.
    Behind,
}

/// Judges an answer to a batch.
pub(crate) fn judge(code: ErrorCode, standing: Standing) -> Verdict {
    match code {
        ErrorCode::DUPLICATE_SEQUENCE => Verdict::Stored,
        ErrorCode::OUT_OF_ORDER_SEQUENCE | ErrorCode::UNKNOWN_WRITER_ID => match standing {
            // A later batch is only stored after this one, whose first answer was lost (`v1_0.md` §6.3).
            Standing::Overtaken => Verdict::Stored,
            // An earlier batch is missing, and none is left that could be it.
            Standing::First => Verdict::Renumber,
            Standing::Behind => Verdict::Retry { refresh: false },
        },
        _ => match retry_at_leader(code) {
            Retry::No => Verdict::Fail,
            Retry::RefreshMetadata | Retry::Briefly => Verdict::Retry { refresh: true },
            Retry::Yes | Retry::Authenticate => Verdict::Retry { refresh: false },
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
        let stamps: Vec<_> = (0..3).map(|_| sequences.next().unwrap()).collect();
        let numbers: Vec<_> = stamps.iter().map(|stamp| stamp.sequence().get()).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(sequences.since(stamps[1]), 2);
        sequences.abandon(stamps[2]);
        sequences.adopt(WriterId(7));
        assert!(!sequences.is_ready(), "the writer given up is not taken again");
        sequences.adopt(WriterId(8));
        sequences.abandon(stamps[2]);
        let stamp = sequences.next().expect("only the current writer can be given up");
        assert_eq!(
            (stamp.writer, stamp.sequence()),
            (WriterId(8), BatchSequence::FIRST)
        );
    }

    #[test]
    fn the_number_on_the_wire_begins_again_after_the_largest() {
        let stamp = |number| Stamp {
            writer: WriterId(1),
            number,
        };
        assert_eq!(stamp(i32::MAX as u64).sequence(), BatchSequence(i32::MAX));
        assert_eq!(stamp(i32::MAX as u64 + 1).sequence(), BatchSequence::FIRST);
    }

    #[test]
    fn an_acknowledgement_is_one_of_all_lower_numbers_of_its_writer() {
        let mut sequences = Sequences::default();
        sequences.adopt(WriterId(7));
        let stamps: Vec<_> = (0..3).map(|_| sequences.next().unwrap()).collect();
        sequences.acknowledge(stamps[1]);
        assert_eq!(
            stamps
                .iter()
                .map(|stamp| sequences.is_stored(*stamp))
                .collect::<Vec<_>>(),
            [true, true, false]
        );
        sequences.abandon(stamps[2]);
        sequences.adopt(WriterId(8));
        assert!(
            !sequences.is_stored(stamps[0]),
            "of another writer nothing is known"
        );
    }

    #[test]
    fn a_gap_is_final_only_for_the_first_batch() {
        let gap = ErrorCode::OUT_OF_ORDER_SEQUENCE;
        assert_eq!(judge(gap, Standing::First), Verdict::Renumber);
        assert_eq!(judge(gap, Standing::Behind), Verdict::Retry { refresh: false });
        assert_eq!(judge(gap, Standing::Overtaken), Verdict::Stored);
        assert_eq!(
            judge(ErrorCode::DUPLICATE_SEQUENCE, Standing::First),
            Verdict::Stored
        );
        assert_eq!(
            judge(ErrorCode::NOT_LEADER_OR_FOLLOWER, Standing::First),
            Verdict::Retry { refresh: true }
        );
        assert_eq!(
            judge(ErrorCode::AUTHORIZATION_EXCEPTION, Standing::First),
            Verdict::Fail
        );
    }
}

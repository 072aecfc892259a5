//! Batches out of the pieces of a file.

use std::sync::Arc;

use bytes::Bytes;

use super::held::{Held, Hold};
use fluss_core::DecodeError;
use fluss_core::record::log::{BATCH_SIZE_TOLD_BY, LogBatch, LogBatches, batch_size};

/// The largest batch that is put together, whatever a file claims. A server takes 100 MiB unless told otherwise.
const MAX_BATCH_BYTES: usize = 256 << 20;

/// Puts batches together whose parts are in different pieces. All others share the memory of their piece.
#[derive(Debug)]
pub(super) struct Assembly {
    held: Held,
    /// What ended in the last piece, and began in an earlier one.
    joined: Option<HeldBatch>,
    /// What lies in the last piece as a whole.
    batches: LogBatches,
    hold: Arc<Hold>,
    /// The beginning of a batch that ends in a later piece.
    cut: Vec<u8>,
    cut_hold: Hold,
}

/// A batch, and what counts its bytes as long as nobody has taken it.
#[derive(Debug)]
pub(crate) struct HeldBatch {
    pub(crate) batch: LogBatch,
    pub(crate) hold: Arc<Hold>,
}

impl Assembly {
    pub(super) fn new(held: Held) -> Self {
        Self {
            joined: None,
            batches: batches(Bytes::new()),
            hold: Arc::new(held.hold(0)),
            cut: Vec::new(),
            cut_hold: held.hold(0),
            held,
        }
    }

    /// Whether a batch has begun and not ended.
    pub(super) const fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    /// Adds the next piece, when there is no batch left in the pieces before it.
    ///
    /// # Errors
    ///
    /// A batch of a size that cannot be.
    pub(super) fn push(&mut self, mut piece: Bytes, hold: Hold) -> Result<(), DecodeError> {
        while self.is_cut() && !piece.is_empty() {
            let part = piece.split_to(missing(&self.cut)?.min(piece.len()));
            self.keep(&part);
            if batch_size(&self.cut)? == Some(self.cut.len()) {
                self.join()?;
            }
        }
        self.batches = batches(piece);
        self.hold = Arc::new(hold);
        Ok(())
    }

    /// The next batch that is there as a whole.
    ///
    /// # Errors
    ///
    /// Bytes that are no batches.
    pub(super) fn next_batch(&mut self) -> Result<Option<HeldBatch>, DecodeError> {
        if let Some(joined) = self.joined.take() {
            return Ok(Some(joined));
        }
        let Some(batch) = self.batches.next().transpose()? else {
            self.leave_piece();
            return Ok(None);
        };
        let hold = self.hold.clone();
        Ok(Some(HeldBatch { batch, hold }))
    }

    /// Keeps nothing of the piece but the batch that is cut at its end.
    fn leave_piece(&mut self) {
        let rest = std::mem::replace(&mut self.batches, batches(Bytes::new()));
        self.hold = Arc::new(self.held.hold(0));
        if !rest.rest().is_empty() {
            self.keep(rest.rest());
        }
    }

    fn keep(&mut self, part: &[u8]) {
        self.cut.extend_from_slice(part);
        self.cut_hold = self.held.hold(self.cut.len());
    }

    fn join(&mut self) -> Result<(), DecodeError> {
        let whole = std::mem::take(&mut self.cut);
        let hold = Arc::new(std::mem::replace(&mut self.cut_hold, self.held.hold(0)));
        let batch = batches(whole.into()).next().transpose()?;
        self.joined = batch.map(|batch| HeldBatch { batch, hold });
        Ok(())
    }
}

const fn batches(bytes: Bytes) -> LogBatches {
    LogBatches::new(bytes)
}

/// How many bytes have to follow before more is known of a batch that begins with `cut`, or before it is whole.
fn missing(cut: &[u8]) -> Result<usize, DecodeError> {
    let size = batch_size(cut)?.unwrap_or(BATCH_SIZE_TOLD_BY);
    if size > MAX_BATCH_BYTES {
        return Err(DecodeError::new("log batch", format!("a size of {size} bytes")));
    }
    Ok(size.saturating_sub(cut.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use fluss_core::id::SchemaId;
    use fluss_core::record::log::{ChangeType, RowsBuilder, empty_batch};
    use fluss_core::row::RowFormat;
    use fluss_core::types::{DataType, Datum, Field, RowType};

    /// Batches of different sizes, one behind the other, and the end of each.
    fn file() -> (Bytes, Vec<usize>) {
        let row_type = RowType::new([Field::new("a", DataType::string())]);
        let mut file = Vec::new();
        let mut ends = Vec::new();
        for length in [0, 1, 40, 3] {
            let mut rows = RowsBuilder::new(RowFormat::Compacted, SchemaId(1), true);
            let text = "x".repeat(length);
            rows.append(&row_type, ChangeType::AppendOnly, &[Datum::from(text.as_str())])
                .unwrap();
            file.extend_from_slice(&rows.finish().unwrap().seal(None));
            ends.push(file.len());
        }
        (file.into(), ends)
    }

    fn drain(assembly: &mut Assembly, out: &mut Vec<u8>, ends: &mut Vec<usize>) {
        while let Some(HeldBatch { batch, .. }) = assembly.next_batch().unwrap() {
            batch.verify_checksum().unwrap();
            out.extend_from_slice(batch.bytes());
            ends.push(out.len());
        }
    }

    proptest! {
        #[test]
        fn batches_come_out_whole_wherever_a_file_is_cut(cuts in prop::collection::vec(1_usize..90, 1..40)) {
            let (file, expected) = file();
            let held = Held::default();
            let mut assembly = Assembly::new(held.clone());
            let (mut out, mut ends) = (Vec::new(), Vec::new());
            let mut rest = file.clone();
            for length in cuts.into_iter().chain(std::iter::repeat(64)) {
                let piece = rest.split_to(length.min(rest.len()));
                if piece.is_empty() {
                    break;
                }
                let hold = held.hold(piece.len());
                assembly.push(piece, hold).unwrap();
                drain(&mut assembly, &mut out, &mut ends);
                prop_assert_eq!(held.bytes(), file.len() - rest.len() - out.len(), "what is held is what is cut");
            }
            prop_assert!(!assembly.is_cut());
            prop_assert_eq!(ends, expected);
            prop_assert_eq!(out, file.to_vec());
        }

        #[test]
        fn whatever_a_file_holds_nothing_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
            let held = Held::default();
            let mut assembly = Assembly::new(held.clone());
            for piece in pieces {
                let hold = held.hold(piece.len());
                if assembly.push(piece.into(), hold).is_err() {
                    break;
                }
                while let Ok(Some(_)) = assembly.next_batch() {}
            }
        }
    }

    #[test]
    fn a_batch_that_shares_its_piece_is_counted_with_it_until_it_is_taken() {
        let (file, _) = file();
        let held = Held::default();
        let mut assembly = Assembly::new(held.clone());
        assembly.push(file.clone(), held.hold(file.len())).unwrap();
        let first = assembly.next_batch().unwrap().unwrap();
        while assembly.next_batch().unwrap().is_some() {}
        assert_eq!(held.bytes(), file.len());
        drop(first);
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn a_size_that_cannot_be_is_refused_before_it_is_waited_for() {
        let mut piece = empty_batch(SchemaId(1)).seal(None).to_vec();
        piece[8..12].copy_from_slice(&i32::MAX.to_le_bytes());
        let held = Held::default();
        let mut assembly = Assembly::new(held.clone());
        assembly.push(piece.into(), held.hold(0)).unwrap();
        assert!(assembly.next_batch().unwrap().is_none());
        let error = assembly.push(Bytes::from_static(b"x"), held.hold(0)).unwrap_err();
        assert!(error.to_string().contains("2147483659 bytes"), "{error}");
    }
}

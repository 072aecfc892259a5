//! Reading what a cluster has moved to remote storage (`behaviour.md` §4.5).
//!
//! ```text
//! remote fetch info ─▶ plan ─▶ stretches ─▶ downloads ─▶ pieces ─▶ assembly ─▶ batches
//! ```
//!
//! Nothing here knows files or sockets. Several stretches of a bucket may be on their way at a time; their pieces are
//! put together in the order of the log.

mod assembly;
mod held;
mod plan;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::proto::PbRemoteLogFetchInfo;

use crate::error::StorageError;
use assembly::Assembly;
use fluss_core::DecodeError;
use fluss_core::id::Offset;
use fluss_core::record::log::LogBatch;

pub(crate) use assembly::HeldBatch;
pub(crate) use held::{Held, Hold};
use plan::Plan;
pub(crate) use plan::{Segment, Stretch};

/// The tiered segments of one bucket that one answer named, as far as they are not read.
#[derive(Debug)]
pub(crate) struct Tiered {
    plan: Plan,
    /// What was asked for, in the order of the log.
    slots: VecDeque<Slot>,
    assembly: Assembly,
    /// What the last piece in the assembly is of.
    last: Option<Stretch>,
    /// Whether the end of the plan is not to be reached.
    is_cut_short: bool,
}

/// A stretch that was asked for under a number, which no other has.
#[derive(Debug)]
struct Slot {
    number: u64,
    stretch: Stretch,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It failed, and is to be asked for again.
    Failed,
    OnItsWay,
    Here(Bytes, Hold),
}

impl Tiered {
    /// What to read as a server has answered: from `from` on, in stretches of at most so many bytes.
    ///
    /// # Errors
    ///
    /// An answer that makes no sense.
    pub(crate) fn new(
        info: &PbRemoteLogFetchInfo,
        from: Option<Offset>,
        stretch_bytes: usize,
        held: Held,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            plan: Plan::new(info, from, stretch_bytes)?,
            slots: VecDeque::new(),
            assembly: Assembly::new(held),
            last: None,
            is_cut_short: false,
        })
    }

    /// Leaves out the segments in which nothing is before this offset. To be told before anything is asked for.
    pub(crate) fn stop_at(&mut self, offset: Offset) {
        self.plan.stop_at(offset);
    }

    /// The stretch to ask for next.
    pub(crate) fn wanted(&self) -> Option<Stretch> {
        match self.slots.iter().find(|slot| slot.has_failed()) {
            Some(slot) => Some(slot.stretch.clone()),
            None => self.plan.peek(),
        }
    }

    /// Takes note that the stretch that is [`wanted`](Self::wanted) has been asked for under a number.
    pub(crate) fn ask(&mut self, number: u64) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.has_failed()) {
            (slot.number, slot.state) = (number, State::OnItsWay);
        } else if let Some(stretch) = self.plan.peek() {
            self.plan.advance();
            self.slots.push_back(Slot {
                number,
                stretch,
                state: State::OnItsWay,
            });
        }
    }

    /// Whether this number is on its way.
    pub(crate) fn awaits(&self, number: u64) -> bool {
        self.slots.iter().any(|slot| slot.is_awaited(number))
    }

    /// Whether anything is on its way.
    pub(crate) fn awaits_any(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot.state, State::OnItsWay))
    }

    /// Whether the piece has arrived that is next in the log.
    pub(crate) fn can_go_on(&self) -> bool {
        self.slots.front().is_some_and(Slot::is_here)
    }

    /// Takes what was asked for, with what counts its bytes.
    pub(crate) fn arrive(&mut self, number: u64, piece: Bytes, hold: Hold) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_awaited(number)) {
            slot.state = State::Here(piece, hold);
        }
    }

    /// Has what was asked for asked for again.
    pub(crate) fn fail(&mut self, number: u64) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_awaited(number)) {
            slot.state = State::Failed;
        }
    }

    /// Reads no further than up to what was asked for under this number.
    pub(crate) fn end_before(&mut self, number: u64) {
        self.end_where(|slot| slot.number == number);
    }

    /// Reads no further than up to what has not arrived.
    pub(crate) fn end_with_what_is_here(&mut self) {
        self.end_where(|slot| !slot.is_here());
    }

    fn end_where(&mut self, is_unwanted: impl Fn(&Slot) -> bool) {
        let end = self.slots.iter().position(is_unwanted);
        self.slots.truncate(end.unwrap_or(self.slots.len()));
        self.plan.clear();
        self.is_cut_short = true;
    }

    /// The next batch of what has arrived, with the segment that it is of.
    ///
    /// # Errors
    ///
    /// A file of something else than the batches that the server said.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(HeldBatch, Arc<Segment>)>, StorageError> {
        loop {
            let batch = self.assembly.next_batch().map_err(|fault| self.damaged(fault))?;
            if let (Some(batch), Some(last)) = (batch, &self.last) {
                check_offsets(&batch.batch, &last.segment).map_err(|fault| last.segment.damaged(fault))?;
                return Ok(Some((batch, last.segment.clone())));
            }
            if self.assembly.is_cut() && self.last.as_ref().is_some_and(Stretch::ends_segment) {
                return Err(self.damaged(DecodeError::new("log segment", "it ends within a batch")));
            }
            let Some((piece, hold)) = self.next_piece() else {
                return Ok(None);
            };
            self.assembly
                .push(piece, hold)
                .map_err(|fault| self.damaged(fault))?;
        }
    }

    fn next_piece(&mut self) -> Option<(Bytes, Hold)> {
        self.slots.front().filter(|slot| slot.is_here())?;
        let slot = self.slots.pop_front()?;
        self.last = Some(slot.stretch);
        match slot.state {
            State::Here(piece, hold) => Some((piece, hold)),
            State::Failed | State::OnItsWay => None,
        }
    }

    /// Whether nothing more will come once there is no [`next_batch`](Self::next_batch).
    pub(crate) fn is_read(&self) -> bool {
        self.slots.is_empty() && self.plan.peek().is_none()
    }

    /// Where the log goes on when all is read; nothing for where the last batch ended.
    pub(crate) fn end(&self) -> Option<Offset> {
        (!self.is_cut_short).then(|| self.plan.end())
    }

    fn damaged(&self, fault: DecodeError) -> StorageError {
        match &self.last {
            Some(last) => last.segment.damaged(fault),
            None => StorageError::Damaged {
                file: String::new(),
                fault,
            },
        }
    }
}

fn check_offsets(batch: &LogBatch, segment: &Segment) -> Result<(), DecodeError> {
    let (start, end) = (segment.offsets.start, segment.offsets.end);
    if start <= batch.base_offset() && batch.next_offset() <= end {
        return Ok(());
    }
    let (base, next) = (batch.base_offset(), batch.next_offset());
    let reason = format!("a batch from {base} to {next} in a segment from {start} to {end}");
    Err(DecodeError::new("log segment", reason))
}

impl Slot {
    const fn is_here(&self) -> bool {
        matches!(self.state, State::Here(..))
    }

    const fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed)
    }

    fn is_awaited(&self, number: u64) -> bool {
        self.number == number && matches!(self.state, State::OnItsWay)
    }
}

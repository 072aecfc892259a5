//! The memory of what is under way: requests until they are answered, and answers until their clients have taken them.
//!
//! Who holds memory of requests may wait for memory of answers, and never the other way round. Within each, nobody who
//! holds some waits for more without a way out: of the requests that have begun to arrive, one at a time may have all that
//! it still needs ([`Memory::grow`]); an answer that does not fit gives back what it has, and is made again once there is
//! room for it ([`Room::short`]).

use std::sync::Arc;

use fluss_rpc::code::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Failure;
use crate::kv::NoRoom;
use crate::options::Limits;

/// What a request takes beside its bytes while it is under way.
const REQUEST_BYTES: usize = 1 << 10;

/// What each entry that a request lists takes, decoded and answered.
const ENTRY_BYTES: usize = 256;

/// What an answer asks for at least when it grows.
const STEP_BYTES: usize = 64 << 10;

/// What there is, and what is held of it.
#[derive(Debug)]
pub(super) struct Memory {
    requests: Pool,
    /// What a single request may take beyond that.
    last: Arc<Semaphore>,
    answers: Pool,
    largest_answer: usize,
}

#[derive(Clone, Debug)]
struct Pool {
    free: Arc<Semaphore>,
    bytes: usize,
}

/// The memory of a request; given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Held {
    pool: Option<OwnedSemaphorePermit>,
    last: Option<OwnedSemaphorePermit>,
}

impl Memory {
    pub(super) fn new(limits: &Limits) -> Self {
        let last = limits.request_bytes.min(limits.memory_bytes / 2);
        Self {
            requests: Pool::new(limits.memory_bytes - last),
            last: Arc::new(Semaphore::new(1)),
            largest_answer: limits.answer_bytes,
            answers: Pool::new(limits.memory_bytes),
        }
    }

    /// Memory for a request that is there as a whole, if there is memory now.
    pub(super) fn now(&self, bytes: usize) -> Option<Held> {
        let pool = self.requests.now(bytes.saturating_add(REQUEST_BYTES))?;
        Some(Held {
            pool: Some(pool),
            last: None,
        })
    }

    /// Memory for a request that is there as a whole, or for the first bytes of one, once there is memory.
    pub(super) async fn wait(&self, bytes: usize) -> Held {
        Held {
            pool: self.requests.wait(bytes.saturating_add(REQUEST_BYTES)).await,
            last: None,
        }
    }

    /// More memory for a request that is arriving. If others hold all there is, one of those that wait may go on without, so
    /// that requests end.
    pub(super) async fn grow(&self, held: &mut Held, bytes: usize) {
        if held.last.is_some() {
            return;
        }
        let more = if let Some(more) = self.requests.now(bytes) {
            Some(more)
        } else {
            tokio::select! {
                biased;
                more = self.requests.wait(bytes) => more,
                last = self.last.clone().acquire_owned() => {
                    held.last = last.ok();
                    return;
                }
            }
        };
        held.pool = join(held.pool.take(), more);
    }

    /// What is set aside for the answer to a request that lists so many entries.
    pub(super) const fn set_aside(entries: usize) -> usize {
        REQUEST_BYTES.saturating_add(entries.saturating_mul(ENTRY_BYTES))
    }

    /// Room for an answer, if there is so much now.
    pub(super) fn room_now(&self, bytes: usize) -> Option<Room> {
        Some(self.room_of(self.answers.now(bytes)?))
    }

    /// Room for an answer, once there is so much.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        match self.answers.wait(bytes).await {
            Some(memory) => self.room_of(memory),
            None => self.no_room(),
        }
    }

    fn room_of(&self, memory: OwnedSemaphorePermit) -> Room {
        Room {
            memory: Some(memory),
            ..self.no_room()
        }
    }

    fn no_room(&self) -> Room {
        Room {
            pool: self.answers.clone(),
            memory: None,
            largest: self.largest_answer,
            used: 0,
            short: None,
        }
    }
}

impl Pool {
    fn new(bytes: usize) -> Self {
        let most =
            usize::try_from(u32::MAX).map_or(Semaphore::MAX_PERMITS, |most| most.min(Semaphore::MAX_PERMITS));
        let bytes = bytes.clamp(1, most);
        Self {
            free: Arc::new(Semaphore::new(bytes)),
            bytes,
        }
    }

    /// All of it stands for more than there is.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.bytes)).unwrap_or(u32::MAX)
    }

    fn now(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_many_owned(self.permits(bytes)).ok()
    }

    async fn wait(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = self.permits(bytes);
        self.free.clone().acquire_many_owned(permits).await.ok()
    }
}

fn join(
    held: Option<OwnedSemaphorePermit>,
    more: Option<OwnedSemaphorePermit>,
) -> Option<OwnedSemaphorePermit> {
    match (held, more) {
        (Some(mut held), Some(more)) => {
            held.merge(more);
            Some(held)
        }
        (held, more) => held.or(more),
    }
}

/// Room for one answer: memory that is set aside for it, and grows with it for as long as there is more.
#[derive(Debug)]
pub(super) struct Room {
    pool: Pool,
    memory: Option<OwnedSemaphorePermit>,
    /// The largest answer that there may be, in bytes.
    largest: usize,
    used: usize,
    /// How much it needs that it could not have.
    short: Option<usize>,
}

impl Room {
    /// What it has.
    pub(super) fn size(&self) -> usize {
        self.memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes memory for a part of the answer.
    ///
    /// # Errors
    ///
    /// There is no more now, or the answer is larger than any may be. Whoever made the room finds out which, and does not
    /// send what was made.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.used = self.used.saturating_add(bytes);
        if self.covers(self.used) {
            return Ok(());
        }
        Err(NoRoom)
    }

    /// Whether there is memory for an answer of so many bytes, or more was had for it. If not, it is [short](Self::short).
    pub(super) fn covers(&mut self, bytes: usize) -> bool {
        let size = self.size();
        // All of the memory stands for more than there is.
        if bytes <= size || (size == self.pool.bytes && bytes <= self.largest) {
            return true;
        }
        if bytes <= self.largest {
            let missing = bytes - size;
            let ahead = missing
                .max(size)
                .max(STEP_BYTES)
                .min(self.largest.saturating_sub(size));
            if let Some(more) = self.pool.now(ahead).or_else(|| self.pool.now(missing)) {
                self.memory = join(self.memory.take(), Some(more));
                return true;
            }
        }
        self.short = Some(bytes.saturating_mul(2));
        false
    }

    /// How much room to wait for before the answer is made again; nothing if it has all that it needs.
    pub(super) fn short(&self) -> Option<usize> {
        self.short.map(|bytes| bytes.min(self.largest))
    }

    /// Whether the answer, which has so many bytes on the wire, is larger than any may be.
    pub(super) fn is_too_large(&self, bytes: usize) -> bool {
        self.used.max(bytes) > self.largest
    }

    /// Why an answer is not given.
    pub(super) fn refusal(&self) -> Failure {
        let message = format!(
            "the answer has more than {} bytes, which is the most that is given (max.answer-size)",
            self.largest
        );
        Failure::new(ErrorCode::RECORD_TOO_LARGE, message)
    }

    /// The largest answer that there may be, in bytes.
    pub(super) const fn most(&self) -> usize {
        self.largest
    }

    /// Gives back what was taken for an answer that is not given, but for so many bytes.
    pub(super) fn reset(&mut self, bytes: usize) {
        self.used = 0;
        self.short = None;
        self.shrink(bytes);
    }

    /// Gives back what is beyond so many bytes.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let beyond = self.size().saturating_sub(bytes);
        if let Some(memory) = &mut self.memory {
            drop(memory.split(beyond));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    fn memory(memory_bytes: usize) -> Memory {
        Memory::new(&Limits {
            memory_bytes,
            request_bytes: 40 << 10,
            answer_bytes: 80 << 10,
            ..Limits::default()
        })
    }

    async fn is_ready<T>(future: impl Future<Output = T>) -> bool {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn of_requests_that_hold_all_memory_one_at_a_time_goes_on() {
        let memory = memory(100 << 10);
        // There are 60 KiB, and 40 for the one that goes on.
        let mut held = [memory.wait(29 << 10).await, memory.wait(29 << 10).await];
        assert!(!is_ready(memory.wait(1)).await && memory.now(1).is_none());
        let [first, second] = &mut held;
        memory.grow(first, 30 << 10).await;
        memory.grow(first, 30 << 10).await;
        assert!(!is_ready(memory.grow(second, 30 << 10)).await);
        drop(std::mem::take(first));
        memory.grow(second, 30 << 10).await;
        assert!(second.last.is_none());
    }

    #[test]
    fn an_answer_takes_what_it_needs_and_gives_back_the_rest() {
        let memory = memory(100 << 10);
        let mut room = memory.room_now(Memory::set_aside(0)).unwrap();
        room.take(1_000).unwrap();
        assert_eq!(room.size(), 1 << 10);
        room.take(1_000).unwrap();
        assert_eq!(room.size(), 65 << 10);
        room.shrink(2_000);
        assert_eq!(room.size(), 2_000);
        drop(room);
        assert_eq!(memory.answers.free.available_permits(), 100 << 10);
    }

    #[tokio::test]
    async fn an_answer_without_room_is_made_again() {
        let memory = memory(100 << 10);
        let other = memory.room_now(90 << 10).unwrap();
        let mut room = memory.room_now(5 << 10).unwrap();
        assert!(room.take(20 << 10).is_err() && !room.is_too_large(0));
        let needed = room.short().unwrap();
        assert_eq!(needed, 40 << 10);
        drop(room);
        assert!(!is_ready(memory.room(needed)).await);
        drop(other);
        let mut room = memory.room(needed).await;
        room.take(20 << 10).unwrap();
        assert_eq!(room.short(), None);
    }

    #[tokio::test]
    async fn no_answer_is_larger_than_the_limit() {
        let memory = memory(100 << 10);
        let mut room = memory.room(80 << 10).await;
        room.take(80 << 10).unwrap();
        room.take(1).unwrap_err();
        let refusal = room.refusal();
        assert!(room.is_too_large(0));
        assert_eq!(refusal.code, ErrorCode::RECORD_TOO_LARGE);
        assert!(refusal.message.contains("81920 bytes"), "{refusal}");
    }
}

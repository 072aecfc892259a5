//! The bound on what unacknowledged rows hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, TryAcquireError};

/// A budget of bytes, given out in the order of asking.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    free: Arc<Semaphore>,
    total: u32,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            free: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Takes bytes if they are free. What asks for more than there is in all gets all.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<usize> {
        let bytes = self.clamp(bytes);
        match self.free.try_acquire_many(bytes) {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return None,
        }
        Some(bytes as usize)
    }

    /// Waits until bytes are free, and takes them; nothing after `timeout`, or when there are none any more.
    pub(crate) async fn reserve(&self, bytes: usize, timeout: Duration) -> Option<usize> {
        let bytes = self.clamp(bytes);
        let permit = tokio::time::timeout(timeout, self.free.acquire_many(bytes))
            .await
            .ok()?
            .ok()?;
        permit.forget();
        Some(bytes as usize)
    }

    /// Gives bytes back.
    pub(crate) fn release(&self, bytes: usize) {
        self.free.add_permits(bytes);
    }

    /// Gives nothing any more: whoever waits is told at once.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    fn clamp(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_waits_until_bytes_are_given_back() {
        let memory = Memory::new(100);
        assert_eq!(memory.try_reserve(80), Some(80));
        assert_eq!(memory.try_reserve(30), None);
        assert_eq!(memory.reserve(30, Duration::from_secs(1)).await, None);
        let waiting = tokio::spawn({
            let memory = memory.clone();
            async move { memory.reserve(30, Duration::from_secs(1)).await }
        });
        memory.release(80);
        assert_eq!(waiting.await.unwrap(), Some(30));
    }

    #[test]
    fn a_request_for_more_than_all_gets_all() {
        assert_eq!(Memory::new(100).try_reserve(1_000), Some(100));
    }
}

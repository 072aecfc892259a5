use std::sync::atomic::{AtomicBool, Ordering};

/// A connection as what belongs to it knows it.
#[derive(Debug)]
pub(super) struct Owner {
    id: u64,
    ended: AtomicBool,
}

impl Owner {
    pub(super) const fn new(id: u64) -> Self {
        Self {
            id,
            ended: AtomicBool::new(false),
        }
    }

    /// A number that no other connection of the node has.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

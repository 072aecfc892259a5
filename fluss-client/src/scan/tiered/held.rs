use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the bytes of tiered segments that a scanner holds, those on their way included. Clones share the count.
#[derive(Clone, Default, Debug)]
pub(crate) struct Held(Arc<AtomicUsize>);

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    bytes: usize,
    held: Held,
}

impl Held {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn hold(&self, bytes: usize) -> Hold {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Hold {
            bytes,
            held: self.clone(),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

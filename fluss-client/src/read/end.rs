use std::sync::Arc;

use fluss_core::id::Offset;
use fluss_rpc::sync::Mutex;

/// The moment of a bucket that is read: the end of its log.
#[derive(Clone, Default)]
pub(super) struct End(Arc<Mutex<Option<Offset>>>);

impl End {
    pub(super) fn at(offset: Offset) -> Self {
        Self(Arc::new(Mutex::new(Some(offset))))
    }

    pub(super) fn set(&self, offset: Offset) {
        *self.0.lock() = Some(offset);
    }

    /// Takes note that the bucket was dropped, and is of no moment.
    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }

    pub(super) fn get(&self) -> Option<Offset> {
        *self.0.lock()
    }
}

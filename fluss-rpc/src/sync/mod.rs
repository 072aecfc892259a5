//! Locks that a process which is forked can go on with, and that a panic does not poison; and what each process has of its own.
//!
//! All their state is in themselves. Locks that queue those who wait in a table of the process, as those of `parking_lot` do, leave
//! a forked child with threads in its table that it does not have: whoever waits for any lock there may wait for ever.
//!
//! What a panic can leave half-changed belongs in [`Guarded`](crate::guarded::Guarded).

mod per_process;

use std::sync::{self, PoisonError, TryLockError};
use std::time::Duration;

pub use per_process::PerProcess;
pub use std::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// A lock on a value that one thread has at a time.
#[derive(Default, Debug)]
pub struct Mutex<T: ?Sized>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock on a value.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// The value, of which there is no lock any more.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the value, and has it until the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, if nobody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The value, which nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock on a value that many threads read, or one changes.
#[derive(Default, Debug)]
pub struct RwLock<T: ?Sized>(sync::RwLock<T>);

impl<T> RwLock<T> {
    /// A lock on a value.
    pub const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody changes the value, and has it to read until the guard is dropped.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody has the value, and has it to change until the guard is dropped.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What threads wait at for a change of what a [`Mutex`] guards.
#[derive(Default, Debug)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// One at which nobody waits.
    pub const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    /// Has all that wait look again.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Lets the value go and waits while it is as `waits` says, `most` at most; then has it again.
    pub fn wait_while_for<'g, T>(
        &self,
        guard: MutexGuard<'g, T>,
        waits: impl FnMut(&mut T) -> bool,
        most: Duration,
    ) -> MutexGuard<'g, T> {
        let waited = self.0.wait_timeout_while(guard, most, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_panic_poisons_nothing() {
        let (mutex, shared) = (Mutex::new(1), RwLock::new(1));
        let change = || {
            *mutex.lock() += 1;
            let (_mine, _ours) = (mutex.lock(), shared.write());
            panic!("while having both");
        };
        assert!(catch_unwind(AssertUnwindSafe(change)).is_err());
        assert_eq!(*mutex.lock(), 2);
        assert_eq!(mutex.try_lock().as_deref(), Some(&2));
        assert_eq!(*shared.read(), 1);
        assert_eq!(*shared.write(), 1);
        assert_eq!(mutex.into_inner(), 2);
    }

    #[test]
    fn a_value_that_somebody_has_is_not_waited_for() {
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
    }

    #[test]
    fn a_change_is_waited_for_as_long_as_is_said() {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let (counter, changed) = &*shared;
        let still = changed.wait_while_for(counter.lock(), |counted| *counted == 0, Duration::from_millis(1));
        assert_eq!(*still, 0);
        drop(still);
        let of_thread = shared.clone();
        let counting = thread::spawn(move || {
            *of_thread.0.lock() += 1;
            of_thread.1.notify_all();
        });
        let told = changed.wait_while_for(counter.lock(), |counted| *counted == 0, Duration::from_mins(1));
        assert_eq!(*told, 1);
        drop(told);
        counting.join().unwrap();
    }
}

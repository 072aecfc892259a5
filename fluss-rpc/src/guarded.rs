//! State behind a lock that is not used on when a change of it has ended half-way.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::panicking;

use crate::sync::{Mutex, MutexGuard};

/// A lock on something that a panic can leave half-changed.
///
/// Whoever panics while having it poisons it: nobody gets it any more. What is swapped as a whole, or counts, needs no more
/// than a `Mutex`.
pub struct Guarded<T> {
    value: Mutex<T>,
    is_poisoned: AtomicBool,
    /// Called once it is poisoned.
    tell: Option<Box<dyn Fn() + Send + Sync>>,
}

/// Somebody panicked in the middle of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a change has failed half-way")]
pub struct Poisoned;

impl<T> Guarded<T> {
    /// A lock on a value.
    pub const fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            is_poisoned: AtomicBool::new(false),
            tell: None,
        }
    }

    /// A lock that calls `tell` as soon as it is poisoned, for those who wait for news of the value. That is in the middle
    /// of a panic, with the lock held: it must neither panic nor lock anything.
    pub fn telling(value: T, tell: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            tell: Some(Box::new(tell)),
            ..Self::new(value)
        }
    }

    /// Waits for the value, and has it until the guard is dropped.
    ///
    /// # Errors
    ///
    /// Somebody panicked while having it.
    pub fn lock(&self) -> Result<Guard<'_, T>, Poisoned> {
        let value = self.value.lock();
        self.check()?;
        Ok(Guard {
            of: self,
            value,
            panicked_before: panicking(),
        })
    }

    /// Tells whether it is poisoned, without waiting for it.
    ///
    /// # Errors
    ///
    /// It is.
    pub fn check(&self) -> Result<(), Poisoned> {
        if self.is_poisoned.load(Ordering::Acquire) {
            return Err(Poisoned);
        }
        Ok(())
    }
}

impl<T> fmt::Debug for Guarded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("is_poisoned", &self.is_poisoned)
            .finish_non_exhaustive()
    }
}

/// The value of a [`Guarded`], for as long as this is kept.
#[must_use = "the value is locked as long as this is kept"]
pub struct Guard<'g, T> {
    of: &'g Guarded<T>,
    value: MutexGuard<'g, T>,
    /// A destructor may lock something while its thread panics: that is no change that ends half-way.
    panicked_before: bool,
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if panicking() && !self.panicked_before {
            self.of.is_poisoned.store(true, Ordering::Release);
            if let Some(tell) = &self.of.tell {
                tell();
            }
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn panic_with<T>(guarded: &Guarded<T>) {
        let change = || {
            let _guard = guarded.lock().unwrap();
            panic!("half-way");
        };
        assert!(catch_unwind(AssertUnwindSafe(change)).is_err());
    }

    #[test]
    fn who_panics_in_a_change_poisons_it_for_all() {
        let told = Arc::new(AtomicUsize::new(0));
        let tell = told.clone();
        let guarded = Guarded::telling(1, move || {
            tell.fetch_add(1, Ordering::Relaxed);
        });
        *guarded.lock().unwrap() += 1;
        assert_eq!(guarded.lock().as_deref(), Ok(&2));
        assert_eq!(told.load(Ordering::Relaxed), 0);
        panic_with(&guarded);
        assert_eq!(guarded.lock().err(), Some(Poisoned));
        assert_eq!(guarded.check(), Err(Poisoned));
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_destructor_may_use_it_while_its_thread_panics() {
        struct Counts<'g>(&'g Guarded<u32>);
        impl Drop for Counts<'_> {
            fn drop(&mut self) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let (counter, other) = (Guarded::new(0), Guarded::new(()));
        let change = || {
            let _counts = Counts(&counter);
            panic_with(&other);
            panic!("elsewhere");
        };
        assert!(catch_unwind(AssertUnwindSafe(change)).is_err());
        assert_eq!(counter.lock().as_deref(), Ok(&1));
    }
}

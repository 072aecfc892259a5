//! Values of one process each.

use std::sync::OnceLock;

/// A value that every process makes for itself when it first asks for it.
#[derive(Debug)]
pub struct PerProcess<T: 'static> {
    first: OnceLock<Box<Generation<T>>>,
    make: fn() -> T,
}

/// The value of one process; those that were forked from it have the next ones.
#[derive(Debug)]
struct Generation<T> {
    process: u32,
    value: T,
    next: OnceLock<Box<Generation<T>>>,
}

impl<T> PerProcess<T> {
    /// Values that are made by a function.
    pub const fn new(make: fn() -> T) -> Self {
        Self {
            first: OnceLock::new(),
            make,
        }
    }

    /// The value of this process, which is made now if it is not there. Those of the processes that it was forked from are kept and never touched.
    pub fn get(&self) -> &T {
        let process = std::process::id();
        let mut slot = &self.first;
        loop {
            let Some(generation) = slot.get() else {
                // Made before the slot is filled: a process that is forked while somebody makes one would wait for them for
                // ever. Of two that are made at once, one is dropped.
                let value = (self.make)();
                let next = OnceLock::new();
                drop(slot.set(Box::new(Generation { process, value, next })));
                continue;
            };
            if generation.process == process {
                return &generation.value;
            }
            slot = &generation.next;
        }
    }

    /// The value, if this process has made one.
    pub fn known(&self) -> Option<&T> {
        let process = std::process::id();
        let mut slot = &self.first;
        loop {
            let generation = slot.get()?;
            if generation.process == process {
                return Some(&generation.value);
            }
            slot = &generation.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    static MADE: AtomicU32 = AtomicU32::new(0);

    #[test]
    fn a_value_is_made_once_when_it_is_first_asked_for() {
        let numbers = PerProcess::new(|| MADE.fetch_add(1, Ordering::Relaxed));
        assert_eq!(numbers.known(), None);
        assert_eq!((numbers.get(), numbers.get()), (&0, &0));
        assert_eq!((numbers.known(), MADE.load(Ordering::Relaxed)), (Some(&0), 1));
    }

    #[test]
    fn a_value_of_another_process_is_kept_and_another_made() {
        let inherited = Generation {
            process: std::process::id() + 1,
            value: 1,
            next: OnceLock::new(),
        };
        let numbers = PerProcess {
            first: OnceLock::from(Box::new(inherited)),
            make: || 2,
        };
        assert_eq!(numbers.known(), None);
        assert_eq!((numbers.get(), numbers.known()), (&2, Some(&2)));
        assert_eq!(numbers.first.get().map(|first| first.value), Some(1));
    }
}

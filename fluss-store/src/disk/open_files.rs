//! Files that are kept open, within the descriptors that there are.
//!
//! A bucket opens its files when it needs them, and keeps them ([`Kept`]). All that are kept have a budget: whoever opens
//! one more closes others first, those that were not used lately. What somebody is using stays open, over the budget if need
//! be; so a file that is read or synced just now, and a snapshot that is alive, keep what they need.
//!
//! Those that are open stand in a ring. Who looks for one to close goes round: one that was used since it was passed last
//! is passed once more. To use a file costs no more than to note that.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use fluss_rpc::sync::{Mutex, MutexGuard};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// The share of the descriptors of a process that buckets may keep: the rest is for connections, for files that are read or
/// written in passing, and for what else the process does.
const SHARE: u64 = 2;

/// What buckets keep at most: a state has two maps for three descriptors, and Linux gives a process 65,530 of them.
const MOST: usize = 1 << 16;

/// The files that are kept open, with how many descriptors they may have.
pub struct OpenFiles {
    budget: Option<usize>,
    open: AtomicUsize,
    ring: Mutex<VecDeque<Weak<dyn Idle>>>,
}

impl OpenFiles {
    /// The files of this process. Their budget is half of the descriptors that it may have, 65,536 at most.
    pub fn of_process() -> Arc<Self> {
        /// With the process that it is of: what a forked child has inherited it must not touch.
        static SHARED: Mutex<Option<(u32, Arc<OpenFiles>)>> = Mutex::new(None);
        let process = std::process::id();
        let mut shared = SHARED.lock();
        match &*shared {
            Some((owner, files)) if *owner == process => files.clone(),
            _ => {
                let files = Arc::new(Self::new(None));
                // Dropped in the child, those of the parent would be closed.
                std::mem::forget(shared.replace((process, files.clone())));
                files
            }
        }
    }

    /// Files with a budget of their own.
    pub fn within(budget: usize) -> Arc<Self> {
        Arc::new(Self::new(Some(budget)))
    }

    fn new(budget: Option<usize>) -> Self {
        Self {
            budget,
            open: AtomicUsize::new(0),
            ring: Mutex::default(),
        }
    }

    /// How many descriptors may be kept. The limit of the process may change, so it is asked each time.
    fn budget(&self) -> usize {
        self.budget.unwrap_or_else(|| {
            let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            usize::try_from(limit / SHARE).unwrap_or(usize::MAX).min(MOST)
        })
    }

    /// Takes so many descriptors out of the budget, and closes what was not used lately to make room for them.
    fn admit(self: &Arc<Self>, count: usize) -> Share {
        let share = Share {
            files: self.clone(),
            count,
        };
        self.open.fetch_add(count, Ordering::AcqRel);
        while self.open.load(Ordering::Acquire) > self.budget() && self.close_one() {}
        share
    }

    /// Opens something. If the process or the system has no descriptor left, what is idle is closed, and it is tried again.
    ///
    /// # Errors
    ///
    /// Those of `open`; with [`is_exhausted`] if nothing is idle any more.
    pub(crate) fn with_room<T>(&self, mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match open() {
                Err(error) if is_exhausted(&error) && self.close_one() => {}
                opened => return opened,
            }
        }
    }

    /// Closes what was used longest ago and is not in use. Returns whether there was something.
    pub fn close_one(&self) -> bool {
        let mut ring = self.ring();
        // Twice round: they may all have been used since the last time.
        for _ in 0..2 * ring.len() {
            let Some(next) = ring.pop_front() else { break };
            let Some(kept) = next.upgrade() else { continue };
            match kept.close_if_idle() {
                Found::InUse => ring.push_back(next),
                Found::Closed => {
                    kept.is_in_ring().store(false, Ordering::Relaxed);
                    return true;
                }
                Found::NotOpen => kept.is_in_ring().store(false, Ordering::Relaxed),
            }
        }
        false
    }

    /// Notes that something is open.
    fn note(&self, kept: &Arc<impl Idle + 'static>) {
        let mut ring = self.ring();
        if kept.is_in_ring().swap(true, Ordering::Relaxed) {
            return;
        }
        // Those that are gone make way when there would be no room.
        if ring.len() == ring.capacity() {
            ring.retain(|kept| kept.strong_count() > 0);
            let left = ring.len();
            ring.reserve(left.max(1));
        }
        let kept = Arc::downgrade(kept);
        ring.push_back(kept);
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<Weak<dyn Idle>>> {
        self.ring.lock()
    }
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFiles")
            .field("budget", &self.budget())
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// Opens something, with [`OpenFiles::with_room`] where an open file costs a descriptor.
///
/// # Errors
///
/// Those of `open`.
pub(crate) fn with_room<T>(
    files: Option<&OpenFiles>,
    mut open: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    match files {
        Some(files) => files.with_room(open),
        None => open(),
    }
}

/// Returns whether an error says that the process, or the system, has no descriptor left.
pub fn is_exhausted(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE]
        .map(Errno::raw_os_error)
        .map(Some)
        .contains(&error.raw_os_error())
}

/// Descriptors that are taken out of the budget until this is dropped.
#[derive(Debug)]
struct Share {
    files: Arc<OpenFiles>,
    count: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.files.open.fetch_sub(self.count, Ordering::AcqRel);
    }
}

/// What may be asked to close what it keeps.
trait Idle: Send + Sync {
    /// Closes it, unless somebody has it, or has had it since this was asked last.
    fn close_if_idle(&self) -> Found;

    /// Whether it stands in the ring, which is known to who has that locked.
    fn is_in_ring(&self) -> &AtomicBool;
}

/// What was found of something that is kept.
enum Found {
    Closed,
    InUse,
    NotOpen,
}

/// A file, or something with several files, that stays open after it was used until others need its descriptors.
pub struct Kept<T: ?Sized>(Arc<Place<T>>);

struct Place<T: ?Sized> {
    files: Option<Arc<OpenFiles>>,
    /// How many descriptors it has.
    count: usize,
    was_used: AtomicBool,
    is_in_ring: AtomicBool,
    open: Mutex<Option<Open<T>>>,
}

struct Open<T: ?Sized> {
    /// Idle if nobody else has it: it is handed out only with `Place::open` locked.
    value: Arc<T>,
    /// Given back when it is closed.
    _share: Option<Share>,
}

impl<T: Send + Sync + ?Sized + 'static> Kept<T> {
    /// Nothing open yet. When it is open it has `count` descriptors out of the budget of `files`; without a budget it is never
    /// closed for others.
    pub fn new(files: Option<Arc<OpenFiles>>, count: usize) -> Self {
        Self(Arc::new(Place {
            files,
            count,
            was_used: AtomicBool::new(false),
            is_in_ring: AtomicBool::new(false),
            open: Mutex::new(None),
        }))
    }

    /// Returns what is kept, if it is open. It stays open for as long as the caller holds it.
    pub fn get(&self) -> Option<Arc<T>> {
        let open = self.0.open();
        self.0.use_it();
        open.as_ref().map(|open| open.value.clone())
    }

    /// Returns what is kept, and opens it if it is not open. It stays open for as long as the caller holds it.
    ///
    /// # Errors
    ///
    /// Those of `open`, which is tried again as long as descriptors are missing, and others can give some.
    pub fn get_or_open(&self, open: impl FnMut() -> io::Result<Arc<T>>) -> io::Result<Arc<T>> {
        let mut place = self.0.open();
        if let Some(open) = &*place {
            self.0.use_it();
            return Ok(open.value.clone());
        }
        let share = self.0.files.as_ref().map(|files| files.admit(self.0.count));
        let value = with_room(self.files(), open)?;
        // It stands behind all others: that is enough for what is used once.
        self.0.was_used.store(false, Ordering::Relaxed);
        *place = Some(Open {
            value: value.clone(),
            _share: share,
        });
        drop(place);
        if let Some(files) = &self.0.files {
            files.note(&self.0);
        }
        Ok(value)
    }

    /// Returns the files whose budget it takes part in.
    pub fn files(&self) -> Option<&OpenFiles> {
        self.0.files.as_deref()
    }

    /// Closes what is open. Those who hold it keep it open.
    pub fn close(&self) {
        *self.0.open() = None;
    }
}

impl<T: ?Sized> Place<T> {
    fn open(&self) -> MutexGuard<'_, Option<Open<T>>> {
        self.open.lock()
    }

    fn use_it(&self) {
        // Read before: to write it each time would take it away from other cores.
        if !self.was_used.load(Ordering::Relaxed) {
            self.was_used.store(true, Ordering::Relaxed);
        }
    }
}

impl<T: Send + Sync + ?Sized> Idle for Place<T> {
    fn close_if_idle(&self) -> Found {
        let Some(mut open) = self.open.try_lock() else {
            return Found::InUse;
        };
        match &*open {
            None => Found::NotOpen,
            Some(is_open) if Arc::strong_count(&is_open.value) > 1 => Found::InUse,
            Some(_) if self.was_used.swap(false, Ordering::Relaxed) => Found::InUse,
            Some(_) => {
                // Before anybody can open it again.
                *open = None;
                Found::Closed
            }
        }
    }

    fn is_in_ring(&self) -> &AtomicBool {
        &self.is_in_ring
    }
}

impl<T: ?Sized> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = !matches!(self.0.open.try_lock().as_deref(), Some(None));
        f.debug_struct("Kept")
            .field("is_open", &is_open)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Things with two descriptors each, by their numbers.
    struct Things {
        files: Arc<OpenFiles>,
        things: Vec<Kept<usize>>,
    }

    impl Things {
        fn within(budget: usize) -> Self {
            let files = OpenFiles::within(budget);
            Self {
                things: (0..10).map(|_| Kept::new(Some(files.clone()), 2)).collect(),
                files,
            }
        }

        fn use_it(&self, number: usize) -> Arc<usize> {
            let used = self.things[number].get_or_open(|| Ok(Arc::new(number)));
            assert_eq!(self.files.open.load(Ordering::Relaxed), 2 * self.open().len());
            used.unwrap()
        }

        fn open(&self) -> Vec<usize> {
            let is_open = |number: &usize| self.things[*number].0.open().is_some();
            (0..self.things.len()).filter(is_open).collect()
        }
    }

    #[test]
    fn what_was_not_used_lately_makes_way() {
        let things = Things::within(6);
        for number in [0, 1, 2, 3] {
            things.use_it(number);
        }
        assert_eq!(things.open(), [1, 2, 3]);
        // Since 0 was closed nobody has used 1 and 3.
        things.use_it(2);
        things.use_it(4);
        assert_eq!(things.open(), [2, 3, 4]);
        things.use_it(2);
        things.use_it(5);
        assert_eq!(things.open(), [2, 4, 5]);
        // What was closed opens again.
        assert_eq!(*things.use_it(0), 0);
        assert_eq!(things.open().len(), 3);
    }

    #[test]
    fn what_somebody_has_stays_open() {
        let things = Things::within(4);
        let held: Vec<_> = (0..5).map(|number| things.use_it(number)).collect();
        assert_eq!(things.open(), [0, 1, 2, 3, 4]);
        drop(held);
        things.use_it(5);
        assert_eq!(things.open().len(), 2);
    }

    #[test]
    fn what_is_missing_is_taken_from_what_is_idle() {
        let things = Things::within(usize::MAX);
        let held = things.use_it(0);
        (1..5).for_each(|number| drop(things.use_it(number)));
        let mut tries = 0;
        let opened = things.files.with_room(|| {
            tries += 1;
            if tries <= 3 {
                return Err(io::Error::from(Errno::MFILE));
            }
            Ok(tries)
        });
        assert_eq!((opened.unwrap(), things.open().len()), (4, 2));
        let never = things
            .files
            .with_room(|| Err::<(), _>(io::Error::from(Errno::NFILE)));
        assert_eq!(
            never.unwrap_err().raw_os_error(),
            Some(Errno::NFILE.raw_os_error())
        );
        assert_eq!(things.open(), [*held]);
    }

    #[test]
    fn the_ring_has_each_once_and_forgets_those_that_are_gone() {
        let mut things = Things::within(usize::MAX);
        for round in 0..1_000 {
            let number = round % 10;
            things.use_it(number);
            if round % 3 == 0 {
                things.things[number].close();
            } else if round % 3 == 1 {
                things.things[number] = Kept::new(Some(things.files.clone()), 2);
            }
        }
        assert!(things.files.ring().len() <= 32, "{}", things.files.ring().len());
        while things.files.close_one() {}
        assert!(things.open().is_empty());
        assert_eq!(things.files.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn threads_open_and_close_together() {
        let things = Things::within(5);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let things = &things;
                scope.spawn(move || {
                    for round in 0..5_000 {
                        let number = (thread + round) % 10;
                        let used = things.things[number].get_or_open(|| Ok(Arc::new(number)));
                        assert_eq!(*used.unwrap(), number);
                    }
                });
            }
        });
        assert!(things.open().len() <= 2 + 4, "{:?}", things.open());
        things.use_it(0);
        assert!(things.open().len() <= 2, "{:?}", things.open());
    }
}

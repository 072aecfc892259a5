//! Counts what the thread of a test allocates, so that a test can tell what hostile bytes cost.

#![expect(unsafe_code, reason = "an allocator is unsafe by its contract")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The largest buffer that the decoder makes, whatever a batch claims.
const MAX_BUFFER_BYTES: usize = 256 << 20;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static TOTAL: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, which notes what each thread asks it for.
struct Counting;

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn note(size: usize) {
    // A thread that ends has no cells any more.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
    let _ = TOTAL.try_with(|total| total.set(total.get().saturating_add(size)));
}

/// What a piece of work asked the allocator for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allocated {
    /// The size of the largest allocation.
    pub(crate) largest: usize,
    /// The sum of all.
    pub(crate) total: usize,
}

/// Does a piece of work on this thread, and tells what it asked the allocator for.
pub(crate) fn measure(work: impl FnOnce()) -> Allocated {
    LARGEST.set(0);
    TOTAL.set(0);
    work();
    Allocated {
        largest: LARGEST.get(),
        total: TOTAL.get(),
    }
}

/// The most that reading a batch of so many bytes may ask for at once. What is compressed says how many bytes it
/// becomes, and what is not needs no more than a few times its own size.
pub(crate) const fn allocation_limit(bytes: usize) -> usize {
    /// Zstandard makes at most this much of a byte.
    const MOST_OF_A_BYTE: usize = 32 << 10;
    /// What the compressions work in, however little there is to read.
    const WORKING_BYTES: usize = 16 << 20;
    let expanded = bytes.saturating_mul(MOST_OF_A_BYTE);
    let most = if expanded < MAX_BUFFER_BYTES {
        expanded
    } else {
        MAX_BUFFER_BYTES
    };
    most + WORKING_BYTES
}

#[test]
fn what_is_allocated_is_counted() {
    let allocated = measure(|| {
        drop(std::hint::black_box(vec![0_u8; 1000]));
        drop(std::hint::black_box(Vec::<u8>::with_capacity(500)));
    });
    assert_eq!((allocated.largest, allocated.total), (1000, 1500));
}

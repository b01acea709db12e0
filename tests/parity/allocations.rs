//! The largest allocation of a thread since it last asked, for tests of readers that must not believe a
//! file's own counts; and what it holds and held at most, for tests of loaders that must not copy.

#[cfg(not(target_arch = "wasm32"))]
mod watching {
    use std::{
        alloc::{GlobalAlloc, Layout, System},
        cell::Cell,
    };

    thread_local! {
        pub static LARGEST: Cell<usize> = const { Cell::new(0) };
        /// Bytes that the thread took and did not give back; other threads may give back what it took.
        pub static HELD: Cell<i64> = const { Cell::new(0) };
        /// The most of them at once.
        pub static PEAK: Cell<i64> = const { Cell::new(0) };
    }

    /// The system's allocator, which notes sizes.
    struct Watching;

    #[global_allocator]
    static WATCHING: Watching = Watching;

    fn note(size: usize) {
        // A thread that ends has no such value any more, and nobody asks.
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
        change(size as i64);
    }

    fn change(bytes: i64) {
        let _ = HELD.try_with(|held| {
            held.set(held.get() + bytes);
            PEAK.try_with(|peak| peak.set(peak.get().max(held.get())))
        });
    }

    // SAFETY: every call goes to the system's allocator unchanged.
    unsafe impl GlobalAlloc for Watching {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            note(layout.size());
            // SAFETY: the caller keeps the contract of this trait.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
            change(-(layout.size() as i64));
            // SAFETY: the caller keeps the contract of this trait.
            unsafe { System.dealloc(at, layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            note(layout.size());
            // SAFETY: the caller keeps the contract of this trait.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            change(-(layout.size() as i64));
            note(size);
            // SAFETY: the caller keeps the contract of this trait.
            unsafe { System.realloc(at, layout, size) }
        }
    }
}

/// Starts anew.
pub fn forget() {
    #[cfg(not(target_arch = "wasm32"))]
    watching::LARGEST.set(0);
}

/// Bytes of the largest allocation since; 0 in a browser, which does not watch.
pub fn largest() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    return watching::LARGEST.get();
    #[cfg(target_arch = "wasm32")]
    0
}

/// Bytes that the thread holds; what it holds at most is counted from here.
pub fn start() -> i64 {
    #[cfg(not(target_arch = "wasm32"))]
    return {
        let held = watching::HELD.get();
        watching::PEAK.set(held);
        held
    };
    #[cfg(target_arch = "wasm32")]
    0
}

/// How many bytes more than at the `start` the thread holds, and held at most; 0 in a browser.
pub fn since(start: i64) -> (i64, i64) {
    #[cfg(not(target_arch = "wasm32"))]
    return (watching::HELD.get() - start, watching::PEAK.get() - start);
    #[cfg(target_arch = "wasm32")]
    (start, start)
}

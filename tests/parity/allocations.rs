//! The largest allocation of a thread since it last asked, for tests of readers that must not believe a
//! file's own counts.

#[cfg(not(target_arch = "wasm32"))]
mod watching {
    use std::{
        alloc::{GlobalAlloc, Layout, System},
        cell::Cell,
    };

    thread_local! {
        pub static LARGEST: Cell<usize> = const { Cell::new(0) };
    }

    /// The system's allocator, which notes sizes.
    struct Watching;

    #[global_allocator]
    static WATCHING: Watching = Watching;

    fn note(size: usize) {
        // A thread that ends has no such value any more, and nobody asks.
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
    }

    // SAFETY: every call goes to the system's allocator unchanged.
    unsafe impl GlobalAlloc for Watching {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            note(layout.size());
            // SAFETY: the caller keeps the contract of this trait.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
            // SAFETY: the caller keeps the contract of this trait.
            unsafe { System.dealloc(at, layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            note(layout.size());
            // SAFETY: the caller keeps the contract of this trait.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
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

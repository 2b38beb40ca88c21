//! A global allocator that keeps large blocks for reuse.
//!
//! A training step allocates and frees the same large vectors again and again; the system returns
//! them to the kernel each time and pays for every page anew.
//! This allocator keeps freed blocks of 32 KiB and more in free lists by size class.
//! The library only offers it; binaries install it:
//!
//! ```
//! use ctl_compute::allocator::CachingAllocator;
//!
//! #[global_allocator]
//! static ALLOCATOR: CachingAllocator = CachingAllocator::new();
//!
//! let large = vec![1u8; 1 << 20];
//! assert_eq!(large.iter().map(|&b| usize::from(b)).sum::<usize>(), 1 << 20);
//! ```
#![expect(
    unsafe_code,
    reason = "a global allocator hands out raw memory; each block says why it is sound"
)]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "cached blocks are aligned to 64 bytes, more than a pointer needs"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::spin_loop;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// Smaller blocks go to the system allocator directly.
const SMALLEST_CACHED: usize = 32 * 1024;
/// Blocks of this size and more are not kept.
const LARGEST_CACHED: usize = 1 << 30;
/// Alignment of cached blocks; requests for more go to the system.
const ALIGNMENT: usize = 64;
/// Freed bytes that are kept at most.
const KEPT_BYTES: usize = 3 << 30;
/// Size classes per doubling of the size.
const STEPS: usize = 4;
const CLASSES: usize = 16 * STEPS;

/// Caches freed large blocks; see the module's documentation.
pub struct CachingAllocator {
    lists: [FreeList; CLASSES],
    kept: AtomicUsize,
}

struct FreeList {
    locked: AtomicBool,
    first: AtomicPtr<u8>,
}

impl CachingAllocator {
    /// An allocator with empty lists.
    pub const fn new() -> Self {
        Self {
            lists: [const {
                FreeList {
                    locked: AtomicBool::new(false),
                    first: AtomicPtr::new(null_mut()),
                }
            }; CLASSES],
            kept: AtomicUsize::new(0),
        }
    }

    /// A freed block of a class, if there is one.
    fn take(&self, class: Class) -> Option<*mut u8> {
        let block = self.lists[class.index].pop()?;
        self.kept.fetch_sub(class.size, Ordering::Relaxed);
        Some(block)
    }
}

impl Default for CachingAllocator {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Copy)]
struct Class {
    index: usize,
    size: usize,
}

/// The size class of a request, or `None` where the system serves it.
fn class_of(layout: Layout) -> Option<Class> {
    let size = layout.size();
    if !(SMALLEST_CACHED..LARGEST_CACHED).contains(&size) || layout.align() > ALIGNMENT {
        return None;
    }
    // `octave` is the largest power of two not above the size, divided into `STEPS` classes.
    let octave = size.ilog2();
    let step = (1usize << octave) / STEPS;
    let steps = (size - (1 << octave)).div_ceil(step);
    let index = (octave - SMALLEST_CACHED.ilog2()) as usize * STEPS + steps;
    let size = (1 << octave) + steps * step;
    (index < CLASSES).then_some(Class { index, size })
}

fn class_layout(class: Class) -> Layout {
    // SAFETY: `ALIGNMENT` is a power of two, and sizes stay below 2^30 rounded up to a class.
    unsafe { Layout::from_size_align_unchecked(class.size, ALIGNMENT) }
}

impl FreeList {
    fn lock(&self) {
        while self
            .locked
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            spin_loop();
        }
    }

    fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
    }

    fn pop(&self) -> Option<*mut u8> {
        self.lock();
        let block = self.first.load(Ordering::Relaxed);
        if !block.is_null() {
            // SAFETY: blocks in the list are at least 32 KiB, aligned to 64 bytes, owned by the
            // list, and hold the next block's address in their first bytes, written by `push`.
            let next = unsafe { block.cast::<*mut u8>().read() };
            self.first.store(next, Ordering::Relaxed);
        }
        self.unlock();
        (!block.is_null()).then_some(block)
    }

    fn push(&self, block: *mut u8) {
        self.lock();
        let next = self.first.load(Ordering::Relaxed);
        // SAFETY: the caller gives up a block of at least 32 KiB, aligned to 64 bytes.
        unsafe { block.cast::<*mut u8>().write(next) };
        self.first.store(block, Ordering::Relaxed);
        self.unlock();
    }
}

// SAFETY: blocks of a class are allocated with the class's layout, which is at least as large and
// as aligned as any request of that class; `class_of` depends on the layout alone, so allocation
// and release of a block agree on its class; a block is in one list or in use, never both.
unsafe impl GlobalAlloc for CachingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller's layout is passed on unchanged.
            return unsafe { System.alloc(layout) };
        };
        self.take(class)
            // SAFETY: a class's size is never zero.
            .unwrap_or_else(|| unsafe { System.alloc(class_layout(class)) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller's layout is passed on unchanged.
            return unsafe { System.alloc_zeroed(layout) };
        };
        match self.take(class) {
            Some(block) => {
                // SAFETY: the block has at least `layout.size()` bytes and is not in use.
                unsafe { block.write_bytes(0, layout.size()) };
                block
            }
            // SAFETY: a class's size is never zero.
            None => unsafe { System.alloc_zeroed(class_layout(class)) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class_of(layout) else {
            // SAFETY: such a block came from the system with this very layout.
            return unsafe { System.dealloc(block, layout) };
        };
        let kept = self.kept.fetch_add(class.size, Ordering::Relaxed);
        if kept + class.size > KEPT_BYTES {
            self.kept.fetch_sub(class.size, Ordering::Relaxed);
            // SAFETY: blocks of a class came from the system with the class's layout.
            return unsafe { System.dealloc(block, class_layout(class)) };
        }
        self.lists[class.index].push(block);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller guarantees that `size` does not overflow when rounded up.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class_of(layout), class_of(wanted)) {
            // SAFETY: the block came from the system with this layout and stays with it.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some(old), Some(new)) if old.index == new.index => block,
            _ => {
                // SAFETY: the layouts are valid; the blocks do not overlap, and the smaller of the
                // two sizes lies inside both.
                unsafe {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        let count = layout.size().min(size);
                        moved.copy_from_nonoverlapping(block, count);
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_their_requests_and_waste_less_than_a_quarter() {
        for size in (SMALLEST_CACHED..4 << 20).step_by(1111) {
            let class = class_of(Layout::from_size_align(size, 8).unwrap()).unwrap();
            assert!(
                class.size >= size && class.size - size < size / STEPS + 1,
                "{size}"
            );
        }
        assert!(class_of(Layout::from_size_align(1000, 8).unwrap()).is_none());
        assert!(class_of(Layout::from_size_align(1 << 20, 4096).unwrap()).is_none());
    }

    #[test]
    fn freed_blocks_come_back_and_zeroed_memory_is_zero() {
        let allocator = CachingAllocator::new();
        let layout = Layout::from_size_align(100_000, 8).unwrap();
        // SAFETY: the layout is not empty; blocks are used within their size and freed once.
        unsafe {
            let first = allocator.alloc(layout);
            first.write_bytes(7, layout.size());
            allocator.dealloc(first, layout);
            let second = allocator.alloc_zeroed(layout);
            assert_eq!(first, second, "the block is reused");
            assert!((0..layout.size()).all(|i| second.add(i).read() == 0));
            second.write_bytes(9, layout.size());
            let larger = allocator.realloc(second, layout, 300_000);
            assert!((0..layout.size()).all(|i| larger.add(i).read() == 9));
            let wanted = Layout::from_size_align(300_000, 8).unwrap();
            allocator.dealloc(larger, wanted);
        }
        assert!(allocator.kept.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn threads_share_the_lists() {
        let allocator = CachingAllocator::new();
        let layout = Layout::from_size_align(50_000, 8).unwrap();
        std::thread::scope(|scope| {
            for mark in 0..4u8 {
                let allocator = &allocator;
                scope.spawn(move || {
                    for _ in 0..500 {
                        // SAFETY: the block is used within its size and freed once.
                        unsafe {
                            let block = allocator.alloc(layout);
                            block.write_bytes(mark, layout.size());
                            assert!(
                                (0..50_000)
                                    .step_by(997)
                                    .all(|i| block.add(i).read() == mark)
                            );
                            allocator.dealloc(block, layout);
                        }
                    }
                });
            }
        });
    }
}

//! A global allocator that keeps large blocks for reuse.
//!
//! A training step allocates and frees the same large vectors again and again; the system returns
//! them to the kernel each time and pays for every page anew.
//! This allocator keeps freed blocks of 32 KiB and more in free lists by size class.
//!
//! On Linux, blocks of 4 MiB and more are mapped by itself, begin at a huge page, and ask for huge
//! pages (`madvise`, as `NumPy` does): a new page costs the system about as much whether it has
//! 4 KiB or 2 MiB, and a new volume of images is made of tens of thousands of small ones.
//! Where `/sys/kernel/mm/transparent_hugepage/enabled` says `never`, pages stay small and nothing
//! else changes.
//! Such blocks are zero when they are new, so that zeroed memory is not touched before it is used.
//!
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
/// Blocks of this size and more are worth huge pages, of which they should hold a few.
#[cfg(target_os = "linux")]
const SMALLEST_HUGE: usize = 4 << 20;
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

/// A new block of a class, zero throughout if `zeroed`; null where there is no memory.
fn new_block(class: Class, zeroed: bool) -> *mut u8 {
    #[cfg(target_os = "linux")]
    if class.size >= SMALLEST_HUGE {
        return huge::map(class.size);
    }
    let layout = class_layout(class);
    // SAFETY: a class's size is never zero.
    unsafe {
        if zeroed {
            System.alloc_zeroed(layout)
        } else {
            System.alloc(layout)
        }
    }
}

/// Returns a block of a class to the system.
///
/// # Safety
/// The block came from [`new_block`] with this class and is not used any more.
unsafe fn drop_block(block: *mut u8, class: Class) {
    #[cfg(target_os = "linux")]
    if class.size >= SMALLEST_HUGE {
        // SAFETY: blocks of this class are mapped, with its size.
        return unsafe { huge::unmap(block, class.size) };
    }
    // SAFETY: all others came from the system with this layout.
    unsafe { System.dealloc(block, class_layout(class)) };
}

/// Memory straight from the system, in huge pages where it has them.
#[cfg(target_os = "linux")]
mod huge {
    use std::ptr::null_mut;

    /// Bytes of a huge page on `x86_64`, and on aarch64 with small pages of 4 KiB.
    ///
    /// Where huge pages are larger, this is a multiple of the small ones and the advice does nothing.
    pub(super) const PAGE: usize = 2 << 20;

    /// Maps zeroed memory that begins at a multiple of [`PAGE`]; null where there is none.
    ///
    /// `size` is a multiple of the system's page, far below the largest `usize`.
    pub(super) fn map(size: usize) -> *mut u8 {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // A page more than is needed holds a start that is aligned.
        // SAFETY: a new mapping, at a place that the system chooses, concerns no other memory.
        let whole = unsafe { libc::mmap(null_mut(), size + PAGE, access, kind, -1, 0) };
        if whole == libc::MAP_FAILED {
            return null_mut();
        }
        let before = whole.cast::<u8>().align_offset(PAGE);
        // SAFETY: `before` is at most `PAGE`, so that the block lies within the new mapping; what
        // is unmapped lies beside the block and nobody has its address. Advice changes no content,
        // and what it answers does not matter.
        unsafe {
            let block = whole.cast::<u8>().add(before);
            if before > 0 {
                libc::munmap(whole, before);
            }
            if before < PAGE {
                libc::munmap(block.add(size).cast(), PAGE - before);
            }
            libc::madvise(block.cast(), size, libc::MADV_HUGEPAGE);
            block
        }
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// It came from [`map`] with this size and is not used any more.
    pub(super) unsafe fn unmap(block: *mut u8, size: usize) {
        // SAFETY: the block is a mapping, or a part of one, that belongs to the caller alone.
        unsafe { libc::munmap(block.cast(), size) };
    }
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

// SAFETY: blocks of a class are at least as large and as aligned as any request of that class
// (mapped ones begin at a page); `class_of` depends on the layout alone, so allocation and release
// of a block agree on its class, and with it on where the block came from; a block is in one list
// or in use, never both.
unsafe impl GlobalAlloc for CachingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller's layout is passed on unchanged.
            return unsafe { System.alloc(layout) };
        };
        self.take(class).unwrap_or_else(|| new_block(class, false))
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
            None => new_block(class, true),
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
            // SAFETY: the block is of this class, as `class_of` depends on the layout alone, and
            // the caller gives it up.
            return unsafe { drop_block(block, class) };
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
    fn large_blocks_come_back_to_their_class_and_keep_their_values() {
        let allocator = CachingAllocator::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let (small, large, larger) = (3 << 20, 5 << 20, 9 << 20);
        // SAFETY: blocks are used within their size and freed once, with the layout they have then.
        unsafe {
            // From a block of the system to a mapped one, to a larger one, and back.
            let block = allocator.alloc(layout(small));
            block.write_bytes(3, small);
            let block = allocator.realloc(block, layout(small), large);
            assert!((0..small).step_by(4099).all(|i| block.add(i).read() == 3));
            block.write_bytes(5, large);
            let other = allocator.realloc(block, layout(large), larger);
            assert!((0..large).step_by(4099).all(|i| other.add(i).read() == 5));
            other.write_bytes(9, larger);
            assert_eq!(allocator.alloc(layout(large)), block, "the block is reused");
            allocator.dealloc(block, layout(large));
            let zeroed = allocator.alloc_zeroed(layout(large));
            assert_eq!(zeroed, block, "the block is reused once more");
            assert!((0..large).all(|i| zeroed.add(i).read() == 0));
            let back = allocator.realloc(other, layout(larger), small);
            assert!((0..small).step_by(4099).all(|i| back.add(i).read() == 9));
            // With all room for free blocks taken, they go back to the system.
            allocator.kept.store(KEPT_BYTES, Ordering::Relaxed);
            allocator.dealloc(zeroed, layout(large));
            allocator.dealloc(back, layout(small));
            assert_eq!(allocator.kept.load(Ordering::Relaxed), KEPT_BYTES);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn new_large_blocks_begin_at_huge_pages_and_stay_untouched() {
        let allocator = CachingAllocator::new();
        for size in [SMALLEST_HUGE, (9 << 20) + 5, 100 << 20] {
            let layout = Layout::from_size_align(size, 8).unwrap();
            // SAFETY: the block is read within its size and freed once.
            unsafe {
                let block = allocator.alloc_zeroed(layout);
                assert_eq!(block.align_offset(huge::PAGE), 0, "{size}");
                assert_eq!(resident_pages(block, size), 0, "{size}");
                assert!(!advice_counts() || is_advised(block), "{size}");
                assert!((0..size).step_by(1 << 10).all(|i| block.add(i).read() == 0));
                block.add(size - 1).write(1);
                assert!(resident_pages(block, size) > 0, "{size}");
                allocator.dealloc(block, layout);
            }
        }
    }

    /// Pages of a block that the system has given memory to.
    #[cfg(target_os = "linux")]
    fn resident_pages(block: *mut u8, size: usize) -> usize {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let mut pages = vec![0_u8; size.div_ceil(page)];
        // SAFETY: the block is mapped, and there is a byte for each of its pages.
        let answer = unsafe { libc::mincore(block.cast(), size, pages.as_mut_ptr()) };
        assert_eq!(answer, 0);
        pages.iter().filter(|&&page| page & 1 == 1).count()
    }

    /// Whether the system has huge pages at all.
    #[cfg(target_os = "linux")]
    fn advice_counts() -> bool {
        std::path::Path::new("/sys/kernel/mm/transparent_hugepage/enabled").exists()
    }

    /// Whether the mapping of a block has the flag `hg` (huge pages advised).
    #[cfg(target_os = "linux")]
    fn is_advised(block: *mut u8) -> bool {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut within = false;
        for line in maps.lines() {
            let range = line
                .split_whitespace()
                .next()
                .and_then(|word| word.split_once('-'));
            let bounds = range.and_then(|(start, end)| {
                let number = |text| usize::from_str_radix(text, 16).ok();
                Some(number(start)?..number(end)?)
            });
            if let Some(bounds) = bounds {
                within = bounds.contains(&block.addr());
            } else if within && line.starts_with("VmFlags:") {
                return line.split_whitespace().any(|flag| flag == "hg");
            }
        }
        false
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

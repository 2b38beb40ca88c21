//! Result vectors that are written once: a zeroed vector costs a pass over memory.

use std::mem::MaybeUninit;

/// Elements of one piece of an elementwise loop: large enough to outweigh handing it to a thread,
/// small enough that operands stay in the second-level cache.
pub(crate) const PIECE: usize = 16 * 1024;

/// A vector of `len` values that `fill` writes.
///
/// # Safety
/// `fill` writes every element.
pub(crate) unsafe fn written<T: Copy>(
    len: usize,
    fill: impl FnOnce(&mut [MaybeUninit<T>]),
) -> Vec<T> {
    let mut out = Vec::with_capacity(len);
    fill(&mut out.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is at least `len`, and the caller wrote every element.
    unsafe { out.set_len(len) };
    out
}

/// Writes `value` everywhere and hands the slice back as initialised.
#[inline(always)]
pub(crate) fn filled<T: Copy>(out: &mut [MaybeUninit<T>], value: T) -> &mut [T] {
    for slot in out.iter_mut() {
        slot.write(value);
    }
    // SAFETY: every element has just been written, and `MaybeUninit<T>` is laid out like `T`.
    unsafe { &mut *(std::ptr::from_mut(out) as *mut [T]) }
}

/// Hands a slice back as initialised.
///
/// # Safety
/// Every element has been written.
#[inline(always)]
pub(crate) unsafe fn assume_written<T: Copy>(out: &mut [MaybeUninit<T>]) -> &mut [T] {
    // SAFETY: the caller wrote every element, and `MaybeUninit<T>` is laid out like `T`.
    unsafe { &mut *(std::ptr::from_mut(out) as *mut [T]) }
}

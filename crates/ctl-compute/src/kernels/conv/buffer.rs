//! Scratch memory aligned to cache lines.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::simd::Float;

const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "only its size counts")] [MaybeUninit<u8>; LINE]);

/// Floats whose first lies at the start of a cache line, reached through pointers only: they are
/// uninitialised until a kernel writes them.
pub(crate) struct Buffer<T> {
    lines: Vec<Line>,
    marker: PhantomData<T>,
}

impl<T: Float> Buffer<T> {
    /// `len` uninitialised floats.
    pub(crate) fn new(len: usize) -> Self {
        let lines = (len * size_of::<T>()).div_ceil(LINE);
        let mut memory = Vec::with_capacity(lines);
        // SAFETY: the capacity suffices, and lines of uninitialised bytes are valid.
        unsafe { memory.set_len(lines) };
        Self {
            lines: memory,
            marker: PhantomData,
        }
    }

    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let mut buffer = Self::new(len);
        // SAFETY: all bytes 0 are the float 0, and the lines hold `len` floats.
        unsafe { buffer.as_mut_ptr().write_bytes(0, len) };
        buffer
    }

    pub(crate) fn as_ptr(&self) -> *const T {
        self.lines.as_ptr().cast()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.lines.as_mut_ptr().cast()
    }
}

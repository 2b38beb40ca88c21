//! The vectors of x86-64.

use std::arch::x86_64::{
    __m256, __m256i, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_max_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps, _mm512_sub_ps,
};

use super::micro::{Gather, Outer};
use super::simd::{Body, Simd};

/// 512 bits, with mask registers: 32 vector registers.
#[derive(Clone, Copy)]
pub(crate) struct Wide(__m512);

/// 256 bits with fused multiply-add: 16 vector registers.
#[derive(Clone, Copy)]
pub(crate) struct Half(__m256);

/// The three entry points, compiled with a level's instructions.
macro_rules! entries {
    ($features:literal) => {
        #[inline]
        unsafe fn gather<const REGISTERS: usize, const PIXELS: usize>(tile: &Gather<'_, f32>) {
            #[target_feature(enable = $features)]
            unsafe fn enabled<V: Simd, const REGISTERS: usize, const PIXELS: usize>(
                tile: &Gather<'_, V::Elem>,
            ) {
                // SAFETY: the caller's promises are passed on.
                unsafe { super::micro::gather::<V, REGISTERS, PIXELS>(tile) }
            }
            // SAFETY: the caller vouches for the instructions and the tile.
            unsafe { enabled::<Self, REGISTERS, PIXELS>(tile) }
        }

        #[inline]
        unsafe fn outer<const REGISTERS: usize, const ROWS: usize>(tile: &Outer<'_, f32>) {
            #[target_feature(enable = $features)]
            unsafe fn enabled<V: Simd, const REGISTERS: usize, const ROWS: usize>(
                tile: &Outer<'_, V::Elem>,
            ) {
                // SAFETY: the caller's promises are passed on.
                unsafe { super::micro::outer::<V, REGISTERS, ROWS>(tile) }
            }
            // SAFETY: the caller vouches for the instructions and the tile.
            unsafe { enabled::<Self, REGISTERS, ROWS>(tile) }
        }

        #[inline]
        unsafe fn vectorize<B: Body<Self>>(body: B) {
            #[target_feature(enable = $features)]
            unsafe fn enabled<V: Simd, B: Body<V>>(body: B) {
                // SAFETY: the caller's promises are passed on.
                unsafe { body.call() }
            }
            // SAFETY: the caller vouches for the instructions and the body.
            unsafe { enabled::<Self, B>(body) }
        }
    };
}

// SAFETY: `dispatch` selects it only where the processor has the instructions.
unsafe impl Simd for Wide {
    type Elem = f32;
    const LANES: usize = 16;
    const MAX_REGISTERS: usize = 4;
    const ACCUMULATORS: usize = 24;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for the instructions and 16 elements.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for the instructions and 16 elements.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, lanes: usize) -> Self {
        // SAFETY: the caller vouches for the instructions; masked lanes are not read.
        Self(unsafe { _mm512_maskz_loadu_ps(mask16(lanes), from) })
    }

    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        // SAFETY: the caller vouches for the instructions; masked lanes are not written.
        unsafe { _mm512_mask_storeu_ps(to, mask16(lanes), self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // Of two operands of which one is not a number the instruction gives the second.
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm512_max_ps(_mm512_setzero_ps(), self.0) })
    }

    entries!("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma");
}

/// The lowest `lanes` of 16 bits.
#[inline(always)]
fn mask16(lanes: usize) -> u16 {
    ((1u32 << lanes) - 1) as u16
}

/// Eight set words, then eight clear ones: a window into it masks the first lanes.
static HALF_MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline(always)]
unsafe fn mask8(lanes: usize) -> __m256i {
    debug_assert!(lanes <= 8);
    // SAFETY: the window starts at `8 - lanes`, within the first half, and spans 8 of 16 words.
    unsafe { _mm256_loadu_si256(HALF_MASKS.as_ptr().add(8 - lanes).cast()) }
}

// SAFETY: `dispatch` selects it only where the processor has the instructions.
unsafe impl Simd for Half {
    type Elem = f32;
    const LANES: usize = 8;
    const MAX_REGISTERS: usize = 2;
    const ACCUMULATORS: usize = 12;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for the instructions and 8 elements.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for the instructions and 8 elements.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, lanes: usize) -> Self {
        // SAFETY: the caller vouches for the instructions; masked lanes are not read.
        Self(unsafe { _mm256_maskload_ps(from, mask8(lanes)) })
    }

    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        // SAFETY: the caller vouches for the instructions; masked lanes are not written.
        unsafe { _mm256_maskstore_ps(to, mask8(lanes), self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm256_fmadd_ps(a.0, b.0, self.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // Of two operands of which one is not a number the instruction gives the second.
        // SAFETY: the caller vouches for the instructions.
        Self(unsafe { _mm256_max_ps(_mm256_setzero_ps(), self.0) })
    }

    entries!("avx2,fma");
}

//! Vectors of one register, written once for every level of instructions.
#![expect(
    private_bounds,
    private_interfaces,
    reason = "`Float` is sealed; only the kernels call `dispatch`"
)]

use super::micro::{Gather, Outer};
use crate::kernels::level::{Level, selected};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A float type that the convolution kernels are compiled for.
pub trait Float:
    sealed::Sealed
    + Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::AddAssign
    + std::ops::Mul<Output = Self>
    + std::ops::Sub<Output = Self>
    + 'static
{
    /// Additive identity.
    const ZERO: Self;
    /// One half.
    #[doc(hidden)]
    const HALF: Self;

    /// Runs `task` with the vectors of the selected level.
    #[doc(hidden)]
    fn dispatch<K: Task<Self>>(task: K) -> K::Out;
}

/// A kernel's driver, generic over the vectors it computes with.
pub(crate) trait Task<T: Float> {
    type Out;
    fn run<V: Simd<Elem = T>>(self) -> Self::Out;
}

impl Float for f32 {
    const ZERO: Self = 0.0;
    const HALF: Self = 0.5;

    fn dispatch<K: Task<Self>>(task: K) -> K::Out {
        match selected() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => task.run::<super::x86::Wide>(),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => task.run::<super::x86::Half>(),
            #[cfg(test)]
            Level::Emulated => task.run::<Portable<Self, 16, 4, 24>>(),
            _ => task.run::<Portable<Self, 4, 2, 12>>(),
        }
    }
}

impl Float for f64 {
    const ZERO: Self = 0.0;
    const HALF: Self = 0.5;

    fn dispatch<K: Task<Self>>(task: K) -> K::Out {
        task.run::<Portable<Self, 2, 2, 12>>()
    }
}

/// One vector register.
///
/// # Safety
/// Every method needs a processor that has the level's instructions; pointers must be valid for
/// the lanes read or written.
pub(crate) unsafe trait Simd: Copy + Send + Sync + 'static {
    type Elem: Float;
    /// Elements of a register.
    const LANES: usize;
    /// Registers of output channels in the widest tile.
    const MAX_REGISTERS: usize;
    /// Accumulators that fit beside weights and pixels.
    const ACCUMULATORS: usize;

    unsafe fn splat(value: Self::Elem) -> Self;
    unsafe fn load(from: *const Self::Elem) -> Self;
    unsafe fn store(self, to: *mut Self::Elem);
    /// The first `lanes` elements, the rest 0.
    unsafe fn load_partial(from: *const Self::Elem, lanes: usize) -> Self;
    /// Writes the first `lanes` elements.
    unsafe fn store_partial(self, to: *mut Self::Elem, lanes: usize);
    /// `self + a · b`
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    /// `max(self, 0)`
    unsafe fn relu(self) -> Self;

    /// [`super::micro::gather`], compiled for this level.
    unsafe fn gather<const REGISTERS: usize, const PIXELS: usize>(tile: &Gather<'_, Self::Elem>);
    /// [`super::micro::outer`], compiled for this level.
    unsafe fn outer<const REGISTERS: usize, const ROWS: usize>(tile: &Outer<'_, Self::Elem>);
    /// Calls `body`, compiled for this level.
    unsafe fn vectorize<B: Body<Self>>(body: B);
}

/// A loop that is compiled for a level.
pub(crate) trait Body<V: Simd> {
    /// # Safety
    /// The level's instructions exist; implementations are `#[inline(always)]` and state the rest.
    unsafe fn call(self);
}

/// `LANES` scalars: what the compiler makes vectors of on any processor, `WIDEST` of them in a
/// tile's row and `SUMS` in a tile.
#[derive(Clone, Copy)]
pub(crate) struct Portable<T, const LANES: usize, const WIDEST: usize, const SUMS: usize>(
    [T; LANES],
);

impl<T: Float, const LANES: usize, const WIDEST: usize, const SUMS: usize>
    Portable<T, LANES, WIDEST, SUMS>
{
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY: no special instructions are needed, and every access is the one that the trait allows.
unsafe impl<T: Float, const LANES: usize, const WIDEST: usize, const SUMS: usize> Simd
    for Portable<T, LANES, WIDEST, SUMS>
{
    type Elem = T;
    const LANES: usize = LANES;
    const MAX_REGISTERS: usize = WIDEST;
    const ACCUMULATORS: usize = SUMS;

    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller vouches for `LANES` elements.
        Self(unsafe { from.cast::<[T; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller vouches for `LANES` elements.
        unsafe { to.cast::<[T; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const T, lanes: usize) -> Self {
        let mut out = [T::ZERO; LANES];
        for (i, value) in out.iter_mut().enumerate().take(lanes) {
            // SAFETY: the caller vouches for `lanes` elements.
            *value = unsafe { *from.add(i) };
        }
        Self(out)
    }

    #[inline(always)]
    unsafe fn store_partial(self, to: *mut T, lanes: usize) {
        for (i, value) in self.0.iter().enumerate().take(lanes) {
            // SAFETY: the caller vouches for `lanes` elements.
            unsafe { *to.add(i) = *value };
        }
    }

    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        let product = a.zip(b, |a, b| a * b);
        self.zip(product, |sum, product| sum + product)
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // What is not a number stays so, that divergence shows.
        Self(self.0.map(|v| if v < T::ZERO { T::ZERO } else { v }))
    }

    unsafe fn gather<const REGISTERS: usize, const PIXELS: usize>(tile: &Gather<'_, T>) {
        // SAFETY: the caller's promises are passed on.
        unsafe { super::micro::gather::<Self, REGISTERS, PIXELS>(tile) }
    }

    unsafe fn outer<const REGISTERS: usize, const ROWS: usize>(tile: &Outer<'_, T>) {
        // SAFETY: the caller's promises are passed on.
        unsafe { super::micro::outer::<Self, REGISTERS, ROWS>(tile) }
    }

    unsafe fn vectorize<B: Body<Self>>(body: B) {
        // SAFETY: the caller's promises are passed on.
        unsafe { body.call() }
    }
}

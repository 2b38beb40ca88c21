//! 3×3 kernels at stride 1 with fewer products: Winograd's F(2×2, 3×3).
//!
//! `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`: four outputs from sixteen products per pair of channels, where
//! the direct sum has thirty-six.
//! The sum over channels is a matrix product per element of the 4×4 tile, on the tiles of
//! [`super::micro::gather`].
//!
//! # References
//! A. Lavin, S. Gray, 2016, Fast Algorithms for Convolutional Neural Networks, section 4.1.

use std::sync::atomic::{AtomicBool, Ordering};

use super::buffer::Buffer;
use super::gather::{Problem, kernel, strides};
use super::micro::{Gather, MAX_PIXELS, Segment, Start};
use super::pack::{Block, Shared};
use super::plan::{Piece, pieces};
use super::simd::{Body, Float, Simd};
use crate::kernels::parallel;

/// Elements of a 4×4 tile.
const POINTS: usize = 16;
/// Channels on either side from which fewer products outweigh the transforms.
const LEAST_CHANNELS: usize = 64;
/// Channels up to which one block of the sum suffices.
const MOST_CHANNELS: usize = 1024;
/// Output size from which few tiles reach beyond the image.
const LEAST_SIZE: usize = 4;
/// Tiles below which transforming the weights costs more than it spares.
const LEAST_TILES: usize = 48;
/// Floats of transformed input that a piece of work holds: half of the second cache.
const PIECE_FLOATS: usize = 1 << 17;
/// Tiles of a piece of work.
const TILES: std::ops::RangeInclusive<usize> = 24..=120;
/// Keeps the sixteen planes of a piece from sharing cache sets.
const SKEW: usize = 16;

static ENABLED: AtomicBool = AtomicBool::new(true);

/// Whether wide 3×3 convolutions may use fewer products; they may unless this says otherwise.
///
/// Either way the largest error against f64 stays below `1e-5` of the largest result, as a test
/// holds; with fewer products it is often the smaller, as sums are shorter.
/// Results differ in their last bits between the two.
pub fn set_winograd(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

/// Source coordinates of the first output's first tap, if the scheme fits the problem and pays.
pub(crate) fn origin<V: Simd>(problem: &Problem<'_, V::Elem>) -> Option<[isize; 2]> {
    let [depth, height, width] = problem.phases.first()?;
    let wide = |channels: usize| channels >= LEAST_CHANNELS && channels.is_multiple_of(V::LANES);
    let fits = ENABLED.load(Ordering::Relaxed)
        && V::LANES >= 8
        && problem.phases.len() == 1
        && problem.groups == 1
        && problem.kernel == [1, 3, 3]
        && wide(problem.source_channels)
        && problem.source_channels <= MOST_CHANNELS
        && problem.destination_channels >= LEAST_CHANNELS
        && problem.destination_size[1..]
            .iter()
            .all(|&len| len >= LEAST_SIZE)
        && problem.tiles() >= LEAST_TILES
        && depth.unit_origin() == Some(0)
        && depth.count == problem.source_size[0];
    fits.then(|| Some([height.unit_origin()?, width.unit_origin()?]))?
}

impl<T: Float> Problem<'_, T> {
    fn tiles(&self) -> usize {
        let [depth, height, width] = self.destination_size;
        self.batch * depth * height.div_ceil(2) * width.div_ceil(2)
    }
}

/// A problem with its transformed weights.
struct Running<'a, V: Simd> {
    problem: &'a Problem<'a, V::Elem>,
    origin: [isize; 2],
    blocks: &'a [Block],
    weights: &'a Buffer<V::Elem>,
    bias: &'a Buffer<V::Elem>,
    /// What pixels outside of the image hold.
    zeros: Buffer<V::Elem>,
    out: Shared<V::Elem>,
}

/// The convolution of a problem for which [`origin`] is known.
pub(crate) fn run<V: Simd>(
    problem: &Problem<'_, V::Elem>,
    origin: [isize; 2],
    blocks: &[Block],
    panels: &Buffer<V::Elem>,
    bias: &Buffer<V::Elem>,
) -> Vec<V::Elem> {
    let [depth, height, width] = problem.destination_size;
    let channels = problem.source_channels;
    let len = problem.batch * depth * height * width * problem.destination_channels;
    let mut out = Vec::with_capacity(len);
    let weights = transform_weights::<V>(channels, blocks, panels);
    let running = Running::<V> {
        problem,
        origin,
        blocks,
        weights: &weights,
        bias,
        zeros: Buffer::zeroed(channels),
        out: Shared(out.as_mut_ptr()),
    };
    let target = (PIECE_FLOATS / (POINTS * channels)).clamp(*TILES.start(), *TILES.end());
    let tiles = [1, height.div_ceil(2), width.div_ceil(2)];
    let work = pieces(problem.batch * depth, tiles, target);
    parallel::for_each(work.len(), |index| running.piece(&work[index], tiles[2]));
    // SAFETY: the tiles cover every output pixel, the blocks every channel.
    unsafe { out.set_len(len) };
    out
}

impl<V: Simd> Running<'_, V> {
    fn piece(&self, piece: &Piece, width: usize) {
        let channels = self.problem.source_channels;
        let tiles: Vec<[usize; 3]> = piece
            .batch
            .clone()
            .flat_map(|b| piece.height.clone().map(move |i| (b, i)))
            .flat_map(|(b, i)| (0..width).map(move |j| [b, i, j]))
            .collect();
        let plane = tiles.len() * channels + SKEW;
        let mut inputs = Buffer::<V::Elem>::new(POINTS * plane);
        // SAFETY: the level was selected; `inputs` has a row of channels for each tile and point.
        unsafe {
            V::vectorize(TransformInputs {
                running: self,
                tiles: &tiles,
                plane,
                to: inputs.as_mut_ptr(),
            });
        }
        for block in self.blocks {
            let columns = block.columns::<V>();
            let product_plane = tiles.len() * columns + SKEW;
            let mut products = Buffer::<V::Elem>::new(POINTS * product_plane);
            for point in 0..POINTS {
                // SAFETY: the offsets are those of the point's plane in either buffer.
                let (from, to) = unsafe {
                    (
                        inputs.as_ptr().add(point * plane),
                        products.as_mut_ptr().add(point * product_plane),
                    )
                };
                self.multiply(block, point, tiles.len(), from, to);
            }
            // SAFETY: the level was selected; the products of every tile and point are there, and
            // no other piece has these tiles.
            unsafe {
                V::vectorize(TransformOutputs {
                    running: self,
                    tiles: &tiles,
                    block,
                    plane: product_plane,
                    from: products.as_ptr(),
                });
            }
        }
    }

    /// `to[tile, o] = Σ_c from[tile, c] · weights[point, c, o]`
    fn multiply(
        &self,
        block: &Block,
        point: usize,
        tiles: usize,
        from: *const V::Elem,
        to: *mut V::Elem,
    ) {
        let channels = self.problem.source_channels;
        let columns = block.columns::<V>();
        let segments = [Segment {
            source: 0,
            row: point * channels,
            len: channels,
        }];
        // SAFETY: a block's transformed weights start at this offset.
        let panel = unsafe { self.weights.as_ptr().add(POINTS * channels * block.column) };
        let mut tile = Gather {
            source: [from; MAX_PIXELS],
            destination: [to; MAX_PIXELS],
            pixels: 0,
            segments: &segments,
            panel,
            start: Start::Bias(self.zeros.as_ptr()),
            relu: false,
            last_lanes: V::LANES,
        };
        let mut first = 0;
        while first < tiles {
            let (size, kernel) = kernel::<V>(block.registers, tiles - first);
            tile.pixels = size.min(tiles - first);
            for index in 0..size {
                let row = first + index.min(tile.pixels - 1);
                tile.source[index] = from.wrapping_add(row * channels);
                tile.destination[index] = to.wrapping_add(row * columns);
            }
            // SAFETY: every row lies in the planes; the zeros are as many as the channels, which
            // are no fewer than a block's columns.
            unsafe { kernel(&tile) };
            first += size;
        }
    }
}

/// `Bᵀ d B` of every tile, as `to[point, tile, c]`.
struct TransformInputs<'a, V: Simd> {
    running: &'a Running<'a, V>,
    tiles: &'a [[usize; 3]],
    plane: usize,
    to: *mut V::Elem,
}

impl<V: Simd> Body<V> for TransformInputs<'_, V> {
    #[inline(always)]
    unsafe fn call(self) {
        let problem = self.running.problem;
        let channels = problem.source_channels;
        for (index, &tile) in self.tiles.iter().enumerate() {
            let pixels = self.running.pixels(tile);
            for channel in (0..channels).step_by(V::LANES) {
                // SAFETY: each pointer is a pixel's, or that of the zeros; channels are whole
                // registers; `to` has `channels` elements for each tile and point.
                unsafe {
                    let mut d = [[V::splat(V::Elem::ZERO); 4]; 4];
                    for (d, pixel) in d.iter_mut().flatten().zip(&pixels) {
                        *d = V::load(pixel.add(channel));
                    }
                    let d = input_rows(transposed(input_rows(d)));
                    let to = self.to.add(index * channels + channel);
                    for (point, value) in transposed(d).iter().flatten().enumerate() {
                        value.store(to.add(point * self.plane));
                    }
                }
            }
        }
    }
}

impl<V: Simd> Running<'_, V> {
    /// The sixteen pixels under a tile; the zeros where it leaves the image.
    fn pixels(&self, [b, i, j]: [usize; 3]) -> [*const V::Elem; POINTS] {
        let p = self.problem;
        let [_, plane, row, pixel] = strides(p.source_size, p.source_channels);
        let inside = |axis: usize, tile: usize, tap: usize| {
            (2 * tile + tap)
                .checked_add_signed(self.origin[axis])
                .filter(|&at| at < p.source_size[axis + 1])
        };
        std::array::from_fn(
            |point| match (inside(0, i, point / 4), inside(1, j, point % 4)) {
                (Some(h), Some(w)) => p.source[b * plane + h * row + w * pixel..].as_ptr(),
                _ => self.zeros.as_ptr(),
            },
        )
    }
}

/// `Bᵀ` from the left.
///
/// # Safety
/// The level's instructions exist.
#[inline(always)]
unsafe fn input_rows<V: Simd>(d: [[V; 4]; 4]) -> [[V; 4]; 4] {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let mut out = d;
        for column in 0..4 {
            let [d0, d1, d2, d3] = [0, 1, 2, 3].map(|row| d[row][column]);
            out[0][column] = d0.sub(d2);
            out[1][column] = d1.add(d2);
            out[2][column] = d2.sub(d1);
            out[3][column] = d1.sub(d3);
        }
        out
    }
}

#[inline(always)]
fn transposed<V: Copy>(d: [[V; 4]; 4]) -> [[V; 4]; 4] {
    let mut out = d;
    for (row, values) in out.iter_mut().enumerate() {
        for (column, value) in values.iter_mut().enumerate() {
            *value = d[column][row];
        }
    }
    out
}

/// `Aᵀ m A` of every tile, with bias and `ReLU`, into the output's pixels.
struct TransformOutputs<'a, V: Simd> {
    running: &'a Running<'a, V>,
    tiles: &'a [[usize; 3]],
    block: &'a Block,
    plane: usize,
    from: *const V::Elem,
}

impl<V: Simd> Body<V> for TransformOutputs<'_, V> {
    #[inline(always)]
    unsafe fn call(self) {
        let p = self.running.problem;
        let columns = self.block.columns::<V>();
        let [_, plane, row, pixel] = strides(p.destination_size, p.destination_channels);
        for (index, &[b, i, j]) in self.tiles.iter().enumerate() {
            let first = b * plane + 2 * i * row + 2 * j * pixel + self.block.channel;
            for register in 0..self.block.registers {
                let lanes = if register + 1 == self.block.registers {
                    self.block.last_lanes::<V>()
                } else {
                    V::LANES
                };
                // SAFETY: products lie at these offsets; pixels outside the image are left out,
                // and lanes beyond the block's channels.
                unsafe {
                    let offset = index * columns + register * V::LANES;
                    let y = self.outputs(offset, register);
                    for (point, &value) in y.iter().enumerate() {
                        let (h, w) = (point / 2, point % 2);
                        if 2 * i + h < p.destination_size[1] && 2 * j + w < p.destination_size[2] {
                            let at = first + h * row + w * pixel + register * V::LANES;
                            value.store_partial(self.running.out.get().add(at), lanes);
                        }
                    }
                }
            }
        }
    }
}

impl<V: Simd> TransformOutputs<'_, V> {
    /// The four outputs of a tile for a register of channels.
    ///
    /// # Safety
    /// The level's instructions exist, and products lie at `offset` in every plane.
    #[inline(always)]
    unsafe fn outputs(&self, offset: usize, register: usize) -> [V; 4] {
        // SAFETY: the caller's promises, and the bias has whole registers for the block.
        unsafe {
            let mut m = [[V::splat(V::Elem::ZERO); 4]; 4];
            for (point, m) in m.iter_mut().flatten().enumerate() {
                *m = V::load(self.from.add(point * self.plane + offset));
            }
            let bias = self.running.bias.as_ptr().add(self.block.column);
            let bias = V::load(bias.add(register * V::LANES));
            let mut rows = [[bias; 4]; 2];
            for column in 0..4 {
                let [m0, m1, m2, m3] = [0, 1, 2, 3].map(|row| m[row][column]);
                rows[0][column] = m0.add(m1).add(m2);
                rows[1][column] = m1.sub(m2).sub(m3);
            }
            let mut out = [bias; 4];
            for (h, [r0, r1, r2, r3]) in rows.into_iter().enumerate() {
                out[2 * h] = r0.add(r1).add(r2).add(bias);
                out[2 * h + 1] = r1.sub(r2).sub(r3).add(bias);
            }
            if self.running.problem.relu {
                out = [out[0].relu(), out[1].relu(), out[2].relu(), out[3].relu()];
            }
            out
        }
    }
}

/// `G g Gᵀ` of packed panels `[9, C, columns]`, as `[16, C, columns]` per block.
fn transform_weights<V: Simd>(
    channels: usize,
    blocks: &[Block],
    panels: &Buffer<V::Elem>,
) -> Buffer<V::Elem> {
    let columns: usize = blocks.iter().map(Block::columns::<V>).sum();
    let mut out = Buffer::<V::Elem>::new(POINTS * channels * columns);
    let (from, to) = (Shared(panels.as_ptr().cast_mut()), Shared(out.as_mut_ptr()));
    parallel::for_each(blocks.len(), |index| {
        let block = &blocks[index];
        // SAFETY: the level was selected; every block has its own part of both buffers.
        unsafe {
            V::vectorize(TransformWeights::<V> {
                plane: channels * block.columns::<V>(),
                from: from.get().add(9 * channels * block.column),
                to: to.get().add(POINTS * channels * block.column),
            });
        }
    });
    out
}

struct TransformWeights<V: Simd> {
    /// Elements of a tap's weights.
    plane: usize,
    from: *const V::Elem,
    to: *mut V::Elem,
}

impl<V: Simd> Body<V> for TransformWeights<V> {
    #[inline(always)]
    unsafe fn call(self) {
        for offset in (0..self.plane).step_by(V::LANES) {
            // SAFETY: planes are whole registers; nine are read and sixteen written.
            unsafe {
                let half = V::splat(V::Elem::HALF);
                let mut g = [[half; 3]; 3];
                for (tap, g) in g.iter_mut().flatten().enumerate() {
                    *g = V::load(self.from.add(tap * self.plane + offset));
                }
                let mut rows = [[half; 3]; 4];
                for column in 0..3 {
                    let points = weight_points([g[0][column], g[1][column], g[2][column]], half);
                    for (row, point) in rows.iter_mut().zip(points) {
                        row[column] = point;
                    }
                }
                for (row, values) in rows.into_iter().enumerate() {
                    for (column, point) in weight_points(values, half).into_iter().enumerate() {
                        point.store(self.to.add((4 * row + column) * self.plane + offset));
                    }
                }
            }
        }
    }
}

/// `G` applied to three taps.
///
/// # Safety
/// The level's instructions exist.
#[inline(always)]
unsafe fn weight_points<V: Simd>([g0, g1, g2]: [V; 3], half: V) -> [V; 4] {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let zero = half.sub(half);
        let outer = zero.mul_add(g0.add(g2), half);
        let inner = zero.mul_add(g1, half);
        [g0, outer.add(inner), outer.sub(inner), g2]
    }
}

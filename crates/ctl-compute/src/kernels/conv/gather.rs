//! Convolution and input gradient: sums gathered from source pixels.

use super::buffer::Buffer;
use super::depthwise::{self, Depthwise};
use super::micro::{Gather, MAX_PIXELS, Start};
use super::pack::{self, Block, Shared, WeightLayout};
use super::plan::{Class, Phase, Piece, Sum, classes, pieces};
use super::simd::{Float, Simd, Task};
use super::winograd;
use crate::kernels::parallel;

/// Rows of a panel that stay in the second cache while all tiles of a piece use them.
const SUM_BLOCK: usize = 576;
/// Pixels of a piece of work.
const PIECE_PIXELS: usize = 512;
/// Pieces below which channels are divided between threads too.
const FEW_PIECES: usize = 16;

/// `destination[q, o] = act(bias[o] + Σ_{t, c} source[q + t, c] · weight[t, c, o])`
pub(crate) struct Problem<'a, T> {
    pub(crate) source: &'a [T],
    pub(crate) batch: usize,
    pub(crate) source_size: [usize; 3],
    pub(crate) source_channels: usize,
    pub(crate) destination_size: [usize; 3],
    pub(crate) destination_channels: usize,
    pub(crate) groups: usize,
    pub(crate) kernel: [usize; 3],
    pub(crate) phases: Vec<Phase>,
    pub(crate) weight: &'a [T],
    pub(crate) layout: WeightLayout,
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) relu: bool,
}

/// Elements between images, planes, rows and pixels.
pub(crate) fn strides(size: [usize; 3], channels: usize) -> [usize; 4] {
    let row = size[2] * channels;
    let plane = size[1] * row;
    [size[0] * plane, plane, row, channels]
}

impl<T: Float> Task<T> for Problem<'_, T> {
    type Out = Vec<T>;

    fn run<V: Simd<Elem = T>>(mut self) -> Vec<T> {
        let depthwise = self.is_depthwise();
        if depthwise {
            // Groups become the columns of one group, whose taps are all rows there are.
            self.layout.strides = [0, 0, self.layout.taps];
        }
        let groups = if depthwise { 1 } else { self.groups };
        let channels = self.destination_channels / groups;
        let blocks = pack::blocks::<V>(groups, channels);
        let panels = pack::panels::<V>(self.weight, &self.layout, &blocks);
        let bias = pack::bias::<V>(self.bias, channels, &blocks);
        if let Some(origin) = winograd::origin::<V>(&self) {
            return winograd::run::<V>(&self, origin, &blocks, &panels, &bias);
        }
        let len = self.batch
            * self.destination_size.iter().product::<usize>()
            * self.destination_channels;
        let mut out = Vec::with_capacity(len);
        let run = Running {
            sum: self.sum(),
            blocks: &blocks,
            panels: &panels,
            bias: &bias,
            out: Shared(out.as_mut_ptr()),
            problem: &self,
            depthwise,
        };
        run.all::<V>();
        // SAFETY: the phases' lattices cover every destination pixel, the blocks every channel.
        unsafe { out.set_len(len) };
        out
    }
}

impl<T: Float> Problem<'_, T> {
    fn is_depthwise(&self) -> bool {
        let channels = [self.source_channels, self.destination_channels];
        depthwise::applies(self.groups, channels) && self.sum().blocks() == 1
    }

    fn sum(&self) -> Sum {
        let [_, plane, row, pixel] = strides(self.source_size, self.source_channels);
        let rows = self.layout.sources * self.layout.taps;
        let blocks = rows.div_ceil(SUM_BLOCK).max(1);
        Sum {
            channels: self.layout.sources,
            kernel: self.kernel,
            strides: [plane, row, pixel],
            block: rows.div_ceil(blocks).max(1),
        }
    }
}

/// A problem with everything that its pieces share.
struct Running<'a, T> {
    problem: &'a Problem<'a, T>,
    sum: Sum,
    blocks: &'a [Block],
    panels: &'a Buffer<T>,
    bias: &'a Buffer<T>,
    out: Shared<T>,
    depthwise: bool,
}

/// A class's pixels within a piece, as offsets of source and destination.
struct Pixels<'a> {
    class: &'a Class,
    offsets: Vec<(usize, usize)>,
}

impl<T: Float> Running<'_, T> {
    fn all<V: Simd<Elem = T>>(&self) {
        let phases: Vec<(&Phase, Vec<Class>)> = self
            .problem
            .phases
            .iter()
            .map(|phase| (phase, classes(phase, &self.sum)))
            .collect();
        let mut work = Vec::new();
        for (index, (phase, _)) in phases.iter().enumerate() {
            let counts = [phase[0].count, phase[1].count, phase[2].count];
            for piece in pieces(self.problem.batch, counts, PIECE_PIXELS) {
                work.push((index, piece));
            }
        }
        let shares = if work.len() < FEW_PIECES {
            self.blocks.len()
        } else {
            1
        };
        parallel::for_each(work.len() * shares, |index| {
            let (phase, piece) = &work[index / shares];
            let (phase, classes) = &phases[*phase];
            let blocks = if shares == 1 {
                self.blocks
            } else {
                &self.blocks[index % shares..=index % shares]
            };
            self.piece::<V>(phase, classes, piece, blocks);
        });
    }

    fn piece<V: Simd<Elem = T>>(
        &self,
        phase: &Phase,
        classes: &[Class],
        piece: &Piece,
        blocks: &[Block],
    ) {
        let pixels: Vec<Pixels<'_>> = classes
            .iter()
            .map(|class| Pixels {
                class,
                offsets: self.offsets(phase, class, piece),
            })
            .filter(|pixels| !pixels.offsets.is_empty())
            .collect();
        for block in blocks {
            for part in 0..self.sum.blocks() {
                for pixels in &pixels {
                    if self.depthwise {
                        self.depthwise::<V>(block, pixels);
                    } else {
                        self.tiles::<V>(block, part, pixels);
                    }
                }
            }
        }
    }

    /// Offsets of the class's pixels that lie in the piece.
    fn offsets(&self, phase: &Phase, class: &Class, piece: &Piece) -> Vec<(usize, usize)> {
        let p = self.problem;
        let source = strides(p.source_size, p.source_channels);
        let destination = strides(p.destination_size, p.destination_channels);
        let depth = intersect(&class.pixels[0], &piece.depth);
        let height = intersect(&class.pixels[1], &piece.height);
        let at = |axis: usize, q: usize| {
            let reached = (q * phase[axis].source_step).cast_signed() + class.offset[axis];
            let written = q * phase[axis].step + phase[axis].first;
            // A class without taps reads nothing; its offset is clamped into the image.
            (
                reached.max(0) as usize * source[axis + 1],
                written * destination[axis + 1],
            )
        };
        let width: Vec<_> = class.pixels[2].clone().map(|q| at(2, q)).collect();
        let mut image = Vec::with_capacity(depth.len() * height.len() * width.len());
        for d in depth {
            for h in height.clone() {
                let (plane, row) = (at(0, d), at(1, h));
                let start = (plane.0 + row.0, plane.1 + row.1);
                image.extend(width.iter().map(|w| (start.0 + w.0, start.1 + w.1)));
            }
        }
        let shift = |b: usize| (b * source[0], b * destination[0]);
        let moved = |(x, y): (usize, usize), b: (usize, usize)| (x + b.0, y + b.1);
        if let [pixel] = image[..] {
            return piece
                .batch
                .clone()
                .map(|b| moved(pixel, shift(b)))
                .collect();
        }
        let mut offsets = Vec::with_capacity(piece.batch.len() * image.len());
        for b in piece.batch.clone().map(shift) {
            offsets.extend(image.iter().map(|&pixel| moved(pixel, b)));
        }
        offsets
    }

    /// One block of channels, each a group of its own.
    fn depthwise<V: Simd<Elem = T>>(&self, block: &Block, pixels: &Pixels<'_>) {
        let p = self.problem;
        let segments = &pixels.class.segments[0];
        for &(from, to) in &pixels.offsets {
            self.check(
                from + block.channel,
                to + block.channel,
                block.width,
                segments,
            );
        }
        // SAFETY: `check` states that the block's channels lie in source and destination; panel
        // and bias have the block's columns, and no other piece writes its pixels.
        unsafe {
            V::vectorize(Depthwise {
                source: p.source.as_ptr().add(block.channel),
                destination: self.out.get().add(block.channel),
                pixels: &pixels.offsets,
                segments,
                panel: self.panels.as_ptr().add(self.sum.rows() * block.column),
                bias: self.bias.as_ptr().add(block.column),
                relu: p.relu,
                registers: block.registers,
                last_lanes: block.last_lanes::<V>(),
            });
        }
    }

    /// One block of channels and one part of the sum over a class's pixels.
    fn tiles<V: Simd<Elem = T>>(&self, block: &Block, part: usize, pixels: &Pixels<'_>) {
        let segments = &pixels.class.segments[part];
        let (first, last) = (part == 0, part + 1 == self.sum.blocks());
        if segments.is_empty() && !first && !(last && self.problem.relu) {
            return;
        }
        let p = self.problem;
        let channel = block.group * (p.destination_channels / p.groups) + block.channel;
        // SAFETY: the block's panel and bias lie in their buffers.
        let (panel, bias) = unsafe {
            (
                self.panels.as_ptr().add(self.sum.rows() * block.column),
                self.bias.as_ptr().add(block.column),
            )
        };
        let mut tile = Gather {
            source: [p.source.as_ptr(); MAX_PIXELS],
            destination: [self.out.get(); MAX_PIXELS],
            pixels: 0,
            segments,
            panel,
            start: if first {
                Start::Bias(bias)
            } else {
                Start::Destination
            },
            relu: last && p.relu,
            last_lanes: block.last_lanes::<V>(),
        };
        let mut rest = pixels.offsets.as_slice();
        while !rest.is_empty() {
            let (size, kernel) = kernel::<V>(block.registers, rest.len());
            let (now, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            tile.pixels = now.len();
            for (index, pointers) in tile
                .source
                .iter_mut()
                .zip(&mut tile.destination)
                .enumerate()
            {
                let (from, to) = now[index.min(now.len() - 1)];
                let from = from + block.group * p.layout.sources;
                self.check(from, to + channel, block.width, segments);
                *pointers.0 = p.source.as_ptr().wrapping_add(from);
                *pointers.1 = self.out.get().wrapping_add(to + channel);
                if index + 1 == size {
                    break;
                }
            }
            // SAFETY: `check` states what holds of every pixel: its segments lie in the source, its
            // channels in the destination, and no other piece writes them; the panel has a row for
            // each of the segments'. The level is one that the processor has.
            unsafe { kernel(&tile) };
        }
    }

    /// What the inner loop relies on, in builds with assertions.
    fn check(&self, from: usize, to: usize, width: usize, segments: &[super::micro::Segment]) {
        let p = self.problem;
        debug_assert!(
            segments.iter().all(|s| {
                from + s.source + s.len <= p.source.len() && s.row + s.len <= self.sum.rows()
            }),
            "a segment leaves the source"
        );
        debug_assert!(
            to + width
                <= p.batch * p.destination_size.iter().product::<usize>() * p.destination_channels,
            "a tile leaves the destination"
        );
    }
}

fn intersect(a: &std::ops::Range<usize>, b: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

pub(crate) type Kernel<T> = unsafe fn(&Gather<'_, T>);

/// The tile for that many registers of channels, and its pixels: the largest, or for the last
/// pixels the smallest that holds them.
pub(crate) fn kernel<V: Simd>(registers: usize, pixels: usize) -> (usize, Kernel<V::Elem>) {
    macro_rules! choose {
        ($registers:literal: $($size:literal),+) => {{
            let mut chosen: (usize, Kernel<V::Elem>) = (0, V::gather::<$registers, 1>);
            $(
                if chosen.0 == 0 || pixels <= $size {
                    chosen = ($size, V::gather::<$registers, $size>);
                }
            )+
            chosen
        }};
    }
    // `match` on the constant keeps tiles that the registers cannot hold from being compiled.
    if V::ACCUMULATORS >= 24 {
        match registers {
            1 => choose!(1: 24, 12, 4),
            2 => choose!(2: 12, 6, 2),
            3 => choose!(3: 8, 4, 1),
            _ => choose!(4: 6, 3, 1),
        }
    } else if registers == 1 {
        choose!(1: 12, 4, 2)
    } else {
        choose!(2: 6, 3, 1)
    }
}

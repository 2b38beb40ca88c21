//! Which taps reach which pixels.
//!
//! A convolution and its input gradient are one problem: every destination pixel is a sum over the
//! taps whose source pixel lies inside the image.
//! Along each axis, destination pixels with the same taps form a run; a product of three runs is a
//! class, whose pixels share one list of segments.
//! No padding is copied and nothing is multiplied by zero.

use std::ops::Range;

use super::micro::Segment;
use super::shape::ConvShape;

/// A tap along one axis.
#[derive(Clone, Copy, Debug)]
struct Tap {
    /// Its place in the packed weights.
    index: usize,
    /// Source coordinate for destination 0.
    offset: isize,
}

/// The map between destination and source pixels along one axis:
/// destination `step·q + first`, source `source_step·q + offset` of a tap.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Values of `q`.
    pub(crate) count: usize,
    pub(crate) step: usize,
    pub(crate) first: usize,
    pub(crate) source_step: usize,
    source_len: usize,
    /// By ascending offset.
    taps: Vec<Tap>,
}

/// Values of `q` that the same taps reach.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    pixels: Range<usize>,
    taps: Range<usize>,
}

impl Axis {
    fn forward(s: &ConvShape, axis: usize) -> Self {
        let offset =
            |u: usize| (u * s.dilation[axis]).cast_signed() - s.padding[axis].cast_signed();
        Self {
            count: s.output[axis],
            step: 1,
            first: 0,
            source_step: s.stride[axis],
            source_len: s.input[axis],
            taps: (0..s.kernel[axis])
                .map(|u| Tap {
                    index: u,
                    offset: offset(u),
                })
                .collect(),
        }
    }

    /// The input pixels `first, first + stride, …`, which the same taps of the kernel reach.
    fn backward(s: &ConvShape, axis: usize, first: usize) -> Self {
        let (kernel, stride) = (s.kernel[axis], s.stride[axis].cast_signed());
        let reach = |u: usize| {
            (first + s.padding[axis]).cast_signed() - (u * s.dilation[axis]).cast_signed()
        };
        let taps = (0..kernel)
            .rev()
            .filter(|&u| reach(u) % stride == 0)
            .map(|u| Tap {
                index: kernel - 1 - u,
                offset: reach(u) / stride,
            });
        Self {
            count: (s.input[axis] - first).div_ceil(s.stride[axis]),
            step: s.stride[axis],
            first,
            source_step: 1,
            source_len: s.output[axis],
            taps: taps.collect(),
        }
    }

    /// The source coordinate of destination 0 under the first tap, if destination and taps both
    /// move by one pixel.
    pub(crate) fn unit_origin(&self) -> Option<isize> {
        let first = self.taps.first()?.offset;
        let adjacent = (first..).zip(&self.taps).all(|(at, tap)| tap.offset == at);
        (self.step == 1 && self.source_step == 1 && adjacent).then_some(first)
    }

    fn taps_at(&self, q: usize) -> Range<usize> {
        let at = |tap: &Tap| (q * self.source_step).cast_signed() + tap.offset;
        let start = self.taps.partition_point(|tap| at(tap) < 0);
        let end = self
            .taps
            .partition_point(|tap| at(tap) < self.source_len.cast_signed());
        if start < end { start..end } else { 0..0 }
    }

    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for q in 0..self.count {
            let taps = self.taps_at(q);
            match runs.last_mut() {
                Some(run) if run.taps == taps => run.pixels.end = q + 1,
                _ => runs.push(Run {
                    pixels: q..q + 1,
                    taps,
                }),
            }
        }
        runs
    }
}

/// Three axes whose destination pixels form one lattice.
pub(crate) type Phase = [Axis; 3];

/// The one phase of a forward convolution.
pub(crate) fn forward_phase(shape: &ConvShape) -> Phase {
    [0, 1, 2].map(|axis| Axis::forward(shape, axis))
}

/// One phase for each residue of the input pixel by the stride.
pub(crate) fn backward_phases(shape: &ConvShape) -> Vec<Phase> {
    let residues = |axis: usize| 0..shape.stride[axis].min(shape.input[axis]);
    let mut phases = Vec::new();
    for d in residues(0) {
        for h in residues(1) {
            for w in residues(2) {
                phases.push([
                    Axis::backward(shape, 0, d),
                    Axis::backward(shape, 1, h),
                    Axis::backward(shape, 2, w),
                ]);
            }
        }
    }
    phases
}

/// Pixels of a phase that share their segments.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) pixels: [Range<usize>; 3],
    /// Source coordinates of the first tap for `q = 0`.
    pub(crate) offset: [isize; 3],
    /// One list per block of the sum.
    pub(crate) segments: Vec<Vec<Segment>>,
}

/// How the sum over taps and channels is laid out and cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum {
    /// Channels of the source that a tap contributes.
    pub(crate) channels: usize,
    /// Kernel sizes.
    pub(crate) kernel: [usize; 3],
    /// Elements between source pixels along each axis.
    pub(crate) strides: [usize; 3],
    /// Rows of the panel per block.
    pub(crate) block: usize,
}

impl Sum {
    pub(crate) fn rows(&self) -> usize {
        self.channels * self.kernel.iter().product::<usize>()
    }

    pub(crate) fn blocks(&self) -> usize {
        self.rows().div_ceil(self.block).max(1)
    }
}

/// All classes of a phase.
pub(crate) fn classes(phase: &Phase, sum: &Sum) -> Vec<Class> {
    let runs = [0, 1, 2].map(|axis| phase[axis].runs());
    let mut classes = Vec::new();
    for d in &runs[0] {
        for h in &runs[1] {
            for w in &runs[2] {
                classes.push(class(phase, [d, h, w], sum));
            }
        }
    }
    classes
}

fn class(phase: &Phase, runs: [&Run; 3], sum: &Sum) -> Class {
    let taps = [0, 1, 2].map(|axis| &phase[axis].taps[runs[axis].taps.clone()]);
    let offset = taps.map(|taps| taps.first().map_or(0, |tap| tap.offset));
    let mut segments = vec![Vec::new(); sum.blocks()];
    for d in taps[0] {
        for h in taps[1] {
            for w in taps[2] {
                let tap = [d, h, w];
                let index = (d.index * sum.kernel[1] + h.index) * sum.kernel[2] + w.index;
                let source: usize = (0..3)
                    .map(|axis| (tap[axis].offset - offset[axis]) as usize * sum.strides[axis])
                    .sum();
                push_tap(&mut segments, sum, index * sum.channels, source);
            }
        }
    }
    // A pixel that no tap reaches has no source either.
    let reached = taps.iter().all(|taps| !taps.is_empty());
    Class {
        pixels: runs.map(|run| run.pixels.clone()),
        offset: if reached { offset } else { [0; 3] },
        segments,
    }
}

/// Adds a tap's channels to the blocks that they fall into.
fn push_tap(blocks: &mut [Vec<Segment>], sum: &Sum, first_row: usize, source: usize) {
    let end = first_row + sum.channels;
    let mut row = first_row;
    while row < end {
        let block = row / sum.block;
        let len = end.min((block + 1) * sum.block) - row;
        let piece = Segment {
            source: source + row - first_row,
            row,
            len,
        };
        match blocks[block].last_mut() {
            Some(last)
                if last.row + last.len == piece.row && last.source + last.len == piece.source =>
            {
                last.len += piece.len;
            }
            _ => blocks[block].push(piece),
        }
        row += len;
    }
}

/// A box of a phase's pixels that is one piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) batch: Range<usize>,
    pub(crate) depth: Range<usize>,
    pub(crate) height: Range<usize>,
}

/// Cuts `batch` images of `counts` pixels into boxes of about `target` pixels.
pub(crate) fn pieces(batch: usize, counts: [usize; 3], target: usize) -> Vec<Piece> {
    let row = counts[2].max(1);
    let plane = counts[1].max(1) * row;
    let image = counts[0].max(1) * plane;
    let rows = chunk(counts[1], target / row);
    let planes = if rows < counts[1] {
        1
    } else {
        chunk(counts[0], target / plane)
    };
    let images = if planes < counts[0] || rows < counts[1] {
        1
    } else {
        chunk(batch, target / image)
    };
    let mut pieces = Vec::new();
    for batch in ranges(batch, images) {
        for depth in ranges(counts[0], planes) {
            for height in ranges(counts[1], rows) {
                pieces.push(Piece {
                    batch: batch.clone(),
                    depth: depth.clone(),
                    height,
                });
            }
        }
    }
    pieces
}

/// The size that cuts `len` into equal parts of at most `limit` (at least 1).
fn chunk(len: usize, limit: usize) -> usize {
    let limit = limit.max(1);
    len.div_ceil(len.div_ceil(limit).max(1)).max(1)
}

pub(crate) fn ranges(len: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(step)
        .map(move |start| start..len.min(start + step))
}

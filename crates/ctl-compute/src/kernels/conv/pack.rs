//! Weights in the order in which the inner loops read them.

use super::buffer::Buffer;
use super::simd::{Float, Simd};
use crate::kernels::parallel;

/// Destination channels that a tile computes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) group: usize,
    /// First channel within the group.
    pub(crate) channel: usize,
    /// Channels.
    pub(crate) width: usize,
    /// Vector registers that hold them.
    pub(crate) registers: usize,
    /// Columns of all blocks before this one, in elements.
    pub(crate) column: usize,
}

impl Block {
    pub(crate) fn last_lanes<V: Simd>(&self) -> usize {
        self.width - (self.registers - 1) * V::LANES
    }

    pub(crate) fn columns<V: Simd>(&self) -> usize {
        self.registers * V::LANES
    }
}

/// Cuts the channels of every group into blocks of nearly equal width.
pub(crate) fn blocks<V: Simd>(groups: usize, channels: usize) -> Vec<Block> {
    let registers = channels.div_ceil(V::LANES);
    let count = registers.div_ceil(V::MAX_REGISTERS);
    let mut blocks = Vec::with_capacity(groups * count);
    let mut column = 0;
    for group in 0..groups {
        let mut channel = 0;
        for index in 0..count {
            let registers = (registers + index) / count;
            let width = (registers * V::LANES).min(channels - channel);
            blocks.push(Block {
                group,
                channel,
                width,
                registers,
                column,
            });
            channel += width;
            column += registers * V::LANES;
        }
    }
    blocks
}

/// Where weights lie: element `(group, source, destination, tap)` at
/// `group·strides[0] + source·strides[1] + destination·strides[2] + tap`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightLayout {
    pub(crate) strides: [usize; 3],
    pub(crate) taps: usize,
    pub(crate) sources: usize,
    /// Whether taps are stored last to first.
    pub(crate) flipped: bool,
}

/// Source channels that are transposed together; keeps a strip of weights in the first cache.
const STRIP: usize = 16;
/// Destination channels that are transposed together: their weights may lie a power of two apart,
/// where a cache holds only as many lines as it has ways.
const COLUMNS: usize = 8;

/// One panel `[taps · sources, columns]` per block, one after the other.
pub(crate) fn panels<V: Simd>(
    weight: &[V::Elem],
    layout: &WeightLayout,
    blocks: &[Block],
) -> Buffer<V::Elem> {
    let rows = layout.taps * layout.sources;
    let columns: usize = blocks.iter().map(Block::columns::<V>).sum();
    let mut out = Buffer::<V::Elem>::new(rows * columns);
    let base = Shared(out.as_mut_ptr());
    let strips = layout.sources.div_ceil(STRIP).max(1);
    parallel::for_each(blocks.len() * strips, |index| {
        let block = &blocks[index / strips];
        let first = index % strips * STRIP;
        let sources = first..layout.sources.min(first + STRIP);
        // SAFETY: every block has its own panel, every strip its own rows.
        unsafe {
            let panel = base.get().add(rows * block.column);
            strip::<V>(weight, layout, block, sources, panel);
        }
    });
    out
}

/// # Safety
/// `panel` is valid for the block's panel, whose rows of `sources` nobody else writes.
unsafe fn strip<V: Simd>(
    weight: &[V::Elem],
    layout: &WeightLayout,
    block: &Block,
    sources: std::ops::Range<usize>,
    panel: *mut V::Elem,
) {
    let columns = block.columns::<V>();
    let [group, source_stride, stride] = layout.strides;
    let base = block.group * group + block.channel * stride;
    for first in (0..columns).step_by(COLUMNS) {
        let width = block.width.saturating_sub(first).min(COLUMNS);
        let end = columns.min(first + COLUMNS);
        for tap in 0..layout.taps {
            let from_tap = if layout.flipped {
                layout.taps - 1 - tap
            } else {
                tap
            };
            for source in sources.clone() {
                let from = base + source * source_stride + from_tap + first * stride;
                // SAFETY: row `tap · sources + source` lies in the panel.
                unsafe {
                    let row = panel.add((tap * layout.sources + source) * columns);
                    for index in 0..width {
                        *row.add(first + index) = weight[from + index * stride];
                    }
                    for index in first + width..end {
                        *row.add(index) = V::Elem::ZERO;
                    }
                }
            }
        }
    }
}

/// The bias in the blocks' columns, zeros where there is none.
pub(crate) fn bias<V: Simd>(
    bias: Option<&[V::Elem]>,
    group_channels: usize,
    blocks: &[Block],
) -> Buffer<V::Elem> {
    let columns: usize = blocks.iter().map(Block::columns::<V>).sum();
    let mut out = Buffer::<V::Elem>::zeroed(columns);
    for (block, bias) in blocks.iter().zip(std::iter::repeat(bias)) {
        let first = block.group * group_channels + block.channel;
        let Some(bias) = bias.map(|bias| &bias[first..first + block.width]) else {
            continue;
        };
        // SAFETY: the block's columns lie in the buffer.
        unsafe {
            let to = out.as_mut_ptr().add(block.column);
            to.copy_from_nonoverlapping(bias.as_ptr(), bias.len());
        }
    }
    out
}

/// A pointer that pieces of work on several threads write through, each to its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) *mut T);

// SAFETY: whoever dereferences the pointer vouches that no two pieces write the same element.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn get(self) -> *mut T {
        self.0
    }
}

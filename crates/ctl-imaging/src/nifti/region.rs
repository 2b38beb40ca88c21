//! Boxes of voxels out of a file, in as few reads as is sensible.

use super::check::Plan;
use super::source::{CHUNK, Decode, Number, Source};
use crate::Result;

/// Bytes between two wanted runs that are read along rather than stepped over: copying as many
/// takes about as long as asking the system once more.
const GAP: u64 = 8 << 10;

/// A box of voxels over the axes of a file.
#[derive(Debug)]
pub(super) struct Region {
    /// First voxel along each axis.
    pub(super) start: Vec<usize>,
    /// Voxels along each axis, at least 1.
    pub(super) size: Vec<usize>,
}

impl Region {
    pub(super) fn voxels(&self) -> usize {
        self.size.iter().product()
    }

    /// First voxels of the runs that lie together in the file, in its order, and their length.
    fn runs(&self, shape: &[usize]) -> (impl Iterator<Item = usize>, usize) {
        let full = |axis: &usize| self.size[*axis] == shape[*axis];
        // Axes up to the first that is cut, that one included, make up a run.
        let inner = (0..shape.len()).take_while(full).count() + 1;
        let inner = inner.min(shape.len());
        let length = self.size[..inner].iter().product();
        let strides: Vec<usize> = shape
            .iter()
            .scan(1, |stride, &side| {
                let own = *stride;
                *stride *= side;
                Some(own)
            })
            .collect();
        let first: usize = self.start.iter().zip(&strides).map(|(a, b)| a * b).sum();
        let outer: Vec<(usize, usize)> = (inner..shape.len())
            .map(|axis| (self.size[axis], strides[axis]))
            .collect();
        let count = outer.iter().map(|&(size, _)| size).product();
        let runs = (0..count).map(move |mut number: usize| {
            outer.iter().fold(first, |at, &(size, stride)| {
                let index = number % size;
                number /= size;
                at + index * stride
            })
        });
        (runs, length)
    }
}

/// The numbers of a region, as `decode` makes them, in the order of the file.
pub(super) fn read<N: Number>(
    source: &Source,
    plan: &Plan,
    region: &Region,
    decode: Decode<'_, N>,
) -> Result<Vec<N>> {
    let voxel = plan.datatype.bytes();
    let item = plan.datatype.kind.bytes();
    let count = region.voxels() * plan.datatype.components;
    let mut numbers = Vec::new();
    let mut stream = source.stream();
    let mut buffer = Vec::new();
    let mut span = Span::default();
    let mut flush = |span: &mut Span| -> Result<()> {
        buffer.resize(span.length(), 0);
        source.read_at(&mut stream, span.start, &mut buffer)?;
        // Only now is it known that so much exists.
        numbers.reserve(if numbers.is_empty() {
            count.min(CHUNK)
        } else {
            0
        });
        for &(start, end) in &span.pieces {
            let bytes = &buffer[start..end];
            let from = numbers.len();
            numbers.resize(from + bytes.len() / item, N::default());
            decode(bytes, &mut numbers[from..]);
        }
        span.pieces.clear();
        Ok(())
    };
    let (runs, length) = region.runs(&plan.shape);
    let step = (CHUNK / voxel).max(1);
    for run in runs {
        for from in (0..length).step_by(step) {
            let start = plan.offset + ((run + from) * voxel) as u64;
            let end = start + (step.min(length - from) * voxel) as u64;
            if !span.takes(start, end) {
                flush(&mut span)?;
            }
            span.push(start, end);
        }
    }
    flush(&mut span)?;
    Ok(numbers)
}

/// Bytes that are read at once, and which of them are wanted.
#[derive(Default)]
struct Span {
    start: u64,
    end: u64,
    /// Counted from the start.
    pieces: Vec<(usize, usize)>,
}

impl Span {
    fn takes(&self, start: u64, end: u64) -> bool {
        self.pieces.is_empty() || (start - self.end <= GAP && end - self.start <= CHUNK as u64)
    }

    fn push(&mut self, start: u64, end: u64) {
        if self.pieces.is_empty() {
            self.start = start;
        }
        self.end = end;
        let inner = |position: u64| (position - self.start) as usize;
        let (start, end) = (inner(start), inner(end));
        match self.pieces.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => self.pieces.push((start, end)),
        }
    }

    fn length(&self) -> usize {
        (self.end - self.start) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_as_long_as_whole_axes_allow() {
        let runs = |start: &[usize], size: &[usize]| {
            let region = Region {
                start: start.to_vec(),
                size: size.to_vec(),
            };
            let (runs, length) = region.runs(&[4, 3, 2, 2]);
            (runs.collect::<Vec<_>>(), length)
        };
        // Whole image; one frame; plane k = 1 of both frames; row j = 1; column i = 2.
        assert_eq!(runs(&[0; 4], &[4, 3, 2, 2]), (vec![0], 48));
        assert_eq!(runs(&[0, 0, 0, 1], &[4, 3, 2, 1]), (vec![24], 24));
        assert_eq!(runs(&[0, 0, 1, 0], &[4, 3, 1, 2]), (vec![12, 36], 12));
        assert_eq!(runs(&[0, 1, 0, 0], &[4, 1, 2, 1]), (vec![4, 16], 4));
        assert_eq!(runs(&[2, 0, 0, 1], &[1, 3, 1, 1]), (vec![26, 30, 34], 1));
    }
}

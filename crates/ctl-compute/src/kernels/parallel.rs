//! Pieces of work over the current rayon pool.
//!
//! Which thread takes a piece is left to the pool; what a piece is never depends on it.

use rayon::prelude::*;

/// Whether a pool of several threads is at hand.
///
/// On one thread the work stays on the caller's: threads of a binary that trains several runs at
/// once must not meet in rayon's global pool.
fn threaded() -> bool {
    rayon::current_num_threads() > 1
}

/// Runs `work(0)`, …, `work(pieces − 1)`.
pub(crate) fn for_each(pieces: usize, work: impl Fn(usize) + Sync + Send) {
    if pieces > 1 && threaded() {
        (0..pieces).into_par_iter().for_each(work);
    } else {
        (0..pieces).for_each(work);
    }
}

/// Cuts `out` into chunks of `len` (the last may be shorter) and runs `work(index, chunk)` on each.
pub(crate) fn for_each_chunk<T: Send>(
    out: &mut [T],
    len: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let len = len.max(1);
    if out.len() > len && threaded() {
        out.par_chunks_mut(len)
            .enumerate()
            .for_each(|(index, chunk)| work(index, chunk));
    } else {
        for (index, chunk) in out.chunks_mut(len).enumerate() {
            work(index, chunk);
        }
    }
}

/// As [`for_each_chunk`], over two slices cut alike.
pub(crate) fn for_each_chunk_pair<T: Send, U: Send>(
    (first, first_len): (&mut [T], usize),
    (second, second_len): (&mut [U], usize),
    work: impl Fn(usize, &mut [T], &mut [U]) + Sync + Send,
) {
    let (first_len, second_len) = (first_len.max(1), second_len.max(1));
    if first.len() > first_len && threaded() {
        first
            .par_chunks_mut(first_len)
            .zip(second.par_chunks_mut(second_len))
            .enumerate()
            .for_each(|(index, (a, b))| work(index, a, b));
    } else {
        let pairs = first
            .chunks_mut(first_len)
            .zip(second.chunks_mut(second_len));
        for (index, (a, b)) in pairs.enumerate() {
            work(index, a, b);
        }
    }
}

/// Cuts three slices of one length into chunks of `len` and runs `work(index, chunks)` on each.
pub(crate) fn for_each_chunk_of_three<T: Send>(
    [a, b, c]: [&mut [T]; 3],
    len: usize,
    work: impl Fn(usize, [&mut [T]; 3]) + Sync + Send,
) {
    let len = len.max(1);
    if a.len() > len && threaded() {
        a.par_chunks_mut(len)
            .zip(b.par_chunks_mut(len))
            .zip(c.par_chunks_mut(len))
            .enumerate()
            .for_each(|(index, ((a, b), c))| work(index, [a, b, c]));
    } else {
        let chunks = a
            .chunks_mut(len)
            .zip(b.chunks_mut(len))
            .zip(c.chunks_mut(len));
        for (index, ((a, b), c)) in chunks.enumerate() {
            work(index, [a, b, c]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_visited_once() {
        for len in [1, 3, 10, 100] {
            let mut out = vec![0usize; 10];
            for_each_chunk(&mut out, len, |index, chunk| {
                for (offset, value) in chunk.iter_mut().enumerate() {
                    *value += index * len + offset;
                }
            });
            assert_eq!(out, (0..10).collect::<Vec<_>>());
        }
    }
}

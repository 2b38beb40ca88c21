//! A parallel loop that is compiled once, whatever is done in it.
//!
//! A parallel iterator is a few thousand lines of machine code for every type and closure, and
//! images have thirteen types: what loops over them goes through here.

use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Calls `work` with every number below `count`.
pub(crate) fn each_index(count: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..count).into_par_iter().for_each(work);
}

/// Calls `work` with every piece of `length` values (the last may be shorter) and its number.
pub(crate) fn each_piece<T: Send>(
    values: &mut [T],
    length: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    // Every lock is taken once; it hands the piece to the thread that works on it.
    let pieces: Vec<Mutex<&mut [T]>> = values.chunks_mut(length.max(1)).map(Mutex::new).collect();
    each_index(pieces.len(), &|number| {
        let mut piece = pieces[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(number, &mut piece);
    });
}

/// What threads work with, made when there is none to spare.
pub(crate) struct Spare<T>(Mutex<Vec<T>>);

impl<T> Spare<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Calls `work` with one that nobody uses.
    pub(crate) fn with(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T)) {
        let held = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = held().pop();
        let mut one = taken.unwrap_or_else(make);
        work(&mut one);
        held().push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_worked_on_once() {
        let mut values = [0_usize; 11];
        each_piece(&mut values, 4, |number, piece| {
            for value in piece {
                *value += 10 * number + piece_length(number);
            }
        });
        assert_eq!(values, [4, 4, 4, 4, 14, 14, 14, 14, 23, 23, 23]);
        each_piece(&mut [0_u8; 0], 0, |_, _| unreachable!("there is none"));
    }

    fn piece_length(number: usize) -> usize {
        if number == 2 { 3 } else { 4 }
    }

    #[test]
    fn what_is_spare_is_used_again() {
        let spare = Spare::new();
        for expected in 0..3 {
            spare.with(
                || 0,
                |count| {
                    assert_eq!(*count, expected);
                    *count += 1;
                },
            );
        }
    }
}

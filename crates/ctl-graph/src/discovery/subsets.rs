//! Subsets in order of size.

/// The subsets of `0..count` with at most `most` elements, by size and then lexicographically.
///
/// # Examples
///
/// ```text
/// [], [0], [1], [2], [0, 1], [0, 2], [1, 2]   for count 3, most 2
/// ```
#[derive(Debug, Clone)]
pub(super) struct Subsets {
    count: usize,
    most: usize,
    next: Option<Vec<usize>>,
}

impl Subsets {
    pub(super) fn up_to(count: usize, most: usize) -> Self {
        Self {
            count,
            most: most.min(count),
            next: Some(Vec::new()),
        }
    }

    pub(super) fn of_size(count: usize, size: usize) -> Self {
        Self {
            count,
            most: size,
            next: (size <= count).then(|| (0..size).collect()),
        }
    }

    /// Moves to the next subset of the size or of the next size; false at the end.
    fn advance(&self, subset: &mut Vec<usize>) -> bool {
        let size = subset.len();
        let movable = (0..size).rev().find(|&i| subset[i] < self.count - size + i);
        if let Some(position) = movable {
            let start = subset[position] + 1;
            for (offset, value) in subset[position..].iter_mut().enumerate() {
                *value = start + offset;
            }
            return true;
        }
        subset.clear();
        subset.extend(0..=size);
        size < self.most
    }
}

impl Iterator for Subsets {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let current = self.next.take()?;
        let mut following = current.clone();
        if self.advance(&mut following) {
            self.next = Some(following);
        }
        Some(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subset_comes_once_in_order_of_size() {
        let all: Vec<Vec<usize>> = Subsets::up_to(5, 5).collect();
        assert_eq!(all.len(), 32);
        assert!(
            all.windows(2)
                .all(|w| (w[0].len(), &w[0]) < (w[1].len(), &w[1]))
        );
        assert_eq!(Subsets::up_to(5, 2).count(), 16);
        assert_eq!(Subsets::up_to(0, 3).count(), 1);
        assert_eq!(Subsets::of_size(6, 3).count(), 20);
        assert_eq!(Subsets::of_size(2, 3).count(), 0);
        assert_eq!(Subsets::of_size(4, 0).count(), 1);
    }
}

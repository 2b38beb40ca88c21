//! Length or area of the boundary inside a 2x2 or 2x2x2 neighbourhood.
//!
//! The boundary is the polygon of marching squares and marching cubes with its vertices halfway
//! between a corner inside and a corner outside. Where corners meet only across a face's or the
//! cube's diagonal, the corners of the smaller side (inside, when both are equally many) are cut
//! off separately. The area is then a sum over groups of corners of that side that are joined by
//! edges, and only their arrangement matters.
//!
//! # References
//! Lorensen & Cline, "Marching cubes: a high resolution 3D surface construction algorithm", 1987.

use crate::grid::AXES;

/// Corners of a neighbourhood of three axes.
pub(super) const CORNERS: usize = 8;

/// Number of ways to mark the corners.
const CODES: usize = 1 << CORNERS;

/// Area of the boundary by the code of a neighbourhood, which has a bit for every corner inside.
pub(super) type AreaTable = [f64; CODES];

/// Tells whether a corner is the later one of the two along an axis.
///
/// Corners are numbered with one bit per axis, the last axis in the lowest bit.
pub(super) fn reaches(corner: usize, axis: usize) -> bool {
    corner >> (AXES - 1 - axis) & 1 == 1
}

/// Areas in mm² by code, for a volume.
pub(super) fn areas(spacing: [f64; AXES]) -> AreaTable {
    let faces = FaceAreas::of(spacing);
    std::array::from_fn(|code| {
        let smaller = if code.count_ones() > 4 {
            code ^ (CODES - 1)
        } else {
            code
        };
        groups(smaller)
            .iter()
            .map(|group| faces.around(group))
            .sum()
    })
}

/// Lengths in mm by code, for a plane, whose four corners are those before the first axis.
pub(super) fn lengths(spacing: [f64; AXES]) -> AreaTable {
    let [_, height, width] = spacing;
    let around = |group: &Vec<usize>| match group[..] {
        [a, b] if axis_between(a, b) == 1 => height,
        [_, _] => width,
        _ => 0.5 * height.hypot(width),
    };
    std::array::from_fn(|code| {
        let in_plane = code & 0b1111;
        let smaller = if in_plane.count_ones() > 2 {
            in_plane ^ 0b1111
        } else {
            in_plane
        };
        if smaller == 0 {
            return 0.0;
        }
        groups(smaller).iter().map(around).sum()
    })
}

/// Corners of a code, grouped where edges of the cube join them.
fn groups(code: usize) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..CORNERS)
        .filter(|corner| code >> corner & 1 == 1)
        .collect();
    let mut found = Vec::new();
    while let Some(first) = left.pop() {
        let mut group = vec![first];
        let mut next = 0;
        while next < group.len() {
            let corner = group[next];
            let (joined, rest) = left.iter().partition(|&&other| adjacent(corner, other));
            left = rest;
            group.extend::<Vec<usize>>(joined);
            next += 1;
        }
        found.push(group);
    }
    found
}

fn adjacent(a: usize, b: usize) -> bool {
    (a ^ b).is_power_of_two()
}

/// The axis along which two adjacent corners differ.
fn axis_between(a: usize, b: usize) -> usize {
    AXES - 1 - (a ^ b).ilog2() as usize
}

/// Areas of the cube's faces by the axis they are perpendicular to.
struct FaceAreas([f64; AXES]);

impl FaceAreas {
    fn of([depth, height, width]: [f64; AXES]) -> Self {
        Self([height * width, depth * width, depth * height])
    }

    /// Area of the surface that cuts a group of at most four corners off.
    fn around(&self, group: &[usize]) -> f64 {
        let edges = edges_of(group);
        match (group.len(), edges.len()) {
            (1, _) => self.diagonal() / 8.0,
            (2, _) => 0.5 * self.across(edges[0]),
            (3, _) => 0.5 * self.0[normal(&edges)] + 0.375 * self.diagonal(),
            // Four corners with four edges are a face.
            (_, 4) => self.0[normal(&edges)],
            _ => self.around_tree(group),
        }
    }

    /// Four corners joined by three edges: a corner with its neighbours, or a chain.
    fn around_tree(&self, group: &[usize]) -> f64 {
        let degree = |corner: usize| {
            group
                .iter()
                .filter(|&&other| adjacent(corner, other))
                .count()
        };
        let middle: Vec<usize> = group.iter().copied().filter(|&c| degree(c) == 2).collect();
        let &[one, other] = &middle[..] else {
            return 0.75 * self.diagonal();
        };
        // The chain takes one step along each axis, so the quads beside its middle edge face
        // away from the axes of its two ends.
        let between = axis_between(one, other);
        let ends = (0..AXES).filter(|&axis| axis != between);
        let sides: f64 = ends.map(|end| self.0[between].hypot(self.0[end])).sum();
        0.5 * self.diagonal() + 0.25 * sides
    }

    /// Twice the area of the slanted quad that cuts an edge off.
    fn across(&self, axis: usize) -> f64 {
        let others: Vec<f64> = (0..AXES)
            .filter(|&a| a != axis)
            .map(|a| self.0[a])
            .collect();
        others[0].hypot(others[1])
    }

    fn diagonal(&self) -> f64 {
        self.0[0].hypot(self.0[1]).hypot(self.0[2])
    }
}

/// Axes of the edges that join the corners of a group.
fn edges_of(group: &[usize]) -> Vec<usize> {
    let mut edges = Vec::new();
    for (index, &a) in group.iter().enumerate() {
        let later = group[index + 1..].iter().filter(|&&b| adjacent(a, b));
        edges.extend(later.map(|&b| axis_between(a, b)));
    }
    edges
}

/// The axis that none of the edges runs along.
fn normal(edges: &[usize]) -> usize {
    (0..AXES).find(|axis| !edges.contains(axis)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING: [f64; AXES] = [3.0, 0.5, 2.0];

    #[track_caller]
    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
    }

    #[test]
    fn inside_and_outside_share_their_boundary() {
        let table = areas(SPACING);
        for code in 0..CODES {
            assert_near(table[code], table[code ^ (CODES - 1)]);
        }
        let table = lengths(SPACING);
        for code in 0..16 {
            assert_near(table[code], table[code ^ 15]);
        }
    }

    #[test]
    fn areas_scale_with_the_square_of_the_spacing() {
        let (small, large) = (areas(SPACING), areas(SPACING.map(|length| 3.0 * length)));
        for (a, b) in small.iter().zip(&large) {
            assert_near(9.0 * a, *b);
        }
    }

    #[test]
    fn planar_cuts_have_their_elementary_area() {
        let table = areas([1.0; 3]);
        assert_near(table[0], 0.0);
        assert_near(table[0b1], 3.0_f64.sqrt() / 8.0); // a corner: half of sqrt(2)/2 squared
        assert_near(table[0b11], 0.5_f64.sqrt()); // an edge: sqrt(2)/2 times 1
        assert_near(table[0b1111], 1.0); // a face
        assert_near(table[0b1_0111], 0.75 * 3.0_f64.sqrt()); // a regular hexagon
        assert_near(table[0b1001_0110], 4.0 * 3.0_f64.sqrt() / 8.0); // every other corner
        let table = areas(SPACING);
        assert_near(table[0b1111], 0.5 * 2.0);
        assert_near(
            table[0b11],
            2.0 * (1.5_f64.powi(2) + 0.25_f64.powi(2)).sqrt(),
        );
    }

    #[test]
    fn lengths_follow_marching_squares() {
        let table = lengths(SPACING);
        assert_near(table[0b0001], 0.5 * (0.25_f64 + 4.0).sqrt());
        assert_near(table[0b0011], 2.0); // neighbours along the last axis
        assert_near(table[0b0101], 0.5);
        assert_near(table[0b0110], (0.25_f64 + 4.0).sqrt());
    }
}

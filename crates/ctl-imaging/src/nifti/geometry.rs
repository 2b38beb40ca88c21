//! From a header's fields to a matrix, and from an affine to a quaternion.

use super::header::{Header, Version};
use crate::volume::Affine;

pub(super) type Rows = [[f64; 4]; 3];

/// Machine epsilons by which b² + c² + d² may miss 1 for a turn by half a circle.
const ROUNDING: f64 = 3.0;

/// How far from perpendicular voxel axes may be to be called a rotation: cosine of their angle.
const PERPENDICULAR: f64 = 1e-5;

/// The matrix that counts: `sform` if its code says so, else `qform`, else one that centres the
/// image with x reversed. `None` when the quaternion that would count is that of no rotation.
///
/// Codes are those that [`xform_code`] leaves.
pub(super) fn best(header: &Header) -> Option<Rows> {
    if xform_code(header.sform_code) != 0 {
        Some(header.srow)
    } else if xform_code(header.qform_code) != 0 {
        qform(header)
    } else {
        Some(centred(header))
    }
}

/// A code that the standard has, or 0.
pub(super) fn xform_code(code: i32) -> i32 {
    if (0..=5).contains(&code) { code } else { 0 }
}

/// Method 1 of the standard, which radiological files of ANALYZE had: x runs to the left, and the
/// middle of the image is the origin.
fn centred(header: &Header) -> Rows {
    let pixdim = header.sound_pixdim();
    let axes = header.axes().unwrap_or_default();
    let mut rows = [[0.0; 4]; 3];
    for (axis, row) in rows.iter_mut().enumerate() {
        let (side, zoom) = if axis < axes {
            (header.dim[axis + 1] as f64, pixdim[axis + 1])
        } else {
            (1.0, 1.0)
        };
        let zoom = if axis == 0 { -zoom } else { zoom };
        row[axis] = zoom;
        row[3] = -(side - 1.0) / 2.0 * zoom;
    }
    rows
}

/// Method 2 of the standard.
pub(super) fn qform(header: &Header) -> Option<Rows> {
    let epsilon = match header.version {
        Version::One => f64::from(f32::EPSILON),
        Version::Two => f64::EPSILON,
    };
    let [b, c, d] = header.quatern;
    let a = real_part(header.quatern, ROUNDING * epsilon)?;
    let rotation = rotation([a, b, c, d]);
    let pixdim = header.sound_pixdim();
    let zooms = [pixdim[1], pixdim[2], pixdim[3] * pixdim[0]];
    let mut rows = [[0.0; 4]; 3];
    for (world, row) in rows.iter_mut().enumerate() {
        for axis in 0..3 {
            row[axis] = rotation[world][axis] * zooms[axis];
        }
        row[3] = header.qoffset[world];
    }
    Some(rows)
}

/// `a = √(1 − b² − c² − d²)`, 0 where that is within rounding, `None` where it is imaginary.
fn real_part(parts: [f64; 3], rounding: f64) -> Option<f64> {
    // The difference is what matters, so the squares keep the digits that a float would lose.
    let mut high = 1.0;
    let mut low = 0.0;
    for part in parts {
        // Two-product and two-sum (Ogita, Rump & Oishi 2005, algorithms 3.1 and 3.5).
        let square = part * part;
        let lost = part.mul_add(part, -square);
        let sum = high - square;
        let taken = sum - high;
        low += (high - (sum - taken)) - (square + taken) - lost;
        high = sum;
    }
    // Corrections of an infinite sum are no numbers.
    let square = if high.is_finite() { high + low } else { high };
    if square.abs() < rounding {
        Some(0.0)
    } else if square < 0.0 {
        None
    } else {
        // NaN parts have no sign; they give a matrix of NaN, which no image takes.
        Some(square.sqrt())
    }
}

/// The rotation of a quaternion that is a unit up to rounding (Shepperd 1978, eq. 1).
fn rotation([a, b, c, d]: [f64; 4]) -> [[f64; 3]; 3] {
    let norm = a * a + b * b + c * c + d * d;
    let twice = 2.0 / norm;
    let diagonal = |p: f64, q: f64| 1.0 - twice * (p * p + q * q);
    [
        [
            diagonal(c, d),
            twice * (b * c - a * d),
            twice * (b * d + a * c),
        ],
        [
            twice * (b * c + a * d),
            diagonal(b, d),
            twice * (c * d - a * b),
        ],
        [
            twice * (b * d - a * c),
            twice * (c * d + a * b),
            diagonal(b, c),
        ],
    ]
}

/// The last three parts of the quaternion of an affine and its `qfac`, if its voxel axes are
/// perpendicular.
pub(super) fn quaternion(affine: &Affine) -> Option<([f64; 3], f64)> {
    let axes = affine.directions();
    let cosine = |p: [f64; 3], q: [f64; 3]| p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>();
    let skew = [(0, 1), (0, 2), (1, 2)]
        .iter()
        .any(|&(one, other)| cosine(axes[one], axes[other]).abs() > PERPENDICULAR);
    if skew {
        return None;
    }
    let [x, y, mut z] = axes;
    let handed = z[0] * (x[1] * y[2] - x[2] * y[1])
        + z[1] * (x[2] * y[0] - x[0] * y[2])
        + z[2] * (x[0] * y[1] - x[1] * y[0]);
    let qfac = if handed < 0.0 { -1.0 } else { 1.0 };
    z = z.map(|part| part * qfac);
    Some((imaginary_parts([x, y, z]), qfac))
}

/// b, c and d, with a ≥ 0, of a rotation given by its columns (Shepperd 1978: from the largest of
/// the four squares, which is at least a quarter).
fn imaginary_parts(columns: [[f64; 3]; 3]) -> [f64; 3] {
    let at = |row: usize, column: usize| columns[column][row];
    let trace = at(0, 0) + at(1, 1) + at(2, 2);
    // Four times the squares of a, b, c, d.
    let squares = [
        1.0 + trace,
        1.0 + 2.0 * at(0, 0) - trace,
        1.0 + 2.0 * at(1, 1) - trace,
        1.0 + 2.0 * at(2, 2) - trace,
    ];
    let largest = (0..4).fold(0, |best, part| {
        if squares[part] > squares[best] {
            part
        } else {
            best
        }
    });
    // Four times the products of the parts, pair by pair.
    let (ab, ac, ad) = (
        at(2, 1) - at(1, 2),
        at(0, 2) - at(2, 0),
        at(1, 0) - at(0, 1),
    );
    let (bc, bd, cd) = (
        at(1, 0) + at(0, 1),
        at(0, 2) + at(2, 0),
        at(2, 1) + at(1, 2),
    );
    let products = [
        [squares[0], ab, ac, ad],
        [ab, squares[1], bc, bd],
        [ac, bc, squares[2], cd],
        [ad, bd, cd, squares[3]],
    ];
    let divisor = 2.0 * squares[largest].sqrt();
    let [a, b, c, d] = products[largest].map(|product| product / divisor);
    if a < 0.0 { [-b, -c, -d] } else { [b, c, d] }
}

/// A matrix in millimetres.
pub(super) fn in_millimetres(rows: Rows, unit_mm: f64) -> Rows {
    rows.map(|row| row.map(|value| value * unit_mm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_their_quaternions_belong_together() {
        // Whole turns about each axis and about the diagonal, by half and a third of a circle.
        let third = 0.5;
        let cases = [
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
            [third, third, third, third],
            [0.36, 0.48, -0.64, 0.48],
        ];
        for case in cases {
            let matrix = rotation(case);
            let columns = [0, 1, 2].map(|column| matrix.map(|row| row[column]));
            let found = imaginary_parts(columns);
            for (found, expected) in found.iter().zip(&case[1..]) {
                assert!((found - expected).abs() < 1e-15, "{case:?}: {found}");
            }
        }
        // A third of a circle about the diagonal sends x to y, y to z and z to x.
        let expected = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        assert_eq!(rotation([third; 4]), expected);
    }

    #[test]
    fn the_real_part_is_exact_where_floats_cancel() {
        // 0.6² + 0.8² misses 1 by less than a float shows: 0.6 and 0.8 are themselves rounded.
        let nearly = real_part([0.6, 0.8, 0.0], 1e-30);
        // By exact rational arithmetic: 1 − 0.6² − 0.8² = −4.44e−17, so a is imaginary.
        assert_eq!(nearly, None);
        assert_eq!(real_part([0.6, 0.8, 0.0], 1e-15), Some(0.0));
        assert_eq!(real_part([0.0, 0.0, 0.6], 1e-15), Some(0.8));
        assert_eq!(real_part([1.0, 0.1, 0.0], 1e-15), None);
        assert_eq!(real_part([f64::INFINITY, 0.0, 0.5], 1e-15), None);
    }
}

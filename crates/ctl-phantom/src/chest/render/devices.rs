//! What lies on a film without being part of the disease: a tube, an electrode, a lead letter.

use super::canvas::{Canvas, Knot, bezier};
use super::frame::Frame;

/// Attenuation of tube, wire and electrode.
const METAL: f64 = 1.3;
/// Half width of the tube and of the electrode's wire, and radius of the electrode.
const TUBE_HALF: f64 = 0.017;
const WIRE_HALF: f64 = 0.011;
const ELECTRODE: f64 = 0.045;
/// Grey value of lead.
const LEAD: f64 = 0.97;
/// Side of one of the squares that make up the marker's letter, as a share of the film's width.
const LETTER_CELL: f64 = 0.016;

/// The letters that stand for the patient's right and left, row by row from the highest bit.
const RIGHT: [u8; 7] = [
    0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001,
];
const LEFT: [u8; 7] = [
    0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111,
];

/// Adds the attenuation of a tube from the neck towards the heart, and of an electrode with its
/// wire from the flank. The course is given by numbers from 0 to 1.
pub(crate) fn tube(canvas: &mut Canvas, frame: &Frame, course: &[f64; 6]) {
    let [entry, bend, tip, flank, height, reach] = course.map(|u| 2.0 * u - 1.0);
    let tube = [
        [0.16 * entry, -1.15],
        [0.16 * entry + 0.10 * bend, -0.70],
        [0.20 * bend, -0.30],
        [0.05 + 0.08 * tip, 0.18 + 0.18 * tip],
    ];
    let side = if flank < 0.0 { -1.0 } else { 1.0 };
    let electrode = [side * (0.48 + 0.10 * reach), -0.12 + 0.22 * height];
    let wire = [
        [side * 1.2, electrode[1] - 0.35],
        [side * 0.95, electrode[1] - 0.05],
        [side * 0.75, electrode[1] + 0.12],
        electrode,
    ];
    let mut layer = Canvas::new(frame.size());
    layer.stroke(frame, &bezier(tube, TUBE_HALF));
    layer.stroke(frame, &bezier(wire, WIRE_HALF));
    let disc = Knot {
        at: electrode,
        half_width: ELECTRODE,
    };
    layer.stroke(frame, &[disc, disc]);
    canvas.add(&layer, METAL);
}

/// Lays a lead letter on the film: R in the upper left or L in the upper right corner. The place
/// is given by numbers from 0 to 1: which corner, how far in, how far down.
pub(crate) fn marker(canvas: &mut Canvas, place: [f64; 3]) {
    let size = canvas.size as f64;
    let cell = LETTER_CELL * size;
    let inset = (0.03 + 0.05 * place[1]) * size;
    let top = (0.04 + 0.06 * place[2]) * size;
    let (letter, left) = if place[0] < 0.5 {
        (&RIGHT, inset)
    } else {
        (&LEFT, size - inset - 5.0 * cell)
    };
    let mut covered = vec![0.0; canvas.values.len()];
    for (row, bits) in letter.iter().enumerate() {
        for column in (0_u8..5).filter(|column| bits >> (4 - column) & 1 == 1) {
            let corner = [left + f64::from(column) * cell, top + row as f64 * cell];
            cover(&mut covered, canvas.size, corner, cell);
        }
    }
    for (value, covered) in canvas.values.iter_mut().zip(covered) {
        *value += f64::min(covered, 1.0) * (LEAD - *value).max(0.0);
    }
}

/// Adds to each pixel the share of it that a square covers.
fn cover(covered: &mut [f64], size: usize, corner: [f64; 2], side: f64) {
    let pixels = |start: f64| {
        let first = start.floor().max(0.0) as usize;
        let end = ((start + side).ceil().max(0.0) as usize).min(size);
        (first..end).map(move |pixel| {
            let low = start.max(pixel as f64);
            let high = (start + side).min(pixel as f64 + 1.0);
            (pixel, (high - low).max(0.0))
        })
    };
    for (row, height) in pixels(corner[1]) {
        for (column, width) in pixels(corner[0]) {
            covered[row * size + column] += height * width;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cover;

    #[test]
    fn a_square_covers_its_area_wherever_it_lies() {
        for corner in [[1.0, 1.0], [1.3, 2.9], [0.0, 5.5]] {
            let mut covered = vec![0.0; 64];
            cover(&mut covered, 8, corner, 1.7);
            let area: f64 = covered.iter().sum();
            assert!((area - 1.7 * 1.7).abs() < 1e-12, "{corner:?}: {area}");
        }
    }
}

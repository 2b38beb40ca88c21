//! What lies on a film without being part of the disease: a tube, lines, leads, lead letters.

use super::View;
use super::canvas::{Canvas, Knot, bezier};
use super::frame::Frame;

/// Attenuation of metal and of a tube's opaque stripe.
const METAL: f64 = 0.75;
/// Half widths of tube, line and wire, and radius of an electrode.
const TUBE_HALF: f64 = 0.017;
const LINE_HALF: f64 = 0.010;
const WIRE_HALF: f64 = 0.009;
const ELECTRODE: f64 = 0.036;
/// Attenuation of lead letters.
const LEAD: f64 = 2.5;
/// Side of the squares that make up the letters, as a share of the film's width.
const LETTER_CELL: f64 = 0.011;

/// The letters for the patient's right and left, and an arrow that points up as on films from
/// portable units, row by row from the highest bit.
const RIGHT: [u8; 7] = [
    0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001,
];
const LEFT: [u8; 7] = [
    0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111,
];
const ARROW: [u8; 7] = [
    0b00100, 0b01110, 0b11111, 0b00100, 0b00100, 0b00100, 0b00100,
];

/// Adds a breathing tube, a central line and two electrodes with their wires to the attenuation.
/// The courses are numbers from 0 to 1.
pub(crate) fn tube(canvas: &mut Canvas, frame: &Frame, courses: &[f64; 12]) {
    let courses = courses.map(|u| 2.0 * u - 1.0);
    let mut layer = Canvas::new(frame.size());
    breathing_tube(&mut layer, frame, [courses[0], courses[1], courses[2]]);
    central_line(&mut layer, frame, [courses[3], courses[4], courses[5]]);
    for side in [0, 3] {
        let own = [courses[6 + side], courses[7 + side], courses[8 + side]];
        electrode(&mut layer, frame, if side == 0 { -1.0 } else { 1.0 }, own);
    }
    canvas.add(&layer, METAL);
}

/// From the neck to above the carina.
fn breathing_tube(layer: &mut Canvas, frame: &Frame, [entry, bend, tip]: [f64; 3]) {
    let course = [
        [0.10 * entry, -1.15],
        [0.08 * entry + 0.05 * bend, -0.80],
        [0.05 * bend, -0.50],
        [0.02 + 0.03 * tip, -0.20 + 0.12 * tip],
    ];
    layer.stroke(frame, &bezier(course, TUBE_HALF));
}

/// From the neck's side into the great vein above the heart.
fn central_line(layer: &mut Canvas, frame: &Frame, [entry, bend, tip]: [f64; 3]) {
    let course = [
        [-0.24 - 0.12 * entry, -1.15],
        [-0.20 - 0.15 * bend, -0.75],
        [-0.08, -0.45],
        [-0.10 - 0.03 * tip, 0.02 + 0.12 * tip],
    ];
    layer.stroke(frame, &bezier(course, LINE_HALF));
}

/// An electrode on the chest, with a wire from the flank or the shoulder.
fn electrode(layer: &mut Canvas, frame: &Frame, side: f64, [height, reach, slack]: [f64; 3]) {
    let at = [side * (0.50 + 0.12 * reach), -0.10 + 0.28 * height];
    let wire = [
        [side * 1.2, at[1] - 0.30 + 0.35 * slack],
        [side * 0.95, at[1] - 0.05],
        [side * 0.75, at[1] + 0.15 * slack],
        at,
    ];
    layer.stroke(frame, &bezier(wire, WIRE_HALF));
    let disc = Knot {
        at,
        half_width: ELECTRODE,
    };
    layer.stroke(frame, &[disc, disc]);
}

/// Lays lead letters on the film: R in the upper left or L in the upper right corner, and in AP
/// films the arrow below it. The place is numbers from 0 to 1: corner, inset, height, size.
pub(crate) fn marker(canvas: &mut Canvas, view: View, place: &[f64; 4]) {
    let size = canvas.size as f64;
    let cell = LETTER_CELL * (0.9 + 0.5 * place[3]) * size;
    let inset = (0.03 + 0.07 * place[1]) * size;
    let top = (0.03 + 0.10 * place[2]) * size;
    let (letter, left) = if place[0] < 0.5 {
        (RIGHT, inset)
    } else {
        (LEFT, size - inset - 5.0 * cell)
    };
    let mut covered = vec![0.0; canvas.values.len()];
    write(&mut covered, canvas.size, letter, [left, top], cell);
    if view == View::Ap {
        let below = top + 9.0 * cell;
        write(&mut covered, canvas.size, ARROW, [left, below], cell);
    }
    for (value, covered) in canvas.values.iter_mut().zip(covered) {
        *value += LEAD * f64::min(covered, 1.0);
    }
}

fn write(covered: &mut [f64], size: usize, letter: [u8; 7], at: [f64; 2], cell: f64) {
    for (row, bits) in letter.iter().enumerate() {
        for column in (0_u8..5).filter(|column| bits >> (4 - column) & 1 == 1) {
            let corner = [at[0] + f64::from(column) * cell, at[1] + row as f64 * cell];
            cover(covered, size, corner, cell);
        }
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

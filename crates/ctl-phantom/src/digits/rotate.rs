//! Rotation of a picture about its middle.

use super::{Interpolation, Plane};

/// Decimal places to which the sine and the cosine of an angle are rounded.
const ROTATION_DIGITS: f64 = 1e15;

/// A picture turned counter-clockwise about its middle, the shape kept.
///
/// Pixels whose middle comes from outside the picture are 0; grey levels are cut to whole numbers.
/// The result is that of Pillow's `Image.rotate`, on which torchvision's `rotate` rests.
///
/// # Arguments
/// - `image`: `[H, W]`, grey levels 0 to 255.
/// - `degrees`: the angle; 0 gives the picture itself.
///
/// # Examples
///
/// ```
/// use ctl_phantom::digits::{Interpolation, Plane, rotate};
///
/// let image = Plane::new([3, 3], vec![0, 0, 90, 0, 100, 0, 0, 0, 0])?;
/// let quarter = rotate(&image, 90.0, Interpolation::Bilinear);
/// assert_eq!(quarter.values(), [90, 0, 0, 0, 100, 0, 0, 0, 0]);
/// # Ok::<(), ctl_phantom::digits::DigitError>(())
/// ```
pub fn rotate(image: &Plane<u8>, degrees: f64, interpolation: Interpolation) -> Plane<u8> {
    let [height, width] = image.shape().map(|side| side as f64);
    let turn = -degrees.rem_euclid(360.0).to_radians();
    let [cos, sin] = [turn.cos(), turn.sin()].map(rounded);
    let (middle_x, middle_y) = (width / 2.0, height / 2.0);
    let shift_x = cos * -middle_x + sin * -middle_y + middle_x;
    let shift_y = -sin * -middle_x + cos * -middle_y + middle_y;
    let mut turned = Plane::filled(image.shape(), 0);
    for y in 0..image.shape()[0] {
        for (x, value) in turned.row_mut(y).iter_mut().enumerate() {
            let (centre_x, centre_y) = (x as f64 + 0.5, y as f64 + 0.5);
            let from_x = cos * centre_x + sin * centre_y + shift_x;
            let from_y = -sin * centre_x + cos * centre_y + shift_y;
            if (0.0..width).contains(&from_x) && (0.0..height).contains(&from_y) {
                let at = Position::new(from_x - 0.5, from_y - 0.5);
                // The cast holds what a cubic overshoots within 0 and 255.
                *value = match interpolation {
                    Interpolation::Bilinear => bilinear(image, at),
                    Interpolation::Bicubic => bicubic(image, at),
                } as u8;
            }
        }
    }
    turned
}

fn rounded(value: f64) -> f64 {
    (value * ROTATION_DIGITS).round() / ROTATION_DIGITS
}

/// A point between pixels: the pixel above and to the left, and the fractions from there.
#[derive(Clone, Copy)]
struct Position {
    x: isize,
    y: isize,
    right: f64,
    down: f64,
}

impl Position {
    fn new(x: f64, y: f64) -> Self {
        Self {
            x: x.floor() as isize,
            y: y.floor() as isize,
            right: x - x.floor(),
            down: y - y.floor(),
        }
    }
}

/// A grey level; beyond the edge that of the nearest pixel.
fn grey(image: &Plane<u8>, y: isize, x: isize) -> f64 {
    let [height, width] = image.shape();
    let y = y.clamp(0, height.cast_signed() - 1) as usize;
    let x = x.clamp(0, width.cast_signed() - 1) as usize;
    f64::from(image.row(y)[x])
}

fn bilinear(image: &Plane<u8>, at: Position) -> f64 {
    let between = |from: f64, to: f64, part: f64| from + (to - from) * part;
    let [upper, lower] =
        [at.y, at.y + 1].map(|y| between(grey(image, y, at.x), grey(image, y, at.x + 1), at.right));
    between(upper, lower, at.down)
}

fn bicubic(image: &Plane<u8>, at: Position) -> f64 {
    let rows = [-1, 0, 1, 2].map(|row| {
        cubic(
            [-1, 0, 1, 2].map(|column| grey(image, at.y + row, at.x + column)),
            at.right,
        )
    });
    cubic(rows, at.down)
}

/// Cubic convolution with `a = -1` between the middle two of four values.
///
/// # References
/// Keys (1981), "Cubic convolution interpolation for digital image processing".
fn cubic([before, from, to, after]: [f64; 4], part: f64) -> f64 {
    let linear = to - before;
    let square = 2.0 * (before - from) + to - after;
    let cube = -before + from - to + after;
    from + part * (linear + part * (square + part * cube))
}

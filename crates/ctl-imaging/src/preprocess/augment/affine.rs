//! Rotation, scale, shear and translation.

use super::sampler::resample;
use crate::Result;
use crate::preprocess::check::within;
use crate::preprocess::image::Image;
use crate::preprocess::provenance::Measurements;
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use crate::volume::Affine;
use serde::{Deserialize, Serialize};

/// Moves an image by a random affine map about its centre, in millimetres along its own axes:
/// `p ← c + R₂ R₁ R₀ H S (p − c) + t`.
///
/// Rotations `R`, scales `S`, shears `H` and the translation `t` are uniform within the bounds,
/// scales in the logarithm. Values are linear between voxels, classes of the mask nearest. Through
/// an image one voxel deep nothing moves: it is turned about its third axis alone.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomAffine {
    /// Largest angle about each axis, degrees, 0 to 180.
    pub rotation: [f64; 3],
    /// Largest enlargement along each axis less 1, 0 to 1: 0.1 scales by 1/1.1 to 1.1.
    pub scale: f64,
    /// Largest shear of one axis along another, 0 to 1.
    pub shear: f64,
    /// Largest translation along each axis, mm, 0 to 1000.
    pub translation: [f64; 3],
    /// Value of voxels from outside the image, finite.
    pub fill: f32,
}

type Matrix = [[f64; 3]; 3];

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

impl Apply for RandomAffine {
    fn validate(&self) -> Result<()> {
        for axis in 0..3 {
            within("random-affine rotation", self.rotation[axis], 0.0..=180.0)?;
            within(
                "random-affine translation",
                self.translation[axis],
                0.0..=1000.0,
            )?;
        }
        within("random-affine scale", self.scale, 0.0..=1.0)?;
        within("random-affine shear", self.shear, 0.0..=1.0)?;
        let largest = f64::from(f32::MAX);
        within("random-affine fill", self.fill.into(), -largest..=largest)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let flat = image.shape[2] == 1;
        let drawn = self.draw(stream, flat);
        let matrix = drawn.matrix();
        let still = matrix == IDENTITY && drawn.translation.iter().all(|&step| step == 0.0);
        if !still {
            let [x, y, z] = image.spacing;
            let centre = [0, 1, 2].map(|axis| (image.shape[axis] - 1) as f64 / 2.0);
            let centre = [centre[0] * x, centre[1] * y, centre[2] * z];
            let back = about(matrix, centre, drawn.translation)?.inverted();
            resample(image, self.fill, |[i, j, k]| {
                let [a, b, c] = back.to_world([i as f64 * x, j as f64 * y, k as f64 * z]);
                [a / x, b / y, c / z]
            })?;
        }
        Ok(Measurements::default()
            .with("rotation", drawn.rotation)
            .with("scale", drawn.scale)
            .with("shear", drawn.shear)
            .with("translation", drawn.translation))
    }
}

impl RandomAffine {
    fn draw(&self, stream: &mut Stream, flat: bool) -> Drawn {
        // As many numbers are taken from an image of one slice, so that it moves in its plane as
        // any other under the same seed.
        let largest = (1.0 + self.scale).ln();
        let mut drawn = Drawn {
            rotation: self.rotation.map(|angle| stream.at_most(angle)),
            scale: [0; 3].map(|_| stream.at_most(largest).exp()),
            shear: [0; 3].map(|_| stream.at_most(self.shear)),
            translation: self.translation.map(|step| stream.at_most(step)),
        };
        if flat {
            drawn.rotation[..2].fill(0.0);
            drawn.scale[2] = 1.0;
            drawn.shear[1..].fill(0.0);
            drawn.translation[2] = 0.0;
        }
        drawn
    }
}

/// What was drawn for one image.
struct Drawn {
    /// Degrees about each axis.
    rotation: [f64; 3],
    scale: [f64; 3],
    /// Of the first axis along the second, of the first along the third, of the second along the
    /// third.
    shear: [f64; 3],
    translation: [f64; 3],
}

impl Drawn {
    fn matrix(&self) -> Matrix {
        let [first, second, third] = self.shear;
        let shear = [[1.0, first, second], [0.0, 1.0, third], [0.0, 0.0, 1.0]];
        let mut matrix = IDENTITY;
        for axis in [2, 1, 0] {
            matrix = product(matrix, rotation(axis, self.rotation[axis].to_radians()));
        }
        let [x, y, z] = self.scale;
        let scale = [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]];
        product(product(matrix, shear), scale)
    }
}

fn rotation(axis: usize, angle: f64) -> Matrix {
    let (sin, cos) = angle.sin_cos();
    let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
    let mut matrix = IDENTITY;
    matrix[a][a] = cos;
    matrix[b][b] = cos;
    matrix[a][b] = -sin;
    matrix[b][a] = sin;
    matrix
}

fn product(left: Matrix, right: Matrix) -> Matrix {
    left.map(|row| {
        [0, 1, 2].map(|column: usize| (0..3).map(|at| row[at] * right[at][column]).sum())
    })
}

/// `p ← c + M (p − c) + t`.
fn about(matrix: Matrix, centre: [f64; 3], translation: [f64; 3]) -> Result<Affine> {
    let mut rows = [[0.0; 4]; 3];
    for (axis, row) in rows.iter_mut().enumerate() {
        let [x, y, z] = matrix[axis];
        let moved = x * centre[0] + y * centre[1] + z * centre[2];
        *row = [x, y, z, centre[axis] - moved + translation[axis]];
    }
    Affine::new(rows)
}

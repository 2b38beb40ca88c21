//! From voxel indices to millimetres in the patient, and back.

use crate::Result;
use crate::error::ImagingError;

/// Steps of Newton's iteration for the polar decomposition; it converges quadratically, so that a
/// matrix of any medical image needs fewer than twenty.
const POLAR_STEPS: usize = 100;

/// Relative determinant below which voxel axes are taken to lie in one plane.
const FLAT: f64 = 1e-12;

type Matrix = [[f64; 3]; 3];

/// The map from voxel indices `(i, j, k)` to world coordinates in mm.
///
/// World axes are those of `NIfTI` (RAS+): x grows to the patient's right, y to the front
/// (anterior), z to the head (superior). An index names the *centre* of its voxel.
///
/// # Examples
/// ```
/// use ctl_imaging::volume::Affine;
///
/// // 2 mm voxels whose first one lies at (-90, -126, -72).
/// let affine = Affine::from_spacing([2.0, 2.0, 2.0], [-90.0, -126.0, -72.0])?;
/// assert_eq!(affine.to_world([45.0, 63.0, 36.0]), [0.0, 0.0, 0.0]);
/// assert_eq!(affine.to_voxel([0.0, 0.0, 0.0]), [45.0, 63.0, 36.0]);
/// assert_eq!(affine.axis_codes(), "RAS");
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Affine {
    rows: [[f64; 4]; 3],
}

/// Which voxel axis runs along which world axis, and in which direction.
///
/// Entry `axis` tells of voxel axis `axis`: the world axis (0 right, 1 anterior, 2 superior) that
/// it is closest to, and whether it runs towards the positive end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Orientation {
    axes: [AxisDirection; 3],
}

/// A world axis and a direction along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub struct AxisDirection {
    /// 0 for left–right, 1 for posterior–anterior, 2 for inferior–superior.
    pub world: usize,
    /// Whether it runs to the right, the front or the head.
    pub positive: bool,
}

impl Affine {
    /// An affine from the first three rows of its 4×4 matrix, in mm.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a number is not finite, or the voxel axes lie in one plane
    /// (the matrix cannot be inverted).
    pub fn new(rows: [[f64; 4]; 3]) -> Result<Self> {
        let affine = Self { rows };
        if rows.as_flattened().iter().any(|value| !value.is_finite()) {
            return Err(ImagingError::argument(
                "affine",
                "finite numbers",
                format!("{rows:?}"),
            ));
        }
        let [a, b, c] = affine.columns().map(length);
        let determinant = determinant(affine.linear());
        if !determinant.is_finite() || determinant.abs() <= FLAT * a * b * c {
            return Err(ImagingError::argument(
                "affine",
                "three voxel axes that span space",
                format!("{rows:?}"),
            ));
        }
        Ok(affine)
    }

    /// An affine whose voxel axes run to the right, the front and the head.
    ///
    /// # Arguments
    /// * `spacing`: mm between voxel centres along each axis, above 0.
    /// * `origin`: world position of the first voxel's centre, mm.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a spacing is not a positive number or the origin not finite.
    pub fn from_spacing(spacing: [f64; 3], origin: [f64; 3]) -> Result<Self> {
        if let Some(wrong) = spacing.iter().find(|&&side| side.is_nan() || side <= 0.0) {
            return Err(ImagingError::argument(
                "spacing",
                "millimetres above 0",
                wrong.to_string(),
            ));
        }
        let [x, y, z] = spacing;
        Self::new([
            [x, 0.0, 0.0, origin[0]],
            [0.0, y, 0.0, origin[1]],
            [0.0, 0.0, z, origin[2]],
        ])
    }

    /// The first three rows of the 4×4 matrix; the fourth is `0 0 0 1`.
    pub fn rows(&self) -> [[f64; 4]; 3] {
        self.rows
    }

    /// The whole 4×4 matrix.
    pub fn matrix(&self) -> [[f64; 4]; 4] {
        let [x, y, z] = self.rows;
        [x, y, z, [0.0, 0.0, 0.0, 1.0]]
    }

    /// World position in mm of a voxel index, which may be fractional.
    pub fn to_world(&self, voxel: [f64; 3]) -> [f64; 3] {
        let [i, j, k] = voxel;
        self.rows
            .map(|[x, y, z, origin]| x * i + y * j + z * k + origin)
    }

    /// Fractional voxel index of a world position in mm.
    pub fn to_voxel(&self, world: [f64; 3]) -> [f64; 3] {
        self.inverted().to_world(world)
    }

    /// The map from world coordinates to voxel indices, in the same form.
    pub(crate) fn inverted(&self) -> Self {
        let inverse = inverse(self.linear());
        let origin = self.origin();
        let rows = inverse.map(|row| {
            let [x, y, z] = row;
            [x, y, z, -dot(row, origin)]
        });
        Self { rows }
    }

    /// World position of the first voxel's centre, mm.
    pub fn origin(&self) -> [f64; 3] {
        self.rows.map(|row| row[3])
    }

    /// Distance in mm between neighbouring voxel centres along each voxel axis.
    pub fn spacing(&self) -> [f64; 3] {
        self.columns().map(length)
    }

    /// Volume of a voxel, mm³.
    pub fn voxel_volume(&self) -> f64 {
        determinant(self.linear()).abs()
    }

    /// Unit vectors of the voxel axes in world coordinates.
    pub fn directions(&self) -> [[f64; 3]; 3] {
        self.columns().map(|column| {
            let size = length(column);
            column.map(|part| part / size)
        })
    }

    /// The world axes that voxel axes are closest to.
    ///
    /// Shears are taken out first (the orthogonal factor of the polar decomposition of the
    /// directions), then voxel axes take world axes, each the one along which it is longest among
    /// those left; the one that is longest along any comes first, as with nibabel 5.4's
    /// `io_orientation`.
    pub fn orientation(&self) -> Orientation {
        let directions = transposed(self.directions());
        let rotation = orthogonal_factor(directions);
        let along = |axis: usize| [0, 1, 2].map(|world: usize| rotation[world][axis]);
        let strength = |axis: usize| along(axis).into_iter().map(f64::abs).fold(0.0, f64::max);
        let mut order = [0, 1, 2];
        order.sort_by(|&one, &other| strength(other).total_cmp(&strength(one)));
        let mut taken = [false; 3];
        let mut axes = Orientation::RAS.axes;
        for axis in order {
            let column = along(axis);
            let longest = (0..3)
                .filter(|&world| !taken[world])
                .reduce(|best, world| {
                    if column[world].abs() > column[best].abs() {
                        world
                    } else {
                        best
                    }
                })
                .unwrap_or(axis);
            taken[longest] = true;
            axes[axis] = AxisDirection {
                world: longest,
                positive: column[longest] >= 0.0,
            };
        }
        Orientation { axes }
    }

    /// Letters of the ends towards which voxel axes run, such as `RAS` or `LPI`.
    pub fn axis_codes(&self) -> String {
        self.orientation().codes()
    }

    fn linear(&self) -> Matrix {
        self.rows.map(|[x, y, z, _]| [x, y, z])
    }

    fn columns(&self) -> Matrix {
        transposed(self.linear())
    }
}

impl Orientation {
    /// Right, anterior, superior: every axis along its own world axis.
    pub const RAS: Self = Self {
        axes: [
            AxisDirection {
                world: 0,
                positive: true,
            },
            AxisDirection {
                world: 1,
                positive: true,
            },
            AxisDirection {
                world: 2,
                positive: true,
            },
        ],
    };

    /// An orientation from its letters.
    ///
    /// # Arguments
    /// * `codes`: one letter a voxel axis, of the end towards which it runs: one of `R` and `L`,
    ///   one of `A` and `P`, one of `S` and `I`, in any order and case.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when letters are missing, unknown, or of one axis twice.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::Orientation;
    ///
    /// assert_eq!(Orientation::parse("lps")?.codes(), "LPS");
    /// assert!(Orientation::parse("RLS").is_err());
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn parse(codes: &str) -> Result<Self> {
        let wrong = || {
            ImagingError::argument(
                "orientation",
                "three letters: one of R and L, one of A and P, one of S and I",
                codes.to_owned(),
            )
        };
        let letters: Vec<AxisDirection> = codes
            .chars()
            .map(AxisDirection::from_letter)
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        let axes: [AxisDirection; 3] = letters.try_into().map_err(|_| wrong())?;
        let all = (0..3).all(|world| axes.iter().any(|axis| axis.world == world));
        if all { Ok(Self { axes }) } else { Err(wrong()) }
    }

    /// All 48 orientations, in a fixed order.
    pub fn all() -> Vec<Self> {
        const ORDERS: [[usize; 3]; 6] = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        let signs = 0..8_u8;
        ORDERS
            .iter()
            .flat_map(|order| {
                signs.clone().map(|signs| Self {
                    axes: [0, 1, 2].map(|axis| AxisDirection {
                        world: order[axis],
                        positive: signs >> axis & 1 == 0,
                    }),
                })
            })
            .collect()
    }

    /// What each voxel axis runs along.
    pub fn axes(&self) -> [AxisDirection; 3] {
        self.axes
    }

    /// One letter a voxel axis.
    pub fn codes(&self) -> String {
        self.axes.iter().map(|axis| axis.letter()).collect()
    }
}

impl std::fmt::Display for Orientation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.codes())
    }
}

impl AxisDirection {
    const LETTERS: [[char; 2]; 3] = [['L', 'R'], ['P', 'A'], ['I', 'S']];

    /// The letter of the end towards which the axis runs.
    pub fn letter(self) -> char {
        Self::LETTERS[self.world % 3][usize::from(self.positive)]
    }

    fn from_letter(letter: char) -> Option<Self> {
        let letter = letter.to_ascii_uppercase();
        Self::LETTERS.iter().enumerate().find_map(|(world, ends)| {
            let end = ends.iter().position(|&end| end == letter)?;
            Some(Self {
                world,
                positive: end == 1,
            })
        })
    }
}

fn length(vector: [f64; 3]) -> f64 {
    dot(vector, vector).sqrt()
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn transposed(matrix: Matrix) -> Matrix {
    [0, 1, 2].map(|column| [0, 1, 2].map(|row: usize| matrix[row][column]))
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

fn determinant(matrix: Matrix) -> f64 {
    dot(matrix[0], cross(matrix[1], matrix[2]))
}

fn inverse(matrix: Matrix) -> Matrix {
    let [a, b, c] = matrix;
    let scale = 1.0 / determinant(matrix);
    transposed([cross(b, c), cross(c, a), cross(a, b)]).map(|row| row.map(|part| part * scale))
}

/// The orthogonal factor of the polar decomposition, by Newton's iteration (Higham 1986, eq. 3.1).
fn orthogonal_factor(matrix: Matrix) -> Matrix {
    let mut factor = matrix;
    for _ in 0..POLAR_STEPS {
        let other = transposed(inverse(factor));
        let mut change = 0.0_f64;
        for (row, opposite) in factor.iter_mut().zip(&other) {
            for (value, opposite) in row.iter_mut().zip(opposite) {
                let next = f64::midpoint(*value, *opposite);
                change = change.max((next - *value).abs());
                *value = next;
            }
        }
        if change <= f64::EPSILON {
            break;
        }
    }
    factor
}

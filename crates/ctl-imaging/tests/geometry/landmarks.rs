//! A landmark keeps its place in the patient whatever is done to the image.

use ctl_imaging::volume::{
    Affine, Grid, Interpolation, Orientation, Samples, Volume, read_volume, write_volume,
};

/// How far a landmark may move, mm.
const TOLERANCE: f64 = 1e-3;

/// Voxels of the image along each axis, and the blob's standard deviation, voxels.
const SHAPE: [usize; 3] = [29, 31, 30];
const SIGMA: f64 = 2.5;

/// Centre of the blob, between voxels.
const CENTRE: [f64; 3] = [14.3, 15.4, 13.9];

/// An affine of these columns, turned about all three axes.
fn turned(angles: [f64; 3], columns: [[f64; 3]; 3], origin: [f64; 3]) -> Affine {
    let mut columns = columns;
    for (axis, angle) in angles.into_iter().enumerate() {
        let (sin, cos) = angle.to_radians().sin_cos();
        let (one, two) = ((axis + 1) % 3, (axis + 2) % 3);
        for column in &mut columns {
            let (a, b) = (column[one], column[two]);
            column[one] = cos * a - sin * b;
            column[two] = sin * a + cos * b;
        }
    }
    let row = |world: usize| {
        [
            columns[0][world],
            columns[1][world],
            columns[2][world],
            origin[world],
        ]
    };
    Affine::new([row(0), row(1), row(2)]).unwrap()
}

/// Straight, slightly and strongly oblique, sheared.
fn affines() -> [Affine; 4] {
    let box_of = |x, y, z| [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]];
    let sheared = [[1.1, 0.0, 0.1], [0.3, 0.9, 0.0], [-0.2, 0.25, 1.4]];
    [
        turned([0.0; 3], box_of(1.0, 0.8, 2.0), [-20.0, 5.0, 90.0]),
        turned(
            [4.0, -7.0, 11.0],
            box_of(0.7, 0.7, 1.5),
            [120.0, -80.0, 3.0],
        ),
        turned([38.0, 29.0, -41.0], box_of(1.2, 1.0, 0.9), [0.0; 3]),
        turned([-16.0, 9.0, 24.0], sheared, [-55.0, 10.0, -400.0]),
    ]
}

/// A smooth blob, and where its centre lies.
fn blob(affine: Affine) -> (Volume, [f64; 3]) {
    let bell = |at: usize, centre: f64| {
        let apart = (at as f64 - centre) / SIGMA;
        (-0.5 * apart * apart).exp()
    };
    let mut values = Vec::new();
    for k in 0..SHAPE[2] {
        for j in 0..SHAPE[1] {
            for i in 0..SHAPE[0] {
                let value = bell(i, CENTRE[0]) * bell(j, CENTRE[1]) * bell(k, CENTRE[2]);
                values.push(1000.0 * value as f32);
            }
        }
    }
    let volume = Volume::new(&SHAPE, Samples::F32(values), affine).unwrap();
    (volume, affine.to_world(CENTRE))
}

/// The mean place, weighted by the numbers.
fn centroid(volume: &Volume) -> [f64; 3] {
    let [width, height, _] = volume.spatial_shape();
    let (mut sum, mut all) = ([0.0; 3], 0.0);
    for (index, value) in volume.to_f64().into_iter().enumerate() {
        let (i, j, k) = (
            index % width,
            index / width % height,
            index / width / height,
        );
        for (sum, at) in sum.iter_mut().zip([i, j, k]) {
            *sum += value * at as f64;
        }
        all += value;
    }
    volume.affine().to_world(sum.map(|sum| sum / all))
}

/// A grid turned against the image's, around the middle of its field of view.
fn oblique_grid(volume: &Volume) -> Grid {
    let [x, y, z] = volume.affine().spacing().map(|side| 0.72 * side);
    let columns = [[x, 0.0, 0.0], [0.1 * y, y, 0.0], [0.0, 0.0, z]];
    let middle = volume.spatial_shape().map(|side| 0.5 * (side - 1) as f64);
    let middle = volume.affine().to_world(middle);
    let shape = volume.spatial_shape().map(|side| 2 * side);
    let at_zero = turned([21.0, -13.0, 33.0], columns, [0.0; 3]);
    let corner = at_zero.to_world(shape.map(|side| 0.5 * (side - 1) as f64));
    let mut rows = at_zero.rows();
    for (world, row) in rows.iter_mut().enumerate() {
        row[3] = middle[world] - corner[world];
    }
    Grid::new(shape, Affine::new(rows).unwrap()).unwrap()
}

/// Everything that is done to an image; whoever adds an operation adds it here.
///
/// A sampled blob has no exact centroid: what is left of its spectrum at multiples of both sampling
/// frequencies shifts it. Spacings are chosen so that these multiples lie far apart or coincide.
fn journeys(volume: &Volume, is_first: bool) -> Vec<(&'static str, Volume)> {
    let spacing = volume.affine().spacing();
    let finer = spacing.map(|side| side / 1.5);
    let coarser = spacing.map(|side| 1.5 * side);
    let size = volume.spatial_shape().map(|side| side - 3);
    let linear = Interpolation::Linear;
    let mut all = vec![
        ("canonical", volume.to_canonical()),
        ("finer", volume.resampled_to_spacing(finer, linear)),
        (
            "coarser",
            volume.resampled_to_spacing(coarser, Interpolation::CubicBSpline),
        ),
        ("box", volume.boxed([2, 1, 2], size, 0.0)),
        ("pad", volume.boxed([-3, 2, -1], [36; 3], 0.0)),
    ];
    if is_first {
        let grid = oblique_grid(volume);
        all.push(("oblique", volume.resampled_to(&grid, linear, 0.0)));
        let cubic = Interpolation::CubicBSpline;
        all.push(("spline", volume.resampled_to(&grid, cubic, 0.0)));
    }
    let names: &[&str] = if is_first {
        &["cut.nii", "cut.nii.gz", "cut.nrrd", "cut.mha"]
    } else {
        &["cut.nii"]
    };
    for name in names {
        all.push((
            name,
            written(&volume.boxed([2, 1, 2], size, 0.0).unwrap(), name),
        ));
    }
    all.into_iter()
        .map(|(name, made)| (name, made.unwrap()))
        .collect()
}

/// What is read of an image that was written.
fn written(volume: &Volume, name: &str) -> ctl_imaging::Result<Volume> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write_volume(&path, volume)?;
    read_volume(&path)
}

#[test]
fn a_landmark_keeps_its_place_in_all_orientations() {
    for affine in affines() {
        let (volume, landmark) = blob(affine);
        for (number, orientation) in Orientation::all().into_iter().enumerate() {
            let image = volume.reoriented(orientation).unwrap();
            // The voxel-by-voxel way is slower, and the same in every orientation.
            let mut made = journeys(&image, number % 12 == 5);
            made.push(("reoriented", image));
            for (name, image) in made {
                let found = centroid(&image);
                let apart = (0..3).map(|world| (found[world] - landmark[world]).abs());
                let apart = apart.fold(0.0, f64::max);
                assert!(apart < TOLERANCE, "{orientation}, {name}: {apart} mm away");
            }
        }
    }
}

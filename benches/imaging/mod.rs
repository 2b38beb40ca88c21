//! Reading, writing and measuring images, as it is compared with peers.
//!
//! Inputs are simulated, from a fixed seed ([`write_inputs`]); both sides read the same files.
//! `peers/imaging.py` holds the same workloads in other software.

mod inputs;

use std::path::{Path, PathBuf};

use ctl_imaging::dicom::{SeriesOptions, read_series};
use ctl_imaging::distance::distance_transform;
use ctl_imaging::nifti::{self, Reader, WriteOptions};
use ctl_imaging::volume::{Affine, Grid, Interpolation, Samples, Volume};
use ctl_metrics::segmentation::SurfaceDistances;

pub use inputs::write_inputs;

use crate::graph::Failure;

/// The same workloads in other software, a script for Python 3.10 and later.
pub const PEER: &str = include_str!("../peers/imaging.py");

/// Radians by which the oblique grid is turned, about two axes.
const TILT: f64 = 0.2;

/// Effort of compression that nibabel has unless it is told otherwise.
const LEVEL: u32 = 1;

/// A workload that is timed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// 256³ values of 16 bits from `.nii` to single precision.
    Load,
    /// The same from `.nii.gz`.
    LoadGzip,
    /// The middle one of their axial slices from `.nii`.
    Slice,
    /// The same from `.nii.gz`.
    SliceGzip,
    /// Those values, as they are stored, to `.nii`, without waiting for the disk.
    Write,
    /// The same until the file is on the disk.
    WriteDurable,
    /// The same to `.nii.gz`, with the effort that nibabel makes, without waiting for the disk.
    WriteGzip,
    /// The image on a grid of 1 mm along its own axes, linearly.
    Resample,
    /// The image on a grid of 1 mm that leans on it, linearly.
    ResampleOblique,
    /// Exact distances within a mask of 256³ voxels, in mm.
    Distance,
    /// The 95th percentile of the distances between the surfaces of two such masks.
    Hd95,
    /// 200 DICOM slices of 512 × 512 pixels to a volume of single precision.
    Series,
}

impl Workload {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 12] = [
        Self::Load,
        Self::LoadGzip,
        Self::Slice,
        Self::SliceGzip,
        Self::Write,
        Self::WriteDurable,
        Self::WriteGzip,
        Self::Resample,
        Self::ResampleOblique,
        Self::Distance,
        Self::Hd95,
        Self::Series,
    ];

    /// The name in tables and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load_nii_256",
            Self::LoadGzip => "load_nii_gz_256",
            Self::Slice => "slice_nii_256",
            Self::SliceGzip => "slice_nii_gz_256",
            Self::Write => "write_nii_256",
            Self::WriteDurable => "write_nii_durable_256",
            Self::WriteGzip => "write_nii_gz_256",
            Self::Resample => "resample_1mm_256",
            Self::ResampleOblique => "resample_oblique_256",
            Self::Distance => "distance_256",
            Self::Hd95 => "hd95_256",
            Self::Series => "dicom_200x512",
        }
    }

    /// The workload of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.name() == name)
    }
}

/// A workload with what it is given before the clock runs.
pub struct ImagingWork {
    workload: Workload,
    folder: PathBuf,
    image: Option<Volume>,
    masks: Vec<Vec<bool>>,
}

impl ImagingWork {
    /// Prepares a workload.
    ///
    /// # Arguments
    /// * `folder`: what [`write_inputs`] filled; files that are written go there as well.
    ///
    /// # Errors
    /// When an input cannot be read.
    pub fn new(workload: Workload, folder: &Path) -> Result<Self, Failure> {
        let takes_image = matches!(
            workload,
            Workload::Write
                | Workload::WriteDurable
                | Workload::WriteGzip
                | Workload::Resample
                | Workload::ResampleOblique
        );
        let image = takes_image.then(|| nifti::read(&folder.join(inputs::IMAGE)));
        let masks = match workload {
            Workload::Distance => &inputs::MASKS[..1],
            Workload::Hd95 => &inputs::MASKS[..],
            _ => &[],
        };
        let masks = masks.iter().map(|name| mask(&folder.join(name)));
        Ok(Self {
            workload,
            folder: folder.to_owned(),
            image: image.transpose()?.map(|image| image.volume),
            masks: masks.collect::<Result<_, _>>()?,
        })
    }

    /// Does the work.
    ///
    /// # Returns
    /// Of images, voxels above 0; of files, their length; of distances, the largest or that asked
    /// for in µm.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn run(&self) -> Result<u64, Failure> {
        let file = |name| self.folder.join(name);
        Ok(match self.workload {
            Workload::Load => above_zero(&Reader::open(&file(inputs::IMAGE))?.to_f32()?),
            Workload::LoadGzip => above_zero(&Reader::open(&file(inputs::PACKED))?.to_f32()?),
            Workload::Slice => middle(&file(inputs::IMAGE))?,
            Workload::SliceGzip => middle(&file(inputs::PACKED))?,
            Workload::Write | Workload::WriteDurable => self.write("ours.nii")?,
            Workload::WriteGzip => self.write("ours.nii.gz")?,
            Workload::Resample => self.resample(0.0)?,
            Workload::ResampleOblique => self.resample(TILT)?,
            Workload::Distance => {
                let distances = distance_transform(&self.masks[0], inputs::SHAPE, inputs::SPACING)?;
                micrometres(distances.into_iter().fold(0.0, f64::max))
            }
            Workload::Hd95 => self.surfaces()?,
            Workload::Series => {
                let options = SeriesOptions {
                    single_precision: true,
                    ..SeriesOptions::default()
                };
                let series = read_series(&file(inputs::SERIES), &options)?;
                let [series] = &series[..] else {
                    return Err(format!("{} series instead of one", series.len()).into());
                };
                single_precision(&series.volume)?
            }
        })
    }

    fn surfaces(&self) -> Result<u64, Failure> {
        let [one, other] = &self.masks[..] else {
            return Err("two masks were read".into());
        };
        // Row-major there, first axis fastest here.
        let [x, y, z] = inputs::SPACING;
        let grid = ctl_metrics::grid::Grid::new(&inputs::SHAPE, &[z, y, x])?;
        let distances = SurfaceDistances::between(&grid, one, other)?;
        Ok(micrometres(distances.hausdorff_percentile(95.0)?))
    }

    fn image(&self) -> Result<&Volume, Failure> {
        self.image
            .as_ref()
            .ok_or_else(|| "no image was read".into())
    }

    fn write(&self, name: &str) -> Result<u64, Failure> {
        let path = self.folder.join(name);
        let options = WriteOptions {
            level: LEVEL,
            // Peers do not wait for the disk, unless they are told to.
            durable: self.workload == Workload::WriteDurable,
            ..WriteOptions::default()
        };
        nifti::write(&path, self.image()?, &options)?;
        Ok(path.metadata()?.len())
    }

    fn resample(&self, tilt: f64) -> Result<u64, Failure> {
        let image = self.image()?;
        let resampled = image.resampled_to(&grid(image, tilt)?, Interpolation::Linear, -1000.0)?;
        single_precision(&resampled)
    }
}

/// A grid of 1 mm from the image's first voxel on, turned about the first, then the third axis.
fn grid(image: &Volume, tilt: f64) -> Result<Grid, Failure> {
    let (sin, cos) = tilt.sin_cos();
    let [x, y, z] = image.affine().origin();
    let rows = [
        [cos, -sin * cos, sin * sin, x],
        [sin, cos * cos, -sin * cos, y],
        [0.0, sin, cos, z],
    ];
    let sides = [0, 1, 2]
        .map(|axis: usize| (inputs::SHAPE[axis] as f64 * inputs::SPACING[axis]).round() as usize);
    Ok(Grid::new(sides, Affine::new(rows)?)?)
}

fn mask(path: &Path) -> Result<Vec<bool>, Failure> {
    match nifti::read(path)?.volume.into_samples() {
        Samples::U8(marks) => Ok(marks.into_iter().map(|mark| mark > 0).collect()),
        other => Err(format!("{} instead of uint8", other.sample_type()).into()),
    }
}

fn middle(path: &Path) -> Result<u64, Failure> {
    let slice = Reader::open(path)?.slice(2, inputs::SHAPE[2] / 2)?;
    Ok(above_zero(&slice.to_f32()))
}

/// Voxels above 0 of an image that must have single precision.
fn single_precision(volume: &Volume) -> Result<u64, Failure> {
    match volume.samples() {
        Samples::F32(values) => Ok(above_zero(values)),
        other => Err(format!("{} instead of float32", other.sample_type()).into()),
    }
}

/// Voxels above 0, which also makes sure that all of them are there.
fn above_zero(values: &[f32]) -> u64 {
    /// So few that they can be counted in 32 bits, of which a register holds more.
    const TOGETHER: usize = 1 << 12;
    let count = |some: &[f32]| {
        some.iter()
            .map(|&value| u32::from(value > 0.0))
            .sum::<u32>()
    };
    values
        .chunks(TOGETHER)
        .map(|some| u64::from(count(some)))
        .sum()
}

fn micrometres(millimetres: f64) -> u64 {
    (millimetres * 1e3).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for workload in Workload::ALL {
            assert_eq!(Workload::from_name(workload.name()), Some(workload));
        }
        assert_eq!(Workload::from_name("no-such"), None);
    }

    /// At full size; this looks at the answers.
    #[test]
    #[ignore = "takes half a minute: part of the full check"]
    fn every_workload_has_inputs_and_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        write_inputs(folder.path()).unwrap();
        for workload in Workload::ALL {
            let work = ImagingWork::new(workload, folder.path()).unwrap();
            assert!(work.run().unwrap() > 0, "{workload:?}");
        }
    }
}

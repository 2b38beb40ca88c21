//! What can be said of one image.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ctl_imaging::volume::{Orientation, SampleType};

#[derive(Subcommand)]
pub(crate) enum Image {
    /// Print header, place and numbers of an image.
    Info(Info),
    /// Write an image in another format, type, orientation or spacing.
    Convert(Convert),
    /// Write slices of an image side by side as a picture.
    Show(Show),
}

#[derive(Args)]
pub(crate) struct Info {
    /// DICOM (a file, or the folder of a series), `NIfTI`, NRRD or `MetaImage`.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print the scaled number at this voxel as well.
    #[arg(
        long,
        value_name = "I,J,K",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub(crate) voxel: Vec<usize>,
    /// Of a DICOM folder with several series, the one with this UID; `UID:2` for its second stack.
    #[arg(long, value_name = "UID")]
    pub(crate) series: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Convert {
    /// DICOM (a file, or the folder of a series), `NIfTI`, NRRD or `MetaImage`.
    #[arg(value_name = "IN")]
    pub(crate) from: PathBuf,
    /// Name that ends in .nii, .nii.gz, .nrrd or .mha; a file that is there is replaced.
    #[arg(value_name = "OUT")]
    pub(crate) to: PathBuf,
    /// Type to store numbers in, unscaled, such as uint8, int16 or float32.
    #[arg(long, value_name = "TYPE", value_parser = sample_type)]
    pub(crate) dtype: Option<SampleType>,
    /// Ends towards which voxel axes run, such as RAS or LPS.
    #[arg(long, value_name = "LETTERS", value_parser = orientation)]
    pub(crate) orientation: Option<Orientation>,
    /// Millimetres between voxel centres along the axes of the file, after they were turned.
    #[arg(
        long,
        value_name = "X,Y,Z",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub(crate) spacing: Vec<f64>,
    /// How numbers between voxels are found; labels need nearest [default: linear].
    #[arg(long, value_name = "WAY", requires = "spacing", value_parser = ["nearest", "linear", "cubic"])]
    pub(crate) interpolation: Option<String>,
    /// Of a DICOM folder with several series, the one with this UID; `UID:2` for its second stack.
    #[arg(long, value_name = "UID")]
    pub(crate) series: Option<String>,
}

#[derive(Args)]
pub(crate) struct Show {
    /// DICOM (a file, or the folder of a series), `NIfTI`, NRRD or `MetaImage`.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// PNG file; one that is there is replaced.
    #[arg(value_name = "PNG")]
    pub(crate) picture: PathBuf,
    /// Labels to draw in colour, on any grid: whole numbers; of a series its frame.
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay: Option<PathBuf>,
    /// Plane of the slices.
    #[arg(long, value_name = "PLANE", default_value = "axial", value_parser = ["axial", "coronal", "sagittal"])]
    pub(crate) plane: String,
    /// How many slices, evenly over the image.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub(crate) slices: u16,
    /// Numbers that are shown black and white [default: the file's window, or else the 0.5th and
    /// 99.5th percentile].
    #[arg(
        long,
        value_name = "LOW,HIGH",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub(crate) window: Vec<f64>,
    /// Of a DICOM folder with several series, the one with this UID; `UID:2` for its second stack.
    #[arg(long, value_name = "UID")]
    pub(crate) series: Option<String>,
    /// Which frame of a series, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) frame: usize,
}

fn sample_type(text: &str) -> Result<SampleType, String> {
    let mut kinds = SampleType::ALL.into_iter();
    kinds.find(|kind| kind.name() == text).ok_or_else(|| {
        let names: Vec<&str> = SampleType::ALL.iter().map(|kind| kind.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn orientation(text: &str) -> Result<Orientation, String> {
    Orientation::parse(text).map_err(|error| error.to_string())
}

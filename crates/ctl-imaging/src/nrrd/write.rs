//! Volumes to NRRD files of version 5 with attached data.

use super::fields::type_name;
use super::lines::escaped;
use crate::Result;
use crate::error::ImagingError;
use crate::raw;
use crate::volume::{SampleType, Scaling, SeriesUnit, Volume};
use crate::write::replace_file;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// How an NRRD file is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NrrdOptions {
    /// Whether data are compressed with gzip.
    pub compress: bool,
    /// Lines `key:=value`; keys without colon or line break, each once.
    pub pairs: Vec<(String, String)>,
}

/// Writes a volume as NRRD0005 with attached data, in LPS, replacing the file as a whole.
///
/// # Arguments
/// * `volume`: of any type but half precision, unscaled (see [`Volume::to_type`]). Components
///   become a first axis of kind `list`, complex values one of kind `complex`, frames axes of kind
///   `list`; a volume of two axes is written with a third of one voxel, which keeps its affine.
/// * `path`: the file, by convention named `.nrrd`.
/// * `options`: compression and pairs.
///
/// # Errors
/// [`ImagingError::Argument`] when the volume is scaled or of half precision, or a key is empty or
/// holds a colon or a line break; [`ImagingError::Io`] when the file cannot be written.
///
/// # Examples
/// ```
/// use ctl_imaging::nrrd::{NrrdOptions, read_nrrd, write_nrrd};
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pair.nrrd");
/// let affine = Affine::from_spacing([1.0, 1.0, 2.5], [5.0, 0.0, 0.0])?;
/// let volume = Volume::new(&[2, 1, 1], Samples::I16(vec![-1, 300]), affine)?;
/// write_nrrd(&volume, &path, &NrrdOptions::default())?;
/// assert_eq!(read_nrrd(&path)?, volume);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_nrrd(volume: &Volume, path: &Path, options: &NrrdOptions) -> Result<()> {
    let header = header(volume, options)?;
    replace_file(path, |file| {
        file.write_all(header.as_bytes())?;
        if options.compress {
            let mut encoder = GzEncoder::new(file, Compression::default());
            raw::write_samples(volume.samples(), &mut encoder)?;
            encoder.finish().map(|_| ())
        } else {
            raw::write_samples(volume.samples(), file)
        }
    })
}

fn header(volume: &Volume, options: &NrrdOptions) -> Result<String> {
    let kind = type_name(volume.sample_type());
    let kind = kind.filter(|_| volume.scaling() == Scaling::NONE);
    let kind = kind.ok_or_else(|| {
        ImagingError::argument(
            "volume to write as NRRD",
            "unscaled values of a type other than float16 (see `to_type`)",
            format!("{} scaled by {:?}", volume.sample_type(), volume.scaling()),
        )
    })?;
    let axes = Axes::of(volume);
    let mut text = format!("NRRD0005\ntype: {kind}\ndimension: {}\n", axes.sizes.len());
    let mut line = |name: &str, words: &[String]| {
        text.extend([name, ": ", &words.join(" "), "\n"]);
    };
    line("space", &["left-posterior-superior".to_owned()]);
    line("sizes", &axes.sizes);
    line("space directions", &axes.directions);
    line("kinds", &axes.kinds);
    if axes.spacings.iter().any(|spacing| spacing != NONE) {
        line("spacings", &axes.spacings);
        line("units", &axes.units);
    }
    line("endian", &["little".to_owned()]);
    let encoding = if options.compress { "gzip" } else { "raw" };
    line("encoding", &[encoding.to_owned()]);
    line("space units", &vec!["\"mm\"".to_owned(); 3]);
    line("space origin", &[vector(volume.affine().origin())]);
    add_pairs(&mut text, &options.pairs)?;
    text.push('\n');
    Ok(text)
}

/// No spacing: the axis has a direction, or nothing is known.
const NONE: &str = "NaN";

/// What the header says of each axis, fastest first.
#[derive(Default)]
struct Axes {
    sizes: Vec<String>,
    directions: Vec<String>,
    kinds: Vec<String>,
    spacings: Vec<String>,
    units: Vec<String>,
}

impl Axes {
    fn of(volume: &Volume) -> Self {
        let mut axes = Self::default();
        let kind = volume.sample_type();
        if matches!(kind, SampleType::Complex64 | SampleType::Complex128) {
            axes.add(2, "none".to_owned(), "complex");
        }
        if volume.components() > 1 {
            axes.add(volume.components(), "none".to_owned(), "list");
        }
        let affine = volume.affine().rows();
        for (axis, size) in volume.spatial_shape().into_iter().enumerate() {
            let direction = vector([0, 1, 2].map(|row: usize| affine[row][axis]));
            axes.add(size, direction, "domain");
        }
        let first = axes.sizes.len();
        for &size in volume.shape().iter().skip(3) {
            axes.add(size, "none".to_owned(), "list");
        }
        let series = volume.series();
        if let Some(spacing) = axes.spacings.get_mut(first)
            && series.step > 0.0
        {
            *spacing = series.step.to_string();
            axes.units[first] = format!("\"{}\"", unit_name(series.unit));
        }
        axes
    }

    fn add(&mut self, size: usize, direction: String, kind: &str) {
        self.sizes.push(size.to_string());
        self.directions.push(direction);
        self.kinds.push(kind.to_owned());
        self.spacings.push(NONE.to_owned());
        self.units.push("\"\"".to_owned());
    }
}

/// A vector of RAS+ in LPS.
fn vector([right, anterior, superior]: [f64; 3]) -> String {
    // Adding 0 turns a negative zero into zero.
    format!("({},{},{})", 0.0 - right, 0.0 - anterior, superior + 0.0)
}

fn unit_name(unit: SeriesUnit) -> &'static str {
    match unit {
        SeriesUnit::Unknown => "",
        SeriesUnit::Second => "s",
        SeriesUnit::Millisecond => "ms",
        SeriesUnit::Microsecond => "us",
        SeriesUnit::Hertz => "Hz",
        SeriesUnit::PartsPerMillion => "ppm",
        SeriesUnit::RadiansPerSecond => "rad/s",
    }
}

fn add_pairs(text: &mut String, pairs: &[(String, String)]) -> Result<()> {
    for (index, (key, value)) in pairs.iter().enumerate() {
        let again = pairs[..index].iter().any(|(other, _)| other == key);
        let is_plain = !key.is_empty() && !key.starts_with('#') && !key.contains([':', '\n', '\r']);
        if again || !is_plain || value.contains('\r') {
            return Err(ImagingError::argument(
                "pair of an NRRD header",
                "a key given once, without colon or line break",
                format!("{key:?}"),
            ));
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}:={}", escaped(key), escaped(value));
    }
    Ok(())
}

//! What a `MetaImage` says of itself.

use super::lines::{Entry, Lines};
use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::sidecar::{Numbering, numbered_names};
use crate::volume::{MAX_AXES, SampleType};
use std::io::BufRead;
use std::path::Path;

/// Most channels of a voxel.
const MAX_CHANNELS: usize = 1 << 16;

/// What a `MetaImage` says of itself, beside its values.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetaHeader {
    /// Voxels along each axis, fastest first.
    pub sizes: Vec<usize>,
    /// Values a voxel.
    pub channels: usize,
    /// Type of a stored value.
    pub kind: SampleType,
    /// Distance of neighbours along each axis in mm (the fourth: not said in what).
    pub spacing: Option<Vec<f64>>,
    /// Rows are the directions of the voxel axes in LPS.
    pub matrix: Option<Vec<f64>>,
    /// Where the first voxel's centre lies in LPS, mm.
    pub offset: Option<Vec<f64>>,
    /// Letters of where voxel axes come from, as the file says; see the [module](super).
    pub anatomical_orientation: Option<String>,
    /// Whether data are compressed.
    pub is_compressed: bool,
    /// Every line of the header, in the order of the file.
    pub pairs: Vec<(String, String)>,
    pub(super) slope: Option<f64>,
    pub(super) intercept: Option<f64>,
    pub(super) is_binary: bool,
    pub(super) big_endian: bool,
    pub(super) compressed_bytes: Option<u64>,
    pub(super) header_bytes: i64,
    /// Names of data files; none when data follow the header.
    pub(super) files: Vec<String>,
    /// Axes of which one data file holds values.
    pub(super) file_axes: usize,
}

impl MetaHeader {
    /// Names of the files with its values, beside its own; none when they follow the header.
    pub fn data_files(&self) -> &[String] {
        &self.files
    }

    pub(super) fn read(reader: &mut dyn BufRead, path: &Path) -> Result<Self> {
        let lines = Lines::read(reader, path)?;
        let header = Parser {
            lines: &lines,
            path,
        }
        .header()?;
        Ok(Self {
            pairs: lines.pairs,
            ..header
        })
    }
}

struct Parser<'a> {
    lines: &'a Lines,
    path: &'a Path,
}

impl Parser<'_> {
    fn header(&self) -> Result<MetaHeader> {
        self.check_object()?;
        let axes = self.axes()?;
        let sizes = self.sizes(axes)?;
        let channels = self.channels()?;
        let kind = self.kind()?;
        let all: Vec<usize> = sizes.iter().copied().chain([channels]).collect();
        bounded::array_bytes(&all, kind.bytes(), self.path)?;
        let (files, file_axes) = self.files(&sizes)?;
        let header = MetaHeader {
            sizes,
            channels,
            kind,
            spacing: self.spacing(axes)?,
            matrix: self.numbers(&["TransformMatrix", "Rotation", "Orientation"], axes * axes)?,
            offset: self.numbers(&["Offset", "Position", "Origin"], axes)?,
            anatomical_orientation: self.orientation(),
            is_compressed: self.truth(&["CompressedData"], false)?,
            pairs: Vec::new(),
            slope: self.one("ElementToIntensityFunctionSlope")?,
            intercept: self.one("ElementToIntensityFunctionOffset")?,
            is_binary: self.truth(&["BinaryData"], true)?,
            big_endian: self.truth(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"], false)?,
            compressed_bytes: self.compressed_bytes()?,
            header_bytes: self.header_bytes()?,
            files,
            file_axes,
        };
        self.check_data(&header)?;
        Ok(header)
    }

    fn check_object(&self) -> Result<()> {
        match self.lines.entry("ObjectType") {
            Some(entry) if entry.text != "Image" => Err(entry.wrong("Image", self.path)),
            _ => Ok(()),
        }
    }

    fn axes(&self) -> Result<usize> {
        let entry = self.lines.required("NDims", self.path)?;
        let axes: usize = entry.number("a number of axes", self.path)?;
        if (2..=MAX_AXES).contains(&axes) {
            Ok(axes)
        } else {
            Err(entry.wrong(format!("2 to {MAX_AXES} axes"), self.path))
        }
    }

    fn sizes(&self, axes: usize) -> Result<Vec<usize>> {
        let entry = self.lines.required("DimSize", self.path)?;
        let words = entry.text.split_whitespace();
        let sizes: Option<Vec<usize>> = words
            .map(|word| word.parse().ok().filter(|&size| size > 0))
            .collect();
        sizes
            .filter(|sizes| sizes.len() == axes)
            .ok_or_else(|| entry.wrong(format!("{axes} whole numbers of at least 1"), self.path))
    }

    fn channels(&self) -> Result<usize> {
        let Some(entry) = self.lines.entry("ElementNumberOfChannels") else {
            return Ok(1);
        };
        let channels: usize = entry.number("a number of channels", self.path)?;
        if (1..=MAX_CHANNELS).contains(&channels) {
            Ok(channels)
        } else {
            Err(entry.wrong(format!("1 to {MAX_CHANNELS}"), self.path))
        }
    }

    /// `MET_LONG` has four bytes in `MetaIO`, whatever the platform; arrays are channels.
    fn kind(&self) -> Result<SampleType> {
        let entry = self.lines.required("ElementType", self.path)?;
        let name = entry.text.strip_suffix("_ARRAY").unwrap_or(entry.text);
        Ok(match name {
            "MET_CHAR" | "MET_ASCII_CHAR" => SampleType::Int8,
            "MET_UCHAR" => SampleType::UInt8,
            "MET_SHORT" => SampleType::Int16,
            "MET_USHORT" => SampleType::UInt16,
            "MET_INT" | "MET_LONG" => SampleType::Int32,
            "MET_UINT" | "MET_ULONG" => SampleType::UInt32,
            "MET_LONG_LONG" => SampleType::Int64,
            "MET_ULONG_LONG" => SampleType::UInt64,
            "MET_FLOAT" => SampleType::Float32,
            "MET_DOUBLE" => SampleType::Float64,
            _ => return Err(entry.wrong("an integer or floating-point type", self.path)),
        })
    }

    /// Distances of voxels; where only their sizes are given, voxels touch.
    fn spacing(&self, axes: usize) -> Result<Option<Vec<f64>>> {
        let entry = self.lines.entry("ElementSpacing");
        let Some(entry) = entry.or_else(|| self.lines.entry("ElementSize")) else {
            return Ok(None);
        };
        let mut spacing = entry.numbers(axes, self.path)?;
        if spacing.iter().any(|&side| side <= 0.0) {
            return Err(entry.wrong("numbers above 0", self.path));
        }
        let unit = self.millimetres()?;
        spacing.iter_mut().take(3).for_each(|side| *side *= unit);
        Ok(Some(spacing))
    }

    fn numbers(&self, keys: &[&str], count: usize) -> Result<Option<Vec<f64>>> {
        let Some(entry) = self.lines.any(keys, self.path)? else {
            return Ok(None);
        };
        let mut numbers = entry.numbers(count, self.path)?;
        if keys.contains(&"Offset") {
            let unit = self.millimetres()?;
            numbers.iter_mut().take(3).for_each(|place| *place *= unit);
        }
        Ok(Some(numbers))
    }

    /// How many mm the unit of spacing and offset is.
    fn millimetres(&self) -> Result<f64> {
        let Some(entry) = self.lines.entry("DistanceUnits") else {
            return Ok(1.0);
        };
        match entry.text {
            "mm" | "?" | "" => Ok(1.0),
            "cm" => Ok(10.0),
            "um" => Ok(1e-3),
            _ => Err(entry.wrong("mm, cm or um", self.path)),
        }
    }

    fn orientation(&self) -> Option<String> {
        let letters = self.lines.get("AnatomicalOrientation")?;
        (!letters.starts_with('?')).then(|| letters.to_owned())
    }

    fn one(&self, key: &str) -> Result<Option<f64>> {
        let entry = self.lines.entry(key);
        entry
            .map(|entry| Ok(entry.numbers(1, self.path)?[0]))
            .transpose()
    }

    fn truth(&self, keys: &[&str], default: bool) -> Result<bool> {
        let entry = self.lines.any(keys, self.path)?;
        entry.map_or(Ok(default), |entry| entry.truth(self.path))
    }

    fn compressed_bytes(&self) -> Result<Option<u64>> {
        let entry = self.lines.entry("CompressedDataSize");
        entry
            .map(|entry| entry.number("a number of bytes", self.path))
            .transpose()
    }

    fn header_bytes(&self) -> Result<i64> {
        let Some(entry) = self.lines.entry("HeaderSize") else {
            return Ok(0);
        };
        let bytes: i64 = entry.number("a number of bytes or -1", self.path)?;
        if bytes < -1 {
            return Err(entry.wrong("a number of bytes or -1", self.path));
        }
        Ok(bytes)
    }

    /// The names of data files, and of how many axes each holds values.
    fn files(&self, sizes: &[usize]) -> Result<(Vec<String>, usize)> {
        let entry = self.lines.required("ElementDataFile", self.path)?;
        let words: Vec<&str> = entry.text.split_whitespace().collect();
        let slices = sizes.len() - 1;
        match words.as_slice() {
            [] => Err(entry.wrong("LOCAL or a file name", self.path)),
            ["LOCAL" | "Local" | "local"] => Ok((Vec::new(), sizes.len())),
            ["LIST"] => Ok((self.listed(entry)?, slices)),
            ["LIST", axes] => {
                let axes = axes.trim_end_matches(['D', 'd']).parse().ok();
                let axes = axes.filter(|axes| (1..=sizes.len()).contains(axes));
                let expected = format!("1 to {} axes of a data file", sizes.len());
                let axes = axes.ok_or_else(|| entry.wrong(expected, self.path))?;
                Ok((self.listed(entry)?, axes))
            }
            [pattern, numbers @ ..] if pattern.contains('%') => {
                let numbering = self.numbering(entry, numbers, sizes[slices])?;
                Ok((numbered_names(pattern, numbering, self.path)?, slices))
            }
            _ => Ok((vec![entry.text.to_owned()], sizes.len())),
        }
    }

    fn listed(&self, entry: Entry<'_>) -> Result<Vec<String>> {
        if self.lines.listed.is_empty() {
            return Err(entry.wrong("names of data files below LIST", self.path));
        }
        Ok(self.lines.listed.clone())
    }

    /// First and last number and step; without them 1 to the number of slices.
    fn numbering(&self, entry: Entry<'_>, words: &[&str], slices: usize) -> Result<Numbering> {
        let numbers: Option<Vec<i64>> = words.iter().map(|word| word.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[]) => Ok(Numbering {
                first: 1,
                last: i64::try_from(slices).unwrap_or(i64::MAX),
                step: 1,
            }),
            Some(&[first, last, step]) => Ok(Numbering { first, last, step }),
            _ => Err(entry.wrong("a pattern, perhaps with first, last and step", self.path)),
        }
    }

    /// What cannot go together.
    fn check_data(&self, header: &MetaHeader) -> Result<()> {
        let wrong =
            |expected: &str, found: &str| Err(ImagingError::content(self.path, expected, found));
        if header.is_compressed && !header.is_binary {
            return wrong("compressed data to be binary", "`BinaryData = False`");
        }
        if header.is_compressed && header.header_bytes < 0 {
            return wrong("a HeaderSize of 0 or more with compressed data", "-1");
        }
        if header.files.is_empty() && header.header_bytes > 0 {
            return wrong("no HeaderSize with LOCAL data", "one");
        }
        Ok(())
    }
}

//! What an NRRD file says of itself.

use super::fields::{Field, sample_type};
use super::lines::{Lines, is_list};
use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::sidecar::{Numbering, numbered_names};
use crate::volume::SampleType;
use std::io::BufRead;
use std::path::Path;

/// Most axes of the format (`NRRD_DIM_MAX`).
const MAX_DIMENSION: usize = 16;

/// How values stand in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NrrdEncoding {
    /// The bytes themselves.
    Raw,
    /// Numbers in text.
    Text,
    /// Two hexadecimal digits a byte.
    Hex,
    /// The bytes, compressed with gzip.
    Gzip,
}

/// The directions of a space's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NrrdSpace {
    /// Right, anterior, superior.
    Ras,
    /// Left, anterior, superior.
    Las,
    /// Left, posterior, superior.
    Lps,
    /// Axes of the scanner, before DICOM.
    ScannerXyz,
    /// Any right-handed axes.
    RightHanded,
    /// Any left-handed axes.
    LeftHanded,
    /// As many axes as `space dimension` says, none named.
    Unnamed(usize),
}

/// An axis of the array.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct NrrdAxis {
    /// Values along it.
    pub size: usize,
    /// What it counts, such as `domain`, `vector`, `list`.
    pub kind: Option<String>,
    /// Its name.
    pub label: Option<String>,
    /// The unit of `spacing`.
    pub unit: Option<String>,
    /// Distance of neighbours where there is no direction.
    pub spacing: Option<f64>,
    /// How far along the axis a value reaches.
    pub thickness: Option<f64>,
    /// Step from one value to the next in the space, in its units.
    pub direction: Option<Vec<f64>>,
}

/// What an NRRD file says of itself, beside its values.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NrrdHeader {
    /// 1 to 5.
    pub version: u8,
    /// Type of a stored value (the parts, of complex ones).
    pub kind: SampleType,
    /// The axes, fastest first.
    pub axes: Vec<NrrdAxis>,
    /// How values stand in the data.
    pub encoding: NrrdEncoding,
    /// The space that `direction` and `origin` are in.
    pub space: Option<NrrdSpace>,
    /// Whether the space has time as its fourth axis.
    pub has_time: bool,
    /// The unit of each of the space's axes.
    pub space_units: Vec<String>,
    /// Where the first value's centre lies in the space.
    pub origin: Option<Vec<f64>>,
    /// Columns of the matrix from the frame of vector values to the space.
    pub measurement_frame: Vec<Vec<f64>>,
    /// What the image shows, as its author says.
    pub content: Option<String>,
    /// Lines `key:=value`, in the order of the file.
    pub pairs: Vec<(String, String)>,
    pub(super) big_endian: bool,
    pub(super) line_skip: usize,
    pub(super) byte_skip: i64,
    /// Names of data files; none when data are attached.
    pub(super) files: Vec<String>,
    /// Axes of which one data file holds values.
    pub(super) file_axes: usize,
}

impl NrrdHeader {
    /// Names of the files with its values, beside its own; none when they follow the header.
    pub fn data_files(&self) -> &[String] {
        &self.files
    }

    pub(super) fn read(reader: &mut dyn BufRead, path: &Path) -> Result<Self> {
        let lines = Lines::read(reader, path)?;
        Parser { lines, path }.header()
    }

    /// Length of each axis, fastest first.
    pub fn sizes(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.size).collect()
    }
}

struct Parser<'a> {
    lines: Lines,
    path: &'a Path,
}

impl Parser<'_> {
    fn header(mut self) -> Result<NrrdHeader> {
        let kind = self.kind()?;
        let encoding = self.encoding()?;
        let (space, has_time) = self.space()?;
        let space_axes = space.map_or(0, |space| space.axes() + usize::from(has_time));
        let axes = self.axes(space_axes)?;
        let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
        bounded::array_bytes(&sizes, kind.bytes(), self.path)?;
        let (files, file_axes) = self.files(axes.len())?;
        Ok(NrrdHeader {
            version: self.lines.version,
            kind,
            encoding,
            space,
            has_time,
            space_units: self.space_units(space_axes)?,
            origin: self.vectors("spaceorigin", 1, space_axes)?.pop().flatten(),
            measurement_frame: self
                .vectors("measurementframe", space_axes, space_axes)?
                .into_iter()
                .flatten()
                .collect(),
            content: self.lines.field("content").map(str::to_owned),
            big_endian: self.big_endian(kind, encoding)?,
            line_skip: self.number("lineskip", "a number of lines")?.unwrap_or(0),
            byte_skip: self.byte_skip(encoding)?,
            files,
            file_axes,
            axes,
            pairs: std::mem::take(&mut self.lines.pairs),
        })
    }

    fn field<'a>(&'a self, name: &'a str) -> Option<Field<'a>> {
        let text = self.lines.field(name)?;
        Some(Field {
            name,
            text,
            path: self.path,
        })
    }

    fn required<'a>(&'a self, name: &'a str) -> Result<Field<'a>> {
        let text = self.lines.required(name, self.path)?;
        Ok(Field {
            name,
            text,
            path: self.path,
        })
    }

    fn number<T: std::str::FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>> {
        self.field(name)
            .map(|field| field.number(expected))
            .transpose()
    }

    fn vectors(&self, name: &str, count: usize, length: usize) -> Result<Vec<Option<Vec<f64>>>> {
        match self.field(name) {
            None => Ok(Vec::new()),
            Some(field) if length == 0 => {
                let expected = "a `space` or `space dimension`";
                let found = format!("only `{}`", field.name);
                Err(ImagingError::content(self.path, expected, found))
            }
            Some(field) => field.vectors(count, length),
        }
    }

    fn kind(&self) -> Result<SampleType> {
        let field = self.required("type")?;
        sample_type(field.text).ok_or_else(|| field.wrong("an integer or floating-point type"))
    }

    fn encoding(&self) -> Result<NrrdEncoding> {
        let field = self.required("encoding")?;
        Ok(match field.text.to_ascii_lowercase().as_str() {
            "raw" => NrrdEncoding::Raw,
            "txt" | "text" | "ascii" => NrrdEncoding::Text,
            "hex" => NrrdEncoding::Hex,
            "gz" | "gzip" => NrrdEncoding::Gzip,
            // No bzip2 decoder is part of this crate.
            _ => return Err(field.wrong("raw, text, hex or gzip (bzip2 is not read)")),
        })
    }

    fn big_endian(&self, kind: SampleType, encoding: NrrdEncoding) -> Result<bool> {
        let matters = kind.bytes() > 1 && encoding != NrrdEncoding::Text;
        let field = match self.field("endian") {
            None if !matters => return Ok(false),
            None => self.required("endian")?,
            Some(field) => field,
        };
        match field.text.to_ascii_lowercase().as_str() {
            "little" => Ok(false),
            "big" => Ok(true),
            _ => Err(field.wrong("little or big")),
        }
    }

    /// A number of bytes, or -1: the data are the last bytes of the file.
    fn byte_skip(&self, encoding: NrrdEncoding) -> Result<i64> {
        let Some(field) = self.field("byteskip") else {
            return Ok(0);
        };
        let bytes: i64 = field.number("a number of bytes or -1")?;
        if bytes < -1 || (bytes == -1 && encoding != NrrdEncoding::Raw) {
            return Err(field.wrong("a number of bytes, or -1 for raw data"));
        }
        Ok(bytes)
    }

    fn space(&self) -> Result<(Option<NrrdSpace>, bool)> {
        match (self.field("space"), self.field("spacedimension")) {
            (None, None) => Ok((None, false)),
            (Some(field), None) => {
                let name = field.text.to_ascii_lowercase();
                let (name, has_time) = match name.strip_suffix("-time") {
                    Some(name) => (name.to_owned(), true),
                    None => (name, false),
                };
                let space = NrrdSpace::parse(&name, has_time);
                let (space, time) = space.ok_or_else(|| field.wrong("a space of the format"))?;
                Ok((Some(space), time))
            }
            (None, Some(field)) => {
                let axes: usize = field.number("a number of axes")?;
                if !(1..=MAX_DIMENSION).contains(&axes) {
                    return Err(field.wrong(format!("1 to {MAX_DIMENSION} axes")));
                }
                Ok((Some(NrrdSpace::Unnamed(axes)), false))
            }
            (Some(_), Some(field)) => Err(field.wrong("no number beside a `space`")),
        }
    }

    fn space_units(&self, space_axes: usize) -> Result<Vec<String>> {
        self.field("spaceunits")
            .map_or(Ok(Vec::new()), |field| field.quoted(space_axes))
    }

    fn axes(&self, space_axes: usize) -> Result<Vec<NrrdAxis>> {
        let field = self.required("dimension")?;
        let dimension: usize = field.number("a number of axes")?;
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(field.wrong(format!("1 to {MAX_DIMENSION} axes")));
        }
        let field = self.required("sizes")?;
        let mut axes = Vec::with_capacity(dimension);
        for word in field.words(dimension)? {
            let size: usize = word.parse().unwrap_or(0);
            if size == 0 {
                return Err(field.wrong("whole numbers of at least 1"));
            }
            axes.push(NrrdAxis {
                size,
                ..NrrdAxis::default()
            });
        }
        self.describe(&mut axes)?;
        let directions = self.vectors("spacedirections", dimension, space_axes)?;
        for (axis, direction) in axes.iter_mut().zip(directions) {
            axis.direction = direction;
        }
        self.check_steps(&axes)?;
        Ok(axes)
    }

    /// Kinds, names, units and spacings, where there are any.
    fn describe(&self, axes: &mut [NrrdAxis]) -> Result<()> {
        let count = axes.len();
        if let Some(field) = self.field("kinds") {
            for (axis, word) in axes.iter_mut().zip(field.words(count)?) {
                let is_unknown = word == "???" || word.eq_ignore_ascii_case("none");
                axis.kind = (!is_unknown).then(|| word.to_ascii_lowercase());
            }
        }
        if let Some(field) = self.field("labels") {
            for (axis, text) in axes.iter_mut().zip(field.quoted(count)?) {
                axis.label = Some(text).filter(|text| !text.is_empty());
            }
        }
        if let Some(field) = self.field("units") {
            for (axis, text) in axes.iter_mut().zip(field.quoted(count)?) {
                axis.unit = Some(text).filter(|text| !text.is_empty());
            }
        }
        if let Some(field) = self.field("spacings") {
            for (axis, spacing) in axes.iter_mut().zip(field.numbers(count)?) {
                axis.spacing = spacing;
            }
        }
        if let Some(field) = self.field("thicknesses") {
            for (axis, thickness) in axes.iter_mut().zip(field.numbers(count)?) {
                axis.thickness = thickness;
            }
        }
        Ok(())
    }

    /// An axis steps by a direction or by a spacing, not by both.
    fn check_steps(&self, axes: &[NrrdAxis]) -> Result<()> {
        let both = |axis: &NrrdAxis| axis.direction.is_some() && axis.spacing.is_some();
        match axes.iter().position(both) {
            None => Ok(()),
            Some(axis) => Err(ImagingError::content(
                self.path,
                "a direction or a spacing of each axis",
                format!("both of axis {axis}"),
            )),
        }
    }

    /// The names of data files, and of how many axes each holds values.
    fn files(&self, dimension: usize) -> Result<(Vec<String>, usize)> {
        let Some(field) = self.field("datafile") else {
            return Ok((Vec::new(), dimension));
        };
        let words: Vec<&str> = field.text.split_whitespace().collect();
        let slices = dimension.max(2) - 1;
        let axes_of = |word: Option<&&str>| match word.map(|word| word.parse::<usize>()) {
            None => Ok(slices),
            Some(Ok(axes)) if (1..=dimension).contains(&axes) => Ok(axes),
            Some(_) => Err(field.wrong(format!("1 to {dimension} axes of a data file"))),
        };
        if is_list(field.text) {
            if words.len() > 2 || self.lines.listed.is_empty() {
                return Err(field.wrong("LIST, perhaps a number of axes, and names below"));
            }
            return Ok((self.lines.listed.clone(), axes_of(words.get(1))?));
        }
        let [pattern, numbers @ ..] = words.as_slice() else {
            return Err(field.wrong("a file name"));
        };
        let parsed: Option<Vec<i64>> = numbers.iter().map(|word| word.parse().ok()).collect();
        match parsed.as_deref() {
            Some(&[first, last, step, ..]) if numbers.len() <= 4 && pattern.contains('%') => {
                let numbering = Numbering { first, last, step };
                let names = numbered_names(pattern, numbering, self.path)?;
                Ok((names, axes_of(numbers.get(3))?))
            }
            _ => Ok((vec![field.text.to_owned()], dimension)),
        }
    }
}

impl NrrdSpace {
    /// A space by its name without `-time`; short names end in T instead.
    fn parse(name: &str, has_time: bool) -> Option<(Self, bool)> {
        let short = |space| (!has_time).then_some(space);
        Some(match name {
            "right-anterior-superior" => (Self::Ras, has_time),
            "left-anterior-superior" => (Self::Las, has_time),
            "left-posterior-superior" => (Self::Lps, has_time),
            "scanner-xyz" => (Self::ScannerXyz, has_time),
            "3d-right-handed" => (Self::RightHanded, has_time),
            "3d-left-handed" => (Self::LeftHanded, has_time),
            "ras" => (short(Self::Ras)?, false),
            "las" => (short(Self::Las)?, false),
            "lps" => (short(Self::Lps)?, false),
            "rast" => (short(Self::Ras)?, true),
            "last" => (short(Self::Las)?, true),
            "lpst" => (short(Self::Lps)?, true),
            _ => return None,
        })
    }

    /// Axes of space, time not counted.
    fn axes(self) -> usize {
        match self {
            Self::Unnamed(axes) => axes,
            _ => 3,
        }
    }
}

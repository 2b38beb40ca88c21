//! Images into files.

use super::check::INTENT_VECTOR;
use super::datatype::Datatype;
use super::extension::Extension;
use super::fields::{self, DESCRIP_BYTES};
use super::geometry;
use super::header::{Header, Version};
use super::names::{Ending, Names};
use super::options::WriteOptions;
use super::values::Stored;
use crate::Result;
use crate::error::ImagingError;
use crate::gzip::GzipWriter;
use crate::volume::{SampleType, Scaling, SeriesUnit, Volume};
use crate::write::{replace_file_lasting, replace_two};
use flate2::Compression;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Data of a single file start at a multiple of this, as SPM wants it.
const ALIGNMENT: usize = 16;

/// Of the units of space, in `xyzt_units`.
const MILLIMETRES: i32 = 2;

/// Largest side in version 1.
const MAX_SIDE_ONE: usize = i16::MAX as usize;

/// Whole numbers up to this are exact in the single precision of version 1's `vox_offset`.
const MAX_OFFSET_ONE: usize = 1 << 24;

/// Writes an image as `.nii`, `.nii.gz`, `.hdr` with `.img`, or both with `.gz`, as the name says.
///
/// The new files replace old ones of their names when all is written and flushed to disk (unless
/// [`WriteOptions::durable`] is off), each in one step; a failure leaves the old ones. `sform` is the affine, and so is `qform` where the
/// voxel axes are perpendicular (else its code is 0). Three or four components of unsigned bytes
/// are stored as colours, other components along the fifth axis with the intent of a vector.
/// Version 1 stores affine, scaling and step in single precision.
///
/// # Arguments
/// * `path`: the file, or either of a pair.
///
/// # Errors
/// [`ImagingError::Argument`] when the name ends in none of these, the version cannot hold the
/// image, vectors have more than four other axes, an option is out of range, or numbers do not fit
/// the type asked for (NaN into integers, say); [`ImagingError::Io`] when writing fails.
pub fn write(path: &Path, volume: &Volume, options: &WriteOptions) -> Result<()> {
    let ending = Ending::of(path).ok_or_else(|| {
        ImagingError::argument(
            "name of an image to write",
            "one that ends in .nii, .hdr or .img, with or without .gz",
            path.display().to_string(),
        )
    })?;
    let level = level(options)?;
    let file = Image::new(volume, options, ending.pair)?;
    let wrapped = |out: &mut BufWriter<File>, part: &Part| -> io::Result<()> {
        if !ending.gzip {
            return file.put(part, out);
        }
        let mut writer = GzipWriter::new(out, level)?;
        file.put(part, &mut writer)?;
        writer.finish()
    };
    if ending.pair {
        let names = Names::of(path);
        replace_two(
            options.durable,
            (&names.data, |out| wrapped(out, &Part::Data)),
            (&names.header, |out| wrapped(out, &Part::Header)),
        )
    } else {
        replace_file_lasting(path, options.durable, |out| wrapped(out, &Part::Both))
    }
}

fn level(options: &WriteOptions) -> Result<Compression> {
    if options.level > 9 {
        return Err(ImagingError::argument(
            "level of compression",
            "0 to 9",
            options.level.to_string(),
        ));
    }
    Ok(Compression::new(options.level))
}

/// What a file holds.
enum Part {
    Both,
    Header,
    Data,
}

/// An image ready to be written.
struct Image<'a> {
    header: Header,
    /// Header, mark of extensions and extensions, up to the data.
    front: Vec<u8>,
    stored: Stored<'a>,
    /// Whether components lie along an axis of their own.
    planes: bool,
}

impl<'a> Image<'a> {
    fn new(volume: &'a Volume, options: &WriteOptions, pair: bool) -> Result<Self> {
        let kept_bytes =
            volume.sample_type() == SampleType::UInt8 && volume.scaling() == Scaling::NONE;
        let colours = matches!(volume.components(), 3 | 4) && kept_bytes;
        let sides = sides(volume, colours)?;
        let version = version(&sides, options)?;
        let stored = Stored::new(volume, options.encoding, version)?;
        // Bytes that are to become another type are vectors.
        let colours =
            colours && stored.kind == SampleType::UInt8 && stored.scaling == Scaling::NONE;
        let planes = volume.components() > 1 && !colours;
        let sides = if planes {
            self::sides(volume, false)?
        } else {
            sides
        };
        let mut header = Header::empty(version, options.endianness);
        set_shape(&mut header, &sides);
        set_type(
            &mut header,
            &stored,
            if planes { 1 } else { volume.components() },
        )?;
        set_place(&mut header, volume, options)?;
        if planes {
            header.intent_code = INTENT_VECTOR;
            if sides[3] == 1 {
                // The fourth axis only makes room for the fifth, and is no series.
                header.pixdim[4] = 1.0;
                header.xyzt_units = MILLIMETRES;
            }
        }
        header.descrip = descrip(options)?;
        set_file(&mut header, options, pair)?;
        let front = front(&header, options, pair);
        Ok(Self {
            header,
            front,
            stored,
            planes,
        })
    }

    fn put(&self, part: &Part, out: &mut dyn Write) -> io::Result<()> {
        if !matches!(part, Part::Data) {
            out.write_all(&self.front)?;
        }
        if !matches!(part, Part::Header) {
            self.stored
                .write(self.header.endianness, self.planes, out)?;
        }
        Ok(())
    }
}

/// Voxels along each axis of the file.
fn sides(volume: &Volume, colours: bool) -> Result<Vec<usize>> {
    let mut sides = volume.shape().to_vec();
    if volume.components() == 1 || colours {
        return Ok(sides);
    }
    if sides.len() > 4 {
        return Err(ImagingError::argument(
            "image of vectors to write as NIfTI",
            "at most 4 axes, the fifth being that of components",
            format!("shape {sides:?}"),
        ));
    }
    sides.resize(4, 1);
    sides.push(volume.components());
    Ok(sides)
}

fn version(sides: &[usize], options: &WriteOptions) -> Result<Version> {
    let fits = sides.iter().all(|&side| side <= MAX_SIDE_ONE);
    let extensions: usize = options.extensions.iter().map(Extension::stored_bytes).sum();
    let fits_offset = extensions < MAX_OFFSET_ONE - 1024;
    match options.version {
        Some(Version::Two) => Ok(Version::Two),
        None if !fits || !fits_offset => Ok(Version::Two),
        Some(Version::One) if !fits => Err(ImagingError::argument(
            "shape to write as NIfTI-1",
            format!("at most {MAX_SIDE_ONE} voxels along each axis (NIfTI-2 has no such limit)"),
            format!("{sides:?}"),
        )),
        Some(Version::One) if !fits_offset => Err(ImagingError::argument(
            "header extensions to write as NIfTI-1",
            format!("less than {MAX_OFFSET_ONE} bytes (NIfTI-2 has no such limit)"),
            extensions.to_string(),
        )),
        Some(Version::One) | None => Ok(Version::One),
    }
}

fn set_shape(header: &mut Header, sides: &[usize]) {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    header.dim[0] = count(sides.len());
    for (dim, &side) in header.dim[1..].iter_mut().zip(sides) {
        *dim = count(side);
    }
}

fn set_type(header: &mut Header, stored: &Stored<'_>, components: usize) -> Result<()> {
    let datatype = Datatype {
        kind: stored.kind,
        components,
    };
    header.datatype = datatype.code().ok_or_else(|| {
        ImagingError::argument("type to store in", "one that NIfTI has", stored.kind.name())
    })?;
    header.bitpix = datatype.bits();
    header.scl_slope = stored.scaling.slope;
    header.scl_inter = stored.scaling.intercept;
    Ok(())
}

fn set_place(header: &mut Header, volume: &Volume, options: &WriteOptions) -> Result<()> {
    let affine = volume.affine();
    header.pixdim[1..4].copy_from_slice(&affine.spacing());
    header.srow = affine.rows();
    header.sform_code = options.space.code();
    header.qoffset = affine.origin();
    if let Some((quatern, qfac)) = geometry::quaternion(affine) {
        header.quatern = quatern;
        header.pixdim[0] = qfac;
        header.qform_code = options.space.code();
    }
    header.xyzt_units = MILLIMETRES;
    if volume.shape().len() > 3 {
        let series = volume.series();
        header.pixdim[4] = series.step;
        header.xyzt_units |= match series.unit {
            SeriesUnit::Unknown => 0,
            SeriesUnit::Second => 8,
            SeriesUnit::Millisecond => 16,
            SeriesUnit::Microsecond => 24,
            SeriesUnit::Hertz => 32,
            SeriesUnit::PartsPerMillion => 40,
            SeriesUnit::RadiansPerSecond => 48,
        };
    }
    let placed = header.srow.as_flattened().iter().chain(&header.pixdim);
    let fits = |value: &f64| header.version == Version::Two || (*value as f32).is_finite();
    if placed.clone().all(fits) {
        return Ok(());
    }
    Err(ImagingError::argument(
        "affine and step to write as NIfTI-1",
        "numbers of single precision (NIfTI-2 has double)",
        format!("{:?}, {:?}", affine.rows(), volume.series()),
    ))
}

fn descrip(options: &WriteOptions) -> Result<String> {
    if options.descrip.len() < DESCRIP_BYTES && !options.descrip.contains('\0') {
        return Ok(options.descrip.clone());
    }
    Err(ImagingError::argument(
        "descrip",
        format!("at most {} bytes, none of them zero", DESCRIP_BYTES - 1),
        format!("{:?}", options.descrip),
    ))
}

fn set_file(header: &mut Header, options: &WriteOptions, pair: bool) -> Result<()> {
    let number = header.version.number();
    header.magic = format!("n{}{number}", if pair { 'i' } else { '+' });
    let too_long = |extension: &&Extension| i32::try_from(extension.stored_bytes()).is_err();
    if let Some(long) = options.extensions.iter().find(too_long) {
        return Err(ImagingError::argument(
            "header extension",
            "less than 2 GiB",
            format!("{} bytes", long.content.len()),
        ));
    }
    if !pair {
        let extensions: usize = options.extensions.iter().map(Extension::stored_bytes).sum();
        let end = header.version.header_bytes() + 4 + extensions;
        header.vox_offset = end.next_multiple_of(ALIGNMENT) as f64;
    }
    Ok(())
}

/// Everything before the data; of a pair, the whole header file.
fn front(header: &Header, options: &WriteOptions, pair: bool) -> Vec<u8> {
    let mut bytes = fields::bytes(header);
    let mark = u8::from(!options.extensions.is_empty());
    bytes.extend([mark, 0, 0, 0]);
    for extension in &options.extensions {
        extension.put(header.endianness, &mut bytes);
    }
    if !pair {
        bytes.resize(header.vox_offset as usize, 0);
    }
    bytes
}

//! Files of our own writers, and arrays that take a few bytes by hand.

use std::fs;
use std::path::Path;

use ctl_imaging::Raster;
use ctl_imaging::bart::{BartArray, write_bart};
use ctl_imaging::kspace::Complex;
use ctl_imaging::metaimage::{MetaOptions, write_metaimage};
use ctl_imaging::nifti::{self, Encoding, Endianness, Extension, Version, WriteOptions};
use ctl_imaging::npy::write_npy;
use ctl_imaging::npz::write_npz;
use ctl_imaging::nrrd::{NrrdOptions, write_nrrd};
use ctl_imaging::volume::{Affine, SampleType, Samples, Volume};

use super::{Failure, Files};

pub(crate) fn all() -> Result<Vec<(&'static str, Files)>, Failure> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    Ok(vec![
        ("nifti", nifti_files(folder)?),
        ("nrrd", nrrd_files(folder)?),
        ("metaimage", metaimage_files(folder)?),
        ("npy", npy_files(folder)?),
        ("npy_volume", npy_files(folder)?),
        ("npz", npz_files(folder)?),
        ("bart", bart_files(folder)?),
        ("raster", pictures()?),
        ("idx", idx_files()),
    ])
}

/// A ramp with a bright box in it, leaning a little.
fn volume(shape: &[usize], components: usize, kind: SampleType) -> Result<Volume, Failure> {
    let affine = Affine::new([
        [-0.9, 0.1, 0.0, 90.0],
        [0.0, 1.1, -0.2, -126.0],
        [0.1, 0.0, 2.5, -72.0],
    ])?;
    let count = shape.iter().product::<usize>() * components;
    let number = |index: usize| (index % 50 + if index % 7 < 2 { 40 } else { 0 }) as f64;
    let samples = Samples::from_f64((0..count).map(number), kind)?;
    Ok(Volume::with_components(shape, components, samples, affine)?)
}

/// What a writer puts into a file of that name.
fn content(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&Path) -> ctl_imaging::Result<()>,
) -> Result<(String, Vec<u8>), Failure> {
    let path = folder.join(name);
    write(&path)?;
    Ok((format!("ours-{name}"), fs::read(path)?))
}

fn nifti_files(folder: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    for (index, kind) in SampleType::ALL.into_iter().enumerate() {
        if kind == SampleType::Float16 {
            continue;
        }
        let shape = [&[3, 2, 2][..], &[3, 2, 2, 2], &[2, 2, 2, 1, 1, 2]][index % 3];
        let options = WriteOptions {
            version: Some([Version::One, Version::Two][index % 2]),
            endianness: [Endianness::Little, Endianness::Big][index / 2 % 2],
            descrip: "simulated".to_owned(),
            ..WriteOptions::default()
        };
        let image = volume(shape, 1, kind)?;
        let suffix = if index % 4 == 3 { ".gz" } else { "" };
        let name = format!("{kind}.nii{suffix}");
        files.push(content(folder, &name, |path| {
            nifti::write(path, &image, &options)
        })?);
    }
    let colours = volume(&[2, 3, 2], 3, SampleType::UInt8)?;
    let vectors = volume(&[2, 3, 2], 2, SampleType::Float32)?;
    let scaled = volume(&[4, 3, 2], 1, SampleType::Float64)?;
    let plain = WriteOptions::default();
    let packed = WriteOptions {
        encoding: Encoding::Automatic(SampleType::Int16),
        extensions: vec![Extension {
            code: 6,
            content: b"simulated".to_vec(),
        }],
        ..WriteOptions::default()
    };
    for (name, image, options) in [
        ("colours.nii", &colours, &plain),
        ("vectors.nii.gz", &vectors, &plain),
        ("scaled.nii", &scaled, &packed),
        ("scaled.nii.gz", &scaled, &packed),
    ] {
        files.push(content(folder, name, |path| {
            nifti::write(path, image, options)
        })?);
    }
    Ok(files)
}

fn nrrd_files(folder: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    for (compress, components) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
        let image = volume(&[3, 2, 2, 2], components, SampleType::Int16)?;
        let options = NrrdOptions {
            compress,
            pairs: vec![("modality".to_owned(), "simulated".to_owned())],
        };
        let name = format!("{components}-{compress}.nrrd");
        files.push(content(folder, &name, |path| {
            write_nrrd(&image, path, &options)
        })?);
    }
    let text = "NRRD0005\ntype: float\ndimension: 3\nspace: RAS\nsizes: 2 2 1\nencoding: ascii\n\
                space directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)\n\n1 2.5\n-3 nan\n";
    files.push(("hand-ascii.nrrd".to_owned(), text.into()));
    let hex = "NRRD0001\n# comment\ntype: unsigned short\ndimension: 2\nsizes: 2 2\nendian: big\n\
               encoding: hex\nspacings: 0.5 2\naxis mins: 1 nan\n\n0001 00020003 fffe\n";
    files.push(("hand-hex.nrrd".to_owned(), hex.into()));
    Ok(files)
}

fn metaimage_files(folder: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    for (compress, components) in [(false, 1), (true, 1), (true, 3)] {
        let image = volume(&[3, 2, 2], components, SampleType::UInt16)?;
        let name = format!("{components}-{compress}.mha");
        let write = |path: &Path| write_metaimage(&image, path, MetaOptions { compress });
        files.push(content(folder, &name, write)?);
    }
    let text = "ObjectType = Image\nNDims = 3\nBinaryData = False\nDimSize = 2 1 2\n\
                ElementType = MET_DOUBLE\nElementSpacing = 1 2 3\nElementDataFile = LOCAL\n\
                1.5 -2\n3e4 nan\n";
    files.push(("hand-text.mha".to_owned(), text.into()));
    Ok(files)
}

fn npy_files(folder: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    for kind in SampleType::ALL {
        let image = volume(&[3, 2, 2], 2, kind)?;
        let name = format!("{kind}.npy");
        files.push(content(folder, &name, |path| write_npy(&image, path))?);
    }
    Ok(files)
}

fn npz_files(folder: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    for compress in [false, true] {
        let images = volume(&[4, 4, 2], 1, SampleType::Float32)?;
        let labels = volume(&[2, 1, 1], 1, SampleType::UInt8)?;
        let arrays = [("labels", (&labels).into()), ("images", (&images).into())];
        let name = format!("{compress}.npz");
        files.push(content(folder, &name, |path| {
            write_npz(&arrays, path, compress)
        })?);
    }
    Ok(files)
}

/// Archives of MedMNIST, behind the byte that says so.
pub(crate) fn archives() -> Result<Files, Failure> {
    const LAYOUT: u8 = 6;
    let folder = tempfile::tempdir()?;
    let images = volume(&[4, 4, 2], 1, SampleType::UInt8)?;
    let numbers = volume(&[2, 1, 1], 1, SampleType::UInt8)?;
    let mut files = Files::new();
    for compress in [false, true] {
        let arrays = [
            ("train_images", (&images).into()),
            ("train_labels", (&numbers).into()),
            ("train_age", (&numbers).into()),
        ];
        let name = format!("medmnist-{compress}");
        let (name, bytes) = content(folder.path(), &name, |path| {
            write_npz(&arrays, path, compress)
        })?;
        files.push((name, [&[LAYOUT], &bytes[..]].concat()));
    }
    Ok(files)
}

fn bart_files(folder: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    for dimensions in [&[2, 3][..], &[2, 1, 1, 4]] {
        let count = dimensions.iter().product::<usize>();
        let values = (0..count).map(|index| Complex::new(index as f32, -0.5));
        let array = BartArray::new(dimensions, values.collect())?;
        let path = folder.join(format!("bart{count}"));
        write_bart(&array, &path)?;
        let header = fs::read(path.with_extension("hdr"))?;
        let data = fs::read(path.with_extension("cfl"))?;
        files.push((format!("ours-{count}"), [&header[..], &[0], &data].concat()));
    }
    Ok(files)
}

fn pictures() -> Result<Files, Failure> {
    let mut files = Files::new();
    for channels in [1, 3] {
        let samples = (0..channels * 35).map(|index| (index % 11) as f32 / 10.0);
        let picture = Raster::new(channels, 5, 7, samples.collect())?;
        files.push((format!("ours-{channels}.png"), picture.to_png()?));
    }
    for (number, (name, stream)) in super::golden::streams("jpeg.json")?.into_iter().enumerate() {
        files.push((format!("{name}-{number}.jpg"), stream));
    }
    Ok(files)
}

fn idx_files() -> Files {
    let cube = [
        &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2][..],
        &[7; 8],
    ]
    .concat();
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3];
    vec![("hand-cube".into(), cube), ("hand-labels".into(), labels)]
}

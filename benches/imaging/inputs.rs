//! Simulated images, the same in every run.

use std::fs;
use std::path::Path;

use ctl_imaging::nifti::{self, WriteOptions};
use ctl_imaging::volume::{Affine, Samples, Volume};

use crate::graph::Failure;

/// Voxels along each axis of the image and the masks.
pub(super) const SHAPE: [usize; 3] = [256; 3];

/// Millimetres between them.
pub(super) const SPACING: [f64; 3] = [0.8, 0.8, 1.25];

pub(super) const IMAGE: &str = "image.nii";
/// Of another name: niftilib, in ITK, reads `image.nii` where `image.nii.gz` is asked for.
pub(super) const PACKED: &str = "packed.nii.gz";
pub(super) const MASKS: [&str; 2] = ["one.nii", "other.nii"];
pub(super) const SERIES: &str = "series";

/// Slices of the DICOM series, and pixels along each side of them.
const SLICES: usize = 200;
const SIDE: usize = 512;

/// Writes `image.nii` and `packed.nii.gz` (a body in air, 16 bits, with noise), `one.nii` and
/// `other.nii` (masks of an organ with a rough surface), and the folder `series` of DICOM slices.
///
/// # Errors
/// When a file cannot be written.
pub fn write_inputs(folder: &Path) -> Result<(), Failure> {
    let affine = Affine::from_spacing(SPACING, [-100.0, -100.0, -160.0])?;
    let values = voxels(SHAPE, |at, index| hounsfield(at) + noise(index));
    let image = Volume::new(&SHAPE, Samples::I16(values), affine)?;
    for name in [IMAGE, PACKED] {
        nifti::write(&folder.join(name), &image, &WriteOptions::default())?;
    }
    for (name, shift) in MASKS.into_iter().zip([0.0, 0.02]) {
        let marks = voxels(SHAPE, |at, _| u8::from(is_organ(at, shift)));
        let mask = Volume::new(&SHAPE, Samples::U8(marks), affine)?;
        nifti::write(&folder.join(name), &mask, &WriteOptions::default())?;
    }
    let series = folder.join(SERIES);
    fs::create_dir_all(&series)?;
    for slice in 0..SLICES {
        fs::write(series.join(format!("{slice:03}.dcm")), dicom(slice))?;
    }
    Ok(())
}

/// A value for every voxel, from its place in `[-1, 1]³` and its number.
fn voxels<T>(shape: [usize; 3], value: impl Fn([f64; 3], usize) -> T) -> Vec<T> {
    let [width, height, _] = shape;
    let at = |index: usize| {
        let place = [
            index % width,
            index / width % height,
            index / width / height,
        ];
        [0, 1, 2].map(|axis: usize| {
            let last = (shape[axis] - 1).max(1);
            2.0 * place[axis] as f64 / last as f64 - 1.0
        })
    };
    (0..shape.iter().product())
        .map(|index| value(at(index), index))
        .collect()
}

/// A body with a spine and two lungs, in HU.
fn hounsfield([x, y, z]: [f64; 3]) -> i16 {
    let within = |[a, b, c]: [f64; 3], [width, depth, height]: [f64; 3]| {
        let [x, y, z] = [(x - a) / width, (y - b) / depth, (z - c) / height];
        x * x + y * y + z * z < 1.0
    };
    if within([0.0, 0.45, 0.0], [0.1, 0.12, 2.0]) {
        700
    } else if within([-0.35, 0.0, 0.1], [0.25, 0.4, 0.7])
        || within([0.35, 0.0, 0.1], [0.25, 0.4, 0.7])
    {
        -850
    } else if within([0.0; 3], [0.85, 0.65, 1.6]) {
        40 + (10.0 * (7.0 * x).sin() * (9.0 * y).cos()) as i16
    } else {
        -1000
    }
}

/// An ellipsoid whose surface waves.
fn is_organ([x, y, z]: [f64; 3], shift: f64) -> bool {
    let wave = 0.05 * (11.0 * x).sin() * (13.0 * y).cos() * (9.0 * z).sin();
    let [x, y, z] = [(x - shift) / 0.7, (y + shift) / 0.6, z / 0.75];
    (x * x + y * y + z * z).sqrt() < 1.0 + wave + shift
}

/// Nearly Gaussian noise of 20 HU: the sum of the four words of a hashed number.
fn noise(index: usize) -> i16 {
    let mixed = mixed(index as u64 ^ crate::SEED << 40);
    let words = (0..4).map(|word| (mixed >> (16 * word) & 0xffff).cast_signed() - 0x8000);
    // A uniform word has a standard deviation of 2¹⁶ / √12.
    (words.sum::<i64>() * 20 / 37_837) as i16
}

/// `SplitMix64` (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
fn mixed(number: u64) -> u64 {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

/// An axial CT slice in explicit little endian (PS3.5 section 7.1, PS3.10 section 7.1).
fn dicom(slice: usize) -> Vec<u8> {
    const CT: &[u8] = b"1.2.840.10008.5.1.4.1.1.2";
    let place = format!("-180\\-180\\{}", slice as f64 * 1.5);
    let instance = format!("1.2.3.4.{}", slice + 1);
    let syntax = element((2, 0x10), b"UI", b"1.2.840.10008.1.2.1");
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(element((2, 0), b"UL", &(syntax.len() as u32).to_le_bytes()));
    bytes.extend(syntax);
    for (tag, vr, value) in [
        ((8, 0x16), b"UI", CT),
        ((8, 0x18), b"UI", instance.as_bytes()),
        ((8, 0x60), b"CS", b"CT"),
        ((0x10, 0x20), b"LO", b"simulated"),
        ((0x18, 0x50), b"DS", b"1.5"),
        ((0x20, 0xd), b"UI", b"1.2.3.1"),
        ((0x20, 0xe), b"UI", b"1.2.3.2"),
        ((0x20, 0x13), b"IS", (slice + 1).to_string().as_bytes()),
        ((0x20, 0x32), b"DS", place.as_bytes()),
        ((0x20, 0x37), b"DS", b"1\\0\\0\\0\\1\\0"),
        ((0x28, 2), b"US", &1_u16.to_le_bytes()),
        ((0x28, 4), b"CS", b"MONOCHROME2"),
        ((0x28, 0x10), b"US", &(SIDE as u16).to_le_bytes()),
        ((0x28, 0x11), b"US", &(SIDE as u16).to_le_bytes()),
        ((0x28, 0x30), b"DS", b"0.7\\0.7"),
        ((0x28, 0x100), b"US", &16_u16.to_le_bytes()),
        ((0x28, 0x101), b"US", &16_u16.to_le_bytes()),
        ((0x28, 0x102), b"US", &15_u16.to_le_bytes()),
        ((0x28, 0x103), b"US", &1_u16.to_le_bytes()),
        ((0x28, 0x1052), b"DS", b"-1024"),
        ((0x28, 0x1053), b"DS", b"1"),
        ((0x7fe0, 0x10), b"OW", &pixels(slice)),
    ] {
        bytes.extend(element(tag, vr, value));
    }
    bytes
}

fn pixels(slice: usize) -> Vec<u8> {
    let height = 2.0 * slice as f64 / (SLICES - 1) as f64 - 1.0;
    let value = |[x, y, _]: [f64; 3], index| {
        let number = slice * SIDE * SIDE + index;
        (hounsfield([x, y, height]) + noise(number) + 1024).to_le_bytes()
    };
    voxels([SIDE, SIDE, 1], value).concat()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "byte strings are references"
)]
fn element((group, number): (u16, u16), vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), number.to_le_bytes(), *vr].concat();
    let length = value.len().next_multiple_of(2);
    if vr == b"OW" {
        bytes.extend([0, 0]);
        bytes.extend((length as u32).to_le_bytes());
    } else {
        bytes.extend((length as u16).to_le_bytes());
    }
    bytes.extend(value);
    if value.len() < length {
        bytes.push(if vr == b"UI" { 0 } else { b' ' });
    }
    bytes
}

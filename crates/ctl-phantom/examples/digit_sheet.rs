//! Draws a contact sheet of digit cohorts, to be looked at.
//!
//! ```text
//! cargo run --release -p ctl-phantom --example digit_sheet -- MNIST_FOLDER [FILE.png]
//! ```
//!
//! Each of the upper rows is one digit of the morphological cohort: as it is, as it was drawn, and
//! under thickness 1.5, 3, 5 and 7 and intensity 80 and 250. Then come the sites of the coloured
//! cohorts, red and green, and the digits of each rotated site.

use std::error::Error;
use std::path::Path;

use ctl_imaging::Raster;
use ctl_phantom::digits::{DigitCohort, DigitKind, DigitSpec, ImageCount};

const SIDE: usize = 28;
const COLUMNS: usize = 8;
/// Pixels of the sheet to a pixel of a digit.
const ZOOM: usize = 3;
const INTERVENTIONS: [(&str, f64); 6] = [
    ("thickness", 1.5),
    ("thickness", 3.0),
    ("thickness", 5.0),
    ("thickness", 7.0),
    ("intensity", 80.0),
    ("intensity", 250.0),
];

/// Red, green and blue of one tile, `[3, 28, 28]`.
type Tile = Vec<f32>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("the folder of MNIST's files is missing")?;
    let file = arguments
        .next()
        .unwrap_or_else(|| "digit_sheet.png".to_owned());
    let folder = Path::new(&folder);
    let mut tiles = morphed(&cohort(folder, DigitKind::Morpho)?)?;
    for kind in [
        DigitKind::ColoredIrm,
        DigitKind::ColoredDomainbed,
        DigitKind::Rotated,
    ] {
        let cohort = cohort(folder, kind)?;
        for index in 0..cohort.samples().len() {
            tiles.push(tile(&cohort.image(index)?, cohort.shape()));
        }
    }
    let rows = tiles.len() / COLUMNS;
    let samples = mosaic(&tiles);
    let sheet = Raster::new(3, rows * SIDE * ZOOM, COLUMNS * SIDE * ZOOM, samples)?;
    sheet.write_png(Path::new(&file))?;
    Ok(())
}

fn cohort(folder: &Path, kind: DigitKind) -> Result<DigitCohort, Box<dyn Error>> {
    let spec = DigitSpec {
        images: ImageCount::AtMost(COLUMNS),
        seed: 4,
        ..DigitSpec::new(kind)
    };
    Ok(DigitCohort::from_idx(folder, &spec)?)
}

/// One row for each digit of the first site.
fn morphed(cohort: &DigitCohort) -> Result<Vec<Tile>, Box<dyn Error>> {
    let mut tiles = Vec::new();
    for index in 0..COLUMNS {
        let of = |interventions: &[(&str, f64)]| -> Result<Tile, Box<dyn Error>> {
            let sample = cohort.counterfactual(index, interventions)?;
            Ok(tile(&cohort.render(&sample)?, cohort.shape()))
        };
        tiles.push(of(&[])?);
        tiles.push(of(&[("intensity", 255.0)])?);
        for intervention in INTERVENTIONS {
            tiles.push(of(&[intervention])?);
        }
    }
    Ok(tiles)
}

/// Grey as three equal channels; two channels as red and green, each pixel as large as it takes.
fn tile(image: &[f32], [channels, height, _]: [usize; 3]) -> Tile {
    let repeat = SIDE / height;
    let plane = |channel: usize| {
        (0..SIDE * SIDE).map(move |at| {
            let (y, x) = (at / SIDE / repeat, at % SIDE / repeat);
            image[(channel * height + y) * height + x]
        })
    };
    match channels {
        1 => (0..3).flat_map(|_| plane(0)).collect(),
        _ => plane(0)
            .chain(plane(1))
            .chain(std::iter::repeat_n(0.0, SIDE * SIDE))
            .collect(),
    }
}

/// Tiles side by side, `[3, H, W]`.
fn mosaic(tiles: &[Tile]) -> Vec<f32> {
    let (width, height) = (COLUMNS * SIDE, tiles.len() / COLUMNS * SIDE);
    let mut samples = Vec::with_capacity(3 * width * height * ZOOM * ZOOM);
    for channel in 0..3 {
        for y in 0..height * ZOOM {
            for x in 0..width * ZOOM {
                let (y, x) = (y / ZOOM, x / ZOOM);
                let tile = &tiles[y / SIDE * COLUMNS + x / SIDE];
                samples.push(tile[(channel * SIDE + y % SIDE) * SIDE + x % SIDE]);
            }
        }
    }
    samples
}

//! Slices of the head without their tumours, and healthy ones with the tumour of somebody else: what a
//! predictor reads off them, and what they look like.
//!
//! ```text
//! cargo run --release -p ctl-harness --example tumours -- COHORT [SHEET.png]
//! ```
//!
//! COHORT is a folder with masks of tumours.
//! The diagram is `tumour → image ← head`, where a tumour acts on the pixels of its mask and margin
//! alone: `do(tumour = none)` fills them from around, `do(tumour = another patient's)` lays one in.
//! A predictor of "tumour in slice" learns from four fifths of the patients and reads the others.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use candle_core::{Device, Tensor};
use ctl_compute::random::{permutation, stream};
use ctl_counterfactual::generators::{
    Donors, LesionInsertion, LesionInsertionConfig, LesionRemoval, LesionRemovalConfig,
};
use ctl_counterfactual::{Columns, Examples, Kind, PredictorConfig, Predictors, Records, Schema};
use ctl_graph::Diagram;
use ctl_harness::data::{CohortData, View, load_folder};
use ctl_harness::spec::Training;
use ctl_harness::vocabulary::Task;
use ctl_imaging::{MaskRole, Raster};
use ctl_invariance::{Augmentation, Batch, TargetKind, WeightedTarget};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SIDE: usize = 64;
const PIXELS: usize = SIDE * SIDE;
const GREY_LEVELS: f64 = 255.0;
/// Pixels around a tumour that change with it.
const MARGIN: isize = 2;
/// Slices that are asked about, with tumours and without each.
const ASKED: usize = 200;
/// Tumours below this number of pixels are left out: at this size they are hardly seen.
const LEAST: usize = 12;
/// Slices whose share of bright pixels is below this are hardly any head.
const LEAST_HEAD: f64 = 0.15;
const SHOWN: usize = 6;

fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().ok_or("expected the folder of a cohort")?;
    let training = Training {
        size: SIDE,
        ..Training::default()
    };
    let cohort = load_folder(Path::new(&folder), Task::Segmentation, (&training, None))?;
    let kinds = [
        ("tumour", Kind::categories(2)),
        (
            "image",
            Kind::Image {
                shape: [1, SIDE, SIDE],
            },
        ),
    ];
    let schema = Schema::new(Diagram::parse("tumour -> image")?, &kinds)?;
    let slices = Slices::of(&cohort)?;
    let (learnt, asked) = slices.parts();
    let facts = Facts::of(&slices, &schema, learnt)?;
    let config = PredictorConfig {
        widths: vec![16, 32, 32],
        steps: 1_500,
        batch: 64,
        ..PredictorConfig::default()
    };
    let judges = Predictors::train(&schema, &facts, &config, 0, &mut |_| ())?;

    let first = |ill: bool| -> Vec<usize> {
        let own = asked.iter().copied().filter(|&s| slices.is_ill(s) == ill);
        own.take(ASKED).collect()
    };
    let (ill, well) = (first(true), first(false));
    let [with, without] = [&ill, &well].map(|rows| slices.batch(rows));
    let (with, without) = (with?, without?);
    let removal = LesionRemoval::new(LesionRemovalConfig {
        probability: 1.0,
        margin: MARGIN.unsigned_abs(),
        ..LesionRemovalConfig::default()
    })?;
    let rng = &mut stream(0, "tumours", "removal");
    let healed = removal.apply(vec![with.clone()], rng)?.remove(0);
    let insertion = LesionInsertion::new(LesionInsertionConfig {
        probability: 1.0,
        donors: Donors::Other,
        ..LesionInsertionConfig::default()
    })?;
    let rng = &mut stream(0, "tumours", "insertion");
    let donors = Batch {
        environment: 1,
        ..with.clone()
    };
    let struck = insertion
        .apply(vec![without.clone(), donors], rng)?
        .remove(0);

    println!(
        "{} slices learnt from, {} with and {} without a tumour asked about",
        facts.rows.len(),
        ill.len(),
        well.len()
    );
    println!(
        "{:<34} {:>10} {:>18}",
        "", "read right", "changed elsewhere"
    );
    for (name, batch, before, tumour) in [
        ("facts with a tumour", &with, &with, 1),
        ("facts without", &without, &without, 0),
        ("do(tumour = none)", &healed, &with, 0),
        ("do(tumour = another patient's)", &struck, &without, 1),
    ] {
        let answers = records(&schema, &batch.images, tumour)?;
        let right = 1.0 - judges.errors(&answers)?["tumour"];
        let elsewhere = changed_elsewhere(batch, before)?;
        println!("{name:<34} {:>8.1} % {elsewhere:>18.4}", 100.0 * right);
    }
    if let Some(path) = words.next() {
        sheet([&with, &healed, &without, &struck])?.write_png(Path::new(&path))?;
        println!("{path}");
    }
    Ok(())
}

/// The slices that show a head, and either no tumour or one that is seen.
struct Slices<'a> {
    cohort: &'a CohortData,
    masks: Vec<Vec<u8>>,
    kept: Vec<usize>,
}

impl<'a> Slices<'a> {
    fn of(cohort: &'a CohortData) -> Outcome<Self> {
        let all: Vec<usize> = (0..cohort.samples.len()).collect();
        let found = cohort.images.masks(&all, MaskRole::Annotation)?;
        let masks: Vec<Vec<u8>> = found.into_iter().map(Option::unwrap_or_default).collect();
        let mut kept = Vec::new();
        for sample in all {
            let pixels = cohort.images.gather(&[sample], View::Plain)?;
            let bright = pixels.iter().filter(|&&value| value > 0.1).count();
            let tumour = masks[sample].iter().filter(|&&class| class > 0).count();
            let is_head = bright as f64 > LEAST_HEAD * pixels.len() as f64;
            if is_head && (tumour == 0 || tumour >= LEAST) {
                kept.push(sample);
            }
        }
        Ok(Self {
            cohort,
            masks,
            kept,
        })
    }

    fn is_ill(&self, sample: usize) -> bool {
        self.masks[sample].contains(&1)
    }

    /// Slices of four fifths of the patients, and of the others, each in a random order.
    fn parts(&self) -> (Vec<usize>, Vec<usize>) {
        let patient = |&sample: &usize| self.cohort.samples[sample].patient.as_str();
        let patients: BTreeSet<&str> = self.kept.iter().map(patient).collect();
        let patients: Vec<&str> = patients.into_iter().collect();
        let order = permutation(&mut stream(0, "tumours", "patients"), patients.len());
        let apart = order.iter().take(patients.len().div_ceil(5));
        let apart: BTreeSet<&str> = apart.map(|&place| patients[place]).collect();
        let order = permutation(&mut stream(0, "tumours", "slices"), self.kept.len());
        let mixed = order.into_iter().map(|place| self.kept[place]);
        mixed.partition(|sample| !apart.contains(patient(sample)))
    }

    fn images(&self, samples: &[usize]) -> Outcome<Tensor> {
        let pixels = self.cohort.images.gather(samples, View::Plain)?;
        let shape = (samples.len(), 1, SIDE, SIDE);
        Ok(Tensor::from_vec(pixels, shape, &Device::Cpu)?)
    }

    fn batch(&self, samples: &[usize]) -> Outcome<Batch> {
        let masks = samples.iter().flat_map(|&sample| &self.masks[sample]);
        let masks: Vec<u32> = masks.map(|&class| u32::from(class)).collect();
        let shape = (samples.len(), SIDE, SIDE);
        Ok(Batch {
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: Tensor::from_vec(masks, shape, &Device::Cpu)?,
            }],
            ..Batch::new(0, self.images(samples)?, TargetKind::Masks)
        })
    }
}

/// What the predictor learns from.
struct Facts<'a> {
    slices: &'a Slices<'a>,
    rows: Vec<usize>,
    columns: Columns,
}

impl<'a> Facts<'a> {
    fn of(slices: &'a Slices<'a>, schema: &Schema, rows: Vec<usize>) -> Outcome<Self> {
        let tumours = rows.iter().map(|&s| f64::from(u8::from(slices.is_ill(s))));
        let columns = Columns::new(schema, &[("tumour", tumours.collect())])?;
        Ok(Self {
            slices,
            rows,
            columns,
        })
    }
}

impl Examples for Facts<'_> {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn images(&self, rows: &[usize]) -> ctl_counterfactual::Result<Option<Tensor>> {
        let samples: Vec<usize> = rows.iter().map(|&row| self.rows[row]).collect();
        let images = self.slices.images(&samples);
        let images = images.map_err(|error| ctl_counterfactual::CounterfactualError::Value {
            subject: "slices".to_owned(),
            expected: "images that can be read".to_owned(),
            found: error.to_string(),
        })?;
        Ok(Some(images))
    }
}

fn records(schema: &Schema, images: &Tensor, tumour: u8) -> Outcome<Records> {
    let values = vec![f64::from(tumour); images.dim(0)?];
    let columns = Columns::new(schema, &[("tumour", values)])?;
    Ok(Records::new(schema, columns, Some(images.clone()))?)
}

/// Mean change of the pixels, in grey levels, on which neither before nor after there is a tumour or
/// its margin.
fn changed_elsewhere(after: &Batch, before: &Batch) -> Outcome<f64> {
    let map = |batch: &Batch| batch.targets[0].target.flatten_all()?.to_vec1::<u32>();
    let (new, old) = (map(after)?, map(before)?);
    let change = (&after.images - &before.images)?.abs()?.flatten_all()?;
    let change = change.to_vec1::<f32>()?;
    let side = SIDE.cast_signed();
    let is_near = |place: usize| {
        let (slice, y, x) = (place / PIXELS, place % PIXELS / SIDE, place % SIDE);
        let around = (-MARGIN..=MARGIN).flat_map(|dy| (-MARGIN..=MARGIN).map(move |dx| (dy, dx)));
        around.into_iter().any(|(dy, dx)| {
            let (y, x) = (y.cast_signed() + dy, x.cast_signed() + dx);
            let is_inside = (0..side).contains(&y) && (0..side).contains(&x);
            let at = slice * PIXELS + (y * side + x).max(0).cast_unsigned();
            is_inside && new[at] + old[at] > 0
        })
    };
    let apart = (0..change.len()).filter(|&place| !is_near(place));
    let values: Vec<f64> = apart.map(|place| f64::from(change[place])).collect();
    Ok(GREY_LEVELS * values.iter().sum::<f64>() / values.len().max(1) as f64)
}

/// Rows of slices, one row for each batch.
fn sheet(batches: [&Batch; 4]) -> Outcome<Raster> {
    let mut rows = Vec::new();
    for batch in batches {
        let shown =
            (0..SHOWN.min(batch.images.dim(0)?)).map(|place| batch.images.get(place)?.get(0));
        let shown = shown.collect::<candle_core::Result<Vec<_>>>()?;
        rows.push(Tensor::cat(&shown, 1)?);
    }
    let all = Tensor::cat(&rows, 0)?;
    let (height, width) = all.dims2()?;
    let pixels = all.flatten_all()?.to_vec1::<f32>()?;
    let pixels = pixels.into_iter().map(|value| value.clamp(0.0, 1.0));
    Ok(Raster::new(1, height, width, pixels.collect())?)
}

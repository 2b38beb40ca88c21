//! Takes the lesions out of simulated slices of the head and lays them into those of healthy patients
//! of another site; the simulation knows what the patients would have looked like without them.
//!
//! ```text
//! cargo run -p ctl-counterfactual --example lesions -- [FILE.pgm]
//! ```
//!
//! With a path a picture is written: from the left a patient, the patient without the lesions, the same
//! as the simulation has it, a healthy patient, and that one with a lesion of the first.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use candle_core::{Device, Tensor};
use ctl_compute::random::stream;
use ctl_counterfactual::generators::{
    InpaintConfig, LesionInsertion, LesionInsertionConfig, LesionRemoval, LesionRemovalConfig,
    Smoothness, Texture,
};
use ctl_invariance::{Augmentation, Batch, TargetKind, WeightedTarget};
use ctl_phantom::{PhantomCohort, PhantomSpec, simulate};

const SIDE: usize = 64;
const PIXELS: usize = SIDE * SIDE;

fn main() -> Result<(), Box<dyn Error>> {
    let cohort = simulate(&PhantomSpec {
        size: SIDE,
        patients_per_site: 60,
        seed: 11,
        ..PhantomSpec::default()
    })?;
    let ill = of_site(&cohort, 0, true);
    let well = of_site(&cohort, 1, false);
    let (first, patients) = (batch(&cohort, 0, &ill)?, batch(&cohort, 1, &well)?);
    let mut truth = Vec::new();
    for &index in &ill {
        truth.extend(cohort.image_of(&cohort.counterfactual(index, &[("disease", 0.0)])?));
    }
    let masks: Vec<bool> = ill
        .iter()
        .flat_map(|&index| cohort.true_mask(index))
        .map(|class| class == 1)
        .collect();

    let error = |images: &Tensor| -> Result<f64, candle_core::Error> {
        let values = images.flatten_all()?.to_vec1::<f32>()?;
        let inside = values.iter().zip(&truth).zip(&masks).filter(|(_, m)| **m);
        let gaps: Vec<f64> = inside.map(|((a, b), _)| f64::from((a - b).abs())).collect();
        Ok(gaps.iter().sum::<f64>() / gaps.len() as f64)
    };
    println!("mean distance, on the lesions, from the patient without the disease");
    println!("{:<24} {:.4}", "with lesions", error(&first.images)?);
    let mut healed = first.clone();
    for (name, smoothness, texture) in [
        ("biharmonic", Smoothness::Biharmonic, Texture::None),
        (
            "harmonic with texture",
            Smoothness::Harmonic,
            Texture::Spectrum,
        ),
        ("harmonic", Smoothness::Harmonic, Texture::None),
    ] {
        let method = LesionRemoval::new(LesionRemovalConfig {
            probability: 1.0,
            inpaint: InpaintConfig {
                smoothness,
                texture,
                ..InpaintConfig::default()
            },
            ..LesionRemovalConfig::default()
        })?;
        let rng = &mut stream(0, "lesions", "removal");
        healed = method.apply(vec![first.clone()], rng)?.remove(0);
        println!("{name:<24} {:.4}", error(&healed.images)?);
    }

    let method = LesionInsertion::new(LesionInsertionConfig {
        probability: 1.0,
        ..LesionInsertionConfig::default()
    })?;
    let rng = &mut stream(0, "lesions", "insertion");
    let changed = method.apply(vec![first.clone(), patients.clone()], rng)?;
    let area = |batch: &Batch| -> Result<Vec<u32>, candle_core::Error> {
        batch.targets[0].target.flatten_from(1)?.sum(1)?.to_vec1()
    };
    println!(
        "pixels of lesions laid into healthy patients: {:?}",
        area(&changed[1])?
    );

    if let Some(path) = std::env::args().nth(1) {
        let truth = Tensor::from_slice(&truth[..PIXELS], (1, 1, SIDE, SIDE), &Device::Cpu)?;
        let tiles = [
            &first.images,
            &healed.images,
            &truth,
            &patients.images,
            &changed[1].images,
        ];
        let tiles = tiles.map(|images| images.get(0)?.get(0));
        let tiles = tiles.into_iter().collect::<candle_core::Result<Vec<_>>>()?;
        let picture = (Tensor::cat(&tiles, 1)? * 255.0)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let mut file = format!("P5 {} {SIDE} 255\n", tiles.len() * SIDE).into_bytes();
        file.extend(picture.iter().map(|value| value.round() as u8));
        std::fs::write(&path, file)?;
        println!("{path}");
    }
    Ok(())
}

/// Up to six patients of a site, with or without visible lesions.
fn of_site(cohort: &PhantomCohort, site: usize, ill: bool) -> Vec<usize> {
    let samples = cohort.samples().iter().enumerate();
    let shown = samples.filter(|(index, sample)| {
        sample.site == site && cohort.true_mask(*index).contains(&1) == ill
    });
    shown.map(|(index, _)| index).take(6).collect()
}

fn batch(cohort: &PhantomCohort, site: usize, rows: &[usize]) -> Result<Batch, candle_core::Error> {
    let images: Vec<f32> = rows.iter().flat_map(|&row| cohort.image(row)).collect();
    let masks = rows.iter().flat_map(|&row| cohort.true_mask(row));
    let masks: Vec<u32> = masks.map(u32::from).collect();
    let images = Tensor::from_vec(images, (rows.len(), 1, SIDE, SIDE), &Device::Cpu)?;
    Ok(Batch {
        targets: vec![WeightedTarget {
            weight: 1.0,
            target: Tensor::from_vec(masks, (rows.len(), SIDE, SIDE), &Device::Cpu)?,
        }],
        ..Batch::new(site, images, TargetKind::Masks)
    })
}

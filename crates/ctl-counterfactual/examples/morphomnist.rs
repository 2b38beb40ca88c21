//! A deep structural causal model of digits whose true mechanisms are known: trained, scored against
//! the truth, and asked what a digit would have been with a broader pen.
//!
//! ```sh
//! cargo run --release -p ctl-counterfactual --example morphomnist -- MNIST_FOLDER [IMAGES] [STEPS]
//! ```
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use ctl_counterfactual::{
    Act, Acts, Columns, DeepScm, FitOptions, ImageSpec, Kind, ModelSpec, Records, StructuralModel,
    VaeConfig,
};
use ctl_phantom::digits::{
    DigitCohort, DigitKind, DigitSpec, ImageCount, log_density_of_intensity,
    log_density_of_thickness,
};

type Failure = Box<dyn std::error::Error>;

fn spec() -> ModelSpec {
    let between = |lower, upper| Kind::Continuous { lower, upper };
    let nodes = [
        ("thickness", between(Some(0.0), None)),
        ("intensity", between(Some(63.9), Some(255.1))),
        ("digit", Kind::categories(10)),
        ("image", Kind::Image { shape: [1, 28, 28] }),
    ];
    ModelSpec {
        edges: "thickness -> intensity -> image; thickness -> image; digit -> image".to_owned(),
        nodes: nodes.map(|(name, kind)| (name.to_owned(), kind)).into(),
        flow: ctl_counterfactual::FlowConfig::default(),
        categories: ctl_counterfactual::CategoriesConfig::default(),
        image: Some(ImageSpec::Vae(VaeConfig::default())),
    }
}

/// The digits of a site as records.
fn records(cohort: &DigitCohort, site: usize, model: &ModelSpec) -> Result<Records, Failure> {
    let samples = cohort.samples();
    let rows: Vec<usize> = (0..samples.len())
        .filter(|&row| samples[row].site == site)
        .collect();
    let column = |name: &str| -> Vec<f64> {
        let values = rows
            .iter()
            .filter_map(|&row| cohort.attribute(&samples[row], name));
        values.collect()
    };
    let columns: BTreeMap<&str, Vec<f64>> = ["thickness", "intensity", "digit"]
        .map(|name| (name, column(name)))
        .into();
    let schema = model.schema()?;
    let columns = Columns::new(&schema, &columns.into_iter().collect::<Vec<_>>())?;
    let pixels = cohort.images(rows[0]..rows[0] + rows.len())?;
    let images = Tensor::from_vec(pixels, (rows.len(), 1, 28, 28), &Device::Cpu)?;
    Ok(Records::new(&schema, columns, Some(images))?)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean absolute difference in grey levels.
fn error(a: &Tensor, b: &Tensor) -> Result<f32, Failure> {
    Ok((a - b)?.abs()?.mean_all()?.to_scalar::<f32>()? * 255.0)
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("the folder of MNIST's four files is missing")?;
    let images = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let steps = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let digits = DigitSpec {
        images: ImageCount::AtMost(images),
        ..DigitSpec::new(DigitKind::Morpho)
    };
    let cohort = DigitCohort::from_idx(Path::new(&folder), &digits)?;
    let spec = spec();
    let (training, test) = (records(&cohort, 0, &spec)?, records(&cohort, 1, &spec)?);
    println!(
        "{} digits to train on, {} to score",
        training.len(),
        test.len()
    );

    let mut model = DeepScm::new(&spec, &training.columns, 0)?;
    let mut options = FitOptions::default();
    options.image.steps = steps;
    let started = std::time::Instant::now();
    let report = model.fit(&training, &options, &mut |progress| {
        if progress.step.is_multiple_of(500) {
            let loss = progress.loss.unwrap_or(f64::NAN);
            println!(
                "{}: {} of {}, loss {loss:.4}",
                progress.node, progress.step, progress.steps
            );
        }
    })?;
    println!(
        "trained in {:.0} s: {report:?}",
        started.elapsed().as_secs_f64()
    );

    let found = model.log_prob(&test, 0)?;
    let node = |name: &str| model.schema().attribute(name);
    let thickness = test.columns.column(node("thickness")?);
    let intensity = test.columns.column(node("intensity")?);
    let pairs = intensity.iter().zip(thickness);
    let true_intensity: Vec<f64> = pairs
        .map(|(&i, &t)| log_density_of_intensity(i, t))
        .collect();
    let true_thickness: Vec<f64> = thickness
        .iter()
        .map(|&t| log_density_of_thickness(t))
        .collect();
    for (name, truth) in [("thickness", true_thickness), ("intensity", true_intensity)] {
        let ours = mean(&found.attributes[name]);
        println!(
            "log p({name}): {ours:.4}, of the generator {:.4}",
            mean(&truth)
        );
    }
    println!(
        "log p(image) >= {:.1}",
        mean(&found.image.unwrap_or_default())
    );
    let images = test.images.as_ref().ok_or("no images")?;
    let again = model.counterfactual(&test, &Acts::none(), 0)?;
    let again = again.images.as_ref().ok_or("no images")?;
    println!("reconstruction: {:.3} grey levels", error(images, again)?);

    let few: Vec<usize> = (0..test.len().min(500)).collect();
    let facts = test.select(&few)?;
    let acts = model.act(&[("thickness", Act::set(4.0))])?.acts;
    let ours = model.counterfactual(&facts, &acts, 0)?;
    let first = (0..cohort.samples().len()).find(|&row| cohort.samples()[row].site == 1);
    let mut truth = Vec::new();
    for row in &few {
        let twin = cohort.counterfactual(first.unwrap_or(0) + row, &[("thickness", 4.0)])?;
        truth.extend(cohort.render(&twin)?);
    }
    let truth = Tensor::from_vec(truth, (few.len(), 1, 28, 28), &Device::Cpu)?;
    let ours = ours.images.as_ref().ok_or("no images")?;
    let facts = facts.images.as_ref().ok_or("no images")?;
    println!(
        "thickness 4: {:.2} grey levels from the true counterfactual; the fact is {:.2}, an image of \
         zeros {:.2} away",
        error(ours, &truth)?,
        error(facts, &truth)?,
        error(&truth.zeros_like()?, &truth)?,
    );
    Ok(())
}

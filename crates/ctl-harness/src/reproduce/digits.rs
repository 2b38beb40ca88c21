//! Rendered digits of `MorphoMNIST` as structural causal models see them.

use std::path::Path;

use candle_core::{Device, Tensor};
use ctl_counterfactual::{
    Columns, CounterfactualError, Examples, ImageSpec, Kind, ModelSpec, Records,
};
use ctl_phantom::digits::DigitCohort;
use rayon::prelude::*;

use crate::Result;
use crate::store::write_atomically;

/// Sides of the digits in pixels.
pub(super) const SIDE: usize = 28;
pub(super) const GREY_LEVELS: f64 = 255.0;
/// Bounds of the generator's attributes: pixels, and grey levels a little beyond those there are, so
/// that rounding never puts one on its bound.
const THINNEST: f64 = 0.5;
const INTENSITIES: [f64; 2] = [63.99, 255.01];

/// The digits of one part, rendered.
pub(super) struct Digits {
    pub(super) thickness: Vec<f64>,
    pub(super) intensity: Vec<f64>,
    /// Grey levels, digit after digit.
    pixels: Vec<u8>,
}

impl Digits {
    /// Renders the digits of a site, or reads what was rendered before: morphing takes minutes.
    ///
    /// # Arguments
    /// - `out`: folder of all experiments, which share what is rendered
    pub(super) fn of(cohort: &DigitCohort, site: usize, out: &Path) -> Result<Self> {
        let named = format!("{} {:?} {site}", cohort.data_hash(), cohort.spec());
        let hash = blake3::hash(named.as_bytes()).to_hex();
        let path = out.join(format!("digits-{}.u8", &hash[..12]));
        let mut digits = Self::described(cohort, site);
        let size = digits.thickness.len() * SIDE * SIDE;
        if let Ok(pixels) = std::fs::read(&path)
            && pixels.len() == size
        {
            digits.pixels = pixels;
            return Ok(digits);
        }
        digits.pixels = rendered(cohort, site)?;
        write_atomically(&path, &digits.pixels)?;
        Ok(digits)
    }

    fn described(cohort: &DigitCohort, site: usize) -> Self {
        let samples: Vec<_> = cohort.samples().iter().filter(|s| s.site == site).collect();
        let column = |name: &str| -> Vec<f64> {
            let values = samples
                .iter()
                .filter_map(|sample| cohort.attribute(sample, name));
            values.collect()
        };
        Self {
            thickness: column("thickness"),
            intensity: column("intensity"),
            pixels: Vec::new(),
        }
    }

    /// Images `[B, 1, 28, 28]` of some digits, 0 to 1.
    pub(super) fn images(&self, rows: &[usize]) -> candle_core::Result<Tensor> {
        let size = SIDE * SIDE;
        let values: Vec<f32> = rows
            .iter()
            .flat_map(|row| &self.pixels[row * size..(row + 1) * size])
            .map(|&value| f32::from(value) / GREY_LEVELS as f32)
            .collect();
        Tensor::from_vec(values, (rows.len(), 1, SIDE, SIDE), &Device::Cpu)
    }

    /// The attributes as a model has them.
    pub(super) fn columns(&self, spec: &ModelSpec) -> Result<Columns> {
        let columns = [
            ("thickness", self.thickness.clone()),
            ("intensity", self.intensity.clone()),
        ];
        Ok(Columns::new(&spec.schema()?, &columns)?)
    }

    /// Some digits with their images.
    pub(super) fn records(&self, spec: &ModelSpec, rows: &[usize]) -> Result<Records> {
        Ok(Records {
            columns: self.columns(spec)?.select(rows),
            images: Some(self.images(rows)?),
        })
    }
}

/// Grey levels of a site's digits, digit after digit.
fn rendered(cohort: &DigitCohort, site: usize) -> Result<Vec<u8>> {
    let samples: Vec<_> = cohort.samples().iter().filter(|s| s.site == site).collect();
    let images: Vec<Vec<u8>> = samples
        .par_iter()
        .map(|sample| {
            let image = cohort.render(sample)?.into_iter();
            Ok(image
                .map(|value| (f64::from(value) * GREY_LEVELS).round() as u8)
                .collect())
        })
        .collect::<Result<_>>()?;
    Ok(images.concat())
}

/// Digits as a model sees them.
pub(super) struct Seen<'a> {
    digits: &'a Digits,
    columns: Columns,
}

impl<'a> Seen<'a> {
    pub(super) fn new(digits: &'a Digits, spec: &ModelSpec) -> Result<Self> {
        Ok(Self {
            digits,
            columns: digits.columns(spec)?,
        })
    }
}

impl Examples for Seen<'_> {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn images(&self, rows: &[usize]) -> std::result::Result<Option<Tensor>, CounterfactualError> {
        Ok(Some(self.digits.images(rows)?))
    }
}

/// A model of thickness, intensity and image.
///
/// # Arguments
/// - `edges`: the arrows among them
pub(super) fn spec(edges: &str, image: ImageSpec) -> ModelSpec {
    let between = |lower, upper| Kind::Continuous { lower, upper };
    let [darkest, brightest] = INTENSITIES;
    let nodes = [
        ("thickness", between(Some(THINNEST), None)),
        ("intensity", between(Some(darkest), Some(brightest))),
        (
            "image",
            Kind::Image {
                shape: [1, SIDE, SIDE],
            },
        ),
    ];
    ModelSpec {
        edges: edges.to_owned(),
        nodes: nodes.map(|(name, kind)| (name.to_owned(), kind)).into(),
        flow: ctl_counterfactual::FlowConfig::default(),
        categories: ctl_counterfactual::CategoriesConfig::default(),
        image: Some(image),
    }
}

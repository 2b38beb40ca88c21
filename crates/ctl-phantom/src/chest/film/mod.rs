//! From plain factors to a chest film and its lesions.
//!
//! Each structure adds to (or, where there is air, takes from) the attenuation along the ray that
//! meets a pixel; the detector then turns attenuation into grey values. Edges are functions of the
//! distance in pixels, so that they are smooth at every size without supersampling.

mod bones;
mod canvas;
mod collimator;
mod detector;
mod devices;
mod findings;
mod frame;
mod individual;
mod lungs;
mod measures;
mod parenchyma;
mod soft_tissue;
mod texture;

pub(crate) use individual::Individual;

use canvas::Canvas;
use findings::Disease;
use frame::Frame;
use lungs::{LungPoint, Lungs};
use measures::Measures;

/// Least rise of the grey value that counts as lesion: what opacity or effusion brightens by more
/// on a neutral film without noise and blur is in the mask.
pub(crate) const LESION_CONTRAST: f64 = 0.05;

/// A patient's chest, in half film widths where it is a length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Build {
    /// From slight (-2) over average (0) to stout (2).
    pub(crate) habitus: f64,
    /// From the midline to the inner chest wall, about 0.72.
    pub(crate) thorax_width: f64,
    /// From a lung's apex to its costophrenic angle, about 1.27.
    pub(crate) lung_height: f64,
    /// Width of the heart over inner width of the chest, about 0.47.
    pub(crate) heart_ratio: f64,
    /// Radius of the aortic knob, about 0.08.
    pub(crate) aorta: f64,
    /// Contrast of the bones, about 1.
    pub(crate) bone: f64,
    /// Attenuation of breast tissue, about 0.17; none where it is not positive.
    pub(crate) breast: f64,
    /// Share of the rays' loss that an aerated lung spares, about 0.72.
    pub(crate) aeration: f64,
}

/// How the disease shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Findings {
    /// How much opacity there is, 0 to 1.
    pub(crate) load: f64,
    /// From all diffuse (0) to all focal (1).
    pub(crate) focality: f64,
    /// How much fluid there is in the pleural space, 0 to 1.
    pub(crate) effusion: f64,
}

/// Which way the rays pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// From the back, the patient upright.
    Pa,
    /// From the front, the patient in bed.
    Ap,
}

/// How the detector is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Factor on the grey values, about 1.
    pub(crate) gain: f64,
    /// Exponent on the grey values, about 1; more than 1 darkens.
    pub(crate) gamma: f64,
    /// Share of the received radiation that was scattered, 0 to 0.95.
    pub(crate) scatter: f64,
    /// Standard deviation of the quantum noise in mid-grey, in grey values from 0 to 1.
    pub(crate) noise_sd: f64,
    /// Standard deviation of the blur, in percent of the film's width.
    pub(crate) blur_sigma: f64,
}

impl Reading {
    /// The neutral scanner.
    pub(crate) const NEUTRAL: Self = Self {
        gain: 1.0,
        gamma: 1.0,
        scatter: 0.25,
        noise_sd: 0.01,
        blur_sigma: 0.6,
    };
}

/// What lies on the film and is no part of the disease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Devices {
    /// A breathing tube, a central line and leads.
    pub(crate) tube: bool,
    /// Lead letters.
    pub(crate) marker: bool,
}

/// Everything that determines a film.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors<'a> {
    pub(crate) build: Build,
    pub(crate) findings: Findings,
    pub(crate) view: View,
    pub(crate) reading: Reading,
    pub(crate) devices: Devices,
    pub(crate) individual: &'a Individual,
}

/// Takes the film, `[size, size]` row by row, 0 (black) to 1 (white), with quantum noise or without.
///
/// # Complexity
/// Proportional to the number of pixels.
pub(crate) fn expose(factors: &Factors<'_>, size: usize, has_noise: bool) -> Vec<f32> {
    let individual = factors.individual;
    let patient = Attenuation::of(factors, size);
    let mut canvas = patient.total();
    if factors.devices.tube {
        devices::tube(&mut canvas, &patient.frame, &individual.courses);
    }
    if factors.devices.marker {
        devices::marker(&mut canvas, factors.view, &individual.marker);
    }
    let film = detector::detect(&canvas, &factors.reading);
    let mut film = if has_noise {
        detector::expose(&film, &factors.reading, individual.grain)
    } else {
        detector::tone(&film, &factors.reading)
    };
    collimator::collimate(&mut film, size, &individual.blades);
    film
}

/// Marks with 1 where the disease brightens the film by more than [`LESION_CONTRAST`], `[size,
/// size]`; devices and the reading do not matter.
pub(crate) fn lesion(factors: &Factors<'_>, size: usize) -> Vec<u8> {
    let patient = Attenuation::of(factors, size);
    if patient.disease.is_none() {
        return vec![0; size * size];
    }
    let sharp = Reading {
        blur_sigma: 0.0,
        ..Reading::NEUTRAL
    };
    let with = detector::detect(&patient.total(), &sharp);
    let without = detector::detect(&patient.healthy, &sharp);
    with.values
        .iter()
        .zip(&without.values)
        .map(|(with, without)| u8::from(with - without > LESION_CONTRAST))
        .collect()
}

/// A patient's attenuation in one view.
struct Attenuation {
    frame: Frame,
    healthy: Canvas,
    /// What the disease adds; `None` where it adds nothing.
    disease: Option<Canvas>,
}

impl Attenuation {
    fn of(factors: &Factors<'_>, size: usize) -> Self {
        let individual = factors.individual;
        let measures = Measures::of(&factors.build, factors.view, &individual.build);
        let frame = Frame::new(&measures, size);
        let lungs = Lungs::new(&measures, &frame);
        let places: Vec<LungPoint> = frame.points().map(|(x, y)| lungs.at(x, y)).collect();
        let (mut healthy, mut spared) = (Canvas::new(size), Canvas::new(size));
        // Another key than the lungs', so that the two textures do not line up.
        let key = !individual.texture;
        soft_tissue::draw(&mut healthy, &mut spared, &measures, key, &lungs, &places);
        parenchyma::draw(&mut healthy, &frame, &measures, individual.texture, &places);
        bones::draw(&mut healthy, &frame, &measures, &lungs, &places);
        let disease = Disease::new(&factors.findings, individual, &lungs);
        let disease = (!disease.is_nothing()).then(|| {
            // The air that gives way to opacity or fluid no longer spares the rays.
            for (spared, place) in spared.values.iter_mut().zip(&places) {
                if *spared > 0.0 {
                    *spared *= disease.share(place);
                }
            }
            spared
        });
        Self {
            frame,
            healthy,
            disease,
        }
    }

    fn total(&self) -> Canvas {
        let mut total = Canvas {
            size: self.healthy.size,
            values: self.healthy.values.clone(),
        };
        if let Some(disease) = &self.disease {
            total.add(disease, 1.0);
        }
        total
    }
}

#[cfg(test)]
mod tests;

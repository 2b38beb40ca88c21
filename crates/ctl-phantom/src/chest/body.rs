//! A chest film as the common causal model sees it: its measures, its scanner, its image.

use super::film::{self, Build, Devices, Factors, Findings, Individual, Reading, View};
use crate::body::{Body, Exposure, Measure, Scene, Setting};
use crate::model::mechanism::logistic;

/// Millimetres from edge to edge: about what a 35 × 43 cm detector shows of a chest.
const FIELD_OF_VIEW_MM: f64 = 380.0;

/// Lengths are in half film widths.
const MEASURES: [Measure; 9] = [
    Measure::new("habitus", [0.0, 0.08, 0.10, 1.0]),
    Measure::new("chest-width", [0.705, 0.0, 0.030, 0.018]),
    Measure::new("lung-height", [1.245, 0.0, 0.050, 0.055]),
    Measure::new("heart-ratio", [0.474, 0.012, -0.012, 0.025]),
    Measure::new("aorta", [0.081, 0.006, 0.0, 0.008]),
    Measure::new("bone", [0.99, -0.05, 0.0, 0.12]),
    Measure::new("breast", [0.18, 0.0, -0.32, 0.05]),
    Measure::new("aeration", [0.72, 0.004, 0.0, 0.020]),
    Measure::new("fluid", [0.0, 0.10, 0.0, 1.0]),
];
const SETTINGS: [Setting; 5] = [
    Setting::new("gain", [1.0, -0.12, 0.03], [0.4, 1.6]),
    Setting::new("gamma", [1.0, 0.45, 0.06], [0.4, 2.5]),
    Setting::new("scatter", [0.25, 0.30, 0.03], [0.0, 0.9]),
    Setting::new("noise", [0.012, 0.014, 0.002], [0.001, 0.1]),
    Setting::new("blur", [0.6, 0.80, 0.08], [0.0, 3.0]),
];

/// Share of the full opacity that shows at a logarithmic load: slope, and the load that shows half.
const SHOWN: (f64, f64) = (1.3, 1.9);
/// How fast focal opacity gives way to diffuse with the spread.
const FOCAL_SLOPE: f64 = 1.5;
/// Effusion per logarithmic load above a threshold, and per unit of the readiness for fluid.
const EFFUSION: (f64, f64, f64) = (0.16, 2.4, 0.16);
/// What a portable unit adds to the scatter, as a share of what is not scattered.
const PORTABLE_SCATTER: f64 = 0.25;
/// Chance of a tube on a film from the portable unit; patients who stand have none.
const TUBE: f64 = 0.65;
/// Chance of lead letters, with either unit.
const MARKER: f64 = 0.75;

/// A frontal chest film.
///
/// The first kind of unit takes PA films of patients who stand. The second is portable: AP films
/// of patients in bed, with more scatter, a larger heart, a higher diaphragm and the shoulder
/// blades over the lungs, mostly with tubes and leads, and an arrow among the lead letters.
pub(crate) struct Chest;

impl Body for Chest {
    fn measures(&self) -> &'static [Measure] {
        &MEASURES
    }

    fn settings(&self) -> &'static [Setting] {
        &SETTINGS
    }

    fn field_of_view_mm(&self) -> f64 {
        FIELD_OF_VIEW_MM
    }

    fn image(&self, scene: &Scene<'_>, exposure: Exposure) -> Vec<f32> {
        let individual = individual(scene);
        let has_noise = exposure == Exposure::Acquired;
        film::expose(&factors(scene, &individual), scene.size, has_noise)
    }

    fn lesion(&self, scene: &Scene<'_>) -> Vec<u8> {
        let individual = individual(scene);
        film::lesion(&factors(scene, &individual), scene.size)
    }
}

fn individual(scene: &Scene<'_>) -> Individual {
    Individual::draw(|purpose| scene.key.stream(purpose))
}

/// The film's factors; measures and settings come in the order of the constants above.
fn factors<'a>(scene: &Scene<'_>, individual: &'a Individual) -> Factors<'a> {
    let measure = |place: usize| scene.measures.get(place).copied().unwrap_or(0.0);
    let setting = |place: usize| scene.settings.get(place).copied().unwrap_or(0.0);
    let veil = if scene.device { PORTABLE_SCATTER } else { 0.0 };
    Factors {
        build: Build {
            habitus: measure(0),
            thorax_width: measure(1),
            lung_height: measure(2),
            heart_ratio: measure(3),
            aorta: measure(4),
            bone: measure(5),
            breast: measure(6),
            aeration: measure(7),
        },
        findings: findings(scene.load, scene.spread, measure(8)),
        view: if scene.device { View::Ap } else { View::Pa },
        reading: Reading {
            gain: setting(0),
            gamma: setting(1),
            scatter: setting(2) + veil * (1.0 - setting(2)),
            noise_sd: setting(3),
            blur_sigma: setting(4),
        },
        devices: Devices {
            tube: scene.device && individual.devices[0] < TUBE,
            marker: individual.devices[1] < MARKER,
        },
        individual,
    }
}

/// Opacity and effusion from the load, its spread and the patient's readiness for fluid: all that
/// shows of the disease is in the load.
fn findings(load: f64, spread: f64, readiness: f64) -> Findings {
    let (slope, half) = SHOWN;
    let (per_load, threshold, per_readiness) = EFFUSION;
    Findings {
        load: logistic(slope * (load - half)),
        focality: logistic(-FOCAL_SLOPE * spread),
        effusion: (per_load * (load - threshold) + per_readiness * readiness).clamp(0.0, 1.0)
            * logistic(3.0 * (load - 1.0)),
    }
}

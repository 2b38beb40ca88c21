//! Axial magnetic resonance slices of the head.
//!
//! Everything is drawn from signed distances in millimetres, in a frame whose x axis points to the
//! left of the head, y to its back and z to its crown, so that a slice and a stack of slices are the
//! same function at other heights, and that a pixel at the edge of two tissues holds both.

mod deep;
mod folds;
mod head;
mod lesions;
mod scanner;
mod slice;
mod tissue;

use crate::body::{Body, Exposure, Measure, Scene, Setting};

/// Millimetres from edge to edge of a slice.
const FIELD_OF_VIEW: f64 = 210.0;
/// Millimetres that a stack of slices spans.
const STACK: f32 = 72.0;

/// Places in [`MEASURES`].
mod measure {
    pub(super) const HEAD: usize = 0;
    pub(super) const VENTRICLES: usize = 1;
    pub(super) const CORTEX: usize = 2;
}

/// Places in [`SETTINGS`].
mod setting {
    pub(super) const CONTRAST: usize = 0;
    pub(super) const GAMMA: usize = 1;
    pub(super) const BIAS: usize = 2;
    pub(super) const BLUR: usize = 3;
    pub(super) const NOISE: usize = 4;
    pub(super) const MOTION: usize = 5;
}

/// Size of the head as a factor, width of the ventricles as a factor, thickness of the cortex in
/// millimetres.
const MEASURES: [Measure; 3] = [
    Measure::new("head", [0.95, 0.0, 0.045, 0.02]),
    Measure::new("ventricles", [1.0, 0.17, 0.0, 0.2]),
    Measure::new("cortex", [3.1, -0.13, 0.0, 0.18]),
];

/// Contrast between two variants of the sequence, gamma of the display, amplitude of the bias
/// field, resolution as the standard deviation of the point spread in millimetres, standard
/// deviation of the noise in either channel, and share of the signal that motion displaces.
const SETTINGS: [Setting; 6] = [
    Setting::new("contrast", [0.0, 0.9, 0.08], [-0.5, 1.3]),
    Setting::new("gamma", [1.0, 0.25, 0.04], [0.5, 2.0]),
    Setting::new("bias", [0.15, 0.45, 0.05], [0.0, 0.9]),
    Setting::new("blur", [0.7, 1.2, 0.1], [0.2, 4.0]),
    Setting::new("noise", [0.02, 0.02, 0.004], [0.002, 0.2]),
    Setting::new("motion", [0.03, 0.15, 0.02], [0.0, 0.5]),
];

/// The head.
pub(crate) struct Brain;

impl Body for Brain {
    fn measures(&self) -> &'static [Measure] {
        &MEASURES
    }

    fn settings(&self) -> &'static [Setting] {
        &SETTINGS
    }

    fn field_of_view_mm(&self) -> f64 {
        FIELD_OF_VIEW
    }

    fn image(&self, scene: &Scene<'_>, exposure: Exposure) -> Vec<f32> {
        let signal = slice::Anatomy::new(scene).signal(0.0);
        scanner::Scanner::new(scene).expose(signal, exposure, "noise")
    }

    fn lesion(&self, scene: &Scene<'_>) -> Vec<u8> {
        slice::Anatomy::new(scene).lesion()
    }

    fn volume(&self, scene: &Scene<'_>, depth: usize) -> Option<Vec<f32>> {
        let anatomy = slice::Anatomy::new(scene);
        let scanner = scanner::Scanner::new(scene);
        let mut volume = Vec::with_capacity(depth * scene.size * scene.size);
        for place in 0..depth {
            let above = (place as f32 + 0.5) / depth as f32 - 0.5;
            let signal = anatomy.signal(above * STACK);
            let noise = format!("noise of slice {place} of {depth}");
            volume.extend(scanner.expose(signal, Exposure::Acquired, &noise));
        }
        Some(volume)
    }
}

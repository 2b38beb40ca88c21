//! From a patient and a way of taking films to the film.
//!
//! Each structure adds to (or, where there is air, takes from) the attenuation along the ray that
//! meets a pixel; [`film`] then turns attenuation into grey values as a film does. Edges are
//! functions of the distance in pixels, so that they are smooth at every size without
//! supersampling.

mod bones;
mod canvas;
mod devices;
mod frame;
mod lungs;
mod parenchyma;
mod scanner;
mod soft_tissue;
mod texture;

use canvas::Canvas;
use frame::Frame;
use lungs::Lungs;

use super::sample::{ChestAcquisition, ChestAnatomy, ChestSample};

/// Attenuation to grey value: the larger, the sooner a film turns white.
const FILM_CONTRAST: f64 = 1.05;

/// Takes a film of a patient, `[size, size]`, values 0 to 1.
pub(crate) fn film(sample: &ChestSample, acquisition: &ChestAcquisition, size: usize) -> Vec<f32> {
    let frame = Frame::new(&sample.anatomy, size);
    let mut canvas = patient(sample, &frame);
    if acquisition.tube {
        devices::tube(&mut canvas, &frame, &sample.noise.tube_course);
    }
    canvas.map(|attenuation| 1.0 - (-FILM_CONTRAST * attenuation.max(0.0)).exp());
    if acquisition.marker {
        devices::marker(&mut canvas, sample.noise.marker_place);
    }
    scanner::expose(canvas, acquisition, sample.noise.grain)
}

/// How much of each pixel is lung, `[size, size]`, 0 to 1.
pub(crate) fn lung_field(anatomy: &ChestAnatomy, size: usize) -> Vec<f32> {
    let frame = Frame::new(anatomy, size);
    let lungs = Lungs::new(anatomy, &frame);
    frame
        .points()
        .map(|(x, y)| lungs.at(x, y).coverage as f32)
        .collect()
}

/// Attenuation of the patient alone.
fn patient(sample: &ChestSample, frame: &Frame) -> Canvas {
    let anatomy = &sample.anatomy;
    let lungs = Lungs::new(anatomy, frame);
    let places: Vec<lungs::LungPoint> = frame.points().map(|(x, y)| lungs.at(x, y)).collect();
    let mut canvas = Canvas::new(frame.size());
    soft_tissue::draw(&mut canvas, frame, sample, &lungs, &places);
    parenchyma::draw(&mut canvas, frame, sample, &lungs, &places);
    bones::draw(&mut canvas, frame, anatomy, &lungs, &places);
    canvas
}

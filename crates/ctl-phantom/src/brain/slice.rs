//! The signal of a slice, pixel by pixel, before the scanner.

use super::deep::Deep;
use super::folds::{Row, Waves};
use super::head::Head;
use super::lesions::{Lesions, VISIBLE};
use super::tissue::Signals;
use super::{FIELD_OF_VIEW, measure};
use crate::body::Scene;

/// Waves and wavelength in millimetres of the folds.
const FOLDS: (usize, f32) = (16, 21.0);
/// Waves and wavelength of how deep the folds reach, and of the tissues' unevenness.
const RELIEF: (usize, f32) = (6, 55.0);
/// Mean depth of the sulci in millimetres, and how far the relief moves it.
const SULCUS_DEPTH: (f32, f32) = (13.0, 5.0);
/// Thicknesses of the cortex in millimetres that can be drawn.
const CORTEX: [f64; 2] = [1.2, 4.6];
/// Half a sulcus' width in millimetres at a cortex of 3 mm, and how it widens with atrophy.
const SULCUS: (f32, f32) = (0.55, 0.9);

/// A head that can be cut at any height.
pub(super) struct Anatomy {
    size: usize,
    pixel: f32,
    head: Head,
    deep: Deep,
    lesions: Lesions,
    folds: Waves,
    relief: Waves,
    cortex: f32,
    sulcus: f32,
    signals: Signals,
}

/// Distances at a point, in millimetres and positive inside.
struct Depths {
    skin: f32,
    pia: f32,
    ventricles: f32,
    nuclei: f32,
    point: [f32; 3],
}

impl Anatomy {
    pub(super) fn new(scene: &Scene<'_>) -> Self {
        let (head, deep) = (Head::new(scene), Deep::new(scene));
        let cortex = scene.measures[measure::CORTEX].clamp(CORTEX[0], CORTEX[1]) as f32;
        let waves =
            |purpose, (count, length)| Waves::new(&mut scene.key.stream(purpose), count, length);
        Self {
            size: scene.size,
            pixel: FIELD_OF_VIEW as f32 / scene.size as f32,
            lesions: Lesions::new(scene, deep, head.level),
            head,
            deep,
            folds: waves("folds", FOLDS),
            relief: waves("relief", RELIEF),
            cortex,
            sulcus: (SULCUS.0 + SULCUS.1 * (3.0 - cortex)).max(0.25),
            signals: Signals::of(scene),
        }
    }

    /// The signal, `[H, W]`, so many millimetres above the slice's height.
    pub(super) fn signal(&self, above: f32) -> Vec<f32> {
        self.sample(above, |depths, folds, relief| {
            self.tissue(&depths, folds, relief)
        })
    }

    /// Where there is lesion, `[H, W]`.
    pub(super) fn lesion(&self) -> Vec<u8> {
        self.sample(0.0, |depths, folds, _| {
            u8::from(self.changed(&depths, folds) >= VISIBLE)
        })
    }

    fn sample<T>(&self, above: f32, pixel: impl Fn(Depths, f32, f32) -> T) -> Vec<T> {
        let height = self.head.level + above;
        let along = self.head.along().map(|part| part * self.pixel);
        let (mut folds, mut relief) = (Row::new(self.size), Row::new(self.size));
        let mut values = Vec::with_capacity(self.size * self.size);
        for row in 0..self.size {
            let [x, y] = self.head.place(self.millimetres(0), self.millimetres(row));
            self.folds.fill([x, y, height], along, &mut folds);
            self.relief.fill([x, y, height], along, &mut relief);
            for column in 0..self.size {
                let right = column as f32;
                let point = [x + right * along[0], y + right * along[1], height];
                let fold = (folds.value[column], folds.slope[column]);
                let depths = self.depths(point, fold, relief.value[column]);
                values.push(pixel(depths, fold.0, relief.value[column]));
            }
        }
        values
    }

    fn millimetres(&self, place: usize) -> f32 {
        (place as f32 + 0.5 - self.size as f32 / 2.0) * self.pixel
    }

    fn depths(&self, point: [f32; 3], fold: (f32, [f32; 2]), relief: f32) -> Depths {
        let skin = self.head.depth(point);
        let mut depths = Depths {
            skin,
            pia: f32::NEG_INFINITY,
            ventricles: f32::NEG_INFINITY,
            nuclei: f32::NEG_INFINITY,
            point,
        };
        let brain = skin - self.head.scalp - self.head.skull - 1.0 - 1.5 * self.sulcus;
        // Outside the brain none of what follows is seen, and most pixels of a corner are air.
        if brain > -self.pixel {
            let sulci = self.sulci(brain, fold, relief);
            let fissures = self.deep.midline(point) - 0.6 - self.sulcus;
            let sylvian = Deep::sylvian(point) - self.sulcus + SULCUS.0;
            depths.pia = brain.min(sulci).min(fissures).min(sylvian);
            depths.ventricles = self.deep.ventricles(point);
            depths.nuclei = self.deep.nuclei(point);
        }
        depths
    }

    /// Distance to the nearest sulcus' wall, negative within the sulcus.
    fn sulci(&self, brain: f32, (value, slope): (f32, [f32; 2]), relief: f32) -> f32 {
        let steepness = slope[0].hypot(slope[1]).max(0.06);
        let reach = SULCUS_DEPTH.0 + SULCUS_DEPTH.1 * relief;
        value.abs() / steepness - self.sulcus + 0.8 * (brain - reach).max(0.0)
    }

    fn tissue(&self, depths: &Depths, folds: f32, relief: f32) -> f32 {
        let (signals, head) = (&self.signals, &self.head);
        let share = |depth: f32| (depth / self.pixel + 0.5).clamp(0.0, 1.0);
        let mut signal = share(depths.skin) * signals.scalp * (1.0 + 0.12 * relief);
        let mut paint = |share: f32, tissue: f32| signal += share * (tissue - signal);
        let skull = depths.skin - head.scalp;
        paint(share(skull), signals.bone);
        let middle = head.skull / 2.0;
        paint(
            share(0.25 * head.skull - (skull - middle).abs()),
            signals.marrow,
        );
        paint(share(skull - head.skull), signals.fluid);
        if depths.pia > -self.pixel {
            let uneven = 1.0 + 0.025 * relief + 0.01 * folds;
            paint(share(depths.pia), signals.grey * uneven);
            paint(share(depths.pia - self.cortex), signals.white * uneven);
            paint(share(depths.nuclei), signals.nuclei * uneven);
            paint(share(depths.ventricles), signals.fluid);
            paint(self.changed(depths, folds), signals.lesion * uneven);
        }
        signal
    }

    /// Share of the full change of signal that the lesions make.
    fn changed(&self, depths: &Depths, folds: f32) -> f32 {
        let solid = (depths.pia / self.pixel + 0.5).clamp(0.0, 1.0);
        if solid <= 0.0 {
            return 0.0;
        }
        let dry = (0.5 - depths.ventricles / self.pixel).clamp(0.0, 1.0);
        let share = self.lesions.share(depths.point, self.pixel, folds);
        share * self.lesions.conspicuity * solid * dry
    }
}

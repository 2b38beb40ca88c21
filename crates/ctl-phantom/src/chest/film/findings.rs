//! What the disease does to the lungs: focal and diffuse opacities, and pleural effusion.

use super::Findings;
use super::canvas::smooth_edge;
use super::individual::{Individual, MAX_OPACITIES, OpacityNoise};
use super::lungs::{LungPoint, Lungs};
use super::texture::cloud;

/// Standard deviations beyond which an opacity is not drawn.
const OPACITY_REACH: f64 = 3.0;
/// Share of the air that the densest focal opacity replaces at full load.
const FOCAL: f64 = 1.0;
/// The same for diffuse opacity, which covers far more of the lungs.
const DIFFUSE: f64 = 0.78;
/// Height of the fluid's level over the costophrenic angle in a full effusion.
const FLUID_REACH: f64 = 0.85;
/// How much higher the fluid stands at the chest wall than its level, and over what distance.
const MENISCUS: f64 = 0.16;
const MENISCUS_WIDTH: f64 = 0.13;
/// How much the level falls towards the midline.
const FALL: f64 = 0.12;
/// Fluid attenuates a little more than the tissue that it displaces.
const FLUID: f64 = 1.05;
/// An effusion smaller than this share is none.
const LEAST_EFFUSION: f64 = 0.02;

/// The disease of one patient, in place.
pub(crate) struct Disease<'a> {
    lungs: &'a Lungs,
    patches: Vec<Patch>,
    /// Share of the air that diffuse opacity replaces where it is densest.
    haze: f64,
    /// Height of the fluid's level on the film's left and right.
    fluid: [Option<f64>; 2],
    key: u64,
}

impl<'a> Disease<'a> {
    pub(crate) fn new(findings: &Findings, individual: &Individual, lungs: &'a Lungs) -> Self {
        let count = 1 + (individual.opacity_count * MAX_OPACITIES as f64) as usize;
        let focal = findings.load * findings.focality;
        let drawn = if focal > 0.0 { count } else { 0 };
        Self {
            lungs,
            patches: individual.opacities[..drawn.min(MAX_OPACITIES)]
                .iter()
                .map(|noise| Patch::new(noise, focal, lungs))
                .collect(),
            haze: DIFFUSE * findings.load * (1.0 - findings.focality),
            fluid: fluid(findings.effusion, individual.effusion, lungs),
            key: individual.texture,
        }
    }

    /// Tells whether nothing of the disease shows anywhere.
    pub(crate) fn is_nothing(&self) -> bool {
        self.patches.is_empty() && self.haze <= 0.0 && self.fluid == [None; 2]
    }

    /// Share of the air at a point of the lung that the disease replaces; a little above 1 in
    /// fluid.
    pub(crate) fn share(&self, place: &LungPoint) -> f64 {
        let opacity = self.opacity(place);
        let fluid = self.fluid(place);
        opacity + (FLUID - opacity) * fluid
    }

    fn opacity(&self, place: &LungPoint) -> f64 {
        let (x, y) = (place.x, place.y);
        let mut left = 1.0;
        for patch in &self.patches {
            left *= 1.0 - patch.at(x, y, self.key).min(1.0);
        }
        if self.haze > 0.0 {
            left *= 1.0 - self.haze * diffuse(self.lungs.along(y), x, y, self.key);
        }
        1.0 - left
    }

    fn fluid(&self, place: &LungPoint) -> f64 {
        let Some(level) = self.fluid[usize::from(place.x > 0.0)] else {
            return 0.0;
        };
        let to_wall = (self.lungs.lateral - place.x.abs()).max(0.0);
        let rise = MENISCUS * (-to_wall / MENISCUS_WIDTH).exp() - FALL * to_wall;
        // The fluid's edge thins upwards.
        smooth_edge(place.y - (level - rise), 0.06)
    }
}

/// Denser towards the bases and in clouds, with a fine mesh.
fn diffuse(along: f64, x: f64, y: f64, key: u64) -> f64 {
    let basal = 0.45 + 0.55 * along.clamp(0.0, 1.0);
    let clouds = 0.75 + 0.55 * cloud(key ^ 0x3C, x, y, 3.2, 2);
    let mesh = 1.0 + 0.35 * cloud(key ^ 0xC3, x, y, 13.0, 2);
    (basal * clouds * mesh).clamp(0.0, 1.0)
}

/// Where the fluid stands on either side: most patients have it on one side, or less on the other.
fn fluid(amount: f64, side: [f64; 2], lungs: &Lungs) -> [Option<f64>; 2] {
    let lesser = amount * ((side[1] - 0.4) / 0.6).max(0.0);
    let amounts = if side[0] < 0.5 {
        [amount, lesser]
    } else {
        [lesser, amount]
    };
    amounts.map(|amount| {
        // At the least amount the fluid only blunts the angle.
        let level = lungs.base + 0.5 * MENISCUS - FLUID_REACH * amount;
        (amount > LEAST_EFFUSION).then_some(level)
    })
}

/// A focal opacity in its place.
struct Patch {
    centre: [f64; 2],
    axes: [f64; 2],
    sin_cos: (f64, f64),
    strength: f64,
}

impl Patch {
    fn new(noise: &OpacityNoise, load: f64, lungs: &Lungs) -> Self {
        // A heavier load is both larger and denser.
        let radius = (0.09 + 0.07 * noise.radius) * (0.7 + 0.6 * load);
        let stretch = (1.0 + 0.8 * noise.elongation).sqrt();
        let side = if noise.side < 0.5 { 1.0 } else { -1.0 };
        let (along, across) = (0.22 + 0.66 * noise.along, 0.25 + 0.6 * noise.across);
        Self {
            centre: lungs.place(side, along, across, 0.5 * radius),
            axes: [radius * stretch, radius / stretch],
            sin_cos: (std::f64::consts::PI * noise.angle).sin_cos(),
            strength: FOCAL * load * (0.8 + 0.2 * noise.strength),
        }
    }

    /// A Gaussian with clouds in it.
    fn at(&self, x: f64, y: f64, key: u64) -> f64 {
        let (sin, cos) = self.sin_cos;
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let u = (cos * dx + sin * dy) / self.axes[0];
        let v = (cos * dy - sin * dx) / self.axes[1];
        let squared = u * u + v * v;
        if squared > OPACITY_REACH * OPACITY_REACH {
            return 0.0;
        }
        let clouds = 1.0 + 0.4 * cloud(key ^ 0x5A, x, y, 7.0, 3);
        self.strength * (-0.5 * squared).exp() * clouds
    }
}

//! The structural equations: each variable from its parents and its own noise.

use super::noise::{ChestNoise, MAX_OPACITIES, OpacityNoise};
use super::sample::{ChestAcquisition, ChestAnatomy, ChestAttributes, Opacity, Sex};
use super::site::Site;

/// Standard deviation of the age within a site, in years.
const AGE_SD: f64 = 15.0;
/// Youngest and oldest patient, in years.
pub(crate) const AGE_RANGE: [f64; 2] = [18.0, 95.0];
/// Age about which the anatomy's dependence on age is centred, in years.
const REFERENCE_AGE: f64 = 58.0;
/// Change of P(disease) per standard deviation of age, in units of P(1 - P).
const AGE_ON_DISEASE: f64 = 0.36;
/// P(tube) and P(marker), halfway between the healthy and the diseased.
const DEVICE_RATE: f64 = 0.45;

pub(crate) fn age(site: &Site, noise: &ChestNoise) -> f64 {
    let [youngest, oldest] = AGE_RANGE;
    (site.age_mean + AGE_SD * noise.age).clamp(youngest, oldest)
}

pub(crate) fn sex(noise: &ChestNoise) -> Sex {
    if noise.sex < 0.5 {
        Sex::Female
    } else {
        Sex::Male
    }
}

/// P(disease | site, age) is linear in age, so that its mean over the site's ages is the site's
/// prevalence.
pub(crate) fn disease(site: &Site, age: f64, noise: &ChestNoise) -> bool {
    let rate = site.prevalence;
    let standardised_age = (age - site.age_mean) / AGE_SD;
    noise.disease < rate + AGE_ON_DISEASE * rate * (1.0 - rate) * standardised_age
}

pub(crate) fn severity(range: [f64; 2], disease: bool, noise: &ChestNoise) -> f64 {
    let [least, greatest] = range;
    if disease {
        least + (greatest - least) * noise.severity
    } else {
        0.0
    }
}

pub(crate) fn anatomy(attributes: ChestAttributes, noise: &ChestNoise) -> ChestAnatomy {
    let u = &noise.anatomy;
    let years = attributes.age - REFERENCE_AGE;
    let female = f64::from(u8::from(attributes.sex == Sex::Female));
    ChestAnatomy {
        thorax_width: 0.74 - 0.03 * female + 0.018 * u.thorax_width,
        lung_height: 1.31 - 0.05 * female - 0.0012 * years + 0.06 * u.lung_height,
        body_width: 0.99 - 0.03 * female + 0.045 * u.body_width,
        dome_rise: 0.21 + 0.025 * u.dome_rise,
        dome_asymmetry: 0.05 + 0.02 * u.dome_asymmetry,
        heart_ratio: 0.47 + 0.012 * female + 0.0011 * years + 0.022 * u.heart_ratio,
        aorta: 0.082 + 0.0007 * years + 0.008 * u.aorta,
        rib_contrast: (1.0 - 0.006 * years + 0.12 * u.rib_contrast).max(0.3),
        rib_spacing: 0.142 - 0.006 * female + 0.005 * u.rib_spacing,
        breast: female * (0.20 + 0.06 * u.breast).max(0.02),
        aeration: 0.71 + 0.025 * u.aeration,
        vessels: (1.0 + 0.15 * u.vessels).max(0.4),
        gastric_air: (0.12 + 0.35 * u.gastric_air).max(0.0),
        rotation: 0.02 * u.rotation,
        shift_x: 0.025 * u.shift_x,
        shift_y: 0.03 * u.shift_y,
        zoom: 1.0 + 0.03 * u.zoom,
    }
}

pub(crate) fn opacities(severity: f64, noise: &ChestNoise) -> Vec<Opacity> {
    if severity <= 0.0 {
        return Vec::new();
    }
    let count = 1 + (noise.opacity_count * MAX_OPACITIES as f64) as usize;
    noise
        .opacities
        .iter()
        .take(count)
        .map(|opacity| self::opacity(severity, opacity))
        .collect()
}

fn opacity(severity: f64, u: &OpacityNoise) -> Opacity {
    Opacity {
        left_lung: u.side < 0.5,
        along: 0.25 + 0.65 * u.along,
        across: 0.25 + 0.6 * u.across,
        radius: 0.07 + 0.07 * u.radius,
        elongation: 1.0 + 0.8 * u.elongation,
        angle: std::f64::consts::PI * u.angle,
        contrast: severity * (0.38 + 0.30 * u.contrast),
    }
}

/// Gain, gamma, noise and blur; tube and marker are the next two equations.
pub(crate) fn scanner(site: &Site, noise: &ChestNoise) -> ChestAcquisition {
    let [gain, gamma, grain, blur] = noise.scanner;
    let neutral = ChestAcquisition::NEUTRAL;
    let position = &site.scanner;
    ChestAcquisition {
        gain: neutral.gain * (0.05 * position.gain + 0.03 * gain).exp(),
        gamma: neutral.gamma * (0.11 * position.gamma + 0.05 * gamma).exp(),
        noise_sd: neutral.noise_sd * (0.25 * position.noise + 0.15 * grain).exp(),
        blur_sigma: neutral.blur_sigma * (0.22 * position.blur + 0.12 * blur).exp(),
        ..neutral
    }
}

pub(crate) fn tube(site: &Site, disease: bool, noise: &ChestNoise) -> bool {
    noise.tube < device_rate(site.tube_gap, disease)
}

pub(crate) fn marker(site: &Site, disease: bool, noise: &ChestNoise) -> bool {
    noise.marker < device_rate(site.marker_gap, disease)
}

fn device_rate(gap: f64, disease: bool) -> f64 {
    DEVICE_RATE + if disease { gap / 2.0 } else { -gap / 2.0 }
}

//! Holes in images, filled from what surrounds them.

mod solver;
mod texture;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::in_range;
use crate::{CounterfactualError, Result};

/// How smoothly a hole is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smoothness {
    /// `Δu = 0`: the values at the rim spread as heat does; nothing leaves their range.
    #[default]
    Harmonic,
    /// `min Σ (Δu)²` over the hole and the pixels around it, whence `Δ²u = 0`: slopes go on across
    /// the rim, as in a bent plate, and values may leave their range.
    Biharmonic,
}

/// What lies over the smooth filling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Texture {
    /// Nothing.
    #[default]
    None,
    /// Normal noise with the autocovariance, hence the spectrum, of what surrounds the hole.
    Spectrum,
}

/// Settings of the filling of holes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InpaintConfig {
    /// How smoothly a hole is filled.
    pub smoothness: Smoothness,
    /// What lies over the smooth filling.
    pub texture: Texture,
    /// Width in pixels of the ring around a hole that the texture is of, 1 to 64.
    pub ring: usize,
    /// Norm of what is left of the equations over the norm of their right-hand side, above 0, at
    /// most 0.1.
    pub tolerance: f64,
    /// Iterations of conjugate gradients at most, at least 1.
    pub max_iterations: usize,
}

impl Default for InpaintConfig {
    fn default() -> Self {
        Self {
            smoothness: Smoothness::Harmonic,
            texture: Texture::None,
            ring: 4,
            tolerance: 1e-10,
            max_iterations: 20_000,
        }
    }
}

impl InpaintConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`CounterfactualError::Setting`] names the setting outside its range.
    pub fn validate(&self) -> Result<()> {
        let what = "inpainting";
        let ok = (1..=64).contains(&self.ring);
        in_range(what, "ring", (self.ring, ok), "1 to 64")?;
        let ok = self.tolerance > 0.0 && self.tolerance <= 0.1;
        let allowed = "above 0 and at most 0.1";
        in_range(what, "tolerance", (self.tolerance, ok), allowed)?;
        let most = self.max_iterations;
        in_range(what, "max_iterations", (most, most > 0), "at least 1")
    }
}

/// Fills a hole smoothly, without texture.
///
/// `Δ` is the five-point Laplacian of the image's grid, `(Δu)_p = Σ_{q ~ p} (u_q − u_p)` over the
/// neighbours that lie in the image, so that nothing flows across its border. The pixels outside
/// the hole stay, those inside solve the equations of [`Smoothness`].
///
/// # Arguments
/// - `plane`: `[H, W]`; what it has in the hole plays no part.
/// - `hole`: `[H, W]`, true where a value is sought.
/// - `size`: `H` and `W`.
///
/// # Returns
/// The plane with the hole filled, all other values bit for bit.
///
/// # Errors
/// When sizes do not fit together, the hole is the whole plane, a value outside it is not finite, a
/// setting is out of range, or the solver does not arrive within its iterations.
///
/// # Complexity
/// O(n) an iteration for n pixels in the hole; of the order of its diameter iterations for a
/// harmonic and of the diameter squared for a biharmonic filling.
///
/// # References
/// Pérez, Gangnet & Blake 2003, "Poisson Image Editing", equation 2 (membrane); Chan & Shen 2001,
/// "Mathematical Models for Local Nontexture Inpaintings"; Hestenes & Stiefel 1952 (the solver).
///
/// # Examples
/// A ramp has a hole:
/// ```
/// use ctl_counterfactual::generators::{InpaintConfig, filled};
///
/// let ramp: Vec<f64> = (0..25).map(|i| f64::from(i % 5) / 4.0).collect();
/// let mut hole = vec![false; 25];
/// hole[11..14].fill(true);
/// let mut broken = ramp.clone();
/// broken[11..14].fill(9.0);
/// let found = filled(&broken, &hole, [5, 5], &InpaintConfig::default())?;
/// assert!(found.iter().zip(&ramp).all(|(a, b)| (a - b).abs() < 1e-9));
/// # Ok::<(), ctl_counterfactual::CounterfactualError>(())
/// ```
pub fn filled(
    plane: &[f64],
    hole: &[bool],
    size: [usize; 2],
    config: &InpaintConfig,
) -> Result<Vec<f64>> {
    config.validate()?;
    check(plane, hole, size)?;
    let mut plane = plane.to_vec();
    if hole.contains(&true) {
        solver::fill(&mut plane, hole, size, config)?;
    }
    Ok(plane)
}

/// Fills a hole smoothly, and lays texture over it where the settings ask for it.
///
/// The texture of a pixel p is `Σ_k r_k w_{p − k} / √n` over the n known pixels k of the ring around
/// the hole, with white noise w: its covariance at a lag h is `Σ_k r_k r_{k + h} / n`, that of the
/// residuals r. A residual is what a pixel differs by from the mean of the m known pixels among the
/// 3 × 3 around it, times `√(m / (m − 1))`, which gives white noise its own variance; their mean over
/// the ring is taken off.
///
/// # Arguments
/// As [`filled`].
/// - `rng`: drawn from only where there is texture.
///
/// # Errors
/// As [`filled`].
///
/// # References
/// Galerne, Gousseau & Morel 2011, "Random Phase Textures: Theory and Synthesis", section 3
/// (asymptotic discrete spot noise). Deviation: the spot is an irregular ring, and residuals take the
/// place of the image less its mean, so that anatomy around the hole weighs less.
pub fn inpaint(
    plane: &[f64],
    hole: &[bool],
    size: [usize; 2],
    (config, rng): (&InpaintConfig, &mut ChaCha8Rng),
) -> Result<Vec<f64>> {
    let mut plane = filled(plane, hole, size, config)?;
    if config.texture == Texture::Spectrum && hole.contains(&true) {
        texture::lay(&mut plane, hole, size, (config.ring, rng));
    }
    Ok(plane)
}

fn check(plane: &[f64], hole: &[bool], [height, width]: [usize; 2]) -> Result<()> {
    let count = height * width;
    for (subject, found) in [("plane", plane.len()), ("hole", hole.len())] {
        if found != count || count == 0 {
            return Err(CounterfactualError::Shape {
                subject,
                expected: format!("{height} × {width} pixels, at least 1"),
                found: format!("{found} values"),
            });
        }
    }
    let mut known = plane.iter().zip(hole).filter(|(_, inside)| !**inside);
    if let Some((value, _)) = known.clone().find(|(value, _)| !value.is_finite()) {
        return Err(CounterfactualError::Value {
            subject: "pixel outside the hole".into(),
            expected: "a finite value".into(),
            found: value.to_string(),
        });
    }
    if known.next().is_none() {
        return Err(CounterfactualError::Value {
            subject: "hole".into(),
            expected: "a pixel outside it, to fill it from".into(),
            found: format!("all {count} pixels"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! The causal models from which the cohorts are drawn.

use ctl_graph::model::{CustomMechanism, Mechanism, ModelError, Noise, Scm, ScmBuilder};
use ctl_graph::{Diagram, NodeId};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::draw::stream;
use super::erlang::Erlang;
use super::mnist::CLASSES;
use super::{DigitError, DigitKind};

/// Thickness is this plus a gamma variable, in pixels.
const THINNEST: f64 = 0.5;
/// The gamma variable of the thickness.
const THICKNESS: Erlang = Erlang {
    shape: 10,
    rate: 5.0,
};
/// Least grey level of a stroke.
const DARKEST: f64 = 64.0;
/// Grey levels between the least and the greatest, 255.
const INTENSITY_RANGE: f64 = 191.0;
/// The logit of the intensity is normal around `SLOPE · thickness + OFFSET`.
const INTENSITY_SLOPE: f64 = 2.0;
const INTENSITY_OFFSET: f64 = -5.0;
/// Its standard deviation.
const INTENSITY_SPREAD: f64 = 0.5;
/// Probability that a coloured digit's label is not its class.
const LABEL_NOISE: f64 = 0.25;
/// Digits below this are class 1 of the coloured cohorts.
const CLASS_BOUNDARY: f64 = 5.0;

/// Names of the sites and, by site, the probability that the colour is not the label.
pub(super) const IRM_SITES: [(&str, f64); 3] =
    [("flip-0.2", 0.2), ("flip-0.1", 0.1), ("flip-0.9", 0.9)];
/// The same in `DomainBed`'s protocol, whose names give the agreement of colour and label.
pub(super) const DOMAINBED_SITES: [(&str, f64); 3] =
    [("plus-90", 0.1), ("plus-80", 0.2), ("minus-90", 0.9)];
/// Names of the sites and angles in degrees.
pub(super) const ROTATED_SITES: [(&str, f64); 6] = [
    ("rotated-0", 0.0),
    ("rotated-15", 15.0),
    ("rotated-30", 30.0),
    ("rotated-45", 45.0),
    ("rotated-60", 60.0),
    ("rotated-75", 75.0),
];
/// Both follow the same mechanisms; they share no digit.
pub(super) const MORPHO_SITES: [(&str, f64); 2] = [("train", 0.0), ("test", 0.0)];

/// `ln p(t)` of the thickness in the `MorphoMNIST` generator, `t = 0.5 + Gamma(10, rate 5)`.
///
/// # Arguments
/// - `thickness`: in pixels; negative infinity comes of 0.5 and less.
///
/// # Examples
///
/// ```
/// use ctl_phantom::digits::log_density_of_thickness;
///
/// // 10 ln 5 + 9 ln 2 - 10 - ln 9!
/// let expected = 10.0 * 5.0_f64.ln() + 9.0 * 2.0_f64.ln() - 10.0 - 362_880.0_f64.ln();
/// assert!((log_density_of_thickness(2.5) - expected).abs() < 1e-12);
/// ```
///
/// # References
/// Pawlowski, Castro & Glocker (2020), "Deep structural causal models for tractable counterfactual
/// inference", equation 9.
pub fn log_density_of_thickness(thickness: f64) -> f64 {
    THICKNESS.log_density(thickness - THINNEST)
}

/// `ln p(i | t)` of the intensity in the `MorphoMNIST` generator, `i = 64 + 191 σ(z)` with `z` normal
/// around `2t - 5` with standard deviation 0.5.
///
/// With `s = (i - 64) / 191` it is `ln N(logit s; 2t - 5, 0.5) - ln(191 s (1 - s))`.
///
/// # Arguments
/// - `intensity`: grey level; negative infinity comes of values outside 64 to 255.
/// - `thickness`: in pixels.
///
/// # Examples
///
/// ```
/// use ctl_phantom::digits::log_density_of_intensity;
///
/// // At the median the logit is 0: ln(1 / (0.5 √(2π))) - ln(191 / 4).
/// let expected = -(0.5 * std::f64::consts::TAU.sqrt()).ln() - (191.0_f64 / 4.0).ln();
/// assert!((log_density_of_intensity(159.5, 2.5) - expected).abs() < 1e-12);
/// ```
///
/// # References
/// As [`log_density_of_thickness`].
pub fn log_density_of_intensity(intensity: f64, thickness: f64) -> f64 {
    let part = (intensity - DARKEST) / INTENSITY_RANGE;
    if !(part > 0.0 && part < 1.0) {
        return f64::NEG_INFINITY;
    }
    let noise = intensity_noise(intensity, thickness);
    let log_normal = Noise::STANDARD.log_density(noise) - INTENSITY_SPREAD.ln();
    log_normal - (INTENSITY_RANGE * part * (1.0 - part)).ln()
}

fn intensity(thickness: f64, noise: f64) -> f64 {
    let logit = INTENSITY_SLOPE * thickness + INTENSITY_OFFSET + INTENSITY_SPREAD * noise;
    DARKEST + INTENSITY_RANGE / (1.0 + (-logit).exp())
}

/// The noise that gives an intensity, infinite where none does.
fn intensity_noise(intensity: f64, thickness: f64) -> f64 {
    let part = (intensity - DARKEST) / INTENSITY_RANGE;
    if !(part > 0.0 && part < 1.0) {
        return f64::INFINITY;
    }
    let logit = (part / (1.0 - part)).ln();
    (logit - INTENSITY_SLOPE * thickness - INTENSITY_OFFSET) / INTENSITY_SPREAD
}

/// A causal model and the noises of its nodes.
#[derive(Clone, Debug)]
pub(super) struct DigitModel {
    pub(super) scm: Scm,
    noises: Vec<Noise>,
}

impl DigitModel {
    /// The model of a kind of cohort.
    pub(super) fn new(kind: DigitKind) -> Result<Self, DigitError> {
        let parts = Parts::new(variables(kind))?;
        let model = match kind {
            DigitKind::Morpho => parts
                .root("digit", CLASSES)?
                .node("thickness", thickness_mechanism(), Noise::UNIT)?
                .node("intensity", intensity_mechanism(), Noise::STANDARD)?,
            DigitKind::ColoredIrm => coloured(parts, IRM_SITES)?,
            DigitKind::ColoredDomainbed => coloured(parts, DOMAINBED_SITES)?,
            DigitKind::Rotated => parts
                .root("site", ROTATED_SITES.len())?
                .root("digit", CLASSES)?
                .node("angle", angle_mechanism(), Noise::UNIT)?,
        };
        Ok(model.build()?)
    }

    /// The noises of a sample of which site and digit are known.
    pub(super) fn draw(&self, kind: DigitKind, seed: u64, known: &Known) -> Vec<f64> {
        let diagram = self.scm.diagram();
        let nodes = diagram.ids().zip(&self.noises);
        nodes
            .map(|(node, noise)| match diagram.name(node) {
                "site" => known.site as f64,
                "digit" => known.digit as f64,
                name => {
                    let mut rng = stream(seed, kind, known.row, name);
                    match noise {
                        Noise::Normal { mean, sd } => {
                            let standard: f64 = StandardNormal.sample(&mut rng);
                            mean + sd * standard
                        }
                        // Every other node of these models takes a noise from the unit interval.
                        _ => rng.random::<f64>(),
                    }
                }
            })
            .collect()
    }
}

/// What MNIST and the protocol say of a sample before anything is drawn.
pub(super) struct Known {
    pub(super) row: usize,
    pub(super) site: usize,
    pub(super) digit: usize,
}

/// The variables with the picture, as a diagram for advice.
pub(super) fn with_image(kind: DigitKind) -> Result<Diagram, DigitError> {
    let edges = match kind {
        DigitKind::Morpho => "digit -> image; thickness -> image; intensity -> image",
        DigitKind::ColoredIrm | DigitKind::ColoredDomainbed => "digit -> image; colour -> image",
        DigitKind::Rotated => "digit -> image; angle -> image",
    };
    parsed(&format!("{}; {edges}", variables(kind)))
}

fn variables(kind: DigitKind) -> &'static str {
    match kind {
        DigitKind::Morpho => "digit; thickness -> intensity",
        DigitKind::ColoredIrm | DigitKind::ColoredDomainbed => {
            "site; digit -> label; site -> colour; label -> colour"
        }
        DigitKind::Rotated => "site; digit; site -> angle",
    }
}

fn parsed(text: &str) -> Result<Diagram, DigitError> {
    Ok(Diagram::parse(text).map_err(ModelError::from)?)
}

/// A model under construction, its nodes given by name.
struct Parts {
    diagram: Diagram,
    builder: ScmBuilder,
    noises: Vec<Noise>,
}

impl Parts {
    fn new(text: &str) -> Result<Self, DigitError> {
        let diagram = parsed(text)?;
        Ok(Self {
            builder: Scm::builder(diagram.clone()),
            noises: vec![Noise::UNIT; diagram.len()],
            diagram,
        })
    }

    fn node(mut self, name: &str, mechanism: Mechanism, noise: Noise) -> Result<Self, ModelError> {
        let node: NodeId = self.diagram.node(name)?;
        self.noises[node.index()] = noise.clone();
        self.builder = self.builder.node(node, mechanism, noise);
        Ok(self)
    }

    /// A node without parents and with equally likely states, each its own noise.
    fn root(self, name: &str, count: usize) -> Result<Self, ModelError> {
        let states = (0..count).map(|state| state as f64).collect();
        self.node(name, Mechanism::linear(0.0, &[]), Noise::Empirical(states))
    }

    fn build(self) -> Result<DigitModel, ModelError> {
        Ok(DigitModel {
            scm: self.builder.build()?,
            noises: self.noises,
        })
    }
}

fn thickness_mechanism() -> Mechanism {
    let forward = |_: &[f64], noise: f64| THINNEST + THICKNESS.quantile(noise);
    let inverse = |_: &[f64], value: f64| THICKNESS.distribution(value - THINNEST);
    Mechanism::Custom(CustomMechanism::new(forward).with_inverse(inverse))
}

fn intensity_mechanism() -> Mechanism {
    let forward = |parents: &[f64], noise: f64| intensity(parents[0], noise);
    let inverse = |parents: &[f64], value: f64| intensity_noise(value, parents[0]);
    Mechanism::Custom(CustomMechanism::new(forward).with_inverse(inverse))
}

/// The label is the digit's class, flipped at times; the colour is the label, flipped as the site
/// has it.
fn coloured<const N: usize>(
    parts: Parts,
    sites: [(&'static str, f64); N],
) -> Result<Parts, ModelError> {
    let label = |parents: &[f64], noise: f64| {
        f64::from((parents[0] < CLASS_BOUNDARY) ^ (noise < LABEL_NOISE))
    };
    let colour = move |parents: &[f64], noise: f64| {
        let coloured = |flip: f64| f64::from((parents[1] > 0.5) ^ (noise < flip));
        of_site(&sites, parents[0]).map_or(f64::NAN, coloured)
    };
    let custom = |function| Mechanism::Custom(function);
    parts
        .root("site", N)?
        .root("digit", CLASSES)?
        .node("label", custom(CustomMechanism::new(label)), Noise::UNIT)?
        .node("colour", custom(CustomMechanism::new(colour)), Noise::UNIT)
}

/// Every digit of a site is turned by the same angle; the noise plays no part.
fn angle_mechanism() -> Mechanism {
    let angle = |parents: &[f64], _: f64| of_site(&ROTATED_SITES, parents[0]).unwrap_or(f64::NAN);
    Mechanism::Custom(CustomMechanism::new(angle))
}

/// What belongs to a site, none where there is no such site.
fn of_site(sites: &[(&str, f64)], site: f64) -> Option<f64> {
    sites.get(site as usize).map(|&(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctl_graph::model::Intervention;

    const KINDS: [DigitKind; 4] = [
        DigitKind::Morpho,
        DigitKind::ColoredIrm,
        DigitKind::ColoredDomainbed,
        DigitKind::Rotated,
    ];

    fn column<'a>(model: &Scm, samples: &'a ctl_graph::model::Samples, name: &str) -> &'a [f64] {
        samples.column(model.diagram().node(name).unwrap())
    }

    /// Minus the entropy of `Gamma(10, rate 5)` from `scipy.stats.gamma`, and the mean of
    /// `ln p(i | t)` from `scipy.integrate.quad` over both variables.
    #[test]
    fn the_model_reaches_its_own_optimum() {
        let model = DigitModel::new(DigitKind::Morpho).unwrap().scm;
        let samples = model.sample(100_000, 4).unwrap();
        let thickness = column(&model, &samples, "thickness");
        let intensity = column(&model, &samples, "intensity");
        let mean = |terms: &mut dyn Iterator<Item = f64>| terms.sum::<f64>() / 100_000.0;
        let of_thickness = mean(&mut thickness.iter().map(|&t| log_density_of_thickness(t)));
        let both = intensity.iter().zip(thickness);
        let of_intensity = mean(&mut both.map(|(&i, &t)| log_density_of_intensity(i, t)));
        // Four standard errors of 100 000 draws.
        assert!(
            (of_thickness + 0.926_616_266).abs() < 0.01,
            "{of_thickness}"
        );
        assert!(
            (of_intensity + 4.204_123_520).abs() < 0.012,
            "{of_intensity}"
        );
    }

    /// The means by quadrature over the densities themselves.
    #[test]
    fn the_densities_integrate_to_one_and_to_the_optimum() {
        let step = 1e-3;
        let grid = || (0..12_000).map(|k| 0.5 + (f64::from(k) + 0.5) * step);
        let mass = |t| log_density_of_thickness(t).exp() * step;
        assert!((grid().map(mass).sum::<f64>() - 1.0).abs() < 1e-6);
        let optimum: f64 = grid().map(|t| mass(t) * log_density_of_thickness(t)).sum();
        assert!((optimum + 0.926_616_266).abs() < 1e-6, "{optimum}");
        for thickness in [1.5, 2.5, 4.0] {
            let fine = 191.0 / 200_000.0;
            let levels = (0..200_000).map(|k| 64.0 + (f64::from(k) + 0.5) * fine);
            let density = |i| log_density_of_intensity(i, thickness).exp() * fine;
            assert!((levels.map(density).sum::<f64>() - 1.0).abs() < 1e-6);
        }
    }

    /// From `SciPy`: `norm.logpdf(logit(s), 2 t - 5, 0.5) - log(191 s (1 - s))`.
    #[test]
    fn the_density_of_the_intensity_is_that_of_scipy() {
        let golden = [
            (100.0, 2.0, -4.023_489_365_950_587),
            (180.0, 2.75, -4.052_762_118_222_5),
            (230.0, 3.2, -3.790_700_354_893_498),
        ];
        for (intensity, thickness, expected) in golden {
            let found = log_density_of_intensity(intensity, thickness);
            assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        }
        for outside in [64.0, 255.0, 0.0, f64::NAN] {
            assert!(log_density_of_intensity(outside, 2.5) < f64::MIN);
        }
    }

    #[test]
    fn noises_follow_from_what_was_seen() {
        let model = DigitModel::new(DigitKind::Morpho).unwrap().scm;
        let node = |name: &str| model.diagram().node(name).unwrap();
        let noises = [7.0, 0.3, -1.2];
        let values = model.predict(&noises).unwrap();
        let seen: Vec<_> = model.diagram().ids().zip(values.clone()).collect();
        for (found, expected) in model.abduct(&seen).unwrap().into_iter().zip(noises) {
            assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        }
        let done = [(node("thickness"), Intervention::Set(4.0))];
        let other = model.counterfactual(&seen, &done).unwrap();
        let expected = model.intervene(&done).unwrap().predict(&noises).unwrap();
        for (found, expected) in other.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
        }
        for (name, impossible) in [
            ("thickness", 0.4),
            ("intensity", 60.0),
            ("intensity", 255.0),
        ] {
            let mut seen = seen.clone();
            seen[node(name).index()].1 = impossible;
            assert!(model.abduct(&seen).is_err(), "{name} {impossible}");
        }
    }

    #[test]
    fn sites_that_do_not_exist_have_no_colour_and_no_angle() {
        for (kind, name) in [
            (DigitKind::ColoredIrm, "colour"),
            (DigitKind::Rotated, "angle"),
        ] {
            let model = DigitModel::new(kind).unwrap().scm;
            let site = model.diagram().node("site").unwrap();
            let beyond = model.intervene(&[(site, Intervention::Set(9.0))]).unwrap();
            let samples = beyond.sample(3, 0).unwrap();
            assert!(column(&model, &samples, name)[0].is_nan());
        }
    }

    #[test]
    fn the_image_is_caused_by_what_draws_it() {
        for kind in KINDS {
            let model = DigitModel::new(kind).unwrap().scm;
            let diagram = with_image(kind).unwrap();
            assert_eq!(diagram.len(), model.diagram().len() + 1);
            let image = diagram.node("image").unwrap();
            assert!(diagram.parents(image).len() >= 2);
            for node in model.diagram().ids() {
                let same = diagram.node(model.diagram().name(node)).unwrap();
                let names = |of: &Diagram, node| {
                    of.parents(node)
                        .iter()
                        .map(|p| of.name(p).to_owned())
                        .collect::<Vec<_>>()
                };
                assert_eq!(names(&diagram, same), names(model.diagram(), node));
            }
        }
    }
}

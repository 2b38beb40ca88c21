//! Small environments and differences for the methods' own tests.

use candle_core::{Device, Tensor, Var};

use crate::{
    BuildContext, Configured, EnvironmentOutputs, Method, MethodConfig, MethodInfo, Objective,
    ObjectiveError, Result, SoftmaxCrossEntropy, Step, TrainingData, Trial, Value,
};

/// Half the distance of central differences.
const DIFFERENCE_STEP: f64 = 1e-5;

/// A tensor in double precision.
pub(crate) fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

/// An environment of two-class logits; the features are the logits themselves.
pub(crate) fn classification(
    index: usize,
    logits: &[[f64; 2]],
    labels: &[u32],
) -> EnvironmentOutputs {
    let outputs = tensor(&logits.concat(), &[logits.len(), 2]);
    let target = Tensor::new(labels, &Device::Cpu).unwrap();
    EnvironmentOutputs::labelled(index, outputs.clone(), outputs, target)
}

/// The value of an objective at step 0 under cross-entropy.
pub(crate) fn evaluate(
    objective: &mut dyn Objective,
    environments: &[EnvironmentOutputs],
) -> Value {
    evaluate_at(objective, environments, 0)
}

/// The value of an objective at a given step under cross-entropy.
pub(crate) fn evaluate_at(
    objective: &mut dyn Objective,
    environments: &[EnvironmentOutputs],
    number: u64,
) -> Value {
    let loss = &SoftmaxCrossEntropy;
    objective
        .evaluate(&Step {
            number,
            environments,
            loss,
        })
        .unwrap()
}

/// Environments whose risks are linear in two weights, which begin at 0.
pub(crate) struct Lines {
    slopes: Vec<[f32; 2]>,
    weights: [f32; 2],
}

impl Lines {
    pub(crate) const RATE: f64 = 0.125;

    pub(crate) fn new(slopes: &[[f32; 2]]) -> Self {
        Self {
            slopes: slopes.to_vec(),
            weights: [0.0; 2],
        }
    }
}

impl Trial for Lines {
    fn number(&self) -> u64 {
        0
    }

    fn environments(&self) -> usize {
        self.slopes.len()
    }

    fn rows(&self, _environment: usize) -> usize {
        1
    }

    fn learning_rate(&self) -> f64 {
        Self::RATE
    }

    fn weights(&self) -> Result<Vec<Tensor>> {
        Ok(vec![Tensor::new(&self.weights, &Device::Cpu)?])
    }

    fn set_weights(&mut self, weights: &[Tensor]) -> Result<()> {
        let weights = weights[0].to_vec1::<f32>()?;
        self.weights = [weights[0], weights[1]];
        Ok(())
    }

    fn gradient(&mut self, environment: usize, _rows: usize) -> Result<(f64, Vec<Tensor>)> {
        let slope = self.slopes[environment];
        let risk = slope[0] * self.weights[0] + slope[1] * self.weights[1];
        Ok((f64::from(risk), vec![Tensor::new(&slope, &Device::Cpu)?]))
    }
}

/// A scalar as a number.
pub(crate) fn scalar(tensor: &Tensor) -> f64 {
    tensor.to_scalar::<f64>().unwrap()
}

/// The values of a tensor.
pub(crate) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Whether two numbers agree to 12 digits.
#[track_caller]
pub(crate) fn assert_near(found: f64, expected: f64) {
    let allowed = 1e-12 * expected.abs().max(1.0);
    assert!((found - expected).abs() <= allowed, "{found}, {expected}");
}

/// Compares the automatic gradient of `f` at a point with central differences.
#[track_caller]
pub(crate) fn assert_gradient(at: &Tensor, f: impl Fn(&Tensor) -> Tensor) {
    assert_gradient_of(at, &f, |x| scalar(&f(x)));
}

/// Compares the automatic gradient of `total` at a point with central differences of `value`, for
/// totals that hold a part of themselves constant.
#[track_caller]
pub(crate) fn assert_gradient_of(
    at: &Tensor,
    total: impl Fn(&Tensor) -> Tensor,
    value: impl Fn(&Tensor) -> f64,
) {
    let variable = Var::from_tensor(at).unwrap();
    let gradients = total(variable.as_tensor()).backward().unwrap();
    let found = gradients.get(&variable).map(flat).unwrap();
    let base = flat(at);
    for (i, found) in found.into_iter().enumerate() {
        let moved = |by: f64| {
            let mut moved = base.clone();
            moved[i] += by;
            value(&tensor(&moved, at.dims()))
        };
        let expected = (moved(DIFFERENCE_STEP) - moved(-DIFFERENCE_STEP)) / (2.0 * DIFFERENCE_STEP);
        let allowed = 1e-7 * expected.abs().max(1.0);
        assert!(
            (found - expected).abs() < allowed,
            "{i}: {found} {expected}"
        );
    }
}

/// Environments in which one tensor holds the features of all rows, and another their logits; each
/// label is a row, and `sizes` says how many rows an environment has.
pub(crate) fn environments_of(
    (features, logits): (&Tensor, &Tensor),
    labels: &[u32],
    sizes: &[usize],
) -> Vec<EnvironmentOutputs> {
    let mut first = 0;
    let environment = |(index, &rows): (usize, &usize)| {
        let target = Tensor::new(&labels[first..first + rows], &Device::Cpu).unwrap();
        let part = |all: &Tensor| all.narrow(0, first, rows).unwrap();
        let outputs = EnvironmentOutputs::labelled(index, part(features), part(logits), target);
        first += rows;
        outputs
    };
    sizes.iter().enumerate().map(environment).collect()
}

/// Numbers without a pattern, the same every time, between −1.5 and 1.5.
pub(crate) fn values(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        3.0 * ((state >> 11) as f64 / (1u64 << 53) as f64) - 1.5
    };
    (0..count).map(|_| next()).collect()
}

/// What a run of so many steps over two environments gives the parts of a method.
pub(crate) fn context(steps: u64) -> BuildContext<'static> {
    BuildContext {
        environments: 2,
        features: 2,
        outputs: 2,
        steps,
        independences: &[],
        seed: 0,
        run: "tests",
    }
}

/// Checks the settings of a method: defaults are valid, every setting is described and has a value
/// that is refused by name, every draw of a search is valid.
///
/// # Arguments
/// - `ill`: setting, value as JSON, what the message says is allowed.
pub(crate) fn check_settings<C: MethodConfig>(info: MethodInfo, ill: &[(&str, &str, &str)]) {
    let method = Configured::<C>::new(info);
    let defaults = method.defaults();
    assert_eq!(method.resolve(&serde_json::json!({})).unwrap(), defaults);
    for key in defaults.as_object().unwrap().keys() {
        let described = &method.schema()["properties"][key]["description"];
        assert!(described.is_string(), "{key}");
        assert!(ill.iter().any(|(name, ..)| name == key), "{key}");
    }
    for (key, value, allowed) in ill {
        let settings = format!("{{\"{key}\": {value}}}");
        let settings = serde_json::from_str(&settings).unwrap();
        let message = method.resolve(&settings).unwrap_err().to_string();
        assert!(message.contains(info.id), "{message}");
        assert!(
            message.contains(key) && message.contains(allowed),
            "{message}"
        );
    }
    for draw in 0..100 {
        let drawn = method.search_space().into_iter().map(|dimension| {
            let value = dimension.sample(1, info.id, draw);
            (dimension.key.to_owned(), value)
        });
        let settings = serde_json::Value::Object(drawn.collect());
        method.resolve(&settings).unwrap();
    }
}

/// Patients of some sources, and of a target, of whom classes or attributes are known; no images.
pub(crate) struct Patients {
    classes: Vec<Vec<u32>>,
    class_count: usize,
    names: Vec<String>,
    sources: Vec<Rows>,
    target: Option<Rows>,
}

/// Attributes of each patient.
pub(crate) type Rows = Vec<Vec<Option<f64>>>;

impl Patients {
    /// Sources of whose patients the class is known.
    pub(crate) fn classes(classes: &[&[u32]], class_count: usize) -> Self {
        Self {
            classes: classes.iter().map(|own| own.to_vec()).collect(),
            class_count,
            names: Vec::new(),
            sources: classes
                .iter()
                .map(|own| vec![Vec::new(); own.len()])
                .collect(),
            target: None,
        }
    }

    /// Sources and target of whose patients attributes are known.
    pub(crate) fn attributes(names: &[&str], sources: &[Rows], target: Option<Rows>) -> Self {
        Self {
            classes: Vec::new(),
            class_count: 0,
            names: names.iter().map(|&name| name.to_owned()).collect(),
            sources: sources.to_vec(),
            target,
        }
    }
}

impl TrainingData for Patients {
    fn sources(&self) -> usize {
        self.sources.len()
    }

    fn has_target(&self) -> bool {
        self.target.is_some()
    }

    fn shape(&self) -> [usize; 3] {
        [1, 1, 1]
    }

    fn samples(&self, environment: usize) -> usize {
        self.attributes(environment).len()
    }

    fn images(&self, _environment: usize, _rows: &[usize]) -> Result<Vec<f32>> {
        Err(ObjectiveError::Images("there are none".into()))
    }

    fn classes(&self, environment: usize) -> Option<Vec<u32>> {
        self.classes.get(environment).cloned()
    }

    fn class_count(&self) -> usize {
        self.class_count
    }

    fn attribute_names(&self) -> &[String] {
        &self.names
    }

    fn attributes(&self, environment: usize) -> Rows {
        let source = self.sources.get(environment);
        source.or(self.target.as_ref()).cloned().unwrap_or_default()
    }
}

//! Domain-adversarial training.

use candle_core::Tensor;
use ctl_compute::optim::AdamParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_weight;
use crate::discriminator::check_settings;
use crate::{
    Assumption, Auxiliary, BuildContext, ConfigError, Discriminator, DiscriminatorSpec,
    EnvironmentOutputs, Family, MethodConfig, MethodInfo, MethodParts, Needs, Objective,
    ObjectiveState, Result, Role, SearchDimension, Status, Step, Value, pooled_risk,
};

/// Description of `dann`.
pub const INFO: MethodInfo = MethodInfo {
    id: "dann",
    name: "DANN",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::InvariantFeatureMarginal],
    paper: "Ganin et al. 2016, Domain-Adversarial Training of Neural Networks",
    summary: "Trains features from which a discriminator cannot tell the sources apart.",
};

/// Description of `dann-target`.
pub const TARGET_INFO: MethodInfo = MethodInfo {
    id: "dann-target",
    name: "DANN with target images",
    role: Role::Adaptation,
    needs: Needs::TARGET,
    summary: "Trains features from which a discriminator cannot tell sources and target apart.",
    ..INFO
};

/// Settings of `dann` and `dann-target`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DannConfig {
    /// Weight of the reversed discriminator loss, not negative.
    pub lambda: f64,
    /// Weight of the squared norm of the discriminator's input gradient, not negative.
    pub grad_penalty: f64,
    /// Width of the discriminator's hidden layers, 1 to 4096.
    pub discriminator_width: usize,
    /// Linear layers of the discriminator, 1 to 8.
    pub discriminator_depth: usize,
    /// Step size of the discriminator's Adam, positive.
    pub discriminator_learning_rate: f64,
    /// First-moment decay of the discriminator's Adam, in [0, 1).
    pub discriminator_beta1: f64,
}

impl Default for DannConfig {
    /// The defaults of `DomainBed` for small images.
    fn default() -> Self {
        Self {
            lambda: 1.0,
            grad_penalty: 0.0,
            discriminator_width: 256,
            discriminator_depth: 3,
            discriminator_learning_rate: 1e-3,
            discriminator_beta1: 0.5,
        }
    }
}

impl MethodConfig for DannConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "lambda", self.lambda)?;
        check_weight(method, "grad_penalty", self.grad_penalty)?;
        check_settings(
            method,
            (self.discriminator_width, self.discriminator_depth),
            (self.discriminator_learning_rate, self.discriminator_beta1),
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("lambda", -2.0, 2.0),
            SearchDimension::log_uniform("grad_penalty", -2.0, 1.0),
            SearchDimension::log_uniform("discriminator_learning_rate", -4.5, -2.5),
            SearchDimension::choice("discriminator_beta1", vec![0.0.into(), 0.5.into()]),
            SearchDimension::choice("discriminator_depth", vec![3.into(), 4.into(), 5.into()]),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let discriminator = self.discriminator(context)?;
        Ok(MethodParts::objective(Dann::new(*self, discriminator)))
    }
}

impl DannConfig {
    /// The discriminator of a run, one class for each environment.
    pub(crate) fn discriminator(&self, context: &BuildContext<'_>) -> Result<Discriminator> {
        let spec = DiscriminatorSpec {
            features: context.features,
            width: self.discriminator_width,
            depth: self.discriminator_depth,
            environments: context.environments,
        };
        Discriminator::new(spec, context.seed, context.run)
    }

    /// How the discriminator is trained.
    pub(crate) fn adam(&self) -> AdamParams {
        AdamParams {
            learning_rate: self.discriminator_learning_rate,
            beta1: self.discriminator_beta1,
            ..AdamParams::default()
        }
    }

    /// `R − λ L_D` from the parts of `L_D`, cross-entropy and gradient penalty: with constant
    /// discriminator for the network, on detached features for the discriminator.
    pub(crate) fn value(
        &self,
        risk: Tensor,
        frozen: [Tensor; 2],
        own: &[Tensor; 2],
    ) -> Result<Value> {
        let penalised = |[cross_entropy, penalty]: &[Tensor; 2]| -> Result<Tensor> {
            Ok((cross_entropy + (penalty * self.grad_penalty)?)?)
        };
        let reversed = penalised(&frozen)?;
        let total = (&risk - (&reversed * self.lambda)?)?;
        let [cross_entropy, penalty] = frozen;
        let terms = vec![
            ("risk", risk),
            ("discriminator-loss", reversed),
            ("discriminator-cross-entropy", cross_entropy),
            ("discriminator-gradient-penalty", penalty),
        ];
        let mut value = Value::new(total, terms);
        value.auxiliary = Some(penalised(own)?);
        Ok(value)
    }
}

/// The environment index of every row of the features, environment by environment.
pub(crate) fn environment_of_rows(environments: &[&EnvironmentOutputs]) -> Result<Vec<u32>> {
    let mut index = Vec::new();
    for environment in environments {
        let rows = environment.features.dim(0)?;
        index.extend(std::iter::repeat_n(environment.environment as u32, rows));
    }
    Ok(index)
}

/// `R − λ L_D` for the network, `L_D` for the discriminator, in one step.
///
/// `R` is the mean loss over all labelled samples; `L_D` the discriminator's mean cross-entropy
/// over all samples, plus `grad_penalty` times the mean squared norm of its input gradient.
/// Reversal is done by evaluating `L_D` twice: with constant discriminator for the network, and on
/// detached features for the discriminator.
///
/// # References
/// Ganin et al. 2016, equation 9 (simultaneous updates).
///
/// Deviation: the discriminator there is binary, source against target. Here it has one class per
/// environment, as in `DomainBed`: each source for `dann`, each source and the target for
/// `dann-target`, which therefore aligns the sources with one another as well. With one source and
/// a target the two agree.
pub struct Dann {
    config: DannConfig,
    discriminator: Discriminator,
}

impl Dann {
    /// The objective with a given discriminator.
    pub fn new(config: DannConfig, discriminator: Discriminator) -> Self {
        Self {
            config,
            discriminator,
        }
    }
}

impl Objective for Dann {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let environments: Vec<_> = step.environments.iter().collect();
        let index = environment_of_rows(&environments)?;
        let features: Vec<_> = environments.iter().map(|e| &e.features).collect();
        let features = Tensor::cat(&features, 0)?;
        let frozen = self.discriminator.loss(&features, &index, true)?;
        let own = self.discriminator.loss(&features.detach(), &index, false)?;
        self.config.value(pooled_risk(step)?, frozen, &own)
    }

    fn auxiliary(&self) -> Option<Auxiliary> {
        Some(Auxiliary {
            variables: self.discriminator.variables(),
            adam: self.config.adam(),
        })
    }

    fn state(&self) -> Result<ObjectiveState> {
        self.discriminator.state()
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        self.discriminator.restore(state)
    }
}

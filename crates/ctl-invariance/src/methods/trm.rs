//! Transfer risk minimisation.

mod place;

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::place::Place;
use super::group_dro::parts;
use crate::config::{check_positive, check_weight};
use crate::{
    Assumption, BuildContext, ConfigError, Exception, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, ObjectiveError, ObjectiveState, Result, Role, SampleLoss,
    SearchDimension, Status, Step, Value, in_range, pooled_risk,
};

const ID: &str = "trm";
/// The series for an inverse Hessian ends where an entry leaves this range: it does not converge.
const LARGEST_ENTRY: f64 = 10.0;

/// Description of `trm`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
    name: "TRM",
    family: Family::Invariance,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: Exception::WITHOUT_CLASSES,
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Xu & Jaakkola 2021, Learning Representations that Support Robust Transfer of Predictors",
    summary: "Minimises the risk of the best predictor of one environment when it is applied to the others.",
};

/// Settings of `trm`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrmConfig {
    /// Weight of the gradient-matching term, not negative; 1 is the derivative of the best
    /// predictor itself.
    pub matching_weight: f64,
    /// Steps before the transfer risk sets in.
    pub anneal_steps: u64,
    /// Step size of the shares with which the other environments count, positive.
    pub eta: f64,
    /// Gradient steps of every environment's predictor in a step of training, 1 to 10000.
    pub head_steps: usize,
    /// Their step size, positive.
    pub head_learning_rate: f64,
    /// Terms of the series for the inverse Hessian after the first, at most 10000.
    pub hessian_terms: usize,
    /// Step s of that series, positive: it converges where s is below 2 over the largest curvature.
    pub hessian_scale: f64,
}

impl Default for TrmConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            matching_weight: 1e-4,
            anneal_steps: 200,
            eta: 0.01,
            head_steps: 30,
            head_learning_rate: 0.1,
            hessian_terms: 10,
            hessian_scale: 1.0,
        }
    }
}

impl MethodConfig for TrmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "matching_weight", self.matching_weight)?;
        check_positive(method, "eta", self.eta)?;
        let ok = (1..=10_000).contains(&self.head_steps);
        in_range(method, "head_steps", &self.head_steps, "1 to 10000", ok)?;
        check_positive(method, "head_learning_rate", self.head_learning_rate)?;
        let terms = self.hessian_terms;
        in_range(
            method,
            "hessian_terms",
            &terms,
            "at most 10000",
            terms <= 10_000,
        )?;
        check_positive(method, "hessian_scale", self.hessian_scale)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("matching_weight", -5.0, 0.0),
            SearchDimension::log_uniform_integer("anneal_steps", 0.0, 4.0),
            SearchDimension::log_uniform("eta", -3.0, -1.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Trm::new(*self)))
    }
}

/// `R + mean_Q Σ_{P≠Q} α_QP R_P(w_Q)`: the risk of the predictor that is best in environment Q when
/// it is applied to the others, with shares α that follow the worst of them.
///
/// `w_Q` is a linear predictor on the features φ, with intercept. It depends on the features, and
/// its derivative follows from its optimality: in the gradient stands
/// `−λ vᵀ H⁻¹ ∂φ ∇_w R_Q(w_Q)` with `v = ∇_w Σ_P α_QP R_P(w_Q)` and the Hessian H of `R_Q`, which is
/// exact at λ = `matching_weight` = 1. `H⁻¹ v` is the Neumann series `s Σ_i (1 − s H)ⁱ v`, held
/// constant.
/// Shares grow as `α_QP ← α_QP exp(η R_P(w_Q))`, normalised, after each step.
///
/// Products with H come from the closed form of the loss's derivative, so no second-order automatic
/// differentiation is needed.
///
/// # References
/// Xu & Jaakkola 2021, with the settings of their program and of `DomainBed`.
/// Deviations: predictors begin at 0 and go on from where the last step left them; they have an
/// intercept in every term; shares grow with the risk, where the program takes its product with the
/// share.
pub struct Trm {
    config: TrmConfig,
    /// Predictors `[K, F + 1]` by environment, intercept last; flat after a state was put back.
    heads: BTreeMap<usize, Tensor>,
    /// α by environment of the predictor and of the samples.
    shares: BTreeMap<[usize; 2], f64>,
}

impl Trm {
    /// The objective with the given settings.
    pub fn new(config: TrmConfig) -> Self {
        Self {
            config,
            heads: BTreeMap::new(),
            shares: BTreeMap::new(),
        }
    }

    /// Moves the predictor of an environment towards its optimum.
    fn train_head(&mut self, place: &Place<'_>, loss: &dyn SampleLoss) -> Result<Tensor> {
        let zero = place.zero_head()?;
        let mut head = match self.heads.get(&place.index()) {
            Some(head) if head.elem_count() == zero.elem_count() => {
                let head = head.reshape(zero.shape())?.to_device(zero.device())?;
                head.to_dtype(zero.dtype())?
            }
            Some(head) => {
                let expected = format!("{:?}", zero.dims());
                let found = format!("{} numbers", head.elem_count());
                return Err(state_fault(&head_key(place.index()), expected, found));
            }
            None => zero,
        };
        for _ in 0..self.config.head_steps {
            let gradient = place.gradient(&head, loss)?.detach();
            head = (head - (gradient * self.config.head_learning_rate)?)?;
        }
        self.heads.insert(place.index(), head.clone());
        Ok(head)
    }

    /// Shares of the other environments for one predictor, summing to 1.
    fn shares_of(&self, predictor: usize, others: &[&Place<'_>]) -> Vec<f64> {
        let known = |place: &&Place<'_>| self.shares.get(&[predictor, place.index()]);
        let raw: Vec<f64> = others
            .iter()
            .map(|p| known(p).copied().unwrap_or(1.0))
            .collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter().map(|share| share / sum).collect()
    }

    fn update_shares(&mut self, predictor: usize, others: &[&Place<'_>], risks: &[f64]) {
        let before = self.shares_of(predictor, others);
        // A common factor cancels in the normalisation; without it a large risk would overflow.
        let worst = risks.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let raw = before.iter().zip(risks);
        let raw: Vec<f64> = raw
            .map(|(share, risk)| share * (self.config.eta * (risk - worst)).exp())
            .collect();
        let sum: f64 = raw.iter().sum();
        for (place, share) in others.iter().zip(raw) {
            let (high, rest) = parts((share / sum).max(f64::from(f32::MIN_POSITIVE)));
            let stored = f64::from(high) + f64::from(rest);
            self.shares.insert([predictor, place.index()], stored);
        }
    }

    /// `H⁻¹ v` by its Neumann series, as far as that stays in range.
    fn solved(
        &self,
        (place, head): (&Place<'_>, &Tensor),
        vector: &Tensor,
        loss: &dyn SampleLoss,
    ) -> Result<Tensor> {
        let scale = self.config.hessian_scale;
        let mut term = (vector * scale)?;
        let mut sum = term.clone();
        for _ in 0..self.config.hessian_terms {
            let product = place.hessian_product(head, &term, loss)?;
            term = (term - (product * scale)?)?;
            sum = (sum + &term)?;
            let largest = sum.abs()?.max_all()?.to_dtype(DType::F64)?;
            if largest.to_scalar::<f64>()? > LARGEST_ENTRY {
                break;
            }
        }
        Ok(sum)
    }

    /// Direct transfer and gradient matching of one environment's predictor.
    fn transfer(
        &mut self,
        own: &Place<'_>,
        others: &[&Place<'_>],
        loss: &dyn SampleLoss,
    ) -> Result<[Tensor; 2]> {
        let still = own.constant();
        let head = self.train_head(&still, loss)?;
        let shares = self.shares_of(own.index(), others);
        let (mut direct, mut vector) = (Vec::new(), head.zeros_like()?);
        let mut risks = Vec::new();
        for (other, share) in others.iter().zip(shares) {
            let risk = other.risk(&head, loss)?;
            risks.push(risk.to_dtype(DType::F64)?.to_scalar::<f64>()?);
            direct.push((risk * share)?);
            let gradient = other.constant().gradient(&head, loss)?.detach();
            vector = (vector + (gradient * share)?)?;
        }
        let solved = self.solved((&still, &head), &vector, loss)?.detach();
        let matching = own.gradient(&head, loss)?.mul(&solved)?.sum_all()?;
        self.update_shares(own.index(), others, &risks);
        Ok([Tensor::stack(&direct, 0)?.sum_all()?, matching])
    }
}

impl Objective for Trm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = pooled_risk(step)?;
        let environments = step.labelled()?;
        if step.number < self.config.anneal_steps || environments.len() < 2 {
            return Ok(Value::new(risk.clone(), vec![("risk", risk)]));
        }
        if let Some(images) = environments.iter().find(|e| e.outputs.rank() != 2) {
            return Err(ObjectiveError::Environments {
                method: ID,
                expected: "outputs [B, K], which a linear predictor on the features gives".into(),
                found: format!("{:?}", images.outputs.dims()),
            });
        }
        let places = environments.into_iter().map(Place::new);
        let places = places.collect::<Result<Vec<_>>>()?;
        let (mut direct, mut matching) = (Vec::new(), Vec::new());
        for own in &places {
            let others: Vec<_> = places.iter().filter(|p| p.index() != own.index()).collect();
            let [transferred, matched] = self.transfer(own, &others, step.loss)?;
            direct.push(transferred);
            matching.push(matched);
        }
        let direct = Tensor::stack(&direct, 0)?.mean_all()?;
        let matching = Tensor::stack(&matching, 0)?.mean_all()?;
        let total = ((&risk + &direct)? - (&matching * self.config.matching_weight)?)?;
        let terms = vec![
            ("risk", risk),
            ("transfer-risk", direct),
            ("gradient-matching", matching),
        ];
        Ok(Value::new(total, terms))
    }

    fn state(&self) -> Result<ObjectiveState> {
        let mut state = ObjectiveState::new();
        for (index, head) in &self.heads {
            let flat = head.flatten_all()?.to_dtype(DType::F32)?;
            state.insert(head_key(*index), flat.to_vec1()?);
        }
        for ([predictor, samples], share) in &self.shares {
            let (high, rest) = parts(*share);
            state.insert(format!("share {predictor} {samples}"), vec![high, rest]);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        let mut restored = Self::new(self.config);
        for (key, values) in state {
            let words: Vec<&str> = key.split(' ').collect();
            match (&words[..], &values[..]) {
                (["head", index], [_, ..]) => {
                    let head = Tensor::new(&values[..], &candle_core::Device::Cpu)?;
                    restored.heads.insert(number(key, index)?, head);
                }
                (["share", predictor, samples], [high, rest]) => {
                    let pair = [number(key, predictor)?, number(key, samples)?];
                    restored
                        .shares
                        .insert(pair, f64::from(*high) + f64::from(*rest));
                }
                _ => {
                    let expected = "heads, or shares of two numbers".into();
                    return Err(state_fault(
                        key,
                        expected,
                        format!("{} numbers", values.len()),
                    ));
                }
            }
        }
        *self = restored;
        Ok(())
    }
}

fn head_key(index: usize) -> String {
    format!("head {index}")
}

fn number(key: &str, word: &str) -> Result<usize> {
    let parsed = word.parse();
    parsed.map_err(|_| state_fault(key, "an environment's index".into(), word.to_owned()))
}

fn state_fault(key: &str, expected: String, found: String) -> ObjectiveError {
    ObjectiveError::State {
        method: ID,
        key: key.to_owned(),
        expected,
        found,
    }
}

#[cfg(test)]
mod tests;

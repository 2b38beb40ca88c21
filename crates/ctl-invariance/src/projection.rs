//! A network through which features are seen by an objective alone.

use candle_core::{Tensor, Var};
use ctl_nets::{Initialiser, Linear, Parameters};

use crate::{ObjectiveState, Result, weights};

/// Added to the variance before the root is taken, as in `PyTorch`.
const EPSILON: f64 = 1e-5;
/// The hidden layers are this much wider than the features.
const WIDENING: usize = 2;

/// A linear layer, normalisation over the batch, scale and shift.
struct Layer {
    linear: Linear,
    scale: Var,
    shift: Var,
}

/// Three linear layers, each followed by normalisation over the batch, with `ReLU` between them:
/// `[B, F] -> [B, 2F] -> [B, 2F] -> [B, F]`.
///
/// # References
/// Kim et al. 2021, the class-specific domain perturbation layer; sizes of the authors' program.
pub struct Projection {
    layers: Vec<Layer>,
}

impl Projection {
    /// A projection of features of a given width, with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When the width is 0.
    pub fn new(features: usize, seed: u64, run: &str) -> Result<Self> {
        Self::with(features, Parameters::new(seed, run))
    }

    /// The same in double precision, for checks by finite differences.
    ///
    /// # Errors
    /// When the width is 0.
    pub fn in_double_precision(features: usize, seed: u64, run: &str) -> Result<Self> {
        Self::with(features, Parameters::new(seed, run).in_double_precision())
    }

    fn with(features: usize, mut parameters: Parameters) -> Result<Self> {
        let hidden = WIDENING * features;
        let sizes = [features, hidden, hidden, features];
        let layers = sizes.windows(2).enumerate().map(|(index, size)| {
            let name = format!("projection{index}");
            let linear = Linear::new(&mut parameters, &name, size[0], size[1])?;
            let mut constant = |part: &str, value| {
                let initialiser = Initialiser::Constant(value);
                parameters.add(&format!("{name}.{part}"), &[size[1]], initialiser)
            };
            Ok(Layer {
                linear,
                scale: constant("scale", 1.0)?,
                shift: constant("shift", 0.0)?,
            })
        });
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// `[B, F] -> [B, F]`
    ///
    /// # Errors
    /// When the features are of another width.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let mut hidden = features.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                hidden = hidden.relu()?;
            }
            let normalised = normalised(&layer.linear.forward(&hidden)?)?;
            hidden = normalised
                .broadcast_mul(&layer.scale)?
                .broadcast_add(&layer.shift)?;
        }
        Ok(hidden)
    }

    /// The trained weights.
    pub fn variables(&self) -> Vec<Var> {
        self.named().into_iter().map(|(_, var)| var).collect()
    }

    /// The weights as plain numbers in single precision.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn state(&self) -> Result<ObjectiveState> {
        weights::state(&self.named())
    }

    /// Puts weights back; nothing changes unless all of them fit.
    ///
    /// # Errors
    /// When they belong to a projection of another width.
    pub fn restore(&self, state: &ObjectiveState) -> Result<()> {
        weights::restore("projection", &self.named(), state)
    }

    fn named(&self) -> weights::Named {
        let layers = self.layers.iter().enumerate();
        let of_layer = |(index, layer): (usize, &Layer)| {
            let (weight, bias) = layer.linear.weights();
            let parts = [
                ("weight", weight),
                ("bias", bias),
                ("scale", &layer.scale),
                ("shift", &layer.shift),
            ];
            parts.map(|(part, var)| (format!("projection{index}.{part}"), var.clone()))
        };
        layers.flat_map(of_layer).collect()
    }
}

/// Columns of mean 0 and variance 1 over the batch.
fn normalised(values: &Tensor) -> Result<Tensor> {
    let centred = values.broadcast_sub(&values.mean_keepdim(0)?)?;
    let variance = (centred.sqr()?.mean_keepdim(0)? + EPSILON)?;
    Ok(centred.broadcast_div(&variance.sqrt()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{assert_gradient, assert_near, flat, tensor, values};

    /// Values 1 and 3 in a column: ∓1/√(1 + ε).
    #[test]
    fn columns_are_normalised() {
        let found = flat(&normalised(&tensor(&[1.0, 5.0, 3.0, 5.0], &[2, 2])).unwrap());
        let expected = 1.0 / (1.0 + EPSILON).sqrt();
        for (found, expected) in found.into_iter().zip([-expected, 0.0, expected, 0.0]) {
            assert_near(found, expected);
        }
    }

    /// Standardised columns of the last layer are what comes out, as scale and shift begin at 1 and
    /// 0.
    #[test]
    fn outputs_begin_standardised_and_have_the_width_of_the_features() {
        let features = tensor(&values(24, 1), &[8, 3]);
        let projection = Projection::in_double_precision(3, 0, "t").unwrap();
        let projected = projection.forward(&features).unwrap();
        assert_eq!(projected.dims(), [8, 3]);
        for value in flat(&projected.mean(0).unwrap()) {
            assert!(value.abs() < 1e-12);
        }
        for value in flat(&projected.sqr().unwrap().mean(0).unwrap()) {
            assert!((value - 1.0).abs() < 1e-2, "{value}");
        }
        assert_gradient(&features, |x| {
            let weights = tensor(&values(24, 2), &[8, 3]);
            let projected = projection.forward(x).unwrap();
            projected.mul(&weights).unwrap().sum_all().unwrap()
        });
    }

    #[test]
    fn state_is_taken_back_whole_or_not_at_all() {
        let projection = Projection::new(3, 0, "t").unwrap();
        let other = Projection::new(3, 1, "t").unwrap();
        let state = projection.state().unwrap();
        assert_ne!(other.state().unwrap(), state);
        other.restore(&state).unwrap();
        assert_eq!(other.state().unwrap(), state);
        let narrow = Projection::new(2, 0, "t").unwrap();
        let before = narrow.state().unwrap();
        let message = narrow.restore(&state).unwrap_err().to_string();
        assert!(message.contains("projection"), "{message}");
        assert_eq!(narrow.state().unwrap(), before);
        assert!(Projection::new(0, 0, "t").is_err());
    }
}

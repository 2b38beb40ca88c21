//! Exponential moving average of weights.

use candle_core::Var;

use super::inplace::change_in_place;
use super::{check_decay, check_sizes};
use crate::kernels::update;
use crate::ops::values;
use crate::{ComputeError, Result};

/// `s ← decay · s + (1 − decay) · θ` after every update; evaluation uses `s` in place of `θ`.
///
/// # References
/// Polyak & Juditsky 1992; the exponential form of Tarvainen & Valpola 2017, equation 1.
pub struct Ema {
    decay: f64,
    variables: Vec<Var>,
    average: Vec<Vec<f32>>,
    swapped: bool,
}

impl Ema {
    /// An average over `variables` (`f32`) that starts at their values.
    ///
    /// # Errors
    /// When the decay is not in `[0, 1)` or a variable is not `f32` on the CPU.
    pub fn new(variables: Vec<Var>, decay: f64) -> Result<Self> {
        check_decay("ema", "decay", decay)?;
        let read = |v: &Var| Ok(v.flatten_all()?.to_vec1::<f32>()?);
        let average = variables.iter().map(read).collect::<Result<_>>()?;
        Ok(Self {
            decay,
            variables,
            average,
            swapped: false,
        })
    }

    /// Moves the average towards the variables.
    ///
    /// # Errors
    /// When the average is swapped in: the variables are not the trained weights then.
    pub fn update(&mut self) -> Result<()> {
        if self.swapped {
            return Err(ComputeError::State {
                what: "ema",
                expected: "the trained weights in the variables".into(),
                found: "the average swapped in".into(),
            });
        }
        let decay = self.decay as f32;
        for (variable, average) in self.variables.iter().zip(&mut self.average) {
            values(variable, |theta| update::average(decay, theta, average))?;
        }
        Ok(())
    }

    /// Exchanges the variables' values with the average; a second call undoes the first.
    ///
    /// # Errors
    /// When a variable is not `f32` on the CPU.
    pub fn swap(&mut self) -> Result<()> {
        for (variable, average) in self.variables.iter().zip(&mut self.average) {
            change_in_place(variable, average, <[f32]>::swap_with_slice)?;
        }
        self.swapped = !self.swapped;
        Ok(())
    }

    /// Whether the variables hold the average.
    pub fn is_swapped(&self) -> bool {
        self.swapped
    }

    /// The average, for a checkpoint, in the order of the variables.
    ///
    /// # Errors
    /// When the average is swapped in.
    pub fn state(&self) -> Result<Vec<Vec<f32>>> {
        if self.swapped {
            return Err(ComputeError::State {
                what: "ema",
                expected: "the average beside the variables".into(),
                found: "the average swapped in".into(),
            });
        }
        Ok(self.average.clone())
    }

    /// Puts a stored average back.
    ///
    /// # Errors
    /// When it belongs to variables of other sizes.
    pub fn restore(&mut self, state: &[Vec<f32>]) -> Result<()> {
        let sizes: Vec<usize> = self.variables.iter().map(|v| v.elem_count()).collect();
        check_sizes("ema", &sizes, state)?;
        self.average = state.to_vec();
        self.swapped = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    /// From 1 with decay 0.5, θ = 3, 3: s = 2, 2.5.
    #[test]
    fn average_swaps_in_and_out() {
        let theta = Var::new(&[1f32], &Device::Cpu).unwrap();
        let mut ema = Ema::new(vec![theta.clone()], 0.5).unwrap();
        theta
            .set(&Tensor::new(&[3f32], &Device::Cpu).unwrap())
            .unwrap();
        ema.update().unwrap();
        ema.update().unwrap();
        assert_eq!(ema.state().unwrap(), [[2.5]]);
        ema.swap().unwrap();
        assert_eq!(theta.to_vec1::<f32>().unwrap(), [2.5]);
        assert!(ema.update().is_err() && ema.state().is_err() && ema.is_swapped());
        ema.swap().unwrap();
        assert_eq!(theta.to_vec1::<f32>().unwrap(), [3.0]);
        ema.restore(&[vec![7.0]]).unwrap();
        assert_eq!(ema.state().unwrap(), [[7.0]]);
        assert!(ema.restore(&[]).is_err());
        assert!(Ema::new(Vec::new(), 1.0).is_err());
    }
}

//! One pass over parameters, gradients and moments.

use super::buffer::PIECE;
use super::level::multiversion;
use super::normalise::lane_sum;
use super::parallel::{for_each_chunk, for_each_chunk_of_three, for_each_chunk_pair};

/// What is done to a gradient before it is used: `clamp(scale · g, −bound, bound)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clip {
    pub(crate) scale: f32,
    pub(crate) bound: f32,
}

impl Clip {
    /// Leaves every gradient to the bit.
    pub(crate) const OFF: Self = Self {
        scale: 1.0,
        bound: f32::INFINITY,
    };

    #[inline(always)]
    fn apply(self, g: f32) -> f32 {
        let g = g * self.scale;
        let g = if g > self.bound { self.bound } else { g };
        if g < -self.bound { -self.bound } else { g }
    }
}

/// Constants of one step of Adam.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamStep {
    pub(crate) clip: Clip,
    pub(crate) beta: [f32; 2],
    /// `1 − β₁` and `1 − β₂`, taken in double precision: in `f32` the second loses five digits.
    pub(crate) rest: [f32; 2],
    /// `η / (1 − β₁ᵗ)`
    pub(crate) rate: f32,
    /// `1 / √(1 − β₂ᵗ)`
    pub(crate) root_correction: f32,
    pub(crate) epsilon: f32,
    /// Weight of the parameter in its gradient.
    pub(crate) coupled_decay: f32,
    /// Factor on the parameter itself.
    pub(crate) shrink: f32,
}

#[inline(always)]
fn adam_body(step: &AdamStep, gradient: &[f32], [theta, m, v]: [&mut [f32]; 3]) {
    let moments = m.iter_mut().zip(v);
    for ((theta, &g), (m, v)) in theta.iter_mut().zip(gradient).zip(moments) {
        let g = step.clip.apply(g) + step.coupled_decay * *theta;
        *m = step.beta[0] * *m + step.rest[0] * g;
        *v = step.beta[1] * *v + step.rest[1] * g * g;
        let root = v.sqrt() * step.root_correction + step.epsilon;
        *theta = step.shrink * *theta - step.rate * *m / root;
    }
}

multiversion! {
    fn adam_piece(step: &AdamStep, gradient: &[f32], states: [&mut [f32]; 3]) = adam_body;
}

/// Moves `[parameters, first moment, second moment]`.
pub(crate) fn adam(step: &AdamStep, gradient: &[f32], states: [&mut [f32]; 3]) {
    for_each_chunk_of_three(states, PIECE, |i, states| {
        let len = states[0].len();
        adam_piece(step, &gradient[i * PIECE..][..len], states);
    });
}

/// Constants of one step of gradient descent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SgdStep {
    pub(crate) clip: Clip,
    pub(crate) rate: f32,
    pub(crate) momentum: f32,
    pub(crate) decay: f32,
    pub(crate) nesterov: bool,
}

#[inline(always)]
fn sgd_body(step: &SgdStep, gradient: &[f32], theta: &mut [f32], velocity: &mut [f32]) {
    let ahead = if step.nesterov { step.momentum } else { 0.0 };
    for ((theta, &g), u) in theta.iter_mut().zip(gradient).zip(velocity) {
        let g = step.clip.apply(g) + step.decay * *theta;
        *u = step.momentum * *u + g;
        let direction = if step.nesterov { g + ahead * *u } else { *u };
        *theta -= step.rate * direction;
    }
}

multiversion! {
    fn sgd_piece(step: &SgdStep, gradient: &[f32], theta: &mut [f32], velocity: &mut [f32])
        = sgd_body;
}

/// Moves parameters and velocity.
pub(crate) fn sgd(step: &SgdStep, gradient: &[f32], theta: &mut [f32], velocity: &mut [f32]) {
    for_each_chunk_pair((theta, PIECE), (velocity, PIECE), |i, theta, velocity| {
        let len = theta.len();
        sgd_piece(step, &gradient[i * PIECE..][..len], theta, velocity);
    });
}

#[inline(always)]
fn average_body(decay: f32, theta: &[f32], average: &mut [f32]) {
    for (average, &theta) in average.iter_mut().zip(theta) {
        *average += (1.0 - decay) * (theta - *average);
    }
}

multiversion! {
    fn average_piece(decay: f32, theta: &[f32], average: &mut [f32]) = average_body;
}

/// `average ← average + (1 − decay) · (θ − average)`
pub(crate) fn average(decay: f32, theta: &[f32], average: &mut [f32]) {
    for_each_chunk(average, PIECE, |i, average| {
        average_piece(decay, &theta[i * PIECE..][..average.len()], average);
    });
}

/// Sum of squares: pieces are added in double precision, in order.
pub(crate) fn square_sum(values: &[f32]) -> f64 {
    let mut sums = vec![0.0; values.len().div_ceil(PIECE)];
    for_each_chunk(&mut sums, 1, |i, sum| {
        sum[0] = square_sum_piece(&values[i * PIECE..values.len().min((i + 1) * PIECE)]);
    });
    sums.iter().sum()
}

#[inline(always)]
fn square_sum_body(values: &[f32]) -> f64 {
    lane_sum(values, |v| v * v)
}

multiversion! {
    fn square_sum_piece(values: &[f32]) -> f64 = square_sum_body;
}

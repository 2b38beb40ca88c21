//! Diagonal Gaussians whose means and log standard deviations lie side by side in a row.

use std::mem::MaybeUninit;

use super::buffer::{PIECE, written};
use super::float::Float;
use super::level::multiversion;
use super::parallel::for_each_chunk;

/// Rows of a matrix; the first `latent` columns of a row are means, the next log deviations.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) width: usize,
}

impl<'a, T> Rows<'a, T> {
    fn between(self, rows: std::ops::Range<usize>) -> Self {
        let values = &self.values[rows.start * self.width..rows.end * self.width];
        Self { values, ..self }
    }

    /// Means and log deviations of each row.
    #[inline(always)]
    fn moments(self, latent: usize) -> impl Iterator<Item = (&'a [T], &'a [T])> {
        self.values.chunks_exact(self.width).map(move |row| {
            let (means, rest) = row.split_at(latent);
            (means, &rest[..latent])
        })
    }
}

/// Rows of a piece, so that it holds about [`PIECE`] values.
fn rows_of_piece(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

#[inline(always)]
fn draw_body<T: Float>(q: Rows<'_, T>, noise: &[T], latent: usize, out: &mut [MaybeUninit<T>]) {
    let rows = q.moments(latent).zip(noise.chunks_exact(latent));
    for (((means, logs), noise), out) in rows.zip(out.chunks_exact_mut(latent)) {
        for (((slot, &mean), &log), &noise) in out.iter_mut().zip(means).zip(logs).zip(noise) {
            slot.write(mean + log.exponential() * noise);
        }
    }
}

multiversion! {
    fn draw_piece<T: Float>(
        q: Rows<'_, T>,
        noise: &[T],
        latent: usize,
        out: &mut [MaybeUninit<T>],
    ) = draw_body;
}

/// `μ + e^s ε`
pub(crate) fn draw<T: Float>(q: Rows<'_, T>, noise: &[T], latent: usize) -> Vec<T> {
    assert_eq!(q.values.len() / q.width * latent, noise.len());
    let piece = rows_of_piece(latent);
    // SAFETY: the pieces cover the vector; a body writes all `latent` values of each of its rows.
    unsafe {
        written(noise.len(), |out| {
            for_each_chunk(out, piece * latent, |i, out| {
                let first = i * piece;
                let rows = first..first + out.len() / latent;
                let noise = &noise[first * latent..][..out.len()];
                draw_piece(q.between(rows), noise, latent, out);
            });
        })
    }
}

#[inline(always)]
fn draw_gradient_body<T: Float>(
    q: Rows<'_, T>,
    noise: &[T],
    dz: &[T],
    latent: usize,
    out: &mut [MaybeUninit<T>],
) {
    let operands = noise.chunks_exact(latent).zip(dz.chunks_exact(latent));
    let rows = q.moments(latent).zip(operands);
    for (((_, logs), (noise, dz)), out) in rows.zip(out.chunks_exact_mut(q.width)) {
        let (means, rest) = out.split_at_mut(latent);
        let (deviations, rest) = rest.split_at_mut(latent);
        for (slot, &dz) in means.iter_mut().zip(dz) {
            slot.write(dz);
        }
        let factors = logs.iter().zip(noise).zip(dz);
        for (slot, ((&log, &noise), &dz)) in deviations.iter_mut().zip(factors) {
            slot.write(dz * noise * log.exponential());
        }
        for slot in rest {
            slot.write(T::ZERO);
        }
    }
}

multiversion! {
    fn draw_gradient_piece<T: Float>(
        q: Rows<'_, T>,
        noise: &[T],
        dz: &[T],
        latent: usize,
        out: &mut [MaybeUninit<T>],
    ) = draw_gradient_body;
}

/// The gradient of [`draw`] in the rows of `q`.
pub(crate) fn draw_gradient<T: Float>(
    q: Rows<'_, T>,
    noise: &[T],
    dz: &[T],
    latent: usize,
) -> Vec<T> {
    assert_eq!(noise.len(), dz.len());
    let piece = rows_of_piece(q.width);
    // SAFETY: the pieces cover the vector; a body writes the whole width of each of its rows.
    unsafe {
        written(q.values.len(), |out| {
            for_each_chunk(out, piece * q.width, |i, out| {
                let first = i * piece;
                let rows = first..first + out.len() / q.width;
                let within = first * latent..rows.end * latent;
                let (noise, dz) = (&noise[within.clone()], &dz[within]);
                draw_gradient_piece(q.between(rows), noise, dz, latent, out);
            });
        })
    }
}

/// `d` and `w` of `KL = ½ (r + d² w − 1) − (s_q − s_p)`, and `r`: difference of the means,
/// precision of the second law, ratio of the variances.
#[inline(always)]
fn parts<T: Float>([mean, log]: [T; 2], [other_mean, other_log]: [T; 2]) -> [T; 3] {
    let two = T::of(2.0);
    [
        mean - other_mean,
        (-two * other_log).exponential(),
        (two * (log - other_log)).exponential(),
    ]
}

#[inline(always)]
fn divergence_body<T: Float>(q: Rows<'_, T>, p: Rows<'_, T>, latent: usize, sums: &mut [f64]) {
    let half = T::of(0.5);
    for ((means, logs), (other_means, other_logs)) in q.moments(latent).zip(p.moments(latent)) {
        let own = means.iter().zip(logs);
        let other = other_means.iter().zip(other_logs);
        for (sum, ((&mean, &log), (&other_mean, &other_log))) in sums.iter_mut().zip(own.zip(other))
        {
            let [gap, precision, ratio] = parts([mean, log], [other_mean, other_log]);
            let terms = half * (ratio + gap * gap * precision - T::ONE) - (log - other_log);
            *sum += terms.wide();
        }
    }
}

multiversion! {
    fn divergence_piece<T: Float>(
        q: Rows<'_, T>,
        p: Rows<'_, T>,
        latent: usize,
        sums: &mut [f64],
    ) = divergence_body;
}

/// `KL(q ‖ p)`, summed over the rows of each of `batch` equal parts.
pub(crate) fn divergence<T: Float>(
    q: Rows<'_, T>,
    p: Rows<'_, T>,
    latent: usize,
    batch: usize,
) -> Vec<T> {
    let rows = q.values.len() / q.width / batch.max(1);
    let mut out = vec![T::ZERO; batch];
    for_each_chunk(&mut out, 1, |image, out| {
        let rows = image * rows..(image + 1) * rows;
        let mut sums = vec![0.0; latent];
        divergence_piece(q.between(rows.clone()), p.between(rows), latent, &mut sums);
        out[0] = T::of(sums.iter().sum());
    });
    out
}

/// Which of the two laws of a divergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Law {
    First,
    Second,
}

#[inline(always)]
fn divergence_gradient_body<T: Float>(
    law: Law,
    q: Rows<'_, T>,
    p: Rows<'_, T>,
    latent: usize,
    dy: T,
    out: &mut [MaybeUninit<T>],
) {
    let width = match law {
        Law::First => q.width,
        Law::Second => p.width,
    };
    let rows = q.moments(latent).zip(p.moments(latent));
    for (((means, logs), (other_means, other_logs)), out) in rows.zip(out.chunks_exact_mut(width)) {
        let (in_means, rest) = out.split_at_mut(latent);
        let (in_logs, rest) = rest.split_at_mut(latent);
        let own = means.iter().zip(logs);
        let other = other_means.iter().zip(other_logs);
        let slots = in_means.iter_mut().zip(in_logs);
        for ((in_mean, in_log), ((&mean, &log), (&other_mean, &other_log))) in
            slots.zip(own.zip(other))
        {
            let [gap, precision, ratio] = parts([mean, log], [other_mean, other_log]);
            let pull = gap * precision;
            match law {
                Law::First => {
                    in_mean.write(dy * pull);
                    in_log.write(dy * (ratio - T::ONE));
                }
                Law::Second => {
                    in_mean.write(-dy * pull);
                    in_log.write(dy * (T::ONE - ratio - gap * pull));
                }
            }
        }
        for slot in rest {
            slot.write(T::ZERO);
        }
    }
}

multiversion! {
    fn divergence_gradient_piece<T: Float>(
        law: Law,
        q: Rows<'_, T>,
        p: Rows<'_, T>,
        latent: usize,
        dy: T,
        out: &mut [MaybeUninit<T>],
    ) = divergence_gradient_body;
}

/// The gradient of [`divergence`] in the rows of one of the laws.
pub(crate) fn divergence_gradient<T: Float>(
    law: Law,
    q: Rows<'_, T>,
    p: Rows<'_, T>,
    latent: usize,
    dy: &[T],
) -> Vec<T> {
    let width = match law {
        Law::First => q.width,
        Law::Second => p.width,
    };
    let all = q.values.len() / q.width;
    let rows = all / dy.len().max(1);
    assert_eq!(rows * dy.len(), all);
    // SAFETY: the pieces are the images and cover the vector; a body writes the whole width of
    // each of its rows.
    unsafe {
        written(all * width, |out| {
            for_each_chunk(out, rows * width, |image, out| {
                let rows = image * rows..(image + 1) * rows;
                let (q, p) = (q.between(rows.clone()), p.between(rows));
                divergence_gradient_piece(law, q, p, latent, dy[image], out);
            });
        })
    }
}

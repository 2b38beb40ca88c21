//! Anomaly maps: how well scores find anomalous pixels, regions and images.
//!
//! A pixel is called anomalous at threshold `t` when its score is at least `t`.
//! [`AnomalyCurve`] holds one point per distinct score and answers AUROC, average precision, the
//! best F1 and AUPRO, all from one sort of the pixels.
//! For decisions by image, [`image_maxima`] and [`image_labels`] give what
//! [`auroc`](crate::discrimination::auroc) takes.

use serde::Serialize;

use crate::components::{Connectivity, connected_components};
use crate::grid::Grid;
use crate::rank::tied;
use crate::{MetricError, validate};

/// What a threshold at one of the scores would call anomalous.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AnomalyPoint {
    /// Pixels with `score >= threshold` are called anomalous.
    pub threshold: f64,
    /// Anomalous pixels called so.
    pub true_positives: u64,
    /// Normal pixels called anomalous.
    pub false_positives: u64,
    /// Per-region overlap (PRO): the mean over anomalous regions of the fraction called so.
    pub region_overlap: f64,
}

/// The best F1 score over thresholds, which is the best Dice coefficient of the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BestF1 {
    /// The score in `(0, 1]`.
    pub f1: f64,
    /// The highest threshold that reaches it.
    pub threshold: f64,
}

/// Points over all distinct scores of a set of images, by descending threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalyCurve {
    points: Vec<AnomalyPoint>,
    positives: u64,
    negatives: u64,
    regions: usize,
}

impl AnomalyCurve {
    /// Sorts the pixels of all images by score.
    ///
    /// # Arguments
    /// - `scores`: `[images, H, W]`, row-major, higher means more likely anomalous; of any type
    ///   that converts to `f64` without loss.
    /// - `masks`: `[images, H, W]`, `true` for anomalous pixels; their 8-connected components,
    ///   image by image, are the regions.
    /// - `shape`: `[images, H, W]`.
    ///
    /// # Errors
    /// [`MetricError::Empty`] for a shape without pixels, [`MetricError::LengthMismatch`],
    /// [`MetricError::InvalidValue`] for a `NaN` score, [`MetricError::SingleClass`] when all
    /// pixels are normal or all are anomalous.
    ///
    /// # Complexity
    /// O(N log N) in pixels.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::anomaly::AnomalyCurve;
    /// let scores: [f32; 4] = [0.9, 0.8, 0.7, 0.1];
    /// let curve = AnomalyCurve::of(&scores, &[true, false, true, false], [1, 1, 4])?;
    /// assert_eq!(curve.regions(), 2);
    /// assert_eq!(curve.auroc(), 0.75);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn of<T: Copy + Into<f64>>(
        scores: &[T],
        masks: &[bool],
        shape: [usize; 3],
    ) -> Result<Self, MetricError> {
        check_stack("scores", scores.len(), shape)?;
        check_stack("masks", masks.len(), shape)?;
        validate::not_nan("scores", scores)?;
        let (positives, negatives) = validate::both_classes(masks)?;
        let (labels, sizes) = regions_by_image(masks, shape)?;
        let values = scores.iter().map(|&score| score.into());
        let mut pixels: Vec<(f64, u32)> = values.zip(labels).collect();
        pixels.sort_unstable_by(|a, b| (b.0 + 0.0).total_cmp(&(a.0 + 0.0)).then(a.1.cmp(&b.1)));
        Ok(Self {
            points: points_of(&pixels, &sizes),
            positives: positives as u64,
            negatives: negatives as u64,
            regions: sizes.len(),
        })
    }

    /// Points by descending threshold; the last one calls everything anomalous.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::anomaly::AnomalyCurve;
    /// let curve = AnomalyCurve::of(&[3_u8, 2, 2, 1], &[true, false, true, false], [1, 1, 4])?;
    /// let point = curve.points()[1];
    /// assert_eq!((point.threshold, point.true_positives, point.false_positives), (2.0, 2, 1));
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn points(&self) -> &[AnomalyPoint] {
        &self.points
    }

    /// Number of anomalous regions in all images.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::anomaly::AnomalyCurve;
    /// let curve = AnomalyCurve::of(&[3_u8, 2, 2, 1], &[true, false, true, false], [1, 1, 4])?;
    /// assert_eq!(curve.regions(), 2);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn regions(&self) -> usize {
        self.regions
    }

    /// Area under the receiver operating characteristic of the pixels; ties count one half.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::anomaly::AnomalyCurve;
    /// let curve = AnomalyCurve::of(&[3_u8, 2, 2, 1], &[true, true, false, false], [1, 2, 2])?;
    /// assert_eq!(curve.auroc(), 0.875);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn auroc(&self) -> f64 {
        let hits = |point: &AnomalyPoint| point.true_positives as f64;
        let area = self.area_below(hits, self.negatives as f64);
        area / (self.positives as f64 * self.negatives as f64)
    }

    /// Average precision of the pixels, `Σ_n (R_n - R_{n-1}) P_n` over descending thresholds.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::anomaly::AnomalyCurve;
    /// let curve = AnomalyCurve::of(&[4_u8, 3, 2, 1], &[true, false, true, false], [1, 2, 2])?;
    /// assert!((curve.average_precision() - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn average_precision(&self) -> f64 {
        let mut found_before = 0;
        let mut area = 0.0;
        for point in &self.points {
            let called = point.true_positives + point.false_positives;
            let precision = point.true_positives as f64 / called as f64;
            area += (point.true_positives - found_before) as f64 * precision;
            found_before = point.true_positives;
        }
        area / self.positives as f64
    }

    /// Area under the per-region overlap up to a false positive rate, divided by that rate.
    ///
    /// Regions weigh alike whatever their size. The curve starts at (0, 0), has one point per
    /// distinct score, and is linear in between, also at the limit.
    ///
    /// # Arguments
    /// - `limit`: largest rate of false positives over the normal pixels of all images, in
    ///   `(0, 1]`; 0.3 is customary.
    ///
    /// # Returns
    /// A value in `[0, 1]`.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for a limit outside `(0, 1]`.
    ///
    /// # References
    /// Bergmann et al., "The `MVTec` anomaly detection dataset", 2021, section 5.2.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::anomaly::AnomalyCurve;
    /// // The large region is found first; half of the overlap is reached without false positives.
    /// let scores = [0.9, 0.9, 0.5, 0.4];
    /// let curve = AnomalyCurve::of(&scores, &[true, true, false, true], [1, 1, 4])?;
    /// assert_eq!(curve.aupro(1.0)?, 0.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn aupro(&self, limit: f64) -> Result<f64, MetricError> {
        let allowed = limit > 0.0 && limit <= 1.0;
        validate::parameter("limit", limit, "a rate in (0, 1]", allowed)?;
        let end = limit * self.negatives as f64;
        Ok(self.area_below(|point| point.region_overlap, end) / end)
    }

    /// The best F1 score of the pixels over all distinct scores as thresholds.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::anomaly::{AnomalyCurve, BestF1};
    /// let curve = AnomalyCurve::of(&[4_u8, 3, 2, 1], &[true, false, true, false], [1, 2, 2])?;
    /// assert_eq!(curve.best_f1(), BestF1 { f1: 0.8, threshold: 2.0 });
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn best_f1(&self) -> BestF1 {
        let mut best = BestF1 {
            f1: 0.0,
            threshold: f64::INFINITY,
        };
        // Of equal scores the first, at the highest threshold, stays; fractions are compared
        // without rounding.
        let mut best_parts = (0_u64, 1_u64);
        for point in &self.points {
            let called = point.true_positives + point.false_positives;
            let parts = (2 * point.true_positives, called + self.positives);
            let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
            if product(parts.0, best_parts.1) > product(best_parts.0, parts.1) {
                best_parts = parts;
                best = BestF1 {
                    f1: parts.0 as f64 / parts.1 as f64,
                    threshold: point.threshold,
                };
            }
        }
        best
    }

    /// Area below a quantity as a function of the number of false positives, up to `end` of them.
    fn area_below(&self, height: impl Fn(&AnomalyPoint) -> f64, end: f64) -> f64 {
        let (mut before, mut height_before) = (0.0, 0.0);
        let mut area = 0.0;
        for point in &self.points {
            let (here, height_here) = (point.false_positives as f64, height(point));
            if here > end {
                let part = (end - before) / (here - before);
                let cut = height_before + part * (height_here - height_before);
                return area + (end - before) * f64::midpoint(height_before, cut);
            }
            area += (here - before) * f64::midpoint(height_before, height_here);
            (before, height_before) = (here, height_here);
        }
        area
    }
}

/// The largest score of each image.
///
/// # Arguments
/// - `scores`: `[images, H, W]`, no `NaN`.
/// - `shape`: `[images, H, W]`.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::anomaly::{image_labels, image_maxima};
/// use ctl_metrics::discrimination::auroc;
/// let maxima = image_maxima(&[0.1, 0.9, 0.3, 0.2], [2, 1, 2])?;
/// let labels = image_labels(&[false, true, false, false], [2, 1, 2])?;
/// assert_eq!((&maxima[..], &labels[..]), (&[0.9, 0.3][..], &[true, false][..]));
/// assert_eq!(auroc(&maxima, &labels)?, 1.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn image_maxima<T: Copy + Into<f64>>(
    scores: &[T],
    shape: [usize; 3],
) -> Result<Vec<f64>, MetricError> {
    check_stack("scores", scores.len(), shape)?;
    validate::not_nan("scores", scores)?;
    let maximum = |image: &[T]| {
        let values = image.iter().map(|&score| score.into());
        values.fold(f64::NEG_INFINITY, f64::max)
    };
    Ok(scores
        .chunks_exact(shape[1] * shape[2])
        .map(maximum)
        .collect())
}

/// Tells for each image whether it holds an anomalous pixel.
///
/// # Arguments
/// - `masks`: `[images, H, W]`.
/// - `shape`: `[images, H, W]`.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::anomaly::image_labels;
/// assert_eq!(image_labels(&[false, true, false, false], [2, 1, 2])?, [true, false]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn image_labels(masks: &[bool], shape: [usize; 3]) -> Result<Vec<bool>, MetricError> {
    check_stack("masks", masks.len(), shape)?;
    let images = masks.chunks_exact(shape[1] * shape[2]);
    Ok(images.map(|image| image.contains(&true)).collect())
}

fn check_stack(subject: &'static str, len: usize, shape: [usize; 3]) -> Result<(), MetricError> {
    // A product beyond memory saturates and then differs from every length.
    let pixels = shape.iter().fold(1_usize, |n, &m| n.saturating_mul(m));
    validate::non_empty("shape", pixels)?;
    validate::same_len(subject, pixels, len)
}

/// Labels of the anomalous regions over all images, counted from 1, and their sizes.
fn regions_by_image(
    masks: &[bool],
    [_, height, width]: [usize; 3],
) -> Result<(Vec<u32>, Vec<usize>), MetricError> {
    let pixels = masks.len();
    let numbered = u32::try_from(pixels).is_ok();
    validate::parameter("pixels", pixels as f64, "at most 2^32 - 1", numbered)?;
    let grid = Grid::unit(&[height, width])?;
    let (mut labels, mut sizes) = (Vec::with_capacity(pixels), Vec::new());
    for mask in masks.chunks_exact(height * width) {
        let found = connected_components(&grid, mask, Connectivity::Corners)?;
        let before = sizes.len() as u32;
        let numbered = found.labels().iter();
        labels.extend(numbered.map(|&label| if label == 0 { 0 } else { before + label }));
        sizes.extend_from_slice(found.sizes());
    }
    Ok((labels, sizes))
}

/// Counts up the pixels, sorted by descending score, one point per distinct score.
fn points_of(pixels: &[(f64, u32)], sizes: &[usize]) -> Vec<AnomalyPoint> {
    let (mut true_positives, mut false_positives, mut covered) = (0, 0, 0.0);
    let regions = sizes.len() as f64;
    let equal = pixels.chunk_by(|a, b| tied(a.0, b.0));
    let points = equal.map(|pixels| {
        for &(_, region) in pixels {
            match (region as usize).checked_sub(1) {
                Some(position) => {
                    true_positives += 1;
                    covered += 1.0 / sizes[position] as f64;
                }
                None => false_positives += 1,
            }
        }
        AnomalyPoint {
            threshold: pixels[0].0,
            true_positives,
            false_positives,
            // Rounding must not carry the sum beyond full coverage.
            region_overlap: (covered / regions).min(1.0),
        }
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discrimination::{auroc, average_precision};
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty(&[], &[], [0, 2, 2], "shape: expected at least one value, found none")]
    #[case::scores(&[0.5], &[true, false], [1, 1, 2], "scores: expected length 2, found 1")]
    #[case::masks(&[0.5, 0.1], &[true], [1, 1, 2], "masks: expected length 2, found 1")]
    #[case::nan(&[0.5, f64::NAN], &[true, false], [1, 1, 2], "scores[1]: expected a number, found NaN")]
    #[case::normal(&[0.5, 0.1], &[false, false], [1, 1, 2], "labels: expected both classes, found only negatives")]
    #[case::overflow(&[0.5], &[true], [usize::MAX, 2, 2], "scores: expected length 18446744073709551615, found 1")]
    fn ill_input_is_typed(
        #[case] scores: &[f64],
        #[case] masks: &[bool],
        #[case] shape: [usize; 3],
        #[case] message: &str,
    ) {
        let error = AnomalyCurve::of(scores, masks, shape).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn limits_are_rates() {
        let curve = AnomalyCurve::of(&[1_u8, 0], &[true, false], [1, 1, 2]).unwrap();
        for limit in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(curve.aupro(limit).is_err());
        }
    }

    #[test]
    fn regions_weigh_alike_whatever_their_size() {
        // A region of three pixels found first, one of a single pixel found last.
        let scores = [9_u8, 8, 7, 1, 5, 4, 3, 2];
        let masks = [true, true, true, false, false, false, false, true];
        let curve = AnomalyCurve::of(&scores, &masks, [2, 2, 2]).unwrap();
        assert_eq!(curve.regions(), 2);
        // Three normal pixels pass before the last anomalous one.
        assert!((curve.aupro(0.5).unwrap() - 0.5).abs() < 1e-15);
        assert!((curve.points()[2].region_overlap - 0.5).abs() < 1e-15);
    }

    #[test]
    fn regions_do_not_cross_images() {
        let curve = AnomalyCurve::of(&[1_u8; 4], &[false, true, true, false], [2, 1, 2]).unwrap();
        assert_eq!(curve.regions(), 2);
    }

    #[test]
    fn the_highest_of_equally_good_thresholds_wins() {
        let scores = [4_u8, 3, 2, 1];
        let masks = [true, false, true, false];
        let best = AnomalyCurve::of(&scores, &masks, [1, 2, 2])
            .unwrap()
            .best_f1();
        assert!((best.threshold - 2.0).abs() < 1e-15);
        let masks = [true, false, false, true];
        let best = AnomalyCurve::of(&scores, &masks, [1, 2, 2])
            .unwrap()
            .best_f1();
        assert!((best.threshold - 4.0).abs() < 1e-15 && (best.f1 - 2.0 / 3.0).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn pixels_agree_with_the_metrics_of_samples(
            pixels in prop::collection::vec((0_u8..6, any::<bool>()), 12)
        ) {
            let (scores, masks): (Vec<f64>, Vec<bool>) =
                pixels.into_iter().map(|(score, mask)| (f64::from(score), mask)).unzip();
            if let Ok(curve) = AnomalyCurve::of(&scores, &masks, [2, 2, 3]) {
                prop_assert!((curve.auroc() - auroc(&scores, &masks).unwrap()).abs() < 1e-12);
                let precision = average_precision(&scores, &masks).unwrap();
                prop_assert!((curve.average_precision() - precision).abs() < 1e-12);
                let last = curve.points().last().unwrap();
                prop_assert!((last.region_overlap - 1.0).abs() < 1e-12);
                prop_assert!((0.0..=1.0).contains(&curve.aupro(0.3).unwrap()));
            }
        }
    }
}

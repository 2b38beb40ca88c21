//! Which methods are better than plain training beyond noise.

use ctl_invariance::Role;
use ctl_metrics::rank::holm;

use super::contrast::{Contrast, Scores};
use super::overview::MethodSummary;
use super::sweep::REFERENCE;
use crate::Result;
use crate::vocabulary::Selector;

/// Differences with an adjusted p-value below this are called more than noise.
pub(crate) const ALPHA: f64 = 0.05;

/// A method in comparison with plain training.
#[derive(Clone, Debug)]
pub(crate) struct Contender<'a> {
    pub(crate) summary: &'a MethodSummary,
    pub(crate) contrast: Contrast,
    /// The p-value, adjusted by Holm's method over all contenders.
    pub(crate) p: Option<f64>,
}

impl Contender<'_> {
    pub(crate) fn is_beyond_noise(&self) -> bool {
        self.p.is_some_and(|p| p < ALPHA)
    }

    pub(crate) fn wins(&self) -> bool {
        self.is_beyond_noise() && self.contrast.difference > 0.0
    }

    pub(crate) fn loses(&self) -> bool {
        self.is_beyond_noise() && self.contrast.difference < 0.0
    }
}

/// The methods that have a score wherever plain training has one, best first; a method with fewer
/// cells would be compared on other ground. Upper references do not compete.
pub(crate) fn contenders<'a>(
    scores: &Scores,
    summaries: &'a [MethodSummary],
    selector: Selector,
) -> Result<Vec<Contender<'a>>> {
    let reference = (REFERENCE, selector);
    let cells = scores.cells(reference);
    let mut found = Vec::new();
    for summary in summaries {
        let arm = (summary.method.as_str(), selector);
        let competes = summary.role != Role::Oracle && summary.method != REFERENCE;
        if !competes || !cells.is_subset(&scores.cells(arm)) {
            continue;
        }
        if let Some(contrast) = scores.contrast(arm, reference)? {
            found.push(Contender {
                summary,
                contrast,
                p: contrast.p,
            });
        }
    }
    found.sort_by(|a, b| b.contrast.difference.total_cmp(&a.contrast.difference));
    adjust(&mut found)?;
    Ok(found)
}

/// Several methods are tried, so each p-value pays for all.
fn adjust(contenders: &mut [Contender<'_>]) -> Result<()> {
    let raw: Vec<f64> = contenders.iter().filter_map(|c| c.p).collect();
    if raw.is_empty() {
        return Ok(());
    }
    let tested = contenders.iter_mut().filter_map(|c| c.p.as_mut());
    for (p, adjusted) in tested.zip(holm(&raw)?) {
        *p = adjusted;
    }
    Ok(())
}

//! A source in the target's place.

use std::collections::BTreeSet;

use super::cohort::CohortData;
use super::environments::{Arrangement, Part, Parts, Role, assign};
use crate::vocabulary::Protocol;
use crate::{HarnessError, Result};

/// What the held-out source's patients are for, as a target's.
const ROLES: [Role; 2] = [Role::Adaptation, Role::Scored];

/// Takes the held-out source out of training, validation and the in-distribution test, and puts it
/// where the target was.
///
/// The patients of the source who would train or validate are divided anew; those who are scored in
/// distribution in the run with all sources are not touched, and neither is the target.
/// Who is scored here trains and validates at no other source.
pub(super) fn leave_out(
    cohort: &CohortData,
    arrangement: &Arrangement<'_>,
    parts: &mut Parts,
) -> Result<()> {
    let Some(name) = arrangement.held_out else {
        return Ok(());
    };
    let at = place(arrangement, name)?;
    let mut samples = parts.train.remove(at).samples;
    samples.extend(parts.validation.remove(at).samples);
    samples.sort_unstable();
    parts.in_distribution.remove(at);
    let open = arrangement.shares.open;
    let shares = ([open, 1.0 - open], ROLES);
    let roles = assign(cohort, &samples, shares, arrangement.seed)?;
    let patient = |s: &usize| cohort.samples[*s].patient.as_str();
    [parts.adaptation, parts.target] = ROLES.map(|role| {
        let own = samples
            .iter()
            .filter(|s| roles.get(patient(s)) == Some(&role));
        Part {
            samples: own.copied().collect(),
        }
    });
    let scored: BTreeSet<&str> = parts.target.samples.iter().map(patient).collect();
    for part in parts.train.iter_mut().chain(&mut parts.validation) {
        part.samples.retain(|s| !scored.contains(patient(s)));
    }
    parts.target_observer = parts.train_observer;
    Ok(())
}

/// The place of the held-out source among the sources.
fn place(arrangement: &Arrangement<'_>, name: &str) -> Result<usize> {
    let sources = arrangement.sources;
    let fault = |message: String| HarnessError::Config {
        origin: format!("cohort split for target {}", arrangement.target),
        key: "held_out".into(),
        message,
    };
    if !can_leave_out(arrangement.protocol, sources.len()) {
        let (protocol, count) = (arrangement.protocol, sources.len());
        return Err(fault(format!(
            "{count} sources under {protocol}: a source can be left out of two or more, where no \
             site is source and target"
        )));
    }
    let place = sources.iter().position(|source| source == name);
    place.ok_or_else(|| {
        fault(format!(
            "{name:?} is not allowed: it must be one of {}",
            sources.join(", ")
        ))
    })
}

/// Whether one of so many sources can be left out: training needs another, and the sources of a
/// mixture have one class each.
pub(crate) fn can_leave_out(protocol: Protocol, sources: usize) -> bool {
    let held_out = [Protocol::NamedTarget, Protocol::LeaveOneSiteOut];
    held_out.contains(&protocol) && sources >= 2
}

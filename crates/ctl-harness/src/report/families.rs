//! Causal families against correlation-based ones.

use ctl_invariance::{Family, Role};
use ctl_metrics::rank::holm;

use super::contenders::{ALPHA, Contender};
use super::contrast::{Contrast, LEAST_UNITS, Scores};
use super::sweep::Sweep;
use super::text;
use crate::Result;
use crate::vocabulary::Selector;

/// A causal-family method minus a correlation-based one of the same role.
struct Pair<'a> {
    causal: &'a Contender<'a>,
    other: &'a Contender<'a>,
    contrast: Contrast,
    /// Adjusted by Holm's method over all pairs of the role.
    p: Option<f64>,
}

/// What can be said of the two kinds of methods, one sentence per role.
///
/// Roles are kept apart: a method that sees images of the target is not compared with one that does
/// not. Every pair is tested, because the best of each kind is known only from these figures.
pub(crate) fn sentences(
    sweep: &Sweep<'_>,
    scores: &Scores,
    contenders: &[Contender<'_>],
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for role in [Role::Generalisation, Role::Adaptation] {
        let pairs = pairs(scores, contenders, role)?;
        found.extend(sentence(sweep, &pairs, role));
    }
    Ok(found)
}

/// All pairs of a role; the pair of the highest means comes first, as contenders do.
fn pairs<'a>(
    scores: &Scores,
    contenders: &'a [Contender<'a>],
    role: Role,
) -> Result<Vec<Pair<'a>>> {
    let of = |wanted: fn(Family) -> bool| {
        let members = contenders.iter().filter(move |c| c.summary.role == role);
        members.filter(move |c| wanted(c.summary.family))
    };
    let selector = Selector::TrainingDomain;
    let mut pairs = Vec::new();
    for causal in of(Family::is_causal) {
        for other in of(|family| family == Family::Correlation) {
            let (a, b) = (&causal.summary.method, &other.summary.method);
            if let Some(contrast) = scores.contrast((a, selector), (b, selector))? {
                pairs.push(Pair {
                    causal,
                    other,
                    contrast,
                    p: contrast.p,
                });
            }
        }
    }
    adjust(&mut pairs)?;
    Ok(pairs)
}

fn adjust(pairs: &mut [Pair<'_>]) -> Result<()> {
    let raw: Vec<f64> = pairs.iter().filter_map(|pair| pair.p).collect();
    if raw.is_empty() {
        return Ok(());
    }
    let tested = pairs.iter_mut().filter_map(|pair| pair.p.as_mut());
    for (p, adjusted) in tested.zip(holm(&raw)?) {
        *p = adjusted;
    }
    Ok(())
}

impl Pair<'_> {
    fn outcome(&self) -> &'static str {
        match (self.p.is_some_and(|p| p < ALPHA), self.contrast.difference) {
            (false, _) => "cannot be told apart from",
            (true, d) if d > 0.0 => "beats",
            (true, _) => "loses to",
        }
    }
}

fn sentence(sweep: &Sweep<'_>, pairs: &[Pair<'_>], role: Role) -> Option<String> {
    let first = pairs.first()?;
    let name = |c: &Contender<'_>| sweep.name(&c.summary.method);
    let metric = text::metric(sweep.metric());
    let sees = match role {
        Role::Adaptation => "that see unlabelled target images",
        _ => "that see sources only",
    };
    let (causal, other) = (name(first.causal), name(first.other));
    let corrected = (pairs.iter().filter(|p| p.p.is_some()).count(), "pair");
    let evidence = text::evidence(&first.contrast, first.p, corrected, &metric);
    let both = "Both were picked by these very figures.";
    if first.contrast.units.count() < LEAST_UNITS {
        return Some(format!(
            "Causal or correlation-based? Not tested. Among methods {sees}, the causal-family method \
             with the highest mean, {causal}, and the correlation-based one, {other}, differ by \
             {evidence}. {both}"
        ));
    }
    Some(format!(
        "Causal or correlation-based? Among methods {sees}, the causal-family method with the \
         highest mean, {causal}, {} the correlation-based one, {other}: {evidence}. {both}{}",
        first.outcome(),
        remaining(pairs, name)
    ))
}

/// The pairs behind the first that are beyond noise.
fn remaining(pairs: &[Pair<'_>], name: impl Fn(&Contender<'_>) -> String) -> String {
    let named: Vec<String> = pairs
        .iter()
        .skip(1)
        .filter(|pair| pair.p.is_some_and(|p| p < ALPHA))
        .map(|pair| {
            let (causal, other) = (name(pair.causal), name(pair.other));
            let difference = text::signed(Some(pair.contrast.difference));
            format!("{causal} {} {other} ({difference})", pair.outcome())
        })
        .collect();
    match (pairs.len() - 1, named.len()) {
        (0, _) => String::new(),
        (_, 0) => " No other pair can be told apart.".to_owned(),
        _ => format!(" Of the other pairs, {}.", text::list(&named)),
    }
}

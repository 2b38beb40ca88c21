//! Which columns of a cohort go together.

use std::collections::BTreeSet;

use ctl_graph::stats::Multiplicity;
use ctl_imaging::Cohort;
use serde::Serialize;

use super::levels::{Columns, LABEL, Levels};
use super::sites::SiteStats;
use super::table::associate;
use crate::{HarnessError, Result};

/// An association is flagged below this adjusted p-value …
const SIGNIFICANT: f64 = 0.01;
/// … if it is also as strong as this: with thousands of images anything is significant.
const STRONG: f64 = 0.1;
/// Sites of one kind that flags name.
const NAMED: usize = 5;

/// A pair of columns and how they go together.
#[derive(Debug, Clone, Serialize)]
pub struct Association {
    /// The first column.
    pub first: String,
    /// The second.
    pub second: String,
    /// Whether it was tested within sites.
    pub within_sites: bool,
    /// Levels of the first column, rows of the tables.
    pub first_levels: Vec<String>,
    /// Levels of the second column, columns of the tables.
    pub second_levels: Vec<String>,
    /// One table, or one for each site.
    pub tables: Vec<Stratum>,
    /// Pearson's χ², summed over the tables.
    pub chi_squared: f64,
    /// Degrees of freedom, summed over the tables.
    pub degrees_of_freedom: usize,
    /// Upper tail of χ², or of its random orders.
    pub p_value: f64,
    /// The same, adjusted by Holm's method over all pairs of the cohort.
    pub p_adjusted: f64,
    /// Cramér's V over all tables: `√(Σχ² / Σ n·(min(rows, columns) − 1))`, 0 to 1.
    pub cramers_v: f64,
    /// Whether counts are too few for the distribution of χ² (an expected count below 1, or more
    /// than a fifth of them below 5; Cochran 1954), so that the p-value is the share of 9,999 random
    /// orders of the second column, within sites where the pair is tested so, whose χ² is as large.
    pub permuted: bool,
    /// Whether the adjusted p-value is below 0.01 and V at least 0.1.
    pub flagged: bool,
}

impl Association {
    /// The adjusted p-value in a few characters.
    pub fn p_shown(&self) -> String {
        shown(self.p_adjusted)
    }
}

/// A table of counts.
#[derive(Debug, Clone, Serialize)]
pub struct Stratum {
    /// The site, where pairs are tested within sites.
    pub site: Option<String>,
    /// Patients in each cell, rows of the first column's levels.
    pub counts: Vec<Vec<u32>>,
    /// Upper tail of its own χ², not adjusted.
    pub p_value: f64,
    /// Its own Cramér's V; 0 where a column has one level only.
    pub cramers_v: f64,
}

/// Tests label and site, and every input and the brightness with both.
pub(super) fn test(cohort: &Cohort, columns: &Columns) -> Result<Vec<Association>> {
    let patients = patients(cohort);
    let Columns { site, label, .. } = columns;
    let sites = site.clone().bounded();
    let several = site.names.len() > 1;
    let labelled = label.codes.iter().any(Option::is_some);

    let mut found = Vec::new();
    let mut add = |first: &Levels, second: &Levels, within: Option<&Levels>| {
        let tested = associate(first, second, within, &patients)?;
        found.extend(tested.filter(|association| association.degrees_of_freedom > 0));
        Ok::<(), HarnessError>(())
    };
    if several && labelled {
        add(&sites, label, None)?;
    }
    for input in columns.inputs.iter().chain([&columns.brightness]) {
        if labelled {
            add(&input.within(site), &label.within(site), Some(site))?;
        }
        if several {
            add(input, &sites, None)?;
        }
    }
    let p_values: Vec<f64> = found
        .iter()
        .map(|association| association.p_value)
        .collect();
    let adjusted = Multiplicity::Holm.adjust(&p_values);
    for (association, p_adjusted) in found.iter_mut().zip(adjusted) {
        association.p_adjusted = p_adjusted;
        association.flagged = p_adjusted < SIGNIFICANT && association.cramers_v >= STRONG;
    }
    Ok(found)
}

/// What a reader should know, in sentences.
pub(super) fn flags(
    cohort: &Cohort,
    sites: &[SiteStats],
    associations: &[Association],
) -> Vec<String> {
    let mut flags = Vec::new();
    for association in associations.iter().filter(|one| one.flagged) {
        let Association {
            first,
            second,
            cramers_v,
            p_adjusted,
            ..
        } = association;
        let figures = format!(
            "Cramér's V {cramers_v:.2}, adjusted p {}",
            shown(*p_adjusted)
        );
        flags.push(match (association.within_sites, second.as_str()) {
            (true, _) => format!("{first} and {second} go together within sites ({figures}): a model may read {first} for {second}"),
            (false, LABEL) => format!("{first} and {second} go together ({figures}): a model may read the site for the label, and prevalence moves between sites"),
            (false, _) => format!("{first} differs between sites ({figures})"),
        });
    }
    flags.extend(one_label_only(cohort));
    flags.extend(not_finite(sites));
    flags
}

/// Sites whose labelled images are all of one class, the first few by name.
fn one_label_only(cohort: &Cohort) -> Vec<String> {
    let mut labels = vec![BTreeSet::new(); cohort.sites().len()];
    for record in cohort.records() {
        labels[record.site].extend(record.label);
    }
    if cohort.classes().len() < 2 {
        return Vec::new();
    }
    let sites = cohort.sites().iter().zip(&labels);
    let single: Vec<String> = sites
        .filter_map(|(name, labels)| {
            let only = labels.first().filter(|_| labels.len() == 1)?;
            let class = &cohort.classes()[*only];
            Some(format!("site {name} has images of one label only ({class}): adjusting for the site is not identified there"))
        })
        .collect();
    let more = single.len().saturating_sub(NAMED);
    let rest = (more > 0).then(|| format!("{more} more sites have images of one label only"));
    single.into_iter().take(NAMED).chain(rest).collect()
}

/// Sites with images whose pixels are no finite numbers.
fn not_finite(sites: &[SiteStats]) -> Vec<String> {
    let holed: Vec<&SiteStats> = sites.iter().filter(|site| site.not_finite > 0).collect();
    let named = holed.iter().take(NAMED).map(|site| {
        let blank = match site.blank {
            0 => String::new(),
            blank => format!(", {blank} of them no other"),
        };
        format!(
            "site {}: {} of {} images have pixels that are NaN or infinite{blank}; brightness leaves them out",
            site.site, site.not_finite, site.images
        )
    });
    let more = holed.len().saturating_sub(NAMED);
    let rest = (more > 0).then(|| format!("{more} more sites have such images"));
    named.chain(rest).collect()
}

/// A p-value with two digits.
pub(super) fn shown(p_value: f64) -> String {
    if p_value < f64::MIN_POSITIVE {
        "below 1e-307".to_owned()
    } else if p_value < 1e-4 {
        format!("{p_value:.0e}")
    } else {
        format!("{p_value:.4}")
    }
}

/// A number for each patient.
fn patients(cohort: &Cohort) -> Vec<u32> {
    let names: BTreeSet<&str> = cohort
        .records()
        .iter()
        .map(|r| r.patient.as_str())
        .collect();
    let numbers: std::collections::BTreeMap<&str, u32> = names.into_iter().zip(0..).collect();
    let of = |record: &ctl_imaging::Record| numbers[record.patient.as_str()];
    cohort.records().iter().map(of).collect()
}

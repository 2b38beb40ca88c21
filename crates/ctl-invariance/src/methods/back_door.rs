//! Weights that cut the tie of site and label.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::weighting::with_mean_one;
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Preparation, Prepared, Result, Role, SearchDimension, Status, TrainingData, in_range,
};

/// Description of `back-door`.
pub const INFO: MethodInfo = MethodInfo {
    id: "back-door",
    name: "Back-door weighting by site",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::NoOtherConfounder],
    paper: "Pearl 2009, Causality, section 3.3.1 (back-door adjustment); Robins, Hernán & Brumback 2000 (stabilised inverse-probability weights)",
    summary: "Weighs samples so that the site no longer tells the label, or age and sex where images have no class.",
};

/// Settings of `back-door`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackDoorConfig {
    /// Weights are cut off at this many times their mean in an environment; at least 1.
    pub largest_weight: f64,
    /// Attributes that stand for the label where images have no class: causes of what an image
    /// shows, never consequences.
    pub attributes: Vec<String>,
    /// Groups of equal size into which an attribute of more values is divided, 2 to 100.
    pub groups: usize,
}

impl Default for BackDoorConfig {
    fn default() -> Self {
        Self {
            largest_weight: 10.0,
            attributes: vec!["age".into(), "sex".into()],
            groups: 3,
        }
    }
}

impl MethodConfig for BackDoorConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let largest = self.largest_weight;
        let ok = largest.is_finite() && largest >= 1.0;
        in_range(
            method,
            "largest_weight",
            &largest,
            "finite and at least 1",
            ok,
        )?;
        let ok = !self.attributes.is_empty() && self.attributes.iter().all(|name| !name.is_empty());
        let shown = format!("{:?}", self.attributes);
        in_range(
            method,
            "attributes",
            &shown,
            "a list of at least one name",
            ok,
        )?;
        let ok = (2..=100).contains(&self.groups);
        in_range(method, "groups", &self.groups, "from 2 to 100", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("largest_weight", 0.3, 2.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::preparation(BackDoor {
            config: self.clone(),
        }))
    }
}

/// `w = P(y) / P(y | site)`, which makes plain training minimise the risk under
/// `P(y) Σ_s P(x | y, s) P(s)`: the label is as if it were set, and the image as the back-door
/// formula gives it.
///
/// Sites are the environments, each with the same `P(s)`; `P(y)` is the mean of their frequencies.
/// Where images have no class, y is the group of age and sex.
///
/// # References
/// Pearl 2009, *Causality*, theorem 3.3.2, equation 3.19 with the label as the action, the image as
/// its result and the site as the adjustment set; Robins, Hernán & Brumback 2000, *Marginal
/// structural models and causal inference in epidemiology*, for the stabilised weights.
/// Deviations: a value that a site lacks is not identified there, and its weight goes to the others
/// at that site, which a note says; weights are cut off as in Cole & Hernán 2008.
pub struct BackDoor {
    /// Settings.
    pub config: BackDoorConfig,
}

impl Preparation for BackDoor {
    fn prepare(&self, data: &dyn TrainingData) -> Result<Prepared> {
        let Some(values) = self.values(data) else {
            let names = self.config.attributes.join(" and ");
            return Ok(Prepared {
                notes: vec![format!(
                    "back-door: images have no class, and {names} of the sources' patients are not \
                     known: plain training"
                )],
                ..Prepared::default()
            });
        };
        let shares: Vec<Vec<f64>> = values.of.iter().map(|own| values.shares(own)).collect();
        let mean =
            |value: usize| shares.iter().map(|s| s[value]).sum::<f64>() / shares.len() as f64;
        let mean: Vec<f64> = (0..values.count).map(mean).collect();
        let weights = values.of.iter().zip(&shares).map(|(own, shares)| {
            let raw: Vec<f64> = own
                .iter()
                .map(|&value| mean[value] / shares[value])
                .collect();
            with_mean_one(&raw, self.config.largest_weight)
        });
        Ok(Prepared {
            weights: Some(weights.collect()),
            notes: values.missing(&shares),
            ..Prepared::default()
        })
    }
}

/// What the site must not tell, of every sample of every source.
struct Values {
    of: Vec<Vec<usize>>,
    count: usize,
    what: String,
}

impl Values {
    /// Share of each value among some samples.
    fn shares(&self, own: &[usize]) -> Vec<f64> {
        let mut shares = vec![0.0; self.count];
        for &value in own {
            shares[value] += 1.0 / own.len() as f64;
        }
        shares
    }

    /// A note for each source that lacks a value which another has.
    fn missing(&self, shares: &[Vec<f64>]) -> Vec<String> {
        let somewhere = |value: &usize| shares.iter().any(|own| own[*value] > 0.0);
        let all: Vec<usize> = (0..self.count).filter(somewhere).collect();
        let sources = shares.iter().enumerate().filter_map(|(source, own)| {
            let absent = all.iter().filter(|&&value| own[value] <= 0.0).count();
            (absent > 0).then(|| {
                format!(
                    "back-door: source {} of {} has none of {absent} of the {} {}: the effect is \
                     not identified there, and its other samples take their weight",
                    source + 1,
                    shares.len(),
                    all.len(),
                    self.what
                )
            })
        });
        sources.collect()
    }
}

impl BackDoor {
    fn values(&self, data: &dyn TrainingData) -> Option<Values> {
        if data.class_count() == 0 {
            return self.groups_of_patients(data);
        }
        let of = |e| -> Option<Vec<usize>> {
            let classes = data.classes(e)?.into_iter();
            Some(classes.map(|class| class as usize).collect())
        };
        Some(Values {
            of: (0..data.sources()).map(of).collect::<Option<_>>()?,
            count: data.class_count(),
            what: "classes".into(),
        })
    }

    /// Patients by the groups of all wanted attributes; none where nothing is known of any.
    fn groups_of_patients(&self, data: &dyn TrainingData) -> Option<Values> {
        let sources: Vec<_> = (0..data.sources()).map(|e| data.attributes(e)).collect();
        let names = data.attribute_names().iter().enumerate();
        let wanted = names.filter(|(_, name)| self.is_wanted(name));
        let levels: Vec<(usize, Levels)> = wanted
            .filter_map(|(column, _)| {
                let rows = sources.iter().flatten();
                let known = rows.filter_map(|row| row.get(column).copied().flatten());
                Some((column, Levels::of(known.collect(), self.config.groups)?))
            })
            .collect();
        if levels.is_empty() {
            return None;
        }
        let mut numbers: BTreeMap<Vec<Option<usize>>, usize> = BTreeMap::new();
        let mut number = |row: &Vec<Option<f64>>| {
            let level = |(column, levels): &(usize, Levels)| {
                let value = row.get(*column).copied().flatten();
                value.map(|value| levels.place(value))
            };
            let next = numbers.len();
            *numbers
                .entry(levels.iter().map(level).collect())
                .or_insert(next)
        };
        let of = sources
            .iter()
            .map(|rows| rows.iter().map(&mut number).collect());
        Some(Values {
            of: of.collect(),
            count: numbers.len(),
            what: format!("groups by {}", self.config.attributes.join(" and ")),
        })
    }

    /// Whether a column is a wanted attribute or, as in `sex=F`, one of its categories.
    fn is_wanted(&self, column: &str) -> bool {
        let name = column.split_once('=').map_or(column, |(name, _)| name);
        self.config.attributes.iter().any(|wanted| wanted == name)
    }
}

/// Where an attribute passes from one group to the next.
struct Levels(Vec<f64>);

impl Levels {
    /// Each value for itself where there are few, else groups of equal size; none without a value.
    fn of(mut known: Vec<f64>, groups: usize) -> Option<Self> {
        known.sort_unstable_by(f64::total_cmp);
        let mut distinct = known.clone();
        distinct.dedup_by(|a, b| a.total_cmp(b).is_eq());
        if distinct.len() <= groups {
            return (!distinct.is_empty()).then(|| Self(distinct.split_off(1)));
        }
        let cut = |group| known[group * known.len() / groups];
        Some(Self((1..groups).map(cut).collect()))
    }

    fn place(&self, value: f64) -> usize {
        self.0.iter().filter(|&&cut| cut <= value).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{Patients, check_settings};

    fn prepared(patients: &Patients, config: BackDoorConfig) -> (Vec<Vec<f32>>, Vec<String>) {
        let prepared = BackDoor { config }.prepare(patients).unwrap();
        (prepared.weights.unwrap_or_default(), prepared.notes)
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{found:?} {expected:?}");
        }
    }

    /// Three of four are ill at one site and one of four at the other: P(y) = 1/2, so that the
    /// weights are (1/2)/(3/4) and (1/2)/(1/4).
    #[test]
    fn site_and_label_are_independent_under_the_weights() {
        let patients = Patients::classes(&[&[1, 1, 1, 0], &[0, 0, 0, 1]], 2);
        let (weights, notes) = prepared(&patients, BackDoorConfig::default());
        let third = 2.0 / 3.0;
        near(&weights[0], &[third, third, third, 2.0]);
        near(&weights[1], &[third, third, third, 2.0]);
        assert!(notes.is_empty());
    }

    /// P(y = 1) is the mean of 1/4, 1/2 and 3/4 whatever the sizes of the sites.
    #[test]
    fn sites_count_the_same() {
        let patients = Patients::classes(&[&[0, 0, 0, 1], &[0, 1], &[1, 1, 0, 1, 1, 1, 1, 0]], 2);
        let (weights, _) = prepared(&patients, BackDoorConfig::default());
        near(&weights[1], &[1.0, 1.0]);
        near(&weights[0][2..], &[2.0 / 3.0, 2.0]);
        near(&weights[2][1..3], &[2.0 / 3.0, 2.0]);
    }

    #[test]
    fn a_site_without_a_class_is_said_and_keeps_its_mean() {
        let patients = Patients::classes(&[&[0, 0], &[0, 1]], 3);
        let (weights, notes) = prepared(&patients, BackDoorConfig::default());
        near(&weights[0], &[1.0, 1.0]);
        near(&weights[1], &[1.5, 0.5]);
        assert_eq!(
            notes,
            [
                "back-door: source 1 of 2 has none of 1 of the 2 classes: the effect is not \
              identified there, and its other samples take their weight"
            ]
        );
    }

    /// Old patients are 3/4 at one site and 1/4 at the other; what is unknown is a value as well.
    #[test]
    fn without_classes_age_and_sex_are_balanced() {
        let (young, old) = (vec![Some(20.0), Some(1.0)], vec![Some(80.0), Some(1.0)]);
        let one = vec![old.clone(), old.clone(), old.clone(), young.clone()];
        let other = vec![young.clone(), young.clone(), old, young];
        let patients = Patients::attributes(&["age", "sex=M"], &[one, other], None);
        let (weights, notes) = prepared(&patients, BackDoorConfig::default());
        let third = 2.0 / 3.0;
        near(&weights[0], &[third, third, third, 2.0]);
        near(&weights[1], &[third, third, 2.0, third]);
        assert!(notes.is_empty());
    }

    #[test]
    fn where_nothing_is_known_it_is_said() {
        let unknown = vec![vec![None], vec![None]];
        for (name, rows) in [
            ("age", unknown),
            ("lab", vec![vec![Some(1.0)], vec![Some(2.0)]]),
        ] {
            let patients = Patients::attributes(&[name], &[rows.clone(), rows], None);
            let (weights, notes) = prepared(&patients, BackDoorConfig::default());
            assert!(weights.is_empty());
            assert!(notes[0].contains("age and sex") && notes[0].contains("plain training"));
        }
    }

    #[test]
    fn an_attribute_of_many_values_is_divided_into_groups_of_equal_size() {
        let known: Vec<f64> = (0..9).rev().map(f64::from).collect();
        let levels = Levels::of(known.clone(), 3).unwrap();
        let places: Vec<usize> = known.iter().rev().map(|&v| levels.place(v)).collect();
        assert_eq!(places, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        let few = Levels::of(vec![1.0, 0.0, 1.0, 1.0], 3).unwrap();
        assert_eq!([few.place(0.0), few.place(1.0)], [0, 1]);
        assert!(Levels::of(Vec::new(), 3).is_none());
    }

    #[test]
    fn settings_are_checked() {
        check_settings::<BackDoorConfig>(
            INFO,
            &[
                ("largest_weight", "0.5", "at least 1"),
                ("attributes", "[]", "at least one name"),
                ("groups", "1", "from 2 to 100"),
            ],
        );
    }
}

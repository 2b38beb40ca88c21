//! What is asked, and whoever knows the answer.

use std::collections::BTreeMap;

use candle_core::Tensor;
use ctl_compute::random::{permutation, stream};
use ctl_counterfactual::{Act, Acts, Amount, Columns, CounterfactualError, Kind, Records, Schema};

use crate::{HarnessError, Result};

/// An intervention on every individual, each with values of their own.
///
/// # Examples
/// ```
/// use ctl_harness::truth::Case;
///
/// let case = Case::new(&[("age", vec![60.0, 71.5])]);
/// assert_eq!(case.name(), "do(age)");
/// assert_eq!(case.select(&[1]).acts[0].1, [71.5]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Attributes with what they are set to, individual after individual.
    pub acts: Vec<(String, Vec<f64>)>,
}

impl Case {
    /// Sets attributes.
    pub fn new(acts: &[(&str, Vec<f64>)]) -> Self {
        let owned = acts.iter().map(|(name, v)| ((*name).to_owned(), v.clone()));
        Self {
            acts: owned.collect(),
        }
    }

    /// Gives attributes the values of other individuals, each attribute in a random order of its own;
    /// one of two categories becomes the other.
    ///
    /// # Errors
    /// When a name is no attribute's.
    ///
    /// # References
    /// Melistas et al. 2024, section 3, whose interventions draw from the data.
    pub fn of_others(schema: &Schema, facts: &Records, names: &[&str], seed: u64) -> Result<Self> {
        let mut acts = Vec::new();
        for &name in names {
            let node = schema.attribute(name)?;
            let own = facts.columns.column(node);
            let two = matches!(schema.kind(node), Kind::Categorical { categories } if categories.len() == 2);
            let values = if two {
                own.iter().map(|value| 1.0 - value).collect()
            } else {
                let rng = &mut stream(seed, "truth", &format!("values of {name}"));
                let order = permutation(rng, own.len());
                order.into_iter().map(|row| own[row]).collect()
            };
            acts.push((name.to_owned(), values));
        }
        Ok(Self { acts })
    }

    /// What a model was told: the inverse of [`Case::acts`].
    ///
    /// # Errors
    /// When something else is asked for than that attributes take values.
    pub fn of_acts(
        schema: &Schema,
        acts: &Acts,
        individuals: usize,
    ) -> ctl_counterfactual::Result<Self> {
        let mut case = Self { acts: Vec::new() };
        for node in acts.nodes() {
            let name = schema.diagram().name(node).to_owned();
            let Some(Act::Set(amount)) = acts.on(node) else {
                return Err(CounterfactualError::Value {
                    subject: format!("intervention on {name}"),
                    expected: "a value".to_owned(),
                    found: acts.describe(schema),
                });
            };
            let values = match amount {
                Amount::All(value) => vec![*value; individuals],
                Amount::Each(values) => values.clone(),
            };
            if values.len() != individuals {
                return Err(CounterfactualError::Value {
                    subject: format!("intervention on {name}"),
                    expected: format!("{individuals} values"),
                    found: values.len().to_string(),
                });
            }
            case.acts.push((name, values));
        }
        Ok(case)
    }

    /// Attributes of individuals with what is set, and nothing that would follow from it.
    ///
    /// # Errors
    /// When values are for another number of individuals, or none that an attribute can take.
    pub fn applied(
        &self,
        schema: &Schema,
        columns: &Columns,
    ) -> ctl_counterfactual::Result<Columns> {
        let attributes = schema.attributes().map(|node| {
            let name = schema.diagram().name(node);
            let set = self.acts.iter().find(|(own, _)| own == name);
            let values = set.map_or_else(|| columns.column(node), |(_, values)| &values[..]);
            (name, values.to_vec())
        });
        Columns::new(schema, &attributes.collect::<Vec<_>>())
    }

    /// The intervention in words.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.acts.iter().map(|(name, _)| name.as_str()).collect();
        format!("do({})", names.join(", "))
    }

    /// The intervention on some of the individuals, in the order given.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let of = |values: &Vec<f64>| rows.iter().map(|&row| values[row]).collect();
        let acts = self.acts.iter().map(|(name, v)| (name.clone(), of(v)));
        Self {
            acts: acts.collect(),
        }
    }

    /// Whether an attribute is acted on.
    pub fn sets(&self, name: &str) -> bool {
        self.acts.iter().any(|(own, _)| own == name)
    }

    /// Refuses values for another number of individuals.
    ///
    /// # Errors
    /// [`HarnessError::Config`] names the attribute and both numbers.
    pub fn check(&self, individuals: usize) -> Result<()> {
        let unfit = self.acts.iter().find(|(_, v)| v.len() != individuals);
        unfit.map_or(Ok(()), |(name, values)| {
            Err(HarnessError::Config {
                origin: "intervention".into(),
                key: name.clone(),
                message: format!("{} values for {individuals} individuals", values.len()),
            })
        })
    }

    /// As a model is told it.
    ///
    /// # Errors
    /// When a name is no attribute's, or a value none that it can take.
    pub fn acts(&self, schema: &Schema) -> Result<Acts> {
        let acts = self.acts.iter();
        let acts: Vec<(&str, Act)> = acts
            .map(|(name, values)| (name.as_str(), Act::set(values.clone())))
            .collect();
        Ok(Acts::new(schema, &acts)?)
    }
}

/// A simulator that knows what its individuals would have been.
pub trait Simulator {
    /// The variables as models have them.
    fn schema(&self) -> &Schema;

    /// Attributes and images of some individuals.
    ///
    /// # Errors
    /// When an individual does not exist.
    fn facts(&self, individuals: &[usize]) -> Result<Records>;

    /// The same individuals under an intervention, whose values are in their order.
    ///
    /// # Errors
    /// When an individual does not exist, or an intervention is not possible.
    fn truth(&self, individuals: &[usize], case: &Case) -> Result<Records>;

    /// What a rule reads off images `[B, C, H, W]`, 0 to 1, by attribute; none where an image shows
    /// nothing, no attribute where there is no rule.
    ///
    /// # Errors
    /// When images are of another shape.
    fn measure(&self, images: &Tensor) -> Result<BTreeMap<String, Vec<Option<f64>>>>;

    /// Where the noises that made the attributes of individuals lie in their distributions, 0 to 1, by
    /// continuous attribute: what ranks abducted by a right model are.
    ///
    /// # Errors
    /// When an individual does not exist.
    fn ranks(&self, individuals: &[usize]) -> Result<BTreeMap<String, Vec<f64>>>;
}

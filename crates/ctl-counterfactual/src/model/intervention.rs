//! What is done to attributes.

use std::collections::BTreeMap;

use ctl_graph::NodeId;

use crate::{CounterfactualError, Result, Schema};

/// One number for everybody, or one for each individual.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// The same for everybody.
    All(f64),
    /// One for each individual, in order.
    Each(Vec<f64>),
}

impl Amount {
    /// The number of an individual.
    pub fn of(&self, row: usize) -> f64 {
        match self {
            Self::All(value) => *value,
            Self::Each(values) => values[row],
        }
    }

    fn numbers(&self) -> &[f64] {
        match self {
            Self::All(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }

    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::All(value) => Self::All(*value),
            Self::Each(values) => Self::Each(rows.iter().map(|&row| values[row]).collect()),
        }
    }
}

impl From<f64> for Amount {
    fn from(value: f64) -> Self {
        Self::All(value)
    }
}

impl From<Vec<f64>> for Amount {
    fn from(values: Vec<f64>) -> Self {
        Self::Each(values)
    }
}

/// What is done to one attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Act {
    /// `do(a = value)`: hard, its parents no longer matter.
    Set(Amount),
    /// The value that its mechanism gives, plus an amount: soft, its parents still matter. Not for
    /// categories.
    Shift(Amount),
    /// Its mechanism with a fresh noise: soft, what parents leave open is drawn anew.
    Redraw {
        /// What the noises are drawn for.
        seed: u64,
    },
    /// The value of another of the individuals, all in a random order: hard and stochastic, nothing
    /// upstream matters any more, while the distribution of the values stays.
    Shuffle {
        /// What the order is drawn for.
        seed: u64,
    },
}

impl Act {
    /// `do(a = value)`
    pub fn set(value: impl Into<Amount>) -> Self {
        Self::Set(value.into())
    }

    /// The value plus an amount.
    pub fn shift(amount: impl Into<Amount>) -> Self {
        Self::Shift(amount.into())
    }
}

/// Interventions on several attributes at once, checked against a schema.
///
/// # Examples
/// ```
/// use ctl_counterfactual::{Act, Acts, Kind, Schema};
/// use ctl_graph::Diagram;
///
/// let kinds = [("age", Kind::REAL), ("volume", Kind::REAL)];
/// let schema = Schema::new(Diagram::parse("age -> volume")?, &kinds)?;
/// let acts = Acts::new(&schema, &[("age", Act::set(70.0)), ("volume", Act::shift(-0.5))])?;
/// assert_eq!(acts.describe(&schema), "do(age = 70.0000), volume + -0.5");
/// let fault = Acts::new(&schema, &[("sex", Act::set(1.0))]).unwrap_err();
/// assert!(fault.to_string().contains("sex"));
/// # Ok::<(), ctl_counterfactual::CounterfactualError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acts {
    acts: BTreeMap<usize, Act>,
}

impl Acts {
    /// No intervention: what comes back is the model's reconstruction of the fact.
    pub fn none() -> Self {
        Self::default()
    }

    /// Interventions by the name of their attribute.
    ///
    /// # Errors
    /// When a name is no attribute's, an attribute is named twice, a value is none that it can take,
    /// or a category is shifted.
    pub fn new<S: AsRef<str>>(schema: &Schema, acts: &[(S, Act)]) -> Result<Self> {
        let mut placed = BTreeMap::new();
        for (name, act) in acts {
            let name = name.as_ref();
            let node = schema.attribute(name)?;
            check(schema, node, name, act)?;
            if placed.insert(node.index(), act.clone()).is_some() {
                return Err(CounterfactualError::Value {
                    subject: format!("interventions on {name}"),
                    expected: "one".to_owned(),
                    found: "two".to_owned(),
                });
            }
        }
        Ok(Self { acts: placed })
    }

    /// Reads `NAME=VALUE` and `NAME+=AMOUNT`, as a command line has them.
    ///
    /// # Errors
    /// When a text is of another form, and what [`Acts::new`] objects to; categories that were never
    /// declared among it.
    pub fn parse<S: AsRef<str>>(schema: &Schema, texts: &[S]) -> Result<Self> {
        let acts = texts.iter().map(|text| parse(schema, text.as_ref()));
        Self::new(schema, &acts.collect::<Result<Vec<_>>>()?)
    }

    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }

    /// What is done to a node.
    pub fn on(&self, node: NodeId) -> Option<&Act> {
        self.acts.get(&node.index())
    }

    /// The nodes that something is done to.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.acts.keys().map(|&index| NodeId::new(index)).collect()
    }

    /// The interventions of some individuals, in the order given.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let acts = self.acts.iter().map(|(&node, act)| {
            let act = match act {
                Act::Set(amount) => Act::Set(amount.select(rows)),
                Act::Shift(amount) => Act::Shift(amount.select(rows)),
                draw => draw.clone(),
            };
            (node, act)
        });
        Self {
            acts: acts.collect(),
        }
    }

    /// The same with shuffles replaced by the values that they stand for.
    pub(super) fn with_shuffles(&self, mut values: impl FnMut(NodeId, u64) -> Vec<f64>) -> Self {
        let acts = self.acts.iter().map(|(&node, act)| match act {
            &Act::Shuffle { seed } => (node, Act::set(values(NodeId::new(node), seed))),
            other => (node, other.clone()),
        });
        Self {
            acts: acts.collect(),
        }
    }

    /// The interventions in words.
    pub fn describe(&self, schema: &Schema) -> String {
        let words = self.acts.iter().map(|(&index, act)| {
            let node = NodeId::new(index);
            let name = schema.diagram().name(node);
            match act {
                Act::Set(Amount::All(value)) => {
                    format!("do({name} = {})", schema.show_value(node, *value))
                }
                Act::Set(Amount::Each(_)) => format!("do({name})"),
                Act::Shift(Amount::All(by)) => format!("{name} + {by}"),
                Act::Shift(Amount::Each(_)) => format!("{name} shifted"),
                Act::Redraw { .. } => format!("{name} redrawn"),
                Act::Shuffle { .. } => format!("{name} shuffled"),
            }
        });
        let words: Vec<String> = words.collect();
        if words.is_empty() {
            return "nothing done".to_owned();
        }
        words.join(", ")
    }

    /// Refuses amounts for another number of individuals.
    ///
    /// # Errors
    /// [`CounterfactualError::Value`].
    pub(crate) fn check_count(&self, schema: &Schema, count: usize) -> Result<()> {
        for (&index, act) in &self.acts {
            if let Act::Set(Amount::Each(values)) | Act::Shift(Amount::Each(values)) = act
                && values.len() != count
            {
                let name = schema.diagram().name(NodeId::new(index));
                return Err(CounterfactualError::Value {
                    subject: format!("intervention on {name}"),
                    expected: format!("one value, or one for each of {count} individuals"),
                    found: values.len().to_string(),
                });
            }
        }
        Ok(())
    }
}

fn check(schema: &Schema, node: NodeId, name: &str, act: &Act) -> Result<()> {
    match act {
        Act::Set(amount) => amount
            .numbers()
            .iter()
            .try_for_each(|&value| schema.check(node, value, || format!("intervention on {name}"))),
        Act::Shift(amount) => {
            let found = match schema.kind(node) {
                crate::Kind::Categorical { .. } => "a category to shift".to_owned(),
                _ => match amount.numbers().iter().find(|by| !by.is_finite()) {
                    Some(by) => by.to_string(),
                    None => return Ok(()),
                },
            };
            Err(CounterfactualError::Value {
                subject: format!("intervention on {name}"),
                expected: "a finite amount for a continuous attribute".to_owned(),
                found,
            })
        }
        Act::Redraw { .. } | Act::Shuffle { .. } => Ok(()),
    }
}

fn parse<'a>(schema: &Schema, text: &'a str) -> Result<(&'a str, Act)> {
    if let Some((name, amount)) = text.split_once("+=") {
        let (name, amount) = (name.trim(), amount.trim());
        schema.attribute(name)?;
        let by: f64 = amount.parse().map_err(|_| CounterfactualError::Value {
            subject: format!("intervention on {name}"),
            expected: "a finite amount".to_owned(),
            found: format!("{amount:?}"),
        })?;
        return Ok((name, Act::shift(by)));
    }
    let Some((name, value)) = text.split_once('=') else {
        return Err(CounterfactualError::Value {
            subject: "intervention".to_owned(),
            expected: "NAME=VALUE or NAME+=AMOUNT".to_owned(),
            found: format!("{text:?}"),
        });
    };
    let name = name.trim();
    Ok((name, Act::set(schema.parse_value(name, value.trim())?)))
}

#[cfg(test)]
mod tests {
    use ctl_graph::Diagram;
    use rstest::rstest;

    use super::*;
    use crate::Kind;

    fn schema() -> Schema {
        let kinds = [
            ("scanner", Kind::named(&["A", "B"])),
            (
                "age",
                Kind::Continuous {
                    lower: Some(0.0),
                    upper: None,
                },
            ),
            ("image", Kind::Image { shape: [1, 2, 2] }),
        ];
        Schema::new(
            Diagram::parse("scanner -> image; age -> image").unwrap(),
            &kinds,
        )
        .unwrap()
    }

    #[test]
    fn texts_are_read() {
        let schema = schema();
        let acts = Acts::parse(&schema, &["scanner=B", " age += -3.5 "]).unwrap();
        let node = |name| schema.attribute(name).unwrap();
        assert_eq!(acts.on(node("scanner")), Some(&Act::set(1.0)));
        assert_eq!(acts.on(node("age")), Some(&Act::shift(-3.5)));
        assert_eq!(acts.describe(&schema), "do(scanner = B), age + -3.5");
        assert_eq!(Acts::none().describe(&schema), "nothing done");
    }

    #[rstest]
    #[case(
        "scanner",
        "intervention: expected NAME=VALUE or NAME+=AMOUNT, found \"scanner\""
    )]
    #[case(
        "scanner=C",
        "scanner: expected one of the categories A, B, found \"C\""
    )]
    #[case("age=-1", "age: expected a number above 0, found -1")]
    #[case(
        "age+=much",
        "intervention on age: expected a finite amount, found \"much\""
    )]
    #[case(
        "age+=inf",
        "intervention on age: expected a finite amount for a continuous attribute, found inf"
    )]
    #[case(
        "scanner+=1",
        "intervention on scanner: expected a finite amount for a continuous attribute, found a category to shift"
    )]
    #[case("image=1", "node image: expected one of scanner, age, found the image")]
    fn ill_texts_are_errors(#[case] text: &str, #[case] expected: &str) {
        let fault = Acts::parse(&schema(), &[text]).unwrap_err();
        assert_eq!(fault.to_string(), expected);
    }

    #[test]
    fn two_acts_on_one_attribute_and_wrong_counts_are_errors() {
        let schema = schema();
        let twice = Acts::parse(&schema, &["age=1", "age=2"]).unwrap_err();
        assert_eq!(
            twice.to_string(),
            "interventions on age: expected one, found two"
        );
        let acts = Acts::new(&schema, &[("age", Act::set(vec![1.0, 2.0]))]).unwrap();
        assert!(acts.check_count(&schema, 2).is_ok());
        let fault = acts.check_count(&schema, 3).unwrap_err().to_string();
        assert!(fault.contains("each of 3 individuals, found 2"), "{fault}");
        let picked = acts.select(&[1]);
        let age = schema.attribute("age").unwrap();
        assert_eq!(picked.on(age), Some(&Act::set(vec![2.0])));
    }
}

//! Who is asked: models, generators, and references that need no training.

use std::cell::RefCell;

use candle_core::Tensor;
use ctl_counterfactual::generators::FittedStatistics;
use ctl_counterfactual::{Acts, Answers, CounterfactualError, DeepScm, Records, Schema};
use ctl_invariance::{Batch, CounterfactualGenerator, Intervention, TargetKind};
use serde::{Deserialize, Serialize};

use super::{Case, Questions, Simulator};
use crate::Result;
use crate::error::chain;

/// What a training cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Mechanism of the image.
    pub mechanism: String,
    /// Updates of the image's mechanism.
    pub updates: u64,
    /// Images of an update.
    pub batch: usize,
    /// Weights of the image's mechanism.
    pub weights: usize,
    /// Minutes of training on the machine that trained, attributes included; none where nobody kept
    /// them.
    pub minutes: Option<f64>,
}

/// Somebody who is asked.
pub struct Rival<'a> {
    /// A name for the tables.
    pub name: String,
    /// Who answers.
    pub answers: &'a dyn Answers,
    /// The model, where one was trained, whose noises are looked at.
    pub model: Option<&'a DeepScm>,
    /// What training cost.
    pub budget: Option<Budget>,
    /// Individuals that are asked about, the first ones, at most.
    pub most: usize,
    /// The only attributes that it knows of; none where it knows all. It is asked about an
    /// intervention on one of them at least.
    pub only: Option<Vec<String>>,
}

impl<'a> Rival<'a> {
    /// Who answers with neither training nor limits.
    pub fn reference(name: &str, answers: &'a dyn Answers) -> Self {
        Self {
            name: name.to_owned(),
            answers,
            model: None,
            budget: None,
            most: usize::MAX,
            only: None,
        }
    }

    /// A model that was trained.
    pub fn trained(name: &str, model: &'a DeepScm, budget: &Budget) -> Self {
        Self {
            model: Some(model),
            budget: Some(budget.clone()),
            ..Self::reference(name, model)
        }
    }

    /// Whether it is asked.
    pub fn knows(&self, case: &Case) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|names| names.iter().any(|name| case.sets(name)))
    }
}

/// Says that what is set would be, and that nothing else would be otherwise: the image is the fact.
pub struct Unmoved(pub Schema);

impl Answers for Unmoved {
    fn variables(&self) -> &Schema {
        &self.0
    }

    fn answer(
        &self,
        facts: &Records,
        acts: &Acts,
        _seed: u64,
    ) -> ctl_counterfactual::Result<Records> {
        let case = Case::of_acts(&self.0, acts, facts.len())?;
        Ok(Records {
            columns: case.applied(&self.0, &facts.columns)?,
            images: facts.images.clone(),
        })
    }
}

type Knowledge<'a> = Box<dyn Fn(&[usize], &Case) -> Result<Records> + 'a>;

/// Says what a simulator knows of some individuals, whatever facts it is shown of them.
///
/// To set what is the case already changes nothing, and is taken for no intervention. What was said
/// once is remembered: rendering is slow, and soundness asks the same many times over.
pub struct Known<'a> {
    schema: Schema,
    questions: &'a Questions,
    knows: Knowledge<'a>,
    said: RefCell<Vec<Said>>,
}

/// An answer about the first individuals.
struct Said {
    count: usize,
    case: Case,
    records: Records,
}

impl<'a> Known<'a> {
    /// What `knows` says of individuals under an intervention.
    ///
    /// # Arguments
    /// - `questions`: whose individuals, or the first of them, are asked about
    pub fn new(
        schema: &Schema,
        questions: &'a Questions,
        knows: impl Fn(&[usize], &Case) -> Result<Records> + 'a,
    ) -> Self {
        Self {
            schema: schema.clone(),
            questions,
            knows: Box::new(knows),
            said: RefCell::new(Vec::new()),
        }
    }

    /// The true counterfactuals, those of the questions at once.
    pub fn truth(simulator: &'a dyn Simulator, questions: &'a Questions) -> Self {
        let known = Self::new(simulator.schema(), questions, move |rows, case| {
            simulator.truth(rows, case)
        });
        let remember = |case: Case, records: &Records| Said {
            count: records.len(),
            case,
            records: records.clone(),
        };
        let nothing = Case { acts: Vec::new() };
        let asked = questions.questions.iter();
        let mut said: Vec<Said> = asked.map(|q| remember(q.case.clone(), &q.truth)).collect();
        said.push(remember(nothing, &questions.facts));
        known.said.replace(said);
        known
    }

    /// An intervention without what is the case already.
    fn effective(&self, mut case: Case) -> ctl_counterfactual::Result<Case> {
        let facts = &self.questions.facts.columns;
        let mut kept = Vec::new();
        for (name, values) in case.acts {
            let own = facts.column(self.schema.attribute(&name)?);
            if own.get(..values.len()) != Some(&values[..]) {
                kept.push((name, values));
            }
        }
        case.acts = kept;
        Ok(case)
    }

    fn remembered(&self, count: usize, case: &Case) -> ctl_counterfactual::Result<Option<Records>> {
        let rows: Vec<usize> = (0..count).collect();
        let said = self.said.borrow();
        let same = |said: &&Said| said.count >= count && said.case.select(&rows) == *case;
        let found = said
            .iter()
            .find(same)
            .map(|said| said.records.select(&rows));
        found.transpose()
    }
}

impl Answers for Known<'_> {
    fn variables(&self) -> &Schema {
        &self.schema
    }

    fn answer(
        &self,
        facts: &Records,
        acts: &Acts,
        _seed: u64,
    ) -> ctl_counterfactual::Result<Records> {
        let (count, all) = (facts.len(), &self.questions.individuals);
        let Some(asked) = all.get(..count) else {
            return Err(CounterfactualError::Value {
                subject: "individuals of a simulator".to_owned(),
                expected: format!("at most {}", all.len()),
                found: count.to_string(),
            });
        };
        let case = self.effective(Case::of_acts(&self.schema, acts, count)?)?;
        if let Some(records) = self.remembered(count, &case)? {
            return Ok(records);
        }
        let records = (self.knows)(asked, &case).map_err(|error| CounterfactualError::Value {
            subject: case.name(),
            expected: "an answer of the simulator".to_owned(),
            found: chain(&error),
        })?;
        self.said.borrow_mut().push(Said {
            count,
            case,
            records: records.clone(),
        });
        Ok(records)
    }
}

/// Says what images would look like at another scanner by what the images of each are like, and that
/// nothing else would show.
pub struct Matched<'a> {
    /// The variables.
    pub schema: &'a Schema,
    /// What the images of each scanner are like.
    pub fitted: &'a FittedStatistics,
    /// The attribute that is the scanner.
    pub scanner: &'a str,
}

impl Answers for Matched<'_> {
    fn variables(&self) -> &Schema {
        self.schema
    }

    fn answer(
        &self,
        facts: &Records,
        acts: &Acts,
        _seed: u64,
    ) -> ctl_counterfactual::Result<Records> {
        let node = self.schema.attribute(self.scanner)?;
        let case = Case::of_acts(self.schema, acts, facts.len())?;
        let columns = case.applied(self.schema, &facts.columns)?;
        let asked = case.acts.iter().find(|(name, _)| name == self.scanner);
        let (Some((_, there)), Some(_)) = (asked, &facts.images) else {
            return Ok(Records {
                columns,
                images: facts.images.clone(),
            });
        };
        let mut images: Vec<Tensor> = Vec::new();
        for (row, (&from, &to)) in facts.columns.column(node).iter().zip(there).enumerate() {
            let fact = facts.select(&[row])?;
            let Some(image) = fact.images else { continue };
            let batch = Batch::new(from as usize, image, TargetKind::Classes);
            let acts = [Intervention::environment(to as usize)];
            let answer = self.fitted.counterfactuals(&batch, &acts);
            images.push(answer.map_err(|error| CounterfactualError::Value {
                subject: case.name(),
                expected: "scanners whose images are known".to_owned(),
                found: chain(&error),
            })?);
        }
        Ok(Records {
            columns,
            images: Some(Tensor::cat(&images, 0)?),
        })
    }
}

//! What the advice consists of.

use serde::{Deserialize, Serialize};

use crate::graph::ShiftKind;

/// How image and label are related in the diagram.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Relation, Template, advise};
///
/// let study = "causal-acquisition-anatomy".parse::<Template>()?.build()?;
/// assert_eq!(advise(&study)?.relation, Relation::SharedContent);
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Relation {
    /// The label is drawn from the image.
    ImageToLabel,
    /// The image shows what the label says.
    LabelToImage,
    /// Neither causes the other; both follow from content that the image shows.
    SharedContent,
    /// No cause joins them.
    Unrelated,
}

/// A difference between sources and target that the advice reckons with.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Template, advise};
///
/// // Nothing is stated, but a site that confounds differs in the target.
/// let study = "anticausal-confounded".parse::<Template>()?.build()?;
/// let shifts = advise(&study)?.shifts;
/// assert_eq!(shifts[0].nodes, ["site"]);
/// assert!(shifts[0].implied);
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReckonedShift {
    /// What kind of shift it is.
    pub kind: ShiftKind,
    /// The nodes whose mechanisms differ, or on which entering the data depends.
    pub nodes: Vec<String>,
    /// Whether it follows from the confounding of site and label, and was not stated.
    pub implied: bool,
}

/// A conditional distribution `P(variable | given)`.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Template, advise};
///
/// let study = "causal-population".parse::<Template>()?.build()?;
/// let advice = advise(&study)?;
/// let images = advice.conditionals.iter().find(|c| c.text() == "P(image)").unwrap();
/// assert!(!images.invariant);
/// assert_eq!(images.moved_by, ["population shift (anatomy)"]);
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conditional {
    /// The variable.
    pub variable: String,
    /// What it is conditioned on.
    pub given: Vec<String>,
    /// Whether it is the variable's own mechanism, that is, given all its parents.
    pub is_mechanism: bool,
    /// Whether it is the same in all sources and the target.
    pub invariant: bool,
    /// What moves it: the shifts by kind and nodes, none where it is invariant.
    pub moved_by: Vec<String>,
    /// Of the sources that the shifts name, those in which it is the same as in the target.
    pub sources: Vec<String>,
}

impl Conditional {
    /// The distribution as text, `P(label | image)`.
    pub fn text(&self) -> String {
        match self.given.as_slice() {
            [] => format!("P({})", self.variable),
            given => format!("P({} | {})", self.variable, given.join(", ")),
        }
    }
}

/// What a representation `φ` of the image must satisfy.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::ConstraintKind;
///
/// let json = serde_json::to_string(&ConstraintKind::ConditionalOnLabel)?;
/// assert_eq!(json, "\"conditional-on-label\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ConstraintKind {
    /// `φ ⊥ variables`.
    Marginal,
    /// `φ ⊥ variables | label`.
    ConditionalOnLabel,
    /// `label ⊥ variables | φ`: the rule from representation to label is the same everywhere.
    SameRule,
}

/// An independence that a penalty can enforce on a representation `φ` of the image.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{ConstraintKind, Template, advise};
/// use ctl_graph::graph::CausalDirection;
///
/// // Where the disease shows in the image, and sites differ in scanner and in prevalence,
/// // features must not tell the site among patients of one label.
/// let study = Template::new(CausalDirection::Anticausal).confounded().build()?;
/// let constraints = advise(&study)?.constraints;
/// let about_site = constraints.iter().find(|c| c.variables == ["site"]).unwrap();
/// assert_eq!(about_site.kind, ConstraintKind::ConditionalOnLabel);
/// assert_eq!(about_site.given, ["label"]);
/// // What an objective reads to make a penalty of it.
/// let json = serde_json::to_value(about_site)?;
/// assert_eq!((&json["kind"], &json["variables"][0]), (&"conditional-on-label".into(), &"site".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// What must be independent: `representation`, or for [`ConstraintKind::SameRule`] the label.
    pub of: String,
    /// The variables of which it must be independent; `environment` stands for the source.
    pub variables: Vec<String>,
    /// The variables that are held fixed; `representation` stands for `φ`.
    pub given: Vec<String>,
    /// The form of the independence.
    pub kind: ConstraintKind,
    /// The part of the diagram for which it holds, and which the representation should carry.
    pub carrier: Vec<String>,
}

/// What the diagram says of a remedy.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Template, Verdict, advise};
///
/// let advice = advise(&"causal-population".parse::<Template>()?.build()?)?;
/// assert_eq!(advice.remedy("plain-training").unwrap().verdict, Verdict::Licensed);
/// assert_eq!(advice.remedy("label-shift-correction").unwrap().verdict, Verdict::NotLicensed);
/// assert_eq!(advice.remedy("covariate-adjustment").unwrap().verdict, Verdict::Unneeded);
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The diagram supports it, under the condition that is named where there is one.
    Licensed,
    /// It would be sound, but nothing that it corrects has moved.
    Unneeded,
    /// It rests on something that the diagram denies.
    NotLicensed,
}

/// The kind of remedy, as the toolkit's registry sorts its methods.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Family, Template, advise};
///
/// let advice = advise(&"causal-acquisition".parse::<Template>()?.build()?)?;
/// let counterfactual = advice.remedies.iter().filter(|r| r.family == Family::Counterfactual);
/// assert_eq!(counterfactual.map(|r| r.id).collect::<Vec<_>>(), ["counterfactual-augmentation"]);
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Training as usual.
    Baseline,
    /// Adaptation that follows correlations: alignment, weighting, test time.
    Correlation,
    /// Invariance over environments.
    Invariance,
    /// Guided by the structural model: adjustment, transport, constraints from the graph.
    Scm,
    /// Generated or exchanged counterfactuals.
    Counterfactual,
}

/// A family of methods, judged.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Template, advise};
///
/// let advice = advise(&"causal-population".parse::<Template>()?.build()?)?;
/// let weighting = advice.remedy("density-ratio-weighting").unwrap();
/// assert_eq!(weighting.because, "only P(image) differs, P(label | image) is the same");
/// assert_eq!(weighting.formula.as_deref(), Some("w = P*(image) / P(image)"));
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// Its name, lower-case with hyphens.
    pub id: &'static str,
    /// What it does, in a few plain words.
    pub title: &'static str,
    /// The family it belongs to.
    pub family: Family,
    /// What the diagram says of it.
    pub verdict: Verdict,
    /// Why, in plain words.
    pub because: String,
    /// What must hold besides, which no diagram can show.
    pub provided: Option<String>,
    /// The formula that makes it exact, where there is one.
    pub formula: Option<String>,
    /// Methods of this kind by their usual names.
    pub methods: &'static [&'static str],
}

/// What data an answer takes.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::Data;
///
/// assert!(Data::Sources < Data::UnlabelledTarget);
/// assert!(Data::UnlabelledTarget < Data::LabelledTarget);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Data {
    /// Labelled data of the sources.
    Sources,
    /// Those, and images and covariates of the target without labels.
    UnlabelledTarget,
    /// Labelled data of the target.
    LabelledTarget,
}

/// Whether the target's rule `P*(label | image)` follows from the data.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Data, Template, advise};
///
/// let study = "anticausal-prevalence".parse::<Template>()?.build()?;
/// let prediction = advise(&study)?.prediction;
/// assert_eq!(prediction.needs, Data::UnlabelledTarget);
/// assert_eq!(prediction.remedy, Some("label-shift-correction"));
///
/// let study = "causal-annotation".parse::<Template>()?.build()?;
/// assert_eq!(advise(&study)?.prediction.needs, Data::LabelledTarget);
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// The least data from which it was found to follow.
    pub needs: Data,
    /// The remedy that computes it.
    pub remedy: Option<&'static str>,
    /// The formula that the remedy evaluates.
    pub formula: Option<String>,
}

/// What the diagram of a study says can be transferred, and how.
///
/// As JSON, `schema` is the version of the record: fields are added within a version, and never
/// renamed or removed.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Template, Verdict, advise};
///
/// let advice = advise(&"causal-annotation".parse::<Template>()?.build()?)?;
/// assert_eq!(
///     advice.answer[0],
///     "A model trained on the sources as usual may fail in the target: P(label | image) differs, \
///      through the annotation shift (label).",
/// );
/// assert_eq!(advice.with_verdict(Verdict::Licensed), ["mechanism-reuse", "target-labels"]);
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Version of this record.
    pub schema: u32,
    /// The image.
    pub image: String,
    /// The label.
    pub label: String,
    /// How the two are related.
    pub relation: Relation,
    /// The answer in a sentence or two.
    pub answer: Vec<String>,
    /// Whether the rule from image to label in the target follows.
    pub prediction: Prediction,
    /// The shifts.
    pub shifts: Vec<ReckonedShift>,
    /// Sites that go together with the label in the sources while they mark the image.
    pub confounded_by: Vec<String>,
    /// Conditional distributions, invariant or not.
    pub conditionals: Vec<Conditional>,
    /// The remedies, judged.
    pub remedies: Vec<Remedy>,
    /// What a representation must satisfy.
    pub constraints: Vec<Constraint>,
    /// What was assumed beyond the diagram.
    pub assumptions: Vec<String>,
}

impl Advice {
    /// Tells whether `P(variable | given)` was found invariant; `None` where it was not examined.
    pub fn is_invariant(&self, variable: &str, given: &[&str]) -> Option<bool> {
        let same = |conditional: &&Conditional| {
            conditional.variable == variable
                && conditional.given.len() == given.len()
                && conditional
                    .given
                    .iter()
                    .all(|name| given.contains(&name.as_str()))
        };
        self.conditionals
            .iter()
            .find(same)
            .map(|conditional| conditional.invariant)
    }

    /// The remedy of a name.
    pub fn remedy(&self, id: &str) -> Option<&Remedy> {
        self.remedies.iter().find(|remedy| remedy.id == id)
    }

    /// The remedy that a method belongs to, by the method's usual name.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::advice::{Template, Verdict, advise};
    ///
    /// let advice = advise(&"anticausal-prevalence".parse::<Template>()?.build()?)?;
    /// assert_eq!(advice.remedy_of("coral").unwrap().verdict, Verdict::NotLicensed);
    /// assert_eq!(advice.remedy_of("bbse").unwrap().verdict, Verdict::Licensed);
    /// assert!(advice.remedy_of("horoscope").is_none());
    /// # Ok::<(), ctl_graph::advice::AdviceError>(())
    /// ```
    pub fn remedy_of(&self, method: &str) -> Option<&Remedy> {
        self.remedies
            .iter()
            .find(|remedy| remedy.methods.contains(&method))
    }

    /// The names of the remedies with a verdict.
    pub fn with_verdict(&self, verdict: Verdict) -> Vec<&'static str> {
        let remedies = self
            .remedies
            .iter()
            .filter(|remedy| remedy.verdict == verdict);
        remedies.map(|remedy| remedy.id).collect()
    }
}

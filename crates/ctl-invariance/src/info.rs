//! What a method is and what it rests on, as data.

use serde::Serialize;

/// The mechanism family of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Plain training, and training that is robust over mixtures of the environments.
    Baseline,
    /// Correlation-based adaptation: alignment, adversaries, augmentation, reweighting.
    Correlation,
    /// Invariance over environments.
    Invariance,
    /// Guided by a structural causal model.
    ScmGuided,
    /// Counterfactual generation, augmentation or consistency.
    Counterfactual,
    /// Over sites that do not share images.
    Federated,
}

impl Family {
    /// The name used in tables and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Correlation => "correlation",
            Self::Invariance => "invariance",
            Self::ScmGuided => "scm-guided",
            Self::Counterfactual => "counterfactual",
            Self::Federated => "federated",
        }
    }

    /// Whether the survey counts the family as causal transfer.
    pub fn is_causal(self) -> bool {
        !matches!(self, Self::Baseline | Self::Correlation)
    }
}

/// How settled a method's interface and defaults are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Settings keep their meaning.
    Stable,
    /// Settings may still change.
    Preview,
    /// Kept for old suites.
    Deprecated,
}

/// What a method sees of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sources only.
    Generalisation,
    /// Unlabelled target images as well.
    Adaptation,
    /// Something no deployed model has, such as images without the shortcut: an upper reference.
    Oracle,
}

/// What a method asks of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "needs are independent of each other, and each is a word of a table"
)]
pub struct Needs {
    /// Fewest source environments at which the method differs from plain training.
    pub environments: usize,
    /// Unlabelled images of the target.
    pub target_images: bool,
    /// The cohort's images without the shortcut.
    pub oracle_view: bool,
    /// Class probabilities as outputs.
    pub class_probabilities: bool,
    /// The independences that the cohort's causal diagram implies, where it has one.
    pub diagram: bool,
    /// Whom the method learns from.
    pub learns_from: LearnsFrom,
}

/// Whose labelled images a method learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LearnsFrom {
    /// Patients of the sources, as every method that could be used.
    Sources,
    /// Other patients of the target, with their labels.
    Target,
    /// Patients of the sources as they would be if site and label were not tied together.
    UnconfoundedSources,
    /// Nobody: the causes that made an image are known.
    TrueFactors,
}

impl Needs {
    /// Nothing beyond labelled images.
    pub const NOTHING: Self = Self {
        environments: 1,
        target_images: false,
        oracle_view: false,
        class_probabilities: false,
        diagram: false,
        learns_from: LearnsFrom::Sources,
    };
    /// At least two source environments.
    pub const ENVIRONMENTS: Self = Self {
        environments: 2,
        ..Self::NOTHING
    };
    /// One source and unlabelled target images.
    pub const TARGET: Self = Self {
        target_images: true,
        ..Self::NOTHING
    };
}

/// What must hold for theory to promise that a method transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assumption {
    /// P(Y given X) is the same everywhere and target images lie where source images do.
    InvariantLabelMechanismOnSharedSupport,
    /// Some features Φ have the same P(Y given Φ) in every environment.
    InvariantPredictor,
    /// What is spurious differs between the source environments.
    SpuriousCorrelationVaries,
    /// The target is a mixture of the source environments.
    TargetIsMixtureOfSources,
    /// The target lies on the line through the sources, further out.
    TargetExtrapolatesSources,
    /// Features that predict Y have the same P(Φ) everywhere; in particular P(Y) does not move.
    InvariantFeatureMarginal,
    /// Features that predict Y have the same P(Φ given Y) everywhere; P(Y) may move.
    InvariantFeatureGivenLabel,
    /// Several features predict Y, and plain training learns the easiest and starves the others.
    GradientStarvation,
    /// Among predictors that are as good, the one whose features vary least is invariant.
    LeastVariableFeatures,
    /// Environments change the style of an image and leave the content that goes with Y.
    EnvironmentMovesStyle,
    /// Source and target environments are drawn from one distribution of environments.
    ExchangeableEnvironments,
    /// Whether the image causes the label or the label shows in the image is known.
    KnownCausalDirection,
    /// The causal diagram of image, label and environment is known.
    KnownDiagram,
    /// More features than the strongest predict Y, and some of the others do so in the target.
    SeveralFeaturesPredict,
    /// Y does not depend on the style of an image: means and deviations of its first maps.
    StyleCarriesNoLabel,
    /// The images of an environment, P(X), tell its P(Y given X), and environments are drawn alike.
    ImagesTellTheEnvironment,
    /// Labels behave linearly between samples of different environments.
    LinearBetweenSamples,
    /// The shortcut is known and can be taken out of the image.
    KnownShortcut,
    /// P(X given Y) is the same everywhere: only the frequency of the labels moves.
    InvariantImageGivenLabel,
    /// The predictor tells the classes apart: its confusion matrix can be inverted.
    InvertibleConfusion,
    /// The predictor's probabilities are calibrated on the sources.
    CalibratedOnSources,
    /// What training changes in its images at random covers how acquisition varies, and leaves
    /// alone what the label depends on.
    AcquisitionRandomised,
    /// Site shows in the amplitude of an image's Fourier transform, content in its phase.
    ContentInPhase,
    /// A site changes the intensities of an image by an increasing function.
    MonotoneIntensities,
    /// A site moves and stretches features, and changes nothing else of their distribution.
    SiteShiftsAndScales,
    /// Where the predictor is confident on the target it is right.
    ConfidenceIsRight,
    /// A generator gives the images that an intervention would have led to.
    SoundCounterfactuals,
    /// Labels of the target are known.
    TargetLabels,
    /// The mechanisms of the sources can be changed, as in a simulation.
    KnownMechanisms,
    /// Beside what is adjusted for, nothing is a common cause of label and image, and each site has
    /// every value of the label.
    NoOtherConfounder,
    /// P(X, Y given Z) is the same everywhere for the attributes Z that are known, and the sources
    /// have every value of Z that the target has.
    InvariantGivenAttributes,
    /// An image acts on its label through the features alone, and nothing but the image is a
    /// common cause of features and label.
    FeaturesMediate,
}

/// A task that a method is not defined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// Name of the task, as suites write it.
    pub task: &'static str,
    /// Why: what in the method has no counterpart there.
    pub reason: &'static str,
}

impl Exception {
    /// The tasks whose images have no class.
    pub const WITHOUT_CLASSES: &'static [Self] = &[
        Self {
            task: "segmentation",
            reason: "it rests on the class of an image, and a mask has one per pixel",
        },
        Self {
            task: "reconstruction",
            reason: "it rests on the class of an image, and a reconstruction has none",
        },
        Self {
            task: "anomaly",
            reason: "it rests on the class of an image, and training sees normal images only",
        },
    ];
}

/// Everything the registry and the report say about a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MethodInfo {
    /// Lower-case id with hyphens.
    pub id: &'static str,
    /// Name as the paper writes it.
    pub name: &'static str,
    /// Mechanism family.
    pub family: Family,
    /// How settled it is.
    pub status: Status,
    /// What it sees of the target.
    pub role: Role,
    /// What it asks of the data.
    pub needs: Needs,
    /// Tasks that the method is not defined for, with the reason.
    pub exceptions: &'static [Exception],
    /// What theory rests on.
    pub assumptions: &'static [Assumption],
    /// Authors, year, where.
    pub paper: &'static str,
    /// One sentence.
    pub summary: &'static str,
}

//! The rules by which remedies are judged: each is a statement of separation, never of templates.

use super::report::{Family, Remedy, Verdict};
use super::situation::Situation;

/// The rules, in the order of the report.
pub(super) const RULES: &[fn(&Situation) -> Remedy] = &[
    plain_training,
    density_ratio,
    label_shift,
    covariate_adjustment,
    marginal_alignment,
    conditional_alignment,
    super::structural::invariance,
    super::structural::acquisition_exchange,
    super::structural::harmonisation,
    super::structural::counterfactual_augmentation,
    super::structural::site_back_door,
    super::structural::independence_constraints,
    super::structural::selection_weighting,
    super::structural::mechanism_reuse,
    test_time,
    super::structural::target_labels,
];

/// A verdict with its reason and its condition.
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) because: String,
    pub(super) provided: Option<String>,
    pub(super) formula: Option<String>,
}

impl Judgement {
    pub(super) fn licensed(because: impl Into<String>) -> Self {
        Self::new(Verdict::Licensed, because)
    }

    pub(super) fn unneeded(because: impl Into<String>) -> Self {
        Self::new(Verdict::Unneeded, because)
    }

    pub(super) fn not(because: impl Into<String>) -> Self {
        Self::new(Verdict::NotLicensed, because)
    }

    fn new(verdict: Verdict, because: impl Into<String>) -> Self {
        Self {
            verdict,
            because: because.into(),
            provided: None,
            formula: None,
        }
    }

    pub(super) fn provided(mut self, condition: impl Into<String>) -> Self {
        self.provided = Some(condition.into());
        self
    }

    pub(super) fn by(mut self, formula: impl Into<String>) -> Self {
        self.formula = Some(formula.into());
        self
    }

    pub(super) fn of(
        self,
        id: &'static str,
        family: Family,
        methods: &'static [&'static str],
    ) -> Remedy {
        Remedy {
            id,
            title: super::words::title(id),
            family,
            methods,
            verdict: self.verdict,
            because: self.because,
            provided: self.provided,
            formula: self.formula,
        }
    }
}

/// The names of image and label.
pub(super) fn names(situation: &Situation) -> (&str, &str) {
    let diagram = &situation.diagram;
    (
        diagram.diagram.name(diagram.image),
        diagram.diagram.name(diagram.label),
    )
}

const OVERLAP: &str = "target images look like some of the training images (supports overlap)";
const NO_OVERLAP: &str = "target images lie outside the support of the training images, where \
     nothing was learned and no finite weight exists";

/// The sentence for a confounded site, where there is one.
pub(super) fn confounding(situation: &Situation) -> Option<String> {
    let sites = situation.diagram.listed(&situation.confounders);
    let (image, label) = names(situation);
    (!sites.is_empty()).then(|| {
        format!(
            "{sites} goes together with {label} in the training data and can be read off \
             {image}, so that a model learns {sites} as a shortcut to {label}"
        )
    })
}

/// The shortcut that a confounded site offers, where there is one.
fn shortcut(situation: &Situation) -> Option<String> {
    let sites = situation.diagram.listed(&situation.confounders);
    let (_, label) = names(situation);
    (!sites.is_empty()).then(|| format!("the shortcut from {sites} to {label}"))
}

fn plain_training(situation: &Situation) -> Remedy {
    let (image, label) = names(situation);
    let judgement = if let Some(reason) = confounding(situation) {
        Judgement::not(reason)
    } else if !situation.same_rule() {
        other_sources(situation, &situation.sources_with_same_rule())
    } else if situation.facts.disjoint_support {
        Judgement::not(NO_OVERLAP)
    } else {
        let reason = format!("P({label} | {image}) is the same in sources and target");
        let formula = format!("P*({label} | {image}) = P({label} | {image})");
        Judgement::licensed(reason).provided(OVERLAP).by(formula)
    };
    judgement.of(
        "plain-training",
        Family::Baseline,
        &["erm", "erm-plus-plus", "swa", "swad"],
    )
}

/// The rule differs in some source: plain training on the others may do.
fn other_sources(situation: &Situation, same: &[String]) -> Judgement {
    let (image, label) = names(situation);
    if same.is_empty() {
        return Judgement::not(situation.differs(situation.label(), situation.image()));
    }
    let names = same.join(", ");
    Judgement::licensed(format!("P({label} | {image}) is the same in {names}"))
        .provided(format!("it trains on {names} alone, and {OVERLAP}"))
        .by(format!(
            "P*({label} | {image}) = P^{}({label} | {image})",
            same[0]
        ))
}

fn density_ratio(situation: &Situation) -> Remedy {
    let (image, label) = names(situation);
    let judgement = if let Some(shortcut) = shortcut(situation) {
        Judgement::not(format!(
            "it changes which images count, and leaves {shortcut} as it is"
        ))
    } else if !situation.same_rule() {
        Judgement::not(format!(
            "it changes only which images count; but {}",
            situation.differs(situation.label(), situation.image())
        ))
    } else if !situation.image_moves() {
        Judgement::unneeded(format!("P({image}) does not differ"))
    } else if situation.facts.disjoint_support {
        Judgement::not(NO_OVERLAP)
    } else {
        let reason = format!("only P({image}) differs, P({label} | {image}) is the same");
        let formula = format!("w = P*({image}) / P({image})");
        Judgement::licensed(reason).provided(OVERLAP).by(formula)
    };
    judgement.of(
        "density-ratio-weighting",
        Family::Correlation,
        &["importance-weighting"],
    )
}

fn label_shift(situation: &Situation) -> Remedy {
    let (image, label) = names(situation);
    let stratified = situation.label_shift_strata();
    let judgement = match stratified {
        _ if !situation.label_moves() && situation.image_same_given_label() => {
            Judgement::unneeded(format!("P({label}) does not differ"))
        }
        Some(strata) if strata.is_empty() => {
            let reason = format!(
                "P({image} | {label}) is the same, so that the unlabelled target images show how \
                 P({label}) differs"
            );
            let formula =
                format!("P*({label} | {image}) ∝ P({label} | {image}) P*({label}) / P({label})");
            let provided = format!("every {label} of the target occurs in training");
            Judgement::licensed(reason).provided(provided).by(formula)
        }
        Some(strata) => {
            let strata = situation.diagram.listed(&strata);
            let reason = format!("P({image} | {label}, {strata}) is the same");
            let provided = format!(
                "it is done apart for each value of {strata}, recorded in the target with values \
                 seen in training"
            );
            let formula = format!(
                "P*({label} | {image}, {strata}) ∝ P({label} | {image}, {strata}) \
                 P*({label} | {strata}) / P({label} | {strata})"
            );
            Judgement::licensed(reason).provided(provided).by(formula)
        }
        None if situation.image_same_given_label() => Judgement::not(format!(
            "{image} tells nothing of {label}, so that unlabelled target images do not show how \
             P({label}) differs"
        )),
        None => Judgement::not(format!(
            "it rests on P({image} | {label}); but {}",
            situation.differs(situation.image(), situation.label())
        )),
    };
    let methods = &["bbse", "em", "rlls"];
    judgement.of("label-shift-correction", Family::Correlation, methods)
}

fn covariate_adjustment(situation: &Situation) -> Remedy {
    let (image, label) = names(situation);
    let strata = situation.adjusting();
    let judgement = match strata {
        _ if situation.same_rule() => {
            Judgement::unneeded(format!("P({label} | {image}) is the same without it"))
        }
        Some(strata) => {
            let strata = situation.diagram.listed(&strata);
            let reason = format!("P({label} | {image}, {strata}) is the same");
            let formula = format!(
                "P*({label} | {image}) = Σ_{{{strata}}} P({label} | {image}, {strata}) \
                 P*({strata} | {image})"
            );
            let provided =
                format!("{strata} is recorded in the target, with values seen in training");
            Judgement::licensed(reason).provided(provided).by(formula)
        }
        None => Judgement::not(format!(
            "no one or two recorded covariates make P({label} | {image}, …) the same"
        )),
    };
    judgement.of(
        "covariate-adjustment",
        Family::Scm,
        &["transport-weighting"],
    )
}

/// Images as a whole are the same: either nothing differs, or something they do not show.
fn nothing_to_align(situation: &Situation) -> Judgement {
    let (image, _) = names(situation);
    let reason = format!("P({image}) does not differ");
    if situation.same_rule() {
        return Judgement::unneeded(reason);
    }
    Judgement::not(format!(
        "{reason}: target images without labels tell nothing of what does"
    ))
}

/// Why features cannot be made alike over all groups, or what they may be made from.
fn alignment(situation: &Situation) -> Judgement {
    let (image, label) = names(situation);
    if !situation.image_moves() {
        return nothing_to_align(situation);
    }
    if let Some(shortcut) = shortcut(situation) {
        return Judgement::not(format!(
            "{label} is not equally frequent at all sites, hence {shortcut}; features that tell \
             {label} must differ between sites, and making them alike distorts them"
        ));
    }
    if situation.label_moves() {
        return Judgement::not(format!(
            "P({label}) differs: features that tell {label} must differ as well, and making them \
             alike distorts them"
        ));
    }
    match situation.alike_and_sufficient() {
        Some(content) => Judgement::licensed(format!(
            "{image} carries {content}, whose distribution is the same and from which {label} \
             follows by the same rule",
            content = situation.diagram.listed(content)
        )),
        None => Judgement::not(format!(
            "nothing that {image} shows and that tells {label} has the same distribution in \
             sources and target: making features alike distorts them"
        )),
    }
}

fn marginal_alignment(situation: &Situation) -> Remedy {
    let methods = &[
        "coral",
        "mmd",
        "dann",
        "coral-target",
        "mmd-target",
        "dann-target",
        "deep-coral",
        "causirl-coral",
        "causirl-mmd",
        "mcd",
    ];
    alignment(situation).of("marginal-alignment", Family::Correlation, methods)
}

fn test_time(situation: &Situation) -> Remedy {
    let methods = &["adabn", "tent", "pseudo-label", "arm", "mtl"];
    alignment(situation).of("test-time-adaptation", Family::Correlation, methods)
}

fn conditional_alignment(situation: &Situation) -> Remedy {
    let (image, label) = names(situation);
    let judgement = if !situation.image_moves() {
        nothing_to_align(situation)
    } else if situation.image_same_given_label() && situation.confounders.is_empty() {
        Judgement::licensed(format!("P({image} | {label}) is the same, whole"))
    } else {
        match situation.alike(true) {
            Some(content) => Judgement::licensed(format!(
                "{image} carries {content}, and P({content} | {label}) is the same",
                content = situation.diagram.listed(content)
            )),
            None => Judgement::not(format!(
                "nothing that {image} shows has the same distribution given {label}"
            )),
        }
    };
    judgement.of(
        "conditional-alignment",
        Family::Correlation,
        &["cdann", "selfreg"],
    )
}

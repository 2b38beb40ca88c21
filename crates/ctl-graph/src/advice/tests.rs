//! One test per row of what the diagrams should say, and studies that are no template.

use super::*;
use crate::graph::CausalDirection::{Anticausal, Causal};
use crate::graph::{Facts, Mixed, ShiftKind};
use Verdict::{Licensed, NotLicensed};
use rstest::rstest;

fn study(template: &Template) -> Advice {
    advise(&template.build().unwrap()).unwrap()
}

fn parsed(toml: &str) -> Advice {
    advise(&DiagramFile::parse(&format!("schema = 1\n{toml}")).unwrap()).unwrap()
}

#[track_caller]
fn assert_invariant(advice: &Advice, factors: &[(&str, &[&str])]) {
    for (variable, given) in factors {
        assert_eq!(
            advice.is_invariant(variable, given),
            Some(true),
            "P({variable} | {given:?})"
        );
    }
}

#[track_caller]
fn assert_moves(advice: &Advice, factors: &[(&str, &[&str])]) {
    for (variable, given) in factors {
        assert_eq!(
            advice.is_invariant(variable, given),
            Some(false),
            "P({variable} | {given:?})"
        );
    }
}

#[track_caller]
fn assert_verdicts(advice: &Advice, verdict: Verdict, ids: &[&str]) {
    for id in ids {
        let remedy = advice.remedy(id).unwrap();
        assert_eq!(remedy.verdict, verdict, "{remedy}");
    }
}

const UNSUPERVISED: [&str; 8] = [
    "density-ratio-weighting",
    "label-shift-correction",
    "marginal-alignment",
    "conditional-alignment",
    "test-time-adaptation",
    "acquisition-randomisation",
    "harmonisation",
    "counterfactual-augmentation",
];

#[test]
fn causal_population() {
    let advice = study(&Template::new(Causal).shift(ShiftKind::Population));
    assert_invariant(&advice, &[("label", &["image"]), ("image", &["anatomy"])]);
    assert_moves(&advice, &[("anatomy", &[]), ("image", &[]), ("label", &[])]);
    assert_verdicts(
        &advice,
        Licensed,
        &["plain-training", "density-ratio-weighting"],
    );
    assert_verdicts(
        &advice,
        NotLicensed,
        &["label-shift-correction", "marginal-alignment"],
    );
    let provided = advice.remedy("plain-training").unwrap().provided.as_deref();
    assert!(provided.is_some_and(|text| text.contains("supports overlap")));
}

#[test]
fn causal_acquisition() {
    let plain = Template::new(Causal).shift(ShiftKind::Acquisition);
    let advice = study(&plain);
    assert_invariant(&advice, &[("label", &["image"]), ("anatomy", &[])]);
    let exchanging = [
        "acquisition-randomisation",
        "counterfactual-augmentation",
        "harmonisation",
    ];
    assert_verdicts(&advice, Licensed, &exchanging);
    assert_verdicts(&advice, NotLicensed, &["marginal-alignment"]);
    assert!(
        advice
            .constraints
            .iter()
            .all(|c| c.kind != ConstraintKind::Marginal)
    );

    let disjoint = Facts {
        disjoint_support: true,
        ..Facts::default()
    };
    let advice = study(&plain.clone().facts(disjoint));
    assert_verdicts(
        &advice,
        NotLicensed,
        &["density-ratio-weighting", "plain-training"],
    );
    assert_verdicts(&advice, Licensed, &exchanging);

    let advice = study(&plain.split());
    assert_verdicts(&advice, Licensed, &exchanging);
    assert_verdicts(&advice, Licensed, &["marginal-alignment"]);
}

#[test]
fn acquisition_where_the_label_depends_on_anatomy() {
    let advice = study(
        &Template::new(Causal)
            .shift(ShiftKind::Acquisition)
            .label_from_anatomy(),
    );
    assert_eq!(advice.relation, Relation::SharedContent);
    assert_invariant(&advice, &[("label", &["anatomy"]), ("label", &[])]);
    assert_moves(&advice, &[("label", &["image"])]);
}

#[test]
fn causal_annotation() {
    let advice = study(&Template::new(Causal).shift(ShiftKind::Annotation));
    assert_invariant(&advice, &[("image", &[])]);
    assert_moves(&advice, &[("label", &["image"])]);
    assert_verdicts(&advice, NotLicensed, &UNSUPERVISED);
    assert_verdicts(&advice, NotLicensed, &["plain-training", "invariance"]);
    // What remains licensed asks for labels of the target, or for a model of the raters.
    for id in advice.with_verdict(Licensed) {
        let provided = advice.remedy(id).unwrap().provided.as_deref();
        let text = provided.unwrap_or_default();
        assert!(text.contains("target"), "{id}: {text}");
    }
    let raters = advice.remedy("target-labels").unwrap().provided.as_deref();
    assert!(raters.is_some_and(|text| text.contains("model of the raters")));
}

#[test]
fn anticausal_prevalence() {
    let advice = study(&Template::new(Anticausal).shift(ShiftKind::Prevalence));
    assert_invariant(&advice, &[("image", &["label"])]);
    assert_moves(&advice, &[("label", &[]), ("label", &["image"])]);
    assert_verdicts(
        &advice,
        Licensed,
        &["label-shift-correction", "conditional-alignment"],
    );
    assert_verdicts(
        &advice,
        NotLicensed,
        &["marginal-alignment", "plain-training"],
    );
    let methods = advice.remedy("label-shift-correction").unwrap().methods;
    assert!(methods.contains(&"bbse"));
}

#[test]
fn anticausal_manifestation() {
    let advice = study(&Template::new(Anticausal).shift(ShiftKind::Manifestation));
    assert_invariant(&advice, &[("label", &[]), ("image", &["anatomy"])]);
    assert_moves(&advice, &[("anatomy", &["label"]), ("image", &["label"])]);
    assert_verdicts(&advice, NotLicensed, &UNSUPERVISED);
    let reuse = advice.remedy("mechanism-reuse").unwrap();
    assert_eq!(reuse.verdict, Licensed);
    assert!(
        reuse.because.contains("P(image | anatomy)"),
        "{}",
        reuse.because
    );
}

#[test]
fn anticausal_acquisition() {
    let plain = Template::new(Anticausal).shift(ShiftKind::Acquisition);
    let advice = study(&plain);
    assert_invariant(&advice, &[("label", &[]), ("anatomy", &["label"])]);
    let exchanging = [
        "acquisition-randomisation",
        "counterfactual-augmentation",
        "harmonisation",
    ];
    assert_verdicts(&advice, Licensed, &exchanging);
    assert_verdicts(
        &advice,
        Licensed,
        &["conditional-alignment", "marginal-alignment"],
    );

    let both = study(&plain.shift(ShiftKind::Prevalence));
    assert_verdicts(&both, NotLicensed, &["marginal-alignment"]);
    assert_verdicts(&both, Licensed, &["conditional-alignment"]);
    let rest = both.remedy("acquisition-randomisation").unwrap();
    assert_eq!(rest.verdict, Licensed);
    assert!(
        rest.provided
            .as_deref()
            .unwrap()
            .contains("prevalence shift")
    );
}

#[rstest]
#[case::marginal(Template::new(Causal), ConstraintKind::Marginal)]
#[case::marginal_split(Template::new(Causal).split(), ConstraintKind::Marginal)]
#[case::conditional(Template::new(Anticausal), ConstraintKind::ConditionalOnLabel)]
#[case::conditional_split(Template::new(Anticausal).split(), ConstraintKind::ConditionalOnLabel)]
fn site_and_label_confounded(#[case] template: Template, #[case] kind: ConstraintKind) {
    let template = template.confounded();
    let advice = study(&template);
    assert_eq!(advice.confounded_by, ["site"]);
    let licensed = [
        "site-back-door-weighting",
        "invariance",
        "counterfactual-augmentation",
        "independence-constraints",
    ];
    assert_verdicts(&advice, Licensed, &licensed);
    assert_verdicts(
        &advice,
        NotLicensed,
        &["plain-training", "marginal-alignment"],
    );
    let mechanisms = advice.conditionals.iter().filter(|c| c.is_mechanism);
    assert!(
        mechanisms
            .filter(|c| c.variable != "site")
            .all(|c| c.invariant)
    );
    let about_site = advice
        .constraints
        .iter()
        .filter(|c| c.variables == ["site"]);
    assert_eq!(about_site.map(|c| c.kind).collect::<Vec<_>>(), [kind]);

    let single = Facts {
        single_label_sites: true,
        ..Facts::default()
    };
    let advice = study(&template.facts(single));
    let weighting = advice.remedy("site-back-door-weighting").unwrap();
    assert_eq!(weighting.verdict, NotLicensed);
    assert!(weighting.because.contains("not identified"));
    let augmentation = advice.remedy("counterfactual-augmentation").unwrap();
    assert_eq!(augmentation.verdict, NotLicensed);
    assert!(augmentation.because.contains("cannot be told from"));
}

#[rstest]
#[case::both(&["image", "label"], NotLicensed, NotLicensed, NotLicensed)]
#[case::image(&["image"], Licensed, Licensed, NotLicensed)]
#[case::label(&["label"], NotLicensed, NotLicensed, Licensed)]
fn selection(
    #[case] on: &[&str],
    #[case] plain: Verdict,
    #[case] weighting: Verdict,
    #[case] label_shift: Verdict,
) {
    let template = Template::new(Causal)
        .shift(ShiftKind::Selection)
        .selected_by(on);
    let advice = study(&template);
    assert_verdicts(&advice, plain, &["plain-training"]);
    assert_verdicts(&advice, weighting, &["selection-weighting"]);
    assert_verdicts(&advice, label_shift, &["label-shift-correction"]);
    let known = Facts {
        known_selection: true,
        ..Facts::default()
    };
    let advice = study(&template.facts(known));
    assert_verdicts(&advice, Licensed, &["selection-weighting"]);
}

#[test]
fn a_part_of_the_disease_that_shows_as_before_suffices() {
    let advice = parsed(
        "edges = 'disease -> nodule -> film; disease -> effusion -> film'
        nodes = {film = {role = 'image'}, disease = {role = 'label'}, nodule = {role = 'anatomy'}}
        [[shift]]
        kind = 'manifestation'
        nodes = ['nodule']",
    );
    assert_verdicts(&advice, Licensed, &["invariance", "conditional-alignment"]);
    let rule = advice
        .constraints
        .iter()
        .find(|c| c.kind == ConstraintKind::SameRule)
        .unwrap();
    assert_eq!(rule.carrier, ["effusion"]);
}

#[test]
fn a_recorded_age_makes_the_rule_the_same() {
    let advice = parsed(
        "edges = 'age -> disease -> film; age -> film'
        nodes = {film = {role = 'image'}, disease = {role = 'label'}, age = {role = 'demographic'}}
        [[shift]]
        kind = 'population'
        nodes = ['age']",
    );
    assert_verdicts(
        &advice,
        NotLicensed,
        &["plain-training", "label-shift-correction"],
    );
    let adjustment = advice.remedy("covariate-adjustment").unwrap();
    assert_eq!(adjustment.verdict, Licensed);
    let formula = "P*(disease | film) = Σ_{age} P(disease | film, age) P*(age | film)";
    assert_eq!(adjustment.formula.as_deref(), Some(formula));
}

#[test]
fn sources_are_told_apart() {
    let advice = parsed(
        "edges = 'film -> mask'
        nodes = {film = {role = 'image'}, mask = {role = 'label'}}
        [[shift]]
        kind = 'annotation'
        nodes = ['mask']
        source = 'oslo'
        [[shift]]
        kind = 'population'
        nodes = ['film']
        source = 'pune'",
    );
    let rule = advice
        .conditionals
        .iter()
        .find(|c| c.text() == "P(mask | film)")
        .unwrap();
    assert_eq!(
        (rule.invariant, rule.sources.as_slice()),
        (false, &["pune".to_owned()][..])
    );
    let plain = advice.remedy("plain-training").unwrap();
    assert!(
        plain.provided.as_deref().unwrap().contains("pune alone"),
        "{plain}"
    );
}

#[test]
fn a_site_that_only_has_other_patients_does_not_confound() {
    let advice = parsed(
        "edges = 'site -> disease -> film'
        nodes = {film = {role = 'image'}, disease = {role = 'label'}, site = {role = 'site'}}",
    );
    assert!(advice.confounded_by.is_empty());
}

#[test]
fn recorded_covariates_complete_a_back_door_set() {
    let advice = parsed(
        "edges = 'disease -> sign -> film; site -> film; site <-> disease; age -> disease; age -> film'
        nodes = {film = {role = 'image'}, disease = {role = 'label'}, site = {role = 'site'}, age = {role = 'demographic'}}",
    );
    let weighting = advice.remedy("site-back-door-weighting").unwrap();
    assert_eq!(
        weighting.formula.as_deref(),
        Some("w = P(disease) / P(disease | site, age)")
    );
    let site = advice
        .constraints
        .iter()
        .find(|c| c.variables == ["site"])
        .unwrap();
    assert_eq!(
        (site.kind, site.carrier.as_slice()),
        (ConstraintKind::ConditionalOnLabel, &["sign".to_owned()][..])
    );
}

#[test]
fn a_site_is_what_differs_where_nothing_else_does() {
    let advice = parsed(
        "edges = 'site -> disease -> film'
        nodes = {film = {role = 'image'}, disease = {role = 'label'}, site = {role = 'site'}}",
    );
    assert_eq!(advice.shifts.len(), 1);
    assert!(advice.shifts[0].implied);
    assert_verdicts(&advice, Licensed, &["label-shift-correction"]);
}

/// The errors say what to write, and writing it answers them.
#[rstest]
#[case(
    "",
    "image: no node has this role; write `role = \"image\"` under [nodes.NAME], NAME being one of x, y, z"
)]
#[case(
    "nodes = {x = {role = 'image'}}",
    "label: no node has this role; write `role = \"label\"` under [nodes.NAME], NAME being one of y, z"
)]
#[case(
    "nodes = {x = {role = 'image'}, y = {role = 'image'}, z = {role = 'label'}}",
    "image: x, y all have this role; say which one is meant under [direction], as `image = \"NAME\"`"
)]
#[case(
    "direction = {image = 'x', label = 'x'}",
    "node x: it is both image and label under [direction]"
)]
#[case(
    "nodes = {x = {role = 'image', observed = false}, y = {role = 'label'}}",
    "node x: the image must be recorded, but it says `observed = false`"
)]
#[case(
    "nodes = {x = {role = 'image'}, y = {role = 'label'}}",
    "shift: nothing differs between sources and target; add a [[shift]] with `kind` (population, \
     prevalence, acquisition, annotation, manifestation or selection) and `nodes`, those whose \
     mechanism differs, or give a node the role site"
)]
fn what_is_missing_is_said(#[case] text: &str, #[case] expected: &str) {
    let text = format!("schema = 1\nedges = 'x -> y -> z'\n{text}");
    let file = DiagramFile::parse(&text).unwrap();
    assert_eq!(advise(&file).unwrap_err().to_string(), expected);
}

#[test]
fn a_constraint_that_selection_breaks_is_not_given() {
    // Whoever has a bright film from some site enters: among those, opacity tells the site.
    let study = |on: &str| {
        parsed(&format!(
            "edges = 'disease -> opacity -> film; site -> film; site <-> disease'
            nodes = {{film = {{role = 'image'}}, disease = {{role = 'label'}}, site = {{role = 'site'}}}}
            [[shift]]
            kind = 'selection'
            nodes = ['{on}']"
        ))
    };
    let about_site = |advice: &Advice| advice.constraints.iter().any(|c| c.variables == ["site"]);
    assert!(about_site(&study("site")));
    assert!(!about_site(&study("film")));
    assert_verdicts(&study("film"), NotLicensed, &["site-back-door-weighting"]);
}

fn example(text: &str) -> Advice {
    advise(&DiagramFile::parse(text).unwrap()).unwrap()
}

#[test]
fn the_chest_film_study_is_confounded_by_hospital() {
    let advice = example(include_str!("../../examples/diagrams/chest-film.toml"));
    assert_eq!(advice.confounded_by, ["hospital"]);
    assert_verdicts(
        &advice,
        NotLicensed,
        &["plain-training", "marginal-alignment", "harmonisation"],
    );
    let weights = advice.remedy("site-back-door-weighting").unwrap();
    let formula = "w = P(pneumonia) / P(pneumonia | hospital, age)";
    assert_eq!(weights.formula.as_deref(), Some(formula));
    let constraints: Vec<_> = advice
        .constraints
        .iter()
        .map(|c| (c.of.as_str(), c.kind, c.variables[0].as_str()))
        .collect();
    let expected = [
        (
            "representation",
            ConstraintKind::ConditionalOnLabel,
            "hospital",
        ),
        (
            "representation",
            ConstraintKind::ConditionalOnLabel,
            "scanner",
        ),
        ("pneumonia", ConstraintKind::SameRule, "environment"),
    ];
    assert_eq!(constraints, expected);
}

#[test]
fn other_raters_leave_nothing_to_unlabelled_images() {
    let advice = example(include_str!(
        "../../examples/diagrams/lesion-segmentation.toml"
    ));
    assert_eq!(advice.relation, Relation::ImageToLabel);
    assert_eq!(advice.prediction.needs, Data::LabelledTarget);
    let licensed = advice.with_verdict(Licensed);
    assert_eq!(licensed, ["mechanism-reuse", "target-labels"]);
    assert!(advice.constraints.is_empty());
}

#[test]
fn another_scanner_is_answered_by_exchanging_its_style() {
    let advice = example(include_str!("../../examples/diagrams/brain-mri.toml"));
    assert_verdicts(
        &advice,
        Licensed,
        &[
            "acquisition-randomisation",
            "harmonisation",
            "counterfactual-augmentation",
        ],
    );
    assert_verdicts(
        &advice,
        NotLicensed,
        &["density-ratio-weighting", "plain-training"],
    );
    // The style is not recorded, so that no penalty can name it.
    assert!(
        advice
            .constraints
            .iter()
            .all(|c| c.variables == ["environment"])
    );
}

#[test]
fn images_that_tell_nothing_of_the_label_cannot_correct_its_frequency() {
    let advice = parsed(
        "edges = 'film -> report; disease'
        nodes = {film = {role = 'image'}, disease = {role = 'label'}}
        [[shift]]
        kind = 'prevalence'
        nodes = ['disease']",
    );
    let correction = advice.remedy("label-shift-correction").unwrap();
    assert_eq!(correction.verdict, NotLicensed);
    assert!(
        correction
            .because
            .starts_with("film tells nothing of disease")
    );
}

#[test]
fn another_frequency_at_the_new_site_is_corrected_site_by_site() {
    let advice = study(&"anticausal-prevalence-confounded".parse().unwrap());
    assert_moves(&advice, &[("label", &[]), ("label", &["site"])]);
    assert_invariant(&advice, &[("image", &["label", "site"])]);
    assert_verdicts(
        &advice,
        NotLicensed,
        &["plain-training", "invariance", "marginal-alignment"],
    );
    assert_verdicts(
        &advice,
        Licensed,
        &["conditional-alignment", "independence-constraints"],
    );
    let correction = advice.remedy("label-shift-correction").unwrap();
    assert_eq!(
        correction.formula.as_deref(),
        Some("P*(label | image, site) ∝ P(label | image, site) P*(label | site) / P(label | site)"),
    );
}

#[test]
fn the_text_of_the_chest_film_study() {
    let advice = example(include_str!("../../examples/diagrams/chest-film.toml"));
    insta::assert_snapshot!(advice.to_string());
}

/// Readers of the record rely on these names.
#[test]
fn the_record_keeps_its_fields() {
    let advice = example(include_str!("../../examples/diagrams/chest-film.toml"));
    let json = serde_json::to_value(&advice).unwrap();
    let keys = |value: &serde_json::Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        keys(&json),
        "answer assumptions conditionals confounded_by constraints image label prediction relation \
         remedies schema shifts"
    );
    assert_eq!(
        keys(&json["conditionals"][0]),
        "given invariant is_mechanism moved_by sources variable"
    );
    assert_eq!(
        keys(&json["constraints"][0]),
        "carrier given kind of variables"
    );
    assert_eq!(keys(&json["prediction"]), "formula needs remedy");
    assert_eq!(
        keys(&json["remedies"][0]),
        "because family formula id methods provided title verdict"
    );
    assert_eq!(keys(&json["shifts"][0]), "implied kind nodes");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["prediction"]["needs"], "unlabelled-target");
    let constraints: Vec<Constraint> = serde_json::from_value(json["constraints"].clone()).unwrap();
    assert_eq!(constraints, advice.constraints);
}

#[test]
fn text_and_json_name_the_reasons() {
    let advice = study(&Template::new(Anticausal).confounded());
    let text = advice.to_string();
    assert!(text.contains("Confounded: site goes together with label and marks image."));
    assert!(text.contains("representation ⊥ site | label (which anatomy satisfies)"));
    assert!(text.contains("Assumed: patients come from one population"));
    let json = serde_json::to_value(&advice).unwrap();
    assert_eq!(json["constraints"][0]["kind"], "conditional-on-label");
    assert_eq!(json["remedies"][0]["verdict"], "not-licensed");
}

/// Every combination of shifts that a template has: what is called exact must be invariant.
#[test]
fn licences_rest_on_invariance_for_every_combination() {
    let kinds = [
        ShiftKind::Population,
        ShiftKind::Prevalence,
        ShiftKind::Acquisition,
        ShiftKind::Annotation,
        ShiftKind::Manifestation,
        ShiftKind::Selection,
    ];
    for direction in [Causal, Anticausal] {
        for combination in 1_u32..64 {
            let chosen = kinds
                .iter()
                .enumerate()
                .filter(|(i, _)| combination >> i & 1 == 1);
            let template = chosen.fold(Template::new(direction), |t, (_, &kind)| t.shift(kind));
            let Ok(file) = template.build() else { continue };
            let advice = advise(&file).unwrap();
            let verdict = |id| advice.remedy(id).unwrap().verdict;
            let same_rule = advice.is_invariant("label", &["image"]) == Some(true);
            let same_image = advice.is_invariant("image", &["label"]) == Some(true);
            let label_stays = advice.is_invariant("label", &[]) == Some(true);
            assert_eq!(verdict("plain-training") == Licensed, same_rule);
            assert_eq!(
                verdict("label-shift-correction") == Licensed,
                same_image && !label_stays
            );
            assert!(label_stays || verdict("marginal-alignment") != Licensed);
            let untouched = file.diagram().nodes().len() - file.shifted().len();
            let reuse = untouched > 0 && !file.shifted().is_empty();
            let selected = combination >> 5 == 1;
            assert!(selected || (verdict("mechanism-reuse") == Licensed) == reuse);
        }
    }
}

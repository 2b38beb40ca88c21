//! The nodes of a cohort's model, drawn as far as the dials make edges matter.

use std::ops::Range;
use std::sync::Arc;

use ctl_graph::graph::{CausalDirection, DiagramFile, Direction, Facts, Role, Shift, ShiftKind};
use ctl_graph::model::{ModelError, Scm};

use super::draft::{self, Draft, NoiseKind, Parent, of, when};
use super::mechanism as law_of;
use crate::body::Body;
use crate::site::SiteLaw;
use crate::{Dials, PhantomSpec};

/// Beyond so many standard deviations from every source a target's setting was not seen before.
const UNSEEN: f64 = 4.0;

/// A cohort's model with the places of its nodes.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) scm: Scm,
    pub(crate) diagram: DiagramFile,
    pub(crate) places: Places,
    /// Kind of noise and name, by node.
    pub(crate) noises: Vec<(NoiseKind, &'static str)>,
}

/// Where nodes stand in the rows of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) site: usize,
    pub(crate) age: usize,
    pub(crate) sex: usize,
    pub(crate) unit: usize,
    pub(crate) disease: usize,
    pub(crate) load: usize,
    pub(crate) spread: usize,
    pub(crate) measures: Range<usize>,
    pub(crate) lab: usize,
    pub(crate) tested: usize,
    pub(crate) settings: Range<usize>,
    pub(crate) image: usize,
    pub(crate) rater: usize,
    /// The disease itself where the label is never mistaken.
    pub(crate) label: usize,
    pub(crate) entered: Option<usize>,
}

/// Builds the model of a specification.
///
/// # Errors
/// None for names that are unique, which those of the bodies are.
pub(crate) fn build(
    spec: &PhantomSpec,
    body: &dyn Body,
    laws: &[SiteLaw],
) -> Result<Model, ModelError> {
    let drafts = Author::new(spec, body, laws).drafts();
    let noises: Vec<_> = drafts
        .iter()
        .map(|draft| (draft.noise, draft.name))
        .collect();
    let names: Vec<&str> = drafts.iter().map(|draft| draft.name).collect();
    let places = Places::find(&names, body);
    let file = annotated(spec, body, laws, draft::diagram(&drafts)?)?;
    let scm = draft::scm(file.diagram(), drafts)?;
    Ok(Model {
        scm,
        diagram: file,
        places,
        noises,
    })
}

impl Places {
    fn find(names: &[&str], body: &dyn Body) -> Self {
        let at = |name: &str| names.iter().position(|&other| other == name);
        // A name that is missing would show in every test; 0 is the site.
        let place = |name: &str| at(name).unwrap_or(0);
        let run = |first: Option<&'static str>, count: usize| {
            let start = first.map_or(0, place);
            start..start + count
        };
        let (measures, settings) = (body.measures(), body.settings());
        let disease = place("disease");
        Self {
            site: place("site"),
            age: place("age"),
            sex: place("sex"),
            unit: place("unit"),
            disease,
            load: place("load"),
            spread: place("spread"),
            measures: run(measures.first().map(|one| one.name), measures.len()),
            lab: place("lab"),
            tested: place("tested"),
            settings: run(settings.first().map(|one| one.name), settings.len()),
            image: place("image"),
            rater: place("rater"),
            label: at("label").unwrap_or(disease),
            entered: at("entered"),
        }
    }
}

/// Writes the nodes down.
struct Author<'a> {
    spec: &'a PhantomSpec,
    body: &'a dyn Body,
    laws: Arc<[SiteLaw]>,
    drafts: Vec<Draft>,
}

impl<'a> Author<'a> {
    fn new(spec: &'a PhantomSpec, body: &'a dyn Body, laws: &[SiteLaw]) -> Self {
        Self {
            spec,
            body,
            laws: laws.into(),
            drafts: Vec::new(),
        }
    }

    fn add(
        &mut self,
        (name, role, observed): (&'static str, Role, bool),
        parents: &[Parent],
        noise: NoiseKind,
        mechanism: impl Fn(&[f64], f64) -> f64 + Send + Sync + 'static,
    ) {
        self.drafts.push(Draft {
            name,
            role,
            observed,
            parents: parents.to_vec(),
            noise,
            mechanism: Box::new(mechanism),
        });
    }

    /// A node whose first parent, under a condition, is the site.
    fn by_site(
        &mut self,
        node: (&'static str, Role, bool),
        is_moved: bool,
        parents: &[Parent],
        noise: NoiseKind,
        mechanism: impl Fn(&SiteLaw, &[f64], f64) -> f64 + Send + Sync + 'static,
    ) {
        let laws = Arc::clone(&self.laws);
        let mut all = vec![when(is_moved, "site")];
        all.extend_from_slice(parents);
        // Where the site is no parent the slot is 0, and every site's law is the first one's.
        self.add(node, &all, noise, move |values, u| {
            let site = (values[0].max(0.0) as usize).min(laws.len() - 1);
            mechanism(&laws[site], &values[1..], u)
        });
    }

    fn drafts(mut self) -> Vec<Draft> {
        self.patient();
        self.disease();
        self.findings();
        self.scanner();
        self.image();
        self.annotation();
        self.selection();
        self.drafts
    }

    fn dials(&self) -> Dials {
        self.spec.dials
    }

    fn is_causal(&self) -> bool {
        self.spec.direction == CausalDirection::Causal
    }

    fn patient(&mut self) {
        use NoiseKind::{Normal, Uniform};
        let (sites, dials) = (self.laws.len() as f64, self.dials());
        let site = ("site", Role::Site, true);
        self.add(site, &[], Uniform, move |_, u| {
            (u * sites).floor().min(sites - 1.0)
        });
        let moved = dials.population > 0.0;
        let age = ("age", Role::Demographic, true);
        self.by_site(age, moved, &[], Normal, |law, _, u| law_of::age(law, u));
        let sex = ("sex", Role::Demographic, true);
        self.by_site(sex, moved, &[], Uniform, |law, _, u| {
            law_of::event(law_of::men(law), u)
        });
        let tied = dials.confounding > 0.0;
        let referral = ("referral", Role::Other, false);
        self.by_site(referral, tied, &[], Uniform, |law, _, u| {
            law_of::event(law.referral, u)
        });
        let unit = ("unit", Role::Site, true);
        let by_referral = [when(tied, "referral")];
        self.by_site(unit, tied, &by_referral, Uniform, |law, p, u| {
            law_of::event(law_of::unit(law, p[0]), u)
        });
    }

    fn disease(&mut self) {
        use NoiseKind::{Normal, Uniform};
        let (dials, mean) = (self.dials(), self.spec.severity);
        let is_label = !self.is_causal() && dials.annotation <= 0.0;
        let role = if is_label { Role::Label } else { Role::Other };
        let tied = dials.confounding > 0.0 && !self.is_causal();
        let moved = dials.prevalence > 0.0;
        let by_referral = [when(tied, "referral")];
        let disease = ("disease", role, is_label);
        self.by_site(disease, moved, &by_referral, Uniform, move |law, p, u| {
            law_of::event(law_of::disease(law, tied.then_some(p[0])), u)
        });
        let moved = dials.manifestation > 0.0;
        let severity = ("severity", Role::Other, false);
        self.by_site(
            severity,
            moved,
            &[of("disease")],
            Normal,
            move |law, p, u| {
                let (mean, sd) = law_of::severity(law, mean);
                p[0] * (mean + sd * u)
            },
        );
        let load = ("load", Role::Anatomy, false);
        let parents = [of("age"), of("severity")];
        self.add(load, &parents, Normal, |p, u| law_of::load(p[0], p[1]) + u);
        let spread = ("spread", Role::Anatomy, false);
        let by_disease = [when(moved, "disease")];
        self.by_site(spread, moved, &by_disease, Normal, |law, p, u| {
            law_of::spread(law, p[0]) + u
        });
    }

    fn findings(&mut self) {
        use NoiseKind::{Normal, Uniform};
        for measure in self.body.measures() {
            let node = (measure.name, Role::Anatomy, false);
            let parents = [
                when(measure.per_decade != 0.0, "age"),
                when(measure.male != 0.0, "sex"),
            ];
            self.add(node, &parents, Normal, |p, u| {
                measure.mean(law_of::decades(p[0]), p[1]) + measure.sd * u
            });
        }
        let lab = ("lab", Role::Other, true);
        self.add(lab, &[of("disease")], Normal, |p, u| law_of::LAB * p[0] + u);
        let tested = ("tested", Role::Other, true);
        self.add(tested, &[of("age")], Uniform, |p, u| {
            law_of::event(law_of::tested(p[0]), u)
        });
    }

    fn scanner(&mut self) {
        let moved = self.dials().acquisition > 0.0;
        for setting in self.body.settings() {
            let node = (setting.name, Role::Acquisition, false);
            let moved = moved && setting.shift != 0.0;
            self.by_site(node, moved, &[], NoiseKind::Normal, |law, _, u| {
                setting.at(law.acquisition, u)
            });
        }
    }

    /// Of the image a number stands in the model: the load that it shows.
    fn image(&mut self) {
        let mut parents = vec![of("load"), of("spread"), of("unit")];
        parents.extend(self.body.measures().iter().map(|measure| of(measure.name)));
        parents.extend(self.body.settings().iter().map(|setting| of(setting.name)));
        let image = ("image", Role::Image, true);
        self.add(image, &parents, NoiseKind::Normal, |p, _| p[0]);
    }

    fn annotation(&mut self) {
        use NoiseKind::{Normal, Uniform};
        let (dials, causal) = (self.dials(), self.is_causal());
        let moved = dials.annotation > 0.0;
        let rater = ("rater", Role::Annotation, false);
        self.by_site(rater, moved, &[], Normal, |law, _, u| law_of::rater(law, u));
        let label = ("label", Role::Label, true);
        if causal {
            let tied = dials.confounding > 0.0;
            let parents = [of("image"), of("rater"), when(tied, "referral")];
            self.add(label, &parents, Uniform, move |p, u| {
                law_of::event(law_of::reading(p[0], p[1], tied.then_some(p[2])), u)
            });
        } else if moved {
            let parents = [of("disease"), of("rater")];
            self.add(label, &parents, Uniform, |p, u| {
                law_of::event(law_of::record(p[0], p[1]), u)
            });
        }
        // Of the mask, too, a number stands in the model: the load as it is drawn.
        let mask = ("mask", Role::Other, true);
        let parents = [of("image"), of("rater")];
        self.add(mask, &parents, Normal, |p, _| p[0] + p[1]);
    }

    fn selection(&mut self) {
        if self.dials().selection <= 0.0 {
            return;
        }
        let entered = ("entered", Role::Selection, true);
        let parents = [of("age"), of("load")];
        self.by_site(entered, true, &parents, NoiseKind::Uniform, |law, p, u| {
            law_of::event(law_of::entering(law, p[0], p[1]), u)
        });
    }
}

/// The diagram with the shifts of the dials that are on, the direction, and what is known besides.
fn annotated(
    spec: &PhantomSpec,
    body: &dyn Body,
    laws: &[SiteLaw],
    mut file: DiagramFile,
) -> Result<DiagramFile, ModelError> {
    for (kind, nodes) in shifts(&spec.dials, body) {
        let nodes = nodes.into_iter().map(str::to_owned).collect();
        file = file.shift(Shift {
            kind,
            nodes,
            source: None,
        })?;
    }
    // Where a mistaken record stands between disease and label, neither image nor label causes
    // the other.
    let mistaken = spec.direction == CausalDirection::Anticausal && spec.dials.annotation > 0.0;
    file = file.direct(Direction {
        kind: (!mistaken).then_some(spec.direction),
        ..Direction::default()
    })?;
    let disjoint_support = looks_unseen(spec, body, laws);
    Ok(file.with_facts(Facts {
        disjoint_support,
        ..Facts::default()
    }))
}

fn shifts(dials: &Dials, body: &dyn Body) -> Vec<(ShiftKind, Vec<&'static str>)> {
    let moved = body
        .settings()
        .iter()
        .filter(|setting| setting.shift != 0.0);
    let settings = moved.map(|setting| setting.name).collect();
    let all = [
        (dials.population, ShiftKind::Population, vec!["age", "sex"]),
        (dials.prevalence, ShiftKind::Prevalence, vec!["disease"]),
        (dials.acquisition, ShiftKind::Acquisition, settings),
        (dials.annotation, ShiftKind::Annotation, vec!["rater"]),
        (
            dials.manifestation,
            ShiftKind::Manifestation,
            vec!["severity", "spread"],
        ),
        (dials.selection, ShiftKind::Selection, vec!["entered"]),
    ];
    let on = all.into_iter().filter(|(dial, _, _)| *dial > 0.0);
    on.map(|(_, kind, nodes)| (kind, nodes)).collect()
}

/// Tells whether some setting of the target lies far from that of every source.
fn looks_unseen(spec: &PhantomSpec, body: &dyn Body, laws: &[SiteLaw]) -> bool {
    let (sources, rest) = laws.split_at(spec.source_sites);
    let nearest = sources
        .iter()
        .map(|law| law.acquisition)
        .fold(0.0, f64::max);
    let target = rest.first().map_or(0.0, |law| law.acquisition);
    let far = |setting: &crate::body::Setting| {
        (setting.at(target, 0.0) - setting.at(nearest, 0.0)).abs() > UNSEEN * setting.sd
    };
    body.settings().iter().any(far)
}

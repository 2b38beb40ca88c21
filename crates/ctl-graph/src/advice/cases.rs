//! Studies on which advice is tried: every template, some that no template has, and random ones.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Template;
use crate::graph::CausalDirection::{Anticausal, Causal};
use crate::graph::{Diagram, DiagramFile, Role, Shift, ShiftKind};

/// Number of random studies.
const RANDOM: u64 = 300;

/// All of them.
pub(super) fn all_studies() -> Vec<DiagramFile> {
    let mut all = templates();
    all.extend(studies());
    all.extend((0..RANDOM).map(random_study));
    all
}

const KINDS: [ShiftKind; 6] = [
    ShiftKind::Population,
    ShiftKind::Prevalence,
    ShiftKind::Acquisition,
    ShiftKind::Annotation,
    ShiftKind::Manifestation,
    ShiftKind::Selection,
];

/// Every template: directions, combinations of shifts, split, confounded, what selects.
pub(super) fn templates() -> Vec<DiagramFile> {
    let mut files = Vec::new();
    for (direction, options, combination) in [Causal, Anticausal]
        .into_iter()
        .flat_map(|direction| (0..8).map(move |options| (direction, options)))
        .flat_map(|(direction, options)| (0..64).map(move |c| (direction, options, c)))
        // Where nothing differs there is nothing to advise on.
        .filter(|(_, options, combination)| *combination > 0 || options & 2 == 2)
    {
        let chosen = (0..6).filter(|i| combination >> i & 1 == 1);
        let mut template = chosen.fold(Template::new(direction), |t, i| t.shift(KINDS[i as usize]));
        if options & 1 == 1 {
            template = template.split();
        }
        if options & 2 == 2 {
            template = template.confounded();
        }
        if options & 4 == 4 {
            template = template.label_from_anatomy();
        }
        let selecting: &[&[&str]] = if combination >> 5 == 1 {
            &[&["image"], &["label"], &["image", "label"]]
        } else {
            &[&["image"]]
        };
        let with = |nodes: &&[&str]| template.clone().selected_by(nodes).build();
        files.extend(selecting.iter().map(with).filter_map(Result::ok));
    }
    files
}

/// Studies with covariates, drawn selection, and partial shifts, which no template has.
fn studies() -> Vec<DiagramFile> {
    let roles = "film = {role = 'image'}, disease = {role = 'label'}, age = {role = 'demographic'}, \
                 site = {role = 'site'}, scanner = {role = 'acquisition'}";
    let study = |edges: &str, shifts: &[(&str, &str)]| {
        let present = roles.split(", ").filter(|role| {
            let name = role.split(' ').next().unwrap();
            edges
                .split_whitespace()
                .any(|word| word.trim_end_matches(';') == name)
        });
        let present: Vec<&str> = present.collect();
        let shifts: Vec<String> = shifts
            .iter()
            .map(|(kind, node)| format!("[[shift]]\nkind = '{kind}'\nnodes = ['{node}']\n"))
            .collect();
        let text = format!(
            "schema = 1\nedges = '{edges}'\nnodes = {{{}}}\n{}",
            present.join(", "),
            shifts.concat()
        );
        DiagramFile::parse(&text).unwrap()
    };
    vec![
        study(
            "age -> disease -> film; age -> film",
            &[("population", "age")],
        ),
        study("age -> disease -> film", &[("population", "age")]),
        study(
            "disease -> a -> film; disease -> b -> film",
            &[("manifestation", "a")],
        ),
        study(
            "disease -> sign -> film; site -> scanner -> film; site <-> disease; age -> disease; age -> film",
            &[("acquisition", "scanner")],
        ),
        study(
            "disease -> sign -> film; site -> film; site <-> disease; age -> disease; age -> film",
            &[],
        ),
        study(
            "age -> film; disease -> film; age -> entered",
            &[("selection", "age")],
        ),
        study(
            "disease -> film; age -> disease; age -> film",
            &[("selection", "age"), ("acquisition", "film")],
        ),
        study(
            "sign -> film -> disease; scanner -> film",
            &[("acquisition", "scanner")],
        ),
        study(
            "sign -> film; sign -> disease; age -> sign",
            &[("population", "age")],
        ),
        study("site -> disease -> film; site -> film", &[]),
    ]
}

const ROLES: [(&str, Role); 6] = [
    ("film", Role::Image),
    ("disease", Role::Label),
    ("age", Role::Demographic),
    ("site", Role::Site),
    ("scanner", Role::Acquisition),
    ("sign", Role::Anatomy),
];

/// Any diagram over six nodes of different roles, with up to three shifts anywhere.
pub(super) fn random_study(seed: u64) -> DiagramFile {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order = ROLES.map(|(name, _)| name);
    for place in (1..order.len()).rev() {
        order.swap(place, rng.random_range(0..=place));
    }
    let mut builder = Diagram::builder();
    for name in order {
        builder = builder.node(name).unwrap();
    }
    for (later, to) in order.iter().enumerate() {
        for from in &order[..later] {
            if rng.random_bool(0.4) {
                builder = builder.directed(from, to).unwrap();
            }
            if rng.random_bool(0.08) {
                builder = builder.bidirected(from, to).unwrap();
            }
        }
    }
    if rng.random_bool(0.5) {
        builder = builder.latent("sign").unwrap();
    }
    let mut file = DiagramFile::new(builder.build().unwrap());
    for (name, role) in ROLES {
        file = file.role(name, role).unwrap();
    }
    for _ in 0..rng.random_range(1..=3) {
        let nodes = (0..rng.random_range(1..=2)).map(|_| order[rng.random_range(0..6)].to_owned());
        let mut nodes: Vec<String> = nodes.collect();
        nodes.dedup();
        let kind = KINDS[rng.random_range(0..KINDS.len())];
        file = file
            .shift(Shift {
                kind,
                nodes,
                source: None,
            })
            .unwrap();
    }
    file
}

//! The causal diagram of the simulation, as text.

use std::fmt::Write as _;

use super::spec::ChestSpec;

/// Name, whether a cohort's reader sees it, meaning.
const NODES: [(&str, bool, &str); 9] = [
    ("site", true, "environment; the last one is the target"),
    ("age", true, "years"),
    ("sex", true, "F or M"),
    ("disease", true, "the label"),
    ("severity", false, "0 to 1, 0 without the disease"),
    (
        "anatomy",
        false,
        "measures of the chest and its position in the film",
    ),
    ("acquisition", false, "gain, gamma, noise and blur"),
    ("device", false, "tube and marker, no part of the disease"),
    ("image", true, "the film"),
];

/// Cause and effect.
const EDGES: [(&str, &str); 13] = [
    ("site", "age"),
    ("site", "disease"),
    ("age", "disease"),
    ("disease", "severity"),
    ("age", "anatomy"),
    ("sex", "anatomy"),
    ("site", "acquisition"),
    ("site", "device"),
    ("disease", "device"),
    ("anatomy", "image"),
    ("severity", "image"),
    ("acquisition", "image"),
    ("device", "image"),
];

/// Nodes, edges and the mechanisms that the dials moved, with the specification.
pub(crate) fn toml(spec: &ChestSpec) -> String {
    let mut text = String::from("schema = 1\nname = \"simulated-chest\"\n");
    for (name, observed, meaning) in NODES {
        let _ = write!(
            text,
            "\n[[node]]\nname = \"{name}\"\nobserved = {observed}\nmeaning = \"{meaning}\"\n"
        );
    }
    for (from, to) in EDGES {
        let _ = write!(text, "\n[[edge]]\nfrom = \"{from}\"\nto = \"{to}\"\n");
    }
    for (shift, mechanism, dial, meaning) in shifts(spec) {
        let _ = write!(
            text,
            "\n[[shift]]\nkind = \"{shift}\"\nmechanism = \"{mechanism}\"\ndial = {dial:?}\n\
             meaning = \"{meaning}\"\n"
        );
    }
    text + &specification(spec)
}

/// Kind of shift, the node whose mechanism it changes, dial, meaning; only the dials above 0.
fn shifts(spec: &ChestSpec) -> Vec<(&'static str, &'static str, f64, &'static str)> {
    let all = [
        (
            "confounding",
            "disease",
            spec.confounding,
            "P(disease) differs between the sources",
        ),
        (
            "confounding",
            "device",
            spec.confounding,
            "tube and marker go with the disease in the sources, against it in the target",
        ),
        (
            "acquisition",
            "acquisition",
            spec.acquisition,
            "the target's scanner lies beyond those of the sources",
        ),
        (
            "prevalence",
            "disease",
            spec.prevalence,
            "the disease is rarer in the target",
        ),
    ];
    all.into_iter()
        .filter(|(_, _, dial, _)| *dial > 0.0)
        .collect()
}

fn specification(spec: &ChestSpec) -> String {
    let [least, greatest] = spec.severity;
    format!(
        "\n[spec]\nsize = {}\nimages_per_site = {}\nsource_sites = {}\nseed = \"{}\"\n\
         confounding = {:?}\nacquisition = {:?}\nprevalence = {:?}\n\
         severity = [{least:?}, {greatest:?}]\n",
        spec.size,
        spec.images_per_site,
        spec.source_sites,
        // As text: TOML's integers end at 63 bits.
        spec.seed,
        spec.confounding,
        spec.acquisition,
        spec.prevalence,
    )
}

#[cfg(test)]
mod tests {
    use super::{EDGES, NODES, toml};
    use crate::ChestSpec;

    #[test]
    fn edges_run_between_nodes_in_causal_order() {
        let place = |name: &str| NODES.iter().position(|(node, _, _)| *node == name);
        for (from, to) in EDGES {
            let (from, to) = (place(from), place(to));
            assert!(from.is_some() && from < to, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn only_dials_that_moved_are_shifts() {
        let still = toml(&ChestSpec::default());
        assert_eq!(still.matches("[[shift]]").count(), 0);
        let moved = toml(&ChestSpec {
            prevalence: 0.5,
            confounding: 1.0,
            ..ChestSpec::default()
        });
        assert_eq!(moved.matches("[[shift]]").count(), 3);
        assert!(moved.contains("kind = \"prevalence\"\nmechanism = \"disease\"\ndial = 0.5\n"));
    }
}

//! Numbers that `SciPy` and scikit-image computed, in two and in three dimensions.

use ctl_imaging::distance::{distance_transform, signed_distance_transform};
use ctl_imaging::morphology::{
    ComponentOrder, Connectivity, Element, closed, components, dilated, eroded, holes_filled,
    opened,
};
use ctl_imaging::otsu_threshold;
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Deserialize)]
struct Golden {
    masks: Vec<MaskCase>,
    otsu: Vec<OtsuCase>,
}

#[derive(Deserialize)]
struct MaskCase {
    shape: [usize; 3],
    spacing: [f64; 3],
    radius: f64,
    mask: String,
    distances: Vec<f64>,
    /// By faces, by edges, by corners.
    neighbours: [Operations; 3],
    ball: Operations,
    components: [Parts; 3],
    holes_filled: String,
}

#[derive(Deserialize)]
struct Operations {
    dilated: String,
    eroded: String,
    closed: String,
    opened: String,
}

#[derive(Deserialize)]
struct Parts {
    labels: Vec<u32>,
    sizes: Vec<usize>,
}

#[derive(Deserialize)]
struct OtsuCase {
    values: Vec<f64>,
    threshold: f64,
}

static GOLDEN: LazyLock<Golden> =
    LazyLock::new(|| serde_json::from_str(include_str!("../golden/morphology.json")).unwrap());

const CONNECTIVITIES: [Connectivity; 3] = [
    Connectivity::Faces,
    Connectivity::Edges,
    Connectivity::Corners,
];

fn mask(text: &str) -> Vec<bool> {
    text.bytes().map(|mark| mark == b'1').collect()
}

fn text(mask: &[bool]) -> String {
    mask.iter()
        .map(|&mark| if mark { '1' } else { '0' })
        .collect()
}

#[test]
fn distances_are_those_of_scipy() {
    assert_eq!(GOLDEN.masks.len(), 7);
    for case in &GOLDEN.masks {
        let marks = mask(&case.mask);
        let ours = distance_transform(&marks, case.shape, case.spacing).unwrap();
        let signed = signed_distance_transform(&marks, case.shape, case.spacing).unwrap();
        for (index, (ours, golden)) in ours.iter().zip(&case.distances).enumerate() {
            let close = (ours - golden).abs() <= 1e-11;
            assert!(close, "{:?}, {index}: {ours} for {golden}", case.shape);
            assert!(!marks[index] || (signed[index] + ours).abs() < 1e-15);
        }
    }
}

#[test]
fn morphology_is_that_of_scipy() {
    for case in &GOLDEN.masks {
        let neighbours = CONNECTIVITIES.map(Element::neighbours);
        let ball = Element::Ball {
            radius: case.radius,
            spacing: case.spacing,
        };
        let elements = neighbours.iter().zip(&case.neighbours);
        let (marks, shape) = (mask(&case.mask), case.shape);
        for (element, golden) in elements.chain([(&ball, &case.ball)]) {
            let what = format!("{shape:?}, {element:?}");
            let ours = |made: ctl_imaging::Result<Vec<bool>>| text(&made.unwrap());
            assert_eq!(
                ours(dilated(&marks, shape, element)),
                golden.dilated,
                "{what}"
            );
            assert_eq!(
                ours(eroded(&marks, shape, element)),
                golden.eroded,
                "{what}"
            );
            assert_eq!(
                ours(closed(&marks, shape, element)),
                golden.closed,
                "{what}"
            );
            assert_eq!(
                ours(opened(&marks, shape, element)),
                golden.opened,
                "{what}"
            );
        }
    }
}

#[test]
fn components_are_those_of_scipy() {
    for case in &GOLDEN.masks {
        for (connectivity, golden) in CONNECTIVITIES.into_iter().zip(&case.components) {
            let order = ComponentOrder::FirstVoxel;
            let ours = components(&mask(&case.mask), case.shape, connectivity, order).unwrap();
            assert_eq!(
                ours.labels(),
                golden.labels,
                "{:?}, {connectivity:?}",
                case.shape
            );
            assert_eq!(ours.sizes(), golden.sizes);
        }
    }
}

#[test]
fn holes_are_those_of_scipy() {
    let filled = |case: &MaskCase| holes_filled(&mask(&case.mask), case.shape, Connectivity::Faces);
    let mut changed = 0;
    for case in &GOLDEN.masks {
        let ours = text(&filled(case).unwrap());
        assert_eq!(ours, case.holes_filled, "{:?}", case.shape);
        changed += usize::from(ours != case.mask);
    }
    assert!(changed >= 4, "masks without holes say little");
}

#[test]
fn thresholds_are_those_of_scikit_image() {
    assert_eq!(GOLDEN.otsu.len(), 5);
    for case in &GOLDEN.otsu {
        let ours = otsu_threshold(&case.values).unwrap();
        let close = (ours - case.threshold).abs() <= 1e-12 * case.threshold.abs().max(1.0);
        assert!(close, "{ours} for {}", case.threshold);
    }
}

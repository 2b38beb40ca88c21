//! Laws of distances, morphology and components, and what they refuse.

use ctl_imaging::distance::{distance_transform, signed_distance_transform};
use ctl_imaging::morphology::{
    ComponentOrder, Connectivity, Element, closed, components, dilated, eroded, holes_filled,
    largest_component, opened,
};
use proptest::prelude::*;
use rstest::rstest;

fn masks() -> impl Strategy<Value = ([usize; 3], Vec<bool>)> {
    (1_usize..8, 1_usize..8, 1_usize..6, 0.1_f64..0.95).prop_flat_map(|(x, y, z, density)| {
        let marks = prop::collection::vec(prop::bool::weighted(density), x * y * z);
        (Just([x, y, z]), marks)
    })
}

fn elements() -> impl Strategy<Value = Element> {
    let spacing = prop::array::uniform3(0.4_f64..2.0);
    prop_oneof![
        (connectivities(), 0_usize..3).prop_map(|(connectivity, times)| Element::Neighbours {
            connectivity,
            times
        }),
        (0.0_f64..3.0, spacing).prop_map(|(radius, spacing)| Element::Ball { radius, spacing }),
    ]
}

fn connectivities() -> impl Strategy<Value = Connectivity> {
    prop::sample::select(vec![
        Connectivity::Faces,
        Connectivity::Edges,
        Connectivity::Corners,
    ])
}

fn complement(mask: &[bool]) -> Vec<bool> {
    mask.iter().map(|mark| !mark).collect()
}

fn is_within(inner: &[bool], outer: &[bool]) -> bool {
    inner
        .iter()
        .zip(outer)
        .all(|(&inner, &outer)| !inner || outer)
}

fn place(index: usize, [width, height, _]: [usize; 3]) -> [f64; 3] {
    [
        index % width,
        index / width % height,
        index / width / height,
    ]
    .map(|at| at as f64)
}

fn agrees_with_the_definition(
    mask: &[bool],
    shape: [usize; 3],
    spacing: [f64; 3],
) -> Result<(), TestCaseError> {
    let found = distance_transform(mask, shape, spacing).unwrap();
    for (index, found) in found.iter().enumerate() {
        let here = place(index, shape);
        let apart = |other: usize| {
            let steps = place(other, shape).into_iter().zip(here).zip(spacing);
            steps
                .map(|((a, b), side)| ((a - b) * side).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        let others = (0..mask.len()).filter(|&other| !mask[other]);
        let exact = others.map(apart).fold(f64::INFINITY, f64::min);
        let same = found.is_infinite() && exact.is_infinite();
        prop_assert!(
            same || (found - exact).abs() <= 1e-12 * exact,
            "{} {}",
            found,
            exact
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn distances_are_those_of_the_definition(
        (shape, mask) in masks(), spacing in prop::array::uniform3(0.2_f64..5.0),
    ) {
        agrees_with_the_definition(&mask, shape, spacing)?;
    }

    /// Of a mask that leaves room around it, on some sides or on all.
    #[test]
    fn distances_in_a_part_of_the_image_are_those_of_the_definition(
        (shape, mut mask) in masks(), spacing in prop::array::uniform3(0.2_f64..5.0),
        low in prop::array::uniform3(0_usize..4), sides in prop::array::uniform3(0_usize..5),
    ) {
        for (index, mark) in mask.iter_mut().enumerate() {
            let at = place(index, shape);
            let is_in = |axis: usize| {
                (low[axis]..low[axis] + sides[axis]).contains(&(at[axis] as usize))
            };
            *mark &= (0..3).all(is_in);
        }
        agrees_with_the_definition(&mask, shape, spacing)?;
    }

    #[test]
    fn signed_distances_change_sign_with_the_mask(
        (shape, mask) in masks(), spacing in prop::array::uniform3(0.2_f64..5.0),
    ) {
        let one = signed_distance_transform(&mask, shape, spacing).unwrap();
        let other = signed_distance_transform(&complement(&mask), shape, spacing).unwrap();
        for ((one, other), is_in) in one.iter().zip(other).zip(mask) {
            prop_assert_eq!(one.to_bits(), (-other).to_bits());
            prop_assert_eq!(*one < 0.0, is_in);
        }
    }

    #[test]
    fn growing_the_mask_is_shrinking_the_rest((shape, mask) in masks(), element in elements()) {
        let grown = dilated(&mask, shape, &element).unwrap();
        let shrunk = eroded(&complement(&mask), shape, &element).unwrap();
        prop_assert_eq!(&grown, &complement(&shrunk));
        prop_assert!(is_within(&mask, &grown));
    }

    #[test]
    fn opening_and_closing_are_bounded_and_idempotent(
        (shape, mask) in masks(), element in elements(),
    ) {
        let open = opened(&mask, shape, &element).unwrap();
        let close = closed(&mask, shape, &element).unwrap();
        prop_assert!(is_within(&open, &mask) && is_within(&mask, &close));
        prop_assert_eq!(&opened(&open, shape, &element).unwrap(), &open);
        prop_assert_eq!(&closed(&close, shape, &element).unwrap(), &close);
    }

    #[test]
    fn components_part_the_mask(
        (shape, mask) in masks(), connectivity in connectivities(),
    ) {
        let parts = components(&mask, shape, connectivity, ComponentOrder::Size).unwrap();
        prop_assert!(parts.sizes().is_sorted_by(|one, other| one >= other));
        let mut counted = vec![0; parts.count() + 1];
        for &label in parts.labels() {
            counted[label as usize] += 1;
        }
        prop_assert_eq!(&counted[1..], parts.sizes());
        prop_assert_eq!(counted[0], mask.iter().filter(|mark| !**mark).count());
        let element = Element::neighbours(connectivity);
        for part in 1..=parts.count() as u32 {
            let alone: Vec<bool> = parts.labels().iter().map(|&label| label == part).collect();
            let around = dilated(&alone, shape, &element).unwrap();
            for (index, reached) in around.iter().enumerate() {
                let label = parts.labels()[index];
                prop_assert!(!reached || label == part || label == 0);
            }
        }
        let largest = largest_component(&mask, shape, connectivity).unwrap();
        let first: Vec<bool> = parts.labels().iter().map(|&label| label == 1).collect();
        prop_assert_eq!(largest, first);
    }

    #[test]
    fn axes_may_be_exchanged((shape, mask) in masks(), connectivity in connectivities()) {
        // The picture (or its stack) read with the last axis fastest.
        let [x, y, z] = shape;
        let exchange = |values: &[bool]| -> Vec<bool> {
            let at = |index: usize| (index % z * y + index / z % y) * x + index / z / y;
            (0..values.len()).map(|index| values[at(index)]).collect()
        };
        let element = Element::neighbours(connectivity);
        let turned = exchange(&mask);
        prop_assert_eq!(
            exchange(&dilated(&mask, shape, &element).unwrap()),
            dilated(&turned, [z, y, x], &element).unwrap()
        );
        prop_assert_eq!(
            exchange(&holes_filled(&mask, shape, connectivity).unwrap()),
            holes_filled(&turned, [z, y, x], connectivity).unwrap()
        );
        let count = |mask: &[bool], shape| {
            components(mask, shape, connectivity, ComponentOrder::Size).unwrap().sizes().to_vec()
        };
        prop_assert_eq!(count(&mask, shape), count(&turned, [z, y, x]));
    }
}

#[test]
fn a_ball_is_counted_in_millimetres() {
    let mut mask = vec![false; 11 * 11 * 5];
    mask[(2 * 11 + 5) * 11 + 5] = true;
    let ball = Element::Ball {
        radius: 3.0,
        spacing: [1.0, 1.0, 3.0],
    };
    let grown = dilated(&mask, [11, 11, 5], &ball).unwrap();
    // 29 centres of the plane lie within 3 mm, and one in each neighbouring slice.
    assert_eq!(grown.iter().filter(|mark| **mark).count(), 31);
}

#[test]
fn a_full_and_an_empty_mask() {
    let (full, empty, shape) = ([true; 12], [false; 12], [3, 2, 2]);
    assert_eq!(
        distance_transform(&full, shape, [1.0; 3]).unwrap(),
        [f64::INFINITY; 12]
    );
    assert_eq!(
        distance_transform(&empty, shape, [1.0; 3]).unwrap(),
        [0.0; 12]
    );
    let signed = signed_distance_transform(&full, shape, [1.0; 3]).unwrap();
    assert_eq!(signed, [f64::NEG_INFINITY; 12]);
    let none = components(&empty, shape, Connectivity::Faces, ComponentOrder::Size).unwrap();
    assert_eq!(none.count(), 0);
    assert_eq!(
        largest_component(&empty, shape, Connectivity::Faces).unwrap(),
        empty
    );
    assert_eq!(
        holes_filled(&empty, shape, Connectivity::Faces).unwrap(),
        empty
    );
    let ball = Element::Ball {
        radius: 9.0,
        spacing: [1.0; 3],
    };
    assert_eq!(eroded(&full, shape, &ball).unwrap(), full);
    assert_eq!(dilated(&empty, shape, &ball).unwrap(), empty);
}

#[test]
fn the_same_bytes_on_one_thread_and_on_two() {
    let mask: Vec<bool> = (0..40_000_usize).map(|at| at * 7919 % 1009 > 300).collect();
    let made = [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let shape = [80, 50, 10];
            let distances = distance_transform(&mask, shape, [0.7, 1.1, 3.0]).unwrap();
            let order = ComponentOrder::Size;
            let parts = components(&mask, shape, Connectivity::Edges, order).unwrap();
            (distances, parts)
        })
    });
    assert_eq!(made[0], made[1]);
}

#[rstest]
#[case::too_few([2, 2, 2], 7)]
#[case::empty([0, 2, 2], 0)]
#[case::uncountable([usize::MAX, 2, 2], 4)]
fn ill_shapes_are_refused(#[case] shape: [usize; 3], #[case] marks: usize) {
    let mask = vec![true; marks];
    let element = Element::neighbours(Connectivity::Faces);
    let refusals = [
        distance_transform(&mask, shape, [1.0; 3]).is_err(),
        signed_distance_transform(&mask, shape, [1.0; 3]).is_err(),
        dilated(&mask, shape, &element).is_err(),
        eroded(&mask, shape, &element).is_err(),
        opened(&mask, shape, &element).is_err(),
        closed(&mask, shape, &element).is_err(),
        components(&mask, shape, Connectivity::Faces, ComponentOrder::Size).is_err(),
        largest_component(&mask, shape, Connectivity::Faces).is_err(),
        holes_filled(&mask, shape, Connectivity::Faces).is_err(),
    ];
    assert_eq!(refusals, [true; 9]);
}

#[rstest]
#[case::negative(-1.0, [1.0; 3], "radius of a ball")]
#[case::nan(f64::NAN, [1.0; 3], "radius of a ball")]
#[case::no_spacing(1.0, [1.0, 0.0, 1.0], "spacing")]
#[case::endless_spacing(1.0, [1.0, f64::INFINITY, 1.0], "spacing")]
#[case::huge(1e12, [1.0; 3], "element to close or open with")]
fn ill_balls_are_refused(#[case] radius: f64, #[case] spacing: [f64; 3], #[case] subject: &str) {
    let ball = Element::Ball { radius, spacing };
    let error = closed(&[true, false, true], [3, 1, 1], &ball).unwrap_err();
    assert!(error.to_string().starts_with(subject), "{error}");
}

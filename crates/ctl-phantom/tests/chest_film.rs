//! Chest films on the common causal model: what changes what, and by how much.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]
#![expect(
    clippy::float_cmp,
    reason = "states are whole numbers, and ties are exact"
)]

use ctl_graph::Mixed;
use ctl_graph::advice::advise;
use ctl_graph::graph::CausalDirection;
use ctl_phantom::{Anatomy, Dials, PhantomCohort, PhantomError, PhantomSpec, SiteRole, simulate};

const SIZE: usize = 48;

fn spec(patients_per_site: usize, dials: Dials) -> PhantomSpec {
    PhantomSpec {
        anatomy: Anatomy::Chest,
        size: SIZE,
        patients_per_site,
        source_sites: 2,
        seed: 11,
        dials,
        ..PhantomSpec::default()
    }
}

fn cohort(patients_per_site: usize, dials: Dials) -> PhantomCohort {
    simulate(&spec(patients_per_site, dials)).unwrap()
}

/// Positions of the samples of the first site with a role.
fn of_role(cohort: &PhantomCohort, role: SiteRole) -> std::ops::Range<usize> {
    let site = cohort.sites().iter().find(|site| site.role == role);
    site.unwrap().samples.clone()
}

/// Probability that a diseased patient's score is the higher one; ties count one half.
fn auroc(scores: &[(f64, bool)]) -> f64 {
    let (mut wins, mut pairs) = (0.0, 0.0);
    for (high, _) in scores.iter().filter(|(_, label)| *label) {
        for (low, _) in scores.iter().filter(|(_, label)| !*label) {
            pairs += 1.0;
            wins += f64::from(u8::from(high > low)) + 0.5 * f64::from(u8::from(high == low));
        }
    }
    wins / pairs
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Welch's statistic of two samples.
fn welch(a: &[f64], b: &[f64]) -> f64 {
    let spread = |values: &[f64]| {
        let centre = mean(values);
        let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
        squares / (values.len() - 1) as f64 / values.len() as f64
    };
    (mean(a) - mean(b)) / (spread(a) + spread(b)).sqrt()
}

/// Mean grey, its spread over the film, and the roughness between neighbours.
fn looks(film: &[f32]) -> [f64; 3] {
    let values: Vec<f64> = film.iter().map(|&value| f64::from(value)).collect();
    let centre = mean(&values);
    let spread = values
        .iter()
        .map(|value| (value - centre).powi(2))
        .sum::<f64>()
        .sqrt();
    let steps = values
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .sum::<f64>();
    [centre, spread, steps]
}

/// Welch's statistics between source and target of each look.
fn distances(dials: Dials, patients: usize) -> [f64; 3] {
    let cohort = cohort(patients, dials);
    let of = |role| -> Vec<[f64; 3]> {
        of_role(&cohort, role)
            .map(|index| looks(&cohort.image(index)))
            .collect()
    };
    let (source, target) = (of(SiteRole::Source), of(SiteRole::Target));
    std::array::from_fn(|look| {
        let column = |rows: &[[f64; 3]]| rows.iter().map(|row| row[look]).collect::<Vec<_>>();
        welch(&column(&source), &column(&target)).abs()
    })
}

#[test]
fn without_dials_target_films_look_like_source_films() {
    // Three statistics; 3.3 is exceeded by one of them with a probability of 1 in 340.
    for distance in distances(Dials::default(), 150) {
        assert!(distance < 3.3, "{distance}");
    }
}

#[test]
fn the_difference_grows_with_the_acquisition_dial() {
    let at = |acquisition| {
        let dials = Dials {
            acquisition,
            ..Dials::default()
        };
        distances(dials, 40)
    };
    let (some, all) = (at(0.4), at(1.0));
    // Darker and rougher films.
    for look in [0, 2] {
        assert!(
            some[look] > 3.0 && all[look] > 1.5 * some[look],
            "{some:?} {all:?}"
        );
    }
}

#[test]
fn setting_a_node_changes_its_descendants_only() {
    let cohort = cohort(6, Dials::default());
    let diagram = cohort.scm().diagram();
    for node in diagram.ids().filter(|&node| diagram.name(node) != "site") {
        let name = diagram.name(node);
        let descendants = diagram.descendants(&ctl_graph::NodeSet::single(node));
        for (index, sample) in cohort.samples().iter().enumerate() {
            let old = sample.values[node.index()];
            let value = match name {
                "age" => 40.0,
                _ if old == 0.0 || old == 1.0 => 1.0 - old,
                _ => old + 0.3,
            };
            let twin = cohort.counterfactual(index, &[(name, value)]).unwrap();
            for other in diagram.ids().filter(|&other| !descendants.contains(other)) {
                let place = other.index();
                assert_eq!(
                    twin.values[place].to_bits(),
                    sample.values[place].to_bits(),
                    "{name} changed {}",
                    diagram.name(other)
                );
            }
        }
    }
}

#[test]
fn counterfactual_films_are_exact() {
    let dials = Dials {
        acquisition: 0.7,
        confounding: 0.8,
        ..Dials::default()
    };
    let cohort = cohort(8, dials);
    for (index, sample) in cohort.samples().iter().enumerate() {
        let film = cohort.image(index);
        let same = cohort.counterfactual(index, &[]).unwrap();
        assert_eq!(&same, sample);
        assert_eq!(cohort.image_of(&same), film);

        // Twice the same question, by two ways: through the disease and through what it shows.
        let held = [
            ("load", cohort.value(sample, "load").unwrap()),
            ("spread", cohort.value(sample, "spread").unwrap()),
            ("unit", cohort.value(sample, "unit").unwrap()),
        ];
        let healthy = [&held[..], &[("disease", 0.0)]].concat();
        let twin = cohort.counterfactual(index, &healthy).unwrap();
        assert_eq!(cohort.image_of(&twin), film);
    }
}

#[test]
fn without_its_load_a_film_changes_within_the_lungs_only() {
    let cohort = cohort(30, Dials::default());
    let mut seen = 0;
    for index in of_role(&cohort, SiteRole::Source) {
        if cohort.samples()[index].true_label == 0 {
            continue;
        }
        let held = (
            "unit",
            cohort.value(&cohort.samples()[index], "unit").unwrap(),
        );
        let twin = cohort
            .counterfactual(index, &[("load", -8.0), held])
            .unwrap();
        let mask = cohort.true_mask(index);
        assert!(cohort.true_mask_of(&twin).iter().all(|&pixel| pixel == 0));
        let film = cohort.reference_image(index);
        let healthy = cohort.reference_image_of(&twin);
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for ((with, without), lesion) in film.iter().zip(&healthy).zip(&mask) {
            let rise = f64::from(with - without);
            if *lesion == 1 {
                &mut inside
            } else {
                &mut outside
            }
            .push(rise);
        }
        if inside.len() > 20 {
            seen += 1;
            assert!(mean(&inside) > 0.03, "{index}: {}", mean(&inside));
            // Less air lets less scatter through, hence not exactly none.
            assert!(mean(&outside).abs() < 0.02, "{index}: {}", mean(&outside));
        }
    }
    assert!(seen > 8, "{seen}");
}

#[test]
fn the_portable_unit_leaves_the_patient_as_they_are() {
    let cohort = cohort(20, Dials::default());
    for index in of_role(&cohort, SiteRole::Source) {
        let [standing, lying] =
            [0.0, 1.0].map(|unit| cohort.counterfactual(index, &[("unit", unit)]).unwrap());
        for node in [
            "age",
            "disease",
            "load",
            "spread",
            "heart-ratio",
            "lab",
            "scatter",
        ] {
            assert_eq!(
                cohort.value(&standing, node).unwrap().to_bits(),
                cohort.value(&lying, node).unwrap().to_bits()
            );
        }
        assert_ne!(cohort.image_of(&standing), cohort.image_of(&lying));
        // The oracle sees the patient as the fixed unit of the reference scanner would.
        assert_eq!(
            cohort.oracle_image_of(&standing),
            cohort.oracle_image_of(&lying)
        );
    }
}

#[test]
fn films_are_the_same_bytes_on_one_and_on_two_threads() {
    use rayon::prelude::*;

    let dials = Dials {
        selection: 0.5,
        confounding: 0.5,
        ..Dials::default()
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let cohort = cohort(10, dials);
            let films: Vec<Vec<u32>> = (0..cohort.samples().len())
                .into_par_iter()
                .map(|index| {
                    cohort
                        .image(index)
                        .iter()
                        .map(|value| value.to_bits())
                        .collect()
                })
                .collect();
            (cohort.samples().to_vec(), films)
        })
    };
    assert!(run(1) == run(2));
}

#[test]
fn the_best_prediction_is_good_but_not_perfect() {
    let cohort = cohort(500, Dials::default());
    let scores = |score: &dyn Fn(usize) -> f64| -> Vec<(f64, bool)> {
        of_role(&cohort, SiteRole::Target)
            .map(|index| (score(index), cohort.samples()[index].label == 1))
            .collect()
    };
    let best = auroc(&scores(&|index| cohort.bayes(index)));
    assert!((0.93..0.97).contains(&best), "{best}");
    let multimodal = auroc(&scores(&|index| cohort.bayes_multimodal(index)));
    assert!(multimodal > best, "{multimodal} {best}");
    // What is drawn of the lesion tells nearly as much as its load.
    let area = auroc(&scores(&|index| {
        cohort
            .true_mask(index)
            .iter()
            .map(|&pixel| f64::from(pixel))
            .sum()
    }));
    assert!(area > 0.85 && area < best + 0.01, "{area} {best}");
}

#[test]
fn confounding_ties_unit_and_label_in_the_sources_and_the_other_way_in_the_target() {
    let dials = Dials {
        confounding: 1.0,
        ..Dials::default()
    };
    let cohort = cohort(300, dials);
    let tie = |chosen: &mut dyn Iterator<Item = usize>| {
        let scores: Vec<(f64, bool)> = chosen
            .map(|index| {
                let sample = &cohort.samples()[index];
                (cohort.value(sample, "unit").unwrap(), sample.label == 1)
            })
            .collect();
        auroc(&scores)
    };
    let sources = tie(&mut (0..600));
    let target = tie(&mut of_role(&cohort, SiteRole::Target));
    assert!(sources > 0.7 && target < 0.3, "{sources} {target}");
}

#[test]
fn the_diagram_of_every_dial_is_answered() {
    for direction in [CausalDirection::Causal, CausalDirection::Anticausal] {
        for (name, _) in Dials::default().named() {
            let dials = serde_json::from_str(&format!("{{ \"{name}\": 0.8 }}")).unwrap();
            let cohort = simulate(&PhantomSpec {
                direction,
                ..spec(2, dials)
            })
            .unwrap();
            let advice = advise(cohort.diagram());
            assert!(advice.is_ok(), "{direction:?} {name}: {advice:?}");
        }
    }
}

#[test]
fn refuses_what_a_film_does_not_have() {
    let cohort = cohort(1, Dials::default());
    assert!(matches!(
        cohort.volume(0, 8),
        Err(PhantomError::InvalidSetting { key: "depth", .. })
    ));
    let contrast = PhantomSpec {
        contrast: Some(ctl_phantom::MrContrast::T1),
        ..spec(1, Dials::default())
    };
    assert!(simulate(&contrast).is_err());
    let dial = Dials {
        manifestation: 2.0,
        ..Dials::default()
    };
    assert!(simulate(&spec(1, dial)).is_err());
    assert!(matches!(
        cohort.counterfactual(0, &[("ventricles", 1.0)]),
        Err(PhantomError::NoSuchNode { .. })
    ));
}

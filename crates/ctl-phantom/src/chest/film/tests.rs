//! What a radiologist would look for on these films, by number.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

const SIZE: usize = 64;

fn individual(seed: u64) -> Individual {
    // A generator for each purpose, as the cohort has it.
    Individual::draw(|purpose| {
        let tag = purpose
            .bytes()
            .fold(seed, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        ChaCha8Rng::seed_from_u64(tag)
    })
}

/// A healthy man on the neutral scanner, without anything on the film.
fn plain(individual: &Individual) -> Factors<'_> {
    Factors {
        build: Build {
            habitus: 0.0,
            thorax_width: 0.735,
            lung_height: 1.295,
            heart_ratio: 0.46,
            aorta: 0.08,
            bone: 1.0,
            breast: -0.1,
            aeration: 0.72,
        },
        findings: Findings {
            load: 0.0,
            focality: 0.5,
            effusion: 0.0,
        },
        view: View::Pa,
        reading: Reading::NEUTRAL,
        devices: Devices {
            tube: false,
            marker: false,
        },
        individual,
    }
}

fn with_findings<'a>(base: &Factors<'a>, load: f64, focality: f64, effusion: f64) -> Factors<'a> {
    Factors {
        findings: Findings {
            load,
            focality,
            effusion,
        },
        ..*base
    }
}

fn quiet(factors: &Factors<'_>) -> Vec<f32> {
    expose(factors, SIZE, false)
}

fn count(mask: &[u8]) -> usize {
    mask.iter().map(|&pixel| usize::from(pixel)).sum()
}

/// Mean of the pixels whose columns and rows, as shares of the film, are within the ranges.
fn mean_within(film: &[f32], columns: [f64; 2], rows: [f64; 2]) -> f64 {
    let within = |pixel: usize, [low, high]: [f64; 2]| {
        let share = (pixel as f64 + 0.5) / SIZE as f64;
        low <= share && share < high
    };
    let chosen: Vec<f64> = film
        .iter()
        .enumerate()
        .filter(|(at, _)| within(at % SIZE, columns) && within(at / SIZE, rows))
        .map(|(_, &value)| f64::from(value))
        .collect();
    chosen.iter().sum::<f64>() / chosen.len() as f64
}

#[test]
fn lungs_are_darker_than_mediastinum_and_abdomen() {
    for seed in 0..40 {
        let individual = individual(seed);
        for view in [View::Pa, View::Ap] {
            let film = quiet(&Factors {
                view,
                ..plain(&individual)
            });
            let lungs =
                [[0.20, 0.33], [0.67, 0.80]].map(|columns| mean_within(&film, columns, [0.3, 0.5]));
            let mediastinum = mean_within(&film, [0.47, 0.53], [0.45, 0.6]);
            let abdomen = mean_within(&film, [0.35, 0.65], [0.88, 0.98]);
            let lightest = lungs[0].max(lungs[1]);
            assert!(
                lightest + 0.2 < mediastinum,
                "{seed}: {lungs:?} {mediastinum}"
            );
            assert!(lightest + 0.2 < abdomen, "{seed}: {lungs:?} {abdomen}");
            assert!(film.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
}

#[test]
fn lesions_grow_with_the_load_and_stay_within_the_lungs() {
    for seed in 0..20 {
        let individual = individual(seed);
        let base = plain(&individual);
        assert_eq!(count(&lesion(&base, SIZE)), 0);
        for focality in [0.0, 1.0] {
            let sizes = [0.2, 0.5, 0.9]
                .map(|load| count(&lesion(&with_findings(&base, load, focality, 0.0), SIZE)));
            assert!(
                sizes[0] <= sizes[1] && sizes[1] < sizes[2],
                "{seed}: {sizes:?}"
            );
        }
        let diffuse = lesion(&with_findings(&base, 1.0, 0.0, 0.0), SIZE);
        let widest = count(&diffuse);
        assert!(
            widest > SIZE * SIZE / 8 && widest < SIZE * SIZE / 2,
            "{widest}"
        );
        // Below the diaphragm and in the neck there is no lung.
        let rows = diffuse.chunks_exact(SIZE);
        let outside = rows.enumerate().filter(|(row, _)| *row < 3 || *row > 57);
        assert!(outside.flat_map(|(_, row)| row).all(|&pixel| pixel == 0));
    }
}

#[test]
fn a_focal_load_covers_less_than_a_diffuse_one() {
    let sizes = |focality: f64| -> usize {
        (0..20)
            .map(|seed| {
                let individual = individual(seed);
                count(&lesion(
                    &with_findings(&plain(&individual), 0.8, focality, 0.0),
                    SIZE,
                ))
            })
            .sum()
    };
    assert!(2 * sizes(1.0) < sizes(0.0));
}

#[test]
fn fluid_fills_one_costophrenic_angle_first_and_rises() {
    for seed in 0..20 {
        let individual = individual(seed);
        let base = plain(&individual);
        let covered = |effusion: f64| -> Vec<usize> {
            let mask = lesion(&with_findings(&base, 0.0, 0.5, effusion), SIZE);
            (0..SIZE * SIZE).filter(|&at| mask[at] == 1).collect()
        };
        let (some, more) = (covered(0.15), covered(0.6));
        assert!(!some.is_empty() && more.len() > 2 * some.len(), "{seed}");
        assert!(some.iter().all(|at| more.contains(at)));
        // A little lies at the bottom of the chest, beside the midline.
        let centre = SIZE as f64 / 2.0;
        for at in some {
            assert!(at / SIZE > SIZE / 2);
            assert!(((at % SIZE) as f64 - centre).abs() > 0.25 * centre);
        }
    }
}

#[test]
fn the_mask_is_where_the_neutral_film_changes() {
    let individual = individual(3);
    let base = plain(&individual);
    let ill = with_findings(&base, 0.7, 0.8, 0.3);
    let sharp = Reading {
        blur_sigma: 0.0,
        ..Reading::NEUTRAL
    };
    let (with, without) = (
        quiet(&Factors {
            reading: sharp,
            ..ill
        }),
        quiet(&Factors {
            reading: sharp,
            ..base
        }),
    );
    let mask = lesion(&ill, SIZE);
    let mut compared = 0;
    for ((with, without), mask) in with.iter().zip(&without).zip(&mask) {
        // White and what the collimator covers hide a difference.
        if *with < 1.0 && *with > 0.0 {
            let rise = f64::from(with - without);
            if (rise - LESION_CONTRAST).abs() > 1e-4 {
                assert_eq!(*mask == 1, rise > LESION_CONTRAST, "{rise}");
                compared += 1;
            }
        }
    }
    assert!(compared > 2000 && count(&mask) > 100);
}

#[test]
fn devices_and_the_reading_leave_the_mask() {
    let individual = individual(4);
    let ill = with_findings(&plain(&individual), 0.7, 0.5, 0.2);
    let other = Factors {
        reading: Reading {
            gain: 0.7,
            gamma: 1.6,
            scatter: 0.6,
            noise_sd: 0.05,
            blur_sigma: 2.0,
        },
        devices: Devices {
            tube: true,
            marker: true,
        },
        ..ill
    };
    assert_eq!(lesion(&ill, SIZE), lesion(&other, SIZE));
    assert_ne!(quiet(&ill), quiet(&other));
}

#[test]
fn the_portable_view_shows_a_larger_heart_higher_up() {
    // In the strip beside the midline over the left dome a larger heart leaves less lung.
    let mut wider = 0;
    for seed in 0..20 {
        let mut individual = individual(seed);
        individual.blades = [0.9; 4];
        let measures = |view| Measures::of(&plain(&individual).build, view, &individual.build);
        let (pa, ap) = (measures(View::Pa), measures(View::Ap));
        assert!(ap.heart_ratio > pa.heart_ratio && ap.lung_height < pa.lung_height);
        let [pa, ap] = [View::Pa, View::Ap].map(|view| {
            let film = quiet(&Factors {
                view,
                ..plain(&individual)
            });
            mean_within(&film, [0.55, 0.75], [0.62, 0.72])
        });
        wider += u32::from(ap > pa + 0.03);
    }
    assert!(wider > 15, "{wider}");
}

#[test]
fn noise_has_its_standard_deviation_in_mid_grey() {
    let mut squares = (0.0, 0.0);
    for seed in 0..10 {
        let individual = individual(seed);
        let base = plain(&individual);
        let noisy = Factors {
            reading: Reading {
                noise_sd: 0.03,
                ..Reading::NEUTRAL
            },
            ..base
        };
        let (film, without) = (expose(&noisy, SIZE, true), quiet(&noisy));
        for (film, without) in film.iter().zip(&without) {
            if (0.45..0.55).contains(without) {
                squares.0 += f64::from(film - without).powi(2);
                squares.1 += 1.0;
            }
        }
    }
    let sd = (squares.0 / squares.1).sqrt();
    assert!(squares.1 > 1000.0 && (sd - 0.03).abs() < 0.003, "{sd}");
}

#[test]
fn a_film_has_the_same_look_at_every_size() {
    let individual = individual(6);
    let ill = with_findings(&plain(&individual), 0.8, 0.5, 0.2);
    let small = expose(&ill, 32, false);
    let large = expose(&ill, 128, false);
    let mut sum = 0.0;
    for (at, value) in small.iter().enumerate() {
        let (row, column) = (4 * (at / 32), 4 * (at % 32));
        let block: f32 = (0..16)
            .map(|k| large[(row + k / 4) * 128 + column + k % 4])
            .sum();
        sum += f64::from((block / 16.0 - value).abs());
    }
    assert!(sum / 1024.0 < 0.03, "{}", sum / 1024.0);
}

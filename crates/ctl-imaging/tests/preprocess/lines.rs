//! Phase errors of lines of k-space, against closed forms.

use super::{correlation, image, one, refused, stepped, waves};
use ctl_imaging::preprocess::{Draw, RandomGhosting, RandomMotion, Step};

/// `1 + cos(2π f x / n)` along the second axis, rows of 3.
fn cosine(length: usize, frequency: f64) -> ctl_imaging::volume::Volume {
    let value = |at: usize| {
        let phase = std::f64::consts::TAU * frequency * (at / 3) as f64 / length as f64;
        (1.0 + phase.cos()) as f32
    };
    image(&[3, length], (0..3 * length).map(value).collect())
}

/// A jump before the first line moves the whole image: of voxels of 1.5 mm by the translation.
#[test]
fn a_jump_at_the_beginning_is_a_translation() {
    let step = |moves| {
        Step::RandomMotion(RandomMotion {
            translation: 6.0,
            moves,
            axis: Some(1),
        })
    };
    let (length, mut seen) = (16, 0);
    for index in 0..400 {
        let done = one(step(1))
            .run(&cosine(length, 1.0), None, Draw { seed: 1, index })
            .unwrap();
        let measured = &done.provenance.steps[0].measured;
        // Lines −1, 0 and 1 of those from −8 carry the image; a jump before line 7 moves them all.
        if measured.number("times").unwrap() >= 7.0 / 16.0 {
            continue;
        }
        seen += 1;
        let shift = measured.number("places").unwrap() / 1.5;
        for row in 0..length {
            let phase = std::f64::consts::TAU * (row as f64 - shift) / length as f64;
            let found = done.volume.value(&[1, row]).unwrap();
            assert!((found - (1.0 + phase.cos())).abs() < 1e-5);
        }
    }
    assert!(seen > 100);
}

/// With errors of every second line the image appears again, half a field of view away: the lines
/// at odd places have the factor `e^{iφ}`, so that `½ |x (1 + e^{iφ}) + x' (1 − e^{iφ})|`.
#[test]
fn errors_of_every_second_line_are_a_ghost_half_a_field_away() {
    let step = Step::RandomGhosting(RandomGhosting {
        phase: 120.0,
        period: 2,
        axis: Some(1),
    });
    let length = 12;
    let mut values = vec![0.0; 3 * length];
    values[3 * 4..3 * 5].copy_from_slice(&[2.0, 3.0, 4.0]);
    let volume = image(&[3, length], values);
    for seed in 0..5 {
        let (ghosted, told) = one(step.clone()).apply(&volume, None, seed).unwrap();
        let error = told.steps[0].measured.get("phases").unwrap()[1].to_radians();
        let (kept, ghost) = ((error / 2.0).cos().abs(), (error / 2.0).sin().abs());
        for row in 0..length {
            let share = match row {
                4 => kept,
                10 => ghost,
                _ => 0.0,
            };
            let found = ghosted.value(&[1, row]).unwrap();
            assert!((found - 3.0 * share).abs() < 1e-5, "{row} {found}");
        }
    }
}

#[test]
fn phases_keep_the_energy() {
    let volume = waves([9, 10, 4]);
    let energy = |values: &[f32]| values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    let before = energy(&volume.to_f32());
    for axis in 0..3 {
        let motion = RandomMotion {
            translation: 4.0,
            moves: 3,
            axis: Some(axis),
        };
        let ghosting = RandomGhosting {
            phase: 30.0,
            period: 3,
            axis: Some(axis),
        };
        for step in [Step::RandomMotion(motion), Step::RandomGhosting(ghosting)] {
            let after = stepped(step, &volume, None);
            assert!((energy(&after) / before - 1.0).abs() < 1e-6);
            let wide: Vec<f64> = after.iter().map(|&v| v.into()).collect();
            assert!(correlation(&wide, &volume.to_f64()) < 1.0 - 1e-6);
        }
    }
}

#[test]
fn magnitudes_are_wanted() {
    let step = Step::RandomGhosting(RandomGhosting {
        phase: 10.0,
        period: 2,
        axis: None,
    });
    let volume = image(&[3, 2], vec![1.0, -0.5, 0.0, 1.0, 1.0, 1.0]);
    assert!(refused(step, &volume, None).contains("none below 0"));
}

#[test]
fn an_axis_of_one_voxel_has_nothing_to_turn() {
    let volume = waves([6, 5, 1]);
    let step = Step::RandomMotion(RandomMotion {
        translation: 4.0,
        moves: 3,
        axis: Some(2),
    });
    assert_eq!(stepped(step, &volume, None), volume.to_f32());
}

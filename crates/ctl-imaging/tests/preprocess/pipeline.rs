//! Pipelines as text, and what they tell of a run.

use super::{boxed_mask, image, one, waves};
use ctl_imaging::ImagingError;
use ctl_imaging::kspace::Complex;
use ctl_imaging::preprocess::{
    Clahe, Draw, Gamma, HistogramMatch, Mask, MinMax, N4, NoiseKind, NyulTraining,
    PercentileRescale, Pipeline, Provenance, RandomAffine, RandomBias, RandomBlur, RandomElastic,
    RandomGamma, RandomGhosting, RandomMotion, RandomNoise, RandomResolution, Region, Sometimes,
    Step, Window, ZScore,
};
use ctl_imaging::volume::{Affine, Samples, Volume};
use rstest::rstest;
use std::error::Error;

/// Every step there is, with settings that differ from the defaults.
pub(crate) fn every_step() -> Vec<Step> {
    let reference = waves([6, 5, 2]);
    let scale = NyulTraining::default();
    vec![
        Step::N4(N4 {
            iterations: vec![3, 2],
            ..N4::default()
        }),
        Step::RandomMotion(RandomMotion {
            translation: 2.0,
            moves: 2,
            axis: Some(1),
        }),
        Step::RandomGhosting(RandomGhosting {
            phase: 20.0,
            period: 2,
            axis: None,
        }),
        Step::RandomNoise(RandomNoise {
            kind: NoiseKind::Rician,
            sigma: [0.01, 0.02],
        }),
        Step::RandomBias(RandomBias {
            order: 2,
            strength: 0.1,
        }),
        Step::RandomAffine(RandomAffine {
            rotation: [2.0, 3.0, 10.0],
            scale: 0.1,
            shear: 0.05,
            translation: [1.0; 3],
            fill: 0.5,
        }),
        Step::RandomElastic(RandomElastic {
            displacement: 1.5,
            spacing: 6.0,
            fill: 0.0,
        }),
        Step::RandomBlur(RandomBlur { sigma: [0.5, 1.0] }),
        Step::RandomResolution(RandomResolution {
            factor: [1.5, 3.0],
            axis: Some(2),
        }),
        Step::RandomGamma(RandomGamma {
            exponent: [0.7, 1.5],
        }),
        Step::Nyul(scale.train([(&reference, None)]).unwrap()),
        Step::HistogramMatch(HistogramMatch::to(&reference, None, Region::Whole).unwrap()),
        Step::Clahe(Clahe {
            tiles: [2, 2, 1],
            ..Clahe::default()
        }),
        Step::Gamma(Gamma { exponent: 1.25 }),
        Step::PercentileRescale(PercentileRescale {
            percentiles: [1.0, 98.0],
            region: Region::Mask,
        }),
        Step::Window(Window {
            centre: 0.5,
            width: 2.0,
        }),
        Step::MinMax(MinMax::default()),
        Step::ZScore(ZScore {
            region: Region::Mask,
        }),
        Step::Sometimes(Sometimes {
            probability: 0.5,
            then: Box::new(Step::RandomBlur(RandomBlur { sigma: [0.1, 0.2] })),
        }),
    ]
}

#[test]
fn every_step_reads_back_from_toml_and_json() {
    let steps = every_step();
    let names: std::collections::BTreeSet<&str> = steps.iter().map(Step::name).collect();
    assert_eq!(names.len(), steps.len());
    let pipeline = Pipeline { steps };
    let toml = pipeline.to_toml().unwrap();
    let json = pipeline.to_json().unwrap();
    assert_eq!(Pipeline::from_toml(&toml).unwrap(), pipeline);
    assert_eq!(Pipeline::from_json(&json).unwrap(), pipeline);
    for step in &pipeline.steps {
        assert!(
            json.contains(&format!("\"step\":\"{}\"", step.name())),
            "{}",
            step.name()
        );
    }
    let hash = pipeline.content_hash().unwrap();
    assert_eq!(
        Pipeline::from_toml(&toml).unwrap().content_hash().unwrap(),
        hash
    );
}

#[test]
fn the_hash_is_of_the_settings_and_not_of_their_spelling() {
    let hash = |text: &str| Pipeline::from_toml(text).unwrap().content_hash().unwrap();
    let plain = hash("steps = [{ step = 'window', centre = 40, width = 400 }]");
    let other = hash("[[steps]]\nwidth = 400.0\ncentre = 4e1\nstep = \"window\"");
    assert_eq!(plain, other);
    assert_ne!(
        plain,
        hash("steps = [{ step = 'window', centre = 41, width = 400 }]")
    );
    // A default that is written out is the default.
    let short = hash("steps = [{ step = 'z-score' }]");
    assert_eq!(
        short,
        hash("steps = [{ step = 'z-score', region = 'whole' }]")
    );
    assert_ne!(short, hash("steps = [{ step = 'min-max' }]"));
    assert_ne!(short, hash("steps = []"));
}

#[rstest]
#[case::of_a_pipeline("stages = []", "stages")]
#[case::of_a_step("steps = [{ step = 'window', center = 4, width = 2 }]", "center")]
#[case::of_a_default("steps = [{ step = 'z-score', regoin = 'mask' }]", "regoin")]
#[case::missing("steps = [{ step = 'window', width = 2 }]", "centre")]
#[case::no_such_step("steps = [{ step = 'zscore' }]", "zscore")]
#[case::of_an_inner_step(
    "steps = [{ step = 'sometimes', probability = 1, then = { step = 'random-blur', sigma = [0, 1], axis = 2 } }]",
    "axis"
)]
#[case::of_a_type("steps = [{ step = 'gamma', exponent = 'high' }]", "high")]
fn keys_that_are_not_known_are_named(#[case] text: &str, #[case] key: &str) {
    let error = Pipeline::from_toml(text).unwrap_err();
    assert!(matches!(error, ImagingError::Decode { .. }), "{error}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains(key), "{cause}");
}

#[test]
fn text_after_the_json_is_refused() {
    assert!(Pipeline::from_json("{\"steps\":[]}").is_ok());
    assert!(Pipeline::from_json("{\"steps\":[]} {}").is_err());
    assert!(Pipeline::from_json("{\"steps\":").is_err());
}

#[rstest]
#[case("step = 'window'\ncentre = 0\nwidth = 0", "window width")]
#[case("step = 'window'\ncentre = nan\nwidth = 1", "window centre")]
#[case("step = 'gamma'\nexponent = 0", "gamma exponent")]
#[case("step = 'percentile-rescale'\npercentiles = [90, 10]", "percentiles")]
#[case("step = 'percentile-rescale'\npercentiles = [0, 101]", "percentiles")]
#[case("step = 'clahe'\ntiles = [0, 1, 1]", "clahe tiles")]
#[case("step = 'clahe'\nbins = 1", "clahe bins")]
#[case("step = 'clahe'\nclip_limit = 1.5", "clip_limit")]
#[case(
    "step = 'nyul'\npercentiles = [1, 1]\nlandmarks = [0, 1]",
    "nyul percentiles"
)]
#[case(
    "step = 'nyul'\npercentiles = [1, 9]\nlandmarks = [1, 0]",
    "nyul landmarks"
)]
#[case(
    "step = 'nyul'\npercentiles = [1, 9]\nlandmarks = [1, 2, 3]",
    "nyul landmarks"
)]
#[case(
    "step = 'histogram-match'\nvalues = [1, 2]\nshares = [0.5, 0.9]",
    "shares"
)]
#[case(
    "step = 'histogram-match'\nvalues = [2, 1]\nshares = [0.5, 1.0]",
    "values"
)]
#[case("step = 'histogram-match'\nvalues = []\nshares = []", "values")]
#[case("step = 'n4'\niterations = []", "n4 levels")]
#[case("step = 'n4'\niterations = [0]", "n4 iterations")]
#[case("step = 'n4'\ncontrol_points = 3", "control_points")]
#[case(
    "step = 'n4'\ncontrol_points = 32\niterations = [1, 1, 1, 1, 1, 1]",
    "pieces"
)]
#[case("step = 'n4'\nshrink = 0", "n4 shrink")]
#[case("step = 'random-affine'\nrotation = [0, 0, 181]", "rotation")]
#[case("step = 'random-affine'\nscale = -0.1", "scale")]
#[case("step = 'random-affine'\nfill = inf", "fill")]
#[case(
    "step = 'random-elastic'\ndisplacement = 4.1\nspacing = 10",
    "displacement"
)]
#[case("step = 'random-gamma'\nexponent = [2, 1]", "exponent")]
#[case("step = 'random-noise'\nkind = 'gaussian'\nsigma = [-1, 1]", "sigma")]
#[case("step = 'random-bias'\norder = 6\nstrength = 1", "order")]
#[case("step = 'random-blur'\nsigma = [0, inf]", "sigma")]
#[case("step = 'random-resolution'\nfactor = [0.5, 2]", "factor")]
#[case("step = 'random-resolution'\nfactor = [1, 2]\naxis = 3", "axis")]
#[case("step = 'random-motion'\ntranslation = 1\nmoves = 101", "moves")]
#[case("step = 'random-ghosting'\nphase = 10\nperiod = 1", "period")]
#[case(
    "step = 'sometimes'\nprobability = 2\nthen = { step = 'z-score' }",
    "probability"
)]
#[case(
    "step = 'sometimes'\nprobability = 1\nthen = { step = 'gamma', exponent = 0 }",
    "gamma"
)]
fn settings_out_of_range_are_named(#[case] step: &str, #[case] subject: &str) {
    let error = Pipeline::from_toml(&format!("[[steps]]\n{step}")).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ImagingError::Argument { .. }), "{text}");
    assert!(text.contains(subject), "{text}");
}

#[test]
fn a_run_can_be_traced_and_repeated() {
    let pipeline = Pipeline {
        steps: every_step(),
    };
    let shape = [20, 16, 6];
    let (volume, mask) = (waves(shape), boxed_mask(shape));
    let draw = Draw { seed: 5, index: 2 };
    let first = pipeline.run(&volume, Some(&mask), draw).unwrap();
    assert_eq!(pipeline.run(&volume, Some(&mask), draw).unwrap(), first);
    let told = &first.provenance;
    assert_eq!((told.seed, told.index), (5, 2));
    assert_eq!(told.pipeline, pipeline.content_hash().unwrap());
    let names: Vec<&str> = told
        .steps
        .iter()
        .map(|record| record.step.as_str())
        .collect();
    let expected: Vec<&str> = pipeline.steps.iter().map(Step::name).collect();
    assert_eq!(names, expected);
    assert!(
        told.steps
            .iter()
            .all(|record| record.measured.iter().count() > 0)
    );
    let text = serde_json::to_string(told).unwrap();
    assert_eq!(&serde_json::from_str::<Provenance>(&text).unwrap(), told);
    assert_eq!(first.volume.affine(), volume.affine());
    assert_eq!(first.volume.shape(), volume.shape());

    let other = pipeline
        .run(&volume, Some(&mask), Draw { seed: 5, index: 3 })
        .unwrap();
    assert_ne!(other.volume, first.volume);
}

/// The same bytes on one thread and on two.
#[test]
fn threads_do_not_change_a_result() {
    let pipeline = Pipeline {
        steps: every_step(),
    };
    let shape = [20, 16, 6];
    let (volume, mask) = (waves(shape), boxed_mask(shape));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| pipeline.run(&volume, Some(&mask), Draw::default()).unwrap())
    };
    assert_eq!(on(1), on(2));
}

#[test]
fn adding_a_step_behind_does_not_change_the_draws_before() {
    let steps = every_step();
    let noise = |steps: &[Step]| {
        let pipeline = Pipeline {
            steps: steps.to_vec(),
        };
        let (_, told) = pipeline.apply(&waves([20, 16, 6]), None, 1).unwrap();
        told.steps[3].measured.number("sigma").unwrap()
    };
    assert_eq!(noise(&steps[..4]), noise(&steps[..6]));
}

#[test]
fn a_flat_image_is_a_volume_one_voxel_deep() {
    let pipeline = Pipeline {
        steps: every_step(),
    };
    let values = waves([20, 16, 1]).to_f32();
    let mask = boxed_mask([20, 16, 1]);
    let run = |shape: &[usize]| {
        let volume = image(shape, values.clone());
        pipeline.run(&volume, Some(&mask), Draw::default()).unwrap()
    };
    let (flat, deep) = (run(&[20, 16]), run(&[20, 16, 1]));
    assert_eq!(flat.volume.samples(), deep.volume.samples());
    assert_eq!((flat.mask, flat.provenance), (deep.mask, deep.provenance));
    assert_eq!(flat.volume.shape(), [20, 16]);
}

#[test]
fn what_cannot_be_processed_is_refused() {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let pipeline = one(Step::MinMax(MinMax::default()));
    let refused = |volume: &Volume, mask: Option<&Mask>| {
        pipeline.apply(volume, mask, 0).unwrap_err().to_string()
    };
    let series = Volume::new(&[2, 1, 1, 2], Samples::U8(vec![1; 4]), affine).unwrap();
    assert!(refused(&series, None).contains("2 frames"));
    let zero = Complex::new(0.0, 0.0);
    let complex = Volume::new(&[2, 1], Samples::Complex64(vec![zero; 2]), affine).unwrap();
    assert!(refused(&complex, None).contains("complex64"));
    let hole = image(&[2, 2], vec![0.0, 1.0, 2.0, f32::NAN]);
    assert!(refused(&hole, None).contains("NaN at voxel [1, 1, 0]"));
    let mask = Mask::new([2, 1, 1], vec![0, 1]).unwrap();
    assert!(refused(&image(&[2, 2], vec![1.0; 4]), Some(&mask)).contains("[2, 2, 1]"));
    assert!(refused(&image(&[2, 2], vec![1.0; 4]), None).contains("min-max"));
    let wide = image(&[2, 1], vec![-3e38, 3e38]);
    let huge = one(Step::RandomBias(RandomBias {
        order: 1,
        strength: 5.0,
    }));
    let steps = vec![huge.steps[0].clone(); 40];
    let error = Pipeline { steps }
        .apply(&wide, None, 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("values after a step"), "{error}");
}

#[test]
fn masks_are_of_whole_classes() {
    assert!(Mask::new([2, 2, 1], vec![0; 3]).is_err());
    assert!(Mask::new([usize::MAX, 2, 2], vec![0; 3]).is_err());
    assert!(Mask::new([0, 2, 2], Vec::new()).is_err());
    let mask = Mask::from_volume(&image(&[3, 1], vec![0.0, 2.0, 255.0])).unwrap();
    assert_eq!(mask.classes(), [0, 2, 255]);
    for wrong in [0.5, -1.0, 256.0, f32::NAN] {
        assert!(Mask::from_volume(&image(&[1, 1], vec![wrong])).is_err());
    }
    let affine = *image(&[1, 1], vec![0.0]).affine();
    let back = mask.to_volume(affine).unwrap();
    assert_eq!(Mask::from_volume(&back).unwrap(), mask);
}

//! Steps that move voxels, and steps that shape the mask.

use ctl_imaging::preprocess::{Draw, Mask, Pipeline, Processed};
use ctl_imaging::volume::{Affine, Orientation, Samples, Volume};
use ctl_imaging::{ForegroundOptions, foreground_mask};
use rstest::rstest;

/// `[5, 4, 3]` voxels of 1, 2 and 3 mm, numbered.
fn numbered() -> Volume {
    let affine = Affine::from_spacing([1.0, 2.0, 3.0], [-7.0, 3.0, 1.0]).unwrap();
    Volume::new(
        &[5, 4, 3],
        Samples::F32((0..60_u8).map(f32::from).collect()),
        affine,
    )
    .unwrap()
}

/// Foreground of class 2 at these voxels.
fn marked(voxels: &[[usize; 3]]) -> Mask {
    let mut classes = vec![0; 60];
    for [i, j, k] in voxels {
        classes[i + 5 * (j + 4 * k)] = 2;
    }
    Mask::new([5, 4, 3], classes).unwrap()
}

fn run(steps: &str, volume: &Volume, mask: Option<&Mask>) -> Processed {
    let pipeline = Pipeline::from_toml(steps).unwrap();
    let text = pipeline.to_toml().unwrap();
    assert_eq!(Pipeline::from_toml(&text).unwrap(), pipeline);
    pipeline.run(volume, mask, Draw::default()).unwrap()
}

/// What lies where, of image and mask.
fn at(done: &Processed, world: [f64; 3]) -> Option<(f64, u8)> {
    let voxel = done.volume.affine().to_voxel(world).map(f64::round);
    let inside = voxel.iter().all(|at| *at >= 0.0);
    let voxel = inside.then(|| voxel.map(|at| at as usize))?;
    let value = done.volume.value(&voxel)?;
    let mask = done.mask.as_ref()?;
    let [width, height, _] = mask.shape();
    Some((
        value,
        mask.classes()[voxel[0] + width * (voxel[1] + height * voxel[2])],
    ))
}

#[rstest]
#[case("step = \"orient\"\naxes = \"PIL\"", [4, 3, 5])]
#[case("step = \"crop-foreground\"", [3, 2, 2])]
#[case("step = \"centre-box\"\nsize = [6, 3, 5]\nfill = -1.0", [6, 3, 5])]
fn values_and_classes_keep_their_places(#[case] step: &str, #[case] shape: [usize; 3]) {
    let volume = numbered();
    let mask = marked(&[[1, 2, 0], [3, 1, 1]]);
    let done = run(&format!("[[steps]]\n{step}"), &volume, Some(&mask));
    assert_eq!(done.volume.spatial_shape(), shape);
    assert_eq!(done.mask.as_ref().unwrap().shape(), shape);
    for voxel in [[1, 2, 0], [3, 1, 1], [2, 2, 1]] {
        let world = volume.affine().to_world(voxel.map(|at| at as f64));
        let class = mask.classes()[voxel[0] + 5 * (voxel[1] + 4 * voxel[2])];
        let expected = (volume.value(&voxel).unwrap(), class);
        assert_eq!(at(&done, world), Some(expected), "{step}");
    }
}

#[test]
fn margins_are_millimetres_and_boxes_pad() {
    let mask = marked(&[[1, 2, 0], [3, 2, 1]]);
    let cropped = run(
        "[[steps]]\nstep = \"crop-foreground\"",
        &numbered(),
        Some(&mask),
    );
    assert_eq!(cropped.volume.spatial_shape(), [3, 1, 2]);
    assert_eq!(cropped.volume.affine().origin(), [-6.0, 7.0, 1.0]);
    assert_eq!(
        cropped.provenance.steps[0].measured.get("start"),
        Some(&[1.0, 2.0, 0.0][..])
    );
    let padded = run(
        "[[steps]]\nstep = \"centre-box\"\nsize = [6, 3, 5]\nfill = -1.0",
        &numbered(),
        None,
    );
    // One column more than there are: it lies in front, where the half is smaller.
    assert_eq!(padded.volume.affine().origin(), [-8.0, 3.0, -2.0]);
    assert_eq!(padded.volume.value(&[0, 0, 1]), Some(-1.0));
    assert_eq!(padded.volume.value(&[1, 0, 1]), Some(0.0));
}

#[test]
fn spacing_changes_and_labels_stay_labels() {
    let done = run(
        "[[steps]]\nstep = \"resample\"\nspacing = [0.5, 2.0, 1.0]",
        &numbered(),
        Some(&marked(&[[1, 2, 0], [2, 2, 0], [3, 1, 1]])),
    );
    assert_eq!(done.volume.spatial_shape(), [10, 4, 9]);
    assert_eq!(done.volume.affine().spacing(), [0.5, 2.0, 1.0]);
    // A quarter of a voxel of 1 mm before the second.
    assert_eq!(done.volume.value(&[2, 0, 1]), Some(0.75));
    let classes = done.mask.unwrap();
    assert!(classes.classes().iter().all(|class| [0, 2].contains(class)));
    assert!(classes.foreground() >= 12, "{}", classes.foreground());
}

#[test]
fn pictures_stay_pictures() {
    let affine = Affine::from_spacing([1.0, 1.0, 8.0], [0.0; 3]).unwrap();
    let picture = Volume::new(&[4, 2], Samples::F32(vec![1.0; 8]), affine).unwrap();
    let steps = "[[steps]]\nstep = \"resample\"\nspacing = [0.5, 0.5, 8.0]\n\
                 [[steps]]\nstep = \"centre-box\"\nsize = [6, 4, 1]";
    assert_eq!(run(steps, &picture, None).volume.shape(), [6, 4]);
}

#[rstest]
#[case("dilate", 1.0, 3)]
#[case("dilate", 2.0, 7)]
#[case("erode", 1.0, 0)]
#[case("largest-component", 0.0, 1)]
fn the_ball_is_one_in_millimetres(
    #[case] operation: &str,
    #[case] radius: f64,
    #[case] voxels: usize,
) {
    // Neighbours lie 1, 2 and 3 mm away.
    let steps =
        format!("[[steps]]\nstep = \"shape-mask\"\noperation = \"{operation}\"\nradius = {radius}");
    let done = run(&steps, &numbered(), Some(&marked(&[[2, 1, 1]])));
    let mask = done.mask.unwrap();
    assert_eq!(mask.foreground(), voxels);
    let counted = done.provenance.steps[0]
        .measured
        .number("foreground_voxels");
    assert_eq!(counted, Some(voxels as f64));
    // Who was there keeps the class, who joins is of class 1.
    let twos: Vec<&u8> = mask.classes().iter().filter(|&&class| class > 1).collect();
    assert_eq!(twos.len(), voxels.min(1));
}

#[test]
fn holes_close_and_distances_are_signed() {
    let around: Vec<[usize; 3]> = (0..25)
        .map(|index| [index % 5, index / 5, 0])
        .filter(|at| at[1] < 4 && *at != [2, 1, 0])
        .collect();
    let affine = Affine::from_spacing([1.0, 2.0, 3.0], [0.0; 3]).unwrap();
    let flat = Volume::new(&[5, 4, 1], Samples::F32(vec![0.0; 20]), affine).unwrap();
    let mut classes = vec![0; 20];
    for [i, j, _] in &around {
        classes[i + 5 * j] = 1;
    }
    let mask = Mask::new([5, 4, 1], classes).unwrap();
    let steps = "[[steps]]\nstep = \"distance-map\"\n\
                 [[steps]]\nstep = \"shape-mask\"\noperation = \"fill-holes\"";
    let done = run(steps, &flat, Some(&mask));
    assert_eq!(done.volume.value(&[2, 1, 0]), Some(1.0));
    assert_eq!(done.volume.value(&[2, 0, 0]), Some(-2.0));
    assert_eq!(done.volume.value(&[0, 1, 0]), Some(-2.0));
    assert_eq!(done.mask.unwrap().foreground(), 20);
}

#[test]
fn the_foreground_is_that_of_the_function() {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let values = vec![0.0, 90.0, 5.0, 95.0, 90.0, 1.0];
    let volume = Volume::new(&[6, 1, 1], Samples::F32(values), affine).unwrap();
    let steps = "[[steps]]\nstep = \"foreground-mask\"\nclosing_radius = 1.0\n\
                 [[steps]]\nstep = \"orient\"\naxes = \"LAS\"\n\
                 [[steps]]\nstep = \"z-score\"\nregion = \"mask\"";
    let done = run(steps, &volume, None);
    let options = ForegroundOptions {
        closing_radius: 1.0,
        ..ForegroundOptions::default()
    };
    let expected = foreground_mask(&volume, &options).unwrap();
    let expected: Vec<u8> = expected.iter().rev().map(|&mark| u8::from(mark)).collect();
    assert_eq!(done.mask.as_ref().unwrap().classes(), expected);
    assert_eq!(
        done.volume.affine().orientation(),
        Orientation::parse("LAS").unwrap()
    );
    // 90 and 95: one standard deviation of 2.5 about 92.5.
    assert_eq!(done.volume.to_f32()[1..3], [-1.0, 1.0]);
}

#[rstest]
#[case("step = \"resample\"\nspacing = [1.0, 0.0, 1.0]", "spacing")]
#[case("step = \"orient\"\naxes = \"RAL\"", "RAL")]
#[case("step = \"crop-foreground\"\nmargin = -1.0", "crop-foreground margin")]
#[case("step = \"centre-box\"\nsize = [1, 0, 1]", "centre-box size")]
#[case(
    "step = \"shape-mask\"\noperation = \"dilate\"\nradius = inf",
    "shape-mask radius"
)]
fn settings_out_of_range_are_refused(#[case] step: &str, #[case] named: &str) {
    let error = Pipeline::from_toml(&format!("[[steps]]\n{step}")).unwrap_err();
    assert!(error.to_string().contains(named), "{error}");
}

#[test]
fn masks_must_be_there() {
    for step in ["crop-foreground", "distance-map"] {
        let pipeline = Pipeline::from_toml(&format!("[[steps]]\nstep = \"{step}\"")).unwrap();
        let error = pipeline.apply(&numbered(), None, 0).unwrap_err();
        assert!(error.to_string().contains("found none"), "{error}");
    }
}

#[test]
fn margins_beyond_every_image_keep_all_of_it() {
    let affine = Affine::from_spacing([1e-17, 1.0, 1.0], [0.0; 3]).unwrap();
    let volume = Volume::new(&[5, 4, 3], Samples::F32(vec![1.0; 60]), affine).unwrap();
    let mask = marked(&[[2, 1, 1]]);
    let done = run(
        "[[steps]]\nstep = \"crop-foreground\"\nmargin = 1000.0",
        &volume,
        Some(&mask),
    );
    assert_eq!(done.volume.spatial_shape(), [5, 4, 3]);
}

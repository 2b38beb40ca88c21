//! Studies: prepared, kept, found again, and refused.

use crate::volumes::{SHAPE, affine, cohort, everywhere, image, labels, marked, number, replace};
use ctl_imaging::preprocess::{Pipeline, RandomGamma, Step, Window};
use ctl_imaging::study::{Preparation, Study, StudyStore};
use ctl_imaging::volume::{
    Affine, Interpolation, Orientation, Samples, Volume, VolumeHeader, read_volume,
    read_volume_header,
};
use ctl_imaging::{Cohort, ImagingError, MaskRole};
use std::path::Path;
use std::sync::Arc;

const PLAIN: &str = "schema = 1\n[mask]\nvalues = [0, 1]\n";

fn store(folder: &Path, preparation: Preparation, bytes: usize) -> StudyStore {
    let cohort = Arc::new(Cohort::open(folder).unwrap());
    StudyStore::new(cohort, preparation, bytes).unwrap()
}

fn plain(folder: &Path) -> StudyStore {
    store(folder, Preparation::default(), 1 << 20)
}

fn message(error: &ImagingError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[test]
fn every_orientation_and_format_becomes_the_same() {
    let folder = cohort(PLAIN);
    let store = plain(folder.path());
    let studies = store.load(&[2, 0, 1]).unwrap();
    for (study, number_of) in studies.iter().zip([2, 0, 1]) {
        let expected = everywhere(|voxel| f32::from(number(number_of, voxel)));
        assert_eq!(study.image.samples(), &Samples::F32(expected));
        assert_eq!(study.image.affine(), &affine());
        let annotation = study.mask(MaskRole::Annotation).unwrap();
        let expected = everywhere(|voxel| u8::from(marked(voxel)));
        assert_eq!(annotation.classes(), expected);
        assert!(study.second_observer.is_none());
    }
    assert_eq!(store.record(1).unwrap().patient, "p1");
}

#[test]
fn headers_tell_shape_and_place_without_values() {
    let folder = cohort(PLAIN);
    for name in ["0.nii.gz", "1.nrrd", "2.nii"] {
        let path = folder.path().join(name);
        let volume = read_volume(&path).unwrap();
        let header: VolumeHeader = read_volume_header(&path).unwrap();
        assert_eq!(header.grid, volume.grid(), "{name}");
        assert_eq!(header.sample_type, volume.sample_type());
        assert_eq!((header.frames, header.components), (1, 1));
        assert_eq!(header.canonical_shape(None).unwrap(), SHAPE);
        let finer = header.canonical_shape(Some([0.5, 2.0, 1.0])).unwrap();
        assert_eq!(finer, [8, 3, 15], "{name}");
    }
}

#[test]
fn spacing_and_steps_are_applied_to_image_and_mask() {
    let folder = cohort(PLAIN);
    let window = Window {
        centre: 1200.0,
        width: 400.0,
    };
    let preparation = Preparation {
        spacing: Some([1.0, 1.0, 3.0]),
        interpolation: Interpolation::Linear,
        steps: Pipeline {
            steps: vec![Step::Window(window)],
        },
    };
    let study = Arc::clone(&store(folder.path(), preparation, 0).load(&[1]).unwrap()[0]);
    assert_eq!(study.image.spatial_shape(), [4, 6, 5]);
    // Rows of 1 mm lie a quarter of a row of 2 mm about its centre: 1112 is at (1, 1, 2), and its
    // neighbours in front and behind differ by 10.
    let behind = study.image.value(&[1, 2, 2]).unwrap();
    assert!(
        (behind - (1112.0 - 2.5 - 1000.0) / 400.0).abs() < 1e-5,
        "{behind}"
    );
    let annotation = study.annotation.as_ref().unwrap();
    let marked: usize = everywhere(|voxel| usize::from(marked(voxel))).iter().sum();
    assert_eq!(annotation.foreground(), 2 * marked);
    assert_eq!(study.provenance.as_ref().unwrap().steps[0].step, "window");
}

#[test]
fn results_do_not_depend_on_what_is_kept() {
    let folder = cohort(PLAIN);
    let cache = tempfile::tempdir().unwrap();
    let order = [0, 1, 2, 1, 0, 2, 2];
    let values = |store: &StudyStore| -> Vec<Arc<Study>> { store.load(&order).unwrap() };
    let large = values(&plain(folder.path()));
    let small = values(&store(folder.path(), Preparation::default(), 1));
    let new = || plain(folder.path()).with_cache(cache.path()).unwrap();
    let (written, read) = (values(&new()), values(&new()));
    for position in 0..order.len() {
        assert_eq!(large[position], small[position]);
        assert_eq!(large[position], written[position]);
        assert_eq!(large[position].image, read[position].image);
        assert_eq!(large[position].annotation, read[position].annotation);
        assert!(read[position].provenance.is_none());
    }
    let files = std::fs::read_dir(cache.path()).unwrap().count();
    assert_eq!(files, 6, "an image and a mask of each study");
}

#[test]
fn a_cache_is_known_by_content_and_settings() {
    let folder = cohort(PLAIN);
    let cache = tempfile::tempdir().unwrap();
    let count = || std::fs::read_dir(cache.path()).unwrap().count();
    let load = |preparation: Preparation| {
        let store = store(folder.path(), preparation, 0)
            .with_cache(cache.path())
            .unwrap();
        store
            .load(&[2])
            .map(|studies| studies[0].image.value(&[0, 0, 0]))
    };
    assert_eq!(load(Preparation::default()).unwrap(), Some(2000.0));
    assert_eq!(count(), 2);
    replace(folder.path(), "2.nii", &image(7));
    assert_eq!(load(Preparation::default()).unwrap(), Some(7000.0));
    assert_eq!(count(), 4);
    let other = Preparation {
        spacing: Some([2.0, 2.0, 3.0]),
        ..Preparation::default()
    };
    load(other).unwrap();
    assert_eq!(count(), 6);
    // What is kept is what is read: a damaged file is named.
    for entry in std::fs::read_dir(cache.path()).unwrap() {
        std::fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    let error = message(&load(Preparation::default()).unwrap_err());
    assert!(error.contains(cache.path().to_str().unwrap()), "{error}");
}

#[test]
fn faults_name_row_and_file() {
    let folder = cohort(PLAIN);
    let four = Volume::new(&[4, 3, 5, 2], Samples::U8(vec![0; 120]), affine()).unwrap();
    replace(folder.path(), "0.nii.gz", &four);
    let moved = Affine::from_spacing([1.0, 2.0, 3.0], [-9.0, 5.0, 0.0]).unwrap();
    let elsewhere = Volume::new(&SHAPE, labels().samples().clone(), moved).unwrap();
    let turned = Orientation::parse("ASR").unwrap();
    replace(
        folder.path(),
        "1-mask.nrrd",
        &elsewhere.reoriented(turned).unwrap(),
    );
    let mut stray = everywhere(|voxel| u8::from(marked(voxel)));
    stray[6] = 9;
    let stray = Volume::new(&SHAPE, Samples::U8(stray), affine()).unwrap();
    replace(folder.path(), "2-mask.nii", &stray);
    let store = plain(folder.path());
    for (study, row, expected) in [
        (
            0,
            ":2:path",
            "one frame of one real component, found 2 of 1",
        ),
        (1, ":3:path", "corners 1.000 mm apart"),
        (
            2,
            ":4:path",
            "mask values [0.0, 1.0], found 9 at voxel [2, 1, 0]",
        ),
    ] {
        let error = message(&store.load(&[study]).unwrap_err());
        assert!(error.contains(row) && error.contains(expected), "{error}");
    }
    let error = store.load(&[3]).unwrap_err();
    assert!(
        error.to_string().contains("a position below 3, found 3"),
        "{error}"
    );
}

/// Steps in TOML.
fn steps(text: &str) -> Preparation {
    Preparation {
        steps: Pipeline::from_toml(text).unwrap(),
        ..Preparation::default()
    }
}

#[test]
fn annotations_are_those_of_their_files_whatever_steps_find() {
    let folder = cohort(PLAIN);
    let preparation = steps(
        "[[steps]]\nstep = \"foreground-mask\"\nclosing_radius = 0.0\n\
         [[steps]]\nstep = \"z-score\"\nregion = \"mask\"",
    );
    let study = Arc::clone(&store(folder.path(), preparation, 0).load(&[1]).unwrap()[0]);
    let expected = everywhere(|voxel| u8::from(marked(voxel)));
    assert_eq!(study.annotation.as_ref().unwrap().classes(), expected);
    let steps = &study.provenance.as_ref().unwrap().steps;
    assert_ne!(steps[0].measured.number("foreground_voxels"), Some(6.0));
}

#[test]
fn steps_that_move_voxels_are_refused_by_name() {
    let folder = cohort(PLAIN);
    let opened = Arc::new(Cohort::open(folder.path()).unwrap());
    for step in [
        "orient\"\naxes = \"LPS",
        "crop-foreground",
        "resample\"\nspacing = [1, 1, 1]\n#",
    ] {
        let preparation = steps(&format!("[[steps]]\nstep = \"{step}\""));
        let error = StudyStore::new(Arc::clone(&opened), preparation, 0).unwrap_err();
        assert!(
            error.to_string().contains("leave voxels where they are"),
            "{error}"
        );
    }
}

#[test]
fn masks_may_count_their_axes_otherwise() {
    let folder = cohort(PLAIN);
    let turned = Orientation::parse("IAL").unwrap();
    replace(
        folder.path(),
        "0-mask.nii.gz",
        &labels().reoriented(turned).unwrap(),
    );
    let study = Arc::clone(&plain(folder.path()).load(&[0]).unwrap()[0]);
    let expected = everywhere(|voxel| u8::from(marked(voxel)));
    assert_eq!(study.annotation.as_ref().unwrap().classes(), expected);
}

#[test]
fn a_cache_keeps_the_place_to_the_last_digit() {
    let folder = cohort(PLAIN);
    let cache = tempfile::tempdir().unwrap();
    let rows = [
        [0.7, 0.1, 0.0, -3.3],
        [-0.1, 0.7, 0.0, 0.1],
        [0.0, 0.0, 2.1, 1.0 / 3.0],
    ];
    let oblique = Affine::new(rows).unwrap();
    let place = |volume: Volume| Volume::new(&SHAPE, volume.into_samples(), oblique).unwrap();
    // A format with the place in text, which has all digits.
    let turned = Orientation::parse("ASR").unwrap();
    for (name, volume) in [("1.nrrd", image(1)), ("1-mask.nrrd", labels())] {
        replace(
            folder.path(),
            name,
            &place(volume).reoriented(turned).unwrap(),
        );
    }
    let load = || {
        let store = plain(folder.path()).with_cache(cache.path()).unwrap();
        Arc::clone(&store.load(&[1]).unwrap()[0])
    };
    let (fresh, kept) = (load(), load());
    assert!(fresh.provenance.is_some() && kept.provenance.is_none());
    assert_eq!(fresh.image, kept.image);
}

/// Volumes of more voxels than a thread takes at once, asked for by many threads at a time: nobody
/// waits for who waits for him.
#[test]
fn threads_do_not_wait_for_each_other() {
    let folder = cohort("schema = 1\n[volumes]\nspacing = [1, 2, 3]\nsteps = []\n");
    let (shape, voxels) = ([70, 60, 40], 70 * 60 * 40);
    for (name, value) in [("0.nii.gz", 3), ("1.nrrd", 4), ("2.nii", 5)] {
        let volume = Volume::new(&shape, Samples::I16(vec![value; voxels]), affine()).unwrap();
        replace(folder.path(), name, &volume);
    }
    std::fs::write(
        folder.path().join("manifest.csv"),
        "path\n0.nii.gz\n1.nrrd\n2.nii\n",
    )
    .unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(8)
        .build()
        .unwrap();
    pool.install(|| {
        let studies = plain(folder.path())
            .load(&[0, 1, 0, 2, 1, 0, 2, 2])
            .unwrap();
        assert_eq!(studies[5].image.value(&[1, 1, 1]), Some(3.0));
        let cohort = Arc::new(Cohort::open(folder.path()).unwrap());
        let all: Vec<usize> = (0..cohort.len()).chain(0..cohort.len()).collect();
        for limit in [0, 1 << 24] {
            let request = ctl_imaging::ImageRequest::grey(4, 4);
            let store = ctl_imaging::ImageStore::new(Arc::clone(&cohort), request, limit);
            let images = store.load(&all).unwrap();
            assert_eq!(images[0].samples()[..1], [3.0]);
            assert_eq!(images.last().unwrap().samples()[..1], [5.0]);
        }
    });
}

#[test]
fn random_steps_belong_into_feeds() {
    let folder = cohort(PLAIN);
    let gamma = Step::RandomGamma(RandomGamma {
        exponent: [0.8, 1.25],
    });
    let preparation = Preparation {
        steps: Pipeline { steps: vec![gamma] },
        ..Preparation::default()
    };
    let opened = Arc::new(Cohort::open(folder.path()).unwrap());
    let error = StudyStore::new(opened, preparation, 0).unwrap_err();
    assert!(error.to_string().contains("found random-gamma"), "{error}");
}

//! Batches of patches and slices.

use crate::volumes::{SHAPE, cohort, marked, number};
use ctl_imaging::Cohort;
use ctl_imaging::preprocess::{Border, PatchSampler, Pipeline};
use ctl_imaging::study::{
    Batch, FeedOptions, PatchFeed, Patches, Preparation, SliceFeed, SliceRule, Slices, StudyStore,
};
use ctl_imaging::volume::Plane;
use std::path::Path;
use std::sync::Arc;

const PLAIN: &str = "schema = 1\n[mask]\nvalues = [0, 1]\n";

fn store(folder: &Path) -> Arc<StudyStore> {
    let cohort = Arc::new(Cohort::open(folder).unwrap());
    Arc::new(StudyStore::new(cohort, Preparation::default(), 1 << 20).unwrap())
}

fn patches() -> Patches {
    Patches {
        sampler: PatchSampler {
            size: [3, 2, 2],
            count: 5,
            foreground: 0.4,
            border: Border::Pad,
        },
        fill: -1.0,
        augment: Pipeline::default(),
    }
}

fn options(epoch: u64) -> FeedOptions {
    FeedOptions {
        batch: 4,
        together: 2,
        epoch,
        ..FeedOptions::default()
    }
}

fn drawn(store: &Arc<StudyStore>, options: FeedOptions) -> Vec<Batch> {
    let feed = PatchFeed::new(Arc::clone(store), vec![0, 1, 2], patches(), options).unwrap();
    feed.collect::<Result<_, _>>().unwrap()
}

/// The number at a voxel, which may lie beyond the image.
fn at(study: usize, voxel: [isize; 3]) -> (f32, u8) {
    let inside = voxel
        .iter()
        .zip(SHAPE)
        .all(|(&at, side)| (0..side.cast_signed()).contains(&at));
    if !inside {
        return (-1.0, 0);
    }
    let voxel = voxel.map(|at| at as usize);
    (f32::from(number(study, voxel)), u8::from(marked(voxel)))
}

#[test]
fn patches_are_parts_of_image_and_annotation() {
    let folder = cohort(PLAIN);
    let batches = drawn(&store(folder.path()), options(0));
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.studies.len()).collect();
    assert_eq!(sizes, [4, 4, 4, 3]);
    let mut on_foreground = [0; 3];
    for batch in &batches {
        assert_eq!(batch.shape[1..], [1, 2, 2, 3]);
        let classes = batch.classes.as_ref().unwrap();
        for (part, (&study, start)) in batch.studies.iter().zip(&batch.starts).enumerate() {
            let mut position = 12 * part;
            let mut has_foreground = false;
            for k in 0..2 {
                for j in 0..2 {
                    for i in 0..3 {
                        let voxel = [start[0] + i, start[1] + j, start[2] + k];
                        let expected = at(study, voxel);
                        assert_eq!((batch.values[position], classes[position]), expected);
                        has_foreground |= expected.1 == 1;
                        position += 1;
                    }
                }
            }
            on_foreground[study] += usize::from(has_foreground);
        }
    }
    assert!(
        on_foreground.iter().all(|&count| count >= 2),
        "{on_foreground:?}"
    );
}

#[test]
fn seed_and_epoch_alone_select_the_order() {
    let folder = cohort(PLAIN);
    let store = store(folder.path());
    let first = drawn(&store, options(0));
    assert_eq!(drawn(&store, options(0)), first);
    assert_ne!(drawn(&store, options(1)), first);
    // A study that is named twice gives other patches the second time.
    let twice = PatchFeed::new(store, vec![1, 1], patches(), options(0)).unwrap();
    let batches: Vec<Batch> = twice.collect::<Result<_, _>>().unwrap();
    let starts: Vec<_> = batches.iter().flat_map(|batch| &batch.starts).collect();
    let distinct: std::collections::BTreeSet<_> = starts.iter().collect();
    assert!(distinct.len() > 6, "{starts:?}");
}

#[test]
fn slices_come_once_and_in_order_unless_shuffled() {
    let folder = cohort(PLAIN);
    let rule = SliceRule {
        plane: Plane::Coronal,
        ..SliceRule::default()
    };
    let slices = Slices { rule, size: None };
    let order = |shuffle: bool| -> Vec<(usize, isize)> {
        let options = FeedOptions {
            shuffle,
            ..options(3)
        };
        let feed = SliceFeed::new(store(folder.path()), vec![1, 2], slices, options).unwrap();
        let batches: Vec<Batch> = feed.collect::<Result<_, _>>().unwrap();
        assert!(
            batches
                .iter()
                .all(|batch| batch.shape[1..] == [1, SHAPE[2], SHAPE[0]])
        );
        let parts = batches
            .iter()
            .flat_map(|batch| batch.studies.iter().zip(&batch.starts));
        parts.map(|(&study, start)| (study, start[1])).collect()
    };
    let straight = order(false);
    assert_eq!(straight, [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
    let mut shuffled = order(true);
    assert_ne!(shuffled, straight);
    shuffled.sort_unstable();
    assert_eq!(shuffled, straight);
}

#[test]
fn sizes_must_agree_or_be_given() {
    let folder = cohort(PLAIN);
    crate::volumes::replace(
        folder.path(),
        "2.nii",
        &crate::volumes::image(2)
            .boxed([0; 3], [3, 3, 5], 0.0)
            .unwrap(),
    );
    crate::volumes::replace(
        folder.path(),
        "2-mask.nii",
        &crate::volumes::labels()
            .boxed([0; 3], [3, 3, 5], 0.0)
            .unwrap(),
    );
    let options = FeedOptions {
        batch: 6,
        shuffle: false,
        ..FeedOptions::default()
    };
    let rule = SliceRule::default();
    let feed = |size| {
        let slices = Slices { rule, size };
        SliceFeed::new(store(folder.path()), vec![1, 2], slices, options).unwrap()
    };
    let error = feed(None).find_map(Result::err).unwrap();
    assert!(
        error.to_string().contains("one shape, [1, 3, 4]"),
        "{error}"
    );
    let batches: Vec<Batch> = feed(Some([6, 5])).collect::<Result<_, _>>().unwrap();
    assert_eq!(batches[1].shape, [4, 1, 6, 5]);
    assert_eq!(batches[1].classes.as_ref().unwrap().len(), 4 * 30);
}

#[test]
fn faults_end_a_feed_and_who_stops_early_waits_for_nobody() {
    let folder = cohort(PLAIN);
    let mut feed =
        PatchFeed::new(store(folder.path()), vec![0; 500], patches(), options(0)).unwrap();
    assert!(feed.next().unwrap().is_ok());
    drop(feed);
    std::fs::write(folder.path().join("1.nrrd"), "NRRD0004\n").unwrap();
    let options = FeedOptions {
        shuffle: false,
        together: 1,
        ..options(0)
    };
    let feed = PatchFeed::new(store(folder.path()), vec![0, 1, 2], patches(), options).unwrap();
    let all: Vec<_> = feed.collect();
    assert_eq!(
        all.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false]
    );
    let wrong = PatchFeed::new(store(folder.path()), vec![3], patches(), options);
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("positions below 3, found 3")
    );
}

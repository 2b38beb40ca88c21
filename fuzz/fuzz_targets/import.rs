//! A small data set in another layout, which the first byte of the input chooses, imported.
//!
//! The rest are files, with a zero byte between them; the last one names the images, a path a
//! line, all of which have the same content. An archive of MedMNIST, which holds zeros itself, is
//! the rest of the input as it is.
#![no_main]

use std::fs;
use std::path::{Component, Path};
use std::sync::LazyLock;

use ctl_fuzz::{DEFLATE, bounded, claims};
use ctl_imaging::volume::{Affine, Samples, Volume};
use ctl_imaging::{
    BidsImport, BidsMasks, Cohort, Imported, NnunetImport, NnunetSplits, Raster, TableImport,
    import_bids, import_medmnist, import_nnunet, import_table, import_tree, nifti,
};
use libfuzzer_sys::fuzz_target;

/// Most images of a data set: what they are called is what is looked at, not how many there are.
const IMAGES: usize = 16;

/// Bytes of a path and what is kept of it, which stands in several tables at once.
const PATH: usize = 4096;

static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let picture = Raster::new(1, 2, 2, vec![0.0; 4]).expect("it has four samples");
    picture.to_png().expect("it is grey")
});

static VOLUME: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).expect("the spacing is above 0");
    let volume = Volume::new(&[2, 2, 2], Samples::U8(vec![1; 8]), affine);
    let path = folder.path().join("a.nii");
    nifti::write(
        &path,
        &volume.expect("it has eight samples"),
        &nifti::WriteOptions::default(),
    )
    .expect("the folder is ours");
    fs::read(&path).expect("it was written")
});

/// Writes an image under each of the names that lead to a place below the folder.
fn images(folder: &Path, names: &[u8]) {
    let names = String::from_utf8_lossy(names);
    for name in names.lines().take(IMAGES) {
        let path = Path::new(name);
        let below = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !below || path.components().next().is_none() {
            continue;
        }
        let content = if name.ends_with(".png") {
            &PICTURE
        } else {
            &VOLUME
        };
        let path = folder.join(path);
        // A name may be too long, or a folder as well.
        let _ = path.parent().map(fs::create_dir_all);
        let _ = fs::write(&path, &**content);
    }
}

/// Writes files that are not empty.
fn files<'a>(folder: &Path, names: &[&str], parts: &mut impl Iterator<Item = &'a [u8]>) {
    for (name, part) in names.iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
        fs::write(folder.join(name), part).expect("the folder is ours");
    }
}

fn bids(source: &Path, to: &Path, masks: bool) -> ctl_imaging::Result<Imported> {
    let masks = masks.then(|| BidsMasks {
        suffix: "mask".to_owned(),
        ..BidsMasks::default()
    });
    let import = BidsImport {
        source: source.to_owned(),
        sidecar: vec!["EchoTime".to_owned(), "ImageType".to_owned()],
        masks,
        ..BidsImport::default()
    };
    import_bids(to, &import)
}

fn nnunet(source: &Path, to: &Path) -> ctl_imaging::Result<Imported> {
    let file = source.join("splits_final.json");
    let import = NnunetImport {
        source: source.to_owned(),
        splits: file.exists().then(|| NnunetSplits { file, fold: 0 }),
        test: source.join("imagesTs").exists(),
        ..NnunetImport::default()
    };
    import_nnunet(to, &import)
}

fn table(source: &Path, to: &Path, renamed: bool) -> ctl_imaging::Result<Imported> {
    let columns = [("path", "Image Index"), ("label", "Finding")];
    let columns = columns.map(|(to, from)| (to.to_owned(), from.to_owned()));
    let import = TableImport {
        table: source.join("table.csv"),
        images: source.to_owned(),
        columns: columns.into_iter().filter(|_| renamed).collect(),
        ending: if renamed { ".png" } else { "" }.to_owned(),
        ..TableImport::default()
    };
    import_table(to, &import)
}

fn import(layout: u8, rest: &[u8], folder: &Path, to: &Path) -> ctl_imaging::Result<Imported> {
    match layout {
        0 | 1 => bids(folder, to, layout == 1),
        2 => nnunet(folder, to),
        3 | 4 => table(folder, to, layout == 4),
        5 => import_tree(to, folder, &[]),
        _ => {
            let archive = folder.join("site.npz");
            fs::write(&archive, rest).expect("the folder is ours");
            import_medmnist(to, &[archive])
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&layout, rest)) = bytes.split_first() else {
        return;
    };
    let layout = layout % 7;
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let source = folder.path().join("source");
    let to = folder.path().join("to");
    fs::create_dir(&source).expect("the folder is ours");
    let names: &[&str] = match layout {
        0 | 1 => &["dataset_description.json", "participants.tsv", "T1w.json"],
        2 => &["dataset.json", "splits_final.json"],
        3 | 4 => &["table.csv"],
        _ => &[],
    };
    let mut parts = rest.splitn(names.len() + 1, |&byte| byte == 0);
    files(&source, names, &mut parts);
    if layout < 6 {
        images(&source, parts.next().unwrap_or_default());
    }
    // Images are the same few bytes; of an archive deflate's bound holds.
    let declared = match layout {
        6 => rest.len() * (DEFLATE + size_of::<f64>() * DEFLATE),
        _ => claims::table(rest) + IMAGES * PATH,
    };
    let read = || import(layout, rest, &source, &to);
    match bounded(bytes.len(), read, |_| declared) {
        Ok(imported) => {
            let cohort = Cohort::open(&to).expect("it was written by this crate");
            // A volume is as many rows as it has slices.
            assert!(cohort.len() >= imported.images && imported.images > 0);
        }
        Err(_) => assert!(!to.exists(), "half of a cohort was left"),
    }
});

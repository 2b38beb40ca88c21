//! Whatever bytes a file holds, readers return: they neither panic nor allocate without bound.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

use ctl_imaging::{Cohort, Colour, VerifyOptions, decode_raster, idx, npy, npz, verify};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Valid files of every format, by name.
static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("golden/formats.json")).unwrap();
    let groups = ["pictures", "arrays", "archives"];
    let entries = groups
        .iter()
        .flat_map(|group| golden[group].as_array().unwrap());
    entries
        .map(|entry| {
            let digits = entry["hex"].as_str().unwrap().as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            (
                entry["name"].as_str().unwrap().to_owned(),
                digits.map(byte).collect(),
            )
        })
        .collect()
});

fn read_every_way(bytes: &[u8]) {
    let origin = Path::new("mutant");
    let _ = decode_raster(bytes, origin, Colour::Rgb);
    let _ = idx::parse_idx(bytes, origin);
    let _ = npy::parse_npy(bytes, origin);
    let _ = npz::parse_npz(bytes, "images", origin);
}

/// A valid file, cut, and with some bytes overwritten, mostly near the start, where headers are.
fn mutants() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec(
        (any::<prop::sample::Index>(), any::<bool>(), any::<u8>()),
        0..8,
    );
    (
        0..FILES.len(),
        edits,
        prop::option::of(any::<prop::sample::Index>()),
    )
        .prop_map(|(file, edits, cut)| {
            let mut bytes = FILES[file].1.clone();
            for (at, near_start, byte) in edits {
                let reach = if near_start {
                    bytes.len().min(64)
                } else {
                    bytes.len()
                };
                bytes[at.index(reach)] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(FILES[file].1.len()));
            }
            bytes
        })
}

const MANIFEST: &str = "path,mask_path,label,site,patient,split,age,sex\n\
                        a.png,m.png,1,\"n, \"\"o\"\"\",p1,train,30,F\n\
                        x.npz#images/3,,0,s,p2,test,,M\n";
const DESCRIPTION: &str = "schema = 1\nmissing = [\"\", \"-\"]\n[label]\nclasses = [\"a\", \"b\"]\n\
                           [mask]\nvalues = [0, 1]\n[attributes]\ninputs = [\"age\"]\n";

/// A text with some bytes replaced by ones that mean something to a parser.
fn edited(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        prop::sample::select(b",\"\n\r#/.=[]'\\0-\xff\xef".to_vec()),
        any::<u8>(),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), byte), 0..6).prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

fn cohort(manifest: &[u8], description: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("manifest.csv"), manifest).unwrap();
    fs::write(folder.path().join("cohort.toml"), description).unwrap();
    folder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_files_do_not_panic(bytes in mutants()) {
        read_every_way(&bytes);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_every_way(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn mutated_cohorts_do_not_panic(manifest in edited(MANIFEST), description in edited(DESCRIPTION)) {
        let folder = cohort(&manifest, &description);
        let opened = Cohort::open(folder.path());
        let report = verify(folder.path(), &VerifyOptions { decode: true, max_problems: 10 });
        // No image exists, so nothing is ever clean; and what opens has no fault of its own.
        let report = report.unwrap();
        prop_assert!(!report.is_clean());
        if opened.is_ok() {
            prop_assert!(report.rows > 0);
        }
    }
}

#[test]
fn the_unmutated_cohort_opens() {
    let folder = cohort(MANIFEST.as_bytes(), DESCRIPTION.as_bytes());
    let cohort = Cohort::open(folder.path()).unwrap();
    assert_eq!((cohort.len(), cohort.sites()[0].as_str()), (2, "n, \"o\""));
}

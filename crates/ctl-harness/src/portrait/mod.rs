//! What a cohort is made of, site by site, and which of its columns go together.
//!
//! The point is to see before training whether a model could read the site, the scanner or the
//! view instead of the disease: every column that models may take is tested against the label
//! within sites, and label, columns and brightness against the site.

mod association;
mod levels;
mod look;
mod page;
mod sites;
mod table;

use std::path::Path;
use std::sync::Arc;

use ctl_imaging::{Cohort, ImageRequest, ImageStore};
use serde::Serialize;

pub use association::{Association, Stratum};
pub use look::Window;
pub use sites::{Column, Intensity, Range, Share, SiteStats};

use crate::Result;
use levels::Columns;

/// Version of the JSON form.
const SCHEMA: u32 = 2;
/// Side in pixels at which images are looked at.
const SIDE: usize = 64;
/// Bytes of decoded images that are kept.
const CACHE_BYTES: usize = 1 << 28;

/// A cohort's make-up.
#[derive(Debug, Clone, Serialize)]
pub struct CohortStats {
    /// Version of this layout.
    pub schema: u32,
    /// The cohort's name.
    pub cohort: String,
    /// Rows of its manifest.
    pub images: usize,
    /// Patients; without the column every image is its own.
    pub patients: usize,
    /// Classes of the label, in the order of their indices.
    pub classes: Vec<String>,
    /// The numbers between which images are shown, where they are not all between 0 and 1: the
    /// 0.5th and 99.5th percentile of the finite ones.
    pub window: Option<Window>,
    /// Every site, in the order of the manifest.
    pub sites: Vec<SiteStats>,
    /// Every pair of columns that was tested.
    pub associations: Vec<Association>,
    /// What a reader should know before training on it, in sentences.
    pub flags: Vec<String>,
}

/// Reads every image once and tests every pair of columns.
///
/// Images are averaged to 64 × 64 grey pixels for their brightness. A patient counts once in every
/// cell of a table, however many images he has there; numbers are cut at their quartiles, those of
/// each site where they are compared within sites; so are labels of more than twenty classes that are
/// all called by numbers. Of more than twenty other levels the rarest are one. Pixels that are NaN or
/// infinite count nowhere but as such. Pairs are tested by Pearson's χ² without
/// continuity correction, those within sites summed over the sites, against random orders where
/// counts are few, and p-values are adjusted by Holm's method over all pairs.
///
/// # Arguments
/// * `folder`: a cohort.
///
/// # Errors
/// [`HarnessError::Imaging`](crate::HarnessError) when the cohort or one of its images cannot be
/// read.
pub fn portray(folder: &Path) -> Result<CohortStats> {
    let cohort = Arc::new(Cohort::open(folder)?);
    let (looks, window) = look::look(&store(&cohort))?;
    let columns = Columns::of(&cohort, &looks);
    let sites = sites::describe(&cohort, &columns, &looks);
    let associations = association::test(&cohort, &columns)?;
    let flags = association::flags(&cohort, &sites, &associations);
    Ok(CohortStats {
        schema: SCHEMA,
        cohort: cohort.name().to_owned(),
        images: cohort.len(),
        patients: sites::patients(cohort.records()),
        classes: cohort.classes().to_vec(),
        window,
        sites,
        associations,
        flags,
    })
}

/// A page of the figures with thumbnails of every site, which opens offline.
///
/// # Arguments
/// * `folder`: the cohort that `stats` describes; up to ten images of each of its forty largest sites,
///   of every label as many as fit, are read again.
///
/// # Errors
/// When an image cannot be read, or the page not be made.
pub fn page(folder: &Path, stats: &CohortStats) -> Result<String> {
    let cohort = Arc::new(Cohort::open(folder)?);
    page::render(&store(&cohort), stats)
}

fn store(cohort: &Arc<Cohort>) -> ImageStore {
    let request = ImageRequest::grey(SIDE, SIDE);
    ImageStore::new(Arc::clone(cohort), request, CACHE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctl_imaging::Raster;
    use std::fmt::Write as _;

    /// 80 films of two sites. In the first, the label goes with the view; the second has one label.
    fn confounded(folder: &Path) {
        let mut manifest = "path,label,site,patient,age,view\n".to_owned();
        for index in 0..80_u32 {
            let first = index < 48;
            let sick = first && index % 2 == 0;
            let view = if first && (sick ^ (index % 12 == 0)) {
                "AP"
            } else {
                "PA"
            };
            let age = 40 + index * 7 % 12;
            let site = if first { "north" } else { "south" };
            let grey = if first { 0.25 } else { 0.75 };
            let picture = Raster::new(1, 3, 2, vec![grey; 6]).unwrap();
            picture
                .write_png(&folder.join(format!("{index}.png")))
                .unwrap();
            let label = u8::from(sick);
            writeln!(manifest, "{index}.png,{label},{site},p{index},{age},{view}").unwrap();
        }
        std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
        let toml = "schema = 1\nname = \"films\"\n[attributes]\ninputs = [\"age\", \"view\"]\n";
        std::fs::write(folder.join("cohort.toml"), toml).unwrap();
    }

    #[test]
    fn short_cuts_are_flagged_and_what_is_none_is_not() {
        let folder = tempfile::tempdir().unwrap();
        confounded(folder.path());
        let stats = portray(folder.path()).unwrap();
        let flagged: Vec<(&str, &str)> = stats
            .associations
            .iter()
            .filter(|pair| pair.flagged)
            .map(|pair| (pair.first.as_str(), pair.second.as_str()))
            .collect();
        let expected = [
            ("site", "label"),
            ("view", "label"),
            ("view", "site"),
            ("mean brightness", "site"),
        ];
        assert_eq!(flagged, expected);
        let view = &stats.associations[3];
        assert_eq!((view.first.as_str(), view.within_sites), ("view", true));
        // Of 24 sick films 20 are AP, of 24 others none: every sixth sick one is PA.
        assert_eq!(view.tables[0].counts, [[0, 20], [24, 4]]);
        let only = "site south has images of one label only";
        assert!(stats.flags.iter().any(|flag| flag.starts_with(only)));

        let north = &stats.sites[0];
        assert_eq!(
            (north.images, north.patients, north.unlabelled),
            (48, 48, 0)
        );
        assert_eq!((north.height.median, north.width.median), (3.0, 2.0));
        let intensity = north.intensity.unwrap();
        assert!((intensity.mean - 64.0 / 255.0).abs() < 1e-6);
        assert!(intensity.spread < 1e-6 && intensity.contrast < 1e-6);
    }

    #[test]
    fn the_page_carries_its_pictures_and_escapes_names() {
        let folder = tempfile::tempdir().unwrap();
        confounded(folder.path());
        let path = folder.path().join("manifest.csv");
        let manifest = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, manifest.replace(",south,", ",<south>,")).unwrap();
        let stats = portray(folder.path()).unwrap();
        let page = page(folder.path(), &stats).unwrap();
        // Five of each label of the north, ten of the one label of the south.
        assert_eq!(page.matches("data:image/png;base64,iVBOR").count(), 20);
        assert!(page.contains("&lt;south&gt;") && !page.contains("<south>"));
        assert!(!page.contains("http"));
    }

    /// Hounsfield units with holes, and labels and words by the hundred.
    fn holed(folder: &Path) {
        let mut manifest = "path,label,site,patient,centre\n".to_owned();
        for index in 0..120_u32 {
            let mut samples = [index as f32 * 10.0 - 1000.0; 8];
            if index < 3 {
                samples.fill(f32::NAN);
            } else if index < 5 {
                samples[0] = f32::NAN;
            }
            let bytes: Vec<u8> = samples
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect();
            // Format and header of NPY 1.0, padded to 64 bytes with its ten before.
            let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }";
            let mut npy = b"\x93NUMPY\x01\x00".to_vec();
            npy.extend(118_u16.to_le_bytes());
            npy.extend(format!("{header:<117}\n").bytes());
            npy.extend(bytes);
            std::fs::write(folder.join(format!("{index}.npy")), npy).unwrap();
            let (site, patient) = (index % 2, index / 4);
            writeln!(
                manifest,
                "{index}.npy,{index}.5,s{site},p{patient},c{index}"
            )
            .unwrap();
        }
        std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
        let toml = "schema = 1\n[attributes]\ninputs = [\"centre\"]\n";
        std::fs::write(folder.join("cohort.toml"), toml).unwrap();
    }

    #[test]
    fn numbers_that_are_none_and_columns_of_many_levels_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        holed(folder.path());
        let stats = portray(folder.path()).unwrap();
        let first = &stats.sites[0];
        // Of images 0, 2 and 4 of the first site two are all NaN.
        assert_eq!((first.not_finite, first.blank), (3, 2));
        assert!(
            stats
                .flags
                .iter()
                .any(|flag| flag.contains("3 of 60 images have pixels"))
        );
        // Means of images 4, 6, … 118: 10·61 − 1000.
        assert!((first.intensity.unwrap().mean + 390.0).abs() < 1e-3);
        let window = stats.window.unwrap();
        assert!(window.low < -940.0 && window.high > 150.0, "{window:?}");
        // The label is a number, and the centres are nineteen and the rest.
        assert!(first.prevalence.is_empty());
        assert_eq!(first.label_quartiles, Some([30.0, 59.5, 89.0]));
        let centres = &first.attributes[0].levels;
        assert_eq!(centres.len(), 20);
        assert_eq!(centres[19].name, "101 more");
        // Two images of each of thirty patients are thirty draws: 1 of 60 is 0.5 of 30.
        assert!(centres[0].interval[1] > 0.11, "{:?}", centres[0]);
        let page = page(folder.path(), &stats).unwrap();
        assert!(page.len() < 200_000, "{}", page.len());
        assert!(page.contains("101 more") && page.contains("NaN or infinite"));
    }

    #[test]
    fn a_cohort_without_labels_or_sites_is_described_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Raster::new(1, 2, 2, vec![0.5; 4]).unwrap();
        picture.write_png(&folder.path().join("a.png")).unwrap();
        std::fs::write(folder.path().join("manifest.csv"), "path\na.png\n").unwrap();
        let stats = portray(folder.path()).unwrap();
        assert_eq!((stats.images, stats.sites.len()), (1, 1));
        assert!(stats.associations.is_empty() && stats.flags.is_empty());
        assert!(stats.sites[0].prevalence.is_empty());
        assert!(
            page(folder.path(), &stats)
                .unwrap()
                .contains("No two columns")
        );
    }

    /// What is known of these films: see the description of the cohorts beside the repository.
    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
    fn the_short_cuts_of_real_films_are_found() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cxr_multisite");
        if !folder.exists() {
            eprintln!("skipped: {} is not there", folder.display());
            return;
        }
        let stats = portray(&folder).unwrap();
        let pair = |first: &str, second: &str| {
            let mut pairs = stats.associations.iter();
            pairs
                .find(|pair| pair.first == first && pair.second == second)
                .unwrap()
        };
        assert!(pair("site", "label").flagged);
        let view = pair("view", "label");
        assert!(view.flagged);
        let nih = view.tables.iter().find(|table| {
            table
                .site
                .as_ref()
                .is_some_and(|site| site.starts_with("NIH"))
        });
        let nih = nih.unwrap();
        let row = view
            .first_levels
            .iter()
            .position(|level| level == "AP")
            .unwrap();
        let share = |class: usize| {
            let all: u32 = nih.counts.iter().map(|row| row[class]).sum();
            f64::from(nih.counts[row][class]) / f64::from(all)
        };
        // 0.68 and 0.45 of the images; by patients the difference is smaller.
        assert!(share(0) > share(1) + 0.15);
    }
}

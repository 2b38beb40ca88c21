//! What a cohort is made of, site by site, and which of its columns go together.
//!
//! The point is to see before training whether a model could read the site, the scanner or the
//! view instead of the disease: every column that models may take is tested against the label
//! within sites, and label, columns and brightness against the site.

mod association;
mod page;
mod sites;

use std::path::Path;
use std::sync::Arc;

use ctl_imaging::{Cohort, ImageRequest, ImageStore};
use serde::Serialize;

pub use association::{Association, Stratum};
pub use sites::{Intensity, Range, Share, SiteStats};

use crate::Result;

/// Version of the JSON form.
const SCHEMA: u32 = 1;
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
/// each site where they are compared within sites. Pairs are tested by Pearson's χ² without
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
    let looked_at = sites::look(&store(&cohort))?;
    let sites = sites::describe(&cohort, &looked_at);
    let associations = association::test(&cohort, &looked_at)?;
    let flags = association::flags(&cohort, &associations);
    Ok(CohortStats {
        schema: SCHEMA,
        cohort: cohort.name().to_owned(),
        images: cohort.len(),
        patients: sites::patients(cohort.records()),
        classes: cohort.classes().to_vec(),
        sites,
        associations,
        flags,
    })
}

/// A page of the figures with thumbnails of every site, which opens offline.
///
/// # Arguments
/// * `folder`: the cohort that `stats` describes; up to ten images of each site, of every label as many
///   as fit, are read again.
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
        assert!((north.intensity.mean - 64.0 / 255.0).abs() < 1e-6);
        assert!(north.intensity.spread < 1e-6 && north.intensity.contrast < 1e-6);
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

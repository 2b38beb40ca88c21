//! Finding every fault of a cohort before anything trains.

use crate::Result;
use crate::address::ImageAddress;
use crate::cohort::{Cohort, MANIFEST, MaskSpec, Record};
use crate::decode::Decoded;
use crate::error::ImagingError;
use crate::header::RasterSize;
use crate::mask::{self, MaskRole};
use crate::problem::{Problem, ProblemKind};
use crate::source::Source;
use crate::store::{MORE_THAN_A_POINT, is_a_point};
use crate::study::{StudyCheck, check_studies};
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most bytes of array files that are held while pixels are checked (1 GiB).
const ARRAY_BYTES: usize = 1 << 30;

/// How thoroughly, and how patiently, a cohort is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Whether pixels are read. Otherwise only headers are.
    pub decode: bool,
    /// How many problems are listed; the rest are counted.
    pub max_problems: usize,
}

impl Default for VerifyOptions {
    /// Headers only, and at most 1,000 problems.
    fn default() -> Self {
        Self {
            decode: false,
            max_problems: 1000,
        }
    }
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Rows of the manifest whose path could be read; of volumes, the slices that are used.
    pub rows: usize,
    /// Images that were looked at (of volumes, the volumes): their headers, or their pixels too.
    pub images_checked: usize,
    /// Masks that were looked at, second observers' and regions included.
    pub masks_checked: usize,
    /// Whether pixels were read.
    pub decoded: bool,
    /// The problems by file (`cohort.toml` first) and row, at most `max_problems`.
    pub problems: Vec<Problem>,
    /// All problems, listed or not.
    pub problems_found: usize,
    /// What is no fault and may be an oversight: columns that nothing reads and that are spelt
    /// almost like one with a meaning.
    pub notices: Vec<String>,
}

impl VerifyReport {
    /// Whether there are no problems.
    pub fn is_clean(&self) -> bool {
        self.problems_found == 0
    }
}

/// Finds the faults of a cohort: of its manifest, of `cohort.toml`, and of every image and mask.
///
/// Without `decode`, an image must exist and have a readable header, and a mask must be as large
/// as its image (images may differ in size). With `decode`, all pixels are read as well, and those
/// of masks must be of the declared classes. Images are checked in parallel, one a thread at a
/// time; the report does not depend on the number of threads.
///
/// # Arguments
/// * `folder`: one cohort; [`discover`](crate::discover) finds those of a folder of cohorts.
/// * `options`: how thoroughly.
///
/// # Returns
/// The report; what is wrong with the cohort is in its `problems`, not in the error.
///
/// # Errors
/// [`ImagingError::Io`] or [`ImagingError::Content`] when the folder does not exist, or when
/// `manifest.csv` or `cohort.toml` exists and cannot be read.
///
/// # Examples
/// ```
/// use ctl_imaging::{ProblemKind, VerifyOptions, verify};
///
/// # let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("manifest.csv"), "path\nlost.png\n")?;
/// let report = verify(folder.path(), &VerifyOptions::default())?;
/// let problem = &report.problems[0];
/// assert_eq!(problem.kind, ProblemKind::MissingImage);
/// assert_eq!((problem.row, problem.column.as_deref()), (Some(2), Some("path")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(folder: &Path, options: &VerifyOptions) -> Result<VerifyReport> {
    // A folder that does not exist is a wrong argument, not a faulty cohort.
    folder
        .read_dir()
        .map_err(|source| ImagingError::io(folder, "list", source))?;
    let scan = Cohort::scan(folder)?;
    let mut problems = scan.problems;
    let notices = scan
        .cohort
        .as_ref()
        .map_or_else(Vec::new, Cohort::misspelt_columns);
    let (rows, checks) = match scan.cohort {
        None => (0, Vec::new()),
        Some(cohort) => {
            let rows = cohort.len();
            (rows, checks(cohort, options.decode))
        }
    };
    let masks_checked = checks.iter().map(|check| check.masks).sum();
    let images_checked = checks.len();
    problems.extend(checks.into_iter().flat_map(|check| check.problems));
    // Stable: what the table says about a row comes before what its files say.
    problems.sort_by_key(|problem| (problem.file.ends_with(MANIFEST), problem.row));
    let problems_found = problems.len();
    problems.truncate(options.max_problems);
    let decoded = options.decode;
    Ok(VerifyReport {
        rows,
        images_checked,
        masks_checked,
        decoded,
        problems,
        problems_found,
        notices,
    })
}

/// What was found about one record's files.
#[derive(Default)]
struct Check {
    masks: usize,
    problems: Vec<Problem>,
}

/// The checks of every image, or of every volume where slices are images.
fn checks(cohort: Cohort, decode: bool) -> Vec<Check> {
    let Some(spec) = cohort.volumes().cloned() else {
        return check_files(&cohort, decode);
    };
    let checks = check_studies(&Arc::new(cohort), &spec, decode).into_iter();
    let check = |StudyCheck { masks, problems }| Check { masks, problems };
    checks.map(check).collect()
}

fn check_files(cohort: &Cohort, decode: bool) -> Vec<Check> {
    let checker = Checker {
        source: Source::new(cohort.root(), ARRAY_BYTES),
        manifest: cohort.manifest_path(),
        mask: cohort.mask(),
        decode,
    };
    cohort
        .records()
        .par_iter()
        .map(|record| checker.check(record))
        .collect()
}

struct Checker<'a> {
    source: Source,
    manifest: PathBuf,
    mask: Option<&'a MaskSpec>,
    decode: bool,
}

impl Checker<'_> {
    fn check(&self, record: &Record) -> Check {
        let mut check = Check::default();
        let image = self.image_size(record);
        let image = image.map_err(|problem| check.problems.push(*problem)).ok();
        let Some(spec) = self.mask else { return check };
        for role in [
            MaskRole::Annotation,
            MaskRole::SecondObserver,
            MaskRole::EvaluateWithin,
        ] {
            let (Some(column), Ok(Some(address))) =
                (spec.column_of(role), record.mask_address(role))
            else {
                continue;
            };
            check.masks += 1;
            let place = Place {
                record,
                column,
                address: &address,
            };
            check.problems.extend(
                self.check_mask(&place, spec, role, image)
                    .err()
                    .map(|problem| *problem),
            );
        }
        check
    }

    fn image_size(&self, record: &Record) -> std::result::Result<RasterSize, Box<Problem>> {
        let address = record.address();
        let address = address.map_err(|error| self.path_problem(record, &error))?;
        let place = Place {
            record,
            column: "path",
            address: &address,
        };
        let size = self
            .source
            .size(&address)
            .map_err(|error| self.unreadable(&place, &error))?;
        if is_a_point([size.height, size.width]) {
            let (expected, found) = (MORE_THAN_A_POINT.to_owned(), format!("1x1 in {address}"));
            return Err(self.problem(&place, ProblemKind::WrongSize, expected, found));
        }
        if self.decode {
            let path = address.file_in(self.source.root());
            let decoded = self.source.picture(&address);
            decoded
                .and_then(|decoded| decoded.check_is_picture(&path))
                .map_err(|error| self.unreadable(&place, &error))?;
        }
        Ok(size)
    }

    fn check_mask(
        &self,
        place: &Place<'_>,
        spec: &MaskSpec,
        role: MaskRole,
        image: Option<RasterSize>,
    ) -> std::result::Result<(), Box<Problem>> {
        let unreadable = |error| self.unreadable(place, &error);
        let size = self.source.size(place.address).map_err(unreadable)?;
        if let Some(image) = image.filter(|image| !same_size(*image, size)) {
            let expected = format!("a mask of {}x{} like its image", image.height, image.width);
            let found = format!("{}x{} in {}", size.height, size.width, place.address);
            return Err(self.problem(place, ProblemKind::WrongSize, expected, found));
        }
        if !self.decode {
            return Ok(());
        }
        let mask: Decoded = self.source.mask(place.address).map_err(unreadable)?;
        let classes = mask::classify(&mask, spec.rule_of(role));
        classes.map(drop).map_err(|fault| {
            let found = format!("{} in {}", fault.found, place.address);
            self.problem(
                place,
                ProblemKind::MaskOutsideClasses,
                fault.expected,
                found,
            )
        })
    }

    fn unreadable(&self, place: &Place<'_>, error: &ImagingError) -> Box<Problem> {
        let problem = Problem::of_file(&self.manifest, &place.address.to_string(), error);
        Box::new(problem.at_row(place.record.row).in_column(place.column))
    }

    fn path_problem(&self, record: &Record, error: &ImagingError) -> Box<Problem> {
        let (expected, found) = ("a path", error.to_string());
        let problem = Problem::new(&self.manifest, ProblemKind::BadPath, expected, found);
        Box::new(problem.at_row(record.row).in_column("path"))
    }

    fn problem(
        &self,
        place: &Place<'_>,
        kind: ProblemKind,
        expected: String,
        found: String,
    ) -> Box<Problem> {
        let problem = Problem::new(&self.manifest, kind, expected, found);
        Box::new(problem.at_row(place.record.row).in_column(place.column))
    }
}

/// The cell that names a file.
struct Place<'a> {
    record: &'a Record,
    column: &'a str,
    address: &'a ImageAddress,
}

fn same_size(a: RasterSize, b: RasterSize) -> bool {
    (a.height, a.width) == (b.height, b.width)
}

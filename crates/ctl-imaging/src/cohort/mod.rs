//! Cohorts on disk: a folder with `manifest.csv` and, optionally, `cohort.toml`.

mod attributes;
mod build;
mod config;
mod discover;
mod labels;
mod spelling;
mod table;
mod volumes;

pub(crate) use config::MISSING;
pub use discover::{Discovery, discover};
pub use volumes::VolumeSpec;

use crate::Result;
use crate::address::ImageAddress;
use crate::mask::MaskRole;
use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use table::Table;

/// Name of the table that makes a folder a cohort.
pub const MANIFEST: &str = "manifest.csv";

/// Name of the optional description in a cohort's folder.
pub(crate) const DESCRIPTION: &str = "cohort.toml";

/// A folder of images with a manifest: everything that is known without reading a pixel.
#[derive(Debug, Clone)]
pub struct Cohort {
    root: PathBuf,
    name: String,
    tasks: Vec<Task>,
    licence: Option<String>,
    pixel_mm: Option<f64>,
    classes: Vec<String>,
    sites: Vec<String>,
    attribute_inputs: Vec<AttributeInput>,
    mask: Option<MaskSpec>,
    volumes: Option<VolumeSpec>,
    records: Vec<Record>,
    table: Arc<Table>,
    missing: Vec<String>,
    description_digest: Option<blake3::Hash>,
}

/// What a cohort can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Task {
    /// A label for each image.
    Classification,
    /// A class for each pixel.
    Segmentation,
    /// The image itself, from less than was measured.
    Reconstruction,
    /// Whether an image is unlike the normal ones.
    Anomaly,
    /// A label from image and attributes together.
    Multimodal,
}

/// The part of a study that an image belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To fit on.
    Train,
    /// To choose by.
    Validation,
    /// To score on.
    Test,
}

/// One row of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The image's address in its normal form; see [`ImageAddress`]. Unique within a cohort.
    pub path: String,
    /// The mask's address.
    pub mask_path: Option<String>,
    /// The address of the second observer's mask.
    pub second_observer_path: Option<String>,
    /// The address of the region to evaluate within.
    pub evaluate_within_path: Option<String>,
    /// Index into [`Cohort::classes`]; `None` where the cell is empty.
    pub label: Option<usize>,
    /// The cell of the anomaly column, where there is one.
    pub anomalous: Option<bool>,
    /// Index into [`Cohort::sites`].
    pub site: usize,
    /// The patient; the image's path where the manifest names none.
    pub patient: String,
    /// The official split, where the manifest has one.
    pub split: Option<Split>,
    /// Line of the manifest, counted from 1; the header is line 1.
    pub row: u64,
    /// One value for each of [`Cohort::attribute_inputs`].
    pub attributes: Vec<AttributeValue>,
}

/// A column that models may take as an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeInput {
    /// The column's header.
    pub name: String,
    /// How its cells are read.
    pub kind: AttributeKind,
}

/// The type of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeKind {
    /// Finite numbers.
    Numeric,
    /// One of a few words.
    Categorical {
        /// The words, sorted.
        levels: Vec<String>,
    },
}

/// A typed cell.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue {
    /// Empty, or one of the markers for missing values.
    Missing,
    /// A finite number.
    Number(f64),
    /// Index into the levels of the column.
    Level(usize),
}

/// What the masks of a cohort mean.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskSpec {
    /// The column of the manifest.
    pub column: String,
    /// Names of the classes, background first.
    pub classes: Vec<String>,
    /// How a pixel's class follows from its value.
    pub rule: MaskRule,
    /// The column with a second observer's masks.
    pub second_observer: Option<String>,
    /// The column with regions to evaluate within.
    pub evaluate_within: Option<String>,
}

/// How a pixel's class follows from its value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MaskRule {
    /// Class 1 from this share of the full range upwards, class 0 below.
    ///
    /// The full range is that of the stored type: 255 for 8 bits, 1 for one bit. A mask of more
    /// than 4 bits that holds nothing above 1 is refused rather than taken for empty: its author
    /// meant [`Values`](Self::Values) 0 and 1.
    Threshold(f64),
    /// The class at whose position the stored value stands: the number in the file, before any
    /// division (0 or 1 in a 1-bit PNG, the index in a PNG with a palette).
    Values(Vec<f64>),
}

/// What reading a cohort found: the cohort as far as it could be read, and every problem.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) cohort: Option<Cohort>,
    pub(crate) problems: Vec<Problem>,
}

impl Cohort {
    /// A sentence on each column that nothing reads and that is spelt almost like one with a
    /// meaning.
    pub(crate) fn misspelt_columns(&self) -> Vec<String> {
        let headers = self.table.headers();
        headers
            .iter()
            .filter_map(|header| {
                let meant = spelling::meant(header, headers)?;
                Some(format!(
                    "column `{header}` has no meaning of its own; if `{meant}` is meant, name it so"
                ))
            })
            .collect()
    }

    /// Opens a cohort: reads `manifest.csv` and `cohort.toml`, and no image; of the volumes of a
    /// cohort with a section `[volumes]` the headers, to count their slices.
    ///
    /// Cells are trimmed, but paths are not. `path` is required; the columns of the label, site,
    /// patient, split, masks and attributes are read where they exist; all others are kept as
    /// text, see [`cell`](Self::cell). A label is the name of a class or its index. Without
    /// declared classes the distinct labels are the classes, sorted as numbers if they are
    /// numbers. A row without a patient is its own patient. Without a `site` column there is one
    /// site, `all`.
    ///
    /// # Arguments
    /// * `folder`: the folder that contains `manifest.csv`.
    ///
    /// # Returns
    /// The cohort, with its records in the order of the manifest.
    ///
    /// # Errors
    /// [`ImagingError::Cohort`](crate::ImagingError::Cohort) with the first problem (file, row
    /// and column) when there is no manifest, the table is ragged or not UTF-8, a header stands
    /// twice or is missing, a path is empty, absolute, leaves the folder or stands twice, a label
    /// is none of the classes, a split is unknown, a site is empty, a number is none, a patient
    /// is in two splits, or `cohort.toml` has an unknown key or a value out of range.
    /// [`ImagingError::Io`](crate::ImagingError::Io) when a file exists but cannot be read.
    /// Images are not looked at; [`verify`](crate::verify()) does that. Volumes whose slices are to
    /// be counted must have a readable header.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::{Cohort, Split};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let manifest = "path,label,site,patient,split\n\
    ///                 a.png,ill,south,p1,train\n\
    ///                 b.png,well,north,p2,test\n";
    /// std::fs::write(folder.path().join("manifest.csv"), manifest)?;
    /// let cohort = Cohort::open(folder.path())?;
    /// assert_eq!(cohort.classes(), ["ill", "well"]);
    /// assert_eq!(cohort.sites(), ["north", "south"]);
    /// assert_eq!(cohort.records()[1].label, Some(1));
    /// assert_eq!(cohort.records()[1].split, Some(Split::Test));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(folder: &Path) -> Result<Self> {
        let scan = build::scan(folder)?;
        match (scan.problems.into_iter().next(), scan.cohort) {
            (None, Some(cohort)) => Ok(cohort),
            (Some(problem), _) => Err(problem.into()),
            (None, None) => Err(table::no_manifest(&folder.join(MANIFEST)).into()),
        }
    }

    /// Reads as much of a cohort as can be read, with all problems in order of file and row.
    pub(crate) fn scan(folder: &Path) -> Result<Scan> {
        build::scan(folder)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name that `cohort.toml` gives, or the folder's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the cohort can be used for: as `cohort.toml` says, or by its columns (labels:
    /// classification; masks: segmentation; neither: reconstruction).
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Side of a pixel of the files in millimetres, where `cohort.toml` states it.
    pub fn pixel_mm(&self) -> Option<f64> {
        self.pixel_mm
    }

    /// The licence that `cohort.toml` states.
    pub fn licence(&self) -> Option<&str> {
        self.licence.as_deref()
    }

    /// Names of the label's classes; empty without labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Names of the sites, sorted.
    pub fn sites(&self) -> &[String] {
        &self.sites
    }

    /// The columns that models may take as inputs.
    pub fn attribute_inputs(&self) -> &[AttributeInput] {
        &self.attribute_inputs
    }

    /// What the masks mean; `None` without masks.
    pub fn mask(&self) -> Option<&MaskSpec> {
        self.mask.as_ref()
    }

    /// The rows of the manifest; under `[volumes]` one record for every slice that is used, in the
    /// order of rows and slices.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no rows; never true of an opened cohort.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The headers of the manifest, in order.
    pub fn columns(&self) -> &[String] {
        self.table.headers()
    }

    /// The text of a cell, as it stands in the manifest.
    ///
    /// # Arguments
    /// * `index`: position in [`records`](Self::records).
    /// * `column`: a header.
    ///
    /// # Returns
    /// The text, or `None` when there is no such record or column.
    pub fn cell(&self, index: usize, column: &str) -> Option<&str> {
        let position = self.table.position(column)?;
        // Records of a faulty cohort can be fewer than its rows; the line finds the right one.
        let row = self.records.get(index)?.row;
        self.table.row_at_line(row)?.get(position)
    }

    /// The text of a cell without the blanks around it, unless it is empty or one of the cohort's
    /// markers for values that are not known.
    ///
    /// # Arguments
    /// * `index`: position in [`records`](Self::records).
    /// * `column`: a header.
    pub fn known_cell(&self, index: usize, column: &str) -> Option<&str> {
        let cell = self.cell(index, column)?.trim();
        let is_known = !cell.is_empty() && !self.missing.iter().any(|marker| marker == cell);
        is_known.then_some(cell)
    }

    pub(crate) fn manifest_path(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }

    pub(crate) fn manifest_digest(&self) -> blake3::Hash {
        self.table.digest()
    }

    pub(crate) fn description_digest(&self) -> Option<blake3::Hash> {
        self.description_digest
    }
}

impl Record {
    /// The image's address, taken apart.
    ///
    /// # Errors
    /// [`ImagingError::Argument`](crate::ImagingError::Argument) when `path` was changed to
    /// something that is no address.
    pub fn address(&self) -> Result<ImageAddress> {
        self.path.parse()
    }

    /// The address of one of the record's masks, where it has that mask.
    ///
    /// # Errors
    /// As for [`address`](Self::address).
    pub fn mask_address(&self, role: MaskRole) -> Result<Option<ImageAddress>> {
        self.mask_path_of(role).map(str::parse).transpose()
    }

    pub(crate) fn mask_path_of(&self, role: MaskRole) -> Option<&str> {
        match role {
            MaskRole::Annotation => self.mask_path.as_deref(),
            MaskRole::SecondObserver => self.second_observer_path.as_deref(),
            MaskRole::EvaluateWithin => self.evaluate_within_path.as_deref(),
        }
    }
}

impl MaskSpec {
    /// The column of the manifest that holds the masks of a role.
    pub fn column_of(&self, role: MaskRole) -> Option<&str> {
        match role {
            MaskRole::Annotation => Some(&self.column),
            MaskRole::SecondObserver => self.second_observer.as_deref(),
            MaskRole::EvaluateWithin => self.evaluate_within.as_deref(),
        }
    }

    /// How the pixels of the masks of a role are read.
    pub(crate) fn rule_of(&self, role: MaskRole) -> &MaskRule {
        match role {
            MaskRole::EvaluateWithin => &crate::mask::REGION_RULE,
            MaskRole::Annotation | MaskRole::SecondObserver => &self.rule,
        }
    }
}

impl Task {
    /// The task's name as files and command lines write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Segmentation => "segmentation",
            Self::Reconstruction => "reconstruction",
            Self::Anomaly => "anomaly",
            Self::Multimodal => "multimodal",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Split {
    type Err = crate::ImagingError;

    /// Reads `train`, `val`, `valid`, `validation` or `test`.
    ///
    /// # Errors
    /// [`ImagingError::Argument`](crate::ImagingError::Argument) for anything else.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "train" => Ok(Self::Train),
            "val" | "valid" | "validation" => Ok(Self::Validation),
            "test" => Ok(Self::Test),
            _ => Err(crate::ImagingError::argument(
                "split",
                "one of train, val, valid, validation, test",
                format!("`{text}`"),
            )),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

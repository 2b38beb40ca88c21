//! A manifest in the making.

use super::files::copy;
use crate::error::ImagingError;
use crate::problem::Problem;
use crate::{Cohort, Result, write_folder};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Version of `import.json`.
const SCHEMA: u32 = 1;
/// Says where a cohort came from.
const PROVENANCE: &str = "import.json";

/// A cohort that has not been written.
#[derive(Default)]
pub(super) struct NewCohort {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// Files to copy: where each is, and its path in the cohort.
    pub(super) copies: BTreeSet<(PathBuf, String)>,
    /// Columns that models may take.
    pub(super) inputs: Vec<String>,
    /// Whether only an empty cell is a missing value.
    pub(super) names_mean_themselves: bool,
    /// What results call it; the folder's name where it is empty.
    pub(super) name: String,
    pub(super) licence: String,
    /// Classes of the masks with the numbers that stand for them.
    pub(super) mask_classes: Vec<(String, u32)>,
    /// Whether rows name volumes, whose slices are the pictures.
    pub(super) volumes: bool,
    pub(super) provenance: Provenance,
}

/// Where a cohort came from.
#[derive(Default, Clone, Serialize)]
pub(super) struct Provenance {
    schema: u32,
    /// The layout of the source, as the command line calls it.
    layout: &'static str,
    /// Version of this crate.
    toolkit: &'static str,
    /// What was read, by its own name as it was given: what lies above it, or what a link leads
    /// to, may tell of patients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<String>,
    options: BTreeMap<&'static str, Value>,
    images: usize,
}

impl Provenance {
    pub(super) fn new<'a>(
        layout: &'static str,
        sources: impl IntoIterator<Item = &'a Path>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            layout,
            toolkit: concat!("ctl-imaging ", env!("CARGO_PKG_VERSION")),
            sources: sources.into_iter().map(own_name).collect(),
            options: BTreeMap::new(),
            images: 0,
        }
    }

    /// With an option that was set; one that is empty, `false` or nothing was not.
    pub(super) fn with(mut self, option: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let unset = match &value {
            Value::Null => true,
            Value::Bool(set) => !set,
            Value::String(text) => text.is_empty(),
            Value::Array(values) => values.is_empty(),
            Value::Object(values) => values.is_empty(),
            Value::Number(_) => false,
        };
        if !unset {
            self.options.insert(option, value);
        }
        self
    }

    /// Writes `import.json` into a cohort of some images.
    pub(super) fn write(&self, folder: &Path, images: usize) -> Result<()> {
        let path = folder.join(PROVENANCE);
        let whole = Self {
            images,
            ..self.clone()
        };
        let mut text = serde_json::to_vec_pretty(&whole)
            .map_err(|error| ImagingError::decode(&path, "JSON", error))?;
        text.push(b'\n');
        fs::write(&path, text).map_err(|source| ImagingError::io(&path, "write", source))
    }
}

impl NewCohort {
    /// Writes the cohort and reads it back, so that what is at fault is said now.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        self.write_with(folder, |_| Ok(()))
    }

    /// As [`write`](Self::write), with files that `more` puts into the new folder.
    pub(super) fn write_with(
        &self,
        folder: &Path,
        more: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        self.check_header()?;
        write_folder(folder, |partial| {
            for (from, to) in &self.copies {
                copy(from, &partial.join(to))?;
            }
            more(partial)?;
            self.write_manifest(&partial.join(crate::MANIFEST))?;
            self.write_description(folder, &partial.join("cohort.toml"))?;
            self.provenance.write(partial, self.rows.len())?;
            Cohort::open(partial)
                .map(|_| ())
                .map_err(|error| at_home(error, partial, folder))
        })
    }

    fn check_header(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        let Some(twice) = self.header.iter().find(|name| !seen.insert(*name)) else {
            return Ok(());
        };
        let expected = "columns with different names";
        let found = format!("`{twice}` twice");
        Err(ImagingError::argument(
            "columns of the manifest",
            expected,
            found,
        ))
    }

    fn write_manifest(&self, path: &Path) -> Result<()> {
        let unwritten = |error: csv::Error| ImagingError::decode(path, "csv", error);
        let mut writer = csv::Writer::from_path(path).map_err(unwritten)?;
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer.write_record(row).map_err(unwritten)?;
        }
        writer
            .flush()
            .map_err(|source| ImagingError::io(path, "write", source))
    }

    fn write_description(&self, folder: &Path, path: &Path) -> Result<()> {
        let description = self.description(folder);
        fs::write(path, description.to_string())
            .map_err(|source| ImagingError::io(path, "write", source))
    }

    fn description(&self, folder: &Path) -> toml::Table {
        let mut description = toml::Table::new();
        description.insert("schema".into(), 1.into());
        let name = if self.name.is_empty() {
            own_name(folder)
        } else {
            self.name.clone()
        };
        description.insert("name".into(), name.into());
        if !self.licence.is_empty() {
            description.insert("licence".into(), self.licence.clone().into());
        }
        if self.names_mean_themselves {
            description.insert("missing".into(), vec![""].into());
        }
        if !self.mask_classes.is_empty() {
            description.insert("mask".into(), self.mask().into());
        }
        if self.volumes {
            // Slices as they are cut without further words; who wants others says so here.
            let plane = toml::Table::from_iter([("plane".to_owned(), "axial".into())]);
            description.insert("volumes".into(), plane.into());
        }
        if !self.inputs.is_empty() {
            let mut attributes = toml::Table::new();
            attributes.insert("inputs".into(), self.inputs.clone().into());
            description.insert("attributes".into(), attributes.into());
        }
        description
    }

    fn mask(&self) -> toml::Table {
        let classes = self.mask_classes.iter().map(|(name, _)| name.clone());
        let values = self.mask_classes.iter().map(|&(_, value)| value);
        let mut mask = toml::Table::new();
        mask.insert("column".into(), "mask_path".into());
        mask.insert("classes".into(), classes.collect::<Vec<String>>().into());
        mask.insert("values".into(), values.collect::<Vec<u32>>().into());
        mask
    }
}

/// The last part of a path as it was given, no link followed.
pub(super) fn own_name(path: &Path) -> String {
    // Of `.` only the whole path has a name.
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = whole.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The fault of a cohort that is not left where it was read, under the name that it would have.
pub(super) fn at_home(error: ImagingError, partial: &Path, folder: &Path) -> ImagingError {
    let place = |path: &Path| match path.strip_prefix(partial) {
        Ok(below) => folder.join(below),
        Err(_) => path.to_owned(),
    };
    let (from, to) = (partial.to_string_lossy(), folder.to_string_lossy());
    let words = |text: &str| text.replace(&*from, &to);
    match error {
        ImagingError::Cohort(problem) => {
            let problem = *problem;
            ImagingError::from(Problem {
                file: place(&problem.file),
                expected: words(&problem.expected),
                found: words(&problem.found),
                message: words(&problem.message),
                ..problem
            })
        }
        ImagingError::Image {
            manifest,
            row,
            source,
        } => ImagingError::Image {
            manifest: place(&manifest),
            row,
            source: Box::new(at_home(*source, partial, folder)),
        },
        ImagingError::Content {
            path,
            expected,
            found,
        } => ImagingError::content(&place(&path), words(&expected), words(&found)),
        ImagingError::Io {
            path,
            action,
            source,
        } => ImagingError::io(&place(&path), action, source),
        other => other,
    }
}

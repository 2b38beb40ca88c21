//! A model file, and a cohort seen through it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use ctl_compute::random::{permutation, stream};
use ctl_counterfactual::{
    AttributeTraining, CategoriesConfig, Columns, CounterfactualError, DeepScm, Examples,
    FineTuning, FitOptions, FitProgress, FlowConfig, ImageSpec, ImageTraining, Kind, ModelSpec,
    Records, Schema, StructuralModel,
};
use ctl_graph::Diagram;
use ctl_imaging::{Cohort, Colour, ImageRequest, ImageStore, Split, split_patients};
use serde::{Deserialize, Serialize};

use crate::store::write_atomically;
use crate::{HarnessError, Result};

/// The model file in a trained model's folder.
pub const STUDY_FILE: &str = "study.toml";
const SCHEMA: u32 = 1;
/// Decoded images up to this size stay in memory.
const CACHE_BYTES: usize = 1 << 30;
/// Share of the patients that are scored where the cohort prescribes no parts.
const SCORED: f64 = 0.2;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NodeKind {
    Continuous,
    Categorical,
    Image,
}

/// A node of the diagram: `[nodes.NAME]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NodeEntry {
    kind: NodeKind,
    /// Column of the manifest, where it is not the node's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lower: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upper: Option<f64>,
    /// Where they are not listed, those of the cohort in alphabetical order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<String>>,
    /// Height and width to which images are brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<[usize; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    colour: Option<bool>,
}

/// How a model is trained: `[training]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TrainingSettings {
    /// Of the attributes.
    pub attributes: AttributeTraining,
    /// Of the image.
    pub image: ImageTraining,
}

/// A model of a cohort, as a user writes it down.
///
/// Keys: `schema = 1`; `edges`, in the format of [`Diagram::parse`]; `[nodes.NAME]` with `kind`
/// (`continuous`, `categorical`, `image`), `column`, bounds `lower` and `upper`, `categories`, for the
/// image `size` and `colour`; `[image]` with `mechanism` and its settings; `[flow]`, `[categories]`,
/// `[training]`, `[fine-tuning]`; `drop-missing`.
///
/// # Examples
/// ```
/// use ctl_harness::counterfactual::StudyFile;
///
/// let file = StudyFile::parse(
///     "model.toml",
///     r#"
///     schema = 1
///     edges = "site -> image; age -> image"
///     [nodes.site]
///     kind = "categorical"
///     [nodes.age]
///     kind = "continuous"
///     lower = 0
///     [nodes.image]
///     kind = "image"
///     size = [32, 32]
///     [image]
///     mechanism = "vae"
///     "#,
/// )?;
/// assert_eq!(file.columns().collect::<Vec<_>>(), ["age", "site"]);
/// assert!(StudyFile::parse("model.toml", "schema = 1").is_err());
/// # Ok::<(), ctl_harness::HarnessError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StudyFile {
    schema: u32,
    edges: String,
    /// Whether rows of the manifest whose value in one of the columns is not known are left out; otherwise
    /// they are an error.
    #[serde(default)]
    drop_missing: bool,
    nodes: BTreeMap<String, NodeEntry>,
    image: ImageSpec,
    #[serde(default)]
    flow: FlowConfig,
    #[serde(default)]
    categories: CategoriesConfig,
    /// How the model is trained.
    #[serde(default)]
    pub training: TrainingSettings,
    /// How the mechanism of the image is fine-tuned afterwards; not at all where the table is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_tuning: Option<FineTuning>,
}

fn fault(origin: &str, key: &str, message: impl Into<String>) -> HarnessError {
    HarnessError::Config {
        origin: origin.to_owned(),
        key: key.to_owned(),
        message: message.into(),
    }
}

impl StudyFile {
    /// Reads a model file.
    ///
    /// # Errors
    /// When it is not TOML, has unknown keys, keys that do not suit their node, or a diagram that
    /// cannot be read.
    pub fn parse(origin: &str, text: &str) -> Result<Self> {
        let file: Self =
            toml::from_str(text).map_err(|error| fault(origin, "file", error.to_string()))?;
        if file.schema != SCHEMA {
            let message = format!("{} is not known, expected {SCHEMA}", file.schema);
            return Err(fault(origin, "schema", message));
        }
        for (name, node) in &file.nodes {
            node.check(origin, name)?;
        }
        let images = file.nodes.values().filter(|n| n.kind == NodeKind::Image);
        if images.count() != 1 {
            return Err(fault(origin, "nodes", "exactly one node must be the image"));
        }
        Diagram::parse(&file.edges).map_err(|error| fault(origin, "edges", error.to_string()))?;
        Ok(file)
    }

    /// Reads a model file from disk.
    ///
    /// # Errors
    /// When it cannot be read, and those of [`StudyFile::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| HarnessError::File {
            path: path.to_path_buf(),
            action: "read the model file",
            source,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Columns of the manifest that the attributes are taken from, by name of their nodes.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.attributes().map(|(_, column, _)| column)
    }

    /// Column of the manifest that a node is taken from.
    pub(super) fn column_of<'a>(&'a self, node: &'a str) -> &'a str {
        let entry = self.nodes.get(node);
        entry
            .and_then(|entry| entry.column.as_deref())
            .unwrap_or(node)
    }

    /// Name, column and entry of every attribute.
    fn attributes(&self) -> impl Iterator<Item = (&str, &str, &NodeEntry)> {
        let nodes = self.nodes.iter().filter(|(_, n)| n.kind != NodeKind::Image);
        nodes.map(|(name, node)| {
            let column = node.column.as_deref().unwrap_or(name);
            (name.as_str(), column, node)
        })
    }

    fn request(&self) -> ImageRequest {
        let image = self.nodes.values().find(|n| n.kind == NodeKind::Image);
        let [height, width] = image.and_then(|node| node.size).unwrap_or([0, 0]);
        match image.and_then(|node| node.colour) {
            Some(true) => ImageRequest::rgb(height, width),
            _ => ImageRequest::grey(height, width),
        }
    }

    /// The model with the categories that were found.
    fn spec(&self, found: &BTreeMap<&str, Vec<String>>) -> ModelSpec {
        let request = self.request();
        let channels = if request.colour == Colour::Grey { 1 } else { 3 };
        let nodes = self.nodes.iter().map(|(name, node)| {
            let kind = match node.kind {
                NodeKind::Continuous => Kind::Continuous {
                    lower: node.lower,
                    upper: node.upper,
                },
                NodeKind::Categorical => Kind::Categorical {
                    categories: node
                        .categories
                        .clone()
                        .or_else(|| found.get(name.as_str()).cloned())
                        .unwrap_or_default(),
                },
                NodeKind::Image => Kind::Image {
                    shape: [channels, request.height, request.width],
                },
            };
            (name.clone(), kind)
        });
        ModelSpec {
            edges: self.edges.clone(),
            nodes: nodes.collect(),
            flow: self.flow,
            categories: self.categories,
            image: Some(self.image.clone()),
        }
    }
}

impl NodeEntry {
    fn check(&self, origin: &str, name: &str) -> Result<()> {
        let given = [
            ("column", self.column.is_some()),
            ("lower", self.lower.is_some()),
            ("upper", self.upper.is_some()),
            ("categories", self.categories.is_some()),
            ("size", self.size.is_some()),
            ("colour", self.colour.is_some()),
        ];
        let allowed: &[&str] = match self.kind {
            NodeKind::Continuous => &["column", "lower", "upper"],
            NodeKind::Categorical => &["column", "categories"],
            NodeKind::Image => &["size", "colour"],
        };
        for (key, is_given) in given {
            if is_given && !allowed.contains(&key) {
                let message = format!(
                    "is not a key of this kind, which has {}",
                    allowed.join(", ")
                );
                return Err(fault(origin, &format!("nodes.{name}.{key}"), message));
            }
        }
        let key = format!("nodes.{name}.size");
        match (self.kind, self.size) {
            (NodeKind::Image, None) => Err(fault(origin, &key, "height and width are missing")),
            (_, Some([height, width])) if height * width == 0 => {
                Err(fault(origin, &key, "height and width must be at least 1"))
            }
            _ => Ok(()),
        }
    }
}

/// A cohort seen through a model file.
pub struct Study {
    file: StudyFile,
    spec: ModelSpec,
    columns: Columns,
    /// Record of the cohort behind each row.
    records: Vec<usize>,
    store: ImageStore,
    /// Of the split, where the cohort prescribes none.
    seed: u64,
}

impl Study {
    /// Opens a cohort for a model file: rows of its `test` part are scored and the others train; a
    /// cohort without parts is split by patient.
    ///
    /// # Arguments
    /// - `origin`: name of the model file, for messages
    /// - `seed`: of the split
    ///
    /// # Errors
    /// When the cohort cannot be opened, lacks a column, or has a cell that the model does not allow.
    pub fn open(file: &StudyFile, origin: &str, folder: &Path, seed: u64) -> Result<Self> {
        Self::with_categories(file, origin, folder, (seed, BTreeMap::new()))
    }

    fn with_categories(
        file: &StudyFile,
        origin: &str,
        folder: &Path,
        (seed, known): (u64, BTreeMap<&str, Vec<String>>),
    ) -> Result<Self> {
        let cohort = Arc::new(Cohort::open(folder)?);
        let records = complete_records(file, origin, &cohort)?;
        let mut found = known;
        for (name, column, node) in file.attributes() {
            if node.kind == NodeKind::Categorical && !found.contains_key(name) {
                let cells = records.iter().filter_map(|&r| cohort.known_cell(r, column));
                let mut names: Vec<String> = cells.map(str::to_owned).collect();
                names.sort_unstable();
                names.dedup();
                found.insert(name, names);
            }
        }
        let spec = file.spec(&found);
        let schema = spec.schema()?;
        let mut columns = Vec::new();
        for (name, column, _) in file.attributes() {
            let values = records.iter().map(|&record| {
                let cell = cohort.known_cell(record, column).unwrap_or_default();
                let value = schema.parse_value(name, cell);
                value.map_err(|error| at_row(&cohort, record, column, &error))
            });
            columns.push((name, values.collect::<Result<Vec<f64>>>()?));
        }
        Ok(Self {
            columns: Columns::new(&schema, &columns)?,
            store: ImageStore::new(cohort, file.request(), CACHE_BYTES),
            file: file.clone(),
            spec,
            records,
            seed,
        })
    }

    /// The model.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Rows of the manifest that are left out because a value is not known.
    pub fn left_out(&self) -> usize {
        self.cohort().len() - self.records.len()
    }

    /// The cohort.
    pub fn cohort(&self) -> &Cohort {
        self.store.cohort()
    }

    /// The rows that train.
    ///
    /// # Errors
    /// When none train, or none are scored.
    pub fn training(&self) -> Result<StudyRows<'_>> {
        let [training, _] = parts(self.cohort(), &self.records, self.seed)?;
        Ok(StudyRows::new(self, training))
    }

    /// The rows that are scored.
    ///
    /// # Errors
    /// When none train, or none are scored.
    pub fn scored(&self) -> Result<StudyRows<'_>> {
        let [_, scored] = parts(self.cohort(), &self.records, self.seed)?;
        Ok(StudyRows::new(self, scored))
    }

    /// The row of an image, by its address in the manifest.
    ///
    /// # Errors
    /// When the cohort has no such image with all of the model's columns.
    pub fn row_of(&self, path: &str) -> Result<usize> {
        let records = self.cohort().records();
        let row = self.records.iter().position(|&r| records[r].path == path);
        row.ok_or_else(|| HarnessError::Data {
            path: self.cohort().root().to_path_buf(),
            message: format!("has no image {path} with all of the model's columns"),
        })
    }

    /// Some rows as records, their images among them.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn records(&self, rows: &[usize]) -> Result<Records> {
        Ok(Records {
            columns: self.columns.select(rows),
            images: Some(self.images(rows)?),
        })
    }

    fn images(&self, rows: &[usize]) -> Result<Tensor> {
        let records: Vec<usize> = rows.iter().map(|&row| self.records[row]).collect();
        let rasters = self.store.load(&records)?;
        for (raster, &record) in rasters.iter().zip(&records) {
            let outside = raster.samples().iter().find(|v| !(0.0..=1.0).contains(*v));
            if let Some(value) = outside {
                return Err(HarnessError::Data {
                    path: self.cohort().root().to_path_buf(),
                    message: format!(
                        "{}: a pixel is {value}, and a model of images needs values from 0 to 1",
                        self.cohort().records()[record].path
                    ),
                });
            }
        }
        let ImageRequest { height, width, .. } = self.file.request();
        let channels = if self.file.request().colour == Colour::Grey {
            1
        } else {
            3
        };
        let values: Vec<f32> = rasters
            .iter()
            .flat_map(|r| r.samples().iter().copied())
            .collect();
        let shape = (rows.len(), channels, height, width);
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}

fn at_row(
    cohort: &Cohort,
    record: usize,
    column: &str,
    error: &CounterfactualError,
) -> HarnessError {
    HarnessError::Data {
        path: cohort.root().join("manifest.csv"),
        message: format!(
            "line {}, column {column}: {error}",
            cohort.records()[record].row
        ),
    }
}

/// Records that have a cell in each of the model's columns.
fn complete_records(file: &StudyFile, origin: &str, cohort: &Cohort) -> Result<Vec<usize>> {
    for (name, column, _) in file.attributes() {
        if !cohort.columns().iter().any(|header| header == column) {
            let message = format!(
                "{column} is no column of {}, which has {}",
                cohort.name(),
                cohort.columns().join(", ")
            );
            return Err(fault(origin, &format!("nodes.{name}"), message));
        }
    }
    let mut complete = Vec::new();
    for record in 0..cohort.len() {
        let mut columns = file.attributes().map(|(_, column, _)| column);
        let empty = columns.find(|column| cohort.known_cell(record, column).is_none());
        match empty {
            None => complete.push(record),
            Some(_) if file.drop_missing => {}
            Some(column) => {
                return Err(HarnessError::Data {
                    path: cohort.root().join("manifest.csv"),
                    message: format!(
                        "line {}, column {column}: the value is not known; drop-missing = true in the \
                         model file leaves such rows out",
                        cohort.records()[record].row
                    ),
                });
            }
        }
    }
    Ok(complete)
}

/// Rows that train and rows that are scored: those of the `test` part, and of sites that the manifest
/// gives no parts a share of the patients; without any `test` part a share of all patients. Nobody is
/// in both.
fn parts(cohort: &Cohort, records: &[usize], seed: u64) -> Result<[Vec<usize>; 2]> {
    let of = |row: &usize| &cohort.records()[records[*row]];
    let all: Vec<usize> = (0..records.len()).collect();
    let is_test = |row: &usize| of(row).split == Some(Split::Test);
    let has_test = all.iter().any(is_test);
    let given = all.iter().filter(|row| has_test && of(row).split.is_some());
    let prescribed: BTreeSet<usize> = given.map(|row| of(row).site).collect();
    let patients_of = |is_scored: bool| -> BTreeSet<&str> {
        let rows = all
            .iter()
            .filter(|row| prescribed.contains(&of(row).site) && is_test(row) == is_scored);
        rows.map(|row| of(row).patient.as_str()).collect()
    };
    let (trained, scored) = (patients_of(false), patients_of(true));
    let patients: Vec<&str> = all.iter().map(|row| of(row).patient.as_str()).collect();
    let part = split_patients(&patients, &[1.0 - SCORED, SCORED], seed, None)?;
    let is_scored = |row: &usize| {
        let record = of(row);
        let patient = record.patient.as_str();
        if prescribed.contains(&record.site) {
            is_test(row)
        } else {
            scored.contains(patient) || (part[*row] == 1 && !trained.contains(patient))
        }
    };
    let (scored, trained) = all.iter().partition(|row| is_scored(row));
    let split: [Vec<usize>; 2] = [trained, scored];
    if split.iter().any(Vec::is_empty) {
        return Err(HarnessError::Data {
            path: cohort.root().to_path_buf(),
            message: format!(
                "{} images train and {} are scored; both must be at least one",
                split[0].len(),
                split[1].len()
            ),
        });
    }
    Ok(split)
}

/// Some rows of a study, read on demand.
pub struct StudyRows<'a> {
    study: &'a Study,
    indices: Vec<usize>,
    columns: Columns,
}

impl<'a> StudyRows<'a> {
    fn new(study: &'a Study, rows: Vec<usize>) -> Self {
        Self {
            columns: study.columns.select(&rows),
            study,
            indices: rows,
        }
    }

    /// Some of them as records, at most `most`, chosen at random by the seed and in their order.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn records(&self, most: usize, seed: u64) -> Result<Records> {
        let rng = &mut stream(seed, "study", "rows that are scored");
        let mut chosen = permutation(rng, self.indices.len());
        chosen.truncate(most);
        chosen.sort_unstable();
        let rows: Vec<usize> = chosen.into_iter().map(|row| self.indices[row]).collect();
        self.study.records(&rows)
    }
}

impl Examples for StudyRows<'_> {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn images(&self, rows: &[usize]) -> std::result::Result<Option<Tensor>, CounterfactualError> {
        let rows: Vec<usize> = rows.iter().map(|&row| self.indices[row]).collect();
        let images = self.study.images(&rows);
        images
            .map(Some)
            .map_err(|error| CounterfactualError::Training {
                node: "image".to_owned(),
                message: crate::error::chain(&error),
            })
    }
}

/// Names of the categories of a model's nodes.
fn categories_of(model: &DeepScm) -> BTreeMap<&str, Vec<String>> {
    let nodes = model.spec().nodes.iter();
    let known = nodes.filter_map(|(name, kind)| match kind {
        Kind::Categorical { categories } => Some((name.as_str(), categories.clone())),
        _ => None,
    });
    known.collect()
}

/// A trained model of a cohort, with the file that it was made of.
pub struct StudyModel {
    /// The model file.
    pub file: StudyFile,
    /// The model.
    pub model: DeepScm,
}

impl StudyModel {
    /// Trains a model on the training rows of a study, fine-tunes it where its file says so, and writes
    /// it into a folder; with the same study and seed, training goes on where it stopped.
    ///
    /// # Errors
    /// When the folder holds another model, the mechanism of the image cannot be fine-tuned, training
    /// diverges, or a file cannot be written.
    pub fn train(
        study: &Study,
        seed: u64,
        folder: &Path,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<Self> {
        let data = study.training()?;
        let mut model = DeepScm::new(&study.spec, &data.columns, seed)?;
        let options = FitOptions {
            seed,
            attributes: study.file.training.attributes,
            image: study.file.training.image,
            fine_tuning: study.file.fine_tuning.clone(),
            folder: Some(folder.to_path_buf()),
        };
        model.fit(&data, &options, observer)?;
        model.save(folder)?;
        let text = toml::to_string_pretty(&study.file)
            .map_err(|error| fault(STUDY_FILE, "file", error.to_string()))?;
        write_atomically(&folder.join(STUDY_FILE), text.as_bytes())?;
        Ok(Self {
            file: study.file.clone(),
            model,
        })
    }

    /// Reads a trained model.
    ///
    /// # Errors
    /// When a file is missing or not what it should be.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(STUDY_FILE);
        let file = StudyFile::read(&path)?;
        let model = DeepScm::load(folder)?;
        let known = categories_of(&model);
        if file.spec(&known) != *model.spec() {
            return Err(HarnessError::Stored {
                path,
                message: "describes another model than model.json beside it".into(),
            });
        }
        Ok(Self { file, model })
    }

    /// A cohort seen through this model: with the categories that it knows, and split as it was in
    /// training.
    ///
    /// # Errors
    /// Those of [`Study::open`]; a category that the model does not know is one.
    pub fn study(&self, folder: &Path) -> Result<Study> {
        let key = (self.model.seed(), categories_of(&self.model));
        Study::with_categories(&self.file, STUDY_FILE, folder, key)
    }

    /// The diagram and what its nodes hold.
    pub fn schema(&self) -> &Schema {
        self.model.schema()
    }

    /// How images are brought to the model's size.
    pub fn request(&self) -> ImageRequest {
        self.file.request()
    }
}

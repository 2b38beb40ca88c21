//! Loading cohorts.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use ctl_compute::runtime::on_every_core;
use ctl_graph::DiagramFile;
use ctl_imaging::{
    AttributeKind, AttributeValue, Cohort, Colour, HashDepth, ImageRequest, ImageStore, Record,
    Split, data_hash,
};
use ctl_phantom::{PhantomSpec, SiteRole, simulate};
use rayon::prelude::*;

use super::environments::Divisions;
use super::images::ImageBank;
use crate::spec::{CohortSpec, RunSpec, Training};
use crate::vocabulary::Task;
use crate::{HarnessError, Result};

/// Decoded or rendered images up to this size stay in memory.
const CACHE_BYTES: usize = 1 << 30;

/// What a folder's causal diagram is called.
const DIAGRAM: &str = "diagram.toml";

/// One image.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name in `predictions.csv`: the path in the manifest, or the simulated id.
    pub id: String,
    /// Index of the site.
    pub site: usize,
    /// Patient; all images of one stay together.
    pub patient: String,
    /// Class index; 0 where the task needs none and the cohort has none.
    pub label: usize,
    /// Part of the data that the cohort itself prescribes.
    pub split: Option<Split>,
    /// One value for each of [`CohortData::attributes`]; `None` where it is not known.
    pub attributes: Vec<Option<f64>>,
}

/// A cohort in the form that runs of one task use.
pub struct CohortData {
    /// What determines its content.
    pub spec: CohortSpec,
    /// Names of the sites.
    pub sites: Vec<String>,
    /// What each site is for.
    pub roles: Vec<SiteRole>,
    /// Names of the classes of the images; one where the task needs none and the cohort has none.
    pub classes: Vec<String>,
    /// Names of the classes of the pixels, background first; empty without masks.
    pub mask_classes: Vec<String>,
    /// Names of the attributes that a model may be given; a category has one for each level.
    pub attributes: Vec<String>,
    /// What is known of causes.
    pub diagram: Option<DiagramFile>,
    /// The images of the task.
    pub samples: Vec<Sample>,
    /// Their pixels.
    pub images: ImageBank,
    /// How it was divided for runs that are alike in that.
    pub(super) divisions: Divisions,
}

impl CohortData {
    /// Number of images of each class at a site.
    pub fn class_counts(&self, site: usize) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for sample in self.samples.iter().filter(|s| s.site == site) {
            counts[sample.label] += 1;
        }
        counts
    }

    /// What is known of the causes of what a run predicts; none where it is the image itself, and
    /// none of a folder whose diagram does not speak of the run's environments.
    pub fn diagram_for(&self, run: &RunSpec) -> Option<DiagramFile> {
        run.diagram_speaks_of().ok()?;
        match run.task {
            Task::Classification | Task::Multimodal => self.diagram.clone(),
            Task::Segmentation => self.images.phantom()?.mask_diagram().ok(),
            _ => None,
        }
    }

    /// Number of patients at a site.
    pub fn patients(&self, site: usize) -> usize {
        let of_site = self.samples.iter().filter(|s| s.site == site);
        let mut patients: Vec<&str> = of_site.map(|s| s.patient.as_str()).collect();
        patients.sort_unstable();
        patients.dedup();
        patients.len()
    }

    /// Index of a site by name.
    ///
    /// # Errors
    /// When there is none of that name; the message lists those there are.
    pub fn site(&self, name: &str) -> Result<usize> {
        self.sites
            .iter()
            .position(|site| site == name)
            .ok_or_else(|| HarnessError::Unknown {
                what: "site",
                name: name.to_owned(),
                known: self.sites.clone(),
            })
    }

    /// Sites of a role, in order.
    pub fn sites_for(&self, role: SiteRole) -> Vec<usize> {
        (0..self.sites.len())
            .filter(|&site| self.roles[site] == role)
            .collect()
    }
}

/// Simulates a cohort for a task; images are rendered when they are needed.
///
/// For anomaly detection an image is anomalous where its annotation is not empty: healthy patients
/// have small lesions too, and normal images must have none.
///
/// # Errors
/// When a setting of the simulator is out of range.
pub fn load_phantom(spec: &PhantomSpec, task: Task) -> Result<CohortData> {
    let cohort = simulate(spec)?;
    let labels: Vec<usize> = if task == Task::Anomaly {
        let is_marked = |index| usize::from(cohort.mask(index).contains(&1));
        let all = (0..cohort.samples().len()).into_par_iter();
        on_every_core(|| all.map(is_marked).collect())?
    } else {
        cohort.samples().iter().map(|s| s.label).collect()
    };
    let samples = cohort
        .samples()
        .iter()
        .zip(labels)
        .map(|(s, label)| Sample {
            id: s.id.clone(),
            site: s.site,
            patient: s.patient.clone(),
            label,
            split: None,
            attributes: s.attributes.clone(),
        });
    Ok(CohortData {
        spec: CohortSpec::Phantom { spec: spec.clone() },
        sites: cohort.sites().iter().map(|s| s.name.clone()).collect(),
        roles: cohort.sites().iter().map(|s| s.role).collect(),
        classes: vec!["healthy".into(), "diseased".into()],
        mask_classes: vec!["background".into(), "lesion".into()],
        attributes: cohort.attributes().iter().map(|&a| a.to_owned()).collect(),
        diagram: Some(cohort.diagram().clone()),
        samples: samples.collect(),
        images: ImageBank::of_phantom(cohort, CACHE_BYTES),
        divisions: Divisions::default(),
    })
}

/// Opens a cohort on disk for a task, with the values of a column as its environments where that is
/// not `site`; images that the task cannot use are left out: those without
/// a label in classification and multimodal prediction, without a mask in segmentation, without
/// either in anomaly detection.
///
/// # Errors
/// When manifest or configuration are at fault, or no image is left, or fewer than two classes.
pub fn load_folder(
    folder: &Path,
    task: Task,
    (training, environment): (&Training, Option<&str>),
) -> Result<CohortData> {
    let mut data = load_images(folder, task, (training, environment))?;
    let found = diagram_of(folder)?;
    if let CohortSpec::Folder { diagram, .. } = &mut data.spec {
        *diagram = found.as_ref().map(|(text, _)| text.clone());
    }
    data.diagram = found.map(|(_, file)| file);
    Ok(data)
}

/// As [`load_folder`], without what is known of causes.
fn load_images(
    folder: &Path,
    task: Task,
    (training, environment): (&Training, Option<&str>),
) -> Result<CohortData> {
    let cohort = Arc::new(Cohort::open(folder)?);
    let environments = Environments::of(&cohort, environment);
    let columns = Columns::of(&cohort);
    let (mut samples, mut records) = (Vec::new(), Vec::new());
    for (index, record) in cohort.records().iter().enumerate() {
        let Some(label) = label_for(task, record) else {
            continue;
        };
        records.push(index);
        samples.push(Sample {
            id: record.path.clone(),
            site: environments.of_record[index],
            patient: record.patient.clone(),
            label,
            split: record.split,
            attributes: columns.values(record),
        });
    }
    let classes = classes_for(task, &cohort);
    check(folder, task, &classes, samples.len())?;
    let request = ImageRequest {
        height: training.size,
        width: training.size,
        colour: if training.colour || training.channel.is_some() {
            Colour::Rgb
        } else {
            Colour::Grey
        },
    };
    Ok(CohortData {
        spec: CohortSpec::Folder {
            hash: on_every_core(|| data_hash(&cohort, HashDepth::Contents))??,
            environment: environment.map(str::to_owned),
            diagram: None,
        },
        roles: vec![SiteRole::Source; environments.names.len()],
        sites: environments.names,
        classes,
        mask_classes: cohort.mask().map(|m| m.classes.clone()).unwrap_or_default(),
        attributes: columns.names,
        diagram: None,
        samples,
        images: ImageBank::Store {
            store: Box::new(ImageStore::new(cohort, request, CACHE_BYTES)),
            records,
            channel: training.channel,
        },
        divisions: Divisions::default(),
    })
}

/// What a folder's `diagram.toml` says of causes, as text and read; `None` where there is none.
fn diagram_of(folder: &Path) -> Result<Option<(String, DiagramFile)>> {
    let path = folder.join(DIAGRAM);
    // Not a `Data` error, which would mean that the cohort lacks a task.
    let fault = |message: String| HarnessError::Config {
        origin: path.display().to_string(),
        key: "diagram".into(),
        message,
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error.to_string())),
    };
    let file = DiagramFile::parse(&text).map_err(|error| fault(error.to_string()))?;
    Ok(Some((text, file)))
}

/// Opens a cohort whose labels and masks nobody needs: every image, in manifest order, in class 0;
/// `environment` is the column of the environments where the cohort has it.
///
/// # Errors
/// When manifest or configuration are at fault, or there is no image.
pub fn load_unlabelled(
    folder: &Path,
    (classes, mask_classes): (&[String], &[String]),
    (training, environment): (&Training, Option<&str>),
) -> Result<CohortData> {
    let known = Cohort::open(folder)?;
    let environment = environment.filter(|&column| known.columns().iter().any(|c| c == column));
    let mut data = load_images(folder, Task::Reconstruction, (training, environment))?;
    for sample in &mut data.samples {
        sample.label = 0;
    }
    data.classes = classes.to_vec();
    data.mask_classes = mask_classes.to_vec();
    Ok(data)
}

/// The environments of a cohort: its sites, or the values of another column, sorted.
struct Environments {
    names: Vec<String>,
    of_record: Vec<usize>,
}

impl Environments {
    fn of(cohort: &Cohort, column: Option<&str>) -> Self {
        let Some(column) = column else {
            return Self {
                names: cohort.sites().to_vec(),
                of_record: cohort.records().iter().map(|r| r.site).collect(),
            };
        };
        let value = |index: usize| cohort.cell(index, column).unwrap_or_default();
        let mut names: Vec<String> = (0..cohort.len()).map(|i| value(i).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let place = |index| names.iter().position(|name| name == value(index));
        Self {
            // Every value is among the names, which were made of them.
            of_record: (0..cohort.len()).map(|i| place(i).unwrap_or(0)).collect(),
            names,
        }
    }
}

/// The class of a record for a task; `None` where the task cannot use it.
fn label_for(task: Task, record: &Record) -> Option<usize> {
    match task {
        Task::Segmentation => {
            record.mask_path.as_ref()?;
            Some(record.label.unwrap_or(0))
        }
        Task::Reconstruction => Some(record.label.unwrap_or(0)),
        Task::Anomaly => record
            .anomalous
            .or_else(|| record.label.map(|label| label > 0))
            .map(usize::from),
        _ => record.label,
    }
}

fn classes_for(task: Task, cohort: &Cohort) -> Vec<String> {
    match task {
        Task::Anomaly => vec!["normal".into(), "anomalous".into()],
        _ if cohort.classes().is_empty() => vec!["all".into()],
        _ => cohort.classes().to_vec(),
    }
}

fn check(folder: &Path, task: Task, classes: &[String], images: usize) -> Result<()> {
    let labelled = matches!(
        task,
        Task::Classification | Task::Multimodal | Task::Anomaly
    );
    if images > 0 && (classes.len() > 1 || !labelled) {
        return Ok(());
    }
    let needs = match task {
        Task::Segmentation => "images with a mask",
        Task::Reconstruction => "images",
        Task::Anomaly => "images that are labelled, or marked as anomalous or not",
        _ => "labelled images of at least two classes",
    };
    Err(HarnessError::Data {
        path: folder.join("manifest.csv"),
        message: format!(
            "{} needs {needs}, found {images} such images and classes {classes:?}",
            task.as_str()
        ),
    })
}

/// The attribute columns of a cohort as numbers: a category is one column for each level.
struct Columns {
    names: Vec<String>,
    levels: Vec<Option<usize>>,
}

impl Columns {
    fn of(cohort: &Cohort) -> Self {
        let (mut names, mut levels) = (Vec::new(), Vec::new());
        for input in cohort.attribute_inputs() {
            if let AttributeKind::Categorical { levels: words } = &input.kind {
                names.extend(words.iter().map(|word| format!("{}={word}", input.name)));
                levels.push(Some(words.len()));
            } else {
                names.push(input.name.clone());
                levels.push(None);
            }
        }
        Self { names, levels }
    }

    fn values(&self, record: &Record) -> Vec<Option<f64>> {
        let mut values = Vec::with_capacity(self.names.len());
        for (value, levels) in record.attributes.iter().zip(&self.levels) {
            match (value, levels) {
                (AttributeValue::Level(level), Some(count)) => {
                    values.extend((0..*count).map(|i| Some(f64::from(i == *level))));
                }
                (_, Some(count)) => values.extend(std::iter::repeat_n(None, *count)),
                (AttributeValue::Number(number), None) => values.push(Some(*number)),
                (_, None) => values.push(None),
            }
        }
        values
    }
}

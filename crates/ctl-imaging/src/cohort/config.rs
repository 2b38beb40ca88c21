//! `cohort.toml`: what the columns of a manifest mean.

use super::volumes::VolumesConfig;
use super::{MaskRule, Task};
use crate::Result;
use crate::bounded;
use crate::problem::{Problem, ProblemKind};
use serde::Deserialize;
use std::path::Path;

/// The one version of the format so far.
const SCHEMA: u32 = 1;

/// Cells that mean "not known" unless `missing` says otherwise.
pub(crate) const MISSING: [&str; 4] = ["", "NA", "nan", "NaN"];

/// Columns that are model inputs, where they exist, unless `attributes.inputs` says otherwise.
const INPUTS: [&str; 2] = ["age", "sex"];

/// The share of the full range at which a binary mask is cut unless it says otherwise.
const THRESHOLD: f64 = 0.5;

/// The content of `cohort.toml`, key by key.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    schema: Option<u32>,
    pub(crate) name: Option<String>,
    pub(crate) tasks: Option<Vec<Task>>,
    pub(crate) licence: Option<String>,
    pub(crate) pixel_mm: Option<f64>,
    missing: Option<Vec<String>>,
    pub(crate) label: Option<LabelConfig>,
    pub(crate) mask: Option<MaskConfig>,
    pub(crate) anomaly: Option<AnomalyConfig>,
    #[serde(default)]
    pub(crate) attributes: AttributesConfig,
    pub(crate) volumes: Option<VolumesConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelConfig {
    pub(crate) column: Option<String>,
    pub(crate) classes: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaskConfig {
    pub(crate) column: Option<String>,
    pub(crate) classes: Option<Vec<String>>,
    pub(crate) threshold: Option<f64>,
    pub(crate) values: Option<Vec<f64>>,
    pub(crate) second_observer: Option<String>,
    pub(crate) evaluate_within: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnomalyConfig {
    pub(crate) column: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttributesConfig {
    pub(crate) inputs: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) numeric: Vec<String>,
    #[serde(default)]
    pub(crate) categorical: Vec<String>,
}

impl Config {
    /// Reads `cohort.toml` where it exists; without it, and where it is faulty, the defaults hold.
    ///
    /// The second value is the hash of the file's bytes.
    pub(crate) fn read(
        file: &Path,
        problems: &mut Vec<Problem>,
    ) -> Result<(Self, Option<blake3::Hash>)> {
        if !file.exists() {
            return Ok((Self::default(), None));
        }
        // An empty file lacks `schema`, which the check below says better than a reader could.
        let is_empty = file.metadata().is_ok_and(|metadata| metadata.len() == 0);
        let bytes = if is_empty {
            Vec::new()
        } else {
            bounded::read_file(file)?
        };
        Ok((
            Self::parse(&bytes, file, problems),
            Some(blake3::hash(&bytes)),
        ))
    }

    /// Parses and checks the content of `cohort.toml`.
    pub(crate) fn parse(bytes: &[u8], file: &Path, problems: &mut Vec<Problem>) -> Self {
        match parse_toml(bytes, file) {
            Ok(config) => {
                let text = String::from_utf8_lossy(bytes);
                problems.extend(
                    config
                        .faults(file)
                        .into_iter()
                        .map(|fault| located(fault, &text)),
                );
                config
            }
            Err(problem) => {
                problems.push(*problem);
                Self::default()
            }
        }
    }

    /// Cells that mean "not known", beside the empty one.
    pub(crate) fn missing(&self) -> Vec<String> {
        let usual = || MISSING.map(str::to_owned).to_vec();
        self.missing.clone().unwrap_or_else(usual)
    }

    /// Whether a trimmed cell means "not known".
    pub(crate) fn is_missing(&self, cell: &str) -> bool {
        match &self.missing {
            Some(markers) => markers.iter().any(|marker| marker == cell),
            None => MISSING.contains(&cell),
        }
    }

    /// The input columns, and whether they were declared and so must exist.
    pub(crate) fn inputs(&self) -> (Vec<&str>, bool) {
        match &self.attributes.inputs {
            Some(inputs) => (inputs.iter().map(String::as_str).collect(), true),
            None => (INPUTS.to_vec(), false),
        }
    }

    fn faults(&self, file: &Path) -> Vec<Problem> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, expected: &str, found: String| {
            let problem = Problem::new(file, ProblemKind::BadConfig, expected, found);
            faults.push(problem.in_column(key));
        };
        if self.schema != Some(SCHEMA) {
            let found = self
                .schema
                .map_or("none".to_owned(), |schema| schema.to_string());
            fault("schema", "`schema = 1`", found);
        }
        if self
            .name
            .as_ref()
            .is_some_and(|name| name.trim().is_empty())
        {
            fault("name", "a name", "an empty text".to_owned());
        }
        // Written so that NaN is out of range, too.
        if let Some(side) = self.pixel_mm
            && !(side > 0.0 && side.is_finite())
        {
            let expected = "the side of a pixel in millimetres, above 0";
            fault("pixel_mm", expected, side.to_string());
        }
        if let Some(classes) = self.label.as_ref().and_then(|label| label.classes.as_ref()) {
            check_classes("label.classes", classes, &mut fault);
        }
        if let Some(mask) = &self.mask {
            mask.check(&mut fault);
        }
        if let Some(volumes) = &self.volumes {
            volumes.check(&mut fault);
        }
        let has_volumes = self.volumes.is_some();
        if has_volumes
            && self
                .mask
                .as_ref()
                .is_some_and(|mask| mask.threshold.is_some())
        {
            let expected = "`values` for the labels of volumes";
            fault("mask.threshold", expected, "a threshold".to_owned());
        }
        if has_volumes && self.pixel_mm.is_some() {
            let expected = "no `pixel_mm` beside `[volumes]`, whose files say how large voxels are";
            fault("pixel_mm", expected, "both".to_owned());
        }
        self.check_inputs(&mut fault);
        faults
    }

    /// A column that tells the answer, or the file, must not reach a model.
    fn check_inputs(&self, fault: &mut impl FnMut(&str, &str, String)) {
        let label = self
            .label
            .as_ref()
            .and_then(|label| label.column.as_deref());
        let mask = self.mask.as_ref().and_then(|mask| mask.column.as_deref());
        let anomaly = self.anomaly.as_ref().map(|anomaly| anomaly.column.as_str());
        let mut kept_from_models = vec!["path", "patient", "split"];
        kept_from_models.extend([label.unwrap_or("label"), mask.unwrap_or("mask_path")]);
        kept_from_models.extend(anomaly);
        let inputs = self.attributes.inputs.iter().flatten();
        for (position, input) in inputs.clone().enumerate() {
            if kept_from_models.contains(&input.as_str()) {
                let expected = "columns that are neither path, label, mask, patient nor split";
                fault("attributes.inputs", expected, format!("`{input}`"));
            }
            if inputs
                .clone()
                .take(position)
                .any(|earlier| earlier == input)
            {
                fault(
                    "attributes.inputs",
                    "each column once",
                    format!("`{input}` again"),
                );
            }
        }
        let AttributesConfig {
            numeric,
            categorical,
            ..
        } = &self.attributes;
        for both in numeric.iter().filter(|column| categorical.contains(column)) {
            fault(
                "attributes.numeric",
                "columns that are not categorical",
                format!("`{both}`"),
            );
        }
    }
}

impl MaskConfig {
    fn check(&self, fault: &mut impl FnMut(&str, &str, String)) {
        if let Some(classes) = &self.classes {
            check_classes("mask.classes", classes, fault);
        }
        let classes = self.classes.as_ref().map(Vec::len);
        if let Some(threshold) = self.threshold {
            // Written so that NaN is out of range, too.
            if !(threshold > 0.0 && threshold <= 1.0) {
                fault(
                    "mask.threshold",
                    "a share above 0 and at most 1",
                    threshold.to_string(),
                );
            }
            if self.values.is_some() {
                fault(
                    "mask.values",
                    "either `threshold` or `values`",
                    "both".to_owned(),
                );
            }
            if classes.is_some_and(|count| count != 2) {
                let found = format!("{} classes", classes.unwrap_or(0));
                fault("mask.classes", "two classes for a threshold", found);
            }
        }
        if let Some(values) = &self.values {
            Self::check_values(values, classes, fault);
        }
    }

    fn check_values(
        values: &[f64],
        classes: Option<usize>,
        fault: &mut impl FnMut(&str, &str, String),
    ) {
        let key = "mask.values";
        if values.iter().any(|value| !value.is_finite()) {
            fault(key, "finite numbers", format!("{values:?}"));
        }
        if (1..values.len()).any(|end| values[..end].contains(&values[end])) {
            fault(
                key,
                "a value of its own for each class",
                format!("{values:?}"),
            );
        }
        if values.is_empty() || classes.is_some_and(|count| count != values.len()) {
            let expected = format!("one value for each of {} classes", classes.unwrap_or(2));
            fault(key, &expected, values.len().to_string());
        }
    }

    /// Names of the classes and the rule, with what follows from the other where one is absent.
    ///
    /// Label maps of volumes hold the positions of their classes unless `values` says otherwise.
    pub(crate) fn classes_and_rule(&self, of_volumes: bool) -> (Vec<String>, MaskRule) {
        let count = self.values.as_ref().map_or(2, Vec::len);
        let classes = self
            .classes
            .clone()
            .unwrap_or_else(|| default_classes(count));
        let rule = match (&self.values, self.threshold) {
            (Some(values), _) => MaskRule::Values(values.iter().map(|value| value + 0.0).collect()),
            (None, Some(threshold)) => MaskRule::Threshold(threshold),
            (None, None) if classes.len() == 2 && !of_volumes => MaskRule::Threshold(THRESHOLD),
            (None, None) => MaskRule::Values((0..classes.len()).map(|i| i as f64).collect()),
        };
        (classes, rule)
    }
}

fn default_classes(count: usize) -> Vec<String> {
    match count {
        2 => vec!["background".to_owned(), "foreground".to_owned()],
        _ => (0..count).map(|class| format!("class {class}")).collect(),
    }
}

fn check_classes(key: &str, classes: &[String], fault: &mut impl FnMut(&str, &str, String)) {
    if classes.len() < 2 {
        fault(key, "at least two classes", classes.len().to_string());
    }
    for (position, class) in classes.iter().enumerate() {
        if class.trim().is_empty() || class.trim() != class {
            fault(
                key,
                "names without blanks around them",
                format!("`{class}`"),
            );
        }
        if classes[..position].contains(class) {
            fault(key, "each class once", format!("`{class}` again"));
        }
    }
}

fn parse_toml(bytes: &[u8], file: &Path) -> std::result::Result<Config, Box<Problem>> {
    let fault = |found: String| Problem::new(file, ProblemKind::BadConfig, EXPECTED, found);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Box::new(fault(format!("bytes that are not UTF-8: {error}"))))?;
    let located = |error: &toml::de::Error| {
        let problem = fault(one_line(error.message()));
        match error.span() {
            Some(span) => problem.at_row(line_of(text, span.start)),
            None => problem,
        }
    };
    let deserializer =
        toml::Deserializer::parse(text).map_err(|error| Box::new(located(&error)))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let problem = located(error.inner());
        Box::new(match error.path().iter().next() {
            Some(_) => problem.in_column(error.path().to_string()),
            None => problem,
        })
    })
}

/// The same fault with the line in which its key is set, if it is.
fn located(fault: Problem, text: &str) -> Problem {
    let key = fault
        .column
        .as_deref()
        .and_then(|key| key.rsplit('.').next())
        .unwrap_or_default();
    let sets_key = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    match text.lines().position(sets_key) {
        Some(position) => fault.at_row(position as u64 + 1),
        None => fault,
    }
}

const EXPECTED: &str = "a cohort description";

fn one_line(message: &str) -> String {
    message.split('\n').collect::<Vec<_>>().join(" ")
}

fn line_of(text: &str, offset: usize) -> u64 {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|&&byte| byte == b'\n').count() as u64
}

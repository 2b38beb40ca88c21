//! `dataset.json` of nnU-Net.

use crate::Result;
use crate::bounded::read_file;
use crate::error::ImagingError;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What image files may be called: formats that are read here.
const ENDINGS: [&str; 5] = [".nii.gz", ".nii", ".nrrd", ".mha", PICTURE];
/// The one of them whose files are pictures.
pub(super) const PICTURE: &str = ".png";
/// What the first version, which does not say, uses.
const FIRST_ENDING: &str = ".nii.gz";
/// Name of the first class.
const BACKGROUND: &str = "background";
/// Name of the label outside which nothing is learnt.
const IGNORE: &str = "ignore";

/// A data set as it describes itself.
pub(super) struct Description {
    path: PathBuf,
    /// Empty where it has none.
    pub(super) name: String,
    pub(super) licence: String,
    /// Names of channels by their numbers.
    pub(super) channels: Vec<String>,
    /// Classes in the order of their numbers, which start at 0.
    pub(super) classes: Vec<String>,
    pub(super) ending: String,
    pub(super) training: usize,
    /// Whether names of classes stood first, as since the second version.
    pub(super) version: u8,
}

impl Description {
    /// Reads either version.
    pub(super) fn read(source: &Path) -> Result<Self> {
        let path = source.join("dataset.json");
        let bytes = read_file(&path)?;
        let fields: Map<String, Value> = serde_json::from_slice(&bytes)
            .map_err(|error| ImagingError::decode(&path, "JSON", error))?;
        let fields = Fields {
            path: &path,
            fields: &fields,
        };
        fields.refuse_what_is_not_read()?;
        let second = fields.fields.contains_key("channel_names");
        let channels = fields.table(if second { "channel_names" } else { "modality" })?;
        let labels = fields.table("labels")?;
        Ok(Self {
            name: fields.text("name")?.unwrap_or_default(),
            licence: licence(&fields)?,
            channels: fields.numbered(&by_number(&channels), "channels")?,
            classes: fields.classes(&labels)?,
            ending: fields.ending(second)?,
            training: fields.training()?,
            version: if second { 2 } else { 1 },
            path,
        })
    }

    /// The number of a channel, by its name or number.
    pub(super) fn channel(&self, wanted: &str) -> Result<usize> {
        let named = self.channels.iter().position(|name| name == wanted);
        let number = || {
            wanted
                .parse()
                .ok()
                .filter(|&number| number < self.channels.len())
        };
        named.or_else(number).ok_or_else(|| {
            let expected = format!("one of {}", self.channels.join(", "));
            ImagingError::argument("channel", expected, format!("`{wanted}`"))
        })
    }

    pub(super) fn check_training(&self, found: usize) -> Result<()> {
        if found == self.training {
            return Ok(());
        }
        let expected = format!("{} training cases, as `numTraining` says", self.training);
        Err(ImagingError::content(
            &self.path,
            expected,
            found.to_string(),
        ))
    }
}

fn licence(fields: &Fields<'_>) -> Result<String> {
    let found = fields.text("licence")?;
    Ok(match found {
        Some(found) => found,
        None => fields.text("license")?.unwrap_or_default(),
    })
}

struct Fields<'a> {
    path: &'a Path,
    fields: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn wrong(&self, expected: impl Into<String>, found: impl Into<String>) -> ImagingError {
        ImagingError::content(self.path, expected, found)
    }

    fn text(&self, key: &str) -> Result<Option<String>> {
        match self.fields.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(other) => Err(self.wrong(format!("a text as `{key}`"), other.to_string())),
        }
    }

    fn table(&self, key: &str) -> Result<Map<String, Value>> {
        match self.fields.get(key) {
            Some(Value::Object(table)) => Ok(table.clone()),
            Some(other) => Err(self.wrong(format!("an object as `{key}`"), other.to_string())),
            None => {
                let found: Vec<&str> = self.fields.keys().map(String::as_str).collect();
                Err(self.wrong(format!("the key `{key}`"), found.join(", ")))
            }
        }
    }

    fn refuse_what_is_not_read(&self) -> Result<()> {
        if self.fields.contains_key("dataset") {
            let expected = "cases by the names of their files in imagesTr and labelsTr";
            return Err(self.wrong(expected, "a list of files as `dataset`, which is not read"));
        }
        match self.text("overwrite_image_reader_writer")?.as_deref() {
            Some("Tiff3DIO") => {
                let found = "Tiff3DIO, whose spacing stands in further files, which are not read";
                Err(self.wrong("files that say where an image lies, or PNG", found))
            }
            _ => Ok(()),
        }
    }

    fn ending(&self, second: bool) -> Result<String> {
        let found = self.text("file_ending")?;
        let ending = match found {
            None if !second => FIRST_ENDING.to_owned(),
            found => found.unwrap_or_default(),
        };
        if ENDINGS.contains(&ending.as_str()) {
            return Ok(ending);
        }
        let expected = format!("one of {} as `file_ending`", ENDINGS.join(", "));
        Err(self.wrong(expected, format!("`{ending}`")))
    }

    fn training(&self) -> Result<usize> {
        let found = self.fields.get("numTraining");
        let number = found.and_then(Value::as_u64);
        number.map(|number| number as usize).ok_or_else(|| {
            let found = found.map_or("none".to_owned(), Value::to_string);
            self.wrong("the number of training cases as `numTraining`", found)
        })
    }

    /// Names by numbers that run from 0 on, each with a name of its own.
    fn numbered(&self, pairs: &[(Value, String)], what: &str) -> Result<Vec<String>> {
        let mut names = vec![String::new(); pairs.len()];
        for (number, name) in pairs {
            let place = match number {
                Value::Number(number) => number.as_u64(),
                Value::String(number) => number.trim().parse().ok(),
                _ => None,
            };
            let free = place.and_then(|place| names.get_mut(usize::try_from(place).ok()?));
            match free.filter(|free| free.is_empty()) {
                Some(free) if !name.trim().is_empty() => name.trim().clone_into(free),
                _ => {
                    let expected = format!("{what} 0 to {}, each once", pairs.len() - 1);
                    return Err(self.wrong(expected, format!("{number} for `{name}`")));
                }
            }
        }
        let again = |place: &usize| names[..*place].contains(&names[*place]);
        match (names.is_empty(), (0..names.len()).find(again)) {
            (true, _) => Err(self.wrong(format!("one or more {what}"), "none")),
            (_, Some(place)) => {
                let found = format!("`{}` twice", names[place]);
                Err(self.wrong(format!("{what} with different names"), found))
            }
            _ => Ok(names),
        }
    }

    /// Classes of masks; regions and the label to be ignored are no classes.
    fn classes(&self, labels: &Map<String, Value>) -> Result<Vec<String>> {
        if let Some((region, values)) = labels.iter().find(|(_, value)| value.is_array()) {
            let expected = "labels that exclude each other";
            let found = format!("the region `{region}` of {values}: regions are not read");
            return Err(self.wrong(expected, found));
        }
        if labels.contains_key(IGNORE) {
            let expected = "masks in which every pixel is of a class";
            let found = "the label `ignore`, which is not read";
            return Err(self.wrong(expected, found));
        }
        // The first version names by number, the second numbers by name.
        let by_name = labels.get(BACKGROUND).is_some();
        let pairs = if by_name {
            labels
                .iter()
                .map(|(name, number)| (number.clone(), name.clone()))
                .collect()
        } else {
            by_number(labels)
        };
        let classes = self.numbered(&pairs, "labels")?;
        if classes[0] != BACKGROUND {
            let found = format!("`{}`", classes[0]);
            return Err(self.wrong("`background` as label 0", found));
        }
        if classes.len() < 2 {
            return Err(self.wrong("a label beside `background`", "none"));
        }
        Ok(classes)
    }
}

fn by_number(table: &Map<String, Value>) -> Vec<(Value, String)> {
    let pairs = table.iter().map(|(number, name)| {
        let name = name
            .as_str()
            .map_or_else(|| name.to_string(), str::to_owned);
        (Value::String(number.clone()), name)
    });
    pairs.collect()
}

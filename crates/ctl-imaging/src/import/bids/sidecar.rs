//! JSON files beside images, and the inheritance principle.

use super::Image;
use super::description::json;
use super::name::Name;
use crate::Result;
use crate::error::ImagingError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The JSON files of a data set by their folders.
pub(super) struct Sidecars {
    source: PathBuf,
    by_folder: BTreeMap<String, Vec<(Name, String)>>,
    read: BTreeMap<String, Map<String, Value>>,
}

impl Sidecars {
    pub(super) fn find(source: &Path, files: &[String]) -> Self {
        let mut by_folder: BTreeMap<String, Vec<(Name, String)>> = BTreeMap::new();
        for path in files {
            let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
            if let Some(name) = Name::parse(file).filter(|name| name.ending == "json") {
                let of_folder = by_folder.entry(folder.to_owned()).or_default();
                of_folder.push((name, path.clone()));
            }
        }
        Self {
            source: source.to_owned(),
            by_folder,
            read: BTreeMap::new(),
        }
    }

    /// Fields of all images, one row an image; empty where an image's sidecars do not have it.
    pub(super) fn fields(
        &mut self,
        images: &[Image],
        wanted: &[String],
    ) -> Result<Vec<Vec<String>>> {
        if wanted.is_empty() {
            return Ok(vec![Vec::new(); images.len()]);
        }
        let mut rows = Vec::with_capacity(images.len());
        for image in images {
            rows.push(self.fields_of(image, wanted)?);
        }
        for (place, field) in wanted.iter().enumerate() {
            if rows.iter().all(|row: &Vec<String>| row[place].is_empty()) {
                let expected = format!("the field `{field}` in a sidecar of one image or more");
                return Err(ImagingError::content(&self.source, expected, "none"));
            }
        }
        Ok(rows)
    }

    fn fields_of(&mut self, image: &Image, wanted: &[String]) -> Result<Vec<String>> {
        let mut found = vec![String::new(); wanted.len()];
        for path in self.applicable(image)? {
            let whole = self.source.join(&path);
            if !self.read.contains_key(&path) {
                self.read.insert(path.clone(), json(&whole)?);
            }
            let fields = &self.read[&path];
            for (cell, field) in found.iter_mut().zip(wanted) {
                if let Some(value) = fields.get(field) {
                    *cell = text(value).ok_or_else(|| {
                        let expected = format!("a text, a number or a list of them as `{field}`");
                        ImagingError::content(&whole, expected, "an object")
                    })?;
                }
            }
        }
        Ok(found)
    }

    /// The sidecars of an image from the farthest to the nearest, at most one a folder.
    fn applicable(&self, image: &Image) -> Result<Vec<String>> {
        let folders = image.folder();
        let ends = folders.match_indices('/').map(|(end, _)| end);
        let levels = [0].into_iter().chain(ends).chain([folders.len()]);
        let mut applicable = Vec::new();
        for level in levels {
            let here = self.by_folder.get(&folders[..level]).into_iter().flatten();
            let mut fitting = here.filter(|(name, _)| {
                name.suffix == image.name.suffix && image.name.has_all_of(name)
            });
            let (first, second) = (fitting.next(), fitting.next());
            if let (Some((_, first)), Some((_, second))) = (first, second) {
                return Err(ImagingError::content(
                    &self.source.join(&image.path),
                    "at most one sidecar in each folder",
                    format!("{first} and {second}"),
                ));
            }
            applicable.extend(first.map(|(_, path)| path.clone()));
        }
        Ok(applicable)
    }
}

/// A value as a cell; lists as DICOM writes them, between backslashes.
fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => {
            let single = |value: &Value| match value {
                Value::Array(_) => None,
                single => text(single),
            };
            let texts: Option<Vec<String>> = values.iter().map(single).collect();
            texts?.join("\\")
        }
        Value::Object(_) => return None,
    })
}

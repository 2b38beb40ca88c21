//! `dataset_description.json`.

use crate::Result;
use crate::bounded::read_file;
use crate::error::ImagingError;
use serde_json::Value;
use std::path::Path;

/// What a data set says of itself.
pub(super) struct Description {
    pub(super) name: String,
    /// Of BIDS.
    pub(super) version: String,
    /// Empty where none is stated.
    pub(super) licence: String,
}

impl Description {
    pub(super) fn read(source: &Path) -> Result<Self> {
        let path = source.join("dataset_description.json");
        if !path.exists() {
            let expected = "a dataset_description.json, as every data set of BIDS has";
            return Err(ImagingError::content(source, expected, "none"));
        }
        let fields = json(&path)?;
        let text = |key: &str| match fields.get(key) {
            Some(Value::String(text)) => Some(text.trim().to_owned()),
            _ => None,
        };
        let needed = |key: &str| {
            text(key).filter(|text| !text.is_empty()).ok_or_else(|| {
                let found = fields.get(key).map_or("none".to_owned(), Value::to_string);
                ImagingError::content(&path, format!("a text as `{key}`"), found)
            })
        };
        let (name, version) = (needed("Name")?, needed("BIDSVersion")?);
        if !version.starts_with("1.") {
            let expected = "version 1 of BIDS as `BIDSVersion`";
            return Err(ImagingError::content(&path, expected, version));
        }
        Ok(Self {
            name,
            version,
            licence: text("License").unwrap_or_default(),
        })
    }
}

/// The object in a JSON file.
pub(super) fn json(path: &Path) -> Result<serde_json::Map<String, Value>> {
    let bytes = read_file(path)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ImagingError::content(
            path,
            "a JSON object",
            "another value",
        )),
        Err(error) => Err(ImagingError::decode(path, "JSON", error)),
    }
}

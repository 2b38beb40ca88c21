//! What the files of a series say together.

use super::TagColumn;
use super::age::years;
use crate::Result;
use crate::dicom::{Secret, SeriesFiles, series_headers, values};
use crate::error::{ImagingError, chain};
use crate::import::files::unfit;
use dicom_dictionary_std::tags;
use rayon::prelude::*;
use std::path::Path;

/// Whether a series makes one volume that a cohort takes, or why it is left out.
///
/// # Errors
/// When it makes none and is not to be left out.
pub(super) fn single(
    series: &SeriesFiles,
    skip_faulty: bool,
) -> Result<std::result::Result<(), String>> {
    match series_headers(&series.files) {
        Ok(headers) => Ok(match headers.as_slice() {
            [only] => unfit(only).map_or(Ok(()), Err),
            _ => Err(format!("a series of {} stacks", headers.len())),
        }),
        Err(error) if skip_faulty => Ok(Err(chain(&error))),
        Err(error) => Err(error),
    }
}

/// A series that becomes a row.
pub(super) struct Row {
    pub(super) files: SeriesFiles,
    /// `PatientID`.
    pub(super) patient: String,
    /// One for each column.
    pub(super) values: Vec<String>,
}

impl Row {
    /// Reads all files' headers, which must agree.
    pub(super) fn read(files: SeriesFiles, columns: &[TagColumn], source: &Path) -> Result<Self> {
        let mut read = vec![tags::PATIENT_ID];
        read.extend(columns.iter().map(|column| column.tag));
        let found = files.files.par_iter().map(|path| values(path, &read));
        let found = found.collect::<Result<Vec<Vec<String>>>>()?;
        let first = found.first().cloned().unwrap_or_default();
        let keywords = ["PatientID"].into_iter();
        let keywords = keywords.chain(columns.iter().map(|column| column.keyword.as_str()));
        for (place, keyword) in keywords.enumerate() {
            let other = found.iter().position(|own| own[place] != first[place]);
            if let Some(other) = other {
                let expected = format!("one {keyword} in all files of a series");
                // The values may say who the patient is.
                let found = format!("another than in {}", files.files[0].display());
                return Err(ImagingError::content(&files.files[other], expected, found));
            }
        }
        let mut first = first.into_iter();
        let patient = first.next().unwrap_or_default();
        let path = files.files.first().map_or(source, |path| path.as_path());
        let values = first
            .zip(columns)
            .map(|(value, column)| column.cell(value, path));
        Ok(Self {
            values: values.collect::<Result<_>>()?,
            patient,
            files,
        })
    }

    /// The cells of the manifest, which name nobody.
    pub(super) fn cells(&self, path: String, secret: &Secret) -> Vec<String> {
        let patient = if self.patient.is_empty() {
            secret.name("study", &self.files.study)
        } else {
            secret.pseudonym(&self.patient)
        };
        let mut cells = vec![
            path,
            patient,
            secret.uid(&self.files.study),
            secret.uid(&self.files.uid),
            self.files.modality.clone(),
        ];
        cells.extend(self.values.iter().cloned());
        cells
    }
}

impl TagColumn {
    fn cell(&self, value: String, path: &Path) -> Result<String> {
        let expected = match self.column.as_str() {
            "site" if value.is_empty() => format!("{} as the site", self.keyword),
            "age" if !value.is_empty() => match years(&value) {
                Some(age) => return Ok(age),
                None => "a PatientAge such as 045Y, of at most 150 years".to_owned(),
            },
            _ => return Ok(value),
        };
        let found = if value.is_empty() {
            "none".to_owned()
        } else {
            format!("`{value}`")
        };
        Err(ImagingError::content(path, expected, found))
    }
}

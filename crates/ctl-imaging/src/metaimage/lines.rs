//! The lines `key = value` of a header.

use super::can_read;
use crate::Result;
use crate::error::ImagingError;
use crate::sidecar::MAX_FILES;
use std::io::{BufRead, Read};
use std::path::Path;
use std::str::FromStr;

/// Longest header that is read (4 MiB), without a list of data files.
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// Changed letters up to which an unknown key counts as a known one misspelt.
const MISSPELT: usize = 2;

/// Keys that this crate acts upon; others are kept.
const KEYS: [&str; 26] = [
    "BinaryData",
    "BinaryDataByteOrderMSB",
    "CenterOfRotation",
    "CompressedData",
    "CompressedDataSize",
    "DimSize",
    "DistanceUnits",
    "ElementByteOrderMSB",
    "ElementDataFile",
    "ElementNBits",
    "ElementNumberOfChannels",
    "ElementSize",
    "ElementSpacing",
    "ElementToIntensityFunctionOffset",
    "ElementToIntensityFunctionSlope",
    "ElementType",
    "HeaderSize",
    "AnatomicalOrientation",
    "NDims",
    "ObjectType",
    "Offset",
    "Orientation",
    "Origin",
    "Position",
    "Rotation",
    "TransformMatrix",
];

/// A header taken apart.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) pairs: Vec<(String, String)>,
    /// Names below `ElementDataFile = LIST`.
    pub(super) listed: Vec<String>,
}

impl Lines {
    /// Reads to `ElementDataFile`, which is the last key, and the list that may follow it.
    pub(super) fn read(reader: &mut dyn BufRead, path: &Path) -> Result<Self> {
        let start = reader
            .fill_buf()
            .map_err(|source| ImagingError::io(path, "read", source))?;
        if !can_read(start) {
            let found = format!("bytes {:02x?}", &start[..start.len().min(8)]);
            let expected = "a MetaImage header (`ObjectType = Image`)";
            return Err(ImagingError::content(path, expected, found));
        }
        let mut lines = Self::default();
        let mut bounded = Read::take(&mut *reader, MAX_HEADER_BYTES);
        while lines.get("ElementDataFile").is_none() {
            let Some(line) = next_line(&mut bounded, path)? else {
                let expected = "a key `ElementDataFile` as the last of a MetaImage header";
                return Err(ImagingError::content(path, expected, "none"));
            };
            if !line.trim().is_empty() {
                lines.add(&line, path)?;
            }
        }
        let data_file = lines.get("ElementDataFile").unwrap_or_default();
        if data_file.split_whitespace().next() == Some("LIST") {
            lines.listed = list(reader, path)?;
        }
        Ok(lines)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The text of the first of several keys of one meaning.
    pub(super) fn any<'a>(&'a self, keys: &[&'a str], path: &Path) -> Result<Option<Entry<'a>>> {
        let mut found = keys.iter().filter_map(|&key| Some((key, self.get(key)?)));
        let first = found.next();
        if let (Some((key, _)), Some((other, _))) = (first, found.next()) {
            let expected = format!("one of `{key}` and `{other}`");
            return Err(ImagingError::content(path, expected, "both"));
        }
        Ok(first.map(|(key, text)| Entry { key, text }))
    }

    pub(super) fn entry<'a>(&'a self, key: &'a str) -> Option<Entry<'a>> {
        self.get(key).map(|text| Entry { key, text })
    }

    pub(super) fn required<'a>(&'a self, key: &'a str, path: &Path) -> Result<Entry<'a>> {
        self.entry(key)
            .ok_or_else(|| ImagingError::content(path, format!("a key `{key}`"), "none"))
    }

    fn add(&mut self, line: &str, path: &Path) -> Result<()> {
        let wrong = |found: String| {
            let expected = "MetaImage lines `key = value`, each key once";
            Err(ImagingError::content(path, expected, found))
        };
        let Some((key, value)) = line.split_once('=') else {
            return wrong(format!("{line:?}"));
        };
        let key = key.trim();
        if self.get(key).is_some() {
            return wrong(format!("the key `{key}` twice"));
        }
        if let Some(known) = misspelt(key) {
            return wrong(format!("the unknown key `{key}` (is `{known}` meant?)"));
        }
        self.pairs.push((key.to_owned(), value.trim().to_owned()));
        Ok(())
    }
}

/// The known key that an unknown one is close to: what follows from it must not be lost silently.
fn misspelt(key: &str) -> Option<&'static str> {
    if KEYS.contains(&key) {
        return None;
    }
    KEYS.into_iter().find(|known| {
        let distance = strsim::damerau_levenshtein(&known.to_lowercase(), &key.to_lowercase());
        distance <= MISSPELT && known.len() > 2 * MISSPELT
    })
}

/// A key and its text, for messages.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) text: &'a str,
}

impl Entry<'_> {
    pub(super) fn wrong(self, expected: impl std::fmt::Display, path: &Path) -> ImagingError {
        let expected = format!("{expected} as `{}`", self.key);
        ImagingError::content(path, expected, format!("{:?}", self.text))
    }

    pub(super) fn number<T: FromStr>(self, expected: &str, path: &Path) -> Result<T> {
        self.text.parse().map_err(|_| self.wrong(expected, path))
    }

    /// Exactly `count` finite numbers.
    pub(super) fn numbers(self, count: usize, path: &Path) -> Result<Vec<f64>> {
        let words = self.text.split_whitespace();
        let numbers: Option<Vec<f64>> = words
            .map(|word| word.parse().ok().filter(|number: &f64| number.is_finite()))
            .collect();
        numbers
            .filter(|numbers| numbers.len() == count)
            .ok_or_else(|| self.wrong(format!("{count} finite numbers"), path))
    }

    /// `True` or `False`, of which `MetaIO` looks at the first letter (or digit).
    pub(super) fn truth(self, path: &Path) -> Result<bool> {
        match self.text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" => Ok(true),
            "false" | "f" | "0" | "no" => Ok(false),
            _ => Err(self.wrong("True or False", path)),
        }
    }
}

/// File names to the end of the file, one a line.
fn list(reader: &mut dyn BufRead, path: &Path) -> Result<Vec<String>> {
    let mut bounded = reader.take(MAX_HEADER_BYTES);
    let mut names = Vec::new();
    while let Some(line) = next_line(&mut bounded, path)? {
        if line.trim().is_empty() {
            continue;
        }
        if names.len() == MAX_FILES {
            let expected = format!("at most {MAX_FILES} data files");
            return Err(ImagingError::content(path, expected, "more"));
        }
        names.push(line.trim().to_owned());
    }
    Ok(names)
}

/// A line without its end, or nothing at the end of the file.
fn next_line(reader: &mut std::io::Take<impl BufRead>, path: &Path) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    reader
        .read_until(b'\n', &mut bytes)
        .map_err(|source| ImagingError::io(path, "read", source))?;
    if reader.limit() == 0 {
        let expected = format!("a MetaImage header of at most {MAX_HEADER_BYTES} bytes");
        return Err(ImagingError::content(path, expected, "more"));
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    String::from_utf8(bytes).map(Some).map_err(|source| {
        let bytes = source.as_bytes();
        let found = format!("bytes {:02x?}", &bytes[..bytes.len().min(16)]);
        ImagingError::content(path, "a header of text in UTF-8", found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_close_to_known_ones_are_misspelt() {
        assert_eq!(misspelt("Offest"), Some("Offset"));
        assert_eq!(misspelt("elementSpacing"), Some("ElementSpacing"));
        for key in [
            "Offset",
            "Comment",
            "Modality",
            "Name",
            "ID",
            "ElementMin",
            "ITK_note",
        ] {
            assert_eq!(misspelt(key), None, "{key}");
        }
    }
}

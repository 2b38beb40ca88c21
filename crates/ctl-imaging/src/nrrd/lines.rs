//! The lines of a header: fields, and pairs of a key and a value.

use super::{MAGIC, can_read};
use crate::Result;
use crate::error::ImagingError;
use crate::sidecar::MAX_FILES;
use std::io::{BufRead, Read};
use std::path::Path;

/// Longest header that is read (4 MiB); a list of the data files is part of it.
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// Every field of versions 1 to 5, without blanks and in lower case.
const FIELDS: [&str; 30] = [
    "axismaxs",
    "axismins",
    "blocksize",
    "byteskip",
    "centers",
    "content",
    "datafile",
    "dimension",
    "encoding",
    "endian",
    "kinds",
    "labels",
    "lineskip",
    "max",
    "measurementframe",
    "min",
    "number",
    "oldmax",
    "oldmin",
    "sampleunits",
    "sizes",
    "space",
    "spacedimension",
    "spacedirections",
    "spaceorigin",
    "spaceunits",
    "spacings",
    "thicknesses",
    "type",
    "units",
];

/// A header taken apart.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) version: u8,
    fields: Vec<(String, String)>,
    pub(super) pairs: Vec<(String, String)>,
    /// Names below `data file: LIST`.
    pub(super) listed: Vec<String>,
}

impl Lines {
    /// Reads to the empty line after which attached data begin, or to the end of the file.
    pub(super) fn read(reader: &mut dyn BufRead, path: &Path) -> Result<Self> {
        let mut reader = reader.take(MAX_HEADER_BYTES);
        let first = next_line(&mut reader, path)?.unwrap_or_default();
        let mut lines = Self {
            version: version(&first, path)?,
            ..Self::default()
        };
        let mut in_list = false;
        while let Some(line) = next_line(&mut reader, path)?.filter(|line| !line.is_empty()) {
            if in_list {
                lines.list(line, path)?;
            } else if !line.starts_with('#') {
                lines.add(&line, path)?;
                in_list = lines.field("datafile").is_some_and(is_list);
            }
        }
        Ok(lines)
    }

    /// The text of a field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The text of a field that every file has.
    pub(super) fn required(&self, name: &str, path: &Path) -> Result<&str> {
        self.field(name)
            .ok_or_else(|| ImagingError::content(path, format!("a field `{name}`"), "none"))
    }

    fn list(&mut self, line: String, path: &Path) -> Result<()> {
        if self.listed.len() == MAX_FILES {
            let expected = format!("at most {MAX_FILES} data files");
            return Err(ImagingError::content(path, expected, "more"));
        }
        self.listed.push(line);
        Ok(())
    }

    fn add(&mut self, line: &str, path: &Path) -> Result<()> {
        let wrong = |found: String| {
            let expected = "NRRD lines `field: value` or `key:=value`, each field once";
            Err(ImagingError::content(path, expected, found))
        };
        let Some((name, value)) = line.split_once(':') else {
            return wrong(format!("{line:?}"));
        };
        if let Some(value) = value.strip_prefix('=') {
            self.pairs.push((unescaped(name), unescaped(value)));
            return Ok(());
        }
        let Some(known) = canonical(name) else {
            return wrong(format!("the unknown field {name:?}"));
        };
        if self.field(known).is_some() {
            return wrong(format!("the field `{name}` twice"));
        }
        self.fields
            .push((known.to_owned(), value.trim().to_owned()));
        Ok(())
    }
}

pub(super) fn is_list(data_file: &str) -> bool {
    data_file.split_whitespace().next() == Some("LIST")
}

/// The one name of a field, however it is spelt.
fn canonical(name: &str) -> Option<&'static str> {
    let mut short: String = name.split_whitespace().collect();
    short.make_ascii_lowercase();
    if short == "centerings" {
        return Some("centers");
    }
    FIELDS.iter().find(|&&field| field == short).copied()
}

fn version(line: &str, path: &Path) -> Result<u8> {
    let digit = line.as_bytes().get(MAGIC.len()).copied();
    match digit {
        Some(digit @ b'1'..=b'5') if can_read(line.as_bytes()) && line.len() == MAGIC.len() + 1 => {
            Ok(digit - b'0')
        }
        _ => Err(ImagingError::content(
            path,
            "NRRD0001 to NRRD0005 as the first line",
            format!("{:?}", line.chars().take(16).collect::<String>()),
        )),
    }
}

/// A line without its end, or nothing at the end of the file.
fn next_line(reader: &mut std::io::Take<impl BufRead>, path: &Path) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    reader
        .read_until(b'\n', &mut bytes)
        .map_err(|source| ImagingError::io(path, "read", source))?;
    if bytes.is_empty() && reader.limit() > 0 {
        return Ok(None);
    }
    if bytes.pop_if(|last| *last == b'\n').is_none() && reader.limit() == 0 {
        let expected = format!("an NRRD header of at most {MAX_HEADER_BYTES} bytes");
        return Err(ImagingError::content(path, expected, "more"));
    }
    bytes.pop_if(|last| *last == b'\r');
    String::from_utf8(bytes).map(Some).map_err(|source| {
        let found = format!(
            "bytes {:02x?}",
            &source.as_bytes()[..source.as_bytes().len().min(16)]
        );
        ImagingError::content(path, "a header of text in UTF-8", found)
    })
}

/// `\n` and `\\` within keys and values.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some('\\') | None => plain.push('\\'),
            Some(other) => plain.extend(['\\', other]),
        }
    }
    plain
}

/// The reverse of [`unescaped`].
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescaped("a\\nb\\\\n\\t\\"), "a\nb\\n\\t\\");
        assert_eq!(unescaped(&escaped("x\\n\n\\")), "x\\n\n\\");
    }

    #[test]
    fn fields_have_one_name_however_spelt() {
        for (spelt, known) in [
            ("byte skip", "byteskip"),
            ("Data File", "datafile"),
            ("centerings", "centers"),
            ("thicknesses", "thicknesses"),
            ("type", "type"),
        ] {
            assert_eq!(canonical(spelt), Some(known));
        }
        assert_eq!(canonical("siizes"), None);
    }
}

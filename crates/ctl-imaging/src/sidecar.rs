//! Data files that a header names.

use crate::Result;
use crate::error::ImagingError;
use std::path::{Path, PathBuf};

/// Most data files of one header.
pub(crate) const MAX_FILES: usize = 1 << 16;

/// Longest padding of a number in a file name.
const MAX_WIDTH: usize = 20;

/// The path of a data file, which lies in its header's own folder or below.
///
/// A header comes from somebody else; what it names must not reach files beside its folder. Names
/// that are absolute, or hold `..`, a backslash or a drive are refused. (A link that lies in the
/// folder is followed: who put it there may read its target.)
pub(crate) fn path_beside(header: &Path, name: &str) -> Result<PathBuf> {
    let wrong = |found: String| {
        let expected = "a data file in the folder of its header or below";
        Err(ImagingError::content(header, expected, found))
    };
    let is_drive = name.as_bytes().get(1) == Some(&b':');
    let has_parent = name.split('/').any(|part| part == "..");
    let has_strange = name.contains(|c: char| c == '\\' || c.is_control());
    if name.starts_with('/') || is_drive || has_parent || has_strange {
        return wrong(format!("{name:?}"));
    }
    if name.is_empty() || name.ends_with('/') {
        return wrong(format!("the name {name:?}"));
    }
    Ok(header.parent().unwrap_or(Path::new("")).join(name))
}

/// Numbers in the names of data files, as `C`'s `printf` writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbering {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) step: i64,
}

/// The names that a pattern such as `slice%03d.raw` gives, in order.
pub(crate) fn numbered_names(
    pattern: &str,
    numbering: Numbering,
    header: &Path,
) -> Result<Vec<String>> {
    let Numbering { first, last, step } = numbering;
    let (before, width, after) = split_pattern(pattern).ok_or_else(|| {
        let expected = "a name with one number such as %d or %03d";
        ImagingError::content(header, expected, format!("{pattern:?}"))
    })?;
    let distance = i128::from(last) - i128::from(first);
    let step = i128::from(step);
    let count = (step != 0 && distance / step >= 0).then(|| distance / step + 1);
    let Some(count) = count.filter(|&count| count <= MAX_FILES as i128) else {
        let expected = format!("numbers of 1 to {MAX_FILES} data files");
        let found = format!("from {first} to {last} in steps of {step}");
        return Err(ImagingError::content(header, expected, found));
    };
    Ok((0..count)
        .map(|index| i128::from(first) + index * step)
        .map(|number| format!("{before}{}{after}", padded(number, width)))
        .collect())
}

/// Zeros fill, or blanks, as `%05d` and `%5d` ask.
#[derive(Debug, Clone, Copy)]
struct Width {
    zeros: bool,
    digits: usize,
}

fn padded(number: i128, width: Width) -> String {
    let Width { zeros, digits } = width;
    if zeros {
        format!("{number:0digits$}")
    } else {
        format!("{number:digits$}")
    }
}

/// What stands before and after the only conversion, `%%` being a per cent sign.
fn split_pattern(pattern: &str) -> Option<(String, Width, String)> {
    let mut parts = [String::new(), String::new()];
    let mut width = None;
    let mut rest = pattern;
    while let Some((text, after)) = rest.split_once('%') {
        let part = usize::from(width.is_some());
        parts[part].push_str(text);
        if let Some(after) = after.strip_prefix('%') {
            parts[part].push('%');
            rest = after;
            continue;
        }
        let end = after.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = after.split_at(end);
        let is_integer = after.starts_with(['d', 'i', 'u']);
        let size = if digits.is_empty() {
            0
        } else {
            digits.parse().ok()?
        };
        if !is_integer || size > MAX_WIDTH || width.is_some() {
            return None;
        }
        width = Some(Width {
            zeros: digits.starts_with('0'),
            digits: size,
        });
        rest = &after[1..];
    }
    parts[usize::from(width.is_some())].push_str(rest);
    let [before, after] = parts;
    Some((before, width?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str, first: i64, last: i64, step: i64) -> Result<Vec<String>> {
        let numbering = Numbering { first, last, step };
        numbered_names(pattern, numbering, Path::new("h"))
    }

    #[test]
    fn patterns_number_files_as_printf_does() {
        assert_eq!(
            names("s%02d.raw", 9, 11, 1).unwrap(),
            ["s09.raw", "s10.raw", "s11.raw"]
        );
        assert_eq!(names("%d%%", 5, 1, -2).unwrap(), ["5%", "3%", "1%"]);
        assert_eq!(names("a%3i", 7, 8, 5).unwrap(), ["a  7"]);
        assert_eq!(names("n%04d", -1, -1, 1).unwrap(), ["n-001"]);
    }

    #[test]
    fn other_patterns_and_endless_ranges_are_refused() {
        for pattern in ["s.raw", "%s", "%d%d", "%", "%5", "%99d", "%.3f", "%n"] {
            let text = names(pattern, 1, 2, 1).unwrap_err().to_string();
            assert!(text.contains("one number such as"), "{text}");
        }
        for (first, last, step) in [
            (1, 2, 0),
            (2, 1, 1),
            (i64::MIN, i64::MAX, 1),
            (0, 1 << 16, 1),
        ] {
            let text = names("%d", first, last, step).unwrap_err().to_string();
            assert!(text.contains("1 to 65536 data files"), "{text}");
        }
    }

    #[test]
    fn data_files_lie_beside_their_header_or_below() {
        let header = Path::new("folder/scan.mhd");
        assert_eq!(
            path_beside(header, "a.raw").unwrap(),
            Path::new("folder/a.raw")
        );
        assert_eq!(
            path_beside(header, "./b/a.raw").unwrap(),
            Path::new("folder/b/a.raw")
        );
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "b/../../a",
            "C:a",
            "..\\a",
            "\\\\host\\a",
            "b/",
            "a\0",
        ] {
            assert!(path_beside(header, name).is_err(), "{name}");
        }
    }
}

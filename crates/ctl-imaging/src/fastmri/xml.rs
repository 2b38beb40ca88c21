//! Matrices and fields of view from an ISMRMRD header, which is XML.

use crate::Result;
use crate::error::ImagingError;
use std::path::Path;

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 32;

/// A grid of the scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IsmrmrdSpace {
    /// Places along x, y, z, each at least 1.
    pub matrix: [usize; 3],
    /// Extent along x, y, z in mm, each above 0.
    pub field_of_view: [f64; 3],
}

/// How the first encoding of a scan was measured and reconstructed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IsmrmrdEncoding {
    /// The grid of the measurement (`encodedSpace`).
    pub encoded: IsmrmrdSpace,
    /// The grid of the image (`reconSpace`).
    pub reconstruction: IsmrmrdSpace,
}

/// The first `encoding` of a header.
///
/// Elements are told by their names without namespace; attributes, comments and declarations are
/// passed over, document types are refused.
pub(super) fn parse_encoding(text: &str, path: &Path) -> Result<IsmrmrdEncoding> {
    let leaves = leaves(text, path)?;
    Ok(IsmrmrdEncoding {
        encoded: space(&leaves, "encodedSpace", path)?,
        reconstruction: space(&leaves, "reconSpace", path)?,
    })
}

fn space(leaves: &[(String, String)], name: &str, path: &Path) -> Result<IsmrmrdSpace> {
    let mut matrix = [0; 3];
    let mut field_of_view = [0.0; 3];
    for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
        let at = format!("ismrmrdHeader/encoding/{name}/matrixSize/{letter}");
        matrix[axis] = number(leaves, &at, "a whole number above 0", path, |side| {
            *side > 0
        })?;
        let at = format!("ismrmrdHeader/encoding/{name}/fieldOfView_mm/{letter}");
        let is_length = |length: &f64| length.is_finite() && *length > 0.0;
        field_of_view[axis] = number(leaves, &at, "a length above 0", path, is_length)?;
    }
    Ok(IsmrmrdSpace {
        matrix,
        field_of_view,
    })
}

fn number<T: std::str::FromStr>(
    leaves: &[(String, String)],
    at: &str,
    expected: &str,
    path: &Path,
    is_allowed: impl Fn(&T) -> bool,
) -> Result<T> {
    let text = leaves.iter().find(|(place, _)| place == at);
    let text = text.map(|(_, text)| text.as_str());
    let parsed = text.and_then(|text| text.parse().ok()).filter(is_allowed);
    parsed.ok_or_else(|| {
        let expected = format!("{expected} at {at} of `ismrmrd_header`");
        let found = text.map_or("none".to_owned(), |text| format!("{text:?}"));
        ImagingError::content(path, expected, found)
    })
}

/// Every element without elements in it: its place from the root, and its text.
fn leaves(text: &str, path: &Path) -> Result<Vec<(String, String)>> {
    let wrong = |found: &str| {
        let expected = "well-formed XML as `ismrmrd_header`";
        ImagingError::content(path, expected, found)
    };
    let mut leaves = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut is_leaf = false;
    let mut rest = text.trim_end_matches('\0');
    while let Some((before, after)) = rest.split_once('<') {
        if let Some(end) = end_of_other(after) {
            let ended = after.split_once(end);
            let (_, after) = ended.ok_or_else(|| wrong("a comment or declaration without end"))?;
            rest = after;
            continue;
        }
        let (tag, after) = after
            .split_once('>')
            .ok_or_else(|| wrong("a tag without end"))?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            if open.last() != Some(&local(name)) {
                return Err(wrong(&format!(
                    "the end of `{}` where it is not open",
                    local(name)
                )));
            }
            if is_leaf {
                leaves.push((open.join("/"), before.trim().to_owned()));
            }
            open.pop();
            is_leaf = false;
        } else if tag.starts_with('!') {
            return Err(wrong("a document type or character data"));
        } else if !tag.ends_with('/') {
            if open.len() == MAX_DEPTH {
                return Err(wrong("elements nested too deeply"));
            }
            open.push(local(tag));
            is_leaf = true;
        }
    }
    match open.last() {
        None if !leaves.is_empty() => Ok(leaves),
        None => Err(wrong("no elements")),
        Some(name) => Err(wrong(&format!("no end of `{name}`"))),
    }
}

/// How a comment or an instruction ends; `None` for other tags.
fn end_of_other(after: &str) -> Option<&'static str> {
    if after.starts_with("!--") {
        Some("-->")
    } else if after.starts_with('?') {
        Some("?>")
    } else {
        None
    }
}

/// The name of a tag without namespace and attributes.
fn local(tag: &str) -> &str {
    let name = tag.split_whitespace().next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(matrix: &str, view: &str) -> String {
        let space = |name: &str| {
            format!(
                "<{name}><matrixSize>{matrix}</matrixSize>\
                 <fieldOfView_mm>{view}</fieldOfView_mm></{name}>"
            )
        };
        format!(
            "<?xml version=\"1.0\"?>\n<!-- a > b -->\n\
             <ns:ismrmrdHeader xmlns:ns=\"x\" a='1'><note/><encoding>{}{}</encoding>\
             </ns:ismrmrdHeader>",
            space("encodedSpace"),
            space("reconSpace")
        )
    }

    #[test]
    fn matrices_and_views_are_found() {
        let text = header(
            "<x>640</x><y> 368 </y><z>1</z>",
            "<x>280</x><y>161.5</y><z>4.5</z>",
        );
        let encoding = parse_encoding(&text, Path::new("x")).unwrap();
        assert_eq!(encoding.encoded.matrix, [640, 368, 1]);
        assert_eq!(
            encoding.reconstruction.field_of_view.to_vec(),
            [280.0, 161.5, 4.5]
        );
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let good = "<x>1</x><y>1</y><z>1</z>";
        for (text, message) in [
            (
                header("<x>0</x><y>1</y><z>1</z>", good),
                "whole number above 0",
            ),
            (header("<x>1</x><y>1</y>", good), "found none"),
            (header(good, "<x>-1</x><y>1</y><z>1</z>"), "length above 0"),
            (header(good, "<x>inf</x><y>1</y><z>1</z>"), "length above 0"),
            (String::new(), "no elements"),
            ("<a><b></a></b>".to_owned(), "not open"),
            ("<a><b></b>".to_owned(), "no end of `a`"),
            ("<a".to_owned(), "without end"),
            ("<!-- a".to_owned(), "without end"),
            (
                "<!DOCTYPE a [<!ENTITY b \"c\">]><a></a>".to_owned(),
                "document type",
            ),
            ("<a>".repeat(100), "too deeply"),
        ] {
            let error = parse_encoding(&text, Path::new("x"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}

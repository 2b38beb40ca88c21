//! Names of the two files of a pair.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where header and data lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) header: PathBuf,
    pub(super) data: PathBuf,
}

/// How a name ends that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) pair: bool,
    pub(super) gzip: bool,
}

impl Names {
    /// The files of a name: two where it ends in `.hdr` or `.img`, with or without `.gz`; else
    /// the file itself is both.
    pub(super) fn of(path: &Path) -> Self {
        let one = || Self {
            header: path.to_owned(),
            data: path.to_owned(),
        };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return one();
        };
        let (stem, gzip) = split_gzip(name);
        let Some((front, kind)) = stem.split_at_checked(stem.len().saturating_sub(3)) else {
            return one();
        };
        let is_pair = ["hdr", "img"].contains(&kind.to_ascii_lowercase().as_str());
        if !is_pair || !front.ends_with('.') {
            return one();
        }
        let named = |lower: &str| {
            let is_upper = kind.bytes().all(|byte| byte.is_ascii_uppercase());
            let kind = if is_upper {
                lower.to_ascii_uppercase()
            } else {
                lower.to_owned()
            };
            path.with_file_name(OsString::from(format!("{front}{kind}{gzip}")))
        };
        Self {
            header: named("hdr"),
            data: named("img"),
        }
    }

    /// Whether they are two.
    pub(super) fn are_pair(&self) -> bool {
        self.header != self.data
    }
}

impl Ending {
    /// The ending of a name, if it is one that we write.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (stem, gzip) = split_gzip(&name);
        let pair = match Path::new(stem).extension()?.to_str()? {
            "nii" => false,
            "hdr" | "img" => true,
            _ => return None,
        };
        Some(Self {
            pair,
            gzip: !gzip.is_empty(),
        })
    }
}

fn split_gzip(name: &str) -> (&str, &str) {
    let split = name.len().saturating_sub(3);
    match name.split_at_checked(split) {
        Some((stem, gzip)) if gzip.eq_ignore_ascii_case(".gz") => (stem, gzip),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_two_names() {
        let cases = [
            ("a/b.nii", "a/b.nii", "a/b.nii"),
            ("a/b.hdr", "a/b.hdr", "a/b.img"),
            ("b.img.gz", "b.hdr.gz", "b.img.gz"),
            ("B.IMG", "B.HDR", "B.IMG"),
            ("img", "img", "img"),
            ("ü.ö", "ü.ö", "ü.ö"),
        ];
        for (given, header, data) in cases {
            let names = Names::of(Path::new(given));
            assert_eq!(
                (names.header.to_str(), names.data.to_str()),
                (Some(header), Some(data))
            );
        }
    }

    #[test]
    fn endings_say_what_is_written() {
        let ending = |name: &str| Ending::of(Path::new(name)).map(|end| (end.pair, end.gzip));
        assert_eq!(ending("a.nii"), Some((false, false)));
        assert_eq!(ending("a.NII.GZ"), Some((false, true)));
        assert_eq!(ending("a.img.gz"), Some((true, true)));
        assert_eq!(ending("a.gz"), None);
        assert_eq!(ending("a.png"), None);
    }
}

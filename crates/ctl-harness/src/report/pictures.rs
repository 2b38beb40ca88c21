//! Example images, carried inside the page.

use std::path::Path;

use serde::Serialize;

use super::sweep::{REFERENCE, Sweep};
use super::text;
use crate::Result;
use crate::run::{Panels, Strip};
use crate::store::read_json;
use crate::table::Cell;

/// Cells of a task whose outputs are pictured.
const MAX_CELLS_WITH_STRIPS: usize = 8;

/// First bytes of every PNG.
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The pictures of one cohort.
#[derive(Debug, Serialize)]
pub(crate) struct Album {
    cohort: String,
    pictures: Vec<Picture>,
}

#[derive(Debug, Serialize)]
struct Picture {
    data_uri: String,
    site: String,
    caption: String,
}

impl Album {
    /// The pictures by cohort, in the order of the list, and what could not be shown.
    pub(crate) fn all(sweep: &Sweep<'_>, notices: &mut Vec<String>) -> Result<Vec<Self>> {
        let mut albums: Vec<Self> = Vec::new();
        for example in sweep.layout.read_examples()?.examples {
            match encode(&sweep.layout.examples(), &example.file) {
                Ok(data_uri) => {
                    let picture = Picture {
                        data_uri,
                        site: example.site,
                        caption: example.caption,
                    };
                    add(&mut albums, &example.cohort, picture);
                }
                Err(why) => {
                    let file = &example.file;
                    notices.push(format!("example picture {file} is not shown: {why}"));
                }
            }
        }
        Ok(albums)
    }
}

/// What a method made of one target sample, as a row of pictures.
#[derive(Debug, Serialize)]
pub(crate) struct StripView {
    title: String,
    figures: String,
    pictures: Vec<Captioned>,
}

#[derive(Debug, Serialize)]
struct Captioned {
    data_uri: String,
    caption: String,
}

impl StripView {
    /// Plain training in the first cells of a sweep, seed by seed no more than once.
    pub(crate) fn all(sweep: &Sweep<'_>, notices: &mut Vec<String>) -> Vec<Self> {
        let mut strips = Vec::new();
        for cell in sweep.table.cells().into_iter().take(MAX_CELLS_WITH_STRIPS) {
            let Some(record) = sweep.first_run(cell, REFERENCE) else {
                continue;
            };
            let folder = Panels::folder(&sweep.layout.run(&record.spec.folder()));
            let list = folder.join("panels.json");
            if !list.exists() {
                continue;
            }
            match read_json::<Panels>(&list) {
                Ok(panels) => {
                    for strip in panels.strips {
                        strips.push(Self::of(cell, &folder, strip, notices));
                    }
                }
                Err(error) => notices.push(format!("pictures of a run are not shown: {error}")),
            }
        }
        strips
    }

    fn of(cell: &Cell, folder: &Path, strip: Strip, notices: &mut Vec<String>) -> Self {
        let mut pictures = Vec::new();
        for (file, caption) in strip.pictures {
            match encode(folder, &file) {
                Ok(data_uri) => pictures.push(Captioned { data_uri, caption }),
                Err(why) => notices.push(format!("picture {file} is not shown: {why}")),
            }
        }
        Self {
            title: format!("{}: ERM, {}, {}", text::cell(cell), strip.which, strip.id),
            figures: strip.figures,
            pictures,
        }
    }
}

fn add(albums: &mut Vec<Album>, cohort: &str, picture: Picture) {
    match albums.iter_mut().find(|album| album.cohort == cohort) {
        Some(album) => album.pictures.push(picture),
        None => albums.push(Album {
            cohort: cohort.to_owned(),
            pictures: vec![picture],
        }),
    }
}

/// Reads one picture of a folder; the error says why it cannot be shown.
pub(super) fn encode(folder: &Path, file: &str) -> std::result::Result<String, &'static str> {
    if Path::new(file).file_name() != Some(std::ffi::OsStr::new(file)) {
        return Err("expected the name of a file in examples, not a path");
    }
    let bytes = std::fs::read(folder.join(file)).map_err(|_| "the file cannot be read")?;
    if !bytes.starts_with(&SIGNATURE) {
        return Err("expected a PNG");
    }
    Ok(data_uri(&bytes))
}

/// A PNG as an address that carries it.
pub(crate) fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(png))
}

/// Base64 of RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u32::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (group >> (18 - 6 * place)) & 63;
            let present = place <= chunk.len();
            text.push(if present {
                char::from(ALPHABET[digit as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn base64_of_the_standard_vectors() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xff, 0xfe]), "//4=");
    }
}

//! Example images, carried inside the page.

use serde::Serialize;

use super::sweep::Sweep;
use crate::Result;
use crate::sweep::Example;

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
            match encode(sweep, &example) {
                Ok(picture) => add(&mut albums, &example.cohort, picture),
                Err(why) => {
                    let file = &example.file;
                    notices.push(format!("example picture {file} is not shown: {why}"));
                }
            }
        }
        Ok(albums)
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

/// Reads one picture; the error says why it cannot be shown.
fn encode(sweep: &Sweep<'_>, example: &Example) -> std::result::Result<Picture, &'static str> {
    let is_name = std::path::Path::new(&example.file).file_name()
        == Some(std::ffi::OsStr::new(&example.file));
    if !is_name {
        return Err("expected the name of a file in examples, not a path");
    }
    let path = sweep.layout.examples().join(&example.file);
    let bytes = std::fs::read(path).map_err(|_| "the file cannot be read")?;
    if !bytes.starts_with(&SIGNATURE) {
        return Err("expected a PNG");
    }
    Ok(Picture {
        data_uri: format!("data:image/png;base64,{}", base64(&bytes)),
        site: example.site.clone(),
        caption: example.caption.clone(),
    })
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

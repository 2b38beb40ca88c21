//! Text in the character sets of PS3.3 section C.12.1.1.2.

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

const ESCAPE: u8 = 0x1B;

/// The character set of a data set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Charset {
    codec: SpecificCharacterSet,
    /// Whether the codec follows escape sequences itself.
    follows_escapes: bool,
}

impl Charset {
    /// The character set of the value of (0008,0005).
    ///
    /// Of several (code extensions, PS3.5 section 6.1.2.5) the last known one other than the
    /// default is taken, which contains ASCII as all of them do. An unknown one reads as Latin-1.
    pub(crate) fn of_codes(codes: &[u8]) -> Self {
        let codes = String::from_utf8_lossy(codes).into_owned();
        let known = codes
            .split('\\')
            .map(|code| code.trim_matches([' ', '\0']))
            .filter(|code| !code.is_empty() && !code.ends_with("IR 6"));
        let chosen = known
            .filter_map(|code| Some((code, SpecificCharacterSet::from_code(code)?)))
            .next_back();
        match chosen {
            Some((code, codec)) => Self {
                follows_escapes: code.ends_with("IR 87"),
                codec,
            },
            None => Self::default(),
        }
    }

    /// Text without the padding at its end.
    pub(crate) fn decode(&self, bytes: &[u8]) -> String {
        let plain;
        let bytes = if bytes.contains(&ESCAPE) && !self.follows_escapes {
            plain = without_escapes(bytes);
            &plain
        } else {
            bytes
        };
        let text = self
            .codec
            .decode(bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned());
        text.trim_end_matches([' ', '\0']).to_owned()
    }
}

/// Drops escape sequences: `ESC`, any of `$ ( ) - , . /`, one letter.
fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == ESCAPE {
            let intermediates = tail
                .iter()
                .take_while(|&&byte| (0x20..0x30).contains(&byte))
                .count();
            rest = tail.get(intermediates + 1..).unwrap_or_default();
        } else {
            plain.push(byte);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_extensions() {
        let latin = Charset::of_codes(b"ISO_IR 100");
        assert_eq!(latin.decode(b"M\xfcller \0"), "Müller");
        let greek = Charset::of_codes(b"ISO_IR 126");
        assert_eq!(greek.decode(b"\xc4\xe9"), "Δι");
        let utf8 = Charset::of_codes(b"ISO_IR 192");
        assert_eq!(utf8.decode("Δι".as_bytes()), "Δι");
        let japanese = Charset::of_codes(b"\\ISO 2022 IR 87");
        assert_eq!(
            japanese.decode(b"Yamada^Tarou=\x1b$B;3ED\x1b(B"),
            "Yamada^Tarou=山田"
        );
        let korean = Charset::of_codes(b"\\ISO 2022 IR 149");
        assert_eq!(korean.decode(b"\x1b$)C\xb1\xe8"), "김");
        let unknown = Charset::of_codes(b"KLINGON");
        assert_eq!(unknown.decode(b"abc "), "abc");
    }
}

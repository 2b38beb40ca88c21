//! The values of fields: numbers, words, quoted texts, vectors.

use crate::Result;
use crate::error::ImagingError;
use crate::volume::SampleType;
use std::path::Path;
use std::str::FromStr;

/// A field's text, with its name and file for messages.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl<'a> Field<'a> {
    pub(super) fn wrong(self, expected: impl std::fmt::Display) -> ImagingError {
        let expected = format!("{expected} as `{}`", self.name);
        ImagingError::content(self.path, expected, format!("{:?}", self.text))
    }

    /// One number or word.
    pub(super) fn number<T: FromStr>(self, expected: &str) -> Result<T> {
        self.text.parse().map_err(|_| self.wrong(expected))
    }

    /// As many words as there are axes.
    pub(super) fn words(self, axes: usize) -> Result<Vec<&'a str>> {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        if words.len() == axes {
            Ok(words)
        } else {
            Err(self.wrong(format!("{axes} values (one an axis)")))
        }
    }

    /// A number an axis, `NaN` where there is none.
    pub(super) fn numbers(self, axes: usize) -> Result<Vec<Option<f64>>> {
        let parse = |word: &str| match word.parse::<f64>() {
            Ok(number) if number.is_nan() => Ok(None),
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.wrong("numbers")),
        };
        self.words(axes)?.into_iter().map(parse).collect()
    }

    /// Texts in quotation marks, `\"` within them being a quotation mark.
    pub(super) fn quoted(self, count: usize) -> Result<Vec<String>> {
        let expected = || self.wrong(format!("{count} texts in quotation marks"));
        let mut texts = Vec::new();
        let mut rest = self.text.trim_start();
        while !rest.is_empty() {
            rest = rest.strip_prefix('"').ok_or_else(expected)?;
            let mut text = String::new();
            loop {
                let at = rest.find(['"', '\\']).ok_or_else(expected)?;
                text.push_str(&rest[..at]);
                let is_end = rest[at..].starts_with('"');
                rest = &rest[at + 1..];
                if is_end {
                    break;
                }
                match rest.strip_prefix('"') {
                    Some(after) => {
                        text.push('"');
                        rest = after;
                    }
                    None => text.push('\\'),
                }
            }
            texts.push(text);
            rest = rest.trim_start();
        }
        if texts.len() == count {
            Ok(texts)
        } else {
            Err(expected())
        }
    }

    /// Vectors `(a,b,c)` of finite numbers, or `none`.
    pub(super) fn vectors(self, count: usize, length: usize) -> Result<Vec<Option<Vec<f64>>>> {
        let expected = || self.wrong(format!("{count} vectors of {length} numbers"));
        let mut vectors = Vec::new();
        let mut rest = self.text.trim_start();
        while !rest.is_empty() {
            let after = if let Some(after) = rest.strip_prefix("none") {
                vectors.push(None);
                after
            } else {
                let inner = rest.strip_prefix('(').ok_or_else(expected)?;
                let (inner, after) = inner.split_once(')').ok_or_else(expected)?;
                vectors.push(Some(self.vector(inner, length)?));
                after
            };
            rest = after.trim_start();
        }
        if vectors.len() == count {
            Ok(vectors)
        } else {
            Err(expected())
        }
    }

    fn vector(self, inner: &str, length: usize) -> Result<Vec<f64>> {
        let numbers: Vec<f64> = inner
            .split(',')
            .map(|number| number.trim().parse().ok().filter(|n: &f64| n.is_finite()))
            .collect::<Option<_>>()
            .ok_or_else(|| self.wrong("finite numbers"))?;
        if numbers.len() == length {
            Ok(numbers)
        } else {
            Err(self.wrong(format!("vectors of {length} numbers")))
        }
    }
}

/// All spellings of each type (section 5 of the definition).
pub(super) fn sample_type(name: &str) -> Option<SampleType> {
    let words: Vec<&str> = name.split_whitespace().collect();
    Some(match words.join(" ").to_ascii_lowercase().as_str() {
        "signed char" | "int8" | "int8_t" => SampleType::Int8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => SampleType::UInt8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => {
            SampleType::Int16
        }
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => {
            SampleType::UInt16
        }
        "int" | "signed int" | "int32" | "int32_t" => SampleType::Int32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => SampleType::UInt32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => SampleType::Int64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => {
            SampleType::UInt64
        }
        "float" => SampleType::Float32,
        "double" => SampleType::Float64,
        _ => return None,
    })
}

/// The spelling that we write; `None` for types that the format does not have.
pub(super) fn type_name(kind: SampleType) -> Option<&'static str> {
    Some(match kind {
        SampleType::Float32 | SampleType::Complex64 => "float",
        SampleType::Float64 | SampleType::Complex128 => "double",
        SampleType::Float16 => return None,
        integer => integer.name(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> Field<'_> {
        Field {
            name: "f",
            text,
            path: Path::new("x"),
        }
    }

    #[test]
    fn quoted_texts_keep_blanks_and_quotation_marks() {
        let texts = field(r#""a b" "" "c \"d\" \e""#).quoted(3).unwrap();
        assert_eq!(texts, ["a b", "", "c \"d\" \\e"]);
        for text in [r#""a"#, "a", r#""a" b"#, r#""a""#, r#""a" "b\"#] {
            assert!(field(text).quoted(2).is_err(), "{text}");
        }
    }

    #[test]
    fn vectors_may_hold_blanks() {
        let vectors = field("none (1, -2e0 ,0.5)(0,0,1)").vectors(3, 3).unwrap();
        assert_eq!(vectors[0], None);
        assert_eq!(vectors[1], Some(vec![1.0, -2.0, 0.5]));
        for text in [
            "(1,2,3",
            "(1,2)",
            "(a,0,0)",
            "(nan,0,0)",
            "1,2,3",
            "(1,2,3) (1,2,3)",
        ] {
            assert!(field(text).vectors(1, 3).is_err(), "{text}");
        }
    }

    #[test]
    fn types_are_written_as_they_are_read() {
        for kind in SampleType::ALL
            .into_iter()
            .filter(|kind| !kind.is_complex())
        {
            let again = type_name(kind).and_then(sample_type);
            assert_eq!(again, (kind != SampleType::Float16).then_some(kind));
        }
        assert_eq!(sample_type("Unsigned  Short Int"), Some(SampleType::UInt16));
        assert_eq!(sample_type("block"), None);
        assert_eq!(sample_type("char"), None);
    }
}

//! JSON as Python writes it.

use serde_json::Value;

/// The numbers that JSON does not have, as Python writes them and as this workspace does.
const NON_FINITE: [(&str, &str); 3] = [
    ("NaN", "\"nan\""),
    ("-Infinity", "\"-inf\""),
    ("Infinity", "\"inf\""),
];

/// Reads JSON in which bare `NaN`, `Infinity` and `-Infinity` may stand for numbers; they become
/// the strings `nan`, `inf` and `-inf`.
///
/// # Errors
/// What [`serde_json`] objects to.
///
/// # Examples
///
/// ```
/// use ctl_graph::conformance::parse;
///
/// let value = parse(r#"{"a": [NaN, -Infinity, 1.5], "b": "NaN \" NaN"}"#).unwrap();
/// assert_eq!(value, serde_json::json!({"a": ["nan", "-inf", 1.5], "b": "NaN \" NaN"}));
/// ```
pub fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&replaced(text)))
}

fn replaced(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(next) = rest.chars().next() {
        let word = NON_FINITE
            .iter()
            .find(|(word, _)| !quoted && rest.starts_with(word));
        let (taken, written) = match word {
            Some((word, written)) => (word.len(), *written),
            None if quoted && next == '\\' => {
                let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
                (1 + escaped, &rest[..=escaped])
            }
            None => (next.len_utf8(), &rest[..next.len_utf8()]),
        };
        quoted ^= next == '"';
        result.push_str(written);
        rest = &rest[taken..];
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[{]?[NaIinfty\"\\\\é1:,. -]{0,30}[}\\]]?") {
            let _ = parse(&text);
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}

//! Ages as DICOM writes them.

/// Days of a year on average.
const YEAR: f64 = 365.25;
/// Oldest that a cohort takes.
const OLDEST: f64 = 150.0;

/// An age string (PS3.5 section 6.2: `018M`, three digits and D, W, M or Y) in years with at most
/// two decimals; `None` where it is none.
pub(super) fn years(text: &str) -> Option<String> {
    let end = text.len().checked_sub(1)?;
    let (digits, unit) = (text.get(..end)?, text.get(end..)?);
    let whole =
        (1..=3).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: f64 = digits.parse().ok().filter(|_| whole)?;
    let age = match unit {
        "Y" => number,
        "M" => number / 12.0,
        "W" => number * 7.0 / YEAR,
        "D" => number / YEAR,
        _ => return None,
    };
    let text = format!("{age:.2}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    (age <= OLDEST).then(|| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_come_in_four_units() {
        for (text, expected) in [
            ("045Y", Some("45")),
            ("018M", Some("1.5")),
            ("26W", Some("0.5")),
            ("000D", Some("0")),
            ("100Y", Some("100")),
            ("200Y", None),
            ("45", None),
            ("0045Y", None),
            ("-45Y", None),
            ("Y", None),
            ("", None),
        ] {
            assert_eq!(years(text).as_deref(), expected, "{text}");
        }
    }
}

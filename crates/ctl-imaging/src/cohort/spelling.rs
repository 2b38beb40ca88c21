//! Headers that miss their meaning by a letter.

/// Columns that the manifest gives a meaning by their name alone.
const KNOWN: [&str; 8] = [
    "path",
    "label",
    "site",
    "patient",
    "split",
    "mask_path",
    "age",
    "sex",
];
/// Longest name for which one wrong letter makes another word rather than a slip.
const SHORT: usize = 3;

/// The known column that a header probably means, where the table has none of that name.
pub(super) fn meant(header: &str, headers: &[String]) -> Option<&'static str> {
    let absent = |known: &&str| !headers.iter().any(|header| header == known);
    KNOWN
        .into_iter()
        .filter(absent)
        .find(|known| is_slip(header, known))
}

/// Other case or separators, a plural, an `id` behind it, or one letter wrong.
fn is_slip(header: &str, known: &str) -> bool {
    let plain = |text: &str| {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    let (found, known) = (plain(header), plain(known));
    let bare = |suffix: &str| found.strip_suffix(suffix) == Some(known.as_str());
    let near = known.len() > SHORT && strsim::osa_distance(&found, &known) <= 1;
    found == known || bare("s") || bare("id") || near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        for (header, expected) in [
            ("Site", Some("site")),
            ("sites", Some("site")),
            ("siet", Some("site")),
            ("PatientID", Some("patient")),
            ("patient_id", Some("patient")),
            ("mask-path", Some("mask_path")),
            ("SEX", Some("sex")),
            ("size", Some("site")),
            ("set", None),
            ("weight", None),
            ("diagnosis", None),
            ("path", None),
        ] {
            let headers = ["path".to_owned(), header.to_owned()];
            assert_eq!(meant(header, &headers), expected, "{header}");
        }
    }

    #[test]
    fn a_table_that_has_the_column_means_it() {
        let headers = ["site".to_owned(), "Site".to_owned()];
        assert_eq!(meant("Site", &headers), None);
    }
}

//! Names of files in BIDS: entities, suffix, ending.

use std::collections::BTreeMap;

/// A name such as `sub-01_ses-2_acq-fast_T1w.nii.gz` (BIDS 1.10, section "Filenames").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) entities: BTreeMap<String, String>,
    pub(super) suffix: String,
    /// From the first point on, in lower case.
    pub(super) ending: String,
}

impl Name {
    /// `None` for a name that is not made so.
    pub(super) fn parse(file: &str) -> Option<Self> {
        let (stem, ending) = file.split_once('.')?;
        let mut parts: Vec<&str> = stem.split('_').collect();
        let suffix = parts.pop()?;
        let mut entities = BTreeMap::new();
        for part in parts {
            let (key, value) = entity(part)?;
            if entities.insert(key, value).is_some() {
                return None;
            }
        }
        let plain = !suffix.is_empty() && suffix.chars().all(char::is_alphanumeric);
        plain.then(|| Self {
            entities,
            suffix: suffix.to_owned(),
            ending: ending.to_ascii_lowercase(),
        })
    }

    pub(super) fn is_nifti(&self) -> bool {
        ["nii", "nii.gz"].contains(&self.ending.as_str())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.entities.get(key).map(String::as_str)
    }

    /// Whether this name has all entities of another, with the same values.
    pub(super) fn has_all_of(&self, other: &Self) -> bool {
        let mut entities = other.entities.iter();
        entities.all(|(key, value)| self.entities.get(key) == Some(value))
    }
}

/// Key and value of a text such as `acq-fast`.
fn entity(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('-')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric());
    let is_value = |c: char| c.is_alphanumeric() || c == '+';
    let fits = is_key && !value.is_empty() && value.chars().all(is_value);
    fits.then(|| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_and_others_are_none() {
        let name = Name::parse("sub-01_ses-a_acq-fast_T1w.nii.gz").unwrap();
        assert_eq!(
            (name.suffix.as_str(), name.ending.as_str()),
            ("T1w", "nii.gz")
        );
        assert_eq!(
            (name.get("sub"), name.get("acq")),
            (Some("01"), Some("fast"))
        );
        let inherited = Name::parse("acq-fast_T1w.json").unwrap();
        assert!(name.has_all_of(&inherited) && !inherited.has_all_of(&name));
        for other in [
            "sub-01_T1w",
            "sub_T1w.nii",
            "sub-01_sub-02_T1w.nii",
            "sub-_T1w.nii",
            "sub-01_.nii",
            "dataset_description.json",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}

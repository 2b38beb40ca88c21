//! `splits_final.json`.

use super::NnunetSplits;
use crate::Result;
use crate::bounded::read_file;
use crate::error::ImagingError;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The cases of a fold.
#[derive(Deserialize)]
struct Fold {
    train: Vec<String>,
    val: Vec<String>,
}

/// The split of every case that a fold names.
pub(super) fn read(
    splits: &NnunetSplits,
    cases: &BTreeMap<String, BTreeSet<usize>>,
) -> Result<BTreeMap<String, &'static str>> {
    let path = splits.file.as_path();
    let folds: Vec<Fold> = serde_json::from_slice(&read_file(path)?)
        .map_err(|error| ImagingError::decode(path, "a list of folds", error))?;
    let fold = folds.get(splits.fold).ok_or_else(|| {
        let expected = format!("a fold {} (they count from 0)", splits.fold);
        ImagingError::content(path, expected, format!("{} folds", folds.len()))
    })?;
    let named = [("train", &fold.train), ("val", &fold.val)];
    let named = named
        .into_iter()
        .flat_map(|(split, cases)| cases.iter().map(move |c| (split, c)));
    let mut of_case = BTreeMap::new();
    for (split, case) in named {
        if !cases.contains_key(case) {
            let found = format!("`{case}`");
            return Err(ImagingError::content(path, "cases of imagesTr", found));
        }
        if of_case.insert(case.clone(), split).is_some() {
            let expected = format!("each case once in fold {}", splits.fold);
            return Err(ImagingError::content(
                path,
                expected,
                format!("`{case}` twice"),
            ));
        }
    }
    match cases.keys().find(|case| !of_case.contains_key(*case)) {
        None => Ok(of_case),
        Some(case) => {
            let expected = format!("the case {case} in fold {}", splits.fold);
            Err(ImagingError::content(path, expected, "none"))
        }
    }
}

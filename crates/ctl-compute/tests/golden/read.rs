//! Reads the files of flat arrays that the scripts beside this one write, one array per line.

use std::collections::BTreeMap;

pub(crate) fn numbers(text: &str) -> BTreeMap<String, Vec<f64>> {
    let entry = |line: &str| {
        let (name, rest) = line.strip_prefix('"')?.split_once("\": [")?;
        let (list, _) = rest.split_once(']')?;
        let parsed = list.split(", ").map(|v| v.parse().unwrap());
        Some((name.to_owned(), parsed.collect()))
    };
    text.lines().filter_map(entry).collect()
}

//! Every graph vector beside the repository, where it is there.
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]

use std::path::Path;

use ctl_graph::conformance::{parse, run_file};

#[test]
fn every_graph_vector_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/graph");
    let mut failures = Vec::new();
    for folder in [
        folder.clone(),
        folder.join("networks"),
        folder.join("discovery"),
    ] {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            eprintln!("skipped: there is no folder {}", folder.display());
            continue;
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
        {
            let content = parse(&std::fs::read_to_string(path).unwrap()).unwrap();
            let Some(outcome) = run_file(&content, &folder) else {
                continue;
            };
            for case in outcome
                .cases
                .iter()
                .filter(|case| !case.differences.is_empty())
            {
                failures.push(format!(
                    "{} {}: {:?}",
                    path.display(),
                    case.id,
                    case.differences
                ));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failed\n{}",
        failures.len(),
        failures.join("\n")
    );
}

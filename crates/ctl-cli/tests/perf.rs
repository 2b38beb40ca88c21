//! `ctl perf` from outside, with scripts that stand for Python.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

use std::path::Path;
use std::process::{Command, Output};

fn ctl(arguments: &[&str]) -> Output {
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    Command::new(binary).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_python_our_steps_are_timed_alone() {
    let arguments = ["perf", "--model", "mlp", "--threads", "1", "--rounds", "1"];
    let output = ctl(&[&arguments[..], &["--json", "--python", "/no/such/python"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("/no/such/python"));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figures["peer"].is_null());
    let row = &figures["rows"][0];
    assert_eq!(row["model"], "mlp");
    assert!(row["ours"]["median_ms"].as_f64().unwrap() > 0.0);
    assert!(row["ratio_default"].is_null());
}

/// A shell script that stands for Python in `folder`.
#[cfg(unix)]
fn stand_in(folder: &Path, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;

    let python = folder.join("python");
    std::fs::write(&python, script).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    python.to_str().unwrap().to_owned()
}

/// The script says that it has two peers, of which one is asked for; it takes 2 s for the work.
#[cfg(unix)]
#[test]
fn workloads_on_diagrams_are_timed_beside_each_peer() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"#!/bin/sh
case "$*" in
    *"--list --data"*)
        echo '{"workload": "minimal_adjustment_15", "peer": "a"}'
        echo '{"workload": "pc_50x10000", "peer": "b"}'
        exit ;;
    *"--peer a --workload minimal_adjustment_15"*) ;;
    *) echo "unexpected: $*" >&2; exit 1 ;;
esac
echo '{"software": "a 1.0", "workload": "minimal_adjustment_15", "threads": 1, "answer": 7}'
while read -r line; do
    [ "$line" = quit ] && exit
    echo '{"seconds": [9, 2, 1]}'
done
"#;
    let python = stand_in(folder.path(), script);
    // The first has nothing, so that the second is asked.
    let pythons = format!("/no/such/python,{python}");
    let arguments = [
        "perf",
        "--workload",
        "minimal_adjustment_15",
        "--rounds",
        "2",
    ];
    let output = ctl(&[&arguments[..], &["--json", "--python", &pythons]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("/no/such/python"));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        figures["rows"],
        serde_json::json!([]),
        "no training step was asked for"
    );
    let [row] = &figures["graph"].as_array().unwrap()[..] else {
        panic!("{figures}");
    };
    assert_eq!(
        (&row["peer"], &row["their_answer"]),
        (&"a 1.0".into(), &7.into())
    );
    assert_eq!(row["theirs_ms"], 2000.0);
    let ours = row["ours_ms"].as_f64().unwrap();
    assert!((row["ratio"].as_f64().unwrap() - ours / 2000.0).abs() < 1e-9);
    assert!(row["our_answer"].as_u64().unwrap() > 0);
}

/// A shell script stands for Python: it says what the peer would say, with steps of 4 and 2 s.
#[cfg(unix)]
#[test]
fn ratios_are_those_of_the_medians_of_both_programs() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"#!/bin/sh
case "$*" in
    "-c import torch") exit 0 ;;
    *"--layout channels-last"*) seconds=2 ;;
    *) seconds=4 ;;
esac
echo '{"software": "a script", "optimiser": "fused", "base_rss_bytes": 1}'
while read -r line; do
    [ "$line" = quit ] && exit
    echo "{\"seconds\": [9, $seconds, 1], \"peak_rss_bytes\": 1024}"
done
"#;
    let python = stand_in(folder.path(), script);
    let arguments = ["perf", "--model", "mlp", "--threads", "2", "--rounds", "2"];
    let python = ["--json", "--python", &python];
    let output = ctl(&[&arguments[..], &python].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["peer"], "a script");
    let row = &figures["rows"][0];
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let ours = number(&row["ours"]["median_ms"]);
    assert!((number(&row["ratio_default"]) - ours / 4000.0).abs() < 1e-9);
    assert!((number(&row["ratio_channels_last"]) - ours / 2000.0).abs() < 1e-9);
    assert_eq!(row["pytorch_default"]["steps"], 6);
    let means = &figures["geometric_means"]["2"];
    let gap = number(&means["ratio_default"]) - number(&row["ratio_default"]);
    assert!(gap.abs() < 1e-12, "the mean over one model is its ratio");
}

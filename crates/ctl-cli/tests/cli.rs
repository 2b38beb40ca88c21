//! The binary from outside: bad input, exit codes, JSON, resuming after a kill, models.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rstest::rstest;
use tempfile::TempDir;

fn ctl(arguments: &[&str]) -> Output {
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    Command::new(binary).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn suite_text(steps: u64) -> String {
    format!(
        r#"
schema = 1
name = "tiny"
title = "Tiny"
methods = ["erm", "irm"]
[training]
size = 20
steps = {steps}
batch_size = 4
evaluate_every = 5
[[simulated]]
tasks = ["classification"]
shifts = ["combined"]
patients_per_site = 24
source_sites = 2
"#
    )
}

fn suite(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("tiny.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn benchmark(suite: &Path, out: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["benchmark", "--suite", suite.to_str().unwrap(), "--out"];
    arguments.push(out.to_str().unwrap());
    arguments.extend_from_slice(more);
    ctl(&arguments)
}

/// A cohort of one-coloured pictures, two classes, two sites.
fn cohort(folder: &Path) {
    let made = ctl(&[
        "data",
        "make",
        folder.to_str().unwrap(),
        "--patients-per-site",
        "8",
        "--size",
        "24",
    ]);
    assert!(made.status.success(), "{}", stderr(&made));
}

/// Replaces the first line that holds `old`; what a careless hand does to a manifest.
fn edit(folder: &Path, file: &str, old: &str, new: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{file} holds {old}");
    std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
}

fn first_image(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    text.lines()
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .to_owned()
}

type Damage = fn(&Path);

fn missing_image(folder: &Path) {
    std::fs::remove_file(folder.join(first_image(folder))).unwrap();
}

fn truncated_png(folder: &Path) {
    let path = folder.join(first_image(folder));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
}

fn label_outside(folder: &Path) {
    let image = first_image(folder);
    let text = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let line = text.lines().nth(1).unwrap().to_owned();
    let mut cells: Vec<&str> = line.split(',').collect();
    cells[2] = "7";
    assert!(line.starts_with(&image));
    edit(folder, "manifest.csv", &line, &cells.join(","));
}

fn two_splits(folder: &Path) {
    let text = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
    lines[0].push_str(",split");
    for (index, line) in lines.iter_mut().enumerate().skip(1) {
        line.push_str(if index % 2 == 0 { ",train" } else { ",test" });
    }
    let patient = lines[1].split(',').nth(4).unwrap().to_owned();
    let other = lines[2].split(',').nth(4).unwrap().to_owned();
    lines[2] = lines[2].replacen(&other, &patient, 1);
    std::fs::write(folder.join("manifest.csv"), lines.join("\n")).unwrap();
}

fn unknown_key(folder: &Path) {
    edit(folder, "cohort.toml", "schema", "colour = 1\nschema");
}

#[rstest]
#[case::missing(missing_image, false, &["manifest.csv:2"])]
#[case::truncated(truncated_png, true, &["manifest.csv:2", "path"])]
#[case::label(label_outside, false, &["manifest.csv:2", "label", "7"])]
#[case::splits(two_splits, false, &["manifest.csv", "split"])]
#[case::key(unknown_key, false, &["cohort.toml", "colour"])]
fn a_damaged_cohort_is_refused_with_file_row_and_column(
    #[case] damage: Damage,
    #[case] decode: bool,
    #[case] says: &[&str],
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cohort");
    cohort(&path);
    assert_eq!(
        ctl(&["data", "verify", path.to_str().unwrap(), "--decode"])
            .status
            .code(),
        Some(0)
    );
    damage(&path);
    let mut arguments = vec!["data", "verify", path.to_str().unwrap()];
    if decode {
        arguments.push("--decode");
    }
    let output = ctl(&arguments);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(3), "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[rstest]
#[case::seeds(&["benchmark", "--seeds", "0"], 2, "--seeds")]
#[case::method(&["benchmark", "--method", "erm,irn"], 2, "irn")]
#[case::task(&["benchmark", "--task", "classify"], 2, "classification")]
#[case::shift(&["benchmark", "--shift", "accquisition"], 2, "acquisition")]
#[case::no_cell(&["benchmark", "--task", "reconstruction", "--shift", "annotation"], 2, "annotation")]
#[case::suite(&["benchmark", "--suite", "fast"], 2, "quick")]
#[case::suite_file(&["benchmark", "--suite", "/no/such/suite.toml"], 3, "suite.toml")]
#[case::no_data(&["benchmark", "--suite", "real"], 2, "--data")]
#[case::data(&["benchmark", "--suite", "real", "--data", "/no/such/folder"], 3, "/no/such/folder")]
#[case::experiment(&["reproduce", "irm", "--data", "."], 2, "irm-colored-mnist")]
#[case::mnist(&["reproduce", "irm-colored-mnist", "--data", "/no/such/folder"], 3, "/no/such/folder")]
#[case::report(&["report", "/no/such/folder"], 3, "sweep.json")]
#[case::format(&["report", ".", "--format", "pdf"], 2, "html")]
#[case::model(&["predict", "/no/such/model", "."], 3, "model.json")]
#[case::vectors(&["conformance", "/no/such/folder"], 3, "/no/such/folder")]
#[case::dial(&["data", "make", "never-made", "--confounding", "2"], 2, "confounding")]
#[case::perf_model(&["perf", "--model", "mlp,resnet"], 2, "resnet18")]
#[case::perf_workload(&["perf", "--workload", "id"], 2, "identify_10_15")]
#[case::perf_threads(&["perf", "--threads", "0"], 2, "--threads")]
#[case::perf_rounds(&["perf", "--rounds", "0"], 2, "--rounds")]
#[case::command(&["bench"], 2, "benchmark")]
fn a_mistake_gives_one_error_and_its_code(
    #[case] arguments: &[&str],
    #[case] code: i32,
    #[case] says: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    let output = Command::new(binary)
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(says), "{says:?} in {text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(output.stdout.is_empty(), "nothing on stdout");
}

#[rstest]
#[case::key("steps = 10\n", "stepz = 10\n", "stepz")]
#[case::range("steps = 10\n", "steps = 0\n", "training.steps")]
#[case::kind("steps = 10\n", "steps = \"many\"\n", "training.steps")]
#[case::dial(
    "patients_per_site = 24\n",
    "patients_per_site = 24\nstrengths = [2.0]\n",
    "strengths"
)]
#[case::empty(
    "patients_per_site = 24\n",
    "patients_per_site = 0\n",
    "patients_per_site"
)]
#[case::shift("\"combined\"", "\"weather\"", "weather")]
#[case::method("\"irm\"", "\"irn\"", "irn")]
#[case::setting(
    "[[simulated]]",
    "[settings.irm]\npenalty_weight = -1\n[[simulated]]",
    "penalty_weight"
)]
#[case::syntax("schema = 1", "schema = = 1", "tiny.toml")]
fn a_faulty_suite_file_names_the_key(#[case] old: &str, #[case] new: &str, #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let text = suite_text(10);
    assert!(text.contains(old));
    let path = suite(&folder, &text.replacen(old, new, 1));
    let out = folder.path().join("out");
    let output = benchmark(&path, &out, &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains(says),
        "{says:?} in {}",
        stderr(&output)
    );
    assert!(!out.exists(), "nothing was written");
}

#[test]
fn an_unwritable_output_leaves_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = suite(&folder, &suite_text(5));
    let out = folder.path().join("out");
    std::fs::write(&out, "a file of somebody").unwrap();
    let output = benchmark(&path, &out, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "a file of somebody");
}

/// `/dev/full` refuses every write, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_finished_runs_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = suite(&folder, &suite_text(5));
    let out = folder.path().join("out");
    assert!(
        benchmark(&path, &out, &["--method", "erm"])
            .status
            .success()
    );
    let run = std::fs::read_dir(out.join("runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let record = std::fs::read(run.join("record.json")).unwrap();
    // A limit on file size stands for the full disk: every larger write fails part way.
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    let command = format!(
        "trap '' XFSZ; ulimit -f 4; exec '{}' benchmark --suite '{}' --out '{}'",
        binary.display(),
        path.display(),
        out.display()
    );
    let output = Command::new("bash")
        .args(["-c", &command])
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("cannot write"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(std::fs::read(run.join("record.json")).unwrap(), record);
    let left = Command::new("find")
        .arg(&out)
        .args(["-name", ".partial-*"])
        .output()
        .unwrap();
    assert!(left.stdout.is_empty(), "no partial file is left");
    assert!(
        benchmark(&path, &out, &[]).status.success(),
        "the sweep finishes afterwards"
    );
}

#[test]
fn images_of_one_pixel_train() {
    let folder = tempfile::tempdir().unwrap();
    let path = suite(
        &folder,
        &suite_text(5).replace("size = 20", "size = 20\nnetwork = \"small-cnn\""),
    );
    let data = folder.path().join("cohort");
    std::fs::create_dir_all(&data).unwrap();
    let mut manifest = String::from("path,label,site\n");
    for index in 0..48 {
        let file = format!("{index}.png");
        one_pixel(&data.join(&file), (index * 5) as u8);
        let row = [
            file,
            (index % 2).to_string(),
            ["a", "b", "c"][index % 3].into(),
        ];
        manifest.push_str(&row.join(","));
        manifest.push('\n');
    }
    std::fs::write(data.join("manifest.csv"), manifest).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let chest = text.find("[[simulated]]").unwrap();
    let folders = "[folders]\nprotocols = [\"leave-one-site-out\"]\nshift = \"combined\"\n";
    let text = format!("{}{folders}", &text[..chest]).replace("size = 20", "size = 1");
    std::fs::write(&path, text).unwrap();
    let out = folder.path().join("out");
    let output = benchmark(&path, &out, &["--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// A grey PNG of one pixel, written by hand so that this test needs no encoder.
fn one_pixel(path: &Path, value: u8) {
    let raster = ctl_imaging::Raster::new(1, 1, 1, vec![f32::from(value) / 255.0]).unwrap();
    raster.write_png(path).unwrap();
}

#[test]
fn json_goes_to_stdout_alone_and_models_apply_to_a_new_cohort() {
    let folder = tempfile::tempdir().unwrap();
    let path = suite(&folder, &suite_text(5));
    let out = folder.path().join("out");
    let output = benchmark(&path, &out, &["--json", "--save-models", "--jobs", "2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        table["lines"].as_array().unwrap().len(),
        4,
        "two methods under two selectors"
    );
    for command in [vec!["methods", "--json"], vec!["suites", "--json"]] {
        let listed: serde_json::Value = serde_json::from_slice(&ctl(&command).stdout).unwrap();
        assert!(!listed.as_array().unwrap().is_empty());
    }
    let run = std::fs::read_dir(out.join("runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let data = folder.path().join("new");
    cohort(&data);
    let arguments = ["predict", run.to_str().unwrap(), data.to_str().unwrap()];
    let predicted = ctl(&arguments);
    assert!(predicted.status.success(), "{}", stderr(&predicted));
    let text = String::from_utf8(predicted.stdout).unwrap();
    assert_eq!(
        text.lines().count(),
        33,
        "a header and four sites of eight images"
    );
    assert!(text.starts_with("path,predicted,p(healthy),p(diseased)"));
}

/// Every file of a sweep, with its bytes unless it holds wall-clock time.
fn listing(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![out.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(out).unwrap().display().to_string();
            let timed = name.ends_with("env.json") || name.starts_with("report");
            let bytes = if timed {
                Vec::new()
            } else {
                std::fs::read(&path).unwrap()
            };
            files.insert(name, bytes);
        }
    }
    files
}

/// Whether some run is half way: it has a checkpoint and no record.
fn is_under_way(out: &Path) -> bool {
    let runs = std::fs::read_dir(out.join("runs")).into_iter().flatten();
    runs.flatten().any(|run| {
        run.path().join("checkpoint.safetensors").exists()
            && !run.path().join("record.json").exists()
    })
}

/// Kills the process again and again while a run is half way; the sweep then ends with the files
/// and bytes of an undisturbed one.
#[test]
fn a_killed_sweep_finishes_with_the_same_bytes() {
    const KILLS: usize = 3;
    let folder = tempfile::tempdir().unwrap();
    let path = suite(&folder, &suite_text(60));
    let whole = folder.path().join("whole");
    assert!(benchmark(&path, &whole, &["--jobs", "1"]).status.success());
    let cut = folder.path().join("cut");
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    let mut hit = 0;
    while hit < KILLS {
        let mut child = Command::new(binary)
            .args(["benchmark", "--suite", path.to_str().unwrap()])
            .args(["--out", cut.to_str().unwrap(), "--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pause = Duration::from_millis(3 + 7 * hit as u64);
        while child.try_wait().unwrap().is_none() && !is_under_way(&cut) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(pause);
        if child.try_wait().unwrap().is_some() {
            // It was faster than the look at its folder: start over.
            std::fs::remove_dir_all(&cut).unwrap();
            hit = 0;
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        hit += 1;
    }
    assert!(benchmark(&path, &cut, &[]).status.success());
    let (one, two) = (listing(&whole), listing(&cut));
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        two.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &one {
        let same = name == "sweep.json" || *bytes == two[name];
        assert!(same, "{name} differs after kills");
    }
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

/// The commands that the README shows, `ci`, `--all` and long ones aside, parse and show help.
#[test]
fn help_names_exit_codes_and_every_command() {
    let text = String::from_utf8(ctl(&["--help"]).stdout).unwrap();
    for word in [
        "benchmark",
        "reproduce",
        "report",
        "methods",
        "suites",
        "data",
        "conformance",
        "predict",
        "perf",
        "Exit codes",
    ] {
        assert!(text.contains(word), "{word}");
    }
}

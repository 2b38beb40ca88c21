//! The binary from outside: mistakes, exit codes, JSON, resuming after a kill, models.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rstest::rstest;
use support::{cohort, ctl, stderr};
use tempfile::TempDir;

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

#[rstest]
#[case::seeds(&["benchmark", "--seeds", "0"], 2, "--seeds")]
#[case::negative_seeds(&["benchmark", "--seeds", "-1"], 2, "1..=1000")]
#[case::method(&["benchmark", "--method", "erm,irn"], 2, "irn")]
#[case::task(&["benchmark", "--task", "classify"], 2, "classification")]
#[case::shift(&["benchmark", "--shift", "accquisition"], 2, "acquisition")]
#[case::no_cell(&["benchmark", "--task", "reconstruction", "--shift", "annotation"], 2, "annotation")]
#[case::suite(&["benchmark", "--suite", "fast"], 2, "quick")]
#[case::suite_file(&["benchmark", "--suite", "/no/such/suite.toml"], 3, "suite.toml")]
#[case::no_data(&["benchmark", "--suite", "real"], 2, "--data")]
#[case::data(&["benchmark", "--suite", "real", "--data", "/no/such/folder"], 3, "/no/such/folder")]
#[case::unread_data(&["benchmark", "--data", "."], 2, "--suite real")]
#[case::no_cohort(&["benchmark", "--suite", "real", "--data", "."], 3, "holds no cohort")]
#[case::experiment(&["reproduce", "irm", "--data", "."], 2, "irm-colored-mnist")]
#[case::second_experiment(
    &["reproduce", "irm-colored-mnist", "irm", "--data", "."], 2, "unknown experiment \"irm\""
)]
#[case::mnist(&["reproduce", "irm-colored-mnist", "--data", "/no/such/folder"], 3, "/no/such/folder")]
#[case::report(&["report", "/no/such/folder"], 3, "sweep.json")]
#[case::format(&["report", ".", "--format", "pdf"], 2, "html")]
#[case::model(&["predict", "/no/such/model", "."], 3, "model.json")]
#[case::vectors(&["conformance", "/no/such/folder"], 3, "/no/such/folder")]
#[case::dial(&["data", "make", "never-made", "--confounding", "2"], 2, "confounding")]
#[case::contrast(&["data", "make", "never-made", "--anatomy", "chest", "--contrast", "t1"], 2, "contrast")]
#[case::severity(&["data", "make", "never-made", "--severity", "9"], 2, "0.5 to 6")]
#[case::mnist_of_digits(
    &["data", "digits", "never-made", "--kind", "morpho", "--mnist", "/no/such/folder"], 3, "/no/such/folder"
)]
#[case::kind_of_digits(
    &["data", "digits", "never-made", "--kind", "blue", "--mnist", "."], 2, "colored-irm"
)]
#[case::images_of_digits(
    &["data", "digits", "never-made", "--kind", "morpho", "--mnist", ".", "--images", "0"], 2, "images"
)]
#[case::levels(
    &["data", "import", "tree", "never-made", ".", "--levels", "site,site"], 2, "each level once"
)]
#[case::meaning(
    &["data", "import", "csv", "never-made", "/no/such.csv", "--column", "foo=bar"], 2, "one of path"
)]
#[case::column_twice(
    &["data", "import", "csv", "never-made", "/no/such.csv", "--column", "label=a", "--column", "label=b"],
    2, "label=a and label=b"
)]
#[case::table(&["data", "import", "csv", "never-made", "/no/such.csv"], 3, "/no/such.csv")]
#[case::bids(&["data", "import", "bids", "never-made", "/no/such"], 3, "dataset_description.json")]
#[case::nnunet(&["data", "import", "nnunet", "never-made", "/no/such"], 3, "dataset.json")]
#[case::salt(&["data", "import", "dicom", "never-made", "."], 2, "--salt")]
#[case::keyword(
    &["data", "import", "dicom", "never-made", ".", "--salt", "x", "--tag", "Manufacture"], 2, "PS3.6"
)]
#[case::raw_data(&["data", "kspace", "/no/such/file.npy"], 3, "/no/such/file.npy")]
#[case::iterations(&["data", "kspace", "x.npy", "--iterations", "0"], 2, "--iterations")]
#[case::perf_model(&["perf", "--model", "mlp,resnet"], 2, "resnet18")]
#[case::perf_workload(&["perf", "--workload", "id"], 2, "identify_10_15")]
#[case::perf_threads(&["perf", "--threads", "0"], 2, "--threads")]
#[case::perf_rounds(&["perf", "--rounds", "0"], 2, "--rounds")]
#[case::option_of_slurm(&["benchmark", "--chunk", "2"], 2, "--launcher slurm")]
#[case::time(&["benchmark", "--launcher", "slurm", "--time", "5m"], 2, "launcher slurm: time")]
#[case::partition(&["benchmark", "--launcher", "slurm", "--partition=-x"], 2, "partition")]
#[case::sbatch_option(
    &["benchmark", "--launcher", "slurm", "--sbatch-arg=--array=0-9"], 2, "sbatch-arg"
)]
#[case::no_batch(&["run-chunk", ".", "--batch", "1", "--index", "0"], 3, "batch-1.json")]
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
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
    assert!(text.contains(out.to_str().unwrap()), "{text}");
    assert!(!text.contains(".partial-"), "{text}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "a file of somebody");
}

#[test]
fn a_cluster_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = suite(&folder, &suite_text(5));
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    let output = Command::new(binary)
        .args(["benchmark", "--launcher", "slurm", "--suite"])
        .arg(&path)
        .current_dir(folder.path())
        .env("PATH", "")
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("is Slurm installed"), "{text}");
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let text = suite_text(5).replacen(
        "[training]",
        "[expected_seconds]\nclassification = 90.0\n[training]",
        1,
    );
    let path = suite(&folder, &text);
    let out = folder.path().join("out");
    let planned = |more: &[&str]| {
        let output = benchmark(&path, &out, &[&["--launcher", "dry-run"], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = planned(&["--jobs", "1"]);
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(listed.contains("2 runs, 10 training steps"), "{listed}");
    assert!(
        listed.contains("about 3 min from the start with 1 at once"),
        "{listed}"
    );
    assert!(!out.exists());
    assert!(
        benchmark(&path, &out, &["--method", "irm"])
            .status
            .success()
    );
    assert!(planned(&[]).contains("1 of the runs are done"));
}

/// Results among the images of a cohort would belong to neither.
#[test]
fn a_cohort_is_no_place_for_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = suite(&folder, &suite_text(5));
    let data = folder.path().join("cohort");
    cohort(&data, 4);
    let before = listing(&data);
    let output = benchmark(&path, &data, &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("manifest.csv"),
        "{}",
        stderr(&output)
    );
    assert_eq!(listing(&data), before);
}

/// One damaged cohort hides no other.
#[test]
fn every_cohort_that_can_be_read_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    cohort(&folder.path().join("sound"), 4);
    let damaged = folder.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("manifest.csv"), "path,path\n").unwrap();
    let output = ctl(&["data", "list", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("simulated-chest"));
    assert!(stderr(&output).contains("damaged"), "{}", stderr(&output));
}

/// What a program reads of an import, and where a cohort came from.
#[test]
fn an_import_comes_as_data() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("tree/well");
    std::fs::create_dir_all(&source).unwrap();
    let picture = ctl_imaging::Raster::new(1, 2, 2, vec![0.5; 4]).unwrap();
    picture.write_png(&source.join("a.png")).unwrap();
    std::fs::write(source.join("notes.txt"), "notes").unwrap();
    let [from, to] = ["tree", "new"].map(|name| folder.path().join(name));
    let [from, to] = [&from, &to].map(|path| path.to_str().unwrap());
    let output = ctl(&["data", "import", "tree", to, from, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&made["images"], &made["cohort"]), (&1.into(), &to.into()));
    assert_eq!(made["left_out"][0]["path"], "well/notes.txt");
    let provenance = std::fs::read(folder.path().join("new/import.json")).unwrap();
    let provenance: serde_json::Value = serde_json::from_slice(&provenance).unwrap();
    assert_eq!(provenance["sources"], serde_json::json!(["tree"]));
}

/// Complex numbers `[coils, H, W]` in the format of `NumPy`.
fn write_coils(path: &Path, shape: [usize; 3], value: f32) {
    let [coils, height, width] = shape;
    let mut header = format!(
        "{{'descr': '<c8', 'fortran_order': False, 'shape': ({coils}, {height}, {width}), }}"
    );
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for _ in 0..coils * height * width {
        bytes.extend(value.to_le_bytes());
        bytes.extend(0_f32.to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn raw_data_of_coils_become_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [raw, same, other, empty, image] =
        ["raw.npy", "same.npy", "other.npy", "empty.npy", "image.png"].map(path);
    write_coils(Path::new(&raw), [2, 8, 8], 0.5);
    write_coils(Path::new(&same), [1, 8, 8], 1.0);
    write_coils(Path::new(&other), [1, 8, 6], 1.0);
    write_coils(Path::new(&empty), [2, 8, 8], 0.0);
    let output = ctl(&[
        "data",
        "kspace",
        &raw,
        "--reference",
        &same,
        "--out",
        &image,
        "--json",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["coils"], 2);
    assert_eq!(found["sampled"], 1.0);
    assert!(found["reconstruction"]["psnr"].as_f64().unwrap() > 0.0);
    assert!(Path::new(&image).exists());
    for (arguments, says) in [
        (vec!["data", "kspace", &raw, "--reference", &other], "8 x 6"),
        (vec!["data", "kspace", &empty], "no point was measured"),
    ] {
        let output = ctl(&arguments);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

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
        "trap '' XFSZ; ulimit -f 4; exec '{}' benchmark --suite '{}' \
         --out '{}' --method erm,irm,v-rex",
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
    assert!(text.contains("another run, for the same reason"), "{text}");
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
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
    cohort(&data, 8);
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
    let pictures = folder.path().join("pictures");
    let output = ctl(&[&arguments[..], &["--pictures", pictures.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(!pictures.exists());
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
            let bytes = if name.ends_with("env.json") {
                Vec::new()
            } else {
                std::fs::read(&path).unwrap()
            };
            let is_report = name.starts_with("report");
            let bytes = if is_report {
                without_command(&bytes, out)
            } else {
                bytes
            };
            files.insert(name, bytes);
        }
    }
    files
}

/// A report without what was typed to get it: the folder, and how many runs at once.
fn without_command(report: &[u8], out: &Path) -> Vec<u8> {
    let text = String::from_utf8(report.to_vec()).unwrap();
    let path = out.to_str().unwrap();
    let named = text.contains(path) || text.contains(&path.replace('/', "&#x2f;"));
    assert!(named, "the report names its command");
    text.replace(path, "OUT")
        .replace(&path.replace('/', "&#x2f;"), "OUT")
        .replace(" --jobs 1", "")
        .into_bytes()
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
        "interrupted",
    ] {
        assert!(text.contains(word), "{word}");
    }
}

/// Help that says nothing of an option or a command is a gap.
fn assert_everything_is_explained(command: &[&str]) {
    let output = ctl(&[command, &["--help"]].concat());
    assert_eq!(output.status.code(), Some(0), "{command:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].len() > 10, "{command:?} says what it does");
    for (at, line) in lines.iter().enumerate() {
        let entry = line.trim_start();
        let is_default = entry.starts_with("[default");
        if !line.starts_with("  ") || !entry.starts_with(['-', '<', '[']) || is_default {
            continue;
        }
        // The explanation follows on the line, after two blanks, or on the next one.
        let beside = entry
            .split_once("  ")
            .is_some_and(|(_, said)| !said.trim().is_empty());
        let below = lines
            .get(at + 1)
            .is_some_and(|next| next.starts_with("          "));
        assert!(beside || below, "{command:?}: {line}");
    }
}

#[rstest]
#[case(&[])]
#[case(&["benchmark"])]
#[case(&["reproduce"])]
#[case(&["report"])]
#[case(&["methods"])]
#[case(&["suites"])]
#[case(&["data"])]
#[case(&["data", "list"])]
#[case(&["data", "verify"])]
#[case(&["data", "make"])]
#[case(&["conformance"])]
#[case(&["advise"])]
#[case(&["predict"])]
#[case(&["perf"])]
fn help_explains_every_option(#[case] command: &[&str]) {
    assert_everything_is_explained(command);
}

/// The reader goes before anything is written, as `head` may.
#[cfg(unix)]
#[rstest]
#[case(&["methods"])]
#[case(&["methods", "--json"])]
#[case(&["methods", "--markdown"])]
#[case(&["suites"])]
#[case(&["benchmark", "--launcher", "dry-run"])]
#[case(&["advise", "--templates"])]
fn a_reader_that_has_gone_is_no_error(#[case] arguments: &[&str]) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    let output = Command::new(binary)
        .args(arguments)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

/// `/dev/full` refuses every write, as a full disk does.
#[cfg(target_os = "linux")]
#[rstest]
#[case(&["methods"])]
#[case(&["suites", "--json"])]
fn results_that_cannot_be_written_are_an_error(#[case] arguments: &[&str]) {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    let output = Command::new(binary)
        .args(arguments)
        .stdout(full)
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.starts_with("error: cannot write to stdout: "),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

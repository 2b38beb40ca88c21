//! Slurm by its commands.

use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};

use super::scheduler::{Answer, Fault, Scheduler, Submission, Task};
use super::settings::SlurmSettings;

/// `MaxArraySize` of a cluster that does not tell (`slurm.conf(5)`).
const USUAL_ARRAY: usize = 1001;
/// Columns of `squeue`: name, job of the array, index, state, reason.
const COLUMNS: &str = "%j|%F|%K|%T|%r";

/// What commands say when the controller or its authentication is away for a while.
const PASSING: [&str; 13] = [
    "unable to contact slurm controller",
    "unable to contact slurmctld",
    "temporarily unable",
    "socket timed out",
    "connection refused",
    "connection timed out",
    "connection reset",
    "communication connection failure",
    "message receive failure",
    "zero bytes were transmitted",
    "protocol authentication error",
    "munge",
    "resource temporarily unavailable",
];

/// Calls `sbatch`, `squeue`, `sacct` and `scontrol`; no shell is between.
pub(super) struct Commands {
    settings: SlurmSettings,
}

impl Commands {
    pub(super) fn new(settings: &SlurmSettings) -> Self {
        Self {
            settings: settings.clone(),
        }
    }
}

impl Scheduler for Commands {
    fn submit(&self, submission: &Submission) -> Answer<String> {
        let script = script(&self.settings, submission);
        let words = words(&self.settings, submission);
        let said = call("sbatch", &words, &script).map_err(|failure| match failure {
            Failure::Said(message) if passes(&message) => Fault::Passing(message),
            Failure::Said(message) | Failure::Absent(message) => Fault::Lasting(message),
        })?;
        job_of(&said).ok_or_else(|| {
            Fault::Lasting(format!(
                "sbatch: expected the number of a job, found {said:?}"
            ))
        })
    }

    fn tasks(&self, names: &[String]) -> Answer<Vec<Task>> {
        let words = [
            "--noheader".to_owned(),
            "--array".into(),
            "--states=all".into(),
            format!("--name={}", names.join(",")),
            format!("--format={COLUMNS}"),
        ];
        let said = call("squeue", &words, "").map_err(|failure| match failure {
            // Whatever the queue is silent about now, it may tell later.
            Failure::Said(message) => Fault::Passing(message),
            Failure::Absent(message) => Fault::Lasting(message),
        })?;
        Ok(said.lines().filter_map(task_of).collect())
    }

    fn end_of(&self, job: &str, index: usize) -> Option<String> {
        let words = [
            "--noheader".to_owned(),
            "--parsable2".into(),
            "--allocations".into(),
            format!("--jobs={job}_{index}"),
            "--format=State".into(),
        ];
        let said = call("sacct", &words, "").ok()?;
        // `CANCELLED by 1000`
        let state = said.lines().next_back()?.split_whitespace().next()?;
        Some(state.to_owned())
    }

    fn longest_array(&self) -> usize {
        let said = call("scontrol", &["show".into(), "config".into()], "");
        said.ok()
            .and_then(|said| array_of(&said))
            .unwrap_or(USUAL_ARRAY)
    }
}

/// Words of `sbatch`; those of the user come last.
fn words(settings: &SlurmSettings, submission: &Submission) -> Vec<String> {
    let Submission { name, batch, .. } = submission;
    let limit = settings.at_once.map_or(String::new(), |n| format!("%{n}"));
    let mut words = vec![
        "--parsable".to_owned(),
        format!("--job-name={name}"),
        format!("--array=0-{}{limit}", submission.tasks - 1),
        format!("--chdir={}", submission.root),
        // Relative, so that no character of the path is taken as a pattern.
        format!("--output=slurm/task-{batch}-%a.txt"),
        "--open-mode=append".into(),
        "--nodes=1".into(),
        "--ntasks=1".into(),
        "--cpus-per-task=1".into(),
    ];
    let own = [("partition", &settings.partition), ("time", &settings.time)];
    for (option, value) in own {
        words.extend(value.as_ref().map(|value| format!("--{option}={value}")));
    }
    words.extend(settings.arguments.iter().cloned());
    words
}

/// What a task executes.
fn script(settings: &SlurmSettings, submission: &Submission) -> String {
    let program = quoted(&settings.program.to_string_lossy());
    let (root, batch) = (quoted(&submission.root), submission.batch);
    format!(
        "#!/bin/sh\nexec {program} run-chunk {root} --batch {batch} --index \
         \"$SLURM_ARRAY_TASK_ID\"\n"
    )
}

/// A word that a POSIX shell reads back as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Why a command gave nothing.
#[derive(Debug)]
enum Failure {
    /// It could not be run.
    Absent(String),
    /// It ran and complained.
    Said(String),
}

/// What a command said on stdout.
fn call(program: &str, words: &[String], input: &str) -> std::result::Result<String, Failure> {
    let output = output_of(program, words, input).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => "; is Slurm installed on this machine?",
            _ => "",
        };
        Failure::Absent(format!("cannot run {program}: {error}{hint}"))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    Err(Failure::Said(if lines.is_empty() {
        format!("{program}: {}", output.status)
    } else {
        lines.join("; ")
    }))
}

fn output_of(program: &str, words: &[String], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read to the end says why on stderr.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// Whether a complaint is about a controller that is away for a while.
fn passes(message: &str) -> bool {
    let message = message.to_lowercase();
    PASSING.iter().any(|known| message.contains(known))
}

/// The job in what `sbatch --parsable` says: `12`, or `12;cluster`.
fn job_of(said: &str) -> Option<String> {
    let job = said.lines().next_back()?.split(';').next()?.trim();
    let digits = !job.is_empty() && job.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| job.to_owned())
}

/// A line of `squeue`; jobs that are no arrays have no index.
fn task_of(line: &str) -> Option<Task> {
    let mut columns = line.trim().splitn(5, '|').map(str::to_owned);
    Some(Task {
        name: columns.next()?,
        job: columns.next()?,
        index: columns.next()?.parse().ok()?,
        state: columns.next()?,
        reason: columns.next()?,
    })
}

/// The longest array in what `scontrol show config` says.
fn array_of(said: &str) -> Option<usize> {
    let mut pairs = said.lines().filter_map(|line| line.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim() == "MaxArraySize")?;
    value.trim().parse().ok().filter(|&n| n > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings() -> SlurmSettings {
        SlurmSettings {
            program: "/opt/it's/ctl".into(),
            chunk: None,
            at_once: Some(3),
            partition: Some("long".into()),
            time: Some("2-0".into()),
            arguments: vec!["--mem=4G".into(), "--comment=a b".into()],
            retries: 2,
            poll: Duration::from_secs(1),
            wait: true,
        }
    }

    fn submission() -> Submission {
        Submission {
            name: "ctl-tiny-00ff-2".into(),
            batch: 2,
            tasks: 8,
            root: "/home/a b/out%j".into(),
        }
    }

    #[test]
    fn the_words_of_sbatch() {
        let expected = "--parsable --job-name=ctl-tiny-00ff-2 --array=0-7%3 \
                        --chdir=/home/a b/out%j --output=slurm/task-2-%a.txt --open-mode=append \
                        --nodes=1 --ntasks=1 --cpus-per-task=1 --partition=long --time=2-0 \
                        --mem=4G --comment=a b";
        assert_eq!(words(&settings(), &submission()).join(" "), expected);
    }

    /// As a string and not by a shell: a child of this process would hold the locks of other tests
    /// for a moment.
    #[test]
    fn the_script_quotes_every_path() {
        let expected = "#!/bin/sh\nexec '/opt/it'\\''s/ctl' run-chunk '/home/a b/out%j' --batch 2 \
                        --index \"$SLURM_ARRAY_TASK_ID\"\n";
        assert_eq!(script(&settings(), &submission()), expected);
    }

    #[test]
    fn answers_of_slurm_are_read() {
        for (said, job) in [("12\n", Some("12")), ("12;big\n", Some("12")), ("", None)] {
            assert_eq!(job_of(said).as_deref(), job);
        }
        let line = "ctl-tiny-00ff-2|12|7|PENDING|Resources|more\n";
        let task = task_of(line).unwrap();
        assert_eq!((task.job.as_str(), task.index), ("12", 7));
        assert!(task.is_live() && task.is_pending());
        assert_eq!(task.reason, "Resources|more");
        assert_eq!(task_of("x|12|N/A|RUNNING|None"), None);
        let ended = task_of("x|12|0|TIMEOUT|TimeLimit").unwrap();
        assert!(!ended.is_live());
        let config = "Configuration data\nMaxArraySize            = 2001\n";
        assert_eq!(array_of(config), Some(2001));
        assert_eq!(array_of("nothing"), None);
    }

    #[test]
    fn what_passes_is_told_from_what_was_refused() {
        for text in [
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller \
             (connect failure)",
            "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
            "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        ] {
            assert!(passes(text), "{text}");
        }
        for text in [
            "sbatch: error: invalid partition specified: gpu; sbatch: error: Batch job submission \
             failed: Invalid partition name specified",
            "sbatch: unrecognized option '--mme=4G'",
        ] {
            assert!(!passes(text), "{text}");
        }
    }
}

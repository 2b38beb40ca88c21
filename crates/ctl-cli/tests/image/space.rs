//! Disks that fill up and files that may not be read or written.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]

use crate::damage::{contents, noise};
use crate::{ctl, stderr, text};
use ctl_imaging::volume::write_volume;
use rstest::rstest;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a line of shell with the binary as `$ctl` and a folder as `$folder`.
fn shell(before: &[&str], line: &str, folder: &Path) -> Output {
    let words: Vec<&str> = before.iter().copied().chain(["bash", "-c", line]).collect();
    let (program, rest) = words.split_first().unwrap();
    Command::new(program)
        .args(rest)
        .env("ctl", assert_cmd::cargo::cargo_bin!("ctl"))
        .env("folder", folder)
        .output()
        .unwrap()
}

/// A limit on the size of a file stands for the full disk.
#[rstest]
fn what_does_not_fit_leaves_the_older_file(
    #[values("old.nii", "old.nii.gz", "old.nrrd", "old.mha", "old.png")] name: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let scan = folder.path().join("scan.nii");
    write_volume(&scan, &noise(24)).unwrap();
    std::fs::write(folder.path().join(name), "older").unwrap();
    let before = contents(folder.path());
    let verb = if name == "old.png" { "show" } else { "convert" };
    // 4 KiB, and an error in place of the signal.
    let line = format!(
        "trap '' XFSZ; ulimit -f 4; cd \"$folder\"; exec \"$ctl\" image {verb} scan.nii {name}"
    );
    let out = shell(&[], &line, folder.path());
    let said = stderr(&out);
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(
        said.starts_with(&format!("error: cannot write {name}: ")),
        "{said}"
    );
    assert!(contents(folder.path()) == before, "the folder changed");
}

/// A disk of 16 KiB that fills up, in a name space of its own.
#[rstest]
fn a_full_disk_leaves_the_older_file(
    #[values("old.nii", "old.nii.gz", "old.nrrd", "old.mha", "old.png")] name: &str,
) {
    let new_space = ["unshare", "--user", "--map-root-user", "--mount"];
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=16k none \"$folder\"";
    let probe = Command::new("unshare").arg("--version").output();
    if probe.is_err() || !shell(&new_space, mount, folder.path()).status.success() {
        eprintln!("skipped: no file system can be mounted in a name space here");
        return;
    }
    let scan = tempfile::tempdir().unwrap();
    let scan = scan.path().join("scan.nii");
    write_volume(&scan, &noise(40)).unwrap();
    let verb = if name == "old.png" { "show" } else { "convert" };
    let line = format!(
        "{mount} && cd \"$folder\" && echo older > {name}; \"$ctl\" image {verb} '{}' {name}; \
         echo \"code $?\"; ls -A; cat {name}",
        scan.display()
    );
    let out = shell(&new_space, &line, folder.path());
    let listed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(
        listed,
        format!("code 3\n{name}\nolder\n"),
        "{}",
        stderr(&out)
    );
    let said = format!("error: cannot write {name}: No space left on device");
    assert!(stderr(&out).starts_with(&said), "{}", stderr(&out));
}

/// Words before a command by which root is bound by permissions too, if there are any here.
fn bound_by_permissions(unreadable: &Path) -> Option<Vec<&'static str>> {
    let ways: [&[&str]; 3] = [
        &[],
        &["setpriv", "--bounding-set=-all"],
        &["unshare", "--user"],
    ];
    let binds = |way: &&[&str]| {
        let words = [*way, &["cat", text(unreadable)][..]].concat();
        let read = Command::new(words[0]).args(&words[1..]).output();
        // The way itself must work: it can look at what everybody may look at.
        let looks = [*way, &["cat", "/dev/null"][..]].concat();
        let looked = Command::new(looks[0]).args(&looks[1..]).output();
        looked.is_ok_and(|out| out.status.success()) && read.is_ok_and(|out| !out.status.success())
    };
    let found = ways.into_iter().find(binds);
    if found.is_none() {
        eprintln!("skipped: root is not bound by permissions here");
    }
    found.map(<[&str]>::to_vec)
}

#[test]
fn what_may_not_be_read_or_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let [scan, closed] = ["scan.nii", "closed"].map(|name| folder.path().join(name));
    std::fs::create_dir(&closed).unwrap();
    write_volume(&closed.join("old.nii"), &noise(2)).unwrap();
    std::fs::write(closed.join("old.png"), "older").unwrap();
    for name in ["scan.nii", "hidden.nii"] {
        write_volume(&folder.path().join(name), &noise(3)).unwrap();
    }
    let permit = |path: &Path, bits: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
    };
    let hidden = folder.path().join("hidden.nii");
    permit(&hidden, 0o000);
    let Some(way) = bound_by_permissions(&hidden) else {
        return;
    };
    permit(&closed, 0o555);
    let before = contents(&closed);
    for (line, said) in [
        (
            "info hidden.nii",
            "cannot open hidden.nii: Permission denied",
        ),
        (
            "convert hidden.nii new.nii",
            "cannot open hidden.nii: Permission denied",
        ),
        (
            "show hidden.nii new.png",
            "cannot open hidden.nii: Permission denied",
        ),
        (
            "convert scan.nii closed/old.nii",
            "cannot create closed/.old.nii.",
        ),
        (
            "show scan.nii closed/old.png",
            "cannot create closed/.old.png.",
        ),
    ] {
        let out = shell(
            &way,
            &format!("cd \"$folder\"; exec \"$ctl\" image {line}"),
            folder.path(),
        );
        assert_eq!(out.status.code(), Some(3), "{line}: {}", stderr(&out));
        assert!(
            stderr(&out).starts_with(&format!("error: {said}")),
            "{}",
            stderr(&out)
        );
    }
    permit(&closed, 0o755);
    assert!(contents(&closed) == before, "the folder changed");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    assert!(ctl(&["image", "info", text(&scan)]).status.success());
}

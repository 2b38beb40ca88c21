//! Writes the corpus that the targets start from: small simulated files of our own writers, the
//! golden files of `ctl-imaging`, which other programs wrote, and some that are put together here.
//!
//! `cargo +nightly fuzz run --release seeds` writes them to `fuzz/corpus`, one folder a target; what the
//! fuzzer found there stays. The files are the same every time.

mod dicom;
mod golden;
mod text;
mod written;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Failure = Box<dyn Error>;

/// Contents of files for one target, with names.
type Files = Vec<(String, Vec<u8>)>;

fn main() -> Result<(), Failure> {
    // Options that cargo-fuzz gives to targets mean nothing here.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("corpus");
    let mut count = 0;
    for (target, files) in all()? {
        count += files.len();
        save(&corpus.join(target), files)?;
    }
    println!("{count} files in {}", corpus.display());
    Ok(())
}

fn all() -> Result<Vec<(&'static str, Files)>, Failure> {
    let mut all = written::all()?;
    all.extend(golden::all()?);
    all.extend(text::all());
    all.push(("import", text::imports()));
    all.push(("import", written::archives()?));
    let dicom = dicom::all()?;
    // The byte before the file says where the second one differs.
    let placed = |(name, bytes): &(String, Vec<u8>)| (name.clone(), [&[200], &bytes[..]].concat());
    all.push(("dicom_files", dicom.iter().map(placed).collect()));
    all.push(("dicom", dicom));
    Ok(all)
}

fn save(folder: &PathBuf, files: Files) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

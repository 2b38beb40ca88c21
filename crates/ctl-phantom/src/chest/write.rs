//! A cohort as a folder: manifest, description, diagram and images.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ctl_imaging::Raster;
use rayon::prelude::*;

use super::cohort::ChestCohort;
use super::diagram;
use super::sample::ChestSample;
use crate::PhantomError;

/// What `cohort.toml` says; nothing in it depends on the specification.
const COHORT_TOML: &str = r#"schema = 1
name = "simulated-chest"
tasks = ["classification"]
licence = "simulated; no patient, no restriction"

[label]
column = "label"
classes = ["healthy", "diseased"]

[attributes]
inputs = ["age", "sex"]
"#;

impl ChestCohort {
    /// Writes the cohort to a folder that does not exist yet or is empty.
    ///
    /// The folder holds `manifest.csv` (path, label 0 or 1, site, patient, age in years with one
    /// decimal, sex F or M), `cohort.toml`, `diagram.toml` with the causal diagram and what the
    /// dials shifted, and `img/*.png` with 8 bits a pixel. All is written beside the folder first
    /// and then renamed, so that no half-written cohort is left behind.
    ///
    /// # Errors
    ///
    /// [`PhantomError::NotEmpty`] where the folder holds something, [`PhantomError::Io`] where the
    /// file system refuses, [`PhantomError::Image`] where an image cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_phantom::{ChestSpec, simulate_chest};
    ///
    /// let spec = ChestSpec { size: 16, images_per_site: 2, ..ChestSpec::default() };
    /// let parent = tempfile::tempdir()?;
    /// let dir = parent.path().join("chest");
    /// simulate_chest(&spec)?.write(&dir)?;
    /// let manifest = std::fs::read_to_string(dir.join("manifest.csv"))?;
    /// assert_eq!(manifest.lines().next(), Some("path,label,site,patient,age,sex"));
    /// assert_eq!(manifest.lines().count(), 1 + 4 * 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self, dir: &Path) -> Result<(), PhantomError> {
        refuse_what_is_there(dir)?;
        let partial = partial_name(dir);
        let written = self
            .write_parts(&partial)
            .and_then(|()| fs::rename(&partial, dir).map_err(|source| io(dir, source)));
        if written.is_err() {
            // The first error is the one to report; what cannot be removed stays under its own
            // name, which no reader takes for a cohort.
            let _ = fs::remove_dir_all(&partial);
        }
        written
    }

    fn write_parts(&self, dir: &Path) -> Result<(), PhantomError> {
        let images = dir.join("img");
        fs::create_dir_all(&images).map_err(|source| io(&images, source))?;
        write_text(&dir.join("manifest.csv"), &self.manifest())?;
        write_text(&dir.join("cohort.toml"), COHORT_TOML)?;
        write_text(&dir.join("diagram.toml"), &diagram::toml(&self.spec))?;
        self.samples
            .par_iter()
            .try_for_each(|sample| write_image(&images, sample, self.spec.size))
    }

    /// Names are our own and hold neither commas nor quotes.
    fn manifest(&self) -> String {
        let mut text = String::from("path,label,site,patient,age,sex\n");
        for sample in &self.samples {
            let _ = writeln!(
                text,
                "img/{}.png,{},{},{},{:.1},{}",
                sample.id,
                u8::from(sample.label),
                self.sites[sample.site].name,
                sample.patient,
                sample.attributes.age,
                sample.attributes.sex.letter()
            );
        }
        text
    }
}

fn refuse_what_is_there(dir: &Path) -> Result<(), PhantomError> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(PhantomError::NotEmpty {
            path: dir.to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io(dir, source)),
    }
}

/// A sibling of the folder, hidden and this process's own.
fn partial_name(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}.partial-{}", std::process::id()))
}

fn write_image(dir: &Path, sample: &ChestSample, size: usize) -> Result<(), PhantomError> {
    let path = dir.join(format!("{}.png", sample.id));
    Raster::new(1, size, size, sample.image.clone())
        .and_then(|raster| raster.write_png(&path))
        .map_err(|source| PhantomError::Image {
            path,
            source: Box::new(source),
        })
}

fn write_text(path: &Path, text: &str) -> Result<(), PhantomError> {
    fs::write(path, text).map_err(|source| io(path, source))
}

fn io(path: &Path, source: std::io::Error) -> PhantomError {
    PhantomError::Io {
        path: path.to_owned(),
        source,
    }
}

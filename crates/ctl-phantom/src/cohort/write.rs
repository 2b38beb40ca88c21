//! A cohort as a folder: manifest, description, diagram, noises, images and masks.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ctl_imaging::Raster;
use rayon::prelude::*;

use super::PhantomCohort;
use crate::{Anatomy, PhantomError, PhantomSample, SiteRole};

impl PhantomCohort {
    /// Writes sources and target to a folder that does not exist yet or is empty.
    ///
    /// The folder holds `manifest.csv` (path, `mask_path`, label, site, patient, age, sex, lab,
    /// unit; an empty cell for a laboratory value that is not known), `cohort.toml`,
    /// `diagram.toml` for the advice on the study, `spec.json`, `noises.csv` with the exogenous
    /// noise of every node, `img/*.png` and `mask/*.png` with 8 bits a pixel. The references are
    /// left out: no method may be given them. All is written beside the folder first and then
    /// renamed, so that no half-written cohort is left behind.
    ///
    /// # Errors
    /// [`PhantomError::NotEmpty`] where the folder holds something, [`PhantomError::Io`] where the
    /// file system refuses, [`PhantomError::Image`] where an image cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_phantom::{PhantomSpec, simulate};
    ///
    /// let spec = PhantomSpec { size: 16, patients_per_site: 2, ..PhantomSpec::default() };
    /// let parent = tempfile::tempdir()?;
    /// let dir = parent.path().join("brain");
    /// simulate(&spec)?.write(&dir)?;
    /// let manifest = std::fs::read_to_string(dir.join("manifest.csv"))?;
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
        for folder in ["img", "mask"].map(|name| dir.join(name)) {
            fs::create_dir_all(&folder).map_err(|source| io(&folder, source))?;
        }
        let specification = serde_json::to_string_pretty(&self.spec)?;
        let texts = [
            ("manifest.csv", self.manifest()),
            ("cohort.toml", self.description()),
            ("diagram.toml", self.diagram().to_toml()),
            ("spec.json", specification),
            ("noises.csv", self.noises()),
        ];
        for (name, text) in texts {
            let path = dir.join(name);
            fs::write(&path, text).map_err(|source| io(&path, source))?;
        }
        let written: Vec<&PhantomSample> = self.written().collect();
        written
            .into_par_iter()
            .try_for_each(|sample| self.write_pixels(dir, sample))
    }

    /// The samples of sources and target.
    fn written(&self) -> impl Iterator<Item = &PhantomSample> {
        let role = |sample: &PhantomSample| self.sites[sample.site].role;
        let is_given = move |sample: &&PhantomSample| {
            matches!(role(sample), SiteRole::Source | SiteRole::Target)
        };
        self.samples.iter().filter(is_given)
    }

    /// Names are our own and hold neither commas nor quotes.
    fn manifest(&self) -> String {
        let mut text = String::from("path,mask_path,label,site,patient,age,sex,lab,unit\n");
        for sample in self.written() {
            let [age, sex, lab] = [0, 1, 2].map(|i| sample.attributes.get(i).copied().flatten());
            let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.3}"));
            let sex = sex.map_or("", |sex| if sex > 0.5 { "M" } else { "F" });
            let _ = writeln!(
                text,
                "img/{id}.png,mask/{id}.png,{},{},{},{},{sex},{},{}",
                sample.label,
                self.sites[sample.site].name,
                sample.patient,
                number(age),
                number(lab),
                sample.values[self.model.places.unit],
                id = sample.id,
            );
        }
        text
    }

    fn description(&self) -> String {
        let name = match self.spec.anatomy {
            Anatomy::Brain => "simulated-brain",
            Anatomy::Chest => "simulated-chest",
        };
        format!(
            "schema = 1\nname = \"{name}\"\n\
             tasks = [\"classification\", \"segmentation\", \"reconstruction\", \"anomaly\", \"multimodal\"]\n\
             licence = \"simulated; no patient, no restriction\"\n\n\
             [label]\ncolumn = \"label\"\nclasses = [\"healthy\", \"diseased\"]\n\n\
             [mask]\ncolumn = \"mask_path\"\nclasses = [\"background\", \"lesion\"]\n\
             threshold = 0.5\n\n\
             [attributes]\ninputs = [\"age\", \"sex\", \"lab\"]\nnumeric = [\"age\", \"lab\"]\n"
        )
    }

    fn noises(&self) -> String {
        let names = self.model.noises.iter().map(|&(_, name)| name);
        let mut text = format!("id,{}\n", names.collect::<Vec<_>>().join(","));
        for sample in self.written() {
            text.push_str(&sample.id);
            for noise in &sample.noises {
                // The shortest text that reads back to the same number.
                let _ = write!(text, ",{noise:?}");
            }
            text.push('\n');
        }
        text
    }

    fn write_pixels(&self, dir: &Path, sample: &PhantomSample) -> Result<(), PhantomError> {
        let file = |folder: &str| dir.join(folder).join(format!("{}.png", sample.id));
        self.write_png(file("img"), self.image_of(sample))?;
        let mask = self.mask_of(sample).into_iter().map(f32::from);
        self.write_png(file("mask"), mask.collect())
    }

    fn write_png(&self, path: PathBuf, pixels: Vec<f32>) -> Result<(), PhantomError> {
        let size = self.spec.size;
        Raster::new(1, size, size, pixels)
            .and_then(|raster| raster.write_png(&path))
            .map_err(|source| PhantomError::Image {
                path,
                source: Box::new(source),
            })
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

fn io(path: &Path, source: std::io::Error) -> PhantomError {
    PhantomError::Io {
        path: path.to_owned(),
        source,
    }
}

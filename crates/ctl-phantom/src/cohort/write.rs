//! A cohort as a folder: manifest, description, diagram, noises, images and masks.

use std::fmt::Write as _;
use std::path::Path;

use rayon::prelude::*;

use super::PhantomCohort;
use crate::{Anatomy, PhantomError, PhantomSample, SiteRole, folder};

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
    /// [`PhantomError::Folder`] where the folder holds something, [`PhantomError::Io`] where the
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
        folder::whole(dir, &["img", "mask"], |partial| self.write_parts(partial))
    }

    fn write_parts(&self, dir: &Path) -> Result<(), PhantomError> {
        let specification = serde_json::to_string_pretty(&self.spec)?;
        let texts = [
            ("manifest.csv", self.manifest()),
            ("cohort.toml", self.description()),
            ("diagram.toml", self.diagram().to_toml()),
            ("spec.json", specification),
            ("noises.csv", self.noises()),
        ];
        folder::write_texts(dir, &texts)?;
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
             licence = \"simulated; no patient, no restriction\"\npixel_mm = {}\n\n\
             [label]\ncolumn = \"label\"\nclasses = [\"healthy\", \"diseased\"]\n\n\
             [mask]\ncolumn = \"mask_path\"\nclasses = [\"background\", \"lesion\"]\n\
             threshold = 0.5\n\n\
             [attributes]\ninputs = [\"age\", \"sex\", \"lab\"]\nnumeric = [\"age\", \"lab\"]\n",
            self.pixel_mm()
        )
    }

    fn noises(&self) -> String {
        let names: Vec<&str> = self.model.noises.iter().map(|&(_, name)| name).collect();
        let written = self.written();
        let noises = written.map(|sample| (sample.id.as_str(), &sample.noises[..]));
        folder::noises(&names, noises)
    }

    fn write_pixels(&self, dir: &Path, sample: &PhantomSample) -> Result<(), PhantomError> {
        let file = |folder: &str| dir.join(folder).join(format!("{}.png", sample.id));
        let shape = [1, self.spec.size, self.spec.size];
        folder::write_png(&file("img"), shape, self.image_of(sample))?;
        let mask = self.mask_of(sample).into_iter().map(f32::from);
        folder::write_png(&file("mask"), shape, mask.collect())
    }
}

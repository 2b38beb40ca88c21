//! A cohort of digits as a folder.

use std::fmt::Write as _;
use std::path::Path;

use ctl_graph::graph::{DiagramFile, Role, Shift, ShiftKind};
use rayon::prelude::*;

use super::{DigitCohort, DigitError, DigitKind, DigitSample};
use crate::{PhantomError, folder};

impl DigitCohort {
    /// Writes the cohort to a folder that does not exist yet or is empty.
    ///
    /// The folder holds `manifest.csv` (path, label, site, patient, and a column for each other
    /// variable of the model), `cohort.toml`, `diagram.toml` for the advice on the study,
    /// `spec.json`, `noises.csv` with the exogenous noise of every variable, and `img/*.png` with
    /// 8 bits a channel; a coloured digit is red or green. All is written beside the folder first
    /// and then renamed, so that no half-written cohort is left behind.
    ///
    /// # Errors
    /// [`DigitError::Write`] where the folder holds something, the file system refuses or an
    /// image cannot be written; those of [`DigitCohort::image`].
    pub fn write(&self, dir: &Path) -> Result<(), DigitError> {
        folder::whole(dir, &["img"], |partial| {
            let specification =
                serde_json::to_string_pretty(self.spec()).map_err(PhantomError::from)?;
            let texts = [
                ("manifest.csv", self.manifest()),
                ("cohort.toml", self.description()),
                ("diagram.toml", self.study()?.to_toml()),
                ("spec.json", specification),
                ("noises.csv", self.noises()),
            ];
            folder::write_texts(partial, &texts)?;
            let samples = self.samples().par_iter();
            samples.try_for_each(|sample| self.write_image(partial, sample))
        })
    }

    /// The diagram with roles, and what moves between the sites.
    fn study(&self) -> Result<DiagramFile, DigitError> {
        let label = self.label_node();
        let mut file = DiagramFile::new(self.diagram()?)
            .role("image", Role::Image)?
            .role(label, Role::Label)?;
        let moved = match self.spec().kind {
            DigitKind::Morpho => return Ok(file),
            DigitKind::ColoredIrm | DigitKind::ColoredDomainbed => "colour",
            DigitKind::Rotated => "angle",
        };
        file = file
            .role("site", Role::Site)?
            .role(moved, Role::Acquisition)?;
        Ok(file.shift(Shift {
            kind: ShiftKind::Acquisition,
            nodes: vec![moved.to_owned()],
            source: None,
        })?)
    }

    /// The variable that is predicted.
    fn label_node(&self) -> &'static str {
        match self.spec().kind {
            DigitKind::Morpho | DigitKind::Rotated => "digit",
            DigitKind::ColoredIrm | DigitKind::ColoredDomainbed => "label",
        }
    }

    /// Variables that the manifest has besides label and site, with their places.
    fn columns(&self) -> Vec<(usize, &str)> {
        let known = [self.label_node(), "site"];
        let all = self.variables().into_iter().enumerate();
        all.filter(|(_, name)| !known.contains(name)).collect()
    }

    /// Names are our own and hold neither commas nor quotes.
    fn manifest(&self) -> String {
        let columns = self.columns();
        let mut text = String::from("path,label,site,patient");
        for (_, name) in &columns {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{name}");
        }
        text.push('\n');
        for sample in self.samples() {
            let (id, site) = (&sample.id, &self.sites()[sample.site]);
            let _ = write!(text, "img/{id}.png,{},{site},{id}", sample.label);
            for (place, _) in &columns {
                let _ = write!(text, ",{}", sample.attributes[*place]);
            }
            text.push('\n');
        }
        text
    }

    fn description(&self) -> String {
        let classes: Vec<String> = (0..self.classes())
            .map(|class| format!("\"{class}\""))
            .collect();
        // What a digit was given is known to whoever made it, not to a model: no inputs.
        format!(
            "schema = 1\nname = \"digits-{}\"\ntasks = [\"classification\"]\n\n\
             [label]\ncolumn = \"label\"\nclasses = [{}]\n\n\
             [attributes]\ninputs = []\n",
            self.spec().kind.name(),
            classes.join(", ")
        )
    }

    fn noises(&self) -> String {
        let samples = self.samples().iter();
        let noises = samples.map(|sample| (sample.id.as_str(), &sample.noises[..]));
        folder::noises(&self.variables(), noises)
    }

    fn write_image(&self, dir: &Path, sample: &DigitSample) -> Result<(), DigitError> {
        let [channels, height, width] = self.shape();
        let mut pixels = self.render(sample)?;
        if channels > 1 {
            // PNG has one or three channels: blue stays black.
            pixels.resize(3 * height * width, 0.0);
        }
        let path = dir.join("img").join(format!("{}.png", sample.id));
        let shape = [if channels > 1 { 3 } else { 1 }, height, width];
        Ok(folder::write_png(&path, shape, pixels)?)
    }
}

//! Data sets in the layout of nnU-Net.

mod cases;
mod description;
mod splits;

use super::cohort::{NewCohort, Provenance, own_name};
use super::{Imported, LeftOut};
use crate::Result;
use crate::error::ImagingError;
use cases::Cases;
use description::{Description, PICTURE};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A data set and what is wanted of it.
#[derive(Debug, Clone, Default)]
pub struct NnunetImport {
    /// The folder that holds `dataset.json`.
    pub source: PathBuf,
    /// One channel, by name or number; without it every channel is a row of its own.
    pub channel: Option<String>,
    /// The folds that say which training cases are validation.
    pub splits: Option<NnunetSplits>,
    /// Whether the cases of `imagesTs` are taken, as the split `test`.
    pub test: bool,
    /// The site of all images.
    pub site: Option<String>,
}

/// A fold of `splits_final.json`.
#[derive(Debug, Clone, Default)]
pub struct NnunetSplits {
    /// The file, which nnU-Net keeps beside its preprocessed data.
    pub file: PathBuf,
    /// Which of its folds, from 0 on.
    pub fold: usize,
}

/// Writes a cohort of the cases of an nnU-Net data set.
///
/// Both versions of `dataset.json` are read: `channel_names` with labels by name, and `modality`
/// with names by label. A case of several channels becomes one row for each, with its name in the
/// column `channel` and the same patient and mask, unless one is chosen. The case is taken for
/// the patient, as nnU-Net does not name patients. Masks hold the numbers of their classes.
/// Images, masks and their folders are copied. PNG files are pictures, all others volumes. Every
/// training case has a mask; a test case may lack one, and where test cases are not asked for they
/// are only counted.
///
/// # Arguments
/// * `folder`: a folder that does not exist yet or is empty; see [`write_folder`](crate::write_folder).
/// * `import`: the data set and what is wanted of it.
///
/// # Returns
/// How many rows there are, files of another ending, and how many test cases were left.
///
/// # Errors
/// [`ImagingError::Argument`] when there is no such channel; [`ImagingError::Content`] when
/// `dataset.json` lacks a key, its labels are no numbers from 0 (`background`) on, it has regions,
/// a label to be ignored, a list of files or an ending that is not read, `numTraining` is not the
/// number of cases, a training case lacks a mask, a case a channel, a mask its images, a file is no
/// image or has its values in further files, or the fold does not name every training case once;
/// those of [`Cohort::open`](crate::Cohort::open).
///
/// # References
/// Isensee et al. 2021; nnU-Net's `documentation/dataset_format.md`, versions 1 and 2.
///
/// # Examples
/// ```no_run
/// use ctl_imaging::{NnunetImport, import_nnunet};
///
/// let source = "Dataset009_Spleen".into();
/// let import = NnunetImport { source, ..NnunetImport::default() };
/// println!("{} images", import_nnunet("spleen".as_ref(), &import)?.images);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn import_nnunet(folder: &Path, import: &NnunetImport) -> Result<Imported> {
    let source = import.source.as_path();
    let description = Description::read(source)?;
    let channels = match &import.channel {
        Some(wanted) => vec![description.channel(wanted)?],
        None => (0..description.channels.len()).collect(),
    };
    let training = Cases::find(source, "Tr", &description)?;
    if !training.has_masks() {
        let expected = "masks in labelsTr";
        return Err(ImagingError::content(source, expected, "no such folder"));
    }
    description.check_training(training.channels.len())?;
    let mut parts = vec![training];
    let mut imported = Imported::default();
    let has_test = source.join("imagesTs").is_dir();
    if import.test && has_test {
        parts.push(Cases::find(source, "Ts", &description)?);
    } else if has_test {
        let count = cases::count(source, "Ts", &description)?;
        let note = format!("{count} test cases of imagesTs left out");
        imported.notes.push(note);
    } else if import.test {
        let expected = "test cases in imagesTs";
        return Err(ImagingError::content(source, expected, "no such folder"));
    }
    for part in &parts {
        part.check(source, &channels)?;
        let others = part.others.iter();
        let reason = format!("no {} file", description.ending);
        imported
            .left_out
            .extend(others.map(|file| LeftOut::new(file, reason.clone())));
    }
    let splits = match &import.splits {
        Some(splits) => splits::read(splits, &parts[0].channels)?,
        None => BTreeMap::new(),
    };
    let cohort = cohort(import, &description, &parts, &channels, &splits);
    imported.images = cohort.rows.len();
    cohort.write(folder)?;
    Ok(imported)
}

fn cohort(
    import: &NnunetImport,
    description: &Description,
    parts: &[Cases],
    channels: &[usize],
    splits: &BTreeMap<String, &'static str>,
) -> NewCohort {
    let divided = !splits.is_empty() || parts.len() > 1;
    let mut header = vec!["path", "mask_path", "patient", "channel"];
    header.extend(divided.then_some("split"));
    header.extend(import.site.as_ref().map(|_| "site"));
    let mut cohort = NewCohort {
        // Only pictures do not say where they lie.
        volumes: description.ending != PICTURE,
        header: header.into_iter().map(str::to_owned).collect(),
        names_mean_themselves: true,
        name: description.name.clone(),
        licence: description.licence.clone(),
        mask_classes: description.classes.iter().cloned().zip(0..).collect(),
        provenance: import.provenance(description),
        ..NewCohort::default()
    };
    for part in parts {
        let cases = part.channels.keys();
        for (case, channel) in cases.flat_map(|case| channels.iter().map(move |&c| (case, c))) {
            let mut place = |path: String, below: &str| {
                let placed = format!("{below}/{path}");
                cohort
                    .copies
                    .insert((import.source.join(path), placed.clone()));
                placed
            };
            let image = place(part.image(case, channel), "img");
            let mask = part.mask(case).map(|path| place(path, "mask"));
            let name = description.channels[channel].clone();
            let mut row = vec![image, mask.unwrap_or_default(), case.clone(), name];
            let split = match part.part {
                "Ts" => "test",
                _ => splits.get(case).copied().unwrap_or_default(),
            };
            row.extend(divided.then(|| split.to_owned()));
            row.extend(import.site.clone());
            cohort.rows.push(row);
        }
    }
    cohort
}

impl NnunetImport {
    fn provenance(&self, description: &Description) -> Provenance {
        Provenance::new("nnunet", [self.source.as_path()])
            .with("version", description.version)
            .with("channel", self.channel.clone())
            .with(
                "splits",
                self.splits.as_ref().map(|splits| own_name(&splits.file)),
            )
            .with("fold", self.splits.as_ref().map(|splits| splits.fold))
            .with("test", self.test)
            .with("site", self.site.clone())
    }
}

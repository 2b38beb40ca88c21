//! Data sets in the Brain Imaging Data Structure.

mod description;
mod masks;
mod name;
mod participants;
mod sidecar;

use super::cohort::{NewCohort, Provenance};
use super::files::{check_volume, files_below, text_of, unfit};
use super::{Imported, LeftOut};
use crate::Result;
use crate::error::ImagingError;
use description::Description;
use masks::Masks;
use name::Name;
use participants::Participants;
use sidecar::Sidecars;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A data set and which of its images and columns are wanted.
#[derive(Debug, Clone, Default)]
pub struct BidsImport {
    /// The folder that holds `dataset_description.json`.
    pub source: PathBuf,
    /// Kind of image, such as `T1w`; required where there are several.
    pub suffix: Option<String>,
    /// Entities that images must have, such as `acq` with `fast`; of several values of one key any
    /// will do.
    pub entities: Vec<(String, String)>,
    /// Column of `participants.tsv` that names sites; without it `site`, `site_id` or `center` in
    /// any case of letters, where there is one.
    pub site: Option<String>,
    /// Column of `participants.tsv` that holds labels.
    pub label: Option<String>,
    /// Fields of JSON sidecars that become columns.
    pub sidecar: Vec<String>,
    /// Masks, from `derivatives/`.
    pub masks: Option<BidsMasks>,
    /// Columns that models may take; the manifest's defaults where there are none.
    pub inputs: Vec<String>,
}

/// Which derivatives are masks.
#[derive(Debug, Clone, Default)]
pub struct BidsMasks {
    /// Their suffix, such as `mask` or `dseg`.
    pub suffix: String,
    /// Entities that they must have, such as `desc` with `brain`.
    pub entities: Vec<(String, String)>,
    /// The folder below `derivatives/` to look in; all where there is none.
    pub pipeline: Option<String>,
    /// Names of the values 0, 1, 2 and so on, background first; background and foreground where
    /// there are none.
    pub classes: Vec<String>,
}

/// An image of the data set.
struct Image {
    /// Its path below the data set, between `/`.
    path: String,
    name: Name,
}

/// Writes a cohort of images of a BIDS data set.
///
/// Every image of the suffix that has the entities becomes a row, with the participant
/// (`sub-01`) as its patient, the columns of `participants.tsv` (`n/a` as an empty cell; one whose
/// name a manifest gives another meaning, or that is taken, becomes `participant_NAME`), its
/// entities but for the subject, and fields of sidecars by the inheritance principle: of every
/// folder from the data set's own down to the image's the one JSON file whose suffix is the
/// image's and whose entities the image has, nearer ones overriding farther ones. A mask belongs
/// to an image whose entities it has, besides which it may have those of derivatives (`space`,
/// `desc`, `res`, `den`, `label`, `seg`, `atlas`, `hemi`); one in another space than the image's
/// is none, and so is one in the folder of another data type (`anat`, `dwi`). Images and masks are
/// copied with their folders; `derivatives`, `sourcedata` and what is hidden hold no images.
///
/// # Arguments
/// * `folder`: a folder that does not exist yet or is empty; see [`write_folder`](crate::write_folder).
/// * `import`: the data set and what is wanted of it.
///
/// # Returns
/// How many rows there are, the `NIfTI` files that are left out (names that are none of BIDS, images
/// of several frames or components), how many images have no mask, which columns were renamed, and
/// how many ages of `89+` were read as 89.
///
/// # Errors
/// [`ImagingError::Argument`] when there are several suffixes and none is asked for, when masks of
/// the suffix `dseg` come without classes, or two columns still have one name;
/// [`ImagingError::Content`] when the folder is no data set of BIDS 1, an image's name contradicts
/// its folders, there is no image of the suffix or entity, or only such of several frames or
/// components, `participants.tsv` lacks a column or participant, holds one twice or an age that is
/// none, two sidecars of one folder apply, no sidecar has a field, or several masks fit; those of [`Cohort::open`](crate::Cohort::open).
///
/// # References
/// Gorgolewski et al. 2016; BIDS 1.10, sections "Common principles" and "Derivatives".
///
/// # Examples
/// ```
/// use ctl_imaging::volume::{Affine, Samples, Volume, write_volume};
/// use ctl_imaging::{BidsImport, Cohort, import_bids};
///
/// # let parent = tempfile::tempdir()?;
/// let source = parent.path().join("bids");
/// std::fs::create_dir_all(source.join("sub-01/anat"))?;
/// std::fs::write(
///     source.join("dataset_description.json"),
///     r#"{"Name": "brains", "BIDSVersion": "1.10.0"}"#,
/// )?;
/// std::fs::write(source.join("participants.tsv"), "participant_id\tsite\nsub-01\tnorth\n")?;
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let volume = Volume::new(&[2, 2, 2], Samples::U8(vec![0; 8]), affine)?;
/// write_volume(&source.join("sub-01/anat/sub-01_T1w.nii.gz"), &volume)?;
///
/// let cohort = parent.path().join("cohort");
/// import_bids(&cohort, &BidsImport { source, ..BidsImport::default() })?;
/// let cohort = Cohort::open(&cohort)?;
/// assert_eq!(cohort.records()[0].patient, "sub-01");
/// assert_eq!(cohort.sites(), ["north"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import_bids(folder: &Path, import: &BidsImport) -> Result<Imported> {
    let source = import.source.as_path();
    let description = Description::read(source)?;
    let files = files_below(source)?
        .iter()
        .map(|file| text_of(file))
        .collect::<Result<Vec<String>>>()?;
    let mut imported = Imported::default();
    let images = images(source, &files, &mut imported.left_out)?;
    let images = fitting(source, import.chosen(images)?, &mut imported.left_out)?;
    let masks = match &import.masks {
        Some(masks) => Some(Masks::find(source, &files, masks, &images)?),
        None => None,
    };
    let entities = entities(&images);
    let taken: BTreeSet<&str> = (entities.iter().chain(&import.sidecar))
        .map(String::as_str)
        .collect();
    let patients: BTreeSet<String> = images.iter().map(Image::patient).collect();
    let participants = Participants::read(import, &patients, &taken)?;
    let sidecars = Sidecars::find(source, &files);
    let mut cohort = NewCohort {
        volumes: true,
        inputs: import.inputs.clone(),
        // What BIDS does not know it calls n/a.
        names_mean_themselves: true,
        name: description.name,
        licence: description.licence,
        mask_classes: masks.as_ref().map_or_else(Vec::new, Masks::classes),
        provenance: import.provenance(&description.version),
        ..NewCohort::default()
    };
    let table = Table {
        import,
        images: &images,
        entities: &entities,
        masks: masks.as_ref(),
        participants: participants.as_ref(),
    };
    table.fill(&mut cohort, sidecars)?;
    imported.images = cohort.rows.len();
    imported.notes.extend(masks.iter().flat_map(Masks::notes));
    let of_participants = participants.iter().flat_map(|table| &table.notes);
    imported.notes.extend(of_participants.cloned());
    cohort.write(folder)?;
    Ok(imported)
}

/// All images of the data set, sorted.
fn images(source: &Path, files: &[String], left_out: &mut Vec<LeftOut>) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for path in files.iter().filter(|path| path.starts_with("sub-")) {
        let file = path.rsplit('/').next().unwrap_or(path);
        let is_image = [".nii", ".nii.gz"]
            .iter()
            .any(|ending| file.ends_with(ending));
        if !is_image {
            continue;
        }
        let name = Name::parse(file).filter(|name| name.is_nifti() && name.get("sub").is_some());
        let Some(name) = name else {
            let reason = "a name that is none of an image of BIDS";
            left_out.push(LeftOut::new(path, reason));
            continue;
        };
        let image = Image {
            path: path.clone(),
            name,
        };
        image.check_folders(source)?;
        images.push(image);
    }
    Ok(images)
}

/// The images that a cohort takes; others are left out.
fn fitting(source: &Path, images: Vec<Image>, left_out: &mut Vec<LeftOut>) -> Result<Vec<Image>> {
    let mut fitting = Vec::new();
    let mut reasons = BTreeSet::new();
    for image in images {
        match unfit(&check_volume(&source.join(&image.path))?) {
            None => fitting.push(image),
            Some(reason) => {
                left_out.push(LeftOut::new(&image.path, reason.clone()));
                reasons.insert(reason);
            }
        }
    }
    if fitting.is_empty() {
        let expected = "an image of one frame of one component";
        let found: Vec<String> = reasons.into_iter().collect();
        return Err(ImagingError::content(source, expected, found.join("; ")));
    }
    left_out.sort();
    Ok(fitting)
}

/// Keys of the entities that images have, but for the subject.
fn entities(images: &[Image]) -> BTreeSet<String> {
    let all = images.iter().flat_map(|image| image.name.entities.keys());
    all.filter(|key| *key != "sub").cloned().collect()
}

impl Image {
    /// The participant whose image it is.
    fn patient(&self) -> String {
        format!("sub-{}", self.name.get("sub").unwrap_or_default())
    }

    fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The folders above an image say subject and session as its name does.
    fn check_folders(&self, source: &Path) -> Result<()> {
        for key in ["sub", "ses"] {
            let start = format!("{key}-");
            let mut folders = self.folder().split('/');
            let folder = folders.find_map(|folder| folder.strip_prefix(&start));
            let own = self.name.get(key);
            if folder != own {
                let shown = |value: Option<&str>| match value {
                    Some(value) => format!("{start}{value}"),
                    None => format!("no {start}"),
                };
                return Err(ImagingError::content(
                    &source.join(&self.path),
                    format!("{} in its name, as in its folders", shown(folder)),
                    shown(own),
                ));
            }
        }
        Ok(())
    }
}

impl BidsImport {
    fn provenance(&self, version: &str) -> Provenance {
        let pairs = |pairs: &[(String, String)]| {
            let pairs = pairs.iter().map(|(key, value)| format!("{key}={value}"));
            pairs.collect::<Vec<String>>()
        };
        let mut provenance = Provenance::new("bids", [self.source.as_path()])
            .with("bids_version", version)
            .with("suffix", self.suffix.clone())
            .with("entities", pairs(&self.entities))
            .with("site", self.site.clone())
            .with("label", self.label.clone())
            .with("sidecar", self.sidecar.clone())
            .with("inputs", self.inputs.clone());
        if let Some(masks) = &self.masks {
            provenance = provenance
                .with("mask_suffix", masks.suffix.clone())
                .with("mask_entities", pairs(&masks.entities))
                .with("mask_pipeline", masks.pipeline.clone())
                .with("mask_classes", masks.classes.clone());
        }
        provenance
    }

    /// The images of the suffix with the entities.
    fn chosen(&self, images: Vec<Image>) -> Result<Vec<Image>> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for image in &images {
            *counts.entry(&image.name.suffix).or_default() += 1;
        }
        let suffixes: Vec<String> = counts.iter().map(|(of, n)| format!("{of} ({n})")).collect();
        let suffixes = suffixes.join(", ");
        let suffix = match (&self.suffix, counts.keys().next()) {
            (Some(suffix), _) if counts.contains_key(suffix.as_str()) => suffix.clone(),
            (None, Some(only)) if counts.len() == 1 => (*only).to_owned(),
            (None, Some(_)) => {
                let expected = format!("one of {suffixes}");
                return Err(ImagingError::argument("suffix", expected, "none"));
            }
            (Some(suffix), Some(_)) => {
                let expected = format!("images of one of the suffixes {suffixes}");
                return Err(ImagingError::content(
                    &self.source,
                    expected,
                    format!("`{suffix}`"),
                ));
            }
            (_, None) => {
                let expected = "NIfTI images below sub-*";
                return Err(ImagingError::content(&self.source, expected, "none"));
            }
        };
        let of_suffix = images
            .into_iter()
            .filter(|image| image.name.suffix == suffix);
        with_entities(of_suffix.collect(), &self.entities, &self.source)
    }
}

/// What has, of every key, one of its values.
fn with_entities(
    mut images: Vec<Image>,
    entities: &[(String, String)],
    source: &Path,
) -> Result<Vec<Image>> {
    let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in entities {
        wanted.entry(key).or_default().insert(value);
    }
    for (key, values) in wanted {
        let there: BTreeSet<&str> = images
            .iter()
            .filter_map(|image| image.name.get(key))
            .collect();
        if let Some(absent) = values.iter().find(|value| !there.contains(**value)) {
            let there: Vec<&str> = there.into_iter().collect();
            let expected = match there[..] {
                [] => format!("no entity `{key}`, which no image that is left has"),
                _ => format!("an entity `{key}` of {}", there.join(", ")),
            };
            return Err(ImagingError::content(
                source,
                expected,
                format!("`{absent}`"),
            ));
        }
        images.retain(|image| image.name.get(key).is_some_and(|own| values.contains(own)));
    }
    Ok(images)
}

/// The manifest of images.
struct Table<'a> {
    import: &'a BidsImport,
    images: &'a [Image],
    /// Keys that become columns.
    entities: &'a BTreeSet<String>,
    masks: Option<&'a Masks>,
    participants: Option<&'a Participants>,
}

impl Table<'_> {
    fn fill(&self, cohort: &mut NewCohort, mut sidecars: Sidecars) -> Result<()> {
        cohort.header = vec!["path".to_owned(), "patient".to_owned()];
        cohort
            .header
            .extend(self.masks.map(|_| "mask_path".to_owned()));
        let known = self.participants.map_or(&[][..], Participants::header);
        cohort.header.extend_from_slice(known);
        cohort.header.extend(self.entities.iter().cloned());
        cohort.header.extend_from_slice(&self.import.sidecar);
        let fields = sidecars.fields(self.images, &self.import.sidecar)?;
        for (position, (image, fields)) in self.images.iter().zip(fields).enumerate() {
            let patient = image.patient();
            let placed = format!("img/{}", image.path);
            let mut row = vec![placed.clone(), patient.clone()];
            cohort
                .copies
                .insert((self.import.source.join(&image.path), placed));
            if let Some(masks) = self.masks {
                row.push(masks.place(position, &self.import.source, &mut cohort.copies));
            }
            if let Some(participants) = self.participants {
                row.extend_from_slice(participants.of(&patient, &image.path)?);
            }
            let own = self
                .entities
                .iter()
                .map(|key| image.name.get(key).unwrap_or_default());
            row.extend(own.map(str::to_owned));
            row.extend(fields);
            cohort.rows.push(row);
        }
        Ok(())
    }
}

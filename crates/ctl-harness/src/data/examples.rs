//! Pictures of a cohort for the report.

use ctl_imaging::{MaskRole, Raster};
use ctl_phantom::SiteRole;

use super::cohort::CohortData;
use super::images::View;
use crate::Result;
use crate::store::write_json_atomically;
use crate::sweep::{Example, Examples, Layout, SWEEP_SCHEMA};
use crate::vocabulary::Task;

/// Sites of one cohort that are pictured.
const MAX_SITES: usize = 8;
/// Characters of a cohort's name in the names of its pictures.
const MAX_STEM: usize = 40;

/// Writes one picture per site and class of a cohort, one without the shortcut where that exists,
/// and lists them in place of the cohort's earlier ones.
///
/// # Errors
/// When an image cannot be decoded or a picture cannot be written.
pub fn write_examples(
    layout: &Layout,
    examples: &mut Examples,
    (task, name, content): (Task, &str, &str),
    cohort: &CohortData,
) -> Result<()> {
    let mut list = Vec::new();
    let named = (name, cohort);
    let shown = |role: SiteRole| matches!(role, SiteRole::Source | SiteRole::Target);
    let sites = (0..cohort.sites.len()).filter(|&site| shown(cohort.roles[site]));
    for site in sites.take(MAX_SITES) {
        for class in 0..cohort.classes.len() {
            let found = cohort
                .samples
                .iter()
                .position(|s| s.site == site && s.label == class);
            let Some(sample) = found else { continue };
            let caption = cohort.classes[class].clone();
            list.push(picture(layout, named, sample, (View::Plain, caption))?);
            if class == 1 && task == Task::Segmentation {
                let caption = "its mask".to_owned();
                list.extend(mask_picture(layout, named, sample, caption)?);
            } else if class == 1 && cohort.images.has_oracle() {
                let caption = format!("{}, shortcut removed", cohort.classes[class]);
                list.push(picture(layout, named, sample, (View::Oracle, caption))?);
            }
        }
    }
    examples.schema = SWEEP_SCHEMA;
    examples.examples.retain(|example| example.cohort != name);
    examples.examples.extend(list);
    examples
        .contents
        .insert(name.to_owned(), content.to_owned());
    write_json_atomically(&layout.examples().join("examples.json"), examples)
}

/// A name for a file, whatever the cohort is called: its plain characters, and a hash of the rest.
fn file_stem(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(MAX_STEM)
        .collect();
    let hash = blake3::hash(name.as_bytes()).to_hex();
    format!("{plain}-{}", &hash[..8])
}

fn picture(
    layout: &Layout,
    (name, cohort): (&str, &CohortData),
    sample: usize,
    (view, caption): (View, String),
) -> Result<Example> {
    let pixels = cohort.images.gather(&[sample], view)?;
    let suffix = if view == View::Oracle { "-oracle" } else { "" };
    let file = format!("{}-{sample}{suffix}.png", file_stem(name));
    write(layout, (name, file, caption), (cohort, sample), pixels)
}

/// The annotation of an image, where it has one.
fn mask_picture(
    layout: &Layout,
    (name, cohort): (&str, &CohortData),
    sample: usize,
    caption: String,
) -> Result<Option<Example>> {
    let mut masks = cohort.images.masks(&[sample], MaskRole::Annotation)?;
    let Some(mask) = masks.pop().flatten() else {
        return Ok(None);
    };
    let top = cohort.mask_classes.len().max(2) as f32 - 1.0;
    let pixels = mask.iter().map(|&class| f32::from(class) / top).collect();
    let file = format!("{}-{sample}-mask.png", file_stem(name));
    write(layout, (name, file, caption), (cohort, sample), pixels).map(Some)
}

/// Writes `[C, H, W]` with the size of the cohort's images.
fn write(
    layout: &Layout,
    (cohort_name, file, caption): (&str, String, String),
    (cohort, sample): (&CohortData, usize),
    pixels: Vec<f32>,
) -> Result<Example> {
    let [_, height, width] = cohort.images.shape();
    let channels = pixels.len() / (height * width);
    let folder = layout.examples();
    std::fs::create_dir_all(&folder).map_err(|source| crate::HarnessError::File {
        path: folder.clone(),
        action: "make the folder",
        source,
    })?;
    Raster::new(channels, height, width, pixels)?.write_png(&folder.join(&file))?;
    Ok(Example {
        file,
        cohort: cohort_name.to_owned(),
        site: cohort.sites[cohort.samples[sample].site].clone(),
        caption,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pictures_stay_in_their_folder_and_apart() {
        let stems = ["../../x", "x", "/x", "..", "a b", "ab"].map(file_stem);
        for (index, stem) in stems.iter().enumerate() {
            assert!(!stem.contains(['/', '.', ' ']), "{stem}");
            assert!(!stems[..index].contains(stem), "{stem}");
        }
    }
}

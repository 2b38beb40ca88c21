//! Pictures of a cohort for the report.

use ctl_imaging::Raster;

use super::cohort::CohortData;
use super::images::View;
use crate::Result;
use crate::store::write_json_atomically;
use crate::sweep::{Example, Examples, Layout, SWEEP_SCHEMA};

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
    (name, content): (&str, &str),
    cohort: &CohortData,
) -> Result<()> {
    let mut list = Vec::new();
    let named = (name, cohort);
    for site in 0..cohort.sites.len().min(MAX_SITES) {
        for class in 0..cohort.classes.len() {
            let found = cohort
                .samples
                .iter()
                .position(|s| s.site == site && s.label == class);
            let Some(sample) = found else { continue };
            let caption = cohort.classes[class].clone();
            list.push(picture(layout, named, sample, (View::Plain, caption))?);
            if class == 1 && cohort.images.has_oracle() {
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
    let [channels, height, width] = cohort.images.shape();
    let pixels = cohort.images.gather(&[sample], view)?;
    let suffix = if view == View::Oracle { "-oracle" } else { "" };
    let file = format!("{}-{sample}{suffix}.png", file_stem(name));
    let folder = layout.examples();
    std::fs::create_dir_all(&folder).map_err(|source| crate::HarnessError::File {
        path: folder.clone(),
        action: "make the folder",
        source,
    })?;
    Raster::new(channels, height, width, pixels)?.write_png(&folder.join(&file))?;
    Ok(Example {
        file,
        cohort: name.to_owned(),
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

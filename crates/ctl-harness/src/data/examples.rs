//! Pictures of a cohort for the report.

use ctl_imaging::Raster;

use super::cohort::CohortData;
use super::images::View;
use crate::Result;
use crate::store::write_json_atomically;
use crate::sweep::{Example, Examples, Layout, SWEEP_SCHEMA};

/// Sites of one cohort that are pictured.
const MAX_SITES: usize = 8;

/// Writes one picture per cohort, site and class, and one without the shortcut where that exists.
///
/// # Errors
/// When an image cannot be decoded or a picture cannot be written.
pub fn write_examples(layout: &Layout, cohorts: &[(String, &CohortData)]) -> Result<()> {
    let mut list = Vec::new();
    for (name, cohort) in cohorts {
        for site in 0..cohort.sites.len().min(MAX_SITES) {
            for class in 0..cohort.classes.len() {
                let found = cohort
                    .samples
                    .iter()
                    .position(|s| s.site == site && s.label == class);
                let Some(sample) = found else { continue };
                let caption = cohort.classes[class].clone();
                list.push(picture(
                    layout,
                    (name, cohort),
                    sample,
                    (View::Plain, caption),
                )?);
                if class == 1 && cohort.images.has_oracle() {
                    let caption = format!("{}, shortcut removed", cohort.classes[class]);
                    list.push(picture(
                        layout,
                        (name, cohort),
                        sample,
                        (View::Oracle, caption),
                    )?);
                }
            }
        }
    }
    let examples = Examples {
        schema: SWEEP_SCHEMA,
        examples: list,
    };
    write_json_atomically(&layout.examples().join("examples.json"), &examples)
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
    let file = format!("{name}-{sample}{suffix}.png");
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

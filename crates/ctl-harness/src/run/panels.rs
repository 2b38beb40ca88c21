//! Pictures of what a network did on the target, for tasks whose outputs are images.

use std::path::Path;

use ctl_imaging::Raster;
use serde::{Deserialize, Serialize};

use super::evaluate::Ground;
use super::trainer::Trainer;
use crate::store::write_json_atomically;
use crate::task::Scored;
use crate::{HarnessError, Result};

/// Version of the layout of `panels.json`.
const SCHEMA: u32 = 1;

/// The pictures of a run, `panels/panels.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Panels {
    schema: u32,
    /// Rows of pictures.
    pub(crate) strips: Vec<Strip>,
}

/// The pictures of one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Strip {
    /// Which sample it is, such as `worst`.
    pub(crate) which: String,
    /// Name of the sample.
    pub(crate) id: String,
    /// Its figures by name, as in `predictions.csv`.
    pub(crate) figures: String,
    /// File in `panels/` and caption of each picture.
    pub(crate) pictures: Vec<(String, String)>,
}

impl Panels {
    /// Where they are in a run's folder.
    pub(crate) fn folder(run: &Path) -> std::path::PathBuf {
        run.join("panels")
    }
}

/// Writes pictures of the target samples with the lowest, the middle and the highest figure;
/// nothing for tasks without pictures.
pub(crate) fn write_panels(folder: &Path, trainer: &Trainer<'_>, target: &Scored) -> Result<()> {
    let ground = trainer.ground();
    let names = trainer.kit().columns();
    let mut order: Vec<usize> = (0..target.rows.len())
        .filter(|&row| {
            target.rows[row]
                .outputs
                .first()
                .is_some_and(|v| v.is_finite())
        })
        .collect();
    if names.is_empty() || order.is_empty() {
        return Ok(());
    }
    order.sort_by(|&a, &b| target.rows[a].outputs[0].total_cmp(&target.rows[b].outputs[0]));
    let last = order.len() - 1;
    let folder = Panels::folder(folder);
    let mut strips = Vec::new();
    for (which, place) in [("lowest", 0), ("middle", last / 2), ("highest", last)] {
        let row = &target.rows[order[place]];
        let sample = ground.parts.target.samples[order[place]];
        let figures = names.iter().zip(&row.outputs);
        let figures: Vec<String> = figures.map(|(name, v)| format!("{name} {v:.3}")).collect();
        let mut pictures = Vec::new();
        for (index, panel) in trainer.panels(sample)?.into_iter().enumerate() {
            let file = format!("{which}-{index}.png");
            write(ground, &folder, &file, panel.pixels)?;
            pictures.push((file, panel.caption));
        }
        strips.push(Strip {
            which: format!("{which} {}", names[0]),
            id: row.id.clone(),
            figures: figures.join(", "),
            pictures,
        });
    }
    let schema = SCHEMA;
    write_json_atomically(&folder.join("panels.json"), &Panels { schema, strips })
}

fn write(ground: &Ground<'_>, folder: &Path, file: &str, pixels: Vec<f32>) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| HarnessError::File {
        path: folder.to_path_buf(),
        action: "make the folder",
        source,
    })?;
    let [_, height, width] = ground.cohort.images.shape();
    let pixels = pixels.into_iter().map(|v| v.clamp(0.0, 1.0)).collect();
    Raster::new(1, height, width, pixels)?.write_png(&folder.join(file))?;
    Ok(())
}

//! Counterfactuals as pictures.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use ctl_counterfactual::{
    Act, Acts, Columns, Extrapolation, Kind, Records, Schema, StructuralModel,
};
use ctl_graph::NodeId;
use ctl_imaging::{Filter, Raster, read_raster};
use serde::{Deserialize, Serialize};

use super::study::{Study, StudyModel};
use crate::store::{write_atomically, write_json_atomically};
use crate::{HarnessError, Result};

/// Pixels between two pictures of a sheet.
const GAP: usize = 2;

/// What came of editing an image; `edit.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    /// What was done.
    pub acts: String,
    /// By attribute: its value before and after.
    pub attributes: Vec<(String, String, String)>,
    /// Values beyond those of the training data.
    pub warnings: Vec<String>,
    /// Mean absolute difference between fact and reconstruction, in grey levels.
    pub reconstruction_error: f64,
    /// Mean absolute difference between reconstruction and counterfactual, in grey levels.
    pub change: f64,
    /// The counterfactual.
    pub image: PathBuf,
    /// Counterfactual minus reconstruction: grey where nothing changed, white where it is brighter.
    pub difference: PathBuf,
    /// Fact, reconstruction, counterfactual and difference side by side.
    pub sheet: PathBuf,
}

/// What one image would have been: writes `counterfactual.png`, `difference.png`, `sheet.png` and
/// `edit.json` into a folder.
///
/// # Arguments
/// - `image`: a picture file, brought to the model's size; or the address of one in the manifest of
///   the study
/// - `facts`: `NAME=VALUE` for every attribute, where no study gives them
/// - `acts`: `NAME=VALUE` or `NAME+=AMOUNT`
///
/// # Errors
/// When the picture cannot be read, a fact is missing, an intervention is not possible, or a file
/// cannot be written.
pub fn edit(
    model: &StudyModel,
    (image, study): (&Path, Option<&Study>),
    facts: &[String],
    acts: &[String],
    (out, seed): (&Path, u64),
) -> Result<Edited> {
    let schema = model.schema();
    let acted = model.model.checked(Acts::parse(schema, acts)?)?;
    let fact = match study {
        Some(study) => study.records(&[study.row_of(&image.to_string_lossy())?])?,
        None => described(model, image, facts)?,
    };
    let noise = model.model.abduct(&fact, seed)?;
    let again = model.model.predict(&noise, &Acts::none())?;
    let after = model.model.predict(&noise, &acted.acts)?;
    make_folder(out)?;
    let rows = [pictures(&fact)?, pictures(&again)?, pictures(&after)?];
    let [fact_picture, again_picture, after_picture] = rows.map(|mut row| row.remove(0));
    let difference = difference(&again_picture, &after_picture)?;
    let at = |name: &str| out.join(name);
    after_picture.write_png(&at("counterfactual.png"))?;
    difference.write_png(&at("difference.png"))?;
    let change = mean_difference(&again_picture, &after_picture);
    let reconstruction_error = mean_difference(&fact_picture, &again_picture);
    let row = [fact_picture, again_picture, after_picture, difference];
    sheet(&[row.to_vec()])?.write_png(&at("sheet.png"))?;
    let mut beyond = acted.extrapolations;
    let soft = acted.acts.nodes().into_iter().filter(|&node| {
        matches!(
            acted.acts.on(node),
            Some(Act::Shift(_) | Act::Redraw { .. })
        )
    });
    let soft: Vec<NodeId> = soft.collect();
    beyond.extend(model.model.beyond(&after.columns, &soft));
    let attributes = schema.attributes().map(|node| {
        let shown = |records: &Records| schema.show_value(node, records.columns.column(node)[0]);
        (
            schema.diagram().name(node).to_owned(),
            shown(&fact),
            shown(&after),
        )
    });
    let edited = Edited {
        acts: acted.acts.describe(schema),
        attributes: attributes.collect(),
        warnings: beyond.iter().map(Extrapolation::to_string).collect(),
        reconstruction_error,
        change,
        image: at("counterfactual.png"),
        difference: at("difference.png"),
        sheet: at("sheet.png"),
    };
    write_json_atomically(&at("edit.json"), &edited)?;
    Ok(edited)
}

/// A picture file with attributes by hand.
fn described(model: &StudyModel, image: &Path, facts: &[String]) -> Result<Records> {
    let schema = model.schema();
    let mut columns = Vec::new();
    for fact in facts {
        let Some((name, value)) = fact.split_once('=') else {
            return Err(HarnessError::Config {
                origin: "command line".into(),
                key: "--fact".into(),
                message: format!("{fact:?} must be NAME=VALUE"),
            });
        };
        let name = name.trim();
        columns.push((name, vec![schema.parse_value(name, value.trim())?]));
    }
    let columns = Columns::new(schema, &columns)?;
    let request = model.request();
    let raster = read_raster(image, request.colour)?;
    let raster = raster.resized(request.height, request.width, Filter::AreaOrBilinear)?;
    let [channels, height, width] = raster.shape();
    let shape = (1, channels, height, width);
    let images = Tensor::from_vec(raster.into_samples(), shape, &candle_core::Device::Cpu)?;
    Ok(Records::new(schema, columns, Some(images))?)
}

/// The images of records.
fn pictures(records: &Records) -> Result<Vec<Raster>> {
    let Some(images) = &records.images else {
        return Ok(Vec::new());
    };
    let &[count, channels, height, width] = images.dims() else {
        return Ok(Vec::new());
    };
    let values = images.flatten_all()?.to_vec1::<f32>()?;
    let size = values.len() / count.max(1);
    let rasters = values
        .chunks_exact(size.max(1))
        .map(|image| Ok(Raster::new(channels, height, width, image.to_vec())?));
    rasters.collect()
}

fn difference(before: &Raster, after: &Raster) -> Result<Raster> {
    let pairs = after.samples().iter().zip(before.samples());
    let values = pairs
        .map(|(a, b)| (0.5 + (a - b) / 2.0).clamp(0.0, 1.0))
        .collect();
    Ok(Raster::new(
        after.channels(),
        after.height(),
        after.width(),
        values,
    )?)
}

fn mean_difference(a: &Raster, b: &Raster) -> f64 {
    let pairs = a.samples().iter().zip(b.samples());
    let sum: f64 = pairs.map(|(a, b)| f64::from((a - b).abs())).sum();
    sum * 255.0 / a.samples().len().max(1) as f64
}

/// Pictures in rows and columns on black.
fn sheet(rows: &[Vec<Raster>]) -> Result<Raster> {
    let first = rows.first().and_then(|row| row.first());
    let [channels, height, width] = first.map_or([1, 1, 1], Raster::shape);
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1);
    let sides = [
        rows.len() * (height + GAP) - GAP.min(rows.len() * (height + GAP)),
        columns * (width + GAP) - GAP,
    ];
    let mut values = vec![0f32; channels * sides[0] * sides[1]];
    for (i, row) in rows.iter().enumerate() {
        for (j, picture) in row.iter().enumerate() {
            let (top, left) = (i * (height + GAP), j * (width + GAP));
            for channel in 0..channels {
                for y in 0..height {
                    let from = (channel * height + y) * width;
                    let to = (channel * sides[0] + top + y) * sides[1] + left;
                    values[to..to + width].copy_from_slice(&picture.samples()[from..from + width]);
                }
            }
        }
    }
    Ok(Raster::new(channels, sides[0], sides[1], values)?)
}

/// A value as a manifest holds it: read back, it is the same.
fn cell(schema: &Schema, node: NodeId, value: f64) -> String {
    match schema.kind(node) {
        Kind::Continuous { .. } => value.to_string(),
        _ => schema.show_value(node, value),
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| HarnessError::File {
        path: folder.to_path_buf(),
        action: "make the folder",
        source,
    })
}

/// Draws new individuals and writes them as a cohort: pictures and `manifest.csv`.
///
/// # Returns
/// The manifest, and a warning for each value beyond those of the training data.
///
/// # Errors
/// When the folder holds a manifest already, an intervention is not possible, or a file cannot be
/// written.
pub fn write_sample(
    model: &StudyModel,
    count: usize,
    acts: &[String],
    (out, seed): (&Path, u64),
) -> Result<(PathBuf, Vec<String>)> {
    let schema = model.schema();
    let manifest = out.join("manifest.csv");
    if manifest.exists() {
        return Err(HarnessError::Data {
            path: manifest,
            message: "is there already; name a folder without a cohort".into(),
        });
    }
    let acted = model.model.checked(Acts::parse(schema, acts)?)?;
    let drawn = model.model.sample(count, &acted.acts, seed)?;
    make_folder(&out.join("images"))?;
    let nodes: Vec<_> = schema.attributes().collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let full = |error: csv::Error| HarnessError::Stored {
        path: manifest.clone(),
        message: error.to_string(),
    };
    let names = nodes
        .iter()
        .map(|&node| model.file.column_of(schema.diagram().name(node)));
    let header: Vec<&str> = std::iter::once("path").chain(names).collect();
    writer.write_record(&header).map_err(full)?;
    for (row, picture) in pictures(&drawn)?.into_iter().enumerate() {
        let path = format!("images/{row:06}.png");
        picture.write_png(&out.join(&path))?;
        let values = nodes
            .iter()
            .map(|&node| cell(schema, node, drawn.columns.column(node)[row]));
        let cells: Vec<String> = std::iter::once(path).chain(values).collect();
        writer.write_record(&cells).map_err(full)?;
    }
    let text = writer.into_inner().map_err(|error| HarnessError::Stored {
        path: manifest.clone(),
        message: error.to_string(),
    })?;
    write_atomically(&manifest, &text)?;
    let warnings = acted.extrapolations.iter().map(Extrapolation::to_string);
    Ok((manifest, warnings.collect()))
}

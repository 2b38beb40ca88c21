//! `ctl predict`

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use ctl_harness::run::{Model, Predictions};
use ctl_harness::store::write_atomically;
use ctl_harness::{HarnessError, Registry};

use crate::arguments::Predict;
use crate::output::{note, print, print_json, print_line};

pub(crate) fn run(options: &Predict) -> anyhow::Result<ExitCode> {
    let model = Model::load(&options.model, &Registry::standard())?;
    if let Some(site) = &model.card.adapted_to {
        note(format_args!(
            "warning: the model was adapted to the target {site} and says what it would say there"
        ));
    }
    let predictions = model.predict(&options.cohort)?;
    if let Some(folder) = &options.pictures {
        write_pictures(folder, &predictions)?;
    }
    if options.json {
        print_json(&to_json(&predictions))?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = to_csv(&predictions)?;
    match &options.out {
        Some(path) => {
            write_atomically(path, &text)?;
            print_line(format_args!("predictions: {}", path.display()))?;
        }
        None => print(String::from_utf8_lossy(&text))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One object for each image: its path and every value by name.
fn to_json(predictions: &Predictions) -> Vec<serde_json::Map<String, serde_json::Value>> {
    let images = predictions.images.iter();
    images
        .map(|image| {
            let path = Some(("path".to_owned(), image.path.clone().into()));
            let class = image.predicted.clone();
            let class = class.map(|class| ("predicted".to_owned(), class.into()));
            let named = predictions.columns.iter().zip(&image.values);
            let values = named.map(|(name, &value)| (name.clone(), value.into()));
            path.into_iter().chain(class).chain(values).collect()
        })
        .collect()
}

fn to_csv(predictions: &Predictions) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let labels = predictions.images.iter().any(|i| i.predicted.is_some());
    let mut header = vec!["path".to_owned()];
    header.extend(labels.then(|| "predicted".to_owned()));
    header.extend(predictions.columns.iter().cloned());
    writer.write_record(&header)?;
    for image in &predictions.images {
        let mut row = vec![image.path.clone()];
        row.extend(image.predicted.clone());
        row.extend(image.values.iter().map(|value| format!("{value:.6}")));
        writer.write_record(&row)?;
    }
    Ok(writer.into_inner()?)
}

/// One PNG for each image that has a picture, numbered as the rows are.
fn write_pictures(folder: &Path, predictions: &Predictions) -> anyhow::Result<()> {
    if predictions
        .images
        .iter()
        .all(|image| image.picture.is_none())
    {
        return Err(HarnessError::Config {
            origin: "predict".into(),
            key: "--pictures".into(),
            message: "this model gives labels and no pictures: leave the option out".into(),
        }
        .into());
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (row, image) in predictions.images.iter().enumerate() {
        if let Some(picture) = &image.picture {
            picture.write_png(&folder.join(format!("{row:06}.png")))?;
        }
    }
    Ok(())
}

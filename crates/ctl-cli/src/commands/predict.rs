//! `ctl predict`

use std::process::ExitCode;

use ctl_harness::run::{ModelCard, Predicted, load_model, predict};
use ctl_harness::store::write_atomically;

use crate::arguments::Predict;
use crate::output::{print, print_json, print_line};

pub(crate) fn run(options: &Predict) -> anyhow::Result<ExitCode> {
    let (card, network) = load_model(&options.model)?;
    let predictions = predict(&card, network.as_ref(), &options.cohort)?;
    if options.json {
        print_json(&predictions)?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = to_csv(&card, &predictions)?;
    match &options.out {
        Some(path) => {
            write_atomically(path, &text)?;
            print_line(format_args!("predictions: {}", path.display()))?;
        }
        None => print(String::from_utf8_lossy(&text))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn to_csv(card: &ModelCard, predictions: &[Predicted]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["path".to_owned(), "predicted".to_owned()];
    header.extend(card.classes.iter().map(|class| format!("p({class})")));
    writer.write_record(&header)?;
    for prediction in predictions {
        let p = &prediction.probabilities;
        let best = (0..p.len()).fold(0, |best, k| if p[k] > p[best] { k } else { best });
        let mut row = vec![prediction.path.clone(), card.classes[best].clone()];
        row.extend(p.iter().map(|p| format!("{p:.6}")));
        writer.write_record(&row)?;
    }
    Ok(writer.into_inner()?)
}

//! `ctl counterfactual`

use std::process::ExitCode;

use ctl_counterfactual::{FineTuningFit, FitProgress, FitReport, FitStage};
use ctl_harness::counterfactual::{
    Edited, ScoreOptions, Study, StudyFile, StudyModel, edit, score, write_sample,
};
use ctl_harness::store::write_atomically;
use ctl_harness::{Event, Observer};

use crate::arguments::{Counterfactual, Edit, Sample, Score, Train};
use crate::output::{note, print, print_json, print_line};
use crate::progress::Progress;

pub(crate) fn run(action: &Counterfactual) -> anyhow::Result<ExitCode> {
    match action {
        Counterfactual::Train(options) => train(options),
        Counterfactual::Sample(options) => sample(options),
        Counterfactual::Edit(options) => edit_image(options),
        Counterfactual::Score(options) => score_model(options),
    }
}

/// Shows the training of one mechanism, or predictor, after the other.
struct Shown {
    progress: Progress,
    /// What is trained, in words.
    name: String,
    step: u64,
}

impl Shown {
    fn new() -> Self {
        Self {
            progress: Progress::new(),
            name: String::new(),
            step: 0,
        }
    }

    fn tell(&mut self, now: FitProgress<'_>) {
        let name = match now.stage {
            FitStage::Mechanism => now.node.to_owned(),
            stage => format!("{stage} of {}", now.node),
        };
        if self.name != name {
            self.name = name;
            self.step = 0;
            self.progress.event(&Event::Planned {
                what: "training steps",
                total: now.steps,
                finished: 0,
            });
            self.progress.event(&Event::Started { name: &self.name });
        }
        self.progress.event(&Event::Advanced {
            units: now.step - self.step,
            work: (now.step - self.step) as f64,
        });
        self.step = now.step;
        if now.step == now.steps {
            let loss = now.loss.map(|loss| format!("loss {loss:.4}"));
            self.progress.event(&Event::Finished {
                name: &self.name,
                summary: &loss.unwrap_or_else(|| "done".to_owned()),
            });
        }
    }
}

fn train(options: &Train) -> anyhow::Result<ExitCode> {
    let file = StudyFile::read(&options.file)?;
    let origin = options.file.display().to_string();
    let study = Study::open(&file, &origin, &options.data, options.seed)?;
    tell_left_out(&study);
    let mut shown = Shown::new();
    let trained = StudyModel::train(&study, options.seed, &options.out, &mut |now| {
        shown.tell(now);
    })?;
    shown.progress.finish();
    let Some(report) = trained.model.report() else {
        return Ok(ExitCode::SUCCESS);
    };
    if options.json {
        print_json(report)?;
    } else {
        print(summary(report))?;
        print_line(format_args!("model: {}", options.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_left_out(study: &Study) {
    match study.left_out() {
        0 => {}
        rows => note(format_args!(
            "left out because a value is not known: {rows} of the manifest's rows"
        )),
    }
}

fn summary(report: &FitReport) -> String {
    let attributes = report.attributes.iter().map(|(name, fit)| {
        let validation = fit.validation.map(|v| format!(", held out {v:.4}"));
        format!(
            "{name}: log p {:.4}{}\n",
            fit.training,
            validation.unwrap_or_default()
        )
    });
    let image = report.image.iter().map(|fit| {
        let terms = fit
            .terms
            .iter()
            .map(|(name, value)| format!(", {name} {value:.4}"));
        let terms: String = terms.collect();
        format!(
            "image: {} updates, {} skipped{terms}\n",
            fit.steps, fit.skipped
        )
    });
    let tuned = report.fine_tuning.iter().map(tuned);
    attributes.chain(image).chain(tuned).collect()
}

fn tuned(fit: &FineTuningFit) -> String {
    let (before, after) = (&fit.before, &fit.after);
    format!(
        "fine-tuning: {} updates, {} skipped, effectiveness loss {:.4} -> {:.4} (facts {:.4}), bound \
         {:.4} -> {:.4} of at most {:.4}, lambda {:.4}\n",
        fit.steps,
        fit.skipped,
        before.effectiveness,
        after.effectiveness,
        fit.facts,
        before.bound,
        after.bound,
        fit.limit,
        fit.lambda,
    )
}

fn sample(options: &Sample) -> anyhow::Result<ExitCode> {
    let model = StudyModel::load(&options.model)?;
    let place = (&*options.out, options.seed);
    let (manifest, warnings) = write_sample(&model, options.count as usize, &options.acts, place)?;
    for warning in warnings {
        note(format_args!("warning: {warning}"));
    }
    print_line(format_args!("cohort: {}", manifest.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn edit_image(options: &Edit) -> anyhow::Result<ExitCode> {
    let model = StudyModel::load(&options.model)?;
    let study = options.data.as_ref();
    let study = study.map(|folder| model.study(folder)).transpose()?;
    let edited = edit(
        &model,
        (&options.image, study.as_ref()),
        &options.facts,
        &options.acts,
        (&options.out, options.seed),
    )?;
    for warning in &edited.warnings {
        note(format_args!("warning: {warning}"));
    }
    if options.json {
        print_json(&edited)?;
    } else {
        print(described(&edited))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn described(edited: &Edited) -> String {
    let attributes = edited.attributes.iter().map(|(name, before, after)| {
        if before == after {
            format!("  {name}: {before}\n")
        } else {
            format!("  {name}: {before} -> {after}\n")
        }
    });
    let attributes: String = attributes.collect();
    format!(
        "{}\n{attributes}the reconstruction is {:.2} grey levels from the image, the counterfactual \
         {:.2} from the reconstruction\nimage: {}\ndifference: {}\nsheet: {}\n",
        edited.acts,
        edited.reconstruction_error,
        edited.change,
        edited.image.display(),
        edited.difference.display(),
        edited.sheet.display(),
    )
}

fn score_model(options: &Score) -> anyhow::Result<ExitCode> {
    let model = StudyModel::load(&options.model)?;
    let study = model.study(&options.data)?;
    tell_left_out(&study);
    let mut settings = ScoreOptions {
        images: options.images as usize,
        encoder_steps: options.steps.into(),
        seed: options.seed,
        ..ScoreOptions::default()
    };
    settings.predictors.steps = options.steps.into();
    let mut shown = Shown::new();
    let card = score(&model, &study, &settings, &mut |now| shown.tell(now))?;
    shown.progress.finish();
    if let Some(path) = &options.document {
        write_atomically(path, card.to_markdown().as_bytes())?;
    }
    if options.json {
        print_json(&card)?;
    } else {
        print(card.to_markdown())?;
    }
    Ok(ExitCode::SUCCESS)
}

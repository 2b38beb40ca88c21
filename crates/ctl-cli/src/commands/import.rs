//! `ctl data import`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use ctl_compute::runtime::on_every_core;
use ctl_imaging::{
    BidsImport, BidsMasks, DicomImport, ImagingError, Imported, NnunetImport, NnunetSplits,
    TableImport, import_bids, import_dicom, import_medmnist, import_nnunet, import_table,
    import_tree,
};
use serde::Serialize;

use crate::exit;
use crate::import_arguments::{BidsArguments, CsvImport, DicomArguments, Import, NnunetArguments};
use crate::output::{note, print_json, print_line};

/// What is left out is named up to this many, then counted; with `--json` all of it is.
const SHOWN: usize = 50;

#[derive(Serialize)]
struct Made<'a> {
    cohort: &'a Path,
    #[serde(flatten)]
    imported: &'a Imported,
}

pub(crate) fn run(layout: &Import, json: bool) -> anyhow::Result<ExitCode> {
    let imported = match on_every_core(|| imported(layout))? {
        Ok(imported) => imported,
        // What is wrong with an argument is not wrong with the data.
        Err(error) if matches!(error.downcast_ref(), Some(ImagingError::Argument { .. })) => {
            return Ok(exit::misuse(&error));
        }
        Err(error) => return Err(error),
    };
    let cohort = layout.folder();
    if json {
        print_json(&Made {
            cohort,
            imported: &imported,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    for left in imported.left_out.iter().take(SHOWN) {
        note(format_args!(
            "left out: {}: {}",
            left.path.display(),
            left.reason
        ));
    }
    if imported.left_out.len() > SHOWN {
        let more = imported.left_out.len() - SHOWN;
        note(format_args!("left out: {more} more"));
    }
    for sentence in &imported.notes {
        note(format_args!("note: {sentence}"));
    }
    print_line(format_args!("images: {}", imported.images))?;
    print_line(format_args!("cohort: {}", cohort.display()))?;
    Ok(ExitCode::SUCCESS)
}

impl Import {
    fn folder(&self) -> &Path {
        match self {
            Self::Medmnist { folder, .. } | Self::Tree { folder, .. } => folder,
            Self::Csv(options) => &options.folder,
            Self::Bids(options) => &options.folder,
            Self::Nnunet(options) => &options.folder,
            Self::Dicom(options) => &options.folder,
        }
    }
}

fn imported(layout: &Import) -> anyhow::Result<Imported> {
    let folder = layout.folder();
    Ok(match layout {
        Import::Medmnist { archives, .. } => import_medmnist(folder, archives)?,
        Import::Tree { source, levels, .. } => import_tree(folder, source, levels)?,
        Import::Csv(options) => import_table(folder, &table_of(options)?)?,
        Import::Bids(options) => import_bids(folder, &bids_of(options))?,
        Import::Nnunet(options) => import_nnunet(folder, &nnunet_of(options))?,
        Import::Dicom(options) => import_dicom(folder, &dicom_of(options)?)?,
    })
}

fn table_of(options: &CsvImport) -> anyhow::Result<TableImport> {
    let own = options.table.parent().unwrap_or(Path::new(""));
    let mut columns = BTreeMap::new();
    for (name, column) in &options.columns {
        if let Some(first) = columns.insert(name.clone(), column.clone()) {
            return Err(ImagingError::Argument {
                subject: "--column",
                expected: "one column of the table for each of the manifest's".to_owned(),
                found: format!("{name}={first} and {name}={column}"),
            }
            .into());
        }
    }
    Ok(TableImport {
        table: options.table.clone(),
        images: options.images.clone().unwrap_or_else(|| own.to_owned()),
        columns,
        site: options.site.clone(),
        ending: options.ending.clone(),
        mask_ending: options.mask_ending.clone(),
        inputs: options.inputs.clone(),
    })
}

fn bids_of(options: &BidsArguments) -> BidsImport {
    BidsImport {
        source: options.source.clone(),
        suffix: options.suffix.clone(),
        entities: options.entities.clone(),
        site: options.site.clone(),
        label: options.label.clone(),
        sidecar: options.sidecar.clone(),
        masks: options.mask_suffix.as_ref().map(|suffix| BidsMasks {
            suffix: suffix.clone(),
            entities: options.mask_entities.clone(),
            pipeline: options.mask_pipeline.clone(),
            classes: options.mask_classes.clone(),
        }),
        inputs: options.inputs.clone(),
    }
}

fn nnunet_of(options: &NnunetArguments) -> NnunetImport {
    NnunetImport {
        source: options.source.clone(),
        channel: options.channel.clone(),
        splits: options.splits.as_ref().map(|file| NnunetSplits {
            file: file.clone(),
            fold: options.fold,
        }),
        test: options.test,
        site: options.site.clone(),
    }
}

fn dicom_of(options: &DicomArguments) -> anyhow::Result<DicomImport> {
    let salt = match (&options.salt, &options.salt_file) {
        (Some(salt), _) => salt.clone(),
        (None, Some(file)) => salt_in(file)?,
        (None, None) => String::new(),
    };
    Ok(DicomImport {
        source: options.source.clone(),
        salt,
        site: options.site_tag.clone(),
        tags: options.tags.clone(),
        modality: options.modality.clone(),
        convert: options.convert,
        skip_faulty: options.skip_faulty,
        inputs: options.inputs.clone(),
    })
}

/// The text of a file without the end of its line.
fn salt_in(file: &PathBuf) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).map_err(|source| ImagingError::Io {
        path: file.clone(),
        action: "read",
        source,
    });
    let text = text.context("the salt")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

//! What can be said on the command line of imports.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ctl_imaging::TreeLevel;

#[derive(Subcommand)]
pub(crate) enum Import {
    /// Archives in the layout of `MedMNIST`, each of which becomes a site.
    Medmnist {
        /// New folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// NPZ files with {train,val,test}_{images,labels}.
        #[arg(value_name = "FILE", required = true)]
        archives: Vec<PathBuf>,
    },
    /// Pictures in folders named after their classes, or after sites, splits and patients too.
    Tree {
        /// New folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The outermost of the folders.
        #[arg(value_name = "FROM")]
        source: PathBuf,
        /// What folders are named after, from the outermost: class, site, split, patient
        /// [default: class, or split,class where folders are called like splits].
        #[arg(long, value_name = "LEVEL,…", value_delimiter = ',')]
        levels: Vec<TreeLevel>,
    },
    /// A table of comma-separated values beside a folder of pictures.
    Csv(CsvImport),
    /// A data set in the Brain Imaging Data Structure.
    Bids(BidsArguments),
    /// A data set in the layout of nnU-Net, of either version.
    Nnunet(NnunetArguments),
    /// Series of DICOM files; the manifest names no patient.
    Dicom(DicomArguments),
}

#[derive(Args)]
pub(crate) struct CsvImport {
    /// New folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The table, with a header row.
    #[arg(value_name = "FILE")]
    pub(crate) table: PathBuf,
    /// Folder that the table's paths are relative to [default: the table's own].
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// A column of the manifest and the table's name for it, such as label=Finding; repeatable.
    #[arg(long = "column", value_name = "NAME=COLUMN", value_parser = pair)]
    pub(crate) columns: Vec<(String, String)>,
    /// The site of all images.
    #[arg(long, value_name = "NAME")]
    pub(crate) site: Option<String>,
    /// What stands after every path of an image, such as .png, where the table leaves it out.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) ending: String,
    /// The same of masks.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) mask_ending: String,
    /// Columns that models may take [default: age, sex].
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) inputs: Vec<String>,
}

#[derive(Args)]
pub(crate) struct BidsArguments {
    /// New folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The folder that holds `dataset_description.json`.
    #[arg(value_name = "FROM")]
    pub(crate) source: PathBuf,
    /// Kind of image, such as T1w; required where there are several.
    #[arg(long, value_name = "SUFFIX")]
    pub(crate) suffix: Option<String>,
    /// An entity that images must have, such as acq=fast; repeatable, and of several values of one
    /// key any will do.
    #[arg(long = "entity", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) entities: Vec<(String, String)>,
    /// Column of participants.tsv that names sites [default: `site`, `site_id` or center].
    #[arg(long, value_name = "COLUMN")]
    pub(crate) site: Option<String>,
    /// Column of participants.tsv that holds labels.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) label: Option<String>,
    /// Field of JSON sidecars that becomes a column, such as `MagneticFieldStrength`; repeatable.
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    pub(crate) sidecar: Vec<String>,
    /// Suffix of masks below derivatives/, such as mask or dseg.
    #[arg(long, value_name = "SUFFIX")]
    pub(crate) mask_suffix: Option<String>,
    /// An entity that masks must have, such as desc=brain; repeatable.
    #[arg(long = "mask-entity", value_name = "KEY=VALUE", value_parser = pair, requires = "mask_suffix")]
    pub(crate) mask_entities: Vec<(String, String)>,
    /// Folder below derivatives/ to look for masks in [default: all].
    #[arg(long, value_name = "NAME", requires = "mask_suffix")]
    pub(crate) mask_pipeline: Option<String>,
    /// Names of the values 0, 1, 2, … of masks [default: background, foreground].
    #[arg(
        long,
        value_name = "CLASS,…",
        value_delimiter = ',',
        requires = "mask_suffix"
    )]
    pub(crate) mask_classes: Vec<String>,
    /// Columns that models may take [default: age, sex].
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) inputs: Vec<String>,
}

#[derive(Args)]
pub(crate) struct NnunetArguments {
    /// New folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The folder that holds dataset.json.
    #[arg(value_name = "FROM")]
    pub(crate) source: PathBuf,
    /// One channel, by name or number [default: every channel is a row of its own].
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,
    /// `splits_final.json`, by which training cases are divided into train and val.
    #[arg(long, value_name = "FILE")]
    pub(crate) splits: Option<PathBuf>,
    /// Fold of the splits, from 0 on.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "splits")]
    pub(crate) fold: usize,
    /// Take the cases of imagesTs as well, as the split test.
    #[arg(long)]
    pub(crate) test: bool,
    /// The site of all images.
    #[arg(long, value_name = "NAME")]
    pub(crate) site: Option<String>,
}

#[derive(Args)]
pub(crate) struct DicomArguments {
    /// New folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The folder that is searched through.
    #[arg(value_name = "FROM")]
    pub(crate) source: PathBuf,
    /// What pseudonyms of patients are derived from; best 16 random characters or more.
    #[arg(long, value_name = "TEXT", required_unless_present = "salt_file")]
    pub(crate) salt: Option<String>,
    /// The same, read from a file, which leaves it out of the shell's history.
    #[arg(long, value_name = "FILE", conflicts_with = "salt")]
    pub(crate) salt_file: Option<PathBuf>,
    /// Attribute that names sites, such as `InstitutionName` or Manufacturer.
    #[arg(long, value_name = "KEYWORD")]
    pub(crate) site_tag: Option<String>,
    /// Attribute that becomes a column, such as `MagneticFieldStrength`; repeatable.
    #[arg(long = "tag", value_name = "KEYWORD,…", value_delimiter = ',')]
    pub(crate) tags: Vec<String>,
    /// Only series of this modality, such as MR.
    #[arg(long, value_name = "MODALITY")]
    pub(crate) modality: Option<String>,
    /// Write series as `NIfTI`; else the cohort holds links to their files.
    #[arg(long)]
    pub(crate) convert: bool,
    /// Leave out series of which no volume can be made, with the reason.
    #[arg(long)]
    pub(crate) skip_faulty: bool,
    /// Columns that models may take [default: age, sex].
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) inputs: Vec<String>,
}

/// Two words around the first `=`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or("expected two words around a `=`, such as label=Finding")?;
    Ok((name.to_owned(), value.to_owned()))
}

//! What can be asked of a model of images.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Counterfactual {
    /// Train a deep structural causal model of a cohort; goes on where it stopped.
    Train(Train),
    /// Draw new individuals and write them as a cohort.
    Sample(Sample),
    /// Write what one image would have been.
    Edit(Edit),
    /// Score how sound a model's counterfactuals are.
    Score(Score),
}

#[derive(Args)]
pub(crate) struct Train {
    /// Model file: diagram, nodes, mechanisms (see docs/COUNTERFACTUAL.md).
    #[arg(value_name = "MODEL.toml")]
    pub(crate) file: PathBuf,
    /// Folder of the cohort.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Folder of the trained model.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What weights, batches and a split without parts of its own depend on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print what came of training as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Sample {
    /// Folder of a trained model.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Number of individuals.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,
    /// An intervention: NAME=VALUE, or NAME+=AMOUNT for a shift; may be given several times.
    #[arg(long = "do", value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub(crate) acts: Vec<String>,
    /// Folder of the cohort that is written.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What the individuals depend on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Args)]
pub(crate) struct Edit {
    /// Folder of a trained model.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// A picture file; with --data, the address of one in the manifest.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    /// Folder of the cohort whose manifest knows the image.
    #[arg(long, value_name = "DIR", conflicts_with = "facts")]
    pub(crate) data: Option<PathBuf>,
    /// What is known of a picture file: NAME=VALUE for every attribute of the model.
    #[arg(long = "fact", value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub(crate) facts: Vec<String>,
    /// An intervention: NAME=VALUE, or NAME+=AMOUNT for a shift; may be given several times.
    #[arg(
        long = "do",
        value_name = "NAME=VALUE",
        required = true,
        allow_hyphen_values = true
    )]
    pub(crate) acts: Vec<String>,
    /// Folder of the pictures.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What draws in abduction depend on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print what was done as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Score {
    /// Folder of a trained model.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Folder of the cohort.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Images that are scored, at most.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) images: u32,
    /// Updates of each predictor and of the autoencoder that judge.
    #[arg(long, value_name = "N", default_value_t = 1_500, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) steps: u32,
    /// What predictors and interventions depend on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Write the tables into this Markdown file as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Option<PathBuf>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

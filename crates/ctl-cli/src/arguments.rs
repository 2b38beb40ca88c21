//! What can be said on the command line.

mod counterfactual;
mod image;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ctl_benches::graph::Workload;
use ctl_benches::imaging::Workload as ImagingWorkload;
use ctl_benches::train_step::Model;
use ctl_harness::sense::SenseConfig;
use ctl_phantom::digits::DigitKind;
use ctl_phantom::{MrContrast, PhantomSpec};

use crate::import_arguments::Import;
use crate::slurm::SlurmArguments;

pub(crate) use counterfactual::{Counterfactual, Edit, Sample, Score, Train};
pub(crate) use image::{Convert, Image, Info, Show};

/// Causal transfer for medical images: compare methods across shifted sites, reproduce published
/// tables, check cohorts, apply trained models.
#[derive(Parser)]
#[command(
    name = "ctl",
    version,
    after_help = "Exit codes: 0 done, 1 a check found something, 2 usage, 3 bad input data, \
                  4 internal error, 130 interrupted while waiting for \
                  a cluster.\nResults go to stdout or to files, progress to stderr.\n\
                  Environment: CTL_LOG (what is logged, such as info), CTL_KERNELS (the vector \
                  instructions to use: portable, neon, avx2 or avx512), CTL_WINOGRAD (on or off)."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Compare methods on a suite and write a report; resumes by itself.
    Benchmark(Benchmark),
    /// Measure a published table again and set ours beside it.
    Reproduce(Reproduce),
    /// Write the report of a sweep once more.
    Report(Report),
    /// List the methods.
    Methods(Methods),
    /// List the suites.
    Suites(Suites),
    /// List, check or make cohorts on disk.
    #[command(subcommand)]
    Data(Data),
    /// Look at, convert or show one image.
    #[command(subcommand)]
    Image(Image),
    /// Run conformance vectors.
    Conformance(Conformance),
    /// Say what a causal diagram licenses for a transfer, and why.
    Advise(Advise),
    /// Train a causal model of images, and ask what an image would have been.
    #[command(subcommand)]
    Counterfactual(Counterfactual),
    /// Apply a trained model to a cohort.
    Predict(Predict),
    /// Time training steps, beside `PyTorch`'s where Python has it.
    Perf(Perf),
    /// A task of a job array that `benchmark --launcher slurm` submitted; see docs/CLUSTER.md.
    #[command(hide = true)]
    RunChunk(RunChunk),
    /// Our side of `perf`: answers `step N` lines on stdin.
    #[command(hide = true)]
    PerfWorker(PerfWorker),
}

/// Where runs are executed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Launcher {
    /// On this machine, as many runs at once as there are cores.
    Local,
    /// As job arrays of Slurm, on a shared file system.
    Slurm,
    /// Nowhere: print the plan.
    DryRun,
}

#[derive(Args)]
pub(crate) struct Benchmark {
    /// Suite by name (`ctl suites`) or a TOML file.
    #[arg(long, default_value = "quick", value_name = "NAME|FILE")]
    pub(crate) suite: String,
    /// Only these tasks.
    #[arg(long, value_delimiter = ',', value_name = "TASK,…")]
    pub(crate) task: Vec<String>,
    /// Only these shifts.
    #[arg(long, value_delimiter = ',', value_name = "SHIFT,…")]
    pub(crate) shift: Vec<String>,
    /// These methods instead of the suite's.
    #[arg(long, value_delimiter = ',', value_name = "METHOD,…")]
    pub(crate) method: Vec<String>,
    /// Number of seeds instead of the suite's.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = seeds())]
    pub(crate) seeds: Option<u64>,
    /// A cohort, or a folder of cohorts, for suites that ask for one.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where runs are executed.
    #[arg(long, value_enum, default_value = "local")]
    pub(crate) launcher: Launcher,
    /// Runs at once [default: one per core; with slurm, as many as it starts].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) jobs: Option<u64>,
    /// Folder of the sweep [default: out/SUITE].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Keep the weights of the selected checkpoints, for `predict`.
    #[arg(long)]
    pub(crate) save_models: bool,
    /// Records of runs that were finished elsewhere, as `report --format records` writes them; these
    /// runs are not repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) records: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) slurm: SlurmArguments,
}

#[derive(Args)]
pub(crate) struct RunChunk {
    /// Folder of the sweep.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Number of the job array in the sweep, from 1.
    #[arg(long, value_name = "N")]
    pub(crate) batch: u32,
    /// Index of the task in the array, from 0.
    #[arg(long, value_name = "N")]
    pub(crate) index: usize,
}

#[derive(Args)]
pub(crate) struct Reproduce {
    /// Experiments, such as irm-colored-mnist or rex-colored-mnist.
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub(crate) ids: Vec<String>,
    /// All experiments.
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
    /// Folder with the data of the experiments, in it or in folders of it; simulated ones need none.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) data: PathBuf,
    /// Restarts of every row of a recipe, each with its own weights and colours; sweeps have the
    /// seeds of their suite [default: 3, with --all 10].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) restarts: Option<u64>,
    /// Restarts at once [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) jobs: Option<u64>,
    /// Where finished restarts are kept.
    #[arg(long, value_name = "DIR", default_value = "out/reproduce")]
    pub(crate) out: PathBuf,
    /// Folder of records of finished runs, ID.jsonl.gz as `report --format records` writes it; runs
    /// that are in it are not repeated.
    #[arg(long, value_name = "DIR")]
    pub(crate) records: Option<PathBuf>,
    /// Write all tables into this Markdown file.
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Option<PathBuf>,
    /// Print the comparison as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Report {
    /// Folder of a sweep.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// html, md, csv or records (of all runs, for `reproduce --records` and `benchmark --records`).
    #[arg(long, default_value = "html")]
    pub(crate) format: String,
}

#[derive(Args)]
#[command(
    after_help = "A diagram file is TOML: `schema = 1`, `edges = \"anatomy -> film; …\"`, \
                  [nodes.NAME] with a `role`, and [[shift]] with `kind` and `nodes` for what differs \
                  in the target. `ctl advise --template NAME --diagram` prints one to start from."
)]
pub(crate) struct Advise {
    /// Diagram file
    #[arg(value_name = "FILE", required_unless_present_any = ["template", "templates"])]
    pub(crate) file: Option<PathBuf>,
    /// A diagram that comes with the toolkit, such as anticausal-prevalence
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub(crate) template: Option<String>,
    /// Print the diagram file itself, to be changed.
    #[arg(long, conflicts_with = "json")]
    pub(crate) diagram: bool,
    /// List the templates.
    #[arg(long, conflicts_with_all = ["file", "template", "diagram"])]
    pub(crate) templates: bool,
    /// Print the advice, or the list, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Methods {
    /// Print everything about the methods as a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the table of docs/METHODS.md.
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Print the JSON schema of all settings, docs/methods.schema.json.
    #[arg(long, conflicts_with_all = ["json", "markdown"])]
    pub(crate) schema: bool,
}

#[derive(Args)]
pub(crate) struct Suites {
    /// Print the suites as a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Data {
    /// List the cohorts of a folder.
    List {
        /// A cohort, or a folder of cohorts.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Print the list as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a cohort, or every cohort of a folder; exits 3 where something is wrong.
    Verify {
        /// A cohort, or a folder of cohorts.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Read every pixel as well.
        #[arg(long)]
        decode: bool,
        /// Print the findings as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a cohort is made of, site by site, and which of its columns go together.
    Stats {
        /// A cohort.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Write a page with thumbnails of every site.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Print all figures as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a simulated cohort: images, masks, attributes, noises and the causal diagram.
    Make(Make),
    /// Write coloured, rotated or morphed digits as a cohort, from the files of MNIST.
    Digits(Digits),
    /// Make a cohort of files in another layout.
    Import {
        #[command(subcommand)]
        layout: Import,
        /// Print what was made of it as JSON.
        #[arg(long, global = true)]
        json: bool,
    },
    /// Reconstruct the raw data of several receiver coils, and compare with a reference.
    Kspace(Kspace),
}

#[derive(Args)]
pub(crate) struct Digits {
    /// New folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Folder of MNIST's four IDX files, plain or gzipped.
    #[arg(long, value_name = "DIR")]
    pub(crate) mnist: PathBuf,
    /// The protocol.
    #[arg(long, value_parser = digits())]
    pub(crate) kind: DigitKind,
    /// Most images of a site [default: all].
    #[arg(long, value_name = "N")]
    pub(crate) images: Option<usize>,
    /// Master seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Args)]
pub(crate) struct Kspace {
    /// NPY file of complex numbers [coils, H, W]; 0 where nothing was measured.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// NPY file of complex images [maps, H, W] to compare with, by root sum of squares.
    #[arg(long, value_name = "FILE")]
    pub(crate) reference: Option<PathBuf>,
    /// Iterations of conjugate gradients at most, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = SenseConfig::default().iterations, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) iterations: u32,
    /// Weight of the squared image beside the squared error of the measured points, at least 0.
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true, default_value_t = SenseConfig::default().regularisation)]
    pub(crate) regularisation: f64,
    /// PNG file for the reconstruction.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Make {
    /// New folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// What is imaged: chest films or brain MR.
    #[arg(long, default_value = "chest", value_parser = ["brain", "chest"])]
    pub(crate) anatomy: String,
    /// Whether the label is read off the image or the disease causes the image.
    #[arg(long, default_value = "anticausal", value_parser = ["causal", "anticausal"])]
    pub(crate) direction: String,
    /// Sequence of brain MR [default: flair].
    #[arg(long, value_parser = contrast())]
    pub(crate) contrast: Option<MrContrast>,
    /// Load that the disease adds on average, in standard deviations of the load of the healthy
    /// of one age, 0.5 to 6.
    #[arg(long, default_value_t = PhantomSpec::default().severity)]
    pub(crate) severity: f64,
    /// Side of the images in pixels.
    #[arg(long, default_value_t = 64)]
    pub(crate) size: usize,
    /// Patients of every site, with one image each.
    #[arg(long, default_value_t = 100)]
    pub(crate) patients_per_site: usize,
    /// Source sites; the target comes in addition.
    #[arg(long, default_value_t = 3)]
    pub(crate) source_sites: usize,
    /// Master seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Dial from 0 to 1: who comes to the target, by age, sex and build.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) population: f64,
    /// Dial from 0 to 1: the target's prevalence moves.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) prevalence: f64,
    /// Dial from 0 to 1: the target's scanner moves.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) acquisition: f64,
    /// Dial from 0 to 1: who annotates the target, and how.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) annotation: f64,
    /// Dial from 0 to 1: how the disease shows in the target.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) manifestation: f64,
    /// Dial from 0 to 1: who enters the sources: the younger and those with less disease.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) selection: f64,
    /// Dial from 0 to 1: site, disease and scanner go together in the sources.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) confounding: f64,
}

#[derive(Args)]
pub(crate) struct Conformance {
    /// Folder that is searched for vector files.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Predict {
    /// Folder of a run that kept its models, or of one model.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// A cohort.
    #[arg(value_name = "DIR")]
    pub(crate) cohort: PathBuf,
    /// CSV file to write instead of stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Folder for pictures: masks, anomaly maps or reconstructions, as PNG.
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: Option<PathBuf>,
    /// Print predictions as JSON.
    #[arg(long, conflicts_with = "out")]
    pub(crate) json: bool,
}

/// More threads than any machine of today has cores are a mistake.
const THREADS_MAX: u64 = 1024;

fn threads() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u64)
        .range(1..=THREADS_MAX)
        .map(|threads| threads as usize)
}

/// Numbers below 0 are out of range, not ill-formed.
fn seeds() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(i64)
        .range(1..=1000)
        .map(i64::unsigned_abs)
}

fn digits() -> impl TypedValueParser<Value = DigitKind> {
    PossibleValuesParser::new(DigitKind::ALL.map(DigitKind::name)).try_map(|name| {
        let mut all = DigitKind::ALL.into_iter();
        all.find(|kind| kind.name() == name)
            .ok_or("no such protocol")
    })
}

fn contrast() -> impl TypedValueParser<Value = MrContrast> {
    PossibleValuesParser::new(MrContrast::ALL.map(MrContrast::name)).try_map(|name| {
        let mut all = MrContrast::ALL.into_iter();
        all.find(|contrast| contrast.name() == name)
            .ok_or("no such sequence")
    })
}

fn model() -> impl TypedValueParser<Value = Model> {
    PossibleValuesParser::new(Model::ALL.map(Model::name))
        .try_map(|name| Model::from_name(&name).ok_or("no such model"))
}

fn workload() -> impl TypedValueParser<Value = Workload> {
    PossibleValuesParser::new(Workload::ALL.map(Workload::name))
        .try_map(|name| Workload::from_name(&name).ok_or("no such workload"))
}

fn imaging() -> impl TypedValueParser<Value = ImagingWorkload> {
    PossibleValuesParser::new(ImagingWorkload::ALL.map(ImagingWorkload::name))
        .try_map(|name| ImagingWorkload::from_name(&name).ok_or("no such workload"))
}

#[derive(Args)]
pub(crate) struct Perf {
    /// Only these training steps [default: all, or none beside the next two].
    #[arg(long, value_delimiter = ',', value_name = "MODEL,…", value_parser = model())]
    pub(crate) model: Vec<Model>,
    /// Only these workloads on causal diagrams [default: all, or none beside the others].
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD,…", value_parser = workload())]
    pub(crate) workload: Vec<Workload>,
    /// Only these workloads on images [default: all, or none beside the others].
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD,…", value_parser = imaging())]
    pub(crate) imaging: Vec<ImagingWorkload>,
    /// Numbers of threads of training steps and of workloads on images.
    #[arg(long, value_delimiter = ',', value_name = "N,…", default_value = "1,2", value_parser = threads())]
    pub(crate) threads: Vec<usize>,
    /// Turns that each program takes.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Pythons in which peers are looked for; a peer that none has is not timed.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "PATH,…",
        default_value = "python3"
    )]
    pub(crate) python: Vec<OsString>,
    /// Print the figures as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct PerfWorker {
    /// The model.
    #[arg(long, value_parser = model(), required_unless_present_any = ["workload", "imaging"])]
    pub(crate) model: Option<Model>,
    /// The workload.
    #[arg(long, value_parser = workload(), requires = "data", conflicts_with = "model")]
    pub(crate) workload: Option<Workload>,
    /// The workload on images.
    #[arg(long, value_parser = imaging(), requires = "data", conflicts_with_all = ["model", "workload"])]
    pub(crate) imaging: Option<ImagingWorkload>,
    /// Folder of the workload's inputs.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Number of threads.
    #[arg(long, value_parser = threads(), default_value = "1")]
    pub(crate) threads: usize,
}

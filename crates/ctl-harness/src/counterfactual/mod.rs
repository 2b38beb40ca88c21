//! Deep structural causal models of cohorts on disk: trained, asked and scored.

mod pictures;
mod score;
mod study;

pub(crate) use score::{INTERVALS, encoder, from_uniform, groups, new_encoder, suited};

pub use pictures::{Edited, edit, write_sample};
pub use score::{InterventionScore, ScoreOptions, Scorecard, score};
pub use study::{STUDY_FILE, Study, StudyFile, StudyModel, TrainingSettings};

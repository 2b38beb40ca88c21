//! Counterfactuals against a simulator that knows the true ones.
//!
//! A [`Simulator`] tells facts and true counterfactuals of its individuals; [`Questions`] are
//! interventions on some of them; a [`Rival`] is whoever is asked, a trained model, a generator or a
//! reference; [`score`] measures the answers by all that can be measured without the truth, and by
//! the truth; [`agreements`] says whether the one orders rivals as the other does, and a [`Strip`]
//! shows individuals.

mod agreement;
mod case;
mod letters;
mod markdown;
mod phantom;
mod rivals;
mod score;
mod strip;

use serde::{Deserialize, Serialize};

pub use agreement::{Agreement, Proxy, agreements};
pub use case::{Case, Simulator};
pub use phantom::{Exposed, Phantoms, model as phantom_model};
pub use rivals::{Budget, Known, Matched, Rival, Unmoved};
pub use score::{
    Calibration, CaseScore, Judges, Question, Questions, RivalScore, ScoreSettings, score,
};
pub(crate) use strip::Picture;
pub use strip::Strip;

/// Scores of all who were asked the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthReport {
    /// Those who were asked, references and models.
    pub rivals: Vec<RivalScore>,
    /// How proxies order the trained models.
    pub models: Vec<Agreement>,
    /// The same with a reference among them that changes nothing, which composition and
    /// reversibility take for perfect.
    pub with_unmoved: Vec<Agreement>,
}

impl TruthReport {
    /// Name of the reference that changes nothing.
    pub const UNMOVED: &str = "no change";

    /// Compares what was scored.
    pub fn new(rivals: Vec<RivalScore>) -> Self {
        let trained: Vec<&RivalScore> = rivals.iter().filter(|r| r.budget.is_some()).collect();
        let unmoved = rivals.iter().filter(|r| r.name == Self::UNMOVED);
        let with_unmoved: Vec<&RivalScore> = unmoved.chain(trained.iter().copied()).collect();
        Self {
            models: agreements(&trained),
            with_unmoved: agreements(&with_unmoved),
            rivals,
        }
    }

    /// The trained models.
    pub fn trained(&self) -> impl Iterator<Item = &RivalScore> {
        self.rivals.iter().filter(|rival| rival.budget.is_some())
    }
}

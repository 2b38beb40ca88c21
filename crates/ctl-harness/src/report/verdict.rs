//! The answer of a sweep in plain words, derived from its numbers.

use ctl_invariance::{Family, Role};
use serde::Serialize;

use super::contenders::{ALPHA, Contender, contenders};
use super::contrast::{CELL_AND_SEED, Contrast, Scores};
use super::overview::{Average, MethodSummary};
use super::sweep::{REFERENCE, Sweep};
use super::text;
use crate::Result;
use crate::table::Cell;
use crate::vocabulary::Selector;

/// Drops smaller than this are called small.
const SMALL_DROP: f64 = 0.01;
/// What a ranking without information scores.
const CHANCE: f64 = 0.5;

/// What the first screen says.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    headline: String,
    sentences: Vec<String>,
    cards: Vec<Card>,
}

/// A figure that a reader takes home.
#[derive(Debug, Serialize)]
struct Card {
    value: String,
    label: String,
    detail: String,
}

/// What sentences are made from.
struct Evidence<'a> {
    sweep: &'a Sweep<'a>,
    scores: &'a Scores,
    summaries: &'a [MethodSummary],
    metric: String,
    validated: Vec<Contender<'a>>,
    oracle: Vec<Contender<'a>>,
}

impl Verdict {
    pub(crate) fn of(
        sweep: &Sweep<'_>,
        scores: &Scores,
        summaries: &[MethodSummary],
    ) -> Result<Self> {
        let evidence = Evidence {
            sweep,
            scores,
            summaries,
            metric: text::metric(sweep.table.main_metric),
            validated: contenders(scores, summaries, Selector::TrainingDomain)?,
            oracle: contenders(scores, summaries, Selector::TargetOracle)?,
        };
        let mut sentences: Vec<String> = Vec::new();
        sentences.extend(evidence.what_breaks());
        sentences.extend(evidence.best_method());
        sentences.extend(evidence.worse_methods());
        sentences.extend(evidence.families()?);
        sentences.extend(evidence.only_with_the_oracle());
        sentences.extend(evidence.incomparable());
        Ok(Self {
            headline: evidence.headline(),
            sentences,
            cards: evidence.cards(),
        })
    }
}

impl Evidence<'_> {
    fn summary(&self, method: &str) -> Option<&MethodSummary> {
        self.summaries.iter().find(|row| row.method == method)
    }

    fn name(&self, row: &MethodSummary) -> String {
        self.sweep.name(&row.method)
    }

    fn headline(&self) -> String {
        let winners = self.validated.iter().filter(|c| c.wins()).count();
        match self.validated.iter().find(|c| c.wins()) {
            Some(best) => format!(
                "{} does better than ERM on the target beyond noise: {} {}.{}",
                self.name(best.summary),
                text::signed(Some(best.contrast.difference)),
                self.metric,
                match winners {
                    1 => String::new(),
                    2 => " So does one other method.".to_owned(),
                    n => format!(" So do {} other methods.", n - 1),
                }
            ),
            None if self.validated.is_empty() => {
                "Nothing can be compared yet: no method has figures wherever ERM has them.".into()
            }
            None => "No method is better than ERM beyond noise.".into(),
        }
    }

    /// What moving to the target costs plain training.
    fn what_breaks(&self) -> Option<String> {
        let row = self.summary(REFERENCE)?;
        let (home, away) = (row.in_distribution?.mean, row.target?.mean);
        let drop = home - away;
        let consequence = if drop > SMALL_DROP {
            format!("the move costs {}", text::number(Some(drop)))
        } else if drop < -SMALL_DROP {
            format!("it gains {}", text::number(Some(-drop)))
        } else {
            "the move costs next to nothing".to_owned()
        };
        let worst = self.worst_cell().unwrap_or_default();
        Some(format!(
            "What breaks: plain training (ERM) scores {} {} on unseen patients of its own sites and \
             {} on the target; {consequence} (training-domain selection, mean over {}).{worst}",
            text::number(Some(home)),
            self.metric,
            text::number(Some(away)),
            text::count(row.cells, "cell"),
        ))
    }

    /// Where plain training loses most, when there is a choice.
    fn worst_cell(&self) -> Option<String> {
        let metric = self.sweep.table.main_metric;
        let lines = self.sweep.table.lines.iter();
        let drops: Vec<(&Cell, f64, f64)> = lines
            .filter(|l| l.method == REFERENCE && l.selector == Selector::TrainingDomain)
            .filter_map(|l| {
                let home = l.in_distribution.get(metric)?.mean;
                Some((&l.cell, home, l.target.get(metric)?.mean))
            })
            .collect();
        let worst = drops
            .iter()
            .max_by(|a, b| (a.1 - a.2).total_cmp(&(b.1 - b.2)))?;
        let (cell, home, away) = *worst;
        if drops.len() < 2 || home - away <= SMALL_DROP {
            return None;
        }
        let chance = if metric == "auroc" && away < CHANCE {
            ", worse than guessing"
        } else {
            ""
        };
        Some(format!(
            " The loss is greatest in {} ({} to {}{chance}).",
            text::cell(cell),
            text::number(Some(home)),
            text::number(Some(away))
        ))
    }

    /// The best method against plain training, whether or not it is more than noise.
    fn best_method(&self) -> Option<String> {
        let best = self.validated.iter().find(|c| c.wins());
        let shown = best.or(self.validated.first())?;
        let name = self.name(shown.summary);
        let tested = self.validated.iter().filter(|c| c.p.is_some()).count();
        let evidence = self.evidence(&shown.contrast, shown.p, tested);
        let sees = match shown.summary.role {
            Role::Adaptation => self.best_without_target_images(),
            _ => String::new(),
        };
        Some(match best {
            Some(_) => format!(
                "What helps: {name} is better than ERM on the target by {evidence}, with \
                 checkpoints chosen without any target label.{sees}"
            ),
            None => format!(
                "What helps: under training-domain selection nothing does for certain. The best of \
                 the other methods, {name}, differs from ERM by {evidence}.{sees}"
            ),
        })
    }

    /// What to add when the method above sees more of the target than plain training does.
    fn best_without_target_images(&self) -> String {
        let sees = " It sees unlabelled target images, which ERM does not";
        let mut contenders = self.validated.iter();
        match contenders.find(|c| c.summary.role == Role::Generalisation) {
            Some(c) => format!(
                "{sees}; of the methods that see sources only, {} has the highest mean ({}).",
                self.name(c.summary),
                text::signed(Some(c.contrast.difference))
            ),
            None => format!("{sees}."),
        }
    }

    /// A difference and all that is known of its noise.
    fn evidence(&self, contrast: &Contrast, p: Option<f64>, tested: usize) -> String {
        let value = match contrast.standard_error {
            Some(error) => format!("{} ± {error:.3}", text::signed(Some(contrast.difference))),
            None => text::signed(Some(contrast.difference)),
        };
        let units = match (contrast.unit, contrast.units) {
            (CELL_AND_SEED, n) if n != 1 => format!("{n} pairs of cell and seed"),
            (unit, n) => text::count(n, unit),
        };
        let test = match p {
            Some(p) if tested > 1 => {
                format!("{} after correction for {tested} methods", text::p_value(p))
            }
            Some(p) => text::p_value(p),
            None if contrast.units < 2 => "a single one gives no measure of noise".to_owned(),
            None => "they do not vary, which gives no measure of noise".to_owned(),
        };
        let metric = &self.metric;
        format!("{value} {metric} (paired difference ± s.e. over {units}; {test})")
    }

    fn worse_methods(&self) -> Option<String> {
        let named: Vec<String> = self
            .validated
            .iter()
            .filter(|c| c.loses())
            .map(|c| {
                let difference = text::signed(Some(c.contrast.difference));
                format!("{} ({difference})", self.name(c.summary))
            })
            .collect();
        (!named.is_empty()).then(|| format!("Worse than ERM beyond noise: {}.", text::list(&named)))
    }

    /// The best causal method against the best correlation-based one.
    fn families(&self) -> Result<Option<String>> {
        let best = |causal: bool| {
            self.validated.iter().find(|c| {
                let family = c.summary.family;
                family.is_causal() == causal && family != Family::Baseline
            })
        };
        let (Some(causal), Some(other)) = (best(true), best(false)) else {
            return Ok(None);
        };
        let arm = |c: &Contender<'_>| c.summary.method.clone();
        let selector = Selector::TrainingDomain;
        let (a, b) = (arm(causal), arm(other));
        let Some(contrast) = self.scores.contrast((&a, selector), (&b, selector))? else {
            return Ok(None);
        };
        let noise = !contrast.p.is_some_and(|p| p < ALPHA);
        let (causal, other) = (self.name(causal.summary), self.name(other.summary));
        let outcome = match (noise, contrast.difference > 0.0) {
            (true, _) => "cannot be told apart from",
            (false, true) => "beats",
            (false, false) => "loses to",
        };
        let evidence = self.evidence(&contrast, contrast.p, 1);
        Ok(Some(format!(
            "Causal or correlation-based? The best causal-family method, {causal}, {outcome} the \
             best correlation-based one, {other}: {evidence}. Both were picked after seeing these \
             results."
        )))
    }

    /// What only labelled target images bring.
    fn only_with_the_oracle(&self) -> Option<String> {
        let wins_anyway = |c: &&Contender<'_>| {
            let same = |v: &&Contender<'_>| v.summary.method == c.summary.method;
            self.validated
                .iter()
                .find(same)
                .is_some_and(Contender::wins)
        };
        let named: Vec<String> = self
            .oracle
            .iter()
            .filter(|c| c.wins() && !wins_anyway(c))
            .map(|c| {
                let difference = text::signed(Some(c.contrast.difference));
                format!("{} ({difference})", self.name(c.summary))
            })
            .collect();
        (!named.is_empty()).then(|| {
            format!(
                "Only with the oracle: when labelled target images choose the checkpoint, {} {} \
                 ahead of ERM chosen the same way. That is an upper reference; at a new hospital \
                 those labels do not exist.",
                text::list(&named),
                if named.len() == 1 { "gets" } else { "get" },
            )
        })
    }

    fn incomparable(&self) -> Option<String> {
        let cells = self.summary(REFERENCE)?.cells;
        let named: Vec<String> = self
            .summaries
            .iter()
            .filter(|row| row.role != Role::Oracle && row.cells < cells)
            .map(|row| format!("{} ({} of {cells} cells)", self.name(row), row.cells))
            .collect();
        (!named.is_empty()).then(|| {
            let named = text::list(&named);
            format!("Left out of the comparison, because ERM has figures in more cells: {named}.")
        })
    }

    fn cards(&self) -> Vec<Card> {
        let mut cards = Vec::new();
        let mut card = |average: Option<Average>, label: String, detail: &str| {
            let Some(average) = average else { return };
            cards.push(Card {
                value: text::number(Some(average.mean)),
                label,
                detail: detail.to_owned(),
            });
        };
        let validated = "training-domain selection";
        if let Some(erm) = self.summary(REFERENCE) {
            card(erm.in_distribution, "ERM at home".into(), validated);
            card(erm.target, "ERM on the target".into(), validated);
        }
        if let Some(best) = self.validated.first() {
            let label = format!("{} on the target", self.name(best.summary));
            card(
                best.summary.target,
                label,
                "best method besides ERM, training-domain selection",
            );
        }
        let reference = self.summaries.iter().find(|row| row.role == Role::Oracle);
        if let Some(row) = reference {
            card(row.target, self.name(row), "upper reference on the target");
        }
        cards
    }
}

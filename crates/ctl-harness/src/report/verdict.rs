//! The answer of a sweep in plain words, derived from its numbers.

use ctl_invariance::Role;
use serde::Serialize;

use super::contenders::{Contender, contenders};
use super::contrast::{LEAST_UNITS, Scores};
use super::families;
use super::ground::Ground;
use super::overview::{Average, MethodSummary, left_out};
use super::sweep::{REFERENCE, Sweep};
use super::text;
use crate::Result;
use crate::table::Cell;
use crate::vocabulary::Selector;

/// Drops smaller than this are called small.
const SMALL_DROP: f64 = 0.01;

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

/// What sentences about one ground are made from.
struct Evidence<'a> {
    sweep: &'a Sweep<'a>,
    scores: Scores,
    ground: Ground,
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
        let (main, others) = grounds(summaries);
        let evidence = Evidence::on(sweep, scores, summaries, main)?;
        let mut sentences: Vec<String> = Vec::new();
        sentences.extend(evidence.what_breaks());
        sentences.extend(evidence.best_method());
        sentences.extend(evidence.worse_methods());
        let own = (&evidence.scores, &evidence.validated);
        sentences.extend(families::sentences(sweep, own.0, own.1)?);
        sentences.extend(evidence.only_with_the_oracle());
        sentences.extend(evidence.incomparable());
        for ground in others {
            let beside = Evidence::on(sweep, scores, summaries, ground)?;
            sentences.extend(beside.beside());
        }
        sentences.extend(few_samples(sweep));
        sentences.extend(at_chance(sweep, summaries));
        Ok(Self {
            headline: evidence.headline(),
            sentences,
            cards: evidence.cards(),
        })
    }
}

/// The ground that the answer is about, and the others that the sweep has.
fn grounds(summaries: &[MethodSummary]) -> (Ground, Vec<Ground>) {
    let with = |wanted: fn(&MethodSummary) -> bool| -> Vec<Ground> {
        let has = |ground: &Ground| {
            let mut rows = summaries.iter();
            rows.any(|row| row.ground == *ground && wanted(row))
        };
        Ground::ALL.into_iter().filter(has).collect()
    };
    let (counted, present) = (with(|row| row.cells > 0), with(|_| true));
    let main = counted.first().or(present.first()).copied();
    let main = main.unwrap_or(Ground::UnseenSite);
    let others = counted.into_iter().filter(|&ground| ground != main);
    (main, others.collect())
}

fn few_samples(sweep: &Sweep<'_>) -> Option<String> {
    let cells = sweep.table.cells().into_iter();
    let few: Vec<&Cell> = cells
        .filter(|cell| sweep.table.has_few_samples(cell))
        .collect();
    Some(left_out(&few)).filter(|text| !text.is_empty())
}

/// Which methods have seeds without any checkpoint.
fn at_chance(sweep: &Sweep<'_>, summaries: &[MethodSummary]) -> Option<String> {
    let rows = summaries.iter().filter(|row| row.at_chance > 0);
    let named: Vec<String> = rows
        .map(|row| format!("{} ({})", sweep.name(&row.method), row.at_chance))
        .collect();
    (!named.is_empty()).then(|| {
        format!(
            "Scored as chance{}, because every run of a seed diverged before its first \
             evaluation: {}.",
            sweep
                .chance()
                .map_or(String::new(), |chance| format!(" ({chance})")),
            text::list(&named)
        )
    })
}

impl<'a> Evidence<'a> {
    fn on(
        sweep: &'a Sweep<'a>,
        scores: &Scores,
        summaries: &'a [MethodSummary],
        ground: Ground,
    ) -> Result<Self> {
        let scores = scores.on(ground);
        let first = summaries.iter().position(|row| row.ground == ground);
        let own = summaries.iter().filter(|row| row.ground == ground).count();
        let summaries = first.map_or(&[][..], |first| &summaries[first..first + own]);
        Ok(Self {
            validated: contenders(&scores, summaries, Selector::TrainingDomain)?,
            oracle: contenders(&scores, summaries, Selector::TargetOracle)?,
            metric: text::metric(sweep.metric()),
            sweep,
            scores,
            ground,
            summaries,
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

    /// Whether there are enough independent units for any test.
    fn is_tested(&self) -> bool {
        let mut units = self.validated.iter().map(|c| c.contrast.units.count());
        units.any(|count| count >= LEAST_UNITS)
    }

    fn headline(&self) -> String {
        let Some(first) = self.validated.first() else {
            return self.nothing_to_compare();
        };
        let units = text::units(first.contrast.units);
        if !self.is_tested() {
            let needed = text::not_tested(first.contrast.units);
            let mut letters = needed.chars();
            let capital = letters.next().map(|c| c.to_ascii_uppercase());
            let needed: String = capital.into_iter().chain(letters).collect();
            return format!("Whether any method is better than ERM is open. {needed}.");
        }
        let winners = self.validated.iter().filter(|c| c.wins()).count();
        match self.validated.iter().find(|c| c.wins()) {
            Some(best) => format!(
                "{} does better than ERM on the target beyond noise: {} {} over {units}.{}",
                self.name(best.summary),
                text::signed(Some(best.contrast.difference)),
                self.metric,
                match winners {
                    1 => String::new(),
                    2 => " So does one other method.".to_owned(),
                    n => format!(" So do {} other methods.", n - 1),
                }
            ),
            None => format!("No method is better than ERM beyond noise over {units}."),
        }
    }

    fn nothing_to_compare(&self) -> String {
        let cells = self.sweep.table.cells();
        let all_few = cells
            .iter()
            .all(|cell| self.sweep.table.has_few_samples(cell));
        if !cells.is_empty() && all_few {
            return "Nothing can be compared: every cell scores too few target samples of a class."
                .to_owned();
        }
        "Nothing can be compared yet: no method has figures wherever ERM has them.".to_owned()
    }

    /// What moving to the target costs plain training.
    fn what_breaks(&self) -> Option<String> {
        let row = self.summary(REFERENCE)?;
        let (home, away) = (row.in_distribution?.mean, row.target?.mean);
        let scores = (text::number(Some(home)), text::number(Some(away)));
        let scores = self.ground.scores(&scores.0, &scores.1);
        let (metric, cells) = (&self.metric, text::count(row.cells, "cell"));
        if self.ground != Ground::UnseenSite {
            let scene = self.ground.scene();
            return Some(format!(
                "What breaks: in {cells} {scene}, plain training (ERM) has an {metric} of {scores} \
                 (training-domain selection)."
            ));
        }
        let drop = home - away;
        let consequence = if drop > SMALL_DROP {
            format!("the move costs {}", text::number(Some(drop)))
        } else if drop < -SMALL_DROP {
            format!("the move gains {}", text::number(Some(-drop)))
        } else {
            "the move costs next to nothing".to_owned()
        };
        let worst = self.worst_cell().unwrap_or_default();
        Some(format!(
            "What breaks: plain training (ERM) has an {metric} of {scores}; {consequence} \
             (training-domain selection, mean over {cells}).{worst}"
        ))
    }

    /// Where plain training loses most, when there is a choice.
    fn worst_cell(&self) -> Option<String> {
        let metric = self.sweep.metric();
        let lines = self.sweep.table.lines.iter();
        let drops: Vec<(&Cell, f64, f64)> = lines
            .filter(|l| l.method == REFERENCE && l.selector == Selector::TrainingDomain)
            .filter(|l| self.ground.has(&l.cell) && !l.few_samples)
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
        let guessing = if matches!(metric, "auroc" | "accuracy")
            && self
                .sweep
                .chance_in(cell)
                .is_some_and(|chance| away < chance)
        {
            ", worse than guessing"
        } else {
            ""
        };
        Some(format!(
            " The loss is greatest in {} ({} to {}{guessing}).",
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
        let evidence = self.evidence(shown);
        let sees = match shown.summary.role {
            Role::Adaptation => self.best_without_target_images(),
            _ => String::new(),
        };
        Some(match best {
            Some(_) => format!(
                "What helps: {name} is better than ERM on the target by {evidence}, with \
                 checkpoints chosen without any target label.{sees}"
            ),
            None if !self.is_tested() => format!(
                "What helps: this sweep cannot tell. The method with the highest target mean, \
                 {name} (picked by that very figure), differs from ERM by {evidence}.{sees}"
            ),
            None => format!(
                "What helps: under training-domain selection nothing does for certain. The method \
                 with the highest target mean, {name} (picked by that very figure), differs from \
                 ERM by {evidence}.{sees}"
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

    /// A difference to plain training and all that is known of its noise.
    fn evidence(&self, contender: &Contender<'_>) -> String {
        let tested = self.validated.iter().filter(|c| c.p.is_some()).count();
        let corrected = (tested, "method");
        text::evidence(&contender.contrast, contender.p, corrected, &self.metric)
    }

    /// One sentence on a ground that the answer is not about.
    fn beside(&self) -> Option<String> {
        let row = self.summary(REFERENCE)?;
        let (home, away) = (row.in_distribution?.mean, row.target?.mean);
        let best = self.validated.iter().find(|c| c.wins());
        let shown = best.or(self.validated.first());
        let best = shown.map_or_else(String::new, |shown| {
            format!(
                " The other method with the highest target mean, {} (picked by that very figure), \
                 differs from ERM by {}.",
                self.name(shown.summary),
                self.evidence(shown)
            )
        });
        let scores = (text::number(Some(home)), text::number(Some(away)));
        Some(format!(
            "Kept apart: in {} {}, ERM has an {} of {}.{best}",
            text::count(row.cells, "cell"),
            self.ground.scene(),
            self.metric,
            self.ground.scores(&scores.0, &scores.1),
        ))
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
        let mut card = |average: Option<Average>, label: String, detail: String| {
            let Some(average) = average else { return };
            cards.push(Card {
                value: text::number(Some(average.mean)),
                label,
                detail,
            });
        };
        if let Some(erm) = self.summary(REFERENCE) {
            let label = format!("ERM {}", self.ground.home());
            card(erm.in_distribution, label, self.ground.inside().into());
            let detail = format!(
                "training-domain selection, {}",
                text::count(erm.cells, "cell")
            );
            card(erm.target, "ERM on the target".into(), detail);
        }
        if let Some(best) = self.validated.first() {
            let label = format!("{} on the target", self.name(best.summary));
            let detail = match self.validated.len() {
                1 => "the only method besides ERM".to_owned(),
                n => format!("best of {n} methods, picked by this very figure, which flatters it"),
            };
            card(best.summary.target, label, detail);
        }
        let reference = self.summaries.iter().find(|row| row.role == Role::Oracle);
        if let Some(row) = reference {
            card(
                row.target,
                self.name(row),
                "upper reference on the target".into(),
            );
        }
        cards
    }
}

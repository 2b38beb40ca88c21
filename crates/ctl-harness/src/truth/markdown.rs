//! Scores as Markdown tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::agreement::{Agreement, Proxy};
use super::{CaseScore, RivalScore, TruthReport};

const NOTHING: &str = "–";

impl TruthReport {
    /// All tables, without a heading of their own.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        budgets(&mut text, &self.rivals);
        for case in self.cases() {
            let _ = writeln!(text, "### `{case}`\n");
            truths(&mut text, &self.rivals, case);
            proxies(&mut text, &self.rivals, case);
        }
        text.push_str("### Noises\n\n");
        noises(&mut text, &self.rivals);
        text.push_str("### Does what can be measured tell the truth?\n\n");
        best(&mut text, self);
        orders(&mut text, "of the trained models", &self.models);
        orders(&mut text, "with no change among them", &self.with_unmoved);
        individuals(&mut text, &self.rivals);
        text
    }

    /// The interventions, in the order of the first rival that knows them all.
    fn cases(&self) -> Vec<&str> {
        let most = self.rivals.iter().max_by_key(|rival| rival.cases.len());
        let cases = most.map_or(&[][..], |rival| &rival.cases);
        cases.iter().map(|case| &case.case[..]).collect()
    }
}

/// A table whose columns but the first are numbers.
fn grid(text: &mut String, heads: &[String], rows: &[Vec<String>]) {
    let rule = "---:|".repeat(heads.len().saturating_sub(1));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |\n|---|{rule}", heads.join(" | "));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.push('\n');
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value
        .filter(|value| value.is_finite())
        .map_or(NOTHING.to_owned(), |value| format!("{value:.decimals$}"))
}

fn signed(value: Option<f64>) -> String {
    value.map_or(NOTHING.to_owned(), |value| format!("{value:+.2}"))
}

fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn budgets(text: &mut String, rivals: &[RivalScore]) {
    let heads = heads(&[
        "asked",
        "mechanism of the image",
        "weights",
        "updates × images",
        "minutes of training",
        "individuals",
        "composition, 1 cycle",
        "composition, last cycle",
    ]);
    let row = |rival: &RivalScore| {
        let budget = rival.budget.as_ref();
        let of = |show: &dyn Fn(&super::Budget) -> String| budget.map_or(NOTHING.into(), show);
        vec![
            rival.name.clone(),
            of(&|b| b.mechanism.clone()),
            of(&|b| b.weights.to_string()),
            of(&|b| format!("{} × {}", b.updates, b.batch)),
            of(&|b| number(b.minutes, 1)),
            rival.individuals.to_string(),
            number(Some(rival.composition[0]), 2),
            number(Some(rival.composition[1]), 2),
        ]
    };
    grid(text, &heads, &rivals.iter().map(row).collect::<Vec<_>>());
}

/// The rivals that know an intervention, with their scores.
fn knowing<'a>(rivals: &'a [RivalScore], case: &str) -> Vec<(&'a RivalScore, &'a CaseScore)> {
    let found = rivals.iter().filter_map(|rival| {
        let score = rival.cases.iter().find(|score| score.case == case)?;
        Some((rival, score))
    });
    found.collect()
}

fn truths(text: &mut String, rivals: &[RivalScore], case: &str) {
    let known = knowing(rivals, case);
    let follow: BTreeSet<&String> = known
        .iter()
        .flat_map(|(_, s)| s.attributes.keys())
        .collect();
    let mut heads = heads(&[
        "against the true counterfactual",
        "MAE",
        "PSNR",
        "SSIM",
        "MAE where it changes",
        "MAE elsewhere",
        "carried out",
    ]);
    heads.extend(follow.iter().map(|name| format!("error of {name}")));
    let row = |(rival, score): &(&RivalScore, &CaseScore)| {
        let mut cells = vec![
            rival.name.clone(),
            number(Some(score.mae), 2),
            number(score.psnr, 1),
            number(Some(score.ssim), 3),
            number(score.where_changed[0], 2),
            number(score.where_changed[1], 2),
            number(score.carried_out, 2),
        ];
        let error = |name: &&String| number(score.attributes.get(*name).copied(), 3);
        cells.extend(follow.iter().map(error));
        cells
    };
    grid(text, &heads, &known.iter().map(row).collect::<Vec<_>>());
    if let Some((_, score)) = known.first() {
        let share = 100.0 * score.changed;
        let _ = writeln!(text, "The truth changes {share:.0} % of the pixels.\n");
    }
}

fn proxies(text: &mut String, rivals: &[RivalScore], case: &str) {
    let known = knowing(rivals, case);
    let names = |of: &dyn Fn(&CaseScore) -> Vec<String>| -> Vec<String> {
        let all: BTreeSet<String> = known.iter().flat_map(|(_, score)| of(score)).collect();
        all.into_iter().collect()
    };
    let predicted = names(&|score| score.predicted.keys().cloned().collect());
    let measured = names(&|score| score.measured.keys().cloned().collect());
    let mut heads = heads(&["without the truth"]);
    heads.extend(predicted.iter().map(|name| format!("{name}, predicted")));
    heads.extend(measured.iter().map(|name| format!("{name}, measured")));
    for name in ["reversibility", "Fréchet", "kernel", "minimality"] {
        heads.push(name.to_owned());
    }
    let row = |(rival, score): &(&RivalScore, &CaseScore)| {
        let mut cells = vec![rival.name.clone()];
        let of = |map: &std::collections::BTreeMap<String, f64>, name: &String| {
            number(map.get(name).copied(), 3)
        };
        cells.extend(predicted.iter().map(|name| of(&score.predicted, name)));
        cells.extend(measured.iter().map(|name| of(&score.measured, name)));
        cells.extend([
            number(Some(score.reversibility), 2),
            number(Some(score.realism.frechet), 2),
            number(Some(score.realism.kernel), 4),
            number(score.minimality, 3),
        ]);
        cells
    };
    grid(text, &heads, &known.iter().map(row).collect::<Vec<_>>());
}

fn noises(text: &mut String, rivals: &[RivalScore]) {
    let known = rivals
        .iter()
        .filter_map(|rival| Some((&rival.name, rival.calibration.as_ref()?)));
    let known: Vec<_> = known.collect();
    let Some((_, first)) = known.first() else {
        return;
    };
    let (attributes, parents): (Vec<&String>, Vec<&String>) = (
        first.attributes.keys().collect(),
        first.parents.keys().collect(),
    );
    let mut heads = heads(&["abducted noises"]);
    for name in &attributes {
        heads.push(format!("ranks of {name} from uniform"));
        heads.push(format!("from the true ranks of {name}"));
    }
    heads.extend(heads_of_image(&parents));
    let row = |(name, found): &(&String, &super::Calibration)| {
        let mut cells = vec![(*name).clone()];
        for attribute in &attributes {
            let pair = found.attributes.get(*attribute);
            cells.extend([0, 1].map(|place| number(pair.map(|pair| pair[place]), 3)));
        }
        cells.extend(found.moments.map(|value| number(Some(value), 2)));
        let of = |parent: &&String| number(found.parents.get(*parent).copied(), 3);
        cells.extend(parents.iter().map(of));
        cells.push(number(Some(found.chance), 3));
        cells
    };
    grid(text, &heads, &known.iter().map(row).collect::<Vec<_>>());
}

fn heads_of_image(parents: &[&String]) -> Vec<String> {
    let mut heads = vec!["mean of the image's".to_owned(), "deviation".to_owned()];
    heads.extend(
        parents
            .iter()
            .map(|name| format!("correlation with {name}")),
    );
    heads.push("chance".to_owned());
    heads
}

/// Who is best by each proxy, and by the truth.
fn best(text: &mut String, report: &TruthReport) {
    let models: Vec<RivalScore> = report.trained().cloned().collect();
    let mut names = vec!["best trained model by".to_owned()];
    let cases = report.cases();
    names.extend(cases.iter().map(|case| format!("`{case}`")));
    let mut rows = Vec::new();
    let least = |of: &dyn Fn(&RivalScore, &CaseScore) -> Option<f64>, case: &str| {
        let known = knowing(&models, case).into_iter();
        let values = known.filter_map(|(rival, score)| Some((&rival.name, of(rival, score)?)));
        let best = values.min_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(NOTHING.to_owned(), |(name, _)| name.clone())
    };
    for proxy in Proxy::ALL {
        let cells: Vec<String> = cases
            .iter()
            .map(|case| least(&|rival, score| proxy.of(rival, score), case))
            .collect();
        if cells.iter().any(|cell| cell != NOTHING) {
            rows.push([vec![proxy.name().to_owned()], cells].concat());
        }
    }
    let truth = cases
        .iter()
        .map(|case| least(&|_, score| Some(score.mae), case));
    rows.push([vec!["**the truth, MAE**".to_owned()], truth.collect()].concat());
    grid(text, &names, &rows);
}

fn orders(text: &mut String, whose: &str, agreements: &[Agreement]) {
    if agreements.is_empty() {
        return;
    }
    let heads = [
        format!("order {whose}"),
        "pairs".to_owned(),
        "Spearman".to_owned(),
        "Kendall".to_owned(),
        "couples ordered as by the truth".to_owned(),
    ];
    let row = |one: &Agreement| {
        vec![
            one.proxy.name().to_owned(),
            one.pairs.to_string(),
            signed(one.spearman),
            signed(one.kendall),
            format!("{} of {}", one.couples[0], one.couples[1]),
        ]
    };
    grid(
        text,
        &heads,
        &agreements.iter().map(row).collect::<Vec<_>>(),
    );
}

/// Rank correlations over individuals.
fn individuals(text: &mut String, rivals: &[RivalScore]) {
    let trained = rivals.iter().filter(|rival| rival.budget.is_some());
    let pairs: Vec<(&RivalScore, &CaseScore)> = trained
        .flat_map(|rival| rival.cases.iter().map(move |case| (rival, case)))
        .collect();
    let names: BTreeSet<&String> = pairs.iter().flat_map(|(_, s)| s.within.keys()).collect();
    let mut heads = heads(&["Spearman over individuals with the true error"]);
    heads.extend(names.iter().map(|name| (*name).clone()));
    heads.push("individuals".to_owned());
    let row = |(rival, score): &(&RivalScore, &CaseScore)| {
        let mut cells = vec![format!("{}, `{}`", rival.name, score.case)];
        let of = |name: &&String| signed(score.within.get(*name).copied().flatten());
        cells.extend(names.iter().map(of));
        cells.push(rival.individuals.to_string());
        cells
    };
    grid(text, &heads, &pairs.iter().map(row).collect::<Vec<_>>());
}

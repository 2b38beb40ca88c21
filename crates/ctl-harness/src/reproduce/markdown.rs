//! Tables of `reproduce` as Markdown.

use std::fmt::Write as _;

use super::deep_scm::CheckShown;
use super::ledger::Experiment;
use super::restarts::{Comparison, Reproduction, with_spread};
use super::sweep::ClaimShown;
use crate::vocabulary::Selector;

/// All tables, with the command that makes them again.
pub fn document(tables: &[Reproduction], command: &str) -> String {
    let mut text = format!(
        "# Published figures, measured again\n\nAccuracies are per cent.\nA table whose selector is \
         the target oracle is no evidence that a practitioner could have found its \
         settings.\n\n```sh\n{command}\n```\n\nDIR holds the IDX files of MNIST and \
         `pneumoniamnist.npz`, itself or in folders of it.\n",
    );
    for table in tables {
        text.push('\n');
        text.push_str(&to_markdown(table));
    }
    text
}

/// The table as Markdown.
pub fn to_markdown(table: &Reproduction) -> String {
    let e = &table.experiment;
    let mut text = format!(
        "## `{}`: {}\n\nSource: {}.\nProtocol: {}.\nSelector: {}.\n",
        e.id, e.title, e.source, e.protocol, e.selector,
    );
    // Writing to a string cannot fail.
    let _ = match (&e.sweep, &e.model) {
        (None, Some(model)) => write!(
            text,
            "Budget: {}.\nOurs: {}.\n\n",
            model.budget,
            table.ours()
        ),
        (None, None) => write!(
            text,
            "Ours: {}{}.\n\n",
            table.ours(),
            spread("; published spread: ", e)
        ),
        (Some(sweep), _) => write!(
            text,
            "Budget: {}.\nOurs: {}, in brackets as published{}.\n\n",
            sweep.budget,
            table.ours(),
            spread(" ± ", e)
        ),
    };
    if e.sweep.is_none() {
        let quantity = if e.model.is_some() {
            "figure"
        } else {
            "accuracy"
        };
        if let Some(truth) = &table.truth {
            text.push_str(&truth.to_markdown());
        }
        if !table.comparisons.is_empty() {
            rows(&mut text, quantity, &table.comparisons);
        }
        statements(&mut text, &table.checks);
        return text;
    }
    for selector in Selector::ALL {
        by_target(&mut text, *selector, &table.comparisons);
    }
    checks(&mut text, &table.comparisons);
    claims(&mut text, &table.claims);
    text
}

fn spread(before: &str, experiment: &Experiment) -> String {
    let spread = experiment.spread.as_ref();
    spread.map_or(String::new(), |spread| format!("{before}{spread}"))
}

fn rows(text: &mut String, quantity: &str, comparisons: &[Comparison]) {
    let _ = write!(
        text,
        "| row | {quantity} | published | ours | tolerance | within |\n|---|---|---|---|---|---|\n",
    );
    for c in comparisons {
        let (published, ours) = (c.published(), c.ours());
        let (tolerance, within) = (c.within(), verdict(c));
        let _ = writeln!(
            text,
            "| {} | {} | {published} | {ours} | {tolerance} | {within} |",
            c.figure.row, c.figure.quantity
        );
    }
}

fn statements(text: &mut String, checks: &[CheckShown]) {
    if checks.is_empty() {
        return;
    }
    text.push_str("\n| to hold | measured | holds |\n|---|---|---|\n");
    for check in checks {
        let holds = if check.holds { "yes" } else { "**no**" };
        let _ = writeln!(
            text,
            "| {} | {} | {holds} |",
            check.statement, check.measured
        );
    }
}

fn verdict(c: &Comparison) -> &'static str {
    match c.passed {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "not asked",
    }
}

/// One table: methods by targets.
fn by_target(text: &mut String, selector: Selector, comparisons: &[Comparison]) {
    let here: Vec<&Comparison> = comparisons
        .iter()
        .filter(|c| c.figure.selector == Some(selector))
        .collect();
    let place = |c: &Comparison| {
        let target = c.figure.target.clone().unwrap_or_default();
        (target, c.figure.quantity.clone())
    };
    let mut columns: Vec<(String, String)> = Vec::new();
    let mut methods: Vec<&str> = Vec::new();
    for c in &here {
        if !columns.contains(&place(c)) {
            columns.push(place(c));
        }
        if !methods.contains(&c.figure.row.as_str()) {
            methods.push(&c.figure.row);
        }
    }
    if here.is_empty() {
        return;
    }
    let heads: Vec<String> = columns.iter().map(|(t, q)| format!("{t}, {q}")).collect();
    let _ = write!(
        text,
        "| {selector} | {} |\n|---|{}\n",
        heads.join(" | "),
        "---:|".repeat(columns.len())
    );
    for method in methods {
        let cell = |column: &(String, String)| {
            let mut of_method = here.iter().filter(|c| c.figure.row == method);
            let found = of_method.find(|c| place(c) == *column);
            found.map_or_else(
                || "–".to_owned(),
                |c| format!("{} ({})", c.ours(), c.published()),
            )
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        let _ = writeln!(text, "| {method} | {} |", cells.join(" | "));
    }
    text.push('\n');
}

/// The figures that are held to a tolerance.
fn checks(text: &mut String, comparisons: &[Comparison]) {
    let asked: Vec<&Comparison> = comparisons.iter().filter(|c| c.passed.is_some()).collect();
    if asked.is_empty() {
        return;
    }
    text.push_str("| figure | published | ours | tolerance | within |\n|---|---:|---:|---:|---|\n");
    for c in asked {
        let selector = c
            .figure
            .selector
            .map_or(String::new(), |s| format!(", {s}"));
        let target = c.figure.target.clone().unwrap_or_default();
        let _ = writeln!(
            text,
            "| {}, {} on {target}{selector} | {} | {} | {} | {} |",
            c.figure.row,
            c.figure.quantity,
            c.published(),
            c.ours(),
            c.within(),
            verdict(c),
        );
    }
    text.push('\n');
}

fn claims(text: &mut String, claims: &[ClaimShown]) {
    if claims.is_empty() {
        return;
    }
    text.push_str("| claim | difference | p, paired t-test | holds |\n|---|---:|---:|---|\n");
    for shown in claims {
        let c = &shown.claim;
        let holds = if shown.holds { "yes" } else { "**no**" };
        let p = shown.p.map_or_else(|| "–".into(), |p| format!("{p:.3}"));
        let _ = writeln!(
            text,
            "| {} above {}, {} on {}, {} | {} | {p} | {holds} |",
            c.higher,
            c.lower,
            c.quantity,
            c.target,
            c.selector,
            with_spread(shown.difference, shown.standard_error),
        );
    }
}

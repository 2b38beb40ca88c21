//! Tables in the terminal.

use comfy_table::{
    CellAlignment, ContentArrangement, Table as Grid, presets::UTF8_HORIZONTAL_ONLY,
};
use ctl_harness::Role;
use ctl_harness::portrait::{Association, CohortStats, SiteStats};
use ctl_harness::report::{Average, MethodSummary, terminal_rows};
use ctl_harness::reproduce::Reproduction;
use ctl_harness::table::{LEAST_PER_CLASS, Table};

use crate::commands::perf::Figures;

/// One row per method: means over cells.
pub(crate) fn summary(table: &Table) -> String {
    let mut grid = Grid::new();
    grid.load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    let methods = terminal_rows(table);
    let left_out = methods.iter().any(|method| method.left_out.is_some());
    let mut header = vec![
        "task",
        "method",
        "family",
        "sees",
        "in distribution",
        "target (training-domain)",
        "target (oracle)",
        "regret",
        "cells",
        "seeds",
        "diverged",
    ];
    if left_out {
        header.splice(8..8, ["target (leave-one-domain-out)", "its regret"]);
    }
    grid.set_header(header);
    for method in &methods {
        let mut cells = row(method);
        if left_out {
            let mean = number(method.left_out.map(|a| a.mean));
            cells.splice(8..8, [mean, number(method.left_out_regret)]);
        }
        grid.add_row(cells);
    }
    for column in grid.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let metrics = table.tasks().into_iter().map(|task| {
        let metric = table.main_metric(task);
        format!("{metric} in {}", task.as_str())
    });
    format!(
        "{grid}\n{}; mean over cells of the mean over seeds; selector in brackets; cells with fewer \
         than {LEAST_PER_CLASS} scored target samples of a class are left out",
        metrics.collect::<Vec<_>>().join(", ")
    )
}

/// One row per site of a cohort.
pub(crate) fn sites(stats: &CohortStats) -> String {
    let mut grid = Grid::new();
    grid.load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "site",
            "images",
            "patients",
            "label",
            "pixels",
            "mm",
            "brightness",
            "contrast",
        ]);
    for site in &stats.sites {
        grid.add_row([
            site.site.clone(),
            site.images.to_string(),
            site.patients.to_string(),
            prevalence(site),
            format!("{} × {}", site.height.median, site.width.median),
            spacing(site),
            site.intensity.map_or_else(
                || "–".to_owned(),
                |of| format!("{:.3} ± {:.3}", of.mean, of.spread),
            ),
            number(site.intensity.map(|of| of.contrast)),
        ]);
    }
    grid.to_string()
}

fn prevalence(site: &SiteStats) -> String {
    let shares = site.prevalence.iter();
    let mut parts: Vec<String> = shares
        .map(|share| format!("{} {} ({:.2})", share.name, share.count, share.share))
        .collect();
    if let Some([low, median, high]) = site.label_quartiles {
        parts.push(format!("median {median} ({low} to {high})"));
    }
    if site.unlabelled > 0 {
        parts.push(format!("{} without", site.unlabelled));
    }
    parts.join(", ")
}

fn spacing(site: &SiteStats) -> String {
    let medians: Vec<String> = (site.spacing.iter())
        .map(|axis| axis.median.to_string())
        .collect();
    if medians.is_empty() {
        return "–".to_owned();
    }
    medians.join(" × ")
}

/// One row per pair of columns, the strongest first.
pub(crate) fn associations(stats: &CohortStats) -> String {
    let mut grid = Grid::new();
    grid.load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["columns", "tested", "Cramér's V", "adjusted p", "flagged"]);
    let mut pairs: Vec<&Association> = stats.associations.iter().collect();
    pairs.sort_by(|a, b| b.cramers_v.total_cmp(&a.cramers_v));
    for pair in pairs {
        let within = if pair.within_sites {
            "within sites"
        } else {
            "over all sites"
        };
        grid.add_row([
            format!("{} and {}", pair.first, pair.second),
            within.to_owned(),
            format!("{:.3}", pair.cramers_v),
            pair.p_shown(),
            if pair.flagged { "yes" } else { "" }.to_owned(),
        ]);
    }
    for column in grid.column_iter_mut().skip(2).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    grid.to_string()
}

fn row(method: &MethodSummary) -> Vec<String> {
    let sees = match method.role {
        Role::Adaptation => "target images",
        Role::Oracle => "upper reference",
        Role::Generalisation => "sources",
    };
    let (fewest, most) = method.seeds;
    let seeds = if fewest == most {
        most.to_string()
    } else {
        format!("{fewest}–{most}")
    };
    let mean = |average: Option<Average>| number(average.map(|a| a.mean));
    vec![
        method.task.as_str().to_owned(),
        method.method.clone(),
        method.family.as_str().to_owned(),
        sees.to_owned(),
        mean(method.in_distribution),
        mean(method.target),
        mean(method.oracle),
        number(method.regret),
        format!("{} ({})", method.cells, method.ground.as_str()),
        seeds,
        method.diverged.to_string(),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |v| format!("{v:.3}"))
}

/// Published figures beside ours.
pub(crate) fn comparison(table: &Reproduction) -> String {
    if let Some(truth) = &table.truth {
        return format!("{}\n\n{}", table.experiment.title, truth.to_markdown());
    }
    let mut grid = Grid::new();
    grid.load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    grid.set_header(["row", "figure", "published", "ours", "tolerance", "within"]);
    for c in &table.comparisons {
        let selector = c.figure.selector.map(|selector| selector.to_string());
        let quantity = Some(c.figure.quantity.clone());
        let place = [quantity, selector, c.figure.target.clone()]
            .into_iter()
            .flatten();
        let place: Vec<String> = place.collect();
        let verdict = c.passed.map(|passed| if passed { "yes" } else { "NO" });
        grid.add_row([
            c.figure.row.clone(),
            place.join(", "),
            c.published(),
            c.ours(),
            c.within(),
            verdict.unwrap_or("–").to_owned(),
        ]);
    }
    let claims = table.claims.iter().map(|shown| {
        let c = &shown.claim;
        let error = shown.standard_error.map(|error| format!(" ± {error:.1}"));
        let holds = if shown.holds {
            "beyond noise"
        } else {
            "NOT beyond noise"
        };
        format!(
            "\n{} above {} on {}, {}: {:+.1}{}, {holds}",
            c.higher,
            c.lower,
            c.target,
            c.selector,
            shown.difference,
            error.unwrap_or_default(),
        )
    });
    let checks = table.checks.iter().map(|check| {
        let holds = if check.holds {
            "holds"
        } else {
            "does NOT hold"
        };
        format!("\n{}: {}, {holds}", check.statement, check.measured)
    });
    let claims: String = claims.chain(checks).collect();
    let e = &table.experiment;
    let budget = e.sweep.as_ref().map(|sweep| &sweep.budget);
    let budget = budget.or(e.model.as_ref().map(|model| &model.budget));
    let budget = budget.map(|budget| format!("; {budget}"));
    let report = table.report.as_ref();
    let report = report.map(|path| format!("\nreport: {}", path.display()));
    format!(
        "{}: {}\nsource: {}\nprotocol: {}\nselector: {}\n{grid}\nours: {}{}{claims}{}",
        e.id,
        e.title,
        e.source,
        e.protocol,
        e.selector,
        table.ours(),
        budget.unwrap_or_default(),
        report.unwrap_or_default()
    )
}

/// Training steps, then causal diagrams, then images.
pub(crate) fn perf(figures: &Figures) -> String {
    let mut tables = Vec::new();
    if !figures.rows.is_empty() {
        tables.push(steps(figures));
    }
    if !figures.graph.is_empty() {
        tables.push(graph(figures));
    }
    if !figures.imaging.is_empty() {
        tables.push(imaging(figures));
    }
    tables.join("\n\n")
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |v| format!("{v:.2}"))
}

/// One row per model and number of threads.
fn steps(figures: &Figures) -> String {
    let mut grid = Grid::new();
    grid.load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    grid.set_header([
        "model",
        "threads",
        "ms",
        "/ PyTorch",
        "/ channels last",
        "peak MiB",
        "peak /",
        "added /",
    ]);
    for row in &figures.rows {
        let ours = row.ours.as_ref();
        let peak = ours.and_then(|t| t.peak_rss_bytes);
        grid.add_row([
            row.model.to_owned(),
            row.threads.to_string(),
            ours.map_or_else(|| "–".into(), |t| format!("{:.2}", t.median_ms)),
            ratio(row.ratio_default),
            ratio(row.ratio_channels_last),
            peak.map_or_else(|| "–".into(), |bytes| (bytes >> 20).to_string()),
            ratio(row.ratio_peak_rss),
            ratio(row.ratio_added_rss),
        ]);
    }
    for (threads, means) in &figures.geometric_means {
        grid.add_row([
            "geometric mean".to_owned(),
            threads.to_string(),
            String::new(),
            ratio(means.ratio_default),
            ratio(means.ratio_channels_last),
            String::new(),
            ratio(means.ratio_peak_rss),
            ratio(means.ratio_added_rss),
        ]);
    }
    for column in grid.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let peer = figures.peer.as_deref().unwrap_or("not timed");
    format!(
        "{grid}\nmedians of a training step over {} alternating rounds; ratios are ours over the \
         peer's ({peer}), those of memory over the leaner layout: of the whole process, and of what \
         the model added to it",
        figures.rounds
    )
}

/// One row per workload and peer.
fn graph(figures: &Figures) -> String {
    let mut grid = Grid::new();
    grid.load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    grid.set_header([
        "workload",
        "peer",
        "ms",
        "theirs ms",
        "theirs / ours",
        "answer",
        "theirs",
    ]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let time = |ms: Option<f64>| or_dash(ms.map(|ms| format!("{ms:.2}")));
    let count = |answer: Option<u64>| or_dash(answer.map(|n| n.to_string()));
    for row in &figures.graph {
        grid.add_row([
            row.workload.to_owned(),
            or_dash(row.peer.clone()),
            time(row.ours_ms),
            time(row.theirs_ms),
            or_dash(row.ratio.map(|r| format!("{:.1}", r.recip()))),
            count(row.our_answer),
            count(row.their_answer),
        ]);
    }
    for column in grid.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{grid}\nmedians of a workload over {} alternating rounds on one thread; an answer is a count \
         over the workload: positive answers, sets, edges or tests",
        figures.rounds
    )
}

/// One row per workload, number of threads and peer.
fn imaging(figures: &Figures) -> String {
    let mut grid = Grid::new();
    grid.load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    grid.set_header([
        "workload",
        "peer",
        "threads",
        "ms",
        "theirs ms",
        "theirs / ours",
        "of processors",
        "peak MiB",
        "theirs",
        "answer",
        "theirs",
    ]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let time = |ms: Option<f64>| or_dash(ms.map(|ms| format!("{ms:.1}")));
    let count = |answer: Option<u64>| or_dash(answer.map(|n| n.to_string()));
    for row in &figures.imaging {
        grid.add_row([
            row.workload.to_owned(),
            or_dash(row.peer.clone()),
            row.threads.to_string(),
            time(row.ours_ms),
            time(row.theirs_ms),
            or_dash(row.speedup.map(|s| s.to_string())),
            or_dash(row.speedup_cpu.map(|s| s.to_string())),
            count(row.our_peak_rss_bytes.map(|bytes| bytes >> 20)),
            count(row.their_peak_rss_bytes.map(|bytes| bytes >> 20)),
            count(row.our_answer),
            count(row.their_answer),
        ]);
    }
    for column in grid.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{grid}\nmedians of a workload over {} alternating rounds; ratios are medians over rounds with \
         the least and the most, of elapsed time and of that of all processors; an answer is a count \
         of voxels above 0, the bytes of a file, or µm",
        figures.rounds
    )
}

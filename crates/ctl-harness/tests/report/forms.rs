//! What the page, the Markdown, the table and the terminal hold.

use ctl_harness::report::{Format, terminal_rows, write};
use ctl_harness::sweep::Layout;
use ctl_harness::table::Table;
use ctl_harness::vocabulary::Selector;
use ctl_harness::{HarnessError, Registry};

use crate::made::*;

#[test]
fn the_page_is_complete_and_needs_nothing_from_outside() {
    let html = winner().write(Format::Html);
    for absent in [
        "NaN",
        "nan</",
        "http://",
        "https://",
        "<script",
        "undefined",
        "src=\"/",
    ] {
        assert!(!html.contains(absent), "{absent}");
    }
    for method in [
        "erm",
        "irm",
        "coral",
        "mixup",
        "dann",
        "dann-target",
        "erm-oracle",
    ] {
        assert!(html.contains(&format!("<code>{method}</code>")), "{method}");
    }
    for selector in Selector::ALL {
        assert!(html.contains(selector.as_str()), "{selector}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)"));
    assert_eq!(
        html.matches("src=\"data:image/png;base64,iVBORw0KGgo")
            .count(),
        1
    );
    assert!(html.contains("example picture ..&#x2f;sweep.json is not shown"));
    assert!(html.contains("not run"));
    assert!(html.contains("Friedman χ²"));
    assert!(
        html.contains("<span>ERM 0.910 at home, 0.710 on the target; best other method IRM 0.8")
    );
    assert!(html.contains("20 of class 0 and 20 of class 1"));
    assert!(html.contains("site c has one class only"));
    // The surest mistake is the last wrong sample: film-35, class 1, 0.90 sure of class 0.
    assert!(html.contains(">film-35</td>"));
    let open = html.matches("<svg").count();
    assert_eq!((open, html.matches("</svg>").count()), (8, 8));
}

/// Figures stand beside the Markdown, each with its own style, and every one that is named is there.
#[test]
fn the_figures_of_the_markdown_are_files() {
    let made = winner();
    let markdown = made.write(Format::Markdown);
    let named: Vec<&str> = markdown
        .split("](figures/")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(name, _)| name)
        .collect();
    assert!(named.contains(&"classification-ranks.svg"), "{named:?}");
    assert!(named.contains(&"classification-unseen-site.svg"));
    for name in named {
        let text = std::fs::read_to_string(made.root().join("figures").join(name)).unwrap();
        assert!(text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width="));
        assert!(text.contains("--page: #ffffff") && text.trim_end().ends_with("</svg>"));
    }
}

#[test]
fn an_unfinished_sweep_says_what_is_missing() {
    let made = unfinished();
    let planned = CELLS.len() * 7 * 3 + 3;
    let html = made.write(Format::Html);
    let sentence = format!("This sweep is unfinished: 2 of {planned} planned runs are missing");
    assert!(html.contains(&sentence));
    assert!(html.contains("1 diverged."));
    let markdown = made.write(Format::Markdown);
    assert!(markdown.contains(&sentence));
    assert!(markdown.contains("| MMD (`mmd`) | correlation |  | 0.500 | 0.500 | 0.500 | 0.000 | – | 1 | 1 | 1 (1 scored as 0.5) |"));
}

#[test]
fn a_sweep_without_records_has_a_report() {
    let mut made = Made::new();
    made.info.runs.push("0123456789abcdef".into());
    let html = made.write(Format::Html);
    assert!(html.contains("1 of 1 planned run is missing"));
    assert!(html.contains("Nothing can be compared yet"));
    assert!(!html.contains("NaN"));
    assert_eq!(made.write(Format::Csv).lines().count(), 1);
}

#[test]
fn markdown_has_a_row_for_every_method_in_every_table() {
    let markdown = winner().write(Format::Markdown);
    let overview = markdown.split("### Every cell").next().unwrap();
    for method in [
        "erm",
        "irm",
        "coral",
        "mixup",
        "dann",
        "dann-target",
        "erm-oracle",
    ] {
        let code = format!("(`{method}`)");
        assert_eq!(overview.matches(&code).count(), 1, "{method}");
        assert_eq!(markdown.matches(&code).count(), 1 + CELLS.len(), "{method}");
    }
    assert!(!markdown.contains("<script>") && !markdown.contains("NaN"));
    for table in markdown
        .split("\n\n")
        .filter(|block| block.starts_with("| "))
    {
        let bars = |line: &str| line.matches('|').count() - line.matches("\\|").count();
        let head = bars(table.lines().next().unwrap());
        for line in table.lines().filter(|line| line.starts_with('|')) {
            assert_eq!(bars(line), head, "{line}");
        }
    }
}

#[test]
fn csv_has_a_line_per_cell_method_selector_part_and_metric() {
    let csv_text = winner().write(Format::Csv);
    let mut reader = csv::Reader::from_reader(csv_text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 3 * 7 * 2 * 2 * 4);
    let wanted = ["films", "c", "erm", "training-domain", "target", "auroc"];
    let columns = ["cohort", "target", "method", "selector", "part", "metric"];
    let same = |row: &&csv::StringRecord| {
        let mut pairs = columns.iter().zip(wanted);
        pairs.all(|(name, value)| &row[column(name)] == value)
    };
    let row = rows.iter().find(same).unwrap();
    // 0.70, 0.71, 0.72.
    let mean: f64 = row[column("mean")].parse().unwrap();
    assert!((mean - 0.71).abs() < 1e-9, "{mean}");
    assert_eq!(&row[column("seeds")], "3");
}

#[test]
fn a_folder_without_a_sweep_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let error = write(folder.path(), format, &Registry::standard()).unwrap_err();
        assert!(error.to_string().contains("sweep.json"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_unknown_format_lists_those_there_are() {
    let error = Format::parse("docx").unwrap_err();
    assert!(matches!(error, HarnessError::Unknown { .. }));
    assert!(
        error.to_string().contains("html, md, csv, records"),
        "{error}"
    );
}

#[test]
fn terminal_rows_average_over_cells() {
    let made = unfinished();
    made.write(Format::Csv);
    let layout = Layout::new(made.root());
    let records = layout.read_records(&layout.read_info().unwrap()).unwrap();
    let rows = terminal_rows(&Table::of(&records, &Registry::standard()));
    let order: Vec<&str> = rows.iter().map(|row| row.method.as_str()).collect();
    assert_eq!((order[0], order[6], order[7]), ("irm", "mmd", "erm-oracle"));
    let erm = rows.iter().find(|row| row.method == "erm").unwrap();
    // Cell means 0.71, 0.67, 0.63.
    assert!((erm.target.unwrap().mean - 0.67).abs() < 1e-9);
    assert!((erm.regret.unwrap() - 0.01).abs() < 1e-9);
    assert_eq!((erm.cells, erm.seeds, erm.diverged), (3, (3, 3), 0));
    let mmd = rows.iter().find(|row| row.method == "mmd").unwrap();
    assert!((mmd.target.unwrap().mean - 0.5).abs() < 1e-12);
    assert_eq!((mmd.cells, mmd.diverged, mmd.at_chance), (1, 1, 1));
}

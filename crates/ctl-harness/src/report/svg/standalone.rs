//! Figures as files of their own, for pages that cannot hold them.

use std::fmt::Write as _;

const STYLE: &str = include_str!("../report.css");
/// The first rule of the style sheet holds the colours of the light theme.
const COLOURS: &str = ":root {";
/// Rules about figures, each on lines that begin so.
const OF_FIGURES: &str = "svg ";

/// A figure of the page as a whole file: with its namespace, its size, a white ground and the rules
/// of the style sheet that concern it.
pub(crate) fn standalone(figure: &str) -> String {
    let mut style = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(style, "{}", colours());
    for line in STYLE.lines().filter(|line| line.starts_with(OF_FIGURES)) {
        let _ = writeln!(style, "{line}");
    }
    let size = match size(figure) {
        Some((width, height)) => format!("width=\"{width}\" height=\"{height}\" "),
        None => String::new(),
    };
    let (head, rest) = figure.split_once('>').unwrap_or((figure, ""));
    let head = head.replacen(
        "<svg ",
        &format!("<svg xmlns=\"http://www.w3.org/2000/svg\" {size}"),
        1,
    );
    format!(
        "{head}><style>\n{style}</style>\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>{rest}\n"
    )
}

/// The name of a figure's file: lower-case words and hyphens, such as `segmentation-unseen-site.svg`.
pub(crate) fn file_name(parts: &[&str]) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = parts.join("-").chars().map(plain).collect();
    format!("{name}.svg")
}

/// The light theme's colours as one rule.
fn colours() -> &'static str {
    let start = STYLE.find(COLOURS).unwrap_or(0);
    let rule = &STYLE[start..];
    rule.find('}').map_or("", |end| &rule[..=end])
}

/// Width and height of the figure's view box.
fn size(figure: &str) -> Option<(&str, &str)> {
    let (_, rest) = figure.split_once("viewBox=\"0 0 ")?;
    let (sides, _) = rest.split_once('"')?;
    sides.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_alone_brings_its_size_colours_and_rules() {
        let figure = r#"<svg viewBox="0 0 640 320" role="img"><title>a > b</title></svg>"#;
        let file = standalone(figure);
        assert!(file.starts_with(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320" viewBox="0 0 640 320""#
        ));
        assert!(file.contains("--page: #ffffff") && !file.contains("#12161c"));
        assert!(file.contains("svg .dot.invariance { fill: var(--invariance); }"));
        assert!(!file.contains("body {"));
        assert!(file.trim_end().ends_with("<title>a > b</title></svg>"));
    }

    #[test]
    fn names_of_files_are_plain() {
        let name = file_name(&["anomaly", "second observer", "a/../b"]);
        assert_eq!(name, "anomaly-second-observer-a----b.svg");
    }
}

//! The few shapes that the figures are made of.

use std::fmt::Write as _;

/// Pixels from the left and from the top.
pub(crate) type Point = (f64, f64);

/// Where a text lies relative to its point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// An SVG in the making. Classes are ours; every text is escaped.
#[derive(Debug)]
pub(crate) struct Canvas {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Canvas {
    /// An empty picture with a title for those who cannot see it.
    pub(crate) fn new((width, height): Point, title: &str) -> Self {
        Self {
            width,
            height,
            title: escape(title),
            body: String::new(),
        }
    }

    // Writing to a string cannot fail.
    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        let _ = self.body.write_fmt(arguments);
    }

    pub(crate) fn line(&mut self, (x1, y1): Point, (x2, y2): Point, class: &str) {
        self.push(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    /// Straight lines through points.
    pub(crate) fn path(&mut self, points: &[Point], class: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let points = points.join(" ");
        self.push(format_args!(
            r#"<polyline class="{class}" points="{points}"/>"#
        ));
    }

    /// A circle that names itself when pointed at.
    pub(crate) fn circle(&mut self, (x, y): Point, radius: f64, class: &str, tip: &str) {
        let tip = escape(tip);
        self.push(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"><title>{tip}</title></circle>"#
        ));
    }

    /// A diamond that names itself when pointed at.
    pub(crate) fn diamond(&mut self, (x, y): Point, radius: f64, class: &str, tip: &str) {
        let tip = escape(tip);
        let (top, bottom, left, right) = (y - radius, y + radius, x - radius, x + radius);
        self.push(format_args!(
            r#"<polygon class="{class}" points="{x:.1},{top:.1} {right:.1},{y:.1} {x:.1},{bottom:.1} {left:.1},{y:.1}"><title>{tip}</title></polygon>"#
        ));
    }

    pub(crate) fn text(&mut self, (x, y): Point, anchor: Anchor, class: &str, text: &str) {
        let (anchor, text) = (anchor.as_str(), escape(text));
        self.push(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// The picture as an element of a page.
    pub(crate) fn finish(self) -> String {
        let Self {
            width,
            height,
            title,
            body,
        } = self;
        format!(
            r#"<svg viewBox="0 0 {width:.0} {height:.0}" style="max-width:{width:.0}px" role="img" aria-label="{title}"><title>{title}</title>{body}</svg>"#
        )
    }
}

/// Text that markup and attributes show as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_picture() {
        let mut canvas = Canvas::new((10.0, 10.0), r#""><script>"#);
        canvas.text((1.0, 2.0), Anchor::Start, "label", "</text><script>");
        canvas.circle((1.0, 2.0), 3.0, "dot", "<b>&");
        let svg = canvas.finish();
        assert!(!svg.contains("<script>") && !svg.contains("<b>"), "{svg}");
        assert!(svg.contains("&lt;/text&gt;&lt;script&gt;"), "{svg}");
        assert!(svg.contains("&lt;b&gt;&amp;"), "{svg}");
    }
}

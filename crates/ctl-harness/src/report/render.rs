//! Templates and how values get into them.

use minijinja::syntax::SyntaxConfig;
use minijinja::{
    AutoEscape, Environment, ErrorKind, Output, State, UndefinedBehavior, Value, escape_formatter,
};
use serde::Serialize;

use crate::Result;

const HTML: &str = "report.html.jinja";
const MARKDOWN: &str = "report.md.jinja";
const PORTRAIT: &str = "portrait.html.jinja";
/// Templates and what they include.
const SOURCES: [(&str, &str); 6] = [
    (HTML, include_str!("report.html.jinja")),
    ("report.css", include_str!("report.css")),
    ("report.terms.html", include_str!("report.terms.html")),
    (MARKDOWN, include_str!("report.md.jinja")),
    (PORTRAIT, include_str!("portrait.html.jinja")),
    ("report.terms.md", include_str!("report.terms.md")),
];

/// Characters that mean something in Markdown, in a table or in the HTML that it may hold.
const MARKDOWN_SPECIAL: [char; 10] = ['\\', '`', '*', '_', '[', ']', '<', '>', '|', '#'];

/// The page as HTML.
pub(crate) fn html<T: Serialize>(page: &T) -> Result<String> {
    render(HTML, page)
}

/// The page as Markdown.
pub(crate) fn markdown<T: Serialize>(page: &T) -> Result<String> {
    render(MARKDOWN, page)
}

/// What a cohort is made of, as HTML.
pub(crate) fn portrait<T: Serialize>(page: &T) -> Result<String> {
    render(PORTRAIT, page)
}

fn render<T: Serialize>(name: &str, page: &T) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    syntax
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true);
    environment.set_syntax(syntax.build()?);
    environment.set_auto_escape_callback(escaping);
    environment.set_formatter(write_value);
    for (name, source) in SOURCES {
        environment.add_template(name, source)?;
    }
    let page = serde_json::to_value(page).map_err(unprintable)?;
    Ok(environment.get_template(name)?.render(value_of(page))?)
}

fn unprintable(error: serde_json::Error) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, "view").with_source(error)
}

/// JSON as a template value; the views hold text, flags, counts, lists and objects.
fn value_of(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => flag.into(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => items.into_iter().map(value_of).collect(),
        Json::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(key, value)| (key, value_of(value)));
            Value::from_pairs(fields)
        }
    }
}

fn escaping(name: &str) -> AutoEscape {
    match name {
        HTML | PORTRAIT => AutoEscape::Html,
        MARKDOWN => AutoEscape::Custom("markdown".into()),
        _ => AutoEscape::None,
    }
}

fn write_value(
    out: &mut Output,
    state: &mut State,
    value: &Value,
) -> std::result::Result<(), minijinja::Error> {
    if !matches!(state.auto_escape(), AutoEscape::Custom(_)) {
        return escape_formatter(out, state, value);
    }
    let text = value.to_string();
    let text = if value.is_safe() {
        text
    } else {
        escape_markdown(&text)
    };
    Ok(out.write_str(&text)?)
}

/// One line of text that Markdown prints as it is.
fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push(' '),
            special if MARKDOWN_SPECIAL.contains(&special) => escaped.extend(['\\', special]),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_shows_names_and_never_obeys_them() {
        assert_eq!(
            escape_markdown("a|b\n<script> & _x_"),
            "a\\|b \\<script\\> &amp; \\_x\\_"
        );
        assert_eq!(escape_markdown("+0.012 ± 0.003"), "+0.012 ± 0.003");
    }
}

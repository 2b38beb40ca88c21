//! Generated documents: the table of methods and the schema of their settings.

use std::fmt::Write as _;

use ctl_invariance::LearnsFrom;
use serde_json::{Map, Value, json};

use crate::Registry;

/// `docs/METHODS.md`: every method, its family, needs, assumptions, defaults and paper.
pub fn methods_markdown(registry: &Registry) -> String {
    let mut text = String::from(
        "# Methods\n\nThis file is generated from the registry by `cargo xtask generate`.\n\n\
         | id | family | role | needs | assumptions | paper |\n|---|---|---|---|---|---|\n",
    );
    for method in registry.iter() {
        let info = method.info();
        let assumptions: Vec<String> = info.assumptions.iter().map(word).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| [`{id}`](#{id}) | {} | {} | {} | {} | {} |",
            info.family.as_str(),
            word(&info.role),
            needs(method),
            assumptions.join(", "),
            info.paper,
            id = info.id,
        );
    }
    for method in registry.iter() {
        section(&mut text, method);
    }
    text
}

fn section(text: &mut String, method: &dyn ctl_invariance::Method) {
    let info = method.info();
    let _ = write!(
        text,
        "\n## {}\n\n**{}.** {}\n\n",
        info.id, info.name, info.summary
    );
    let defaults = method.defaults();
    let Some(settings) = defaults.as_object().filter(|map| !map.is_empty()) else {
        text.push_str("No settings.\n");
        return;
    };
    text.push_str("| setting | default | searched | meaning |\n|---|---|---|---|\n");
    let schema = method.schema();
    let search = method.search_space();
    for (key, default) in settings {
        let searched = search
            .iter()
            .find(|dimension| dimension.key == key)
            .map_or(String::new(), |dimension| range(&dimension.distribution));
        let meaning = schema["properties"][key]["description"]
            .as_str()
            .unwrap_or_default();
        let meaning = meaning.replace('\n', " ");
        let _ = writeln!(text, "| `{key}` | `{default}` | {searched} | {meaning} |");
    }
}

fn range(distribution: &ctl_invariance::Distribution) -> String {
    use ctl_invariance::Distribution as D;
    match distribution {
        D::Uniform { low, high } => format!("U({low}, {high})"),
        D::UniformInteger { low, high } => format!("⌊U({low}, {high})⌋"),
        D::LogUniform { low, high } => format!("10^U({low}, {high})"),
        D::Log2UniformInteger { low, high } => format!("⌊2^U({low}, {high})⌋"),
        D::LogUniformInteger { low, high } => format!("⌊10^U({low}, {high})⌋"),
        D::Choice(values) => {
            let shown: Vec<String> = values.iter().map(ToString::to_string).collect();
            format!("one of {}", shown.join(", "))
        }
    }
}

fn needs(method: &dyn ctl_invariance::Method) -> String {
    let needs = method.info().needs;
    let mut words = Vec::new();
    if needs.environments > 1 {
        words.push(format!("{} source environments", needs.environments));
    }
    if needs.target_images {
        words.push("unlabelled target images".into());
    }
    if needs.oracle_view {
        words.push("images without the shortcut".into());
    }
    if needs.class_probabilities {
        words.push("class probabilities".into());
    }
    if needs.diagram {
        words.push("a causal diagram".into());
    }
    match needs.learns_from {
        LearnsFrom::Sources => {}
        LearnsFrom::Target => words.push("labelled target images".into()),
        LearnsFrom::UnconfoundedSources => words.push("a simulator without confounding".into()),
        LearnsFrom::TrueFactors => words.push("a simulator's true factors".into()),
    }
    if words.is_empty() {
        "–".into()
    } else {
        words.join(", ")
    }
}

/// The kebab-case word of an enumeration's value.
fn word<T: serde::Serialize>(value: &T) -> String {
    let text = serde_json::to_value(value).ok();
    text.as_ref()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// `docs/methods.schema.json`: the JSON schema of a suite's `settings` table.
pub fn methods_schema(registry: &Registry) -> Value {
    let properties: Map<String, Value> = registry
        .iter()
        .map(|method| (method.info().id.to_owned(), method.schema()))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of the methods, by id",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

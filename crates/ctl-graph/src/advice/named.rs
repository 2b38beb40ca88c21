//! Templates by name, as a command line asks for them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{AdviceError, Template, words};
use crate::graph::{CausalDirection, ShiftKind};

/// A template that is worth listing.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::TEMPLATES;
///
/// let entry = TEMPLATES.iter().find(|entry| entry.name == "anticausal-prevalence").unwrap();
/// assert_eq!(
///     entry.to_string(),
///     "anticausal-prevalence: the disease shows in the image; it is more or less frequent",
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TemplateEntry {
    /// Its name, which [`Template`] reads with `parse`.
    pub name: &'static str,
    /// What kind of study it is, in one line.
    pub description: &'static str,
}

const fn entry(name: &'static str, description: &'static str) -> TemplateEntry {
    TemplateEntry { name, description }
}

/// The plain templates and the combinations that are met most.
///
/// Any other combination of the words can be asked for just as well: a direction, shifts, and
/// the options, joined by hyphens.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{TEMPLATES, Template, advise};
///
/// for entry in TEMPLATES {
///     assert!(advise(&entry.name.parse::<Template>()?.build()?).is_ok());
/// }
/// assert_eq!(TEMPLATES[0].description, "the label is drawn from the image; other patients are imaged");
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
pub const TEMPLATES: &[TemplateEntry] = &[
    entry(
        "causal-population",
        "the label is drawn from the image; other patients are imaged",
    ),
    entry(
        "causal-acquisition",
        "the label is drawn from the image; another scanner or protocol",
    ),
    entry(
        "causal-acquisition-split",
        "as before, where what is labelled is apart from the style of the picture",
    ),
    entry(
        "causal-acquisition-anatomy",
        "the label follows from the anatomy and not from its image; another scanner",
    ),
    entry(
        "causal-annotation",
        "the label is drawn from the image; other annotators or another protocol for them",
    ),
    entry(
        "causal-population-acquisition",
        "the label is drawn from the image; other patients on another scanner",
    ),
    entry(
        "causal-acquisition-annotation",
        "the label is drawn from the image; another scanner and other annotators",
    ),
    entry(
        "causal-selection",
        "the label is drawn from the image; who is in the data depends on both",
    ),
    entry(
        "causal-confounded",
        "the label is drawn from the image; sites differ in scanner and in frequency of the label",
    ),
    entry(
        "causal-confounded-split",
        "as before, where what is labelled is apart from the style of the picture",
    ),
    entry(
        "anticausal-prevalence",
        "the disease shows in the image; it is more or less frequent",
    ),
    entry(
        "anticausal-manifestation",
        "the disease shows in the image; it affects the anatomy differently",
    ),
    entry(
        "anticausal-acquisition",
        "the disease shows in the image; another scanner or protocol",
    ),
    entry(
        "anticausal-acquisition-split",
        "as before, where the anatomy is apart from the style of the picture",
    ),
    entry(
        "anticausal-prevalence-acquisition",
        "the disease shows in the image; another scanner and another frequency",
    ),
    entry(
        "anticausal-selection",
        "the disease shows in the image; who is in the data depends on both",
    ),
    entry(
        "anticausal-confounded",
        "the disease shows in the image; sites differ in scanner and in its frequency",
    ),
    entry(
        "anticausal-confounded-split",
        "as before, where the anatomy is apart from the style of the picture",
    ),
];

type Change = fn(Template) -> Template;

/// The words that are no shift, with what they do.
const OPTIONS: &[(&str, Change)] = &[
    ("split", Template::split),
    ("confounded", Template::confounded),
    ("anatomy", Template::label_from_anatomy),
];

impl FromStr for Template {
    type Err = AdviceError;

    /// Reads `DIRECTION`, then shifts and `split`, `confounded` or `anatomy` in any order, joined
    /// by hyphens.
    fn from_str(name: &str) -> Result<Self, AdviceError> {
        let mut words = name.split('-');
        let direction = words.next().unwrap_or_default();
        let direction = [CausalDirection::Causal, CausalDirection::Anticausal]
            .into_iter()
            .find(|&known| words::direction(known) == direction)
            .ok_or_else(|| unknown(name, direction))?;
        words.try_fold(Self::new(direction), |template, word| {
            if let Some(&kind) = KINDS.iter().find(|&&kind| words::kind(kind) == word) {
                return Ok(template.shift(kind));
            }
            let option = OPTIONS.iter().find(|(option, _)| *option == word);
            option
                .map(|(_, apply)| apply(template))
                .ok_or_else(|| unknown(name, word))
        })
    }
}

const KINDS: [ShiftKind; 6] = [
    ShiftKind::Population,
    ShiftKind::Prevalence,
    ShiftKind::Acquisition,
    ShiftKind::Annotation,
    ShiftKind::Manifestation,
    ShiftKind::Selection,
];

fn unknown(name: &str, found: &str) -> AdviceError {
    let shifts = KINDS.iter().map(|&kind| words::kind(kind));
    let options = OPTIONS.iter().map(|(option, _)| *option);
    AdviceError::UnknownTemplate {
        name: name.to_owned(),
        expected: shifts.chain(options).collect::<Vec<_>>().join(", "),
        found: found.to_owned(),
    }
}

impl fmt::Display for TemplateEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_name_says_what_the_builder_says() {
        let built = Template::new(CausalDirection::Anticausal)
            .shift(ShiftKind::Prevalence)
            .shift(ShiftKind::Acquisition)
            .split()
            .confounded();
        let named = "anticausal-prevalence-acquisition-split-confounded".parse();
        assert_eq!(named, Ok(built));
    }

    #[rstest]
    #[case("acausal-prevalence", "acausal")]
    #[case("causal-weather", "weather")]
    #[case("causal-", "")]
    #[case("", "")]
    fn a_word_that_means_nothing_is_named(#[case] name: &str, #[case] word: &str) {
        let fault = name.parse::<Template>().unwrap_err().to_string();
        assert!(fault.ends_with(&format!("found {word:?}")), "{fault}");
        assert!(
            fault.contains("annotation, manifestation, selection, split"),
            "{fault}"
        );
    }
}

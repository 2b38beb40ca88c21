//! Whether the target's rule from image to label follows from the data, and by which formula.

use super::remedies::names;
use super::report::{Data, Prediction, Remedy, Verdict};
use super::situation::Situation;

/// The remedies that give the target's own rule, in the order in which they ask for more data.
const ROUTES: &[(&str, Data)] = &[
    ("plain-training", Data::Sources),
    ("label-shift-correction", Data::UnlabelledTarget),
    ("covariate-adjustment", Data::UnlabelledTarget),
    ("selection-weighting", Data::UnlabelledTarget),
];

/// The first route that is licensed and exact.
pub(super) fn prediction(situation: &Situation, remedies: &[Remedy]) -> Prediction {
    let exact = |id: &str| {
        let named = remedies.iter().find(|remedy| remedy.id == id);
        named.filter(|remedy| remedy.verdict == Verdict::Licensed && is_exact(situation, id))
    };
    let route = ROUTES
        .iter()
        .find_map(|&(id, needs)| exact(id).map(|remedy| (remedy, needs)));
    match route {
        Some((remedy, needs)) => Prediction {
            needs,
            remedy: Some(remedy.id),
            formula: remedy.formula.clone(),
        },
        None => Prediction {
            needs: Data::LabelledTarget,
            remedy: None,
            formula: None,
        },
    }
}

/// Selection weights give the target's rule where selection is all that differs.
fn is_exact(situation: &Situation, id: &str) -> bool {
    id != "selection-weighting" || situation.diagram.domain == situation.diagram.selection
}

/// The answer in one or two sentences.
pub(super) fn answer(
    situation: &Situation,
    remedies: &[Remedy],
    prediction: &Prediction,
) -> Vec<String> {
    let (image, label) = names(situation);
    let plain = remedies.iter().find(|remedy| remedy.id == "plain-training");
    let mut lines = Vec::new();
    if let Some(plain) = plain {
        let because = &plain.because;
        lines.push(match plain.verdict {
            Verdict::NotLicensed => {
                format!(
                    "A model trained on the sources as usual may fail in the target: {because}."
                )
            }
            _ => format!(
                "A model trained on the sources as usual serves the target, since {because}{}.",
                condition(remedies, plain.id)
            ),
        });
    }
    lines.extend(match (prediction.needs, prediction.remedy) {
        (Data::UnlabelledTarget, Some(id)) => Some(format!(
            "How {label} follows from {image} in the target can be computed without target \
             labels, by {id}{}.",
            condition(remedies, id)
        )),
        (Data::LabelledTarget, _) => Some(format!(
            "No formula found here gives how {label} follows from {image} in the target without \
             target labels; what is licensed below keeps the part of it that is the same."
        )),
        _ => None,
    });
    lines
}

/// What a remedy asks for besides, as the end of a sentence.
fn condition(remedies: &[Remedy], id: &str) -> String {
    let named = remedies.iter().find(|remedy| remedy.id == id);
    let provided = named.and_then(|remedy| remedy.provided.as_deref());
    provided.map_or_else(String::new, |text| format!(", provided that {text}"))
}

//! Objectives that look at the features as well.

use candle_core::Tensor;
use serde_json::{Map, Value, json};

use super::case::{Case, Problem, elements, scalar, tensor, written};
use super::environments::{Inputs, evaluate, risks, term};
use crate::methods::coral::{Coral, CoralConfig};
use crate::methods::dann::{Dann, DannConfig};
use crate::methods::erm::Aggregation;
use crate::methods::mmd::{Mmd, MmdConfig};
use crate::{Discriminator, MethodConfig, Objective, coral_distance, mmd_distance};

type Fields = Result<Map<String, Value>, Problem>;

/// With and without environments that have no labels.
const VARIANTS: [&str; 2] = ["", "unlabelled-target"];

pub(super) fn coral(case: &Case<'_>) -> Fields {
    let penalty_weight = case.number("lambda")?;
    let config = CoralConfig { penalty_weight };
    config.validate("coral")?;
    let distance = |a: &Tensor, b: &Tensor| coral_distance(a, b);
    penalised(case, &mut Coral { config }, "coral-penalty", &distance)
}

pub(super) fn mmd(case: &Case<'_>) -> Fields {
    let config = MmdConfig {
        penalty_weight: case.number("lambda")?,
        gammas: case.numbers("gammas")?,
    };
    config.validate("mmd")?;
    let gammas = config.gammas.clone();
    let distance = |a: &Tensor, b: &Tensor| mmd_distance(a, b, &gammas);
    penalised(case, &mut Mmd { config }, "mmd-penalty", &distance)
}

fn penalised(
    case: &Case<'_>,
    objective: &mut dyn Objective,
    penalty: &str,
    distance: &dyn Fn(&Tensor, &Tensor) -> crate::Result<Tensor>,
) -> Fields {
    case.expect_variant(&VARIANTS)?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    let features = inputs.features()?;
    let outputs = inputs.outputs()?;
    let value = evaluate(case.loss, &outputs, objective)?;
    let mut fields = inputs.differentiate(&value.total)?;
    fields.insert("risks".to_owned(), risks(case.loss, &outputs)?);
    fields.insert("penalty".to_owned(), term(&value, penalty)?);
    let (mut pairs, mut distances) = (Vec::new(), Vec::new());
    for (i, a) in features.iter().enumerate() {
        for (j, b) in features.iter().enumerate().skip(i + 1) {
            pairs.push(json!([i, j]));
            distances.push(scalar(&distance(a, b)?)?);
        }
    }
    fields.insert("pairs".to_owned(), pairs.into());
    fields.insert("penalty_per_pair".to_owned(), distances.into());
    Ok(fields)
}

pub(super) fn dann(case: &Case<'_>) -> Fields {
    case.expect_variant(&VARIANTS)?;
    case.expect_aggregation(Aggregation::Pooled)?;
    let config = DannConfig {
        lambda: case.number("lambda")?,
        grad_penalty: case.number("grad_penalty")?,
        ..DannConfig::default()
    };
    config.validate("dann")?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    inputs.features()?;
    let outputs = inputs.outputs()?;
    let mut objective = Dann::new(config, given_discriminator(case)?);
    let value = evaluate(case.loss, &outputs, &mut objective)?;
    let mut fields = inputs.differentiate(&value.total)?;
    fields.insert("risks".to_owned(), risks(case.loss, &outputs)?);
    for (field, name) in [
        ("class_loss", "risk"),
        ("disc_loss", "discriminator-loss"),
        ("disc_loss_no_penalty", "discriminator-cross-entropy"),
        ("grad_penalty", "discriminator-gradient-penalty"),
    ] {
        fields.insert(field.to_owned(), term(&value, name)?);
    }
    let reversed = value
        .terms
        .iter()
        .find(|(name, _)| *name == "discriminator-loss");
    if let Some((_, loss)) = reversed {
        let gradients = inputs.feature_gradients(loss)?;
        fields.insert("grad_features_disc_loss".to_owned(), gradients);
    }
    fields.insert(
        "disc_logits".to_owned(),
        discriminator_logits(case, &inputs)?,
    );
    Ok(fields)
}

/// One linear layer, or a list of `layers` with `ReLU` between them, with the case's weights.
fn given_discriminator(case: &Case<'_>) -> Result<Discriminator, Problem> {
    let given = case.part("discriminator");
    let layers = match &given["layers"] {
        Value::Null => std::slice::from_ref(given),
        layers => elements("discriminator.layers", layers)?,
    };
    let weights = layers.iter().map(|layer| {
        let weight = tensor("discriminator.weight", &layer["weight"])?;
        Ok((weight, tensor("discriminator.bias", &layer["bias"])?))
    });
    let weights = weights.collect::<Result<Vec<_>, Problem>>()?;
    Ok(Discriminator::from_weights(&weights)?)
}

fn discriminator_logits(case: &Case<'_>, inputs: &Inputs) -> Result<Value, Problem> {
    let discriminator = given_discriminator(case)?;
    let features = inputs.features()?.into_iter();
    let logits = features.map(|features| written(&discriminator.logits(features)?));
    logits.collect()
}
